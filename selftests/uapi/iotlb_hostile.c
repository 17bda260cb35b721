// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOTLB messages that no VMM should send, from whom they are taken, and what
 * is left of misses nobody reads (U-01, U-02, U-07, U-08, L-01).
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "kvt_iotlb.h"
#include "kvt_module.h"
#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define AP	KVT_F(VIRTIO_F_ACCESS_PLATFORM)
#define LOG	KVT_F(VHOST_F_LOG_ALL)
#define PAGE	KVT_IOTLB_PAGE
#define SIZE	sizeof(struct vhost_msg_v2)
#define MS	10000
#define TOP	(~0ull)

/* An owned device with an IOTLB and no queue. */
static int owned(void)
{
	uint64_t f = V1 | AP;
	int fd = kvt_node_open(kvt_net_node());

	if (!kvt_ours(kvt_net_node()))
		SKIP("about errors of our own node");
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &f));
	return fd;
}

static void nonblock(int fd)
{
	ASSERT_OK(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK));
}

static ssize_t update(int fd, uint64_t iova, uint64_t size, uint64_t uaddr,
		      uint8_t perm)
{
	return kvt_iotlb_msg(fd, size & PAGE, VHOST_IOTLB_UPDATE, iova, size,
			     uaddr, perm);
}

TEST("U-01 messages without owner, without the feature, after reset")
{
	uint64_t f = V1, ap = V1 | AP;
	int fd = kvt_node_open(kvt_net_node());
	uint8_t page[PAGE], buf[SIZE];

	if (!kvt_ours(kvt_net_node()))
		SKIP("about errors of our own node");
	nonblock(fd);
	EXPECT_ERR(kvt_iotlb_update(fd, 0, PAGE, page, 3), EPERM);
	EXPECT_ERR(kvt_iotlb_invalidate(fd, 0, PAGE), EPERM);
	EXPECT_ERR(read(fd, buf, SIZE), EPERM);
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	EXPECT_ERR(kvt_iotlb_update(fd, 0, PAGE, page, 3), EFAULT);
	EXPECT_ERR(kvt_iotlb_invalidate(fd, 0, PAGE), EFAULT);
	EXPECT_ERR(read(fd, buf, SIZE), EAGAIN);
	ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &ap));
	EXPECT_OK(kvt_iotlb_update(fd, 0, PAGE, page, 3));
	EXPECT_OK(kvt_iotlb_invalidate(fd, 0, PAGE));
	ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &f));
	EXPECT_ERR(kvt_iotlb_update(fd, 0, PAGE, page, 3), EFAULT);
	ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &ap));
	EXPECT_OK(kvt_iotlb_update(fd, 0, PAGE, page, 3));
	ASSERT_OK(ioctl(fd, VHOST_RESET_OWNER));
	EXPECT_ERR(kvt_iotlb_update(fd, 0, PAGE, page, 3), EPERM);
	/* negotiated before there is an owner */
	ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &ap));
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	EXPECT_OK(kvt_iotlb_update(fd, 0, PAGE, page, 3));
}

static void not_heard(const void *arg)
{
	static uint8_t page[PAGE], buf[SIZE];
	const int *fd = arg;

	EXPECT_ERR(kvt_iotlb_update(*fd, 0, PAGE, page, 3), EPERM);
	EXPECT_ERR(kvt_iotlb_invalidate(*fd, 0, PAGE), EPERM);
	EXPECT_ERR(read(*fd, buf, SIZE), EPERM);
	EXPECT_ERR(write(*fd, buf, 3), EPERM);
}

TEST("U-01 only a thread of the owner is heard and told")
{
	int fd = owned();

	kvt_in_child(not_heard, &fd);
}

