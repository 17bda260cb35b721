// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a device node: open, owner, reset, close, in and out of order, from
 * another thread and another process (U-01, U-05, U-12, L-02).
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "kvt_blk.h"
#include "kvt_net.h"

static const char *node(int i)
{
	return i ? kvt_blk_node() : kvt_net_node();
}

#define each_node(i) for (i = 0; i < 2; i++)

TEST("open and close, also many at once")
{
	int i, j, fd[200];

	each_node(i) {
		close(kvt_node_open(node(i)));
		for (j = 0; j < 200; j++)
			fd[j] = kvt_node_open(node(i));
		for (j = 0; j < 200; j += 2)
			close(fd[j]);
		for (j = 1; j < 200; j += 2)
			close(fd[j]);
	}
}

TEST("100 devices with an owner at once")
{
	int j, fd[100];

	for (j = 0; j < 100; j++) {
		fd[j] = kvt_node_open(node(j & 1));
		ASSERT_OK(ioctl(fd[j], VHOST_SET_OWNER));
	}
	for (j = 0; j < 100; j++)
		close(fd[j]);
}

TEST("U-01 an owner once, and again after reset")
{
	int i, fd;

	each_node(i) {
		fd = kvt_node_open(node(i));
		EXPECT_OK(ioctl(fd, VHOST_SET_OWNER));
		EXPECT_ERR(ioctl(fd, VHOST_SET_OWNER), EBUSY);
		EXPECT_OK(ioctl(fd, VHOST_RESET_OWNER));
		EXPECT_ERR(ioctl(fd, VHOST_RESET_OWNER), EPERM);
		EXPECT_OK(ioctl(fd, VHOST_SET_OWNER));
		close(fd);
	}
}

/* Everything that needs an owner. */
static void expect_not_owner(int fd, int blk)
{
	struct kvasir_blk_backend b = { .size = sizeof(b), .fd = -1 };
	struct vhost_vring_addr addr = { .index = 0 };
	struct vhost_vring_state s = { .num = 1 };
	struct vhost_vring_file f = { .fd = -1 };
	uint64_t u = 0;
	int minus = -1;

	EXPECT_ERR(ioctl(fd, VHOST_RESET_OWNER), EPERM);
	EXPECT_ERR(kvt_set_mem(fd, 0, 4096, 4096), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_LOG_BASE, &u), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_LOG_FD, &minus), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_NUM, &s), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_BASE, &s), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_GET_VRING_BASE, &s), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_ADDR, &addr), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_KICK, &f), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_CALL, &f), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_ERR, &f), EPERM);
	if (blk)
		EXPECT_ERR(ioctl(fd, KVASIR_BLK_SET_BACKEND, &b), EPERM);
	else
		EXPECT_ERR(ioctl(fd, VHOST_NET_SET_BACKEND, &f), EPERM);
}

TEST("U-01 without owner nothing can be set up")
{
	uint64_t u;
	int i, fd;

	each_node(i) {
		fd = kvt_node_open(node(i));
		expect_not_owner(fd, i);
		EXPECT_OK(ioctl(fd, VHOST_GET_FEATURES, &u));
		EXPECT_OK(ioctl(fd, VHOST_SET_OWNER));
		EXPECT_OK(ioctl(fd, VHOST_RESET_OWNER));
		expect_not_owner(fd, i);
		close(fd);
	}
}

struct device {
	int fd, blk;
};

static void not_owner(const void *arg)
{
	const struct device *d = arg;

	EXPECT_ERR(ioctl(d->fd, VHOST_SET_OWNER), EBUSY);
	expect_not_owner(d->fd, d->blk);
}

TEST("U-01 a forked child is not the owner, and its exit changes nothing")
{
	struct device d;

	each_node(d.blk) {
		d.fd = kvt_node_open(node(d.blk));
		ASSERT_OK(ioctl(d.fd, VHOST_SET_OWNER));
		kvt_in_child(not_owner, &d);
		EXPECT_OK(kvt_vring_num(d.fd, 0, 16));
		close(d.fd);
	}
}

