// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the ioctls refuse, with which errno, and that a refused call changes
 * nothing (U-02, U-03, U-04, R-05, R-06, R-13, R-14, N-09, B-10).
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kvt_blk.h"
#include "kvt_net.h"

static int owned(const char *node)
{
	int fd = kvt_node_open(node);

	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	return fd;
}

static int net(void)
{
	return owned(kvt_net_node());
}

static int blk(void)
{
	return owned(kvt_blk_node());
}

TEST("unknown ioctls")
{
	int fd[] = { net(), blk() }, i;
	uint64_t arg[64] = { 0 };

	for (i = 0; i < 2; i++) {
		if (!kvt_ours(i ? kvt_blk_node() : kvt_net_node()))
			continue;
		EXPECT_ERR(ioctl(fd[i], _IO(VHOST_VIRTIO, 0xee)), ENOTTY);
		EXPECT_ERR(ioctl(fd[i], _IOW(VHOST_VIRTIO, 0x7e, int), arg),
			   ENOTTY);
		EXPECT_ERR(ioctl(fd[i], 0, arg), ENOTTY);
		EXPECT_ERR(ioctl(fd[i], ~0u, arg), ENOTTY);
	}
	/* each node knows its own backend only */
	EXPECT_ERR(ioctl(fd[1], VHOST_NET_SET_BACKEND, arg), ENOTTY);
	if (kvt_ours(kvt_net_node()))
		EXPECT_ERR(ioctl(fd[0], KVASIR_BLK_SET_BACKEND, arg), ENOTTY);
}

/* Addresses no argument may lie at; the last one ends with the page. */
static void bad_pointers(int fd, unsigned long cmd, size_t size, bool writes)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	ASSERT_OK(mprotect(p + 4096, 4096, PROT_NONE));
	EXPECT_ERR(ioctl(fd, cmd, NULL), EFAULT);
	EXPECT_ERR(ioctl(fd, cmd, 8), EFAULT);
	EXPECT_ERR(ioctl(fd, cmd, 0xffffffff81000000ul), EFAULT);
	EXPECT_ERR(ioctl(fd, cmd, ~0ul), EFAULT);
	EXPECT_ERR(ioctl(fd, cmd, p + 4096), EFAULT);
	EXPECT_ERR(ioctl(fd, cmd, p + 4096 - size + 1), EFAULT);
	if (writes) {
		ASSERT_OK(mprotect(p, 4096, PROT_READ));
		EXPECT_ERR(ioctl(fd, cmd, p), EFAULT);
	}
	munmap(p, 8192);
}

TEST("U-02 bad pointers")
{
	int fd[] = { net(), blk() }, i;

	for (i = 0; i < 2; i++) {
		bad_pointers(fd[i], VHOST_GET_FEATURES, 8, true);
		bad_pointers(fd[i], VHOST_SET_FEATURES, 8, false);
		bad_pointers(fd[i], VHOST_SET_MEM_TABLE, 8, false);
		bad_pointers(fd[i], VHOST_SET_LOG_BASE, 8, false);
		bad_pointers(fd[i], VHOST_SET_LOG_FD, 4, false);
		bad_pointers(fd[i], VHOST_SET_VRING_NUM, 8, false);
		bad_pointers(fd[i], VHOST_SET_VRING_BASE, 8, false);
		bad_pointers(fd[i], VHOST_GET_VRING_BASE, 8, true);
		bad_pointers(fd[i], VHOST_SET_VRING_ADDR, 40, false);
		bad_pointers(fd[i], VHOST_SET_VRING_KICK, 8, false);
		bad_pointers(fd[i], VHOST_SET_VRING_CALL, 8, false);
		bad_pointers(fd[i], VHOST_SET_VRING_ERR, 8, false);
	}
	bad_pointers(fd[0], VHOST_NET_SET_BACKEND, 8, false);
	bad_pointers(fd[1], KVASIR_BLK_SET_BACKEND, 4, false);
}

static void index_refused(int fd, unsigned int index)
{
	struct vhost_vring_addr a = { .index = index };
	struct vhost_vring_state s = { .index = index, .num = 16 };

	EXPECT_ERR(kvt_vring_num(fd, index, 16), ENOBUFS);
	EXPECT_ERR(kvt_vring_base(fd, index, 0), ENOBUFS);
	EXPECT_ERR(ioctl(fd, VHOST_GET_VRING_BASE, &s), ENOBUFS);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_ADDR, &a), ENOBUFS);
	EXPECT_ERR(kvt_vring_file(fd, VHOST_SET_VRING_KICK, index, -1),
		   ENOBUFS);
	EXPECT_ERR(kvt_vring_file(fd, VHOST_SET_VRING_CALL, index, -1),
		   ENOBUFS);
	EXPECT_ERR(kvt_vring_file(fd, VHOST_SET_VRING_ERR, index, -1),
		   ENOBUFS);
}

