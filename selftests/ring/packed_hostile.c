// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that break the rules of packed rings, against the real module (R-04
 * to R-14, D-01 to D-09). What must hold each time: a broken ring stops its
 * queue, which says so (state, counter, error eventfd exactly once) and works
 * again after it was set up anew; a bad chain is given back with length 0 and
 * counted; bad set-up is refused; a second device notices nothing.
 */
#include <sys/mman.h>

#include "kvt_bed.h"

#define MS	KVT_BED_MS
#define NUM	60		/* no power of two */

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED	(V1 | KVT_F(VIRTIO_F_RING_PACKED))
#define ORDER	KVT_F(VIRTIO_F_IN_ORDER)

#define NX	VRING_DESC_F_NEXT
#define WR	VRING_DESC_F_WRITE
#define IN	VRING_DESC_F_INDIRECT

/* One more descriptor of the bad device's transmit ring. */
static void push(struct kvt_bed *b, uint64_t gpa, uint32_t len, uint16_t id,
		 uint16_t flags)
{
	kvt_raw_packed_push(&b->bad.tx, gpa, len, id, flags);
}

/* Show what was pushed; the kick comes in any case. */
static void show(struct kvt_bed *b)
{
	kvt_ring_publish(&b->bad.tx);
	kvt_ring_force_kick(&b->bad.tx);
}

/* ---- set-up ---- */

/*
 * Set the stopped transmit queue up as @a says. The last of the steps, which
 * may all refuse, is the backend. Returns 0 or the errno.
 */
static int setup(struct kvt_bed *b, unsigned int num, unsigned int base,
		 struct vhost_vring_addr a)
{
	int fd = b->bad.dev.fd;

	a.index = 1;
	if (kvt_vring_num(fd, 1, num) || kvt_vring_base(fd, 1, base) ||
	    ioctl(fd, VHOST_SET_VRING_ADDR, &a) ||
	    kvt_net_backend(&b->bad.dev, 1, b->bad.o.sock))
		return errno;
	return 0;
}

static struct vhost_vring_addr addr_of(const struct kvt_ring *ring)
{
	return (struct vhost_vring_addr){
		.desc_user_addr = (uintptr_t)ring->slot,
		.avail_user_addr = (uintptr_t)ring->driver,
		.used_user_addr = (uintptr_t)ring->device,
	};
}

static void stopped(struct kvt_bed *b, uint64_t features)
{
	kvt_bed_open(b, features, NUM);
	ASSERT_OK(kvt_net_backend(&b->bad.dev, 1, -1));
}

TEST("R-05 sizes no packed ring has are refused, odd ones are not")
{
	static const unsigned int bad[] = { 0, 32769, 65535, 65536, ~0u };
	static const unsigned int good[] = { 1, 3, 7, NUM };
	struct vhost_vring_addr a;
	struct kvt_bed b;
	size_t i;

	stopped(&b, PACKED | EV);
	a = addr_of(&b.bad.tx);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(setup(&b, bad[i], 0x80008000, a), EINVAL);
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		kvt_ring_reset(&b.bad.tx);
		EXPECT_EQ(setup(&b, good[i], 0x80008000, a), 0);
		EXPECT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	}
	kvt_nic_restart(&b.bad);
	kvt_nic_works(&b.bad, b.wire_bad, "after");
}

TEST("R-05 an odd size is refused for a split ring")
{
	struct vhost_vring_addr a;
	struct kvt_bed b;

	kvt_bed_open(&b, V1, 64);
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	a = addr_of(&b.bad.tx);
	EXPECT_EQ(setup(&b, NUM, 0, a), EINVAL);
	EXPECT_EQ(setup(&b, 65, 0, a), EINVAL);
	EXPECT_EQ(setup(&b, 64, 0x80008000, a), EINVAL);
	EXPECT_EQ(setup(&b, 64, b.bad.tx.avail_idx, a), 0);
}

