// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's IOTLB: a driver that uses I/O virtual addresses, a VMM thread
 * that answers misses, invalidation under load, rings that wait, move or are
 * mapped wrong, the dirty log. Messages no VMM would send: iotlb_hostile.c.
 *
 *	this process' rings <-> kvasir-net <-> tap0 <-> packet socket
 *	        VMM thread  <-> messages
 */
#include <poll.h>

#include "kvt_iotlb.h"
#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define AP	KVT_F(VIRTIO_F_ACCESS_PLATFORM)
#define V2	(1ull << VHOST_BACKEND_F_IOTLB_MSG_V2)
#define PAGE	KVT_IOTLB_PAGE
#define MS	10000

/* ---- a network card behind an IOMMU ---- */

struct bed {
	struct kvt_nic nic;
	struct kvt_vmm vmm;
	int wire;
};

/* Both rings lie before the first buffer. */
static uint8_t *rings_end(const struct bed *b)
{
	return (uint8_t *)b->nic.tx.used + 6 + 8 * 256;
}

/* Everything but the thread: no page is known to the device. */
static void bed_open(struct bed *b, uint64_t features, unsigned int pieces,
		     bool v2)
{
	struct kvt_nic_opts o = {
		.features = features | AP, .pieces = pieces,
		.rx_buf = 1536, .tx_buf = 10000,
	};
	uint64_t acked = v2 ? V2 : 0;
	size_t rings;

	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
	kvt_link_up("tap0", 9000);
	ASSERT_OK(kvt_net_backend(&b->nic.dev, 0, -1));
	ASSERT_OK(kvt_net_backend(&b->nic.dev, 1, -1));
	ASSERT_OK(ioctl(b->nic.dev.fd, VHOST_SET_BACKEND_FEATURES, &acked));
	ASSERT_OK(kvt_net_backend(&b->nic.dev, 0, b->nic.o.sock));
	ASSERT_OK(kvt_net_backend(&b->nic.dev, 1, b->nic.o.sock));
	kvt_nl_asleep(b->nic.id, 0);	/* both queues miss their rings */
	rings = (size_t)(rings_end(b) - b->nic.mem.base);
	kvt_vmm_init(&b->vmm, b->nic.dev.fd, v2, &b->nic.mem, rings);
}

static void bed_close(struct bed *b)
{
	kvt_nic_close(&b->nic);
	kvt_vmm_free(&b->vmm);
}

static uint64_t count(const struct bed *b, unsigned int queue, int counter)
{
	return kvt_nl_counter(b->nic.id, queue, counter);
}

/* No queue has broken, no frame was refused or lost. */
static void unharmed(const struct bed *b)
{
	unsigned int q;

	for (q = 0; q < 2; q++) {
		EXPECT_EQ(count(b, q, KVASIR_C_BROKEN), 0);
		EXPECT_EQ(count(b, q, KVASIR_C_BAD_CHAIN), 0);
		EXPECT_EQ(count(b, q, KVASIR_C_DROP_HEADER), 0);
		EXPECT_EQ(count(b, q, KVASIR_C_DROP_LOWER), 0);
		EXPECT_EQ(count(b, q, KVASIR_C_DROP_NOBUF), 0);
	}
}

static void both_ways(uint64_t features, unsigned int pieces, bool v2)
{
	static const uint32_t lens[] = { 60, 1514, 64, 1000, 9014, 5000 };
	struct bed b;
	uint32_t i;

	bed_open(&b, features, pieces, v2);
	kvt_vmm_start(&b.vmm);
	for (i = 0; i < 300; i++) {
		uint32_t n = features & MRG ? 6 : 2;
		uint32_t len = features & MRG ? lens[i % n] :
						lens[i % n] - i % 3;

		kvt_nic_exchange(&b.nic, b.wire, len, i);
	}
	kvt_vmm_stop(&b.vmm);
	/* rings, receive and transmit buffers: each page was asked for */
	EXPECT(b.vmm.misses > 20, "%lu misses", b.vmm.misses);
	unharmed(&b);
	bed_close(&b);
}

TEST("frames both ways by I/O virtual addresses, first kind of message")
{
	both_ways(V1, 1, false);
}

TEST("... second kind of message, event index")
{
	both_ways(V1 | EV, 3, true);
}

TEST("... indirect tables, frames over many mergeable buffers")
{
	both_ways(V1 | EV | IND | MRG, 5, true);
}