TEST("queue index beyond the last")
{
	int n = net(), b = blk();

	index_refused(n, 2);
	index_refused(n, 0x7fffffff);
	index_refused(n, 0xffffffff);
	index_refused(b, KVASIR_BLK_MAX_QUEUES);
	index_refused(b, 0xffffffff);
	EXPECT_OK(kvt_vring_num(b, KVASIR_BLK_MAX_QUEUES - 1, 16));
	EXPECT_ERR(kvt_vring_file(n, VHOST_NET_SET_BACKEND, 2, -1), ENOBUFS);
}

TEST("R-05 ring sizes")
{
	static const unsigned int bad[] = { 0, 3, 5, 255, 257, 32767, 32769,
					    65535, 65536, 0x80000000u,
					    0xffffffffu };
	int fd[] = { net(), blk() }, i;
	unsigned int n;
	size_t j;

	for (i = 0; i < 2; i++) {
		for (j = 0; j < sizeof(bad) / sizeof(bad[0]); j++)
			EXPECT_ERR(kvt_vring_num(fd[i], 0, bad[j]), EINVAL);
		for (n = 1; n <= 32768; n *= 2)
			EXPECT_OK(kvt_vring_num(fd[i], 0, n));
		EXPECT_ERR(kvt_vring_base(fd[i], 0, 65536), EINVAL);
		EXPECT_ERR(kvt_vring_base(fd[i], 0, 0xffffffff), EINVAL);
		EXPECT_OK(kvt_vring_base(fd[i], 0, 65535));
	}
}

static int set_addr(int fd, uint64_t d, uint64_t a, uint64_t u, uint32_t flags)
{
	struct vhost_vring_addr addr = {
		.flags = flags, .desc_user_addr = d, .avail_user_addr = a,
		.used_user_addr = u,
	};

	return ioctl(fd, VHOST_SET_VRING_ADDR, &addr);
}

TEST("R-06 ring addresses unaligned, in the kernel, wrapping")
{
	uint64_t p = (uintptr_t)aligned_alloc(4096, 65536);
	int fd[] = { net(), blk() }, i;
	uint64_t kernel = 0xffffffff81000000ull;

	for (i = 0; i < 2; i++) {
		ASSERT_OK(kvt_vring_num(fd[i], 0, 256));
		EXPECT_OK(set_addr(fd[i], p, p + 8192, p + 16384, 0));
		EXPECT_OK(set_addr(fd[i], p + 16, p + 2, p + 4, 0));
		EXPECT_ERR(set_addr(fd[i], p + 8, p, p, 0), EINVAL);
		EXPECT_ERR(set_addr(fd[i], p, p + 1, p, 0), EINVAL);
		EXPECT_ERR(set_addr(fd[i], p, p, p + 2, 0), EINVAL);
		EXPECT_ERR(set_addr(fd[i], p, p, p, 0xfffffffe), EOPNOTSUPP);
		if (!kvt_ours(i ? kvt_blk_node() : kvt_net_node()))
			continue;	/* stock looks when a backend is set */
		EXPECT_ERR(set_addr(fd[i], kernel, p, p, 0), EFAULT);
		EXPECT_ERR(set_addr(fd[i], p, kernel, p, 0), EFAULT);
		EXPECT_ERR(set_addr(fd[i], p, p, kernel, 0), EFAULT);
		EXPECT_ERR(set_addr(fd[i], ~15ull, p, p, 0), EFAULT);
	}
}

struct table {
	struct vhost_memory head;
	struct vhost_memory_region r[600];
};

static int set_table(int fd, struct table *t, uint32_t n)
{
	t->head.nregions = n;
	return ioctl(fd, VHOST_SET_MEM_TABLE, t);
}

static void fill_table(struct table *t, uint8_t *p)
{
	unsigned int i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < 600; i++) {
		t->r[i].guest_phys_addr = i * 8192ull;
		t->r[i].memory_size = 4096;
		t->r[i].userspace_addr = (uintptr_t)p;
	}
}

