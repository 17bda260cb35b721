// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that break the rules, against the real module (R-01 to R-12, D-01
 * to D-08). What must hold each time: a broken ring stops its queue, which
 * says so (state, counter, error eventfd exactly once) and works again after
 * it was set up anew; a bad chain is given back with length 0 and counted; a
 * second device on the same machine notices nothing.
 */
#include <sys/mman.h>

#include "kvt_bed.h"

#define MS KVT_BED_MS
#define NUM 64
#define RAW 32		/* first descriptor the raw chains use */

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)

#define NX	VRING_DESC_F_NEXT
#define WR	VRING_DESC_F_WRITE
#define IN	VRING_DESC_F_INDIRECT

/* A descriptor of the bad device's transmit ring. */
static void raw(struct kvt_bed *b, uint16_t i, uint64_t gpa, uint32_t len,
		uint16_t flags, uint16_t next)
{
	kvt_raw_desc(&b->bad.tx, i, gpa, len, flags, next);
}

static void set_avail(struct kvt_ring *ring, uint16_t idx)
{
	__atomic_store_n(&ring->avail->idx, htole16(idx), __ATOMIC_RELEASE);
	kvt_ring_force_kick(ring);
}

TEST("R-01 available index jumps ahead")
{
	struct kvt_bed b;
	int q;

	kvt_bed_open(&b, V1 | EV, NUM);
	for (q = 0; q < 2; q++) {
		struct kvt_ring *ring = kvt_bed_queue(&b, q);
		uint8_t frame[60] = { 0 };
		int i;

		set_avail(ring, (uint16_t)(ring->last_used + NUM + NUM + 1));
		/* a receive queue looks again once the known buffers are used */
		for (i = 0; !q && i <= NUM; i++)
			EXPECT_EQ(write(b.wire_bad, frame, 60), 60);
		kvt_bed_broken(&b, q);
		kvt_nic_restart(&b.bad);
	}
	kvt_nic_works(&b.bad, b.wire_bad, "revived");
}

TEST("R-02 available index moves back")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	set_avail(&b.bad.tx, (uint16_t)(b.bad.tx.avail_idx - 1));
	kvt_bed_broken(&b, 1);
	kvt_bed_revived(&b, 1);
}

TEST("R-03 available entry outside the ring")
{
	static const uint16_t heads[] = { NUM, NUM + 1, 0x7fff, 0xffff };
	struct kvt_bed b;

	kvt_bed_open(&b, V1 | EV, NUM);
	kvt_raw_avail(&b.bad.tx, heads[getpid() % 4]);
	kvt_ring_force_kick(&b.bad.tx);
	kvt_bed_broken(&b, 1);
	kvt_bed_revived(&b, 1);
}

TEST("R-07 ring memory becomes inaccessible while running")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	kvt_bed_breaks_hidden(&b);
}

TEST("R-07 R-11 ring memory becomes read-only while running")
{
	__virtio16 entry, idx;
	struct kvt_ring *tx;
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	memset(b.page, 0, 100);
	raw(&b, RAW, b.gpa, 100, 0, 0);
	tx = &b.bad.tx;
	entry = htole16(RAW);
	idx = htole16((uint16_t)(tx->avail_idx + 1));
	/* offered only now: the device may look at any time */
	kvt_bed_protect(&b, PROT_READ);
	kvt_mem_poke(tx->mem, &tx->avail->ring[tx->avail_idx % NUM], &entry,
		     sizeof(entry));
	kvt_mem_poke(tx->mem, &tx->avail->idx, &idx, sizeof(idx));
	kvt_ring_force_kick(tx);
	kvt_bed_broken(&b, 1);
	kvt_bed_protect(&b, PROT_READ | PROT_WRITE);
	EXPECT_EQ(kvt_ring_used(tx), 0);
	kvt_bed_revived(&b, 1);
}

TEST("R-07 ring memory unmapped while running")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	kvt_bed_breaks_unmapped(&b);
}

TEST("R-08 random event indices never lose a chain")
{
	uint8_t frame[64];
	uint64_t state = kvt_seed();
	struct kvt_bed b;
	int i;

	kvt_bed_open(&b, V1 | EV, NUM);
	kvt_frame(frame, 64, 0);
	for (i = 0; i < 300; i++) {
		uint64_t r = kvt_rand(&state);

		b.bad.tx.avail->ring[NUM] = htole16((uint16_t)r);
		b.bad.tx.avail->flags = htole16((uint16_t)(r >> 16));
		ASSERT(kvt_nic_send(&b.bad, NULL, frame, 64), "send");
		ASSERT(kvt_bed_comes_back(&b), "chain %d never came back", i);
	}
	while (kvt_wire_recv(b.wire_bad, frame, sizeof(frame), 50) > 0)
		;
	kvt_nic_works(&b.bad, b.wire_bad, "after");
	EXPECT_EQ(kvt_nl_counter(b.bad.id, 1, KVASIR_C_BROKEN), 0);
}