TEST("U-08 updates and invalidations that cannot be")
{
	int fd = owned();
	static uint8_t buf[PAGE];
	uint64_t u = (uintptr_t)buf;
	unsigned int t;

	EXPECT_ERR(update(fd, 0, 0, 0, 3), EINVAL);
	EXPECT_ERR(update(fd, PAGE, 0, u, 3), EINVAL);
	EXPECT_ERR(update(fd, TOP, 1, u, 3), EINVAL);
	EXPECT_ERR(update(fd, PAGE, TOP, u, 3), EINVAL);
	EXPECT_ERR(update(fd, TOP - PAGE + 1, PAGE, u, 3), EINVAL);
	EXPECT_ERR(update(fd, 0, PAGE, TOP, 3), EINVAL);
	EXPECT_ERR(update(fd, 0, PAGE, u, 0), EINVAL);
	EXPECT_ERR(update(fd, 0, PAGE, u, 4), EINVAL);
	EXPECT_ERR(update(fd, 0, PAGE, u, 0xff), EINVAL);
	EXPECT_ERR(update(fd, 0, TOP, 0, 3), EFAULT);
	EXPECT_ERR(update(fd, 0, 1ull << 63, 0, 3), EFAULT);
	EXPECT_ERR(update(fd, 1ull << 63, (1ull << 63) - 1, 0, 3), EFAULT);
	EXPECT_ERR(update(fd, 0, PAGE, 0xffffffff81000000, 3), EFAULT);
	EXPECT_ERR(update(fd, 0, PAGE, 1ull << 63, 3), EFAULT);
	EXPECT_ERR(kvt_iotlb_invalidate(fd, 0, 0), EINVAL);
	EXPECT_ERR(kvt_iotlb_invalidate(fd, PAGE, TOP), EINVAL);
	EXPECT_ERR(kvt_iotlb_invalidate(fd, TOP, 2), EINVAL);
	EXPECT_OK(kvt_iotlb_invalidate(fd, TOP, 1));
	EXPECT_OK(kvt_iotlb_invalidate(fd, 0, TOP));
	EXPECT_OK(kvt_iotlb_invalidate(fd, 1ull << 63, 1ull << 63));
	EXPECT_OK(kvt_iotlb_invalidate(fd, PAGE, PAGE));
	for (t = 0; t < 256; t++)
		if (t != VHOST_IOTLB_UPDATE && t != VHOST_IOTLB_INVALIDATE)
			EXPECT_ERR(kvt_iotlb_msg(fd, t & 1, (uint8_t)t, 0, PAGE,
						 u, 3), EINVAL);
	EXPECT_OK(update(fd, TOP - PAGE, PAGE, u, 3));
	EXPECT_OK(update(fd, 1, 1, u + 1, 1));
}

TEST("U-02 lengths and pointers of messages")
{
	struct vhost_msg_v2 m[2] = { { .type = VHOST_IOTLB_MSG_V2 } };
	static const uint32_t kinds[] = { 0, 3, 0xffffffff };
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = owned();
	size_t i;

	ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	ASSERT_OK(mprotect(p + PAGE, PAGE, PROT_NONE));
	nonblock(fd);
	m->iotlb.type = VHOST_IOTLB_UPDATE;
	m->iotlb.size = PAGE;
	m->iotlb.uaddr = (uintptr_t)p;
	m->iotlb.perm = VHOST_ACCESS_RW;
	for (i = 0; i < SIZE; i++)
		EXPECT_ERR(write(fd, m, i), EINVAL);
	EXPECT_EQ(write(fd, m, SIZE), SIZE);
	EXPECT_EQ(write(fd, m, sizeof(m)), SIZE);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		m->type = kinds[i];
		EXPECT_ERR(write(fd, m, SIZE), EINVAL);
	}
	EXPECT_ERR(write(fd, p + PAGE, SIZE), EFAULT);
	EXPECT_ERR(write(fd, p + PAGE - SIZE + 1, SIZE), EFAULT);
	EXPECT_ERR(read(fd, m, SIZE - 1), EINVAL);
	EXPECT_ERR(read(fd, m, 1), EINVAL);
	EXPECT_ERR(read(fd, m, SIZE), EAGAIN);
}

/* ---- with queues that wait ---- */

struct bed {
	struct kvt_nic nic;
	int wire;
};

