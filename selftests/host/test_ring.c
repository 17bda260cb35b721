// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's side of a split ring (kmod/ring.c), driven by a driver in the
 * same process: sizes, wrap positions, notification suppression both ways,
 * and drivers that break the protocol.
 */
#include "split_drv.h"

static void offer(struct sp *p, unsigned int n)
{
	struct kvt_sg sg = kvt_sg(&p->mem, p->buf, 64);

	while (n--)
		kvt_ring_add(&p->drv, &sg, 0, 1, p->buf);
}

/* Fill and drain the ring until the 16-bit indices have gone round. */
static void round_trips(uint16_t num, unsigned int flags)
{
	unsigned int total = 0, i, batch;
	struct sp p;
	uint32_t len;

	sp_open(&p, num, flags, 0);
	for (batch = 1; total < 70000; total += batch) {
		batch = batch % num + 1;
		if (num > 64)
			batch = num;	/* keeps the number of steps bounded */
		offer(&p, batch);
		kvt_ring_publish(&p.drv);
		for (i = 0; i < batch; i++) {
			ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
			ASSERT_EQ(p.chain->in_len, 64);
			ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, i), 0);
		}
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
		ASSERT_EQ(kvt_ring_used(&p.drv), 0);
		ASSERT(kvs_ring_publish(&p.dev) >= 0, "publish");
		for (i = 0; i < batch; i++) {
			ASSERT(kvt_ring_get(&p.drv, NULL, &len), "used entry");
			ASSERT_EQ(len, i);
		}
		ASSERT_EQ(kvt_ring_used(&p.drv), 0);
		ASSERT_EQ(p.dev.inflight, 0);
	}
	sp_close(&p);
}

TEST("R-05 rings of 1 to 32768 entries go round the 16-bit indices")
{
	unsigned int num;

	for (num = 1; num <= 32768; num *= 2) {
		round_trips((uint16_t)num, KVT_RING_EVENT_IDX);
		round_trips((uint16_t)num, KVT_RING_LEGACY);
	}
}

static int check(struct kvs_ring_cfg c, u32 num, u64 d, u64 a, u64 u)
{
	c.num = num;
	c.desc += d;
	c.avail += a;
	c.used += u;
	return kvs_ring_check(&c);
}

TEST("R-05 R-06 bad sizes and addresses are refused at set-up")
{
	static const u32 bad[] = { 0, 3, 255, 32769, 65535, 65536, 0x80000000,
				   0xffffffff };
	struct kvs_ring_cfg c;
	struct sp p;
	size_t i;

	sp_open(&p, 256, 0, 0);
	c = p.cfg;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(check(c, bad[i], 0, 0, 0), -EINVAL);
	EXPECT_EQ(check(c, 256, 0, 0, 0), 0);
	EXPECT_EQ(check(c, 256, 8, 0, 0), -EINVAL);
	EXPECT_EQ(check(c, 256, 0, 1, 0), -EINVAL);
	EXPECT_EQ(check(c, 256, 0, 0, 2), -EINVAL);
	EXPECT_EQ(check(c, 256, 16, 2, 4), 0);
	c.desc = ~0ull - 15;
	EXPECT_EQ(check(c, 256, 0, 0, 0), -EFAULT);
	c = p.cfg;
	c.avail = ~0ull - 1;
	EXPECT_EQ(check(c, 1, 0, 0, 0), -EFAULT);
	c = p.cfg;
	c.used = ~0ull - 3;
	EXPECT_EQ(check(c, 1, 0, 0, 0), -EFAULT);
	sp_close(&p);
}

/* How many of @n single steps asked for a call when the wish is @event. */
static int calls_for(uint16_t base, uint16_t event, int n, int batch)
{
	int i, j, calls = 0;
	struct sp p;

	sp_open(&p, 16, KVT_RING_EVENT_IDX, base);
	/* one publication first: before it there is no "last time" */
	offer(&p, 1);
	kvt_ring_publish(&p.drv);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
	ASSERT_EQ(kvs_ring_publish(&p.dev), 1);
	kvt_ring_get(&p.drv, NULL, NULL);

	p.drv.avail->ring[16] = htole16(event);
	for (i = 0; i < n; i += batch) {
		for (j = 0; j < batch; j++) {
			offer(&p, 1);
			kvt_ring_publish(&p.drv);
			ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
			ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
		}
		calls += kvs_ring_publish(&p.dev);
		for (j = 0; j < batch; j++)
			ASSERT(kvt_ring_get(&p.drv, NULL, NULL), "used");
	}
	sp_close(&p);
	return calls;
}

TEST("event index: exactly one call when the wished entry is passed")
{
	static const uint16_t bases[] = { 0, 1, 0x7ffe, 0x7fff, 0x8000, 0xfff0,
					  0xfffd, 0xfffe, 0xffff };
	uint16_t b;
	size_t i;
	int at;

	for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		b = bases[i];
		/* entries base+1 ... base+12 are used one by one, by 3, by 4 */
		for (at = 1; at <= 12; at++) {
			EXPECT_EQ(calls_for(b, (uint16_t)(b + at), 12, 1), 1);
			EXPECT_EQ(calls_for(b, (uint16_t)(b + at), 12, 3), 1);
			EXPECT_EQ(calls_for(b, (uint16_t)(b + at), 12, 4), 1);
		}
		/* an entry already past, or still to come: none */
		EXPECT_EQ(calls_for(b, b, 12, 1), 0);
		EXPECT_EQ(calls_for(b, (uint16_t)(b + 13), 12, 4), 0);
	}
}

