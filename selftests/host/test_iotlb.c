// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOTLB's table against a model that keeps a list, and what a chain does
 * that meets an address which is not there or not allowed (U-08).
 */
#include <endian.h>

#include "iotlb_table.h"
#include "kvt.h"
#include "kvt_ring.h"
#include "ring.h"

#define P 4096ull
#define RO KVS_MEM_READ
#define WO KVS_MEM_WRITE
#define RW (RO | WO)

/* ---- the model: entries in the order they were made ---- */

#define MAX 12
#define SPAN 40	/* pages */

struct entry {
	u64 iova, size, hva;
	u32 access;
};

struct model {
	struct entry e[MAX + 1];
	u32 nr;
};

static void forget(struct model *m, u64 iova, u64 last)
{
	u32 i, n = 0;

	for (i = 0; i < m->nr; i++)
		if (m->e[i].iova > last ||
		    m->e[i].iova + m->e[i].size - 1 < iova)
			m->e[n++] = m->e[i];
	m->nr = n;
}

static void learn(struct model *m, const struct entry *e)
{
	forget(m, e->iova, e->iova + e->size - 1);
	m->e[m->nr++] = *e;
	if (m->nr > MAX)
		memmove(m->e, m->e + 1, sizeof(*m->e) * --m->nr);
}

static const struct entry *lookup(const struct model *m, u64 iova)
{
	u32 i;

	for (i = 0; i < m->nr; i++)
		if (iova - m->e[i].iova < m->e[i].size)
			return &m->e[i];
	return NULL;
}

/* Every page, from both sides. */
static void compare(const struct model *m, const struct kvs_mem *mem)
{
	struct iovec iov;
	u64 page, miss;
	u8 access;
	int ret;

	ASSERT_EQ(mem->nr, m->nr);
	for (page = 0; page <= SPAN; page++) {
		const struct entry *e = lookup(m, page * P);

		for (access = RO; access <= RW; access++) {
			miss = 1;
			ret = kvs_iotlb_check(mem, page * P, P, access, &miss);
			if (!e) {
				ASSERT_EQ(ret, -EAGAIN);
				ASSERT_EQ(miss, page * P);
			} else {
				ASSERT_EQ(ret, access & ~e->access ? -EACCES :
								     0);
			}
		}
		if (e) {
			ASSERT_EQ(kvs_mem_iov(mem, page * P, P, &iov, 1), 1);
			ASSERT_EQ((uintptr_t)iov.iov_base,
				  e->hva + page * P - e->iova);
		}
	}
}

TEST("U-08 random messages: the table holds what a list would")
{
	const struct kvs_mem *mem = &kvs_iotlb_empty, *next;
	uint64_t state = kvt_seed();
	struct model m = { 0 };
	u32 i;

	for (i = 0; i < 20000; i++) {
		struct entry e = {
			.iova = kvt_rand(&state) % SPAN * P,
			.size = (1 + kvt_rand(&state) % 6) * P,
			.hva = (1 + kvt_rand(&state) % 1000) * P,
			.access = 1 + kvt_rand(&state) % 3,
		};
		struct kvs_region r = { e.iova, e.size, e.hva };

		if (kvt_rand(&state) % 5) {
			learn(&m, &e);
			ASSERT_EQ(kvs_iotlb_update(mem, &r, e.access, MAX,
						   &next), 0);
		} else {
			forget(&m, e.iova, e.iova + e.size - 1);
			next = kvs_iotlb_invalidate(mem, e.iova,
						    e.iova + e.size - 1);
		}
		if (next != mem)
			kvs_iotlb_free(mem);
		mem = next;
		compare(&m, mem);
	}
	kvs_iotlb_free(mem);
}

TEST("U-08 entries that cannot be")
{
	const struct kvs_mem *none = &kvs_iotlb_empty, *out;
	static const struct {
		struct kvs_region r;
		u32 access;
	} bad[] = {
		{ { 0, 0, 0 }, RW },
		{ { P, 0, P }, RW },
		{ { ~0ull, 1, P }, RW },
		{ { P, ~0ull, P }, RW },
		{ { ~0ull - P + 1, P, P }, RW },
		{ { 0, P, ~0ull }, RW },
		{ { 0, P, P }, 0 },
		{ { 0, P, P }, 4 },
		{ { 0, P, P }, RW | 0x80 },
	};
	u32 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(kvs_iotlb_update(none, &bad[i].r, bad[i].access, MAX,
					   &out), -EINVAL);
	EXPECT(kvs_iotlb_invalidate(none, 0, ~0ull) == none, "made a table");
}