static void bed_open(struct bed *b)
{
	struct kvt_nic_opts o = { .features = V1 | EV | AP };

	if (!kvt_ours(kvt_net_node()))
		SKIP("about errors of our own node");
	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
}

static int know(struct bed *b, const void *p, size_t len)
{
	return kvt_iotlb_update(b->nic.dev.fd, kvt_gpa(&b->nic.mem, p), len, p,
				VHOST_ACCESS_RW);
}

static void know_all(struct bed *b)
{
	ASSERT_OK(know(b, b->nic.mem.base, b->nic.mem.size));
}

static bool readable(int fd, unsigned int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, (int)ms) == 1;
}

TEST("U-07 a miss that cannot be handed over is kept for the next reader")
{
	uint8_t *gone = mmap(NULL, PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t iova;
	struct bed b;
	uint8_t perm;
	int fd;

	bed_open(&b);
	fd = b.nic.dev.fd;
	ASSERT(readable(fd, MS), "nothing is missing");
	EXPECT_ERR(read(fd, gone, SIZE), EFAULT);
	EXPECT_ERR(read(fd, &perm, 1), EINVAL);
	ASSERT(kvt_iotlb_read(fd, false, MS, &iova, &perm), "the miss is lost");
	EXPECT(iova == kvt_gpa(&b.nic.mem, b.nic.rx.desc) ||
	       iova == kvt_gpa(&b.nic.mem, b.nic.tx.desc), "0x%llx",
	       (unsigned long long)iova);
	kvt_nic_close(&b.nic);
}

struct reader {
	int fd;
	ssize_t ret;
	int err;
	bool done;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	uint8_t buf[SIZE];

	r->ret = read(r->fd, buf, SIZE);
	r->err = errno;
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void no_op(int sig)
{
	(void)sig;
}

TEST("a read that waits ends by a signal, and by the owner's end")
{
	struct sigaction sa = { .sa_handler = no_op };
	struct reader r = { .fd = owned() };
	pthread_t thread;

	ASSERT_OK(sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(pthread_create(&thread, NULL, reader_thread, &r), 0);
	kvt_sleep(200);
	EXPECT(!r.done, "returned %zd", r.ret);
	/* one that comes before the thread reads ends nothing */
	while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE)) {
		ASSERT_EQ(pthread_kill(thread, SIGUSR1), 0);
		kvt_sleep(10);
	}
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(r.ret, -1);
	EXPECT_EQ(r.err, EINTR);

	r.done = false;
	ASSERT_EQ(pthread_create(&thread, NULL, reader_thread, &r), 0);
	kvt_sleep(200);
	EXPECT(!r.done, "returned %zd", r.ret);
	ASSERT_OK(ioctl(r.fd, VHOST_RESET_OWNER));
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(r.ret, -1);
	EXPECT_EQ(r.err, EPERM);
}

TEST("U-08 misses nobody reads: one for each queue, however many kicks")
{
	uint64_t iova;
	struct bed b;
	unsigned int i, n = 0;
	uint8_t perm;

	bed_open(&b);
	for (i = 0; i < 1000; i++) {
		kvt_ring_force_kick(&b.nic.rx);
		kvt_ring_force_kick(&b.nic.tx);
	}
	kvt_nl_asleep(b.nic.id, 0);
	while (kvt_iotlb_read(b.nic.dev.fd, false, 0, &iova, &perm))
		n++;
	EXPECT_EQ(n, 2);
	know_all(&b);
	kvt_nic_exchange(&b.nic, b.wire, 900, 1);
	kvt_nic_close(&b.nic);
}

static unsigned int limit(void)
{
	unsigned int n = kvt_param("max_iotlb_entries");

	return n < 64 ? 64 : n > 65536 ? 65536 : n;
}

TEST("U-08 a flood of updates pushes out the oldest, and is bounded so")
{
	static uint8_t page[2 * PAGE];
	unsigned int i, max = limit();
	uint64_t iova;
	struct bed b;
	uint8_t perm;
	int fd;

	bed_open(&b);
	fd = b.nic.dev.fd;
	know_all(&b);
	kvt_nic_exchange(&b.nic, b.wire, 900, 1);
	while (kvt_iotlb_read(fd, false, 0, &iova, &perm))
		;	/* from before anything was known */
	/* one short of pushing it out */
	for (i = 0; i < max - 1; i++)
		ASSERT_OK(kvt_iotlb_update(fd, (1ull << 40) + i * 2ull * PAGE,
					   PAGE, page, 3));
	kvt_nic_exchange(&b.nic, b.wire, 900, 2);
	kvt_nl_asleep(b.nic.id, 0);
	EXPECT(!readable(fd, 0), "pushed out early");
	for (; i < 2 * max; i++)
		ASSERT_OK(kvt_iotlb_update(fd, (1ull << 40) + i * 2ull * PAGE,
					   PAGE, page, 3));
	kvt_ring_force_kick(&b.nic.tx);
	ASSERT(kvt_iotlb_read(fd, false, MS, &iova, &perm), "not pushed out");
	EXPECT_EQ(iova, kvt_gpa(&b.nic.mem, b.nic.tx.desc));
	know_all(&b);
	kvt_nic_exchange(&b.nic, b.wire, 900, 3);
	kvt_nic_close(&b.nic);
}

TEST("R-13 on and off only while the device stands; the log at any time")
{
	uint64_t with = V1 | EV | AP, without = V1 | EV, log = with | LOG, v2;
	uint8_t perm;
	uint64_t iova;
	struct bed b;
	int fd;

	bed_open(&b);
	fd = b.nic.dev.fd;
	know_all(&b);
	EXPECT_ERR(ioctl(fd, VHOST_SET_FEATURES, &without), EBUSY);
	EXPECT_OK(ioctl(fd, VHOST_SET_FEATURES, &log));
	EXPECT_OK(ioctl(fd, VHOST_SET_FEATURES, &with));
	v2 = 1ull << VHOST_BACKEND_F_IOTLB_MSG_V2;
	EXPECT_ERR(ioctl(fd, VHOST_SET_BACKEND_FEATURES, &v2), EBUSY);
	kvt_nic_exchange(&b.nic, b.wire, 900, 1);
	while (kvt_iotlb_read(fd, false, 0, &iova, &perm))
		;
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 1, -1));
	/* what was known is forgotten when features are set anew */
	EXPECT_OK(ioctl(fd, VHOST_SET_FEATURES, &with));
	kvt_nic_restart(&b.nic);
	EXPECT(readable(fd, MS), "still known");
	/* and without it addresses are the owner's and the guest's again */
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 1, -1));
	EXPECT_OK(ioctl(fd, VHOST_SET_FEATURES, &without));
	EXPECT_ERR(kvt_net_backend(&b.nic.dev, 0, b.nic.o.sock), EFAULT);
	ASSERT_OK(kvt_set_mem(fd, b.nic.mem.gpa, b.nic.mem.size,
			      (uintptr_t)b.nic.mem.base));
	b.nic.dev.features = without;
	kvt_nic_restart(&b.nic);
	kvt_nic_exchange(&b.nic, b.wire, 900, 2);
	kvt_nic_close(&b.nic);
}

