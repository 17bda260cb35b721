// SPDX-License-Identifier: GPL-2.0-only
/*
 * Out of memory at every place where the module can meet it, one place at a
 * time: the first allocation fails, the second one, and so on until there are
 * no more; copies from and to the caller's memory in the same way. A call that
 * fails says so, a second try works, and the device then does its work. What is
 * left behind is for the leak checker (make check-debug).
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "kvt_bed.h"
#include "kvt_blk.h"
#include "kvt_fault.h"
#include "kvt_iotlb.h"
#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define AP	KVT_F(VIRTIO_F_ACCESS_PLATFORM)
#define LOG	KVT_F(VHOST_F_LOG_ALL)

#define MANY_PLACES 2000	/* more than there are */
#define MS 10000

/* ---- this thread's calls to a node fail, and are tried again ---- */

static _Thread_local unsigned int places_left;	/* 0: not this thread */
static int self;				/* for kvt_fault_arm() */
static bool is_node[1024];

static long call(long nr, long a, long b, long c)
{
	long ret;
	int err;

	if (!places_left)
		return syscall(nr, a, b, c);
	kvt_fault_arm(self, places_left);
	ret = syscall(nr, a, b, c);
	err = errno;
	places_left = kvt_fault_disarm(self);
	if (ret < 0 && !places_left) {
		EXPECT(err == ENOMEM || err == EFAULT,
		       "system call %ld (0x%lx): %s", nr, b, strerror(err));
		return syscall(nr, a, b, c);
	}
	errno = err;
	return ret;
}

/*
 * These take the place of libc's in this program: whatever the harness does
 * with a node comes through here.
 */
int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;
	int fd;

	va_start(ap, flags);
	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (strcmp(path, kvt_net_node()) && strcmp(path, kvt_blk_node()))
		return (int)syscall(SYS_open, path, flags, mode);
	fd = (int)call(SYS_open, (long)path, flags, 0);
	if (fd >= 0 && fd < (int)(sizeof(is_node) / sizeof(is_node[0])))
		is_node[fd] = true;
	return fd;
}

static long fd_call(long nr, int fd, long b, long c)
{
	bool node = fd >= 0 && fd < (int)sizeof(is_node) && is_node[fd];

	if (node && nr == SYS_close)
		is_node[fd] = false;
	return node ? call(nr, fd, b, c) : syscall(nr, fd, b, c);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	long arg;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	return (int)fd_call(SYS_ioctl, fd, (long)request, arg);
}