TEST("R-06 ring addresses unaligned or no addresses are refused")
{
	struct kvt_bed b;
	struct vhost_vring_addr a;
	int i;

	stopped(&b, PACKED | EV);
	for (i = 1; i < 16; i++) {
		a = addr_of(&b.bad.tx);
		a.desc_user_addr += (unsigned int)i;
		EXPECT_EQ(setup(&b, NUM, 0x80008000, a), EINVAL);
	}
	for (i = 1; i < 4; i++) {
		a = addr_of(&b.bad.tx);
		a.avail_user_addr += (unsigned int)i;
		EXPECT_EQ(setup(&b, NUM, 0x80008000, a), EINVAL);
		a = addr_of(&b.bad.tx);
		a.used_user_addr += (unsigned int)i;
		EXPECT_EQ(setup(&b, NUM, 0x80008000, a), EINVAL);
	}
	for (i = 0; i < 3; i++) {
		uint64_t top = -16ull;

		a = addr_of(&b.bad.tx);
		*(i == 0 ? &a.desc_user_addr : i == 1 ? &a.avail_user_addr :
		  &a.used_user_addr) = top;
		EXPECT_EQ(setup(&b, NUM, 0x80008000, a), EFAULT);
	}
	kvt_nic_restart(&b.bad);
	kvt_nic_works(&b.bad, b.wire_bad, "after");
}

TEST("R-06 event areas that lie in the ring or in each other")
{
	struct vhost_vring_addr a;
	struct kvt_bed b;

	stopped(&b, PACKED | EV);
	a = addr_of(&b.bad.tx);
	a.avail_user_addr = a.desc_user_addr + 16;
	a.used_user_addr = a.desc_user_addr + 16;
	/* refused or served; what the ring holds then may be anything */
	if (!setup(&b, NUM, 0x80008000, a)) {
		push(&b, b.gpa, 100, 0, 0);
		show(&b);
		kvt_sleep(100);
		EXPECT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	}
	kvt_nic_works(&b.good, b.wire_good, "bystander");
	kvt_eventfd_wait(b.bad.tx.err, 0, NULL);
	kvt_nic_restart(&b.bad);
	kvt_nic_works(&b.bad, b.wire_bad, "after");
}

TEST("R-12 positions outside the ring, or of another layout, are refused")
{
	static const unsigned int bad[] = {
		0x80008000 + NUM,		/* available outside */
		0x80000000 + (NUM << 16) + 0x8000,	/* used outside */
		0x7fff7fff, 0xffffffff,
		0x80038000,	/* used ahead of available */
		0x80000000 + 1,	/* more than a ring apart */
	};
	struct vhost_vring_addr a;
	struct kvt_bed b;
	size_t i;

	stopped(&b, PACKED | EV);
	a = addr_of(&b.bad.tx);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int ret = setup(&b, NUM, bad[i], a);

		EXPECT(ret == EINVAL, "base 0x%x: %s", bad[i], strerror(ret));
		if (!ret)
			EXPECT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	}
	kvt_nic_restart(&b.bad);
	kvt_nic_works(&b.bad, b.wire_bad, "after");
}

TEST("R-13 features that were never offered, and a layout changed on the run")
{
	uint64_t f;
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED | EV | ORDER, NUM);
	f = b.bad.dev.features | 1ull << 63;
	EXPECT_ERR(ioctl(b.bad.dev.fd, VHOST_SET_FEATURES, &f), EOPNOTSUPP);
	f = b.bad.dev.features & ~KVT_F(VIRTIO_F_RING_PACKED);
	EXPECT_ERR(ioctl(b.bad.dev.fd, VHOST_SET_FEATURES, &f), EBUSY);
	f = b.bad.dev.features & ~ORDER;
	EXPECT_ERR(ioctl(b.bad.dev.fd, VHOST_SET_FEATURES, &f), EBUSY);
	f = b.bad.dev.features & ~EV;
	EXPECT_ERR(ioctl(b.bad.dev.fd, VHOST_SET_FEATURES, &f), EBUSY);
	kvt_nic_works(&b.bad, b.wire_bad, "unimpressed");
	kvt_nic_works(&b.good, b.wire_good, "bystander");
}

TEST("R-13 a stopped device may change its layout, and back")
{
	struct kvt_nic *nic;
	struct kvt_bed b;
	uint64_t f[2];
	int i;

	kvt_bed_open(&b, PACKED | EV, 64);
	nic = &b.bad;
	f[1] = nic->dev.features;
	f[0] = f[1] & ~KVT_F(VIRTIO_F_RING_PACKED);
	for (i = 0; i < 4; i++) {
		unsigned int flags = kvt_ring_flags(f[i % 2]);

		ASSERT_OK(kvt_net_backend(&nic->dev, 0, -1));
		ASSERT_OK(kvt_net_backend(&nic->dev, 1, -1));
		ASSERT_OK(ioctl(nic->dev.fd, VHOST_SET_FEATURES, &f[i % 2]));
		kvt_ring_free(&nic->rx);
		kvt_ring_free(&nic->tx);
		kvt_ring_init(&nic->rx, &nic->mem, 64, flags);
		kvt_ring_init(&nic->tx, &nic->mem, 64, flags);
		kvt_nic_restart(nic);
		kvt_nic_works(nic, b.wire_bad, i % 2 ? "packed" : "split");
	}
}