TEST("U-03 memory tables that are refused")
{
	struct table *t = malloc(sizeof(*t));
	uint8_t *p = aligned_alloc(4096, 4096);
	int fd[] = { net(), blk() }, i;

	ASSERT(t && p, "out of memory");
	for (i = 0; i < 2; i++) {
		bool ours = kvt_ours(i ? kvt_blk_node() : kvt_net_node());

		fill_table(t, p);
		EXPECT_OK(set_table(fd[i], t, 0));
		EXPECT_OK(set_table(fd[i], t, 64));
		t->head.padding = 1;
		EXPECT_ERR(set_table(fd[i], t, 1), EOPNOTSUPP);
		t->head.padding = 0;
		EXPECT_ERR(set_table(fd[i], t, 10000), E2BIG);
		EXPECT_ERR(set_table(fd[i], t, ~0u), E2BIG);
		if (!ours)
			continue;
		EXPECT_OK(set_table(fd[i], t, 512));
		EXPECT_ERR(set_table(fd[i], t, 513), E2BIG);
		t->r[3].memory_size = 0;
		EXPECT_ERR(set_table(fd[i], t, 8), EINVAL);
		t->r[3].memory_size = 8193;			/* overlap */
		EXPECT_ERR(set_table(fd[i], t, 8), EINVAL);
		t->r[3].memory_size = ~0ull;			/* wrap */
		EXPECT_ERR(set_table(fd[i], t, 8), EINVAL);
		fill_table(t, p);
		t->r[3].flags_padding = 1;
		EXPECT_ERR(set_table(fd[i], t, 8), EINVAL);
		fill_table(t, p);
		t->r[3].userspace_addr = 0xffffffff81000000ull;
		EXPECT_ERR(set_table(fd[i], t, 8), EFAULT);
		t->r[3].userspace_addr = ~0ull - 100;
		EXPECT_ERR(set_table(fd[i], t, 8), EINVAL);
	}
}

TEST("U-04 kick, call and err want an eventfd")
{
	static const unsigned long cmd[] = {
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
	};
	int fd[] = { net(), blk() }, pipefd[2], file, ev, i;
	size_t j;

	ASSERT_OK(pipe2(pipefd, O_CLOEXEC));
	file = open("/dev/null", O_RDWR | O_CLOEXEC);
	ev = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	for (i = 0; i < 2; i++) {
		for (j = 0; j < 3; j++) {
			EXPECT_ERR(kvt_vring_file(fd[i], cmd[j], 0, pipefd[0]),
				   EINVAL);
			EXPECT_ERR(kvt_vring_file(fd[i], cmd[j], 0, file),
				   EINVAL);
			EXPECT_ERR(kvt_vring_file(fd[i], cmd[j], 0, fd[i]),
				   EINVAL);
			EXPECT_ERR(kvt_vring_file(fd[i], cmd[j], 0, 100000),
				   EBADF);
			EXPECT_ERR(kvt_vring_file(fd[i], cmd[j], 0, -2),
				   EBADF);
			EXPECT_OK(kvt_vring_file(fd[i], cmd[j], 0, ev));
			EXPECT_OK(kvt_vring_file(fd[i], cmd[j], 0, -1));
		}
		/* the same one for all is strange, but allowed */
		for (j = 0; j < 3; j++)
			EXPECT_OK(kvt_vring_file(fd[i], cmd[j], 0, ev));
	}
}

TEST("R-13 features that were never offered")
{
	int fd[] = { net(), blk() }, i, bit;
	uint64_t offered, f, none = 0;

	for (i = 0; i < 2; i++) {
		ASSERT_OK(ioctl(fd[i], VHOST_GET_FEATURES, &offered));
		EXPECT(offered & KVT_F(VIRTIO_F_VERSION_1), "no VERSION_1");
		EXPECT_OK(ioctl(fd[i], VHOST_SET_FEATURES, &offered));
		for (bit = 0; bit < 64; bit++) {
			f = 1ull << bit;
			if (!(offered & f))
				EXPECT_ERR(ioctl(fd[i], VHOST_SET_FEATURES, &f),
					   EOPNOTSUPP);
		}
		EXPECT_OK(ioctl(fd[i], VHOST_SET_FEATURES, &none));
		f = ~0ull;
		EXPECT_ERR(ioctl(fd[i], VHOST_SET_FEATURES, &f), EOPNOTSUPP);
	}
}

