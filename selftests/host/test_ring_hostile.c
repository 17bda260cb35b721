// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that break the rules of a packed ring (R-04, R-05, R-06, R-09,
 * R-12), and of a split one in what was read ahead.
 */
#include "packed_drv.h"

#define NX VRING_DESC_F_NEXT

/* Chains of one descriptor, with ids like their places. */
static void offer(struct pk *p, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		pk_raw(p, i, true, i, 0);
}

/* The device holds them then. */
static void offer_and_pop(struct pk *p, unsigned int n)
{
	offer(p, n);
	while (n--)
		ASSERT_EQ(kvs_ring_pop(&p->dev, p->map, p->chain), 1);
}

TEST("R-05 R-06 packed: bad sizes and addresses are refused at set-up")
{
	static const u32 bad[] = { 0, 32769, 65536, ~0u };
	struct kvs_ring_cfg c;
	struct pk p;
	size_t i;

	pk_open(&p, 100, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c = p.cfg;
		c.num = bad[i];
		EXPECT_EQ(kvs_ring_check(&c), -EINVAL);
	}
	for (i = 1; i < 16; i++) {
		c = p.cfg;
		c.desc += i;
		EXPECT_EQ(kvs_ring_check(&c), -EINVAL);
		c = p.cfg;
		c.avail += i;
		EXPECT_EQ(kvs_ring_check(&c), i % 4 ? -EINVAL : 0);
		c = p.cfg;
		c.used += i;
		EXPECT_EQ(kvs_ring_check(&c), i % 4 ? -EINVAL : 0);
	}
	c = p.cfg;
	c.desc = ~0ull - 15;
	EXPECT_EQ(kvs_ring_check(&c), -EFAULT);
	c = p.cfg;
	c.packed = false;	/* 100 is no size of a split ring */
	EXPECT_EQ(kvs_ring_check(&c), -EINVAL);
	pk_close(&p);
}

TEST("R-12 packed: a base outside the ring, or apart by more than a round")
{
	static const struct { u32 base; int ret; } cases[] = {
		{ PK_FRESH, 0 }, { 0, 0 }, { 0x80638063, 0 }, { 0x00000063, 0 },
		{ 0x80058004, -EINVAL }, { 0x80058064, -EINVAL },
		{ 0x80648000, -EINVAL }, { 0x80050006, -EINVAL },
		{ 0x80050005, 0 }, { 0x00058005, 0 }, { 0x00068005, 0 },
		{ 0x7fffffff, -EINVAL }, { ~0u, -EINVAL },
	};
	struct pk p;
	size_t i;

	pk_open(&p, 100, 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p.cfg.base = cases[i].base;
		EXPECT(kvs_ring_check(&p.cfg) == cases[i].ret, "base %#x",
		       cases[i].base);
	}
	p.cfg.packed = false;
	p.cfg.num = 128;
	p.cfg.base = 0x10000;
	EXPECT_EQ(kvs_ring_check(&p.cfg), -EINVAL);
	pk_close(&p);
}

TEST("R-09 packed: a buffer id outside the ring")
{
	static const uint16_t ids[] = { 8, 9, 0x7fff, 0xffff };
	struct pk p;
	size_t i;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		pk_open(&p, 8, 0);
		pk_raw(&p, 0, true, ids[i], 0);
		pk_broken(&p, KVS_RING_BAD_HEAD);
		pk_close(&p);
	}
}

TEST("R-04 packed: a buffer id offered again while in flight")
{
	struct pk p;

	pk_open(&p, 8, 0);
	pk_raw(&p, 0, true, 3, 0);
	pk_raw(&p, 1, true, 3, 0);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	pk_broken(&p, KVS_RING_HEAD_BUSY);
	EXPECT_EQ(p.dev.inflight, 1);
	EXPECT_EQ(kvs_ring_put(&p.dev, 3, 0), -EIO);
	EXPECT_EQ(p.dev.inflight, 0);
	pk_close(&p);
}

TEST("R-09 packed: a chain longer than the ring, or than what is free in it")
{
	static const uint16_t nums[] = { 1, 5, 64, 100, 4096 };
	struct pk p;
	unsigned int i, k;

	for (k = 0; k < sizeof(nums) / sizeof(nums[0]); k++) {
		pk_open(&p, nums[k], 0);
		for (i = 0; i < nums[k]; i++)
			pk_raw(&p, i, true, 0, NX);
		/* all say "next", but the second round is not offered */
		pk_broken(&p, KVS_RING_BAD_WRAP);
		pk_close(&p);
	}

	/* the driver flips descriptors that the device still holds */
	pk_open(&p, 8, 0);
	offer_and_pop(&p, 5);
	for (i = 5; i < 8; i++)
		pk_raw(&p, i, true, 5, NX);
	pk_raw(&p, 0, false, 5, 0);
	pk_broken(&p, KVS_RING_AVAIL_JUMP);
	EXPECT_EQ(p.dev.inflight, 5);
	pk_close(&p);
}

TEST("R-09 packed: a full ring offered once more while all is in flight")
{
	struct pk p;

	pk_open(&p, 8, 0);
	offer_and_pop(&p, 8);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
	/* put, but not shown: the driver cannot know */
	ASSERT_EQ(kvs_ring_put(&p.dev, 0, 0), 0);
	pk_raw(&p, 0, false, 0, 0);
	pk_broken(&p, KVS_RING_AVAIL_JUMP);
	pk_close(&p);
}

TEST("R-09 packed: the wrap bit decides, whatever else is there")
{
	struct pk p;

	pk_open(&p, 4, 0);
	pk_raw(&p, 0, false, 0, 0);	/* the other round */
	EXPECT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
	p.desc[0].flags = htole16(PK_AVAIL | PK_USED);
	EXPECT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
	p.desc[0].flags = 0;
	EXPECT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
	/* a chain whose second half belongs to the other round */
	pk_raw(&p, 1, false, 0, 0);
	pk_raw(&p, 0, true, 0, NX);
	pk_broken(&p, KVS_RING_BAD_WRAP);
	pk_close(&p);
}

TEST("R-09 packed: what is wrong behind good chains waits for its turn")
{
	struct pk p;
	unsigned int i;

	pk_open(&p, 20, 0);
	offer(&p, 10);
	pk_raw(&p, 10, true, 20, 0);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
		EXPECT_EQ(p.chain->head, i);
		ASSERT_EQ(kvs_ring_put(&p.dev, i, 0), 0);
	}
	EXPECT_EQ(kvs_ring_publish(&p.dev), 1);
	pk_broken(&p, KVS_RING_BAD_HEAD);
	pk_close(&p);
}

TEST("packed: more descriptors than a chain may have are passed over")
{
	struct pk p;
	unsigned int i;

	pk_open(&p, 2000, 0);
	for (i = 0; i < 1999; i++)
		pk_raw(&p, i, true, 7, i < 1998 ? NX : 0);
	pk_raw(&p, 1999, true, 8, 0);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), KVS_POP_REFUSED);
	EXPECT_EQ(p.chain->err, KVS_CHAIN_TOO_LONG);
	EXPECT_EQ(p.chain->head, 7);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), KVS_POP_CHAIN);
	EXPECT_EQ(p.chain->head, 8);
	pk_close(&p);
}