TEST("R-14 big-endian is refused for a packed ring")
{
	struct vhost_vring_state s = { .index = 1, .num = 1 };
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED, NUM);
	EXPECT_ERR(ioctl(b.bad.dev.fd, VHOST_SET_VRING_ENDIAN, &s), EBUSY);
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	EXPECT_ERR(ioctl(b.bad.dev.fd, VHOST_SET_VRING_ENDIAN, &s), EINVAL);
}

/* ---- ring memory ---- */

TEST("R-07 packed ring memory becomes inaccessible while running")
{
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED, NUM);
	kvt_bed_breaks_hidden(&b);
}

TEST("R-07 R-11 packed ring memory becomes read-only while running")
{
	struct vring_packed_desc *d;
	struct kvt_bed b;
	__le16 flags;

	kvt_bed_open(&b, PACKED, NUM);
	memset(b.page, 0, 100);
	push(&b, b.gpa, 100, 1, 0);
	d = b.bad.tx.held;
	flags = htole16(b.bad.tx.held_flags);
	kvt_nl_asleep(b.bad.id, 1);
	kvt_eventfd_wait(b.bad.tx.call, 0, NULL);	/* earlier ones */
	/* offered only now: the device may look at any time */
	kvt_bed_protect(&b, PROT_READ);
	kvt_mem_poke(b.bad.tx.mem, &d->flags, &flags, sizeof(flags));
	kvt_ring_force_kick(&b.bad.tx);
	kvt_bed_broken(&b, 1);
	EXPECT_EQ(d->flags, flags);
	EXPECT(!kvt_eventfd_wait(b.bad.tx.call, 0, NULL),
	       "a call for an entry that was not written");
	kvt_bed_protect(&b, PROT_READ | PROT_WRITE);
	kvt_bed_revived(&b, 1);
}

TEST("R-07 packed ring memory unmapped while running")
{
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED, NUM);
	kvt_bed_breaks_unmapped(&b);
}

/* ---- suppression ---- */

/* Send a frame with the driver's event area as given; it must come back. */
static void frame_with_event(struct kvt_bed *b, uint16_t off_wrap,
			     uint16_t flags)
{
	uint8_t frame[64];

	kvt_frame(frame, 64, 0);
	b->bad.tx.driver->off_wrap = htole16(off_wrap);
	b->bad.tx.driver->flags = htole16(flags);
	ASSERT(kvt_nic_send(&b->bad, NULL, frame, 64), "send");
	kvt_ring_publish(&b->bad.tx);
	ASSERT(kvt_bed_comes_back(b), "offset 0x%x, flags 0x%x: no end",
	       off_wrap, flags);
	ASSERT(kvt_nic_drain(&b->bad, MS), "drain");
	kvt_wire_recv(b->wire_bad, frame, sizeof(frame), MS);
}

TEST("R-08 R-10 random event offsets and flags never lose a chain")
{
	static const uint64_t features[] = { PACKED | EV, PACKED };
	uint64_t state = kvt_seed();
	struct kvt_bed b;
	int i, f;

	for (f = 0; f < 2; f++) {
		if (f)
			kvt_nic_close(&b.bad);
		if (f)
			kvt_nic_close(&b.good);
		kvt_bed_open(&b, features[f], NUM);
		for (i = 0; i < 200; i++) {
			uint64_t r = kvt_rand(&state);

			frame_with_event(&b, (uint16_t)r, (uint16_t)(r >> 16) &
					 (i & 1 ? 3 : 0xffff));
		}
		kvt_nic_works(&b.bad, b.wire_bad, "after");
		EXPECT_EQ(kvt_nl_counter(b.bad.id, 1, KVASIR_C_BROKEN), 0);
	}
}