TEST("U-08 the whole address space in one and in two entries")
{
	struct kvs_region all = { 0, ~0ull, 0 };
	struct kvs_region half[] = { { 0, 1ull << 63, 0 },
				     { 1ull << 63, (1ull << 63) - 1, 0 } };
	const struct kvs_mem *mem, *two;
	u64 miss;

	ASSERT_EQ(kvs_iotlb_update(&kvs_iotlb_empty, &all, RO, MAX, &mem), 0);
	EXPECT_EQ(kvs_iotlb_check(mem, 0, ~0ull, RO, &miss), 0);
	EXPECT_EQ(kvs_iotlb_check(mem, 0, ~0ull, WO, &miss), -EACCES);
	EXPECT_EQ(kvs_iotlb_check(mem, 1, ~0ull, RO, &miss), -EFAULT);
	ASSERT_EQ(kvs_iotlb_update(mem, &half[0], RW, MAX, &two), 0);
	kvs_iotlb_free(mem);
	EXPECT_EQ(two->nr, 1);
	EXPECT_EQ(kvs_iotlb_check(two, 0, ~0ull, RW, &miss), -EAGAIN);
	EXPECT_EQ(miss, 1ull << 63);
	ASSERT_EQ(kvs_iotlb_update(two, &half[1], RW, MAX, &mem), 0);
	kvs_iotlb_free(two);
	EXPECT_EQ(kvs_iotlb_check(mem, 0, ~0ull, RW, &miss), 0);
	two = kvs_iotlb_invalidate(mem, ~0ull - 1, ~0ull);
	kvs_iotlb_free(mem);
	EXPECT_EQ(two->nr, 1);
	mem = kvs_iotlb_invalidate(two, 0, ~0ull);
	kvs_iotlb_free(two);
	EXPECT_EQ(mem->nr, 0);
	kvs_iotlb_free(mem);
}

TEST("a range in one piece, and one that is not")
{
	struct kvs_region r[] = { { 0, P, 10 * P }, { P, P, 11 * P },
				  { 2 * P, P, 20 * P } };
	const struct kvs_mem *mem = &kvs_iotlb_empty, *next;
	u64 hva;
	u32 i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(kvs_iotlb_update(mem, &r[i], RW, MAX, &next), 0);
		kvs_iotlb_free(mem);
		mem = next;
	}
	EXPECT_EQ(kvs_iotlb_linear(mem, 100, 2 * P - 100, &hva), 0);
	EXPECT_EQ(hva, 10 * P + 100);
	EXPECT_EQ(kvs_iotlb_linear(mem, 2 * P, P, &hva), 0);
	EXPECT_EQ(hva, 20 * P);
	EXPECT_EQ(kvs_iotlb_linear(mem, P, P + 1, &hva), -EFAULT);
	EXPECT_EQ(kvs_iotlb_linear(mem, 2 * P, P + 1, &hva), -EFAULT);
	EXPECT_EQ(kvs_iotlb_linear(mem, 5 * P, 1, &hva), -EFAULT);
	kvs_iotlb_free(mem);
}

/* ---- chains ---- */

#define IOVA 0x100000000ull

struct bed {
	struct kvt_mem mem;
	struct kvt_ring drv;
	struct kvs_ring ring;
	struct kvs_chain *chain;
	const struct kvs_mem *map;
};

static void bed_open(struct bed *b)
{
	struct kvs_ring_cfg cfg = { .num = 16, .indirect = true };

	kvt_mem_init(&b->mem, 32 * P, IOVA);
	kvt_ring_init(&b->drv, &b->mem, 16, KVT_RING_INDIRECT);
	cfg.desc = (uintptr_t)b->drv.desc;
	cfg.avail = (uintptr_t)b->drv.avail;
	cfg.used = (uintptr_t)b->drv.used;
	memset(&b->ring, 0, sizeof(b->ring));
	ASSERT_EQ(kvs_ring_start(&b->ring, &cfg), 0);
	b->chain = calloc(1, sizeof(*b->chain));
	ASSERT(b->chain, "out of memory");
	b->map = &kvs_iotlb_empty;
}

static void bed_close(struct bed *b)
{
	kvs_iotlb_free(b->map);
	free(b->chain);
	kvs_ring_stop(&b->ring);
	kvt_ring_free(&b->drv);
	kvt_mem_free(&b->mem);
}

/* The page that holds @iova becomes known. */
static void map(struct bed *b, u64 iova, u32 access)
{
	u64 off = (iova - IOVA) & ~(P - 1);
	struct kvs_region r = { IOVA + off, P, (uintptr_t)b->mem.base + off };
	const struct kvs_mem *next;

	ASSERT_EQ(kvs_iotlb_update(b->map, &r, access, MAX, &next), 0);
	kvs_iotlb_free(b->map);
	b->map = next;
}

/* The next chain is refused for @err; it stays the next one. */
static void refused(struct bed *b, u8 err)
{
	ASSERT_EQ(kvs_ring_pop(&b->ring, b->map, b->chain), KVS_POP_REFUSED);
	ASSERT_EQ(b->chain->err, err);
	kvs_ring_unpop(&b->ring, b->chain->head);
}

static void missed(struct bed *b, u64 iova, u32 access)
{
	refused(b, KVS_CHAIN_MISS);
	EXPECT_EQ(b->chain->miss, iova);
	EXPECT_EQ(b->chain->miss_access, access);
}

