// SPDX-License-Identifier: GPL-2.0-only
/*
 * A net device on a macvtap over one end of a veth pair.
 *
 *	this process' rings <-> kvasir-net <-> macvtap on v0 === v1 <- wire
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)

/* The macvtap's character device has no node in a namespace's /dev. */
static int open_tap(const char *ifname)
{
	char path[128], node[64];
	unsigned int major, minor;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	unsigned int index = if_nametoindex(ifname);
	int hdr_len = 12, fd;
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/devices/virtual/net/%s/tap%u/dev", ifname, index);
	f = fopen(path, "re");
	if (!f)
		SKIP("no %s: %s", path, strerror(errno));
	ASSERT_EQ(fscanf(f, "%u:%u", &major, &minor), 2);
	fclose(f);
	snprintf(node, sizeof(node), "%s/kvt-tap-%d", kvt_env("TMPDIR", "/tmp"),
		 getpid());
	ASSERT_OK(mknod(node, S_IFCHR | 0600, makedev(major, minor)));
	fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	unlink(node);
	ASSERT(fd >= 0, "open %s: %s", node, strerror(errno));
	ASSERT_OK(ioctl(fd, TUNSETIFF, &ifr));
	ASSERT_OK(ioctl(fd, TUNSETVNETHDRSZ, &hdr_len));
	ASSERT_OK(ioctl(fd, TUNSETOFFLOAD, 0));
	return fd;
}

static void setup(void)
{
	kvt_netns();
	/* sysfs shows the network namespace it was mounted in: mount our own */
	ASSERT_OK(unshare(CLONE_NEWNS));
	ASSERT_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_OK(mount("kvt", "/sys", "sysfs", 0, NULL));
	if (system("modprobe -q macvtap; "
		   "ip link add v0 type veth peer name v1 && "
		   "ip link add link v0 name m0 address 02:00:00:00:00:01 "
		   "type macvtap mode passthru"))
		SKIP("cannot make a macvtap");
	kvt_link_up("v0", 0);
	kvt_link_up("v1", 0);
	kvt_link_up("m0", 0);
}

TEST("frames both ways through a macvtap")
{
	struct kvt_nic_opts o = { .features = V1 | MRG | EV };
	struct kvt_nic nic;
	uint32_t i;
	int wire;

	setup();
	o.sock = open_tap("m0");
	wire = kvt_packet("v1", KVT_ETHERTYPE, false);
	kvt_nic_open(&nic, &o);
	for (i = 0; i < 100; i++)
		kvt_nic_exchange(&nic, wire, 60 + i * 14, i);
	kvt_nic_close(&nic);
}