/* @how: 1: the miss is read; 2: another one is answered */
static void victim(int how, int ready)
{
	uint64_t iova;
	struct bed b;
	uint8_t perm;

	bed_open(&b);
	ASSERT(readable(b.nic.dev.fd, MS), "nothing missing");
	if (how & 1)
		kvt_iotlb_read(b.nic.dev.fd, false, 0, &iova, &perm);
	if (how & 2)
		ASSERT_OK(know(&b, b.nic.rx.desc, PAGE));
	kvt_ready_forever(ready);
}

TEST("L-01 killed with misses unread and unanswered: nothing is left")
{
	int how;

	for (how = 0; how < 4; how++)
		kvt_kill_when_ready(victim, how, 0);
}

/* ---- everything at once ---- */

struct storm {
	struct bed *b;
	uint64_t seed;
	bool stop;
};

static bool stopped(struct storm *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

/* Right, wrong and meaningless messages; also a reader. */
static void *storm_messages(void *arg)
{
	struct storm *s = arg;
	const struct kvt_mem *mem = &s->b->nic.mem;
	int fd = s->b->nic.dev.fd;
	uint64_t state = s->seed, iova, at;
	uint8_t perm;

	while (!stopped(s)) {
		at = kvt_rand(&state) % mem->size;
		iova = mem->gpa + at;
		switch (kvt_rand(&state) % 8) {
		case 0:
			kvt_iotlb_invalidate(fd, iova, kvt_rand(&state));
			break;
		case 1:
			kvt_iotlb_invalidate(fd, iova, 1 + at % (8 * PAGE));
			break;
		case 2:	/* memory that is not there */
			update(fd, iova, 1 + at % PAGE, PAGE, 3);
			break;
		case 3:
			update(fd, iova, 1 + at % PAGE,
			       (uintptr_t)mem->base + at, (uint8_t)(at % 4));
			break;
		case 4:
			update(fd, kvt_rand(&state), kvt_rand(&state),
			       kvt_rand(&state), 3);
			break;
		default:
			if (kvt_iotlb_read(fd, false, 0, &iova, &perm))
				update(fd, iova & ~(PAGE - 1ull), PAGE,
				       (uintptr_t)mem->base +
				       ((iova - mem->gpa) & ~(PAGE - 1ull)), 3);
		}
	}
	return NULL;
}

static void *storm_backends(void *arg)
{
	struct storm *s = arg;
	struct kvt_nic *nic = &s->b->nic;
	uint64_t state = s->seed, log;

	while (!stopped(s)) {
		unsigned int q = kvt_rand(&state) % 2;

		kvt_net_backend(&nic->dev, q, kvt_rand(&state) % 2 ?
				nic->o.sock : -1);
		log = nic->dev.features | (kvt_rand(&state) % 2 ? LOG : 0);
		ioctl(nic->dev.fd, VHOST_SET_FEATURES, &log);
		kvt_sleep(kvt_rand(&state) % 4);
	}
	return NULL;
}

TEST("U-08 messages, misses, stop and start, and traffic at the same time")
{
	struct storm s[3] = { 0 };
	pthread_t thread[3];
	uint64_t deadline;
	uint8_t frame[600];
	struct bed b;
	int i;

	bed_open(&b);
	for (i = 0; i < 3; i++) {
		s[i].b = &b;
		s[i].seed = kvt_seed() + (uint64_t)i;
		ASSERT_EQ(pthread_create(&thread[i], NULL, i == 2 ?
					 storm_backends : storm_messages,
					 &s[i]), 0);
	}
	kvt_frame(frame, 600, 1);
	for (deadline = kvt_deadline(6000); kvt_left(deadline);) {
		EXPECT_EQ(write(b.wire, frame, 600), 600);
		kvt_ring_force_kick(&b.nic.tx);
		kvt_ring_force_kick(&b.nic.rx);
	}
	for (i = 0; i < 3; i++) {
		__atomic_store_n(&s[i].stop, true, __ATOMIC_RELAXED);
		ASSERT_EQ(pthread_join(thread[i], NULL), 0);
	}
	while (kvt_wire_recv(b.wire, frame, sizeof(frame), 0) > 0)
		;
	kvt_net_backend(&b.nic.dev, 0, -1);
	kvt_net_backend(&b.nic.dev, 1, -1);
	/* the tap is full of what was sent to nobody */
	close(b.nic.o.sock);
	close(b.wire);
	b.nic.o.sock = kvt_tap("tap1", 0, 12, 0);
	b.wire = kvt_packet("tap1", KVT_ETHERTYPE, false);
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_SET_FEATURES,
			&b.nic.dev.features));
	know_all(&b);
	kvt_nic_restart(&b.nic);
	kvt_nic_exchange(&b.nic, b.wire, 900, 2);
	kvt_nic_close(&b.nic);
}