TEST("R-08 any value of the event index costs at most one call per batch")
{
	unsigned int e;

	for (e = 0; e < 65536; e += 509)
		EXPECT(calls_for(0xfff9, (uint16_t)e, 12, 4) <= 1,
		       "event %u", e);
}

TEST("without event index the driver's flag decides about calls")
{
	struct sp p;
	int i;

	sp_open(&p, 8, 0, 0);
	for (i = 0; i < 20; i++) {
		p.drv.avail->flags = htole16(i & 1 ? VRING_AVAIL_F_NO_INTERRUPT
						   : 0xfffe);
		offer(&p, 1);
		kvt_ring_publish(&p.drv);
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
		ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
		EXPECT_EQ(kvs_ring_publish(&p.dev), !(i & 1));
		EXPECT_EQ(kvs_ring_publish(&p.dev), 0);	/* nothing new */
		ASSERT(kvt_ring_get(&p.drv, NULL, NULL), "used");
	}
	sp_close(&p);
}

static void kick_wishes(unsigned int flags, uint16_t base)
{
	struct sp p;
	int i;

	sp_open(&p, 4, flags, base);
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(kvs_ring_arm(&p.dev), 0);
		EXPECT_EQ(kvs_ring_pending(&p.dev), 0);
		offer(&p, 1);
		EXPECT(kvt_ring_publish(&p.drv), "armed, but no kick wanted");
		EXPECT_EQ(kvs_ring_pending(&p.dev), 1);
		EXPECT_EQ(kvs_ring_disarm(&p.dev), 0);
		offer(&p, 1);
		EXPECT(!kvt_ring_publish(&p.drv), "a kick though disarmed");
		/* arming again now must report what is there already */
		EXPECT_EQ(kvs_ring_arm(&p.dev), 1);
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
		ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
		ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
		ASSERT(kvs_ring_publish(&p.dev) >= 0, "publish");
		ASSERT(kvt_ring_get(&p.drv, NULL, NULL), "used");
		ASSERT(kvt_ring_get(&p.drv, NULL, NULL), "used");
	}
	sp_close(&p);
}

TEST("kicks are asked for before sleeping and not while serving")
{
	kick_wishes(0, 0);
	kick_wishes(KVT_RING_EVENT_IDX, 0);
	kick_wishes(KVT_RING_EVENT_IDX, 0xffe0);
}

TEST("entries given back are popped again, in order")
{
	u16 first, second;
	struct sp p;

	sp_open(&p, 8, 0, 0xffff);
	offer(&p, 3);
	kvt_ring_publish(&p.drv);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	first = p.chain->head;
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	second = p.chain->head;
	EXPECT_EQ(p.dev.inflight, 2);
	kvs_ring_unpop(&p.dev, second);
	kvs_ring_unpop(&p.dev, first);
	EXPECT_EQ(p.dev.inflight, 0);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	EXPECT_EQ(p.chain->head, first);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	EXPECT_EQ(p.chain->head, second);
	EXPECT_EQ(kvs_ring_stop(&p.dev), 1);	/* 0xffff + 2 */
	ASSERT_EQ(kvs_ring_start(&p.dev, &p.cfg), 0);
	sp_close(&p);
}

/* See @n entries, find that they do not suffice, and give them back. */
static void look_at(struct sp *p, unsigned int n)
{
	u16 head[8];
	unsigned int i;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(kvs_ring_pop(&p->dev, p->map, p->chain), 1);
		head[i] = p->chain->head;
	}
	ASSERT_EQ(kvs_ring_pop(&p->dev, p->map, p->chain), 0);
	while (i--)
		kvs_ring_unpop(&p->dev, head[i]);
}

static void wait_for_more(unsigned int flags, uint16_t base)
{
	struct sp p;
	int i;

	sp_open(&p, 8, flags, base);
	offer(&p, 2);
	kvt_ring_publish(&p.drv);
	EXPECT_EQ(kvs_ring_disarm(&p.dev), 0);
	look_at(&p, 2);
	/* the two are known and do not keep the device awake */
	EXPECT_EQ(kvs_ring_pending(&p.dev), 0);
	EXPECT_EQ(kvs_ring_arm(&p.dev), 0);
	EXPECT_EQ(kvs_ring_arm(&p.dev), 0);
	if (flags & KVT_RING_EVENT_IDX)
		EXPECT_EQ(le16toh(*(uint16_t *)&p.drv.used->ring[8]),
			  (uint16_t)(base + 2));
	offer(&p, 1);
	EXPECT(kvt_ring_publish(&p.drv), "no kick for the entry waited for");

	EXPECT_EQ(kvs_ring_disarm(&p.dev), 0);
	look_at(&p, 3);
	offer(&p, 1);
	EXPECT(!kvt_ring_publish(&p.drv), "a kick though disarmed");
	/* one came in before arming: nobody will kick for it */
	EXPECT_EQ(kvs_ring_arm(&p.dev), 1);
	look_at(&p, 4);
	EXPECT_EQ(kvs_ring_arm(&p.dev), 0);

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
		ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
	}
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
	sp_close(&p);
}

