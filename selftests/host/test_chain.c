// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptor chains (kmod/chain.c): direct, indirect, empty pieces, region
 * borders, and everything a driver may get wrong (D-01 to D-08). A refused
 * chain must concern nobody else: the next one is served.
 */
#include <pthread.h>

#include "kvt_ring.h"
#include "ring.h"

#define N 16
#define NX VRING_DESC_F_NEXT
#define WR VRING_DESC_F_WRITE
#define IN VRING_DESC_F_INDIRECT

/* Region 1 at 1 GiB holds the ring; region 2 touches it, region 3 does not. */
#define G1 (1ull << 30)
#define SIZE (1u << 20)
#define G2 (G1 + SIZE)
#define G3 (G2 + SIZE + 4096)

struct fix {
	struct kvt_mem mem;	/* region 1 */
	uint8_t *r2, *r3;
	struct kvs_mem *map;
	struct kvt_ring drv;
	struct kvs_ring dev;
	struct kvs_chain *c;
	struct vring_desc *table;	/* 2048 entries for indirect */
};

static void fix_open(struct fix *f, uint16_t num, bool indirect)
{
	struct kvs_ring_cfg cfg;
	struct kvs_region r[3];

	kvt_mem_init(&f->mem, SIZE, G1);
	f->r2 = malloc(SIZE);
	f->r3 = malloc(SIZE);
	f->c = malloc(sizeof(*f->c));
	ASSERT(f->r2 && f->r3 && f->c, "out of memory");
	r[0] = (struct kvs_region){ G1, SIZE, (uintptr_t)f->mem.base };
	r[1] = (struct kvs_region){ G2, SIZE, (uintptr_t)f->r2 };
	r[2] = (struct kvs_region){ G3, SIZE, (uintptr_t)f->r3 };
	ASSERT_EQ(kvs_mem_create(r, 3, &f->map), 0);
	kvt_ring_init(&f->drv, &f->mem, num, 0);
	f->table = kvt_mem_alloc(&f->mem, 2048 * 16, 16);
	cfg = (struct kvs_ring_cfg){
		.num = num, .desc = (uintptr_t)f->drv.desc,
		.avail = (uintptr_t)f->drv.avail,
		.used = (uintptr_t)f->drv.used, .indirect = indirect,
	};
	ASSERT_EQ(kvs_ring_start(&f->dev, &cfg), 0);
}

static void fix_close(struct fix *f)
{
	kvs_ring_stop(&f->dev);
	kvt_ring_free(&f->drv);
	kvs_mem_free(f->map);
	kvt_mem_free(&f->mem);
	free(f->r2);
	free(f->r3);
	free(f->c);
}

static void entry(struct fix *f, unsigned int i, uint64_t gpa, uint32_t len,
		  uint16_t flags, uint16_t next)
{
	f->table[i] = (struct vring_desc){ htole64(gpa), htole32(len),
					   htole16(flags), htole16(next) };
}

/* Offer @head, expect it to be taken or refused for @why, put it back. */
static void take(struct fix *f, uint16_t head, enum kvs_chain_err why)
{
	kvt_raw_avail(&f->drv, head);
	ASSERT_EQ(kvs_ring_pop(&f->dev, f->map, f->c),
		  why ? KVS_POP_REFUSED : KVS_POP_CHAIN);
	EXPECT_EQ(f->c->err, why);
	EXPECT_EQ(f->c->head, head);
	ASSERT_EQ(kvs_ring_put(&f->dev, head, 0), 0);
	EXPECT_EQ(f->dev.err, KVS_RING_OK);
}

TEST("a direct chain: sums, segments and host addresses")
{
	struct fix f;

	fix_open(&f, N, false);
	kvt_raw_desc(&f.drv, 5, G1 + 100, 16, NX, 9);
	kvt_raw_desc(&f.drv, 9, G3, 1000, NX, 0);
	kvt_raw_desc(&f.drv, 0, G2 + 1, 512, NX | WR, 15);
	kvt_raw_desc(&f.drv, 15, G3 + SIZE - 1, 1, WR, 0);
	take(&f, 5, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->nr_out, 2);
	EXPECT_EQ(f.c->nr_in, 2);
	EXPECT_EQ(f.c->out_len, 1016);
	EXPECT_EQ(f.c->in_len, 513);
	EXPECT_EQ(f.c->nr_iov_out, 2);
	EXPECT_EQ(f.c->nr_iov_in, 2);
	EXPECT(f.c->iov[0].iov_base == f.mem.base + 100, "address");
	EXPECT(f.c->iov[1].iov_base == f.r3, "address");
	EXPECT(f.c->iov[2].iov_base == f.r2 + 1, "address");
	EXPECT(f.c->iov[3].iov_base == f.r3 + SIZE - 1, "address");
	EXPECT_EQ(f.c->seg[3].gpa, G3 + SIZE - 1);
	fix_close(&f);
}