static void own(const void *arg)
{
	const struct device *d = arg;

	EXPECT_OK(ioctl(d->fd, VHOST_SET_OWNER));
	EXPECT_OK(kvt_vring_num(d->fd, 0, 16));
}

TEST("L-02 the owner is gone, the descriptor lives on in another process")
{
	struct device d;

	each_node(d.blk) {
		d.fd = kvt_node_open(node(d.blk));
		kvt_in_child(own, &d);	/* it ends as the owner */
		not_owner(&d);
		EXPECT_ERR(kvt_vring_num(d.fd, 0, 16), EPERM);
		close(d.fd);
	}
}

static void *thread_num(void *arg)
{
	EXPECT_OK(kvt_vring_num(*(int *)arg, 0, 32));
	return NULL;
}

TEST("U-01 another thread of the owner may set up")
{
	pthread_t th;
	int i, fd;

	each_node(i) {
		fd = kvt_node_open(node(i));
		ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
		ASSERT_EQ(pthread_create(&th, NULL, thread_num, &fd), 0);
		pthread_join(th, NULL);
		close(fd);
	}
}

TEST("reset forgets features, memory and rings")
{
	uint64_t f = KVT_F(VIRTIO_F_VERSION_1);
	struct vhost_vring_state s = { 0 };
	int i, fd;

	each_node(i) {
		fd = kvt_node_open(node(i));
		ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
		ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &f));
		ASSERT_OK(kvt_vring_num(fd, 1, 16));
		ASSERT_OK(kvt_vring_base(fd, 1, 1234));
		s.index = 1;
		ASSERT_OK(ioctl(fd, VHOST_GET_VRING_BASE, &s));
		EXPECT_EQ(s.num, 1234);
		ASSERT_OK(ioctl(fd, VHOST_RESET_OWNER));
		ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
		ASSERT_OK(ioctl(fd, VHOST_GET_VRING_BASE, &s));
		EXPECT_EQ(s.num, 0);
		close(fd);
	}
}

TEST("reset and close with queues running, 30 times")
{
	struct kvt_nic_opts o = { .features = KVT_F(VIRTIO_F_VERSION_1) };
	struct kvt_nic nic;
	uint8_t frame[64];
	int n;

	kvt_netns();
	o.sock = kvt_tap("tap0", 0, 12, 0);
	kvt_frame(frame, 64, 0);
	for (n = 0; n < 30; n++) {
		kvt_nic_open(&nic, &o);
		ASSERT(kvt_nic_send(&nic, NULL, frame, 64), "send");
		if (n & 1)
			EXPECT_OK(ioctl(nic.dev.fd, VHOST_RESET_OWNER));
		kvt_nic_close(&nic);
	}
}

struct swap {
	struct kvt_nic *nic;
	bool stop;
};

static void *swap(void *arg)
{
	struct swap *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		kvt_net_backend(&s->nic->dev, 1, -1);
		kvt_net_backend(&s->nic->dev, 1, s->nic->o.sock);
	}
	return NULL;
}

TEST("U-05 the backend set and taken off by two threads during traffic")
{
	struct kvt_nic_opts o = { .features = KVT_F(VIRTIO_F_VERSION_1) };
	uint64_t end = kvt_deadline(2000);
	struct kvt_nic nic;
	struct swap s = { .nic = &nic };
	uint8_t frame[64];
	pthread_t th[2];
	int i;

	kvt_netns();
	o.sock = kvt_tap("tap0", 0, 12, 0);
	kvt_frame(frame, 64, 0);
	kvt_nic_open(&nic, &o);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&th[i], NULL, swap, &s), 0);
	for (i = 0; kvt_left(end); i++)
		ASSERT(kvt_nic_send(&nic, NULL, frame, 64), "frame %d", i);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	ASSERT_OK(kvt_net_backend(&nic.dev, 1, nic.o.sock));
	EXPECT(kvt_nic_drain(&nic, 20000), "transmit stuck");
	kvt_nic_close(&nic);
}