TEST("entries that do not suffice: the device sleeps, the next one kicks")
{
	static const uint16_t bases[] = { 0, 7, 0x7ffe, 0xfffc, 0xfffd,
					  0xfffe, 0xffff };
	size_t i;

	for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		wait_for_more(0, bases[i]);
		wait_for_more(KVT_RING_EVENT_IDX, bases[i]);
	}
}

TEST("R-01 an available index that jumps ahead breaks the ring")
{
	struct sp p;

	sp_open(&p, 8, 0, 0);
	p.drv.avail->idx = htole16(9);
	sp_broken(&p, KVS_RING_AVAIL_JUMP);
	sp_close(&p);

	/* a full ring is no jump */
	sp_open(&p, 8, 0, 0xfffc);
	offer(&p, 8);
	kvt_ring_publish(&p.drv);
	EXPECT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	sp_close(&p);
}

TEST("R-02 an available index that moves back breaks the ring")
{
	struct sp p;

	sp_open(&p, 8, 0, 100);
	offer(&p, 2);
	kvt_ring_publish(&p.drv);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	p.drv.avail->idx = htole16(101);
	sp_broken(&p, KVS_RING_AVAIL_JUMP);
	sp_close(&p);
}

TEST("R-02 the same jump is found when arming")
{
	struct sp p;

	sp_open(&p, 8, KVT_RING_EVENT_IDX, 0);
	p.drv.avail->idx = htole16(0xffff);
	EXPECT_EQ(kvs_ring_arm(&p.dev), -EIO);
	EXPECT_EQ(p.dev.err, KVS_RING_AVAIL_JUMP);
	sp_close(&p);
}

TEST("R-03 an available entry outside the ring breaks it")
{
	static const uint16_t heads[] = { 8, 9, 0x7fff, 0xffff };
	struct sp p;
	size_t i;

	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		sp_open(&p, 8, 0, 0);
		kvt_raw_avail(&p.drv, heads[i]);
		sp_broken(&p, KVS_RING_BAD_HEAD);
		sp_close(&p);
	}
}

TEST("R-04 a head offered again while in flight breaks the ring")
{
	struct sp p;

	sp_open(&p, 8, 0, 0);
	kvt_raw_desc(&p.drv, 3, p.mem.gpa, 16, 0, 0);
	kvt_raw_avail(&p.drv, 3);
	kvt_raw_avail(&p.drv, 3);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	sp_broken(&p, KVS_RING_HEAD_BUSY);
	/* the first completes, unseen by the driver */
	EXPECT_EQ(p.dev.inflight, 1);
	EXPECT_EQ(kvs_ring_put(&p.dev, 3, 0), -EIO);
	EXPECT_EQ(p.dev.inflight, 0);
	EXPECT_EQ(kvt_ring_used(&p.drv), 0);
	sp_close(&p);

	/* once it came back it may be used again */
	sp_open(&p, 8, 0, 0);
	kvt_raw_desc(&p.drv, 3, p.mem.gpa, 16, 0, 0);
	kvt_raw_avail(&p.drv, 3);
	kvt_raw_avail(&p.drv, 3);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	ASSERT_EQ(kvs_ring_put(&p.dev, 3, 0), 0);
	EXPECT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	sp_close(&p);
}

TEST("R-11 what was put before the ring broke stays unpublished")
{
	struct sp p;

	sp_open(&p, 8, 0, 0);
	offer(&p, 2);
	kvt_ring_publish(&p.drv);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 0), 0);
	EXPECT_EQ(kvs_ring_break(&p.dev, KVS_RING_FAULT), -EIO);
	sp_broken(&p, KVS_RING_FAULT);
	EXPECT_EQ(kvt_ring_used(&p.drv), 0);
	sp_close(&p);
}

TEST("R-12 serving goes on at the base index and the ring's used index")
{
	struct sp p;
	u16 base;

	sp_open(&p, 8, KVT_RING_EVENT_IDX, 0xfffe);
	offer(&p, 4);
	kvt_ring_publish(&p.drv);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 1), 0);
	ASSERT_EQ(kvs_ring_publish(&p.dev), 1);
	base = kvs_ring_stop(&p.dev);
	EXPECT_EQ(base, 0xffff);
	p.cfg.base = base;
	ASSERT_EQ(kvs_ring_start(&p.dev, &p.cfg), 0);
	ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
	ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 2), 0);
	/* a restarted ring does not know the last call: it calls */
	EXPECT_EQ(kvs_ring_publish(&p.dev), 1);
	EXPECT_EQ(kvt_ring_used(&p.drv), 2);
	sp_close(&p);
}