TEST("an indirect chain, alone and behind direct descriptors")
{
	struct fix f;
	uint64_t gpa;

	fix_open(&f, N, true);
	gpa = kvt_gpa(&f.mem, f.table);
	entry(&f, 0, G1, 16, NX, 2);
	entry(&f, 2, G2, 32, NX | WR, 1);
	entry(&f, 1, G3, 64, WR, 0);
	kvt_raw_desc(&f.drv, 4, gpa, 48, IN, 0);
	take(&f, 4, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->out_len, 16);
	EXPECT_EQ(f.c->in_len, 96);
	/* the write flag of the table's own descriptor means nothing */
	kvt_raw_desc(&f.drv, 4, gpa, 48, IN | WR, 0);
	take(&f, 4, KVS_CHAIN_OK);
	kvt_raw_desc(&f.drv, 3, G1, 100, NX, 4);
	take(&f, 3, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->out_len, 116);
	fix_close(&f);
}

TEST("R-06 pieces and tables that cross touching regions")
{
	struct fix f;

	fix_open(&f, N, true);
	kvt_raw_desc(&f.drv, 0, G2 - 10, 30, 0, 0);
	take(&f, 0, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->nr_out, 1);
	EXPECT_EQ(f.c->nr_iov_out, 2);
	EXPECT_EQ(f.c->iov[0].iov_len, 10);
	EXPECT(f.c->iov[1].iov_base == f.r2, "address");
	/* an indirect table, 24 bytes of it in one region, 8 in the next */
	memset(f.mem.base + SIZE - 24, 0, 24);
	memset(f.r2, 0, 8);
	((struct vring_desc *)(f.mem.base + SIZE - 24))->addr = htole64(G3);
	((struct vring_desc *)(f.mem.base + SIZE - 24))->len = htole32(7);
	kvt_raw_desc(&f.drv, 1, G2 - 24, 32, IN, 0);
	take(&f, 1, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->out_len, 7);
	fix_close(&f);
}

TEST("D-01 loops end, direct and indirect")
{
	struct fix f;

	fix_open(&f, N, true);
	kvt_raw_desc(&f.drv, 0, G1, 1, NX, 0);
	take(&f, 0, KVS_CHAIN_LOOP);
	kvt_raw_desc(&f.drv, 1, G1, 0, NX, 2);	/* empty: adds nothing */
	kvt_raw_desc(&f.drv, 2, G1, 0, NX, 1);
	take(&f, 1, KVS_CHAIN_LOOP);
	entry(&f, 0, G1, 1, NX, 1);
	entry(&f, 1, G1, 1, NX, 0);
	kvt_raw_desc(&f.drv, 3, kvt_gpa(&f.mem, f.table), 32, IN, 0);
	take(&f, 3, KVS_CHAIN_LOOP);
	/* a chain as long as the ring is none */
	f.drv.desc[0].next = htole16(1);
	for (unsigned int i = 0; i < N; i++)
		kvt_raw_desc(&f.drv, (uint16_t)i, G1, 1, i < N - 1 ? NX : 0,
			     (uint16_t)(i + 1));
	take(&f, 0, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->out_len, N);
	fix_close(&f);
}

TEST("D-01 a loop in a ring of 32768 ends")
{
	struct fix f;

	fix_open(&f, 32768, false);
	/* the walk ends at the longest chain allowed, not at 32768 */
	kvt_raw_desc(&f.drv, 7, G1, 0, NX, 7);
	take(&f, 7, KVS_CHAIN_TOO_LONG);
	fix_close(&f);
}

TEST("links that leave the table are refused")
{
	struct fix f;

	fix_open(&f, N, true);
	kvt_raw_desc(&f.drv, 0, G1, 1, NX, N);
	take(&f, 0, KVS_CHAIN_NEXT);
	kvt_raw_desc(&f.drv, 0, G1, 1, NX, 0xffff);
	take(&f, 0, KVS_CHAIN_NEXT);
	entry(&f, 0, G1, 1, NX, 2);
	kvt_raw_desc(&f.drv, 0, kvt_gpa(&f.mem, f.table), 32, IN, 0);
	take(&f, 0, KVS_CHAIN_NEXT);
	fix_close(&f);
}

static void long_chain(struct fix *f, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		kvt_raw_desc(&f->drv, (uint16_t)i, G1, 1, i < n - 1 ? NX : 0,
			     (uint16_t)(i + 1));
}