ssize_t read(int fd, void *buf, size_t len)
{
	return fd_call(SYS_read, fd, (long)buf, (long)len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	return fd_call(SYS_write, fd, (long)buf, (long)len);
}

int close(int fd)
{
	return (int)fd_call(SYS_close, fd, 0, 0);
}

/* A whole life of a device for every place that can fail in it. */
static void fail_each(void (*life)(void *arg), void *arg)
{
	unsigned int n;

	self = kvt_fault_open(getpid());
	for (n = 1; ; n++) {
		ASSERT(n < MANY_PLACES, "there is no end");
		places_left = n;
		life(arg);
		if (places_left)
			break;
		ASSERT(!kvt_failures(), "when number %u failed", n);
	}
	places_left = 0;
	NOTE("%u places", n - 1);
	EXPECT(n > 1, "nothing ever failed");
	close(self);
}

/* ---- set-up and end ---- */

struct net_bed {
	struct kvt_nic_opts o;
	int wire;
};

static void net_bed(struct net_bed *b, uint64_t features)
{
	memset(b, 0, sizeof(*b));
	b->o.features = features;
	b->o.num = 16;
	b->o.sock = kvt_tap("tap0", 0, (int)kvt_hdr_len(features), 0);
	b->wire = kvt_packet("tap0", KVT_ETHERTYPE, false);
}

/* A second worker for transmit. */
static void own_worker(int fd)
{
	struct vhost_worker_state state = { 0 };
	struct vhost_vring_worker vw = { .index = 1 };

	ASSERT_OK(ioctl(fd, VHOST_NEW_WORKER, &state));
	vw.worker_id = state.worker_id;
	ASSERT_OK(ioctl(fd, VHOST_ATTACH_VRING_WORKER, &vw));
}

static void net_life(void *arg)
{
	struct net_bed *b = arg;
	uint64_t log = 0;
	struct kvt_nic nic;
	uint8_t *bits;

	kvt_nic_open(&nic, &b->o);
	own_worker(nic.dev.fd);
	bits = calloc(1, (nic.mem.gpa + nic.mem.size) / 4096 / 8 + 8);
	ASSERT(bits, "out of memory");
	log = (uintptr_t)bits;
	ASSERT_OK(ioctl(nic.dev.fd, VHOST_SET_LOG_BASE, &log));
	ASSERT_OK(ioctl(nic.dev.fd, VHOST_SET_LOG_FD, &nic.rx.err));
	kvt_nic_works(&nic, b->wire, "after a failure");
	ASSERT_OK(ioctl(nic.dev.fd, VHOST_RESET_OWNER));
	ASSERT_OK(ioctl(nic.dev.fd, VHOST_SET_OWNER));
	kvt_nic_close(&nic);
	free(bits);
}

TEST_SECONDS("calls to a network device, every allocation and copy", 600)
{
	struct net_bed b;

	kvt_fault_set(true);
	kvt_netns();
	net_bed(&b, V1 | EV | IND | LOG);
	fail_each(net_life, &b);
}

static void iotlb_life(void *arg)
{
	struct net_bed *b = arg;
	struct kvt_nic nic;
	uint64_t far;

	kvt_nic_open(&nic, &b->o);
	far = nic.mem.gpa + 2 * nic.mem.size;
	ASSERT_OK(kvt_iotlb_update(nic.dev.fd, far, 8 * KVT_IOTLB_PAGE,
				   nic.mem.base, VHOST_ACCESS_RW));
	/* leaves two pieces */
	ASSERT_OK(kvt_iotlb_invalidate(nic.dev.fd, far + 2 * KVT_IOTLB_PAGE,
				       KVT_IOTLB_PAGE));
	ASSERT_OK(kvt_iotlb_update(nic.dev.fd, far, KVT_IOTLB_PAGE,
				   nic.mem.base, VHOST_ACCESS_RO));
	ASSERT_OK(kvt_iotlb_update(nic.dev.fd, nic.mem.gpa, nic.mem.size,
				   nic.mem.base, VHOST_ACCESS_RW));
	kvt_nic_works(&nic, b->wire, "after a failure");
	kvt_nic_close(&nic);
}

TEST_SECONDS("calls to a network device with an IOTLB", 600)
{
	struct net_bed b;

	kvt_fault_set(true);
	kvt_netns();
	net_bed(&b, V1 | EV | AP);
	fail_each(iotlb_life, &b);
}

/* A read of a miss: which one is told in the end, whatever failed before. */
static void miss_life(void *arg)
{
	struct net_bed *b = arg;
	struct kvt_nic nic;
	uint64_t iova;
	uint8_t perm;

	kvt_nic_open(&nic, &b->o);
	ASSERT(kvt_iotlb_read(nic.dev.fd, false, MS, &iova, &perm),
	       "the miss is lost");
	kvt_nic_close(&nic);
}

TEST_SECONDS("a miss that could not be read is not lost", 600)
{
	struct net_bed b;

	kvt_fault_set(true);
	kvt_netns();
	net_bed(&b, V1 | EV | AP);
	fail_each(miss_life, &b);
}

#define DISK_SIZE (1 << 20)

static void disk_works(struct kvt_disk *d)
{
	static uint8_t out[8192], in[8192];
	static uint8_t seed;

	memset(out, ++seed, sizeof(out));
	ASSERT_EQ(kvt_disk_io(d, 0, VIRTIO_BLK_T_OUT, 16, out, sizeof(out)),
		  VIRTIO_BLK_S_OK);
	ASSERT_EQ(kvt_disk_io(d, 1, VIRTIO_BLK_T_IN, 16, in, sizeof(in)),
		  VIRTIO_BLK_S_OK);
	ASSERT(!memcmp(in, out, sizeof(in)), "data changed");
}

static void disk_life(void *arg)
{
	struct kvt_disk d;

	kvt_disk_open(&d, 2, 16, V1 | EV | IND, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, *(int *)arg, 0, 0, "serial"), 0);
	own_worker(d.dev.fd);
	disk_works(&d);
	ASSERT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
	kvt_disk_close(&d);
}

TEST_SECONDS("calls to a disk on a file", 600)
{
	int file = kvt_file(DISK_SIZE);

	kvt_fault_set(true);
	fail_each(disk_life, &file);
}

TEST_SECONDS("calls to a disk on a block device", 600)
{
	int dev = kvt_blockdev(KVT_RAMDISK);

	kvt_fault_set(true);
	fail_each(disk_life, &dev);
}

/* ---- in the workers ---- */