TEST("backend features: the second kind of IOTLB message, for net")
{
	int fd[] = { net(), blk() }, i;
	uint64_t f, g;

	for (i = 0; i < 2; i++) {
		if (!kvt_ours(i ? kvt_blk_node() : kvt_net_node()))
			continue;
		f = ~0ull;
		ASSERT_OK(ioctl(fd[i], VHOST_GET_BACKEND_FEATURES, &f));
		EXPECT_EQ(f, i ? 0 : 1 << VHOST_BACKEND_F_IOTLB_MSG_V2);
		EXPECT_OK(ioctl(fd[i], VHOST_SET_BACKEND_FEATURES, &f));
		g = f | 1;
		EXPECT_ERR(ioctl(fd[i], VHOST_SET_BACKEND_FEATURES, &g),
			   EOPNOTSUPP);
		g = f | 1 << VHOST_BACKEND_F_IOTLB_BATCH;
		EXPECT_ERR(ioctl(fd[i], VHOST_SET_BACKEND_FEATURES, &g),
			   EOPNOTSUPP);
		g = 0;
		EXPECT_OK(ioctl(fd[i], VHOST_SET_BACKEND_FEATURES, &g));
	}
}

TEST("R-14 byte order of a modern ring is fixed")
{
	struct vhost_vring_state s = { .num = VHOST_VRING_BIG_ENDIAN };
	uint64_t f = KVT_F(VIRTIO_F_VERSION_1);
	int fd[] = { net(), blk() }, i;

	for (i = 0; i < 2; i++) {
		ASSERT_OK(ioctl(fd[i], VHOST_SET_FEATURES, &f));
		EXPECT_EQ(ioctl(fd[i], VHOST_SET_VRING_ENDIAN, &s), -1);
		s.num = 2;
		EXPECT_EQ(ioctl(fd[i], VHOST_SET_VRING_ENDIAN, &s), -1);
	}
}

TEST("N-09 net backends of the wrong kind")
{
	struct kvt_nic_opts o = { .features = KVT_F(VIRTIO_F_VERSION_1) };
	int udp, unixs[2], pipefd[2], dgram, n, i;
	struct kvt_nic nic;

	kvt_netns();
	o.sock = kvt_tap("tap0", 0, 12, 0);
	kvt_nic_open(&nic, &o);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	dgram = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, unixs));
	ASSERT_OK(pipe(pipefd));
	n = open("/dev/net/tun", O_RDWR | O_CLOEXEC);	/* not attached */
	for (i = 0; i < 2; i++) {
		unsigned int q = (unsigned int)i;

		EXPECT_EQ(kvt_net_backend(&nic.dev, q, udp), -1);
		EXPECT_EQ(kvt_net_backend(&nic.dev, q, dgram), -1);
		EXPECT_EQ(kvt_net_backend(&nic.dev, q, unixs[0]), -1);
		EXPECT_ERR(kvt_net_backend(&nic.dev, q, pipefd[0]), ENOTSOCK);
		EXPECT_ERR(kvt_net_backend(&nic.dev, q, nic.dev.fd), ENOTSOCK);
		EXPECT_EQ(kvt_net_backend(&nic.dev, q, 1 << 20), -1);
		EXPECT_EQ(kvt_net_backend(&nic.dev, q, -2), -1);
		EXPECT_EQ(kvt_net_backend(&nic.dev, q, n), -1);
	}
	kvt_nic_close(&nic);
}

TEST("a backend needs a ring first")
{
	struct kvt_mem mem;
	struct kvt_dev dev;
	int tap;

	kvt_netns();
	tap = kvt_tap("tap0", 0, 12, 0);
	kvt_mem_init(&mem, 1 << 20, 0);
	kvt_dev_init(&dev, kvt_net_node(), &mem,
		     KVT_F(VIRTIO_F_VERSION_1));
	EXPECT_ERR(kvt_net_backend(&dev, 0, tap), EFAULT);
	EXPECT_ERR(kvt_net_backend(&dev, 1, tap), EFAULT);
}

TEST("R-13 size, base and features are frozen while a queue runs")
{
	struct kvt_nic_opts o = { .features = KVT_F(VIRTIO_F_VERSION_1) };
	struct kvt_nic nic;
	uint64_t f = 0;

	kvt_netns();
	o.sock = kvt_tap("tap0", 0, 12, 0);
	kvt_nic_open(&nic, &o);
	EXPECT_ERR(kvt_vring_num(nic.dev.fd, 1, 128), EBUSY);
	EXPECT_ERR(kvt_vring_base(nic.dev.fd, 1, 0), EBUSY);
	if (nic.ours)
		EXPECT_ERR(ioctl(nic.dev.fd, VHOST_SET_FEATURES, &f), EBUSY);
	EXPECT_OK(kvt_net_backend(&nic.dev, 0, -1));
	EXPECT_OK(kvt_net_backend(&nic.dev, 1, -1));
	EXPECT_OK(kvt_vring_num(nic.dev.fd, 1, 128));
	kvt_nic_close(&nic);
}

