// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the netlink family says agrees with what was done: devices, queues,
 * states and counters; malformed requests get an errno, dumps that do not fit
 * one message are complete (U-07, U-15).
 */
#include "kvt_blk.h"
#include "kvt_net.h"

#define MS 20000

TEST("a device appears with open, gets an owner, and goes with close")
{
	struct kvt_dev_stat before[128], after[128];
	int fd, n = kvt_nl_devs(before, 128), i, new = 0;
	struct kvt_dev_stat d;

	fd = kvt_node_open(kvt_net_node());
	ASSERT_EQ(kvt_nl_devs(after, 128), n + 1);
	for (i = 0; i <= n; i++)
		new += after[i].pid == 0;
	EXPECT(new >= 1, "no device without owner");
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	ASSERT(kvt_nl_find(KVASIR_DEV_NET, getpid(), &d), "not listed");
	EXPECT_EQ(d.queues, 2);
	EXPECT_EQ(d.running, 0);
	EXPECT_EQ(d.regions, 0);
	EXPECT_EQ(d.features, 0);
	EXPECT(!d.backend[0], "backend %s", d.backend);
	ASSERT_OK(ioctl(fd, VHOST_RESET_OWNER));
	EXPECT(!kvt_nl_find(KVASIR_DEV_NET, getpid(), &d), "still owned");
	close(fd);
	EXPECT_EQ(kvt_nl_devs(after, 128), n);
}

TEST("a running net device: features, regions, states, workers, counters")
{
	struct kvt_nic_opts o = { .features = KVT_F(VIRTIO_F_VERSION_1) };
	struct kvt_queue_stat q[8];
	struct kvt_dev_stat d;
	struct kvt_nic nic;
	uint8_t frame[100];
	uint64_t n;
	int i, wire;

	wire = kvt_nic_open_tap(&nic, &o, 0);
	ASSERT(kvt_nl_find(KVASIR_DEV_NET, getpid(), &d), "not listed");
	EXPECT_EQ(d.features, o.features);
	EXPECT_EQ(d.running, 2);
	EXPECT_EQ(d.regions, 1);
	EXPECT(d.backend[0], "no backend named");
	kvt_frame(frame, 100, 0);
	for (i = 0; i < 10; i++)
		ASSERT(kvt_nic_send(&nic, NULL, frame, 100), "send");
	ASSERT(kvt_nic_drain(&nic, MS), "transmit stuck");
	/* whether it asked for one for any of these is a matter of time */
	kvt_ring_force_kick(&nic.tx);
	for (i = 0; i < 7; i++) {
		ASSERT_EQ(write(wire, frame, 100), 100);
		ASSERT_EQ(kvt_nic_recv(&nic, NULL, frame, 100, MS), 100);
	}
	ASSERT_EQ(kvt_nl_queues(nic.id, q, 8), 2);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(q[i].dev_id, nic.id);
		EXPECT_EQ(q[i].index, i);
		EXPECT_EQ(q[i].state, KVASIR_QUEUE_RUNNING);
		EXPECT_EQ(q[i].size, 256);
		EXPECT(q[i].worker, "no worker");
		EXPECT_EQ(q[i].inflight, 0);
		EXPECT_EQ(q[i].c[KVASIR_C_BAD_CHAIN], 0);
		EXPECT_EQ(q[i].c[KVASIR_C_BROKEN], 0);
	}
	EXPECT_EQ(q[1].c[KVASIR_C_REQUESTS], 10);
	EXPECT_EQ(q[1].c[KVASIR_C_BYTES_IN], 1000);
	EXPECT_EQ(q[1].c[KVASIR_C_KICKS], nic.tx.kicks);
	EXPECT_EQ(q[0].c[KVASIR_C_REQUESTS], 7);
	EXPECT_EQ(q[0].c[KVASIR_C_BYTES_OUT], 700);
	/* every call counted is a signal, taken by the driver or pending */
	kvt_nl_asleep(nic.id, 0);
	EXPECT_EQ(kvt_nl_counter(nic.id, 0, KVASIR_C_CALLS), 7);
	if (nic.rx.calls < 7 && kvt_eventfd_wait(nic.rx.call, MS, &n))
		nic.rx.calls += n;
	EXPECT_EQ(nic.rx.calls, 7);
	ASSERT_OK(kvt_net_backend(&nic.dev, 1, -1));
	ASSERT_EQ(kvt_nl_queues(nic.id, q, 8), 2);
	EXPECT_EQ(q[1].state, KVASIR_QUEUE_STOPPED);
	EXPECT_EQ(q[1].worker, 0);
	EXPECT_EQ(q[1].c[KVASIR_C_REQUESTS], 10);	/* they stay */
	kvt_nic_close(&nic);
}

TEST("hundreds of queues are listed completely, each once")
{
	struct kvt_queue_stat *q = calloc(1024, sizeof(*q));
	int fd[8], i, j, n, seen[8] = { 0 };
	struct kvt_dev_stat d[8];

	ASSERT(q, "out of memory");
	for (i = 0; i < 8; i++) {
		fd[i] = kvt_node_open(kvt_blk_node());
		ASSERT_OK(ioctl(fd[i], VHOST_SET_OWNER));
		ASSERT(kvt_nl_find(KVASIR_DEV_BLK, getpid(), &d[i]), "listed");
		for (j = 0; j < KVASIR_BLK_MAX_QUEUES; j++)
			ASSERT_OK(kvt_vring_num(fd[i], (unsigned int)j, 8));
	}
	n = kvt_nl_queues(UINT32_MAX, q, 1024);
	ASSERT(n <= 1024, "%d queues", n);
	for (i = 0; i < n; i++)
		for (j = 0; j < 8; j++)
			if (q[i].dev_id == d[j].id) {
				EXPECT_EQ(q[i].index, seen[j]);
				seen[j]++;
			}
	for (j = 0; j < 8; j++)
		EXPECT_EQ(seen[j], KVASIR_BLK_MAX_QUEUES);
	EXPECT_EQ(kvt_nl_queues(d[3].id, q, 1024), KVASIR_BLK_MAX_QUEUES);
	EXPECT_EQ(kvt_nl_queues(0x7fffffff, q, 1024), 0);
}

TEST("an ordinary user sees nothing")
{
	struct kvt_dev_stat d[4];

	if (geteuid())
		SKIP("needs root to become an ordinary user");
	kvt_nl_devs(d, 4);
	ASSERT_OK(setuid(65534));
	EXPECT_EQ(kvt_nl_try(KVASIR_CMD_DEV_GET, 0, NULL, 0), -EPERM);
	EXPECT_EQ(kvt_nl_try(KVASIR_CMD_QUEUE_GET, 0, NULL, 0), -EPERM);
}

TEST("U-15 unknown commands and malformed attributes get an errno")
{
	struct kvt_dev_stat d[4];

	kvt_nl_devs(d, 4);
	EXPECT_EQ(kvt_nl_try(0, 0, NULL, 0), -EOPNOTSUPP);
	EXPECT_EQ(kvt_nl_try(200, 0, NULL, 0), -EOPNOTSUPP);
	EXPECT(kvt_nl_try(KVASIR_CMD_QUEUE_GET, KVASIR_A_QUEUE_DEV_ID, "ab", 2)
	       < 0, "a device id of two bytes");
}
