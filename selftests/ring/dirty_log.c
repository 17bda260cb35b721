// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log, switched on and off while queues run (U-06). It names every
 * page the device wrote (data, status byte, used ring) and no other, checked
 * against where the data is found in guest memory; and every byte that a
 * shadow copy of guest memory shows to be changed lies in a logged page, in
 * split and packed rings.
 */
#include <fcntl.h>

#include "kvt_blk.h"
#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define LOG	KVT_F(VHOST_F_LOG_ALL)
#define PAGE	4096u
#define MS	20000

struct log {
	const struct kvt_mem *mem;
	int fd;
	uint64_t features;
	size_t bytes;
	uint8_t *bits;		/* the device's */
	uint8_t *want;		/* ours */
};

static void mark(uint8_t *bits, uint64_t gpa, uint64_t len)
{
	uint64_t page;

	for (page = gpa / PAGE; page <= (gpa + len - 1) / PAGE; page++)
		bits[page / 8] |= 1u << (page % 8);
}

static void want(struct log *log, const void *p, uint64_t len)
{
	mark(log->want, kvt_gpa(log->mem, p), len);
}

/* Flags and index at its start, the event index at its end. */
static void want_used(struct log *log, const struct kvt_ring *ring)
{
	want(log, ring->used, sizeof(struct vring_used) + sizeof(__u16) +
	     ring->num * sizeof(struct vring_used_elem));
}

/* Log the ring itself, too; the addresses stay, so a running queue agrees. */
static void log_ring(int fd, unsigned int index, const struct kvt_ring *ring)
{
	struct vhost_vring_addr a = {
		.index = index,
		.flags = 1 << VHOST_VRING_F_LOG,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
		.log_guest_addr = kvt_gpa(ring->mem, ring->used),
	};

	ASSERT_OK(ioctl(fd, VHOST_SET_VRING_ADDR, &a));
}

static void log_on(struct log *log, const struct kvt_mem *mem, int fd,
		   uint64_t features)
{
	uint64_t base, with = features | LOG;

	log->mem = mem;
	log->fd = fd;
	log->features = features;
	log->bytes = (mem->gpa + mem->size) / PAGE / 8 + 1;
	log->bits = calloc(1, log->bytes);
	log->want = calloc(1, log->bytes);
	ASSERT(log->bits && log->want, "out of memory");
	base = (uintptr_t)log->bits;
	ASSERT_OK(ioctl(fd, VHOST_SET_LOG_BASE, &base));
	ASSERT_OK(ioctl(fd, VHOST_SET_FEATURES, &with));
}

static void log_off(struct log *log)
{
	ASSERT_OK(ioctl(log->fd, VHOST_SET_FEATURES, &log->features));
	memset(log->bits, 0, log->bytes);
	memset(log->want, 0, log->bytes);
}

/* How many pages of @a are not in @b? */
static unsigned int not_in(const struct log *log, const uint8_t *a,
			   const uint8_t *b)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < log->bytes; i++)
		n += (unsigned int)__builtin_popcount(a[i] & ~b[i]);
	return n;
}

/*
 * Every page wanted is logged, and no other. A queue is armed, which is
 * written and logged, after its last entry was seen: that may be just now.
 */
static void compare(const struct log *log)
{
	uint64_t deadline = kvt_deadline(MS);
	unsigned int missing, extra;

	while ((missing = not_in(log, log->want, log->bits)) &&
	       kvt_left(deadline))
		kvt_sleep(1);
	extra = not_in(log, log->bits, log->want);
	EXPECT(!missing, "%u pages written and not logged", missing);
	EXPECT(!extra, "%u pages logged and not written", extra);
}

TEST("U-06 block: data, status and used ring of reads; of writes no data")
{
	static uint8_t fill[65536];
	struct kvt_bio in, out;
	struct kvt_disk d;
	struct log log;
	int fd = kvt_file(1 << 20);

	memset(fill, 0x5a, sizeof(fill));
	ASSERT_EQ(pwrite(fd, fill, sizeof(fill), 0), (ssize_t)sizeof(fill));
	kvt_disk_open(&d, 1, 64, V1 | EV | KVT_F(VIRTIO_BLK_F_FLUSH), 4u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	kvt_bio_init(&d, &in, 65536);
	kvt_bio_init(&d, &out, 65536);

	log_on(&log, &d.mem, d.dev.fd, d.dev.features);
	log_ring(d.dev.fd, 0, &d.q[0]);
	kvt_bio_submit(&d, 0, &in, VIRTIO_BLK_T_IN, 0, 5 * PAGE);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &in, "no answer");
	kvt_bio_submit(&d, 0, &out, VIRTIO_BLK_T_OUT, 256, 3 * PAGE);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &out, "no answer");
	ASSERT_EQ(memcmp(in.data, fill, 5 * PAGE), 0);
	want(&log, in.data, 5 * PAGE);
	want(&log, in.status, 1);
	want(&log, out.status, 1);
	want_used(&log, &d.q[0]);
	compare(&log);

	log_off(&log);
	kvt_bio_submit(&d, 0, &in, VIRTIO_BLK_T_IN, 0, PAGE);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &in, "no answer");
	compare(&log);
	kvt_disk_close(&d);
}