TEST("R-10 a reserved event flag, or an offset beyond the ring, still calls")
{
	static const struct { uint16_t off_wrap, flags; } bad[] = {
		{ 0, 3 }, { 0x8000, 3 }, { NUM, 2 }, { 0x8000 | NUM, 2 },
		{ 0x7fff, 2 }, { 0xffff, 2 },
	};
	struct kvt_bed b;
	uint64_t n;
	size_t i;

	kvt_bed_open(&b, PACKED | EV, NUM);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t frame[64];
		int k;

		kvt_frame(frame, 64, 0);
		kvt_nl_asleep(b.bad.id, 1);	/* earlier calls are there */
		kvt_eventfd_wait(b.bad.tx.call, 0, &n);
		b.bad.tx.driver->off_wrap = htole16(bad[i].off_wrap);
		b.bad.tx.driver->flags = htole16(bad[i].flags);
		/* once round the ring: an offset cannot be missed by luck */
		for (k = 0; k <= NUM; k++) {
			push(&b, kvt_gpa(&b.bad.mem, b.page), 12 + 64, 0, 0);
			memset(b.page, 0, 12);
			memcpy(b.page + 12, frame, 64);
			show(&b);
			ASSERT_EQ(kvt_raw_packed_take(&b.bad.tx, 1,
						      &(uint16_t){ 0 },
						      &(uint32_t){ 0 }, MS), 0);
		}
		EXPECT(kvt_eventfd_wait(b.bad.tx.call, MS, &n),
		       "offset 0x%x, flags %u: no call", bad[i].off_wrap,
		       bad[i].flags);
	}
	kvt_nic_works(&b.good, b.wire_good, "bystander");
	EXPECT_EQ(kvt_nl_counter(b.bad.id, 1, KVASIR_C_BROKEN), 0);
}

/* ---- descriptors of the ring ---- */

TEST("R-04 R-09 a buffer id offered again while it is in flight")
{
	uint8_t frame[1500];
	struct kvt_ring *rx;
	struct kvt_bed b;
	int i;

	kvt_bed_open(&b, PACKED | MRG, NUM);
	rx = &b.bad.rx;
	kvt_bed_only_raw_rx(&b);
	/* no one of them suffices for a frame, so all are in flight at once */
	for (i = 0; i < 4; i++)
		kvt_raw_packed_push(rx, b.gpa + 512u * (unsigned int)i, 512, 5,
				    WR);
	kvt_ring_publish(rx);
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 0, b.bad.o.sock));
	kvt_frame(frame, sizeof(frame), 1);
	ASSERT_EQ(write(b.wire_bad, frame, sizeof(frame)), sizeof(frame));
	kvt_bed_broken(&b, 0);
	kvt_nic_restart(&b.bad);
	/* the frame that found no buffers is still there, or dropped */
	kvt_nic_empty(&b.bad, b.wire_bad);
	kvt_nic_works(&b.bad, b.wire_bad, "revived");
}

TEST("R-09 a buffer id outside the ring")
{
	static const uint16_t ids[] = { NUM, NUM + 1, 0x7fff, 0xffff };
	struct kvt_bed b;
	size_t i;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (i) {
			kvt_nic_close(&b.bad);
			kvt_nic_close(&b.good);
		}
		kvt_bed_open(&b, PACKED | EV, NUM);
		push(&b, b.gpa, 100, ids[i], 0);
		show(&b);
		kvt_bed_broken(&b, 1);
		kvt_bed_revived(&b, 1);
	}
}

TEST("R-09 a chain longer than the ring")
{
	struct kvt_bed b;
	int i;

	kvt_bed_open(&b, PACKED | EV, NUM);
	for (i = 0; i < NUM; i++)
		push(&b, b.gpa, 1, 1, NX);
	show(&b);
	kvt_bed_broken(&b, 1);
	kvt_bed_revived(&b, 1);
}

TEST("R-09 a chain that goes on in descriptors not offered")
{
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED, NUM);
	push(&b, b.gpa, 100, 1, NX);
	show(&b);
	kvt_bed_broken(&b, 1);
	kvt_bed_revived(&b, 1);
}