struct flipper {
	struct kvt_vmm *vmm;
	bool stop;
	unsigned int flips;
	unsigned int frames;	/* that arrived */
};

static unsigned int get(const unsigned int *n)
{
	return __atomic_load_n(n, __ATOMIC_RELAXED);
}

/*
 * After some time, but not before a frame has arrived: that takes several
 * answers, which on a slow machine would be void again before the last one.
 */
static void *flipper_thread(void *arg)
{
	struct flipper *f = arg;
	unsigned int seen;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		seen = get(&f->frames);
		kvt_vmm_flip(f->vmm);
		__atomic_add_fetch(&f->flips, 1, __ATOMIC_RELAXED);
		do {
			kvt_sleep(1 + f->flips % 7);
		} while (get(&f->frames) == seen &&
			 !__atomic_load_n(&f->stop, __ATOMIC_RELAXED));
	}
	return NULL;
}

static void arrived(struct flipper *f)
{
	__atomic_add_fetch(&f->frames, 1, __ATOMIC_RELAXED);
}

/* A burst out, a burst in, every byte compared. */
static void burst(struct kvt_nic *nic, int wire, uint32_t seq, uint32_t n,
		  struct flipper *f)
{
	uint8_t frame[2048];
	uint32_t i, len;

	for (i = seq; i < seq + n; i++) {
		len = 60 + i * 37 % 1400;
		kvt_frame(frame, len, i);
		ASSERT(kvt_nic_send(nic, NULL, frame, len), "frame %u", i);
		ASSERT_EQ(write(wire, frame, len), len);
	}
	for (i = seq; i < seq + n; i++) {
		len = 60 + i * 37 % 1400;
		ASSERT_EQ(kvt_wire_recv(wire, frame, sizeof(frame), MS), len);
		ASSERT(kvt_frame_ok(frame, len, i), "sent frame %u changed", i);
		arrived(f);
		ASSERT_EQ(kvt_nic_recv(nic, NULL, frame, sizeof(frame), MS),
			  len);
		ASSERT(kvt_frame_ok(frame, len, i),
		       "received frame %u changed", i);
		arrived(f);
	}
	ASSERT(kvt_nic_drain(nic, MS), "transmit stuck");
}

#define FLIPS 50	/* at least, however slow it goes */

TEST("under load: after an invalidation nobody goes to the old pages")
{
	struct flipper f = { 0 };
	pthread_t thread;
	uint64_t deadline;
	uint32_t seq = 0;
	struct bed b;

	bed_open(&b, V1 | EV | IND, 4, true);
	kvt_vmm_start(&b.vmm);
	f.vmm = &b.vmm;
	ASSERT_EQ(pthread_create(&thread, NULL, flipper_thread, &f), 0);
	for (deadline = kvt_deadline(8000); kvt_left(deadline) ||
	     get(&f.flips) < FLIPS; seq += 32)
		burst(&b.nic, b.wire, seq, 32, &f);
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	kvt_vmm_stop(&b.vmm);
	NOTE("%u frames each way, %u invalidations, %lu misses", seq, f.flips,
	     b.vmm.misses);
	unharmed(&b);
	bed_close(&b);
}

/* ---- the driver's memory as it lies, no thread ---- */

/* The device knows @len bytes of the driver's memory. */
static void know(struct bed *b, const void *p, size_t len, uint8_t perm)
{
	ASSERT_OK(kvt_iotlb_update(b->nic.dev.fd, kvt_gpa(&b->nic.mem, p), len,
				   p, perm));
}

static void know_rings(struct bed *b)
{
	know(b, b->nic.mem.base, (size_t)(rings_end(b) - b->nic.mem.base),
	     VHOST_ACCESS_RW);
}

/* Transmit buffers: the lowest is on top of the stack's other end. */
static void know_tx(struct bed *b, uint8_t perm)
{
	uint8_t *first = b->nic.tx_free[0];
	uint8_t *last = b->nic.tx_free[b->nic.nr_tx - 1];

	know(b, first, (size_t)(last - first) + b->nic.o.tx_buf, perm);
}

static void know_all(struct bed *b)
{
	know(b, b->nic.mem.base, b->nic.mem.size, VHOST_ACCESS_RW);
}