/* Mark the pages where the device put this frame and its header. */
static void want_frame(struct log *log, const struct kvt_nic *nic,
		       const uint8_t *frame, size_t len)
{
	uint8_t *p = memmem(nic->mem.base, nic->mem.size, frame, len);

	ASSERT(p, "the frame is not in guest memory");
	want(log, p - nic->hdr_len, nic->hdr_len + len);
}

TEST("U-06 net: received frames and used rings; of transmitted frames none")
{
	struct kvt_nic_opts o = { .features = V1 | EV };
	uint8_t frame[1000], got[1000];
	struct kvt_nic nic;
	struct log log;
	int wire, i;

	wire = kvt_nic_open_tap(&nic, &o, 0);
	log_on(&log, &nic.mem, nic.dev.fd, nic.dev.features);
	log_ring(nic.dev.fd, 0, &nic.rx);
	log_ring(nic.dev.fd, 1, &nic.tx);
	for (i = 0; i < 20; i++) {
		kvt_frame(frame, sizeof(frame), 7000 + i);
		ASSERT_EQ(write(wire, frame, sizeof(frame)), sizeof(frame));
		ASSERT_EQ(kvt_nic_recv(&nic, NULL, got, sizeof(got), MS),
			  sizeof(frame));
		want_frame(&log, &nic, frame, sizeof(frame));
	}
	for (i = 0; i < 5; i++)
		ASSERT(kvt_nic_send(&nic, NULL, frame, sizeof(frame)), "send");
	ASSERT(kvt_nic_drain(&nic, MS), "transmit stuck");
	want_used(&log, &nic.rx);
	want_used(&log, &nic.tx);
	compare(&log);

	log_off(&log);
	kvt_frame(frame, sizeof(frame), 8000);
	ASSERT_EQ(write(wire, frame, sizeof(frame)), sizeof(frame));
	ASSERT_EQ(kvt_nic_recv(&nic, NULL, got, sizeof(got), MS),
		  sizeof(frame));
	compare(&log);
	kvt_nic_close(&nic);
}

/* ---- against a shadow copy ---- */

struct shadow {
	struct log log;
	const struct kvt_ring *ring[2];	/* whose driver areas do not count */
	uint8_t *copy;
};

/*
 * From here on only the device writes guest memory, but for what
 * kvt_ring_publish() writes: the available index, or the flags of a descriptor
 * that the device overwrites when it is done.
 *
 * The log is emptied before the copy is made, as a migration must: the device
 * may still be arming its queues, and what it writes and logs between the two
 * would otherwise be in neither.
 */
static void shadow_take(struct shadow *s)
{
	memset(s->log.bits, 0, s->log.bytes);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(s->copy, s->log.mem->base, s->log.mem->size);
}

static bool is_driver_area(const struct shadow *s, const uint8_t *p)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct kvt_ring *r = s->ring[i];
		const uint8_t *a = r ? (const void *)r->avail : NULL;

		if (a && !(r->flags & KVT_RING_PACKED) && p >= a &&
		    p < a + 6 + 2 * r->num)
			return true;
	}
	return false;
}

static bool is_logged(const struct log *log, uint64_t gpa)
{
	uint64_t page = gpa / PAGE;

	return __atomic_load_n(&log->bits[page / 8], __ATOMIC_ACQUIRE) >>
	       (page % 8) & 1;
}

/* A page is logged right after it was written, which may be just now. */
static bool logged_soon(const struct log *log, uint64_t gpa)
{
	uint64_t deadline = kvt_deadline(MS);

	while (!is_logged(log, gpa)) {
		if (!kvt_left(deadline))
			return false;
		kvt_sleep(1);
	}
	return true;
}