static pid_t worker_of(uint32_t dev, unsigned int queue)
{
	struct kvt_queue_stat st;

	kvt_nl_queue(dev, queue, &st);
	return (pid_t)st.worker;
}

/* @work while the worker's first allocation fails, its second one, ... */
static unsigned int fail_each_in(pid_t worker, void (*work)(void *arg),
				 void (*proof)(void *arg), void *arg)
{
	int fault = kvt_fault_open(worker);
	unsigned int n;

	for (n = 1; ; n++) {
		ASSERT(n < MANY_PLACES, "there is no end");
		kvt_fault_arm(fault, n);
		work(arg);
		if (kvt_fault_disarm(fault))
			break;
		proof(arg);
		ASSERT(!kvt_failures(), "after number %u failed", n);
	}
	close(fault);
	return n - 1;
}

struct live_nic {
	struct kvt_nic nic;
	int wire;
};

#define BURST 8

static void send_burst(void *arg)
{
	struct live_nic *l = arg;
	uint8_t frame[1000];
	unsigned int i;

	for (i = 0; i < BURST; i++) {
		kvt_frame(frame, sizeof(frame), i);
		ASSERT(kvt_nic_queue(&l->nic, NULL, frame, sizeof(frame)),
		       "no buffer is free");
	}
	ASSERT(kvt_nic_drain(&l->nic, MS), "transmit stands still");
}

static void recv_burst(void *arg)
{
	struct live_nic *l = arg;
	uint8_t frame[1000], got[2048];
	unsigned int i;

	for (i = 0; i < BURST; i++) {
		kvt_frame(frame, sizeof(frame), i);
		ASSERT_OK(write(l->wire, frame, sizeof(frame)));
	}
	/* one of them may be lost, not the last one */
	for (i = 0; i < BURST - 1; i++)
		ASSERT(kvt_nic_recv(&l->nic, NULL, got, sizeof(got), MS) > 0,
		       "frame %u does not come", i);
}

/* What is still on its way out of a burst, then one frame each way. */
static void nic_proof(void *arg)
{
	struct live_nic *l = arg;

	kvt_nic_empty(&l->nic, l->wire);
	kvt_nic_works(&l->nic, l->wire, "after a failure");
}

static void nic_traffic(uint64_t features)
{
	struct kvt_nic_opts o = { .features = features };
	struct live_nic l;
	unsigned int tx, rx;

	kvt_fault_set(false);
	l.wire = kvt_nic_open_tap(&l.nic, &o, 0);
	tx = fail_each_in(worker_of(l.nic.id, 1), send_burst, nic_proof, &l);
	rx = fail_each_in(worker_of(l.nic.id, 0), recv_burst, nic_proof, &l);
	NOTE("%u places in transmit, %u in receive", tx, rx);
	EXPECT(tx, "nothing ever failed");
	kvt_nic_close(&l.nic);
}

TEST_SECONDS("frames while the worker's allocations fail", 600)
{
	nic_traffic(V1 | EV | IND);
}

TEST_SECONDS("... with mergeable buffers", 600)
{
	nic_traffic(V1 | EV | IND | KVT_F(VIRTIO_NET_F_MRG_RXBUF));
}

/* A request may fail, and says so. */
static void disk_request(void *arg)
{
	static uint8_t buf[65536];
	int status, i;

	for (i = 0; i < 2; i++) {
		status = kvt_disk_io(arg, 0, i ? VIRTIO_BLK_T_IN :
				     VIRTIO_BLK_T_OUT, 64, buf, sizeof(buf));
		EXPECT(status == VIRTIO_BLK_S_OK ||
		       status == VIRTIO_BLK_S_IOERR, "status %d", status);
	}
}

static void disk_proof(void *arg)
{
	disk_works(arg);
}

static void disk_traffic(int file)
{
	struct kvt_disk d;
	unsigned int n;

	kvt_fault_set(false);
	kvt_disk_open(&d, 2, 16, V1 | EV | IND, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, file, 0, 0, NULL), 0);
	n = fail_each_in(worker_of(d.id, 0), disk_request, disk_proof, &d);
	NOTE("%u places", n);
	EXPECT(n, "nothing ever failed");
	kvt_disk_close(&d);
}

TEST_SECONDS("requests while the worker's allocations fail, on a file", 600)
{
	disk_traffic(kvt_file(DISK_SIZE));
}

TEST_SECONDS("... on a block device", 600)
{
	disk_traffic(kvt_blockdev(KVT_RAMDISK));
}