TEST("D-02 1024 pieces are taken, 1025 refused, split pieces count")
{
	struct fix f;
	unsigned int i;

	fix_open(&f, 4096, true);
	long_chain(&f, KVS_CHAIN_MAX);
	take(&f, 0, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->nr_out, KVS_CHAIN_MAX);
	long_chain(&f, KVS_CHAIN_MAX + 1);
	take(&f, 0, KVS_CHAIN_TOO_LONG);
	/* the last piece needs two elements where one is left */
	long_chain(&f, KVS_CHAIN_MAX);
	kvt_raw_desc(&f.drv, KVS_CHAIN_MAX - 1, G2 - 1, 2, 0, 0);
	take(&f, 0, KVS_CHAIN_TOO_LONG);
	for (i = 0; i < KVS_CHAIN_MAX; i++)
		entry(&f, i, G1, 1, i < KVS_CHAIN_MAX - 1 ? NX : 0,
		      (uint16_t)(i + 1));
	kvt_raw_desc(&f.drv, 0, kvt_gpa(&f.mem, f.table),
		     KVS_CHAIN_MAX * 16, IN, 0);
	take(&f, 0, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->nr_out, KVS_CHAIN_MAX);
	kvt_raw_desc(&f.drv, 0, kvt_gpa(&f.mem, f.table),
		     (KVS_CHAIN_MAX + 1) * 16, IN, 0);
	take(&f, 0, KVS_CHAIN_TOO_LONG);
	fix_close(&f);
}

TEST("D-03 empty pieces advance nothing, and thousands are refused")
{
	struct fix f;
	unsigned int i;

	fix_open(&f, 4096, true);
	kvt_raw_desc(&f.drv, 0, 0, 0, 0, 0);
	take(&f, 0, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->nr_out + f.c->nr_in, 0);
	for (i = 0; i < 4000; i++)
		kvt_raw_desc(&f.drv, (uint16_t)i, ~0ull, 0, NX,
			     (uint16_t)(i + 1));
	kvt_raw_desc(&f.drv, 1000, G1, 5, WR, 0);
	take(&f, 0, KVS_CHAIN_OK);
	EXPECT_EQ(f.c->nr_out, 0);
	EXPECT_EQ(f.c->nr_in, 1);
	EXPECT_EQ(f.c->in_len, 5);
	kvt_raw_desc(&f.drv, 1000, ~0ull, 0, NX, 1001);
	kvt_raw_desc(&f.drv, 4000, G1, 5, WR, 0);
	take(&f, 0, KVS_CHAIN_TOO_LONG);
	fix_close(&f);
}

TEST("D-04 lengths that overflow 32 bits are refused")
{
	uint16_t dir;
	struct fix f;

	fix_open(&f, 8192, false);
	for (dir = 0; dir <= WR; dir = (uint16_t)(dir + WR)) {
		kvt_raw_desc(&f.drv, 0, G1, 0xffffffff, dir, 0);
		take(&f, 0, KVS_CHAIN_RANGE);
		kvt_raw_desc(&f.drv, 0, G1, 16, dir | NX, 1);
		kvt_raw_desc(&f.drv, 1, G1, 0xfffffff0, dir, 0);
		take(&f, 0, KVS_CHAIN_LENGTH);
	}
	fix_close(&f);
}

TEST("D-05 bytes that are not guest memory refuse the chain")
{
	static const struct { uint64_t gpa; uint32_t len; } bad[] = {
		{ 0, 1 }, { G1 - 1, 2 }, { G2 + SIZE - 1, 2 },
		{ G2 + SIZE, 1 }, { G3 - 1, 2 }, { G3 + SIZE - 1, 2 },
		{ G2, SIZE + 4096 + 1 }, { ~0ull, 1 }, { ~0ull - 10, 100 },
		{ 1ull << 63, 4096 },
	};
	struct fix f;
	size_t i;

	fix_open(&f, N, true);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		kvt_raw_desc(&f.drv, 0, bad[i].gpa, bad[i].len, 0, 0);
		take(&f, 0, KVS_CHAIN_RANGE);
		/* behind good pieces it makes no difference */
		kvt_raw_desc(&f.drv, 1, G1, 100, NX, 2);
		kvt_raw_desc(&f.drv, 2, bad[i].gpa, bad[i].len, WR, 0);
		take(&f, 1, KVS_CHAIN_RANGE);
		/* and neither inside a table */
		entry(&f, 0, bad[i].gpa, bad[i].len, 0, 0);
		kvt_raw_desc(&f.drv, 0, kvt_gpa(&f.mem, f.table), 16, IN, 0);
		take(&f, 0, KVS_CHAIN_RANGE);
	}
	fix_close(&f);
}

