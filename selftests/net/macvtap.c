// SPDX-License-Identifier: GPL-2.0-only
/*
 * A net device on a macvtap over one end of a veth pair.
 *
 *	this process' rings <-> kvasir-net <-> macvtap on v0 === v1 <- wire
 */
#include <fcntl.h>
#include <limits.h>
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
#define MS	20000

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

/* Limit of what the tap may have under way; the batches want none. */
static void set_sndbuf(int fd, int size)
{
	ASSERT_OK(ioctl(fd, TUNSETSNDBUF, &size));
}

/* A queueing discipline that keeps frames on v0 for a while. */
static void setup_slow(const char *qdisc)
{
	char command[200];

	setup();
	snprintf(command, sizeof(command), "modprobe -qa sch_netem sch_tbf; "
		 "tc qdisc add dev v0 root %s", qdisc);
	if (system(command))
		SKIP("no %s", qdisc);
}

static void send_all(struct kvt_nic *nic, uint32_t nr)
{
	uint8_t frame[1514];
	uint32_t i;

	for (i = 0; i < nr; i++) {
		kvt_frame(frame, 1514 - i % 700, i);
		ASSERT(kvt_nic_queue(nic, NULL, frame, 1514 - i % 700),
		       "stuck at frame %u", i);
	}
	ASSERT(kvt_nic_drain(nic, MS), "transmit stuck");
}

static void expect_all(int wire, uint32_t nr)
{
	uint8_t frame[2048];
	uint32_t i;

	for (i = 0; i < nr; i++) {
		ASSERT_EQ(kvt_wire_recv(wire, frame, sizeof(frame), MS),
			  1514 - i % 700);
		ASSERT(kvt_frame_ok(frame, 1514 - i % 700, i),
		       "frame %u changed", i);
	}
}

TEST("batches through a macvtap, held under way")
{
	struct kvt_nic_opts o = { .features = V1 | MRG | EV };
	struct kvt_nic nic;
	int wire;

	setup_slow("netem delay 300ms limit 100000");
	o.sock = open_tap("m0");
	set_sndbuf(o.sock, INT_MAX);
	wire = kvt_packet("v1", KVT_ETHERTYPE, false);
	kvt_nic_open(&nic, &o);
	send_all(&nic, 1500);
	expect_all(wire, 1500);
	kvt_nic_close(&nic);
}

TEST("N-07 a full send buffer: waits, without spinning, and loses nothing")
{
	struct kvt_nic_opts o = { .features = V1 | MRG | EV };
	uint64_t wakeups, t;
	struct kvt_nic nic;
	int wire;

	setup_slow("tbf rate 4mbit burst 10kb limit 10mb");
	o.sock = open_tap("m0");
	set_sndbuf(o.sock, 100000);
	wire = kvt_packet("v1", KVT_ETHERTYPE, false);
	kvt_nic_open(&nic, &o);
	t = kvt_now();
	send_all(&nic, 300);
	/* of 400 kB at most the buffer's 100 are left: over half a second */
	EXPECT(kvt_now() - t >= 300, "nothing was waited for");
	if (nic.ours) {
		wakeups = kvt_nl_counter(nic.id, 1, KVASIR_C_WAKEUPS);
		EXPECT(wakeups < 1000, "served %llu times",
		       (unsigned long long)wakeups);
		EXPECT_EQ(kvt_nl_counter(nic.id, 1, KVASIR_C_DROP_LOWER), 0);
	}
	expect_all(wire, 300);
	kvt_nic_close(&nic);
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