TEST("R-12 a base that does not fit the ring breaks it, a fitting one runs")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	EXPECT_ERR(kvt_vring_base(b.bad.dev.fd, 1, 0x10000), EINVAL);
	ASSERT_OK(kvt_vring_base(b.bad.dev.fd, 1,
				 (uint16_t)(b.bad.tx.avail_idx - NUM - 1)));
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, b.bad.o.sock));
	kvt_bed_broken(&b, 1);
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, -1));
	ASSERT_OK(kvt_vring_base(b.bad.dev.fd, 1, b.bad.tx.avail_idx));
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 1, b.bad.o.sock));
	kvt_nic_works(&b.bad, b.wire_bad, "with the right base");
}

/* ---- chains ---- */

/* Offer the raw chain at @head of queue @q; it must come back with length 0. */
static void refused(struct kvt_bed *b, int q, uint16_t head, int counter)
{
	struct kvt_ring *ring = kvt_bed_queue(b, q);
	struct vring_used_elem *e;
	uint64_t deadline = kvt_deadline(MS), was;

	was = kvt_nl_counter(b->bad.id, (uint32_t)q, counter);
	kvt_raw_avail(ring, head);
	kvt_ring_force_kick(ring);
	while (!kvt_ring_used(ring) && kvt_left(deadline))
		kvt_sleep(1);
	ASSERT(kvt_ring_used(ring), "the chain did not come back");
	e = &ring->used->ring[ring->last_used % ring->num];
	EXPECT_EQ(le32toh(e->id), head);
	EXPECT_EQ(le32toh(e->len), 0);
	ring->last_used++;
	EXPECT_EQ(kvt_nl_counter(b->bad.id, (uint32_t)q, counter), was + 1);
}

static void bad_chain(struct kvt_bed *b)
{
	refused(b, 1, RAW, KVASIR_C_BAD_CHAIN);
	kvt_nic_works(&b->bad, b->wire_bad, "next chain");
}

TEST("D-01 loops in the links")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1 | EV, NUM);
	raw(&b, RAW, b.gpa, 1, NX, RAW);
	bad_chain(&b);
	raw(&b, RAW, b.gpa, 0, NX, RAW + 1);
	raw(&b, RAW + 1, b.gpa, 0, NX, RAW);
	bad_chain(&b);
	raw(&b, RAW, b.gpa, 1, NX, NUM);
	bad_chain(&b);
	kvt_nic_works(&b.good, b.wire_good, "bystander");
}

TEST("D-02 D-03 chains too long, and thousands of empty pieces")
{
	struct kvt_bed b;
	uint16_t i;

	kvt_bed_open(&b, V1, 4096);
	for (i = 0; i < 1025; i++)
		raw(&b, (uint16_t)(RAW + i), b.gpa, 1, i < 1024 ? NX : 0,
		    (uint16_t)(RAW + i + 1));
	bad_chain(&b);
	for (i = 0; i < 3000; i++)
		raw(&b, (uint16_t)(RAW + i), b.gpa, 0, i < 2999 ? NX : 0,
		    (uint16_t)(RAW + i + 1));
	bad_chain(&b);
	/* within the limit they are no error, but neither are they a frame */
	raw(&b, RAW + 1000, b.gpa, 0, 0, 0);
	refused(&b, 1, RAW, KVASIR_C_DROP_HEADER);
	kvt_nic_works(&b.bad, b.wire_bad, "next chain");
}

TEST("D-04 lengths that overflow")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	raw(&b, RAW, b.gpa, 0xffffffff, 0, 0);
	bad_chain(&b);
	raw(&b, RAW, b.gpa, 4096, NX, RAW + 1);
	raw(&b, RAW + 1, b.gpa, 0xffffffff, 0, 0);
	bad_chain(&b);
}

TEST("D-05 addresses that are not guest memory")
{
	uint64_t end;
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	end = b.bad.mem.gpa + b.bad.mem.size;
	raw(&b, RAW, 0, 100, 0, 0);
	bad_chain(&b);
	raw(&b, RAW, end, 1, 0, 0);
	bad_chain(&b);
	raw(&b, RAW, end - 50, 51, 0, 0);
	bad_chain(&b);
	raw(&b, RAW, ~0ull - 9, 100, 0, 0);
	bad_chain(&b);
	/* our own addresses are not the guest's */
	raw(&b, RAW, (uintptr_t)b.page, 100, 0, 0);
	bad_chain(&b);
}

TEST("D-06 directions mixed, and buffers of the wrong direction")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	raw(&b, RAW, b.gpa, 100, NX | WR, RAW + 1);
	raw(&b, RAW + 1, b.gpa, 100, 0, 0);
	bad_chain(&b);
	raw(&b, RAW, b.gpa, 100, WR, 0);
	refused(&b, 1, RAW, KVASIR_C_DROP_HEADER);
	kvt_nic_works(&b.bad, b.wire_bad, "next chain");
}