TEST("D-06 readable behind writable is refused")
{
	struct fix f;

	fix_open(&f, N, true);
	kvt_raw_desc(&f.drv, 0, G1, 1, NX | WR, 1);
	kvt_raw_desc(&f.drv, 1, G1, 1, 0, 0);
	take(&f, 0, KVS_CHAIN_ORDER);
	kvt_raw_desc(&f.drv, 0, G1, 1, NX, 1);
	kvt_raw_desc(&f.drv, 1, G1, 1, NX | WR, 2);
	kvt_raw_desc(&f.drv, 2, G1, 1, 0, 0);
	take(&f, 0, KVS_CHAIN_ORDER);
	entry(&f, 0, G1, 1, 0, 0);
	kvt_raw_desc(&f.drv, 1, kvt_gpa(&f.mem, f.table), 16, IN, 0);
	kvt_raw_desc(&f.drv, 0, G1, 1, NX | WR, 1);
	take(&f, 0, KVS_CHAIN_ORDER);
	fix_close(&f);
}

TEST("D-07 indirect tables that break the rules are refused")
{
	static const uint32_t lens[] = { 0, 1, 15, 17, 31, 0xffffffff };
	struct fix f;
	uint64_t gpa;
	size_t i;

	fix_open(&f, N, true);
	gpa = kvt_gpa(&f.mem, f.table);
	entry(&f, 0, G1, 1, 0, 0);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		kvt_raw_desc(&f.drv, 0, gpa, lens[i], IN, 0);
		take(&f, 0, KVS_CHAIN_INDIRECT);
	}
	kvt_raw_desc(&f.drv, 0, gpa, 0xfffffff0, IN, 0);
	take(&f, 0, KVS_CHAIN_TOO_LONG);
	kvt_raw_desc(&f.drv, 0, gpa, 16, IN | NX, 1);
	kvt_raw_desc(&f.drv, 1, G1, 1, 0, 0);
	take(&f, 0, KVS_CHAIN_INDIRECT);
	entry(&f, 0, gpa, 16, IN, 0);		/* nested */
	kvt_raw_desc(&f.drv, 0, gpa, 16, IN, 0);
	take(&f, 0, KVS_CHAIN_INDIRECT);
	kvt_raw_desc(&f.drv, 0, ~0ull - 7, 16, IN, 0);
	take(&f, 0, KVS_CHAIN_RANGE);
	kvt_raw_desc(&f.drv, 0, G2 + SIZE, 16, IN, 0);
	take(&f, 0, KVS_CHAIN_RANGE);
	fix_close(&f);

	fix_open(&f, N, false);			/* not negotiated */
	kvt_raw_desc(&f.drv, 0, kvt_gpa(&f.mem, f.table), 16, IN, 0);
	take(&f, 0, KVS_CHAIN_INDIRECT);
	fix_close(&f);
}

struct racer {
	struct vring_desc *d;
	bool stop;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	uint64_t x = 1;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		uint64_t v = kvt_rand(&x);
		volatile struct vring_desc *d = &r->d[v & 7];

		d->len = htole32(v & 8 ? 64 : 0xfffffff0);
		d->addr = htole64(v & 16 ? G2 : G3 + SIZE - 32);
		d->flags = htole16(v & 32 ? 0 : (uint16_t)(v >> 40 & 7));
		d->next = htole16((uint16_t)(v >> 48 & 31));
	}
	return NULL;
}

TEST("D-08 a racing writer never gets bytes outside guest memory accepted")
{
	uint64_t deadline = kvt_deadline(20000);
	unsigned int i, j, taken = 0;
	struct racer r = { 0 };
	pthread_t th;
	struct fix f;

	fix_open(&f, 8, true);
	r.d = f.drv.desc;
	ASSERT_EQ(pthread_create(&th, NULL, race, &r), 0);
	/* long enough to meet the writer also where both share a CPU */
	for (i = 0; i < 100000 || (taken < 1000 && kvt_left(deadline)); i++) {
		uint64_t sum = 0;

		kvt_raw_avail(&f.drv, i & 7);
		ASSERT(kvs_ring_pop(&f.dev, f.map, f.c) > 0, "pop");
		ASSERT_EQ(kvs_ring_put(&f.dev, f.c->head, 0), 0);
		if (f.c->err)
			continue;
		taken++;
		for (j = 0; j < f.c->nr_iov_out + f.c->nr_iov_in; j++) {
			uint8_t *p = f.c->iov[j].iov_base;
			size_t n = f.c->iov[j].iov_len;

			ASSERT((p >= f.r2 && p + n <= f.r2 + SIZE) ||
			       (p >= f.r3 && p + n <= f.r3 + SIZE) ||
			       (p >= f.mem.base && p + n <= f.mem.base + SIZE),
			       "%zu bytes outside", n);
			sum += n;
		}
		ASSERT_EQ(sum, (uint64_t)f.c->out_len + f.c->in_len);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(th, NULL);
	NOTE("%u of %u chains were accepted", taken, i);
	EXPECT(taken, "the race never made a valid chain");
	fix_close(&f);
}