/* Returns how many bytes changed. */
static unsigned int shadow_check(const struct shadow *s)
{
	const uint8_t *now = s->log.mem->base;
	unsigned int changed = 0, lost = 0;
	size_t i, at, end, where = 0;

	/* What the device writes when it arms its queue is to be seen, too. */
	kvt_sleep(20);
	for (at = 0; at < s->log.mem->size; at = end) {
		end = at + PAGE < s->log.mem->size ? at + PAGE :
		      s->log.mem->size;
		if (!memcmp(now + at, s->copy + at, end - at))
			continue;
		for (i = at; i < end; i++) {
			if (now[i] == s->copy[i] ||
			    is_driver_area(s, now + i))
				continue;
			changed++;
			if (lost ? is_logged(&s->log, s->log.mem->gpa + i) :
			    logged_soon(&s->log, s->log.mem->gpa + i))
				continue;
			if (!lost++)
				where = i;
		}
	}
	EXPECT(!lost,
	       "%u of %u changed bytes are in no logged page, first 0x%zx",
	       lost, changed, where);
	return changed;
}

/* Wait for @n used chains without writing anything. */
static void watch_used(const struct kvt_ring *ring, uint16_t n)
{
	uint64_t deadline = kvt_deadline(MS);

	while (kvt_ring_used(ring) < n && kvt_left(deadline))
		kvt_sleep(1);
	ASSERT(kvt_ring_used(ring) >= n, "%u of %u chains done",
	       kvt_ring_used(ring), n);
}

/* Frames at a time. */
#define STEP 25

static void shadow_rx(struct shadow *s, struct kvt_nic *nic, int wire,
		      uint32_t seq)
{
	static uint8_t frame[4000], got[4000];
	uint32_t len = 60 + seq * 197 % 3900, i;

	kvt_frame(frame, len, seq);
	shadow_take(s);
	for (i = 0; i < STEP; i++)
		ASSERT_EQ(write(wire, frame, len), len);
	watch_used(&nic->rx, (uint16_t)(STEP * ((len + 11) / 2048 + 1)));
	EXPECT(shadow_check(s) > len, "the frames are not in guest memory");
	for (i = 0; i < STEP; i++) {
		ASSERT_EQ(kvt_nic_recv(nic, NULL, got, sizeof(got), MS), len);
		ASSERT(kvt_frame_ok(got, len, seq), "frame %u changed", seq);
	}
}

static void shadow_tx(struct shadow *s, struct kvt_nic *nic, uint32_t seq)
{
	struct kvt_sg sg[2];
	uint32_t i;

	for (i = 0; i < STEP; i++) {
		uint8_t *buf = nic->tx_free[--nic->nr_tx_free];

		memset(buf, 0, nic->hdr_len);
		kvt_frame(buf + nic->hdr_len, 500, seq);
		sg[0] = kvt_sg(&nic->mem, buf, 100);
		sg[1] = kvt_sg(&nic->mem, buf + 100, nic->hdr_len + 400);
		kvt_ring_add(&nic->tx, sg, 2, 0, buf);
	}
	shadow_take(s);
	kvt_ring_kick(&nic->tx);
	watch_used(&nic->tx, STEP);
	EXPECT(shadow_check(s), "no used entry");
	ASSERT(kvt_nic_drain(nic, MS), "drain");
}

/* Rings of several pages, so that one logged page does not cover them. */
static void shadow_net(uint64_t features, uint16_t num)
{
	struct kvt_nic_opts o = { .features = features, .num = num };
	struct shadow s = { 0 };
	struct kvt_nic nic;
	uint32_t i;
	int wire;

	wire = kvt_nic_open_tap(&nic, &o, 0);
	kvt_link_up("tap0", 9000);
	log_on(&s.log, &nic.mem, nic.dev.fd, nic.dev.features);
	log_ring(nic.dev.fd, 0, &nic.rx);
	log_ring(nic.dev.fd, 1, &nic.tx);
	s.ring[0] = &nic.rx;
	s.ring[1] = &nic.tx;
	s.copy = malloc(nic.mem.size);
	ASSERT(s.copy, "out of memory");
	/* enough of them to go round the rings */
	for (i = 0; i < 28; i++) {
		shadow_rx(&s, &nic, wire, i);
		shadow_tx(&s, &nic, i);
	}
	kvt_nic_close(&nic);
}

#define NET	(V1 | KVT_F(VIRTIO_NET_F_MRG_RXBUF))
#define PACKED	KVT_F(VIRTIO_F_RING_PACKED)
#define ORDER	KVT_F(VIRTIO_F_IN_ORDER)

TEST("U-06 net, split: what changed in guest memory was logged")
{
	shadow_net(NET, 1024);
}