static void send_one(struct bed *b, uint32_t seq)
{
	uint8_t frame[512];

	kvt_frame(frame, 500, seq);
	ASSERT(kvt_nic_send(&b->nic, NULL, frame, 500), "cannot send");
}

/* A miss of this address and use is told, and no other. */
static void told(struct bed *b, const void *p, uint8_t perm)
{
	uint64_t iova;
	uint8_t got;

	ASSERT(kvt_iotlb_read(b->nic.dev.fd, b->vmm.v2, MS, &iova, &got),
	       "no miss");
	EXPECT_EQ(iova, kvt_gpa(&b->nic.mem, p));
	EXPECT_EQ(got, perm);
}

static bool silent(struct bed *b, unsigned int ms)
{
	struct pollfd p = { .fd = b->nic.dev.fd, .events = POLLIN };

	return poll(&p, 1, (int)ms) == 0;
}

TEST("a queue waits for its ring, area by area, and keeps its base")
{
	struct vhost_vring_state s = { .index = 1 };
	struct bed b;
	struct kvt_ring *tx = &b.nic.tx, *rx = &b.nic.rx;

	bed_open(&b, V1, 1, true);
	told(&b, rx->desc, VHOST_ACCESS_RO);
	told(&b, tx->desc, VHOST_ACCESS_RO);
	know(&b, rx->desc, 4096, VHOST_ACCESS_RO);
	told(&b, rx->avail, VHOST_ACCESS_RO);
	know(&b, rx->avail, 6 + 2 * 256, VHOST_ACCESS_RO);
	/* the event index of a ring without it is not needed */
	told(&b, rx->used, VHOST_ACCESS_WO);
	know(&b, rx->used, 4 + 8 * 256, VHOST_ACCESS_WO);
	EXPECT(silent(&b, 100), "something else is missing");
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_GET_VRING_BASE, &s));
	EXPECT_EQ(s.num, 0);
	send_one(&b, 1);
	EXPECT_EQ(kvt_ring_used(tx), 0);
	know(&b, tx->desc, 4096, VHOST_ACCESS_RO);
	know(&b, tx->avail, 6 + 2 * 256, VHOST_ACCESS_RO);
	know(&b, tx->used, 6 + 8 * 256, VHOST_ACCESS_WO);
	know_all(&b);
	ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_GET_VRING_BASE, &s));
	EXPECT_EQ(s.num, 1);
	unharmed(&b);
	bed_close(&b);
}

TEST("one queue waits, the other goes on, nobody spins")
{
	uint8_t frame[512], *first;
	uint64_t wakeups;
	struct bed b;
	uint32_t i;

	bed_open(&b, V1 | EV, 1, true);
	know_rings(&b);
	know_tx(&b, VHOST_ACCESS_RO);
	kvt_nl_asleep(b.nic.id, 0);
	EXPECT(silent(&b, 0), "a ring that is known is asked for");
	kvt_frame(frame, 321, 7);
	ASSERT_EQ(write(b.wire, frame, 321), 321);
	first = b.nic.rx.buf[le16toh(b.nic.rx.avail->ring[0])].token;
	told(&b, first, VHOST_ACCESS_WO);
	EXPECT(silent(&b, 300), "told again without a reason");
	wakeups = count(&b, 0, KVASIR_C_WAKEUPS);
	for (i = 0; i < 100; i++) {
		kvt_frame(frame, 500, i);
		ASSERT(kvt_nic_send(&b.nic, NULL, frame, 500), "frame %u", i);
		ASSERT_EQ(kvt_wire_recv(b.wire, frame, 512, MS), 500);
		EXPECT(kvt_frame_ok(frame, 500, i), "frame %u changed", i);
	}
	kvt_sleep(500);
	EXPECT(count(&b, 0, KVASIR_C_WAKEUPS) - wakeups < 5,
	       "the waiting queue was served %llu times",
	       (unsigned long long)(count(&b, 0, KVASIR_C_WAKEUPS) - wakeups));
	/* not answered, and there is reason to ask again */
	kvt_ring_force_kick(&b.nic.rx);
	told(&b, first, VHOST_ACCESS_WO);
	know_all(&b);
	ASSERT_EQ(kvt_nic_recv(&b.nic, NULL, frame, sizeof(frame), MS), 321);
	EXPECT(kvt_frame_ok(frame, 321, 7), "frame changed");
	unharmed(&b);
	bed_close(&b);
}