TEST("R-09 wrap bits that say used, or the other lap, offer nothing")
{
	struct kvt_ring *tx;
	struct kvt_pos pos;
	struct kvt_bed b;
	uint16_t id;
	uint32_t len;

	kvt_bed_open(&b, PACKED | EV, NUM);
	tx = &b.bad.tx;
	pos = tx->at_avail;
	memset(b.page, 0, 100);
	/* all four settings of the two bits but the right one */
	kvt_raw_packed(tx, pos.slot, b.gpa, 100, 1, 0);
	show(&b);
	kvt_raw_packed(tx, pos.slot, b.gpa, 100, 1,
		       KVT_PACKED_AVAIL | KVT_PACKED_USED);
	show(&b);
	kvt_raw_packed(tx, pos.slot, b.gpa, 100, 1, KVT_PACKED_USED);
	show(&b);
	EXPECT(pos.wrap, "the ring went round before the test");
	kvt_sleep(100);
	EXPECT_EQ(le16toh(tx->slot[pos.slot].flags), KVT_PACKED_USED);
	EXPECT_EQ(kvt_nl_counter(b.bad.id, 1, KVASIR_C_BROKEN), 0);
	/* and the right one does */
	push(&b, b.gpa, 100, 1, 0);
	show(&b);
	ASSERT_EQ(kvt_raw_packed_take(tx, 1, &id, &len, MS), 0);
	EXPECT_EQ(id, 1);
	EXPECT_EQ(len, 0);
	kvt_nic_works(&b.good, b.wire_good, "bystander");
}

TEST("R-09 descriptors offered two laps ahead")
{
	struct kvt_bed b;
	uint16_t id;
	uint32_t len;
	unsigned int i;

	kvt_bed_open(&b, PACKED, NUM);
	memset(b.page, 0, 100);
	/* the second lap overwrites the first before it can be looked at */
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	for (i = 0; i < 2 * NUM; i++) {
		struct kvt_pos pos = kvt_packed_step(&b.bad.tx,
						     b.bad.tx.at_avail, i % NUM);

		pos.wrap ^= i >= NUM;
		kvt_raw_packed(&b.bad.tx, pos.slot, b.gpa, 100,
			       (uint16_t)(i % NUM), kvt_packed_avail(pos));
	}
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, b.bad.o.sock));
	kvt_ring_force_kick(&b.bad.tx);
	/* which cannot be told from a ring where nothing is offered */
	EXPECT_EQ(kvt_raw_packed_take(&b.bad.tx, 1, &id, &len, 200),
		  -ETIMEDOUT);
	kvt_nic_works(&b.good, b.wire_good, "bystander");
	kvt_nic_restart(&b.bad);
	kvt_nic_works(&b.bad, b.wire_bad, "after");
}

/* ---- chains ---- */

/* What was pushed last, @slots long, must come back empty and be counted. */
static void refused(struct kvt_bed *b, unsigned int slots, uint16_t id,
		    int counter)
{
	uint64_t was = kvt_nl_counter(b->bad.id, 1, counter);
	uint16_t got;
	uint32_t len;

	show(b);
	ASSERT_EQ(kvt_raw_packed_take(&b->bad.tx, slots, &got, &len, MS), 0);
	EXPECT_EQ(got, id);
	EXPECT_EQ(len, 0);
	EXPECT_EQ(kvt_nl_counter(b->bad.id, 1, counter), was + 1);
}

static void bad_chain(struct kvt_bed *b, unsigned int slots, uint16_t id)
{
	refused(b, slots, id, KVASIR_C_BAD_CHAIN);
	kvt_nic_works(&b->bad, b->wire_bad, "next chain");
}

TEST("D-02 D-03 D-04 packed: too many pieces, and lengths that overflow")
{
	struct kvt_bed b;
	int i;

	kvt_bed_open(&b, PACKED, 4096);
	for (i = 0; i < 1025; i++)
		push(&b, b.gpa, 1, 7, i < 1024 ? NX : 0);
	bad_chain(&b, 1025, 7);
	for (i = 0; i < 3000; i++)
		push(&b, b.gpa, 0, 8, i < 2999 ? NX : 0);
	bad_chain(&b, 3000, 8);
	push(&b, b.gpa, 0xffffffff, 9, 0);
	bad_chain(&b, 1, 9);
	push(&b, b.gpa, 4096, 10, NX);
	push(&b, b.gpa, 0xffffffff, 10, 0);
	bad_chain(&b, 2, 10);
	kvt_nic_works(&b.good, b.wire_good, "bystander");
}