TEST("U-06 net, split, event index: what changed in guest memory was logged")
{
	shadow_net(NET | EV, 1024);
}

TEST("U-06 net, split, in order: what changed in guest memory was logged")
{
	shadow_net(NET | EV | ORDER, 1024);
}

TEST("U-06 net, packed: what changed in guest memory was logged")
{
	shadow_net(NET | PACKED, 1000);
}

TEST("U-06 net, packed, event index: what changed in guest memory was logged")
{
	shadow_net(NET | EV | PACKED, 1000);
}

TEST("U-06 net, packed, in order: what changed in guest memory was logged")
{
	shadow_net(NET | EV | PACKED | ORDER, 1000);
}

/*
 * Five requests at a time, each of header, data and status. @odd: bytes the
 * data begins behind a sector boundary of memory.
 */
static void shadow_blk(uint64_t features, uint16_t num, int fd,
		       unsigned int odd)
{
	static uint8_t fill[1 << 20];
	int i, k;
	struct shadow s = { 0 };
	struct kvt_bio bio[5];
	struct kvt_disk d;

	memset(fill, 0x5a, sizeof(fill));
	ASSERT_EQ(pwrite(fd, fill, sizeof(fill), 0), (ssize_t)sizeof(fill));
	kvt_disk_open(&d, 1, num, features, 1u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	for (k = 0; k < 5; k++)
		kvt_bio_init(&d, &bio[k], 3 * PAGE);
	log_on(&s.log, &d.mem, d.dev.fd, d.dev.features);
	log_ring(d.dev.fd, 0, &d.q[0]);
	s.ring[0] = &d.q[0];
	s.copy = malloc(d.mem.size);
	ASSERT(s.copy, "out of memory");
	for (i = 0; i < 80; i++) {
		for (k = 0; k < 5; k++) {
			struct kvt_sg sg[3] = {
				kvt_sg(&d.mem, bio[k].hdr, 16),
				kvt_sg(&d.mem, bio[k].data + odd,
				       512u * (k + 1)),
				kvt_sg(&d.mem, bio[k].status, 1),
			};

			memset(bio[k].hdr, 0, 16);	/* read sector 0 */
			memset(bio[k].data, i | 0x80, bio[k].size);
			*bio[k].status = KVT_NO_STATUS;
			kvt_ring_add(&d.q[0], sg, 1, 2, &bio[k]);
		}
		shadow_take(&s);
		kvt_ring_kick(&d.q[0]);
		watch_used(&d.q[0], 5);
		EXPECT(shadow_check(&s) > 15 * 512 / 2, "nothing was read");
		for (k = 0; k < 5; k++)
			ASSERT(kvt_ring_get(&d.q[0], NULL, NULL), "used");
		ASSERT(!memcmp(bio[4].data + odd, fill, 2560), "data changed");
	}
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BOUNCED), odd ? 400 : 0);
	kvt_disk_close(&d);
}

TEST("U-06 block, split: what changed in guest memory was logged")
{
	shadow_blk(V1 | EV, 1024, kvt_blockdev(KVT_RAMDISK), 0);
}

TEST("U-06 block, packed: what changed in guest memory was logged")
{
	shadow_blk(V1 | EV | PACKED, 1000, kvt_blockdev(KVT_RAMDISK), 0);
}

TEST("U-06 block, bounced: what changed in guest memory was logged")
{
	shadow_blk(V1 | EV, 1024, kvt_blockdev(KVT_RAMDISK), 100);
}

TEST("U-06 a log that cannot be written breaks the queue, and says so once")
{
	struct kvt_disk d;
	struct kvt_bio in;
	uint64_t base = PAGE, with, n;
	int fd = kvt_file(1 << 20);

	kvt_disk_open(&d, 1, 64, V1 | EV, 1u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	kvt_bio_init(&d, &in, PAGE);
	with = d.dev.features | LOG;
	ASSERT_OK(ioctl(d.dev.fd, VHOST_SET_LOG_BASE, &base));
	ASSERT_OK(ioctl(d.dev.fd, VHOST_SET_FEATURES, &with));
	kvt_bio_submit(&d, 0, &in, VIRTIO_BLK_T_IN, 0, PAGE);
	ASSERT(kvt_eventfd_wait(d.q[0].err, MS, &n), "not broken");
	EXPECT_EQ(n, 1);
	EXPECT(!kvt_bio_reap(&d, 0, 200), "answered without being logged");
	EXPECT(!kvt_eventfd_wait(d.q[0].err, 0, NULL), "said again");
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BROKEN), 1);
	kvt_disk_close(&d);
}