TEST("stopped while it waits: at once, and nobody asks any more")
{
	struct bed b;

	bed_open(&b, V1, 1, true);
	EXPECT(!silent(&b, MS), "nothing is missing");
	/* an answer to wait for never comes */
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 1, -1));
	EXPECT(silent(&b, 100), "a stopped queue asks");
	kvt_nic_restart(&b.nic);
	know_all(&b);
	kvt_nic_exchange(&b.nic, b.wire, 700, 1);
	unharmed(&b);
	bed_close(&b);
}

TEST("transmit buffers need RO: write-only ones are refused and counted")
{
	uint8_t frame[512];
	struct bed b;

	bed_open(&b, V1 | EV, 1, true);
	know_rings(&b);
	know_tx(&b, VHOST_ACCESS_WO);
	send_one(&b, 1);
	ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
	EXPECT_EQ(count(&b, 1, KVASIR_C_BAD_CHAIN), 1);
	EXPECT_EQ(kvt_wire_recv(b.wire, frame, sizeof(frame), 100), -ETIMEDOUT);
	know_tx(&b, VHOST_ACCESS_RO);
	send_one(&b, 2);
	ASSERT_EQ(kvt_wire_recv(b.wire, frame, sizeof(frame), MS), 500);
	EXPECT_EQ(count(&b, 1, KVASIR_C_BAD_CHAIN), 1);
	EXPECT_EQ(count(&b, 1, KVASIR_C_BROKEN), 0);
	bed_close(&b);
}

TEST("receive buffers need WO: read-only ones stay as they are")
{
	uint8_t frame[512], *buf;
	uint32_t len, i, n;
	struct bed b;

	bed_open(&b, V1 | EV, 1, true);
	know_rings(&b);
	buf = rings_end(&b);
	know(&b, buf, b.nic.mem.size - (size_t)(buf - b.nic.mem.base),
	     VHOST_ACCESS_RO);
	kvt_frame(frame, 500, 3);
	ASSERT_EQ(write(b.wire, frame, 500), 500);
	ASSERT_EQ(kvt_ring_wait(&b.nic.rx, 1, MS), 0);
	/* until it has tried all of them */
	ASSERT_EQ(kvt_nl_wait(b.nic.id, 0, KVASIR_C_NO_BUFFERS, 1, MS), 1);
	n = kvt_ring_used(&b.nic.rx);
	EXPECT_EQ(n, b.nic.nr_rx);
	EXPECT_EQ(count(&b, 0, KVASIR_C_BAD_CHAIN), n);
	for (i = 0; i < n; i++) {
		buf = kvt_ring_get(&b.nic.rx, NULL, &len);
		EXPECT_EQ(len, 0);
		EXPECT(!memcmp(buf, (uint8_t[512]){ 0 }, 512),
		       "a read-only buffer was written");
	}
	EXPECT_EQ(count(&b, 0, KVASIR_C_BROKEN), 0);
	bed_close(&b);
}

/* Ring @q is mapped wrong: it breaks, says so once, and can be revived. */
static void breaks(struct bed *b, unsigned int q, struct kvt_ring *ring)
{
	uint64_t n = 0;

	ASSERT(kvt_eventfd_wait(ring->err, MS, &n), "not broken");
	EXPECT_EQ(n, 1);
	EXPECT_EQ(count(b, q, KVASIR_C_BROKEN), 1);
	kvt_ring_force_kick(ring);
	kvt_sleep(100);
	EXPECT_EQ(count(b, q, KVASIR_C_BROKEN), 1);
	know_all(b);
	kvt_nic_restart(&b->nic);
	kvt_nic_exchange(&b->nic, b->wire, 700, 1);
}

TEST("R-06 a used ring that may not be written breaks the queue")
{
	struct bed b;

	bed_open(&b, V1 | EV, 1, true);
	know(&b, b.nic.rx.desc, 4096, VHOST_ACCESS_RO);
	know(&b, b.nic.rx.avail, 6 + 2 * 256, VHOST_ACCESS_RO);
	know(&b, b.nic.rx.used, 6 + 8 * 256, VHOST_ACCESS_RO);
	breaks(&b, 0, &b.nic.rx);
	bed_close(&b);
}