TEST("a chain is taken when its last page is known, table included")
{
	struct kvt_sg sg[2];
	struct bed b;
	u64 table;
	u16 head;

	bed_open(&b);
	sg[0] = (struct kvt_sg){ IOVA + 20 * P + 100, 2 * P };
	sg[1] = (struct kvt_sg){ IOVA + 25 * P, P };
	head = kvt_ring_add(&b.drv, sg, 1, 1, &b);
	kvt_ring_publish(&b.drv);
	table = kvt_gpa(&b.mem, &b.drv.indirect[head * KVT_INDIRECT_MAX]);
	missed(&b, table, RO);
	map(&b, table, RO);
	missed(&b, IOVA + 20 * P + 100, RO);
	map(&b, IOVA + 20 * P, RO);
	missed(&b, IOVA + 21 * P, RO);
	map(&b, IOVA + 22 * P, RO);
	map(&b, IOVA + 21 * P, RO);
	missed(&b, IOVA + 25 * P, WO);
	map(&b, IOVA + 25 * P, WO);
	ASSERT_EQ(kvs_ring_pop(&b.ring, b.map, b.chain), KVS_POP_CHAIN);
	EXPECT_EQ(b.chain->head, head);
	EXPECT_EQ(b.chain->nr_iov_out, 3);
	EXPECT_EQ(b.chain->nr_iov_in, 1);
	EXPECT((u8 *)b.chain->iov[0].iov_base == b.mem.base + 20 * P + 100,
	       "translated to %p", b.chain->iov[0].iov_base);
	bed_close(&b);
}

TEST("what is known but not allowed refuses the chain")
{
	struct kvt_sg sg[2] = { { IOVA + 20 * P, P }, { IOVA + 21 * P, P } };
	struct bed b;

	bed_open(&b);
	kvt_raw_desc(&b.drv, 0, sg[0].gpa, P, VRING_DESC_F_NEXT, 1);
	kvt_raw_desc(&b.drv, 1, sg[1].gpa, P, VRING_DESC_F_WRITE, 0);
	kvt_raw_avail(&b.drv, 0);
	map(&b, sg[0].gpa, WO);
	map(&b, sg[1].gpa, RW);
	refused(&b, KVS_CHAIN_ACCESS);
	map(&b, sg[0].gpa, RW);
	map(&b, sg[1].gpa, RO);
	refused(&b, KVS_CHAIN_ACCESS);
	map(&b, sg[1].gpa, WO);
	ASSERT_EQ(kvs_ring_pop(&b.ring, b.map, b.chain), KVS_POP_CHAIN);
	bed_close(&b);
}

TEST("a range at the end of the address space is refused, not asked for")
{
	struct bed b;

	bed_open(&b);
	kvt_raw_desc(&b.drv, 0, ~0ull - 10, 100, 0, 0);
	kvt_raw_avail(&b.drv, 0);
	refused(&b, KVS_CHAIN_RANGE);
	kvt_raw_desc(&b.drv, 0, ~0ull - 10, 32, VRING_DESC_F_INDIRECT, 0);
	refused(&b, KVS_CHAIN_RANGE);
	bed_close(&b);
}

TEST("a packed ring goes back to where the chain began, and takes it later")
{
	static const struct kvs_ring_cfg fresh = {
		.num = 5, .packed = true, .base = 0x80008000,
	};
	struct kvs_ring_cfg cfg = fresh;
	struct vring_packed_desc *desc;
	uint16_t avail = 1 << VRING_PACKED_DESC_F_AVAIL;
	struct bed b;
	u32 i;

	bed_open(&b);
	kvs_ring_stop(&b.ring);
	desc = kvt_mem_alloc(&b.mem, 16 * cfg.num, 16);
	cfg.desc = (uintptr_t)desc;
	cfg.avail = (uintptr_t)kvt_mem_alloc(&b.mem, 4, 4);
	cfg.used = (uintptr_t)kvt_mem_alloc(&b.mem, 4, 4);
	ASSERT_EQ(kvs_ring_start(&b.ring, &cfg), 0);
	for (i = 0; i < 3; i++) {
		desc[i].addr = htole64(IOVA + (20 + i) * P);
		desc[i].len = htole32(P);
		desc[i].id = htole16(3);
		desc[i].flags = htole16((i < 2 ? VRING_DESC_F_NEXT : 0) |
					avail);
	}
	for (i = 0; i < 3; i++) {
		missed(&b, IOVA + (20 + i) * P, RO);
		EXPECT_EQ(kvs_ring_base(&b.ring), 0x80008000);
		map(&b, IOVA + (20 + i) * P, RO);
	}
	ASSERT_EQ(kvs_ring_pop(&b.ring, b.map, b.chain), KVS_POP_CHAIN);
	EXPECT_EQ(b.chain->nr_out, 3);
	EXPECT_EQ(b.chain->head, 3);
	EXPECT_EQ(kvs_ring_base(&b.ring), 0x80008003);
	bed_close(&b);
}