static int set_blk(int fd, struct kvasir_blk_backend b)
{
	return ioctl(fd, KVASIR_BLK_SET_BACKEND, &b);
}

TEST("blk backend structure: size, flags, time limit, block size")
{
	struct {
		struct kvasir_blk_backend b;
		uint8_t more[64];
	} big = { .b = { .size = sizeof(big) } };
	struct kvasir_blk_backend b = { .size = sizeof(b) };
	static const uint32_t lbs[] = { 1, 256, 511, 513, 768, 8192,
					0x80000000 };
	struct kvt_disk d;
	size_t i;

	kvt_disk_open(&d, 1, 16, KVT_F(VIRTIO_F_VERSION_1), 4096);
	b.fd = big.b.fd = kvt_file(1 << 20);
	b.size = 0;
	EXPECT_ERR(set_blk(d.dev.fd, b), EINVAL);
	b.size = KVASIR_BLK_BACKEND_SIZE_VER0 - 1;
	EXPECT_ERR(set_blk(d.dev.fd, b), EINVAL);
	b.size = 0xffffffff;
	EXPECT_EQ(set_blk(d.dev.fd, b), -1);
	b.size = sizeof(b);
	b.flags = 0x80000000;
	EXPECT_ERR(set_blk(d.dev.fd, b), EINVAL);
	b.flags = 0;
	b.timeout_ms = 1;
	EXPECT_ERR(set_blk(d.dev.fd, b), EINVAL);
	b.timeout_ms = 0;
	for (i = 0; i < sizeof(lbs) / sizeof(lbs[0]); i++) {
		b.logical_block_size = lbs[i];
		EXPECT_ERR(set_blk(d.dev.fd, b), EINVAL);
	}
	big.more[63] = 1;
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_SET_BACKEND, &big), E2BIG);
	big.more[63] = 0;
	EXPECT_OK(ioctl(d.dev.fd, KVASIR_BLK_SET_BACKEND, &big));
	EXPECT_EQ(big.b.capacity, (1 << 20) / 512);
	b.logical_block_size = 0;
	EXPECT_ERR(set_blk(d.dev.fd, b), EBUSY);
	kvt_disk_close(&d);
}

TEST("B-10 files that cannot be a disk")
{
	int pipefd[2], dir, zero, ev, ro;
	struct kvt_disk d;
	char path[64];

	kvt_disk_open(&d, 1, 16, KVT_F(VIRTIO_F_VERSION_1), 4096);
	dir = open("/", O_RDONLY | O_CLOEXEC);
	zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	ev = eventfd(0, EFD_CLOEXEC);
	ASSERT_OK(pipe(pipefd));
	EXPECT_EQ(kvt_disk_backend(&d, dir, 1, 0, NULL), -ENOTBLK);
	EXPECT_EQ(kvt_disk_backend(&d, zero, 0, 0, NULL), -ENOTBLK);
	EXPECT_EQ(kvt_disk_backend(&d, pipefd[0], 1, 0, NULL), -ENOTBLK);
	EXPECT_EQ(kvt_disk_backend(&d, ev, 0, 0, NULL), -ENOTBLK);
	EXPECT_EQ(kvt_disk_backend(&d, d.dev.fd, 0, 0, NULL), -ENOTBLK);
	EXPECT_EQ(kvt_disk_backend(&d, 100000, 0, 0, NULL), -EBADF);
	/* a descriptor opened for reading makes a read-only disk only */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", kvt_file(65536));
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT(ro >= 0, "%s: %s", path, strerror(errno));
	EXPECT_EQ(kvt_disk_backend(&d, ro, 0, 0, NULL), -EBADF);
	EXPECT_EQ(kvt_disk_backend(&d, ro, KVASIR_BLK_F_READONLY, 0, NULL), 0);
	EXPECT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
	kvt_disk_close(&d);
}

TEST("a disk needs a configured queue")
{
	struct kvt_mem mem;
	struct kvt_disk d = { 0 };

	kvt_mem_init(&mem, 1 << 20, 0);
	kvt_dev_init(&d.dev, kvt_blk_node(), &mem,
		     KVT_F(VIRTIO_F_VERSION_1));
	EXPECT_EQ(kvt_disk_backend(&d, kvt_file(65536), 0, 0, NULL), -ENXIO);
	/* and taking off what was never there is fine */
	EXPECT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
}