TEST("R-06 a ring that lies in pieces breaks the queue")
{
	struct bed b;
	uint8_t *p, *cut;

	bed_open(&b, V1 | EV, 1, true);
	p = (uint8_t *)b.nic.tx.desc;
	cut = p + 1024;
	know(&b, p, 1024, VHOST_ACCESS_RW);
	ASSERT_OK(kvt_iotlb_update(b.nic.dev.fd, kvt_gpa(&b.nic.mem, cut),
				   3072, cut + PAGE, VHOST_ACCESS_RW));
	know(&b, b.nic.tx.avail, 6 + 2 * 256, VHOST_ACCESS_RW);
	know(&b, b.nic.tx.used, 6 + 8 * 256, VHOST_ACCESS_RW);
	breaks(&b, 1, &b.nic.tx);
	bed_close(&b);
}

TEST("R-07 a ring that moves is followed, its indices kept")
{
	struct bed b;
	uint32_t i;

	bed_open(&b, V1 | EV | IND, 2, true);
	kvt_vmm_start(&b.vmm);
	for (i = 0; i < 600; i++) {	/* beyond the ring's end, twice */
		if (i % 100 == 50)
			kvt_vmm_flip(&b.vmm);
		kvt_nic_exchange(&b.nic, b.wire, 60 + i, i);
	}
	kvt_vmm_stop(&b.vmm);
	unharmed(&b);
	bed_close(&b);
}

/* Log the used ring of queue 0, too. */
static void log_ring(const struct kvt_dev *dev, const struct kvt_ring *ring)
{
	struct vhost_vring_addr a = {
		.flags = 1 << VHOST_VRING_F_LOG,
		.desc_user_addr = kvt_gpa(ring->mem, ring->desc),
		.avail_user_addr = kvt_gpa(ring->mem, ring->avail),
		.used_user_addr = kvt_gpa(ring->mem, ring->used),
		.log_guest_addr = 0,	/* not looked at */
	};

	ASSERT_OK(ioctl(dev->fd, VHOST_SET_VRING_ADDR, &a));
}

TEST("U-06 the dirty log is by guest physical page, each that is mapped")
{
	const uint64_t log = KVT_F(VHOST_F_LOG_ALL), second = 1ull << 26;
	struct {
		struct vhost_memory head;
		struct vhost_memory_region r[2];
	} t = { .head.nregions = 2 };
	uint64_t base, f, page, used, data;
	unsigned int i, extra = 0;
	uint8_t frame[512], *bits, *p;
	struct bed b;

	bed_open(&b, V1 | EV, 1, true);
	know_all(&b);
	kvt_nic_exchange(&b.nic, b.wire, 500, 1);
	t.r[0].memory_size = b.nic.mem.size;
	t.r[0].userspace_addr = (uintptr_t)b.nic.mem.base;
	t.r[1] = t.r[0];
	t.r[1].guest_phys_addr = second;
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_SET_MEM_TABLE, &t));
	bits = calloc(1, second * 2 / PAGE / 8);
	ASSERT(bits, "out of memory");
	base = (uintptr_t)bits;
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_SET_LOG_BASE, &base));
	f = b.nic.dev.features | log;
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_SET_FEATURES, &f));
	log_ring(&b.nic.dev, &b.nic.rx);

	kvt_frame(frame, 500, 2);
	ASSERT_EQ(write(b.wire, frame, 500), 500);
	ASSERT_EQ(kvt_nic_recv(&b.nic, NULL, frame, sizeof(frame), MS), 500);
	p = memmem(b.nic.mem.base, b.nic.mem.size, frame, 500);
	ASSERT(p, "the frame is not in guest memory");
	data = (uint64_t)(p - b.nic.mem.base) / PAGE;
	used = (uint64_t)((uint8_t *)b.nic.rx.used - b.nic.mem.base) / PAGE;
	/* the ring is logged after it was written, which may be just now */
	kvt_nl_asleep(b.nic.id, 0);
	for (i = 0; i < second * 2 / PAGE; i++) {
		page = i % (second / PAGE);
		if (!(bits[i / 8] >> (i % 8) & 1)) {
			EXPECT(page != data && page != used,
			       "page %u is not logged", i);
			continue;
		}
		/* header and frame may touch two pages, the ring is in one */
		extra += page + 1 < data || page > data + 1;
		extra -= page == used;
	}
	EXPECT_EQ(extra, 0);
	unharmed(&b);
	/* switching the log did not empty the IOTLB */
	EXPECT(silent(&b, 0), "a miss");
	bed_close(&b);
}