TEST("D-05 D-06 packed: no guest memory, mixed directions")
{
	uint64_t end;
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED | EV, NUM);
	end = b.bad.mem.gpa + b.bad.mem.size;
	push(&b, 0, 100, 1, 0);
	bad_chain(&b, 1, 1);
	push(&b, end, 1, 2, 0);
	bad_chain(&b, 1, 2);
	push(&b, end - 50, 51, 3, 0);
	bad_chain(&b, 1, 3);
	push(&b, ~0ull - 9, 100, 4, 0);
	bad_chain(&b, 1, 4);
	push(&b, (uintptr_t)b.page, 100, 5, 0);
	bad_chain(&b, 1, 5);
	push(&b, b.gpa, 100, 6, NX | WR);
	push(&b, b.gpa, 100, 6, 0);
	bad_chain(&b, 2, 6);
	push(&b, b.gpa, 100, 7, WR);
	refused(&b, 1, 7, KVASIR_C_DROP_HEADER);
	kvt_nic_works(&b.bad, b.wire_bad, "next chain");
}

TEST("D-07 packed: indirect tables that break the rules")
{
	struct vring_packed_desc *t;
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED | IND, NUM);
	t = (void *)b.page;
	t[0] = (struct vring_packed_desc){ .addr = htole64(b.gpa + 4096),
					   .len = htole32(100) };
	push(&b, b.gpa, 0, 1, IN);
	bad_chain(&b, 1, 1);
	push(&b, b.gpa, 17, 2, IN);
	bad_chain(&b, 1, 2);
	push(&b, b.gpa, 0xfffffff0, 3, IN);
	bad_chain(&b, 1, 3);
	push(&b, b.gpa, 16, 4, IN | NX);
	push(&b, b.gpa, 16, 4, 0);
	bad_chain(&b, 2, 4);
	t[0].flags = htole16(IN);
	push(&b, b.gpa, 16, 5, IN);
	bad_chain(&b, 1, 5);
	push(&b, 0, 16, 6, IN);
	bad_chain(&b, 1, 6);
}

TEST("D-07 packed: indirect table without the feature")
{
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED, NUM);
	push(&b, b.gpa, 16, 1, IN);
	bad_chain(&b, 1, 1);
}

/* Any descriptor of the whole ring, and the event area. */
static void scribble(struct kvt_bed *b, uint64_t *state)
{
	uint64_t v = kvt_rand(state), w = kvt_rand(state);
	struct kvt_ring *ring = &b->bad.tx;

	kvt_raw_packed(ring, (uint16_t)(v % NUM), b->gpa + (v >> 8 & 0xffff),
		       w & 8 ? 64 : (uint32_t)(w >> 32),
		       (uint16_t)(v >> 32 & (w & 3 ? 31 : 0xffff)),
		       (uint16_t)(v >> 48));
	ring->driver->flags = htole16((uint16_t)(w >> 4));
	ring->driver->off_wrap = htole16((uint16_t)(w >> 8));
}

TEST("D-08 R-09 a whole packed ring that changes while it is read")
{
	struct kvt_race r;
	struct kvt_bed b;
	int i;

	kvt_bed_open(&b, PACKED | IND | EV, NUM);
	kvt_race_start(&r, &b, scribble);
	for (i = 0; i < 300; i++) {
		uint64_t deadline = kvt_deadline(2);

		while (kvt_left(deadline))
			kvt_ring_force_kick(&b.bad.tx);
		/* broken sooner or later: begin again */
		if (i % 10 == 9) {
			ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
			kvt_vring_setup(&b.bad.dev, 1, &b.bad.tx);
			ASSERT_OK(kvt_net_backend(&b.bad.dev, 1,
						  b.bad.o.sock));
		}
	}
	kvt_race_stop(&r);
	kvt_nic_works(&b.good, b.wire_good, "bystander");
	kvt_nic_restart(&b.bad);
	while (kvt_wire_recv(b.wire_bad, b.page, 4096, 50) > 0)
		;
	kvt_nic_works(&b.bad, b.wire_bad, "after the race");
}

TEST("D-09 packed: a frame made of the ring itself")
{
	struct kvt_bed b;

	kvt_bed_open(&b, PACKED, NUM);
	memset(b.page, 0, 64);
	push(&b, b.gpa, 12, 1, NX);
	push(&b, kvt_gpa(&b.bad.mem, b.bad.tx.slot), 16 * NUM, 1, 0);
	refused(&b, 2, 1, KVASIR_C_REQUESTS);
	kvt_nic_works(&b.bad, b.wire_bad, "next chain");
}
