// SPDX-License-Identifier: GPL-2.0-only
/*
 * bell DEVICE memory|port TIMES - ring queue 0 of a virtio PCI device, in a guest
 *
 * Finds the doorbells that the device offers in memory, or as ports (virtio 1.2,
 * 4.1.4.4), and writes the queue's number there as a driver would. The kernel has
 * to be started with iomem=relaxed: its own driver has claimed the device.
 * Static: it is handed to the guest on a disk, and finds no libraries there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

static char dir[64];
static uint8_t config[256];

static int open_file(const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags);
	if (fd < 0) {
		printf("bell: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return fd;
}

static bool in_ports(unsigned int bar)
{
	return config[PCI_BASE_ADDRESS_0 + 4 * bar] & PCI_BASE_ADDRESS_SPACE_IO;
}

/* The place of the doorbells of that kind: BAR and offset in it. */
static bool find(bool ports, struct virtio_pci_cap *cap)
{
	unsigned int at = config[PCI_CAPABILITY_LIST], left = 48;

	for (; at && at + sizeof(*cap) <= sizeof(config) && left--;
	     at = config[at + PCI_CAP_LIST_NEXT]) {
		memcpy(cap, config + at, sizeof(*cap));
		if (cap->cap_vndr == PCI_CAP_ID_VNDR &&
		    cap->cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG &&
		    in_ports(cap->bar) == ports)
			return true;
	}
	return false;
}

static int ring_memory(int fd, uint32_t offset, int times)
{
	volatile uint16_t *bell;
	char *page;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    offset / PAGE * PAGE);
	if (page == MAP_FAILED)
		return -1;
	bell = (void *)(page + offset % PAGE);
	while (times--)
		*bell = 0;
	return 0;
}

static int ring_port(int fd, uint32_t offset, int times)
{
	const uint16_t queue = 0;

	while (times--)
		if (pwrite(fd, &queue, sizeof(queue), offset) != sizeof(queue))
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct virtio_pci_cap cap;
	char resource[16];
	bool ports;
	int fd, ret;

	if (argc != 4)
		return 2;
	ports = !strcmp(argv[2], "port");
	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s", argv[1]);
	if (read(open_file("config", O_RDONLY), config, sizeof(config)) !=
	    sizeof(config) || !find(ports, &cap)) {
		printf("bell: %s has no such doorbells\n", argv[1]);
		return 1;
	}
	snprintf(resource, sizeof(resource), "resource%u", cap.bar);
	fd = open_file(resource, O_RDWR);
	ret = (ports ? ring_port : ring_memory)(fd, cap.offset, atoi(argv[3]));
	if (ret)
		printf("bell: %s: %s\n", resource, strerror(errno));
	else
		printf("bell: rang %s times, %s, BAR %u + %u\n", argv[3], argv[2],
		       cap.bar, cap.offset);
	return !!ret;
}
