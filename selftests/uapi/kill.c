// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner is killed at every step of set-up and during traffic: everything
 * it held is let go in bounded time, workers included (L-01, B-07).
 */
#include "kvt_blk.h"
#include "kvt_module.h"
#include "kvt_net.h"

#define V1 KVT_F(VIRTIO_F_VERSION_1)

/* ---- set-up, one ioctl further each time ---- */

#define NET_STEPS 9

static void net_setup(int step, int ready)
{
	struct kvt_ring rx, tx;
	struct kvt_mem mem;
	uint64_t f = V1;
	int fd, tap;

	kvt_netns();
	tap = kvt_tap("tap0", 0, 12, 0);
	kvt_mem_init(&mem, 4 << 20, 0);
	kvt_ring_init(&rx, &mem, 256, 0);
	kvt_ring_init(&tx, &mem, 256, 0);
	fd = kvt_node_open(kvt_net_node());
	if (step == 0)
		kvt_ready_forever(ready);
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	if (step == 1)
		kvt_ready_forever(ready);
	ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &f));
	ASSERT_OK(kvt_set_mem(fd, 0, mem.size, (uintptr_t)mem.base));
	if (step == 2)
		kvt_ready_forever(ready);
	ASSERT_OK(kvt_vring_num(fd, 0, 256));
	if (step == 3)
		kvt_ready_forever(ready);
	ASSERT_OK(kvt_vring_addr(fd, 0, &rx));
	if (step == 4)
		kvt_ready_forever(ready);
	ASSERT_OK(kvt_vring_file(fd, VHOST_SET_VRING_KICK, 0, rx.kick));
	if (step == 5)
		kvt_ready_forever(ready);
	ASSERT_OK(kvt_vring_file(fd, VHOST_SET_VRING_CALL, 0, rx.call));
	ASSERT_OK(kvt_vring_file(fd, VHOST_SET_VRING_ERR, 0, rx.err));
	if (step == 6)
		kvt_ready_forever(ready);
	ASSERT_OK(kvt_vring_file(fd, VHOST_NET_SET_BACKEND, 0, tap));
	if (step == 7)
		kvt_ready_forever(ready);
	ASSERT_OK(kvt_vring_file(fd, VHOST_NET_SET_BACKEND, 0, -1));
	kvt_ready_forever(ready);
}

TEST_SECONDS("L-01 killed at every step of setting up a net device", 200)
{
	int step;

	for (step = 0; step < NET_STEPS; step++)
		kvt_kill_when_ready(net_setup, step, 0);
}

static void net_traffic(int step, int ready)
{
	struct kvt_nic_opts o = { .features = V1 };
	struct kvt_nic nic;
	uint8_t frame[1000];
	int wire;

	(void)step;
	wire = kvt_nic_open_tap(&nic, &o, 0);
	kvt_frame(frame, 1000, 0);
	kvt_ready(ready);
	for (;;) {
		ASSERT(kvt_nic_send(&nic, NULL, frame, 1000), "send");
		ASSERT_EQ(write(wire, frame, 1000), 1000);
		kvt_nic_recv(&nic, NULL, frame, 1000, 0);
	}
}

TEST_SECONDS("L-01 killed during traffic, 10 times", 200)
{
	int i;

	for (i = 0; i < 10; i++)
		kvt_kill_when_ready(net_traffic, i, (unsigned int)(i * 17));
}

static void blk_flood(int step, int ready)
{
	static struct kvt_bio bio[64];
	struct kvt_disk d;
	int i, fd;

	/* by turns on a file and on a device that completes later */
	fd = step & 1 ? kvt_nullblk("kvtslow", "") : kvt_file(1 << 20);
	kvt_disk_open(&d, 2, 256, V1, 8 << 20);
	if (step == 0)
		kvt_ready_forever(ready);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	if (step == 1)
		kvt_ready_forever(ready);
	for (i = 0; i < 64; i++) {
		kvt_bio_init(&d, &bio[i], 16384);
		kvt_bio_submit(&d, (unsigned int)i & 1, &bio[i],
			       VIRTIO_BLK_T_OUT, (uint64_t)i * 16, 16384);
	}
	kvt_ready_forever(ready);
}

TEST_SECONDS("L-01 B-07 killed with a disk set up, and 64 requests in flight",
	     200)
{
	int step;

	if (!kvt_ours(kvt_blk_node()))
		SKIP("%s is not the module's", kvt_blk_node());
	close(kvt_nullblk("kvtslow", ""));
	for (step = 0; step < 8; step++)
		kvt_kill_when_ready(blk_flood, step, 0);
}

TEST("L-01 afterwards the module can be unloaded and loaded again")
{
	kvt_module_need();
	EXPECT_EQ(kvt_module_wait(0, KVT_FREE_MS), 0);
	EXPECT_EQ(kvt_module_unload(), 0);
	EXPECT_EQ(kvt_module_load(), 0);
}