TEST("D-07 indirect tables that break the rules")
{
	struct vring_desc *t;
	struct kvt_bed b;

	kvt_bed_open(&b, V1 | IND, NUM);
	t = (void *)b.page;
	t[0] = (struct vring_desc){ htole64(b.gpa + 4096), htole32(100), 0, 0 };
	raw(&b, RAW, b.gpa, 0, IN, 0);
	bad_chain(&b);
	raw(&b, RAW, b.gpa, 17, IN, 0);
	bad_chain(&b);
	raw(&b, RAW, b.gpa, 0xfffffff0, IN, 0);
	bad_chain(&b);
	raw(&b, RAW, b.gpa, 16, IN | NX, RAW + 1);
	bad_chain(&b);
	t[0].flags = htole16(IN);
	raw(&b, RAW, b.gpa, 16, IN, 0);
	bad_chain(&b);
	raw(&b, RAW, 0, 16, IN, 0);
	bad_chain(&b);
}

TEST("D-07 indirect table without the feature")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	raw(&b, RAW, b.gpa, 16, IN, 0);
	bad_chain(&b);
}

/* One of the descriptors the chains are made of. */
static void scribble(struct kvt_bed *b, uint64_t *state)
{
	uint64_t v = kvt_rand(state);
	volatile struct vring_desc *d = &b->bad.tx.desc[RAW + (v & 7)];

	d->addr = htole64(b->gpa + (v >> 8 & 0xffff));
	d->len = htole32(v & 8 ? 64 : (uint32_t)(v >> 24));
	d->flags = htole16((uint16_t)(v >> 60 & 7));
	d->next = htole16((uint16_t)(RAW + (v >> 4 & 15)));
}

TEST("D-08 descriptors that change while they are read")
{
	struct kvt_race r;
	struct kvt_bed b;
	int i;

	kvt_bed_open(&b, V1 | IND | EV, NUM);
	kvt_race_start(&r, &b, scribble);
	for (i = 0; i < 2000; i++) {
		kvt_raw_avail(&b.bad.tx, RAW);
		ASSERT(kvt_bed_comes_back(&b), "chain %d did not come back", i);
		b.bad.tx.last_used++;
	}
	kvt_race_stop(&r);
	kvt_nic_works(&b.good, b.wire_good, "bystander");
	kvt_nic_works(&b.bad, b.wire_bad, "after the race");
	EXPECT_EQ(kvt_nl_counter(b.bad.id, 1, KVASIR_C_BROKEN), 0);
}

TEST("D-09 a frame made of the ring itself")
{
	struct kvt_bed b;

	kvt_bed_open(&b, V1, NUM);
	/* header in clean memory, payload from the descriptor table */
	memset(b.page, 0, 64);
	raw(&b, RAW, b.gpa, 12, NX, RAW + 1);
	raw(&b, RAW + 1, kvt_gpa(&b.bad.mem, b.bad.tx.desc), 16 * NUM, 0, 0);
	refused(&b, 1, RAW, KVASIR_C_REQUESTS);
	kvt_nic_works(&b.bad, b.wire_bad, "next chain");
}

TEST("receive buffers that are readable, empty or bad are given back")
{
	struct kvt_ring *rx;
	uint8_t frame[100];
	struct kvt_bed b;
	uint16_t i;

	kvt_bed_open(&b, V1 | MRG, NUM);
	rx = &b.bad.rx;
	kvt_bed_only_raw_rx(&b);
	ASSERT_OK(kvt_net_backend(&b.bad.dev, 0, b.bad.o.sock));
	kvt_raw_desc(rx, 0, b.gpa, 2048, 0, 0);		/* readable */
	kvt_raw_desc(rx, 1, b.gpa, 0, WR, 0);		/* empty */
	kvt_raw_desc(rx, 2, 0, 2048, WR, 0);		/* nowhere */
	kvt_raw_desc(rx, 3, b.gpa, 2048, WR, 0);	/* good */
	for (i = 0; i < 4; i++)
		kvt_raw_avail(rx, i);
	kvt_ring_force_kick(rx);
	kvt_frame(frame, 100, 5);
	ASSERT_EQ(write(b.wire_bad, frame, 100), 100);
	EXPECT_EQ(kvt_ring_wait(rx, 4, MS), 0);
	for (i = 0; i < 4; i++) {
		struct vring_used_elem *e = &rx->used->ring[i];

		EXPECT_EQ(le32toh(e->id), i);
		EXPECT_EQ(le32toh(e->len), i < 3 ? 0 : 112);
	}
	EXPECT(kvt_frame_ok(b.page + 12, 100, 5), "frame changed");
	EXPECT_EQ(kvt_nl_counter(b.bad.id, 0, KVASIR_C_BAD_CHAIN), 3);
	kvt_nic_works(&b.good, b.wire_good, "bystander");
}
