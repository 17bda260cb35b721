// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's side of a packed ring (kmod/ring_packed.c) against a driver in
 * the same process: every kind of size, wrap positions, completion out of
 * order, notification suppression both ways, and where serving stands.
 */
#include "packed_drv.h"

/* Take what is there; complete it newest first in pairs, so out of order. */
static unsigned int serve(struct pk *p, unsigned int n)
{
	u16 head[2];
	u32 len[2];
	unsigned int i, k, done = 0;

	while (done < n) {
		for (k = 0; k < 2 && done < n; k++, done++) {
			ASSERT_EQ(kvs_ring_pop(&p->dev, p->map, p->chain), 1);
			head[k] = p->chain->head;
			len[k] = p->chain->in_len;
			ASSERT_EQ(p->chain->out_len + len[k],
				  p->count[head[k]] * PK_LEN);
		}
		for (i = k; i--;)
			ASSERT_EQ(kvs_ring_put(&p->dev, head[i], len[i]), 0);
	}
	return done;
}

static void round_trips(uint16_t num, unsigned int flags)
{
	unsigned int total = 0, i, n, k, rounds = 0;
	unsigned int max = num < 4 ? num : 4;
	struct pk p;
	uint16_t id;
	uint32_t len;

	pk_open(&p, num, flags);
	while (total < 4u * num + 1000) {
		unsigned int want = ++rounds * 7 % 150 + 1;

		for (n = 0; n < want && p.room >= max; n++) {
			k = (rounds + n) % max + 1;
			pk_offer(&p, k / 2, k - k / 2);
		}
		if (!n && p.room) {
			pk_offer(&p, 0, 1);
			n = 1;
		}
		serve(&p, n);
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
		ASSERT(num < 2 || !pk_has_used(&p) ||
		       (flags & PK_ONE_BY_ONE && num == 1),
		       "%u used before it was published", num);
		ASSERT(kvs_ring_publish(&p.dev) >= 0, "publish");
		for (i = 0; i < n; i++)
			ASSERT_EQ(pk_get(&p, &id, &len), 1);
		ASSERT(!pk_has_used(&p), "one too many");
		ASSERT_EQ(p.room, num);
		ASSERT_EQ(p.dev.inflight, 0);
		ASSERT_EQ(p.dev.owned, 0);
		ASSERT_EQ(kvs_ring_base(&p.dev), pk_pos(&p) * 0x10001u);
		total += n;
	}
	pk_close(&p);
}

TEST("packed: rings of any size go round, completed out of order")
{
	static const uint16_t nums[] = { 1, 2, 3, 4, 5, 7, 63, 64, 65, 100,
					 127, 255, 256, 1000, 4097, 32767,
					 32768 };
	size_t i;

	for (i = 0; i < sizeof(nums) / sizeof(nums[0]); i++) {
		round_trips(nums[i], 0);
		round_trips(nums[i], PK_EVENT);
		round_trips(nums[i], PK_ONE_BY_ONE);
	}
}

TEST("packed: a batch longer than what is kept back shows at once")
{
	struct pk p;
	uint16_t id;
	uint32_t len;
	unsigned int i;

	pk_open(&p, 200, 0);
	for (i = 0; i < 190; i++)
		pk_offer(&p, 0, 1);
	for (i = 0; i < 190; i++) {
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
		ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, i), 0);
		ASSERT(!pk_has_used(&p), "seen after %u", i);
	}
	EXPECT_EQ(kvs_ring_publish(&p.dev), 1);
	EXPECT_EQ(kvs_ring_publish(&p.dev), 0);
	for (i = 0; i < 190; i++) {
		ASSERT_EQ(pk_get(&p, &id, &len), 1);
		EXPECT_EQ(len, i);
	}
	pk_close(&p);
}

static void entry(struct pk *p, unsigned int i, uint64_t gpa, uint16_t flags)
{
	p->table[i] = (struct vring_packed_desc){
		htole64(gpa), htole32(PK_LEN), 0, htole16(flags) };
}

/* Offer the table's first @bytes; what becomes of it? */
static int indirect(struct pk *p, uint32_t bytes, uint16_t flags)
{
	uint16_t id = pk_offer(p, 1, 0), at = p->at ? p->at - 1 : p->num - 1;
	int ret;

	p->desc[at].addr = htole64(kvt_gpa(&p->mem, p->table));
	p->desc[at].len = htole32(bytes);
	p->desc[at].flags |= htole16(VRING_DESC_F_INDIRECT | flags);
	ret = kvs_ring_pop(&p->dev, p->map, p->chain);
	if (ret > 0) {
		uint32_t len;

		EXPECT_EQ(p->chain->head, id);
		ASSERT_EQ(kvs_ring_put(&p->dev, id, 0), 0);
		ASSERT(kvs_ring_publish(&p->dev) >= 0, "publish");
		ASSERT_EQ(pk_get(p, &id, &len), 1);
	}
	return ret;
}

TEST("packed D-07: indirect tables, all of their entries, and bad ones")
{
	struct pk p;
	int i;

	pk_open(&p, 5, PK_INDIRECT);
	for (i = 0; i < 40; i++)
		entry(&p, i, p.gpa, i < 20 ? 0 : VRING_DESC_F_WRITE);
	for (i = 0; i < 12; i++) {
		ASSERT_EQ(indirect(&p, 40 * 16, 0), KVS_POP_CHAIN);
		EXPECT_EQ(p.chain->nr_out, 20);
		EXPECT_EQ(p.chain->nr_in, 20);
		EXPECT_EQ(p.chain->in_len, 20 * PK_LEN);
	}
	EXPECT_EQ(indirect(&p, 0, 0), KVS_POP_REFUSED);
	EXPECT_EQ(p.chain->err, KVS_CHAIN_INDIRECT);
	EXPECT_EQ(indirect(&p, 17, 0), KVS_POP_REFUSED);
	EXPECT_EQ(indirect(&p, 16 * (KVS_CHAIN_MAX + 1), 0), KVS_POP_REFUSED);
	EXPECT_EQ(p.chain->err, KVS_CHAIN_TOO_LONG);
	entry(&p, 1, p.gpa, VRING_DESC_F_INDIRECT);
	EXPECT_EQ(indirect(&p, 40 * 16, 0), KVS_POP_REFUSED);
	EXPECT_EQ(p.chain->err, KVS_CHAIN_INDIRECT);
	entry(&p, 1, 12345, 0);
	EXPECT_EQ(indirect(&p, 40 * 16, 0), KVS_POP_REFUSED);
	EXPECT_EQ(p.chain->err, KVS_CHAIN_RANGE);
	p.dev.indirect = false;
	EXPECT_EQ(indirect(&p, 16, 0), KVS_POP_REFUSED);
	EXPECT_EQ(p.dev.err, KVS_RING_OK);
	pk_close(&p);
}

TEST("packed: a refused chain is passed over as a whole")
{
	struct pk p;
	uint32_t len;
	uint16_t id, bad;
	int i;

	pk_open(&p, 7, 0);
	for (i = 0; i < 30; i++) {
		uint16_t at = p.at;

		bad = pk_offer(&p, 1, 2);
		p.desc[at].addr = htole64(1);
		pk_offer(&p, 1, 1);
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain),
			  KVS_POP_REFUSED);
		EXPECT_EQ(p.chain->err, KVS_CHAIN_RANGE);
		EXPECT_EQ(p.chain->head, bad);
		ASSERT_EQ(kvs_ring_put(&p.dev, bad, 0), 0);
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
		ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 5), 0);
		ASSERT_EQ(kvs_ring_publish(&p.dev), 1);
		ASSERT_EQ(pk_get(&p, &id, &len), 1);
		EXPECT_EQ(len, 0);
		ASSERT_EQ(pk_get(&p, &id, &len), 1);
		EXPECT_EQ(len, 5);
	}
	pk_close(&p);
}

static int step(struct pk *p, unsigned int batch)
{
	unsigned int i;
	uint32_t len;
	uint16_t id;
	int ret;

	for (i = 0; i < batch; i++)
		pk_offer(p, 1, 0);
	serve(p, batch);
	ret = kvs_ring_publish(&p->dev);
	for (i = 0; i < batch; i++)
		ASSERT_EQ(pk_get(p, &id, &len), 1);
	return ret;
}

static void wish(struct pk *p, uint16_t off_wrap, uint16_t flags)
{
	p->drv_ev->off_wrap = htole16(off_wrap);
	p->drv_ev->flags = htole16(flags);
}

/* Calls of @n single chains used in batches, waiting for position @at. */
static int calls_for(uint16_t num, uint16_t start, uint16_t at, bool wrap,
		     unsigned int n, unsigned int batch)
{
	unsigned int i;
	int calls = 0;
	struct pk p;

	pk_open(&p, num, PK_EVENT);
	wish(&p, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
	for (i = 0; i < start; i++)
		EXPECT_EQ(step(&p, 1), 0);
	wish(&p, at | (wrap ? KVS_RING_WRAP : 0), VRING_PACKED_EVENT_FLAG_DESC);
	for (i = 0; i < n; i += batch)
		calls += step(&p, batch);
	pk_close(&p);
	return calls;
}

TEST("packed event index: exactly one call when the descriptor is passed")
{
	static const uint16_t nums[] = { 12, 13, 16 };
	unsigned int b, start, k;
	size_t i;

	for (i = 0; i < 3; i++) {
		uint16_t num = nums[i];

		for (start = 1; start < 2u * num; start++) {
			for (k = 0; k < 12; k++) {
				unsigned int at = start + k;
				bool wrap = !(at / num & 1);

				for (b = 1; b <= 4; b += 1 + b / 3)
					EXPECT_EQ(calls_for(num, start,
							    at % num, wrap, 12,
							    b), 1);
			}
			/* the one before, and the one after */
			EXPECT_EQ(calls_for(num, start, (start - 1) % num,
					    !((start - 1) / num & 1), 12, 4),
				  0);
			EXPECT_EQ(calls_for(num, start, (start + 12) % num,
					    !((start + 12) / num & 1), 12, 4),
				  0);
		}
	}
}

TEST("R-10 reserved event flags and offsets outside the ring: always a call")
{
	struct pk p;

	pk_open(&p, 10, PK_EVENT);
	wish(&p, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
	EXPECT_EQ(step(&p, 1), 1);
	EXPECT_EQ(step(&p, 1), 1);
	wish(&p, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
	EXPECT_EQ(step(&p, 1), 0);
	wish(&p, 0, 3);
	EXPECT_EQ(step(&p, 1), 1);
	wish(&p, 0, 0xfffc | VRING_PACKED_EVENT_FLAG_DISABLE);
	EXPECT_EQ(step(&p, 1), 0);
	wish(&p, 10, VRING_PACKED_EVENT_FLAG_DESC);
	EXPECT_EQ(step(&p, 1), 1);
	wish(&p, 0xffff, VRING_PACKED_EVENT_FLAG_DESC);
	EXPECT_EQ(step(&p, 3), 1);
	p.dev.event_idx = false;	/* not negotiated: no such thing */
	wish(&p, 9, VRING_PACKED_EVENT_FLAG_DESC);
	EXPECT_EQ(step(&p, 1), 1);
	pk_close(&p);
}

/* Would a driver that went from @from on kick now? (virtio 1.2, 2.8.21.3) */
static bool kick_wanted(const struct pk *p, uint16_t n)
{
	uint16_t off = le16toh(p->dev_ev->off_wrap);
	int event = off & 0x7fff;

	switch (le16toh(p->dev_ev->flags)) {
	case VRING_PACKED_EVENT_FLAG_ENABLE:
		return true;
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		return false;
	}
	if (p->wrap != !!(off & KVS_RING_WRAP))
		event -= p->num;
	return (uint16_t)(p->at - event - 1) < n;
}

static void waiting(uint16_t num, unsigned int flags)
{
	struct pk p;
	uint32_t len;
	uint16_t id, head[3];
	int i, k;

	pk_open(&p, num, flags);
	for (i = 0; i < 3 * num; i++) {
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
		ASSERT_EQ(kvs_ring_arm(&p.dev), 0);
		EXPECT_EQ(kvs_ring_pending(&p.dev), 0);
		pk_offer(&p, 0, 2);
		EXPECT(kick_wanted(&p, 2), "armed, but no kick wanted");
		EXPECT_EQ(kvs_ring_pending(&p.dev), 1);
		EXPECT_EQ(kvs_ring_disarm(&p.dev), 0);
		pk_offer(&p, 0, 1);
		EXPECT(!kick_wanted(&p, 1), "a kick though disarmed");

		/* two do not suffice: back they go, and wait for a third */
		for (k = 0; k < 2; k++) {
			ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
			head[k] = p.chain->head;
		}
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
		kvs_ring_unpop(&p.dev, head[1]);
		kvs_ring_unpop(&p.dev, head[0]);
		EXPECT_EQ(p.dev.owned, 0);
		EXPECT_EQ(kvs_ring_pending(&p.dev), 0);
		EXPECT_EQ(kvs_ring_arm(&p.dev), 0);
		pk_offer(&p, 0, 2);
		EXPECT(kick_wanted(&p, 2), "no kick for the one waited for");
		EXPECT_EQ(kvs_ring_arm(&p.dev), 1);
		EXPECT(!kick_wanted(&p, 2), "asked for, though awake");

		for (k = 0; k < 3; k++) {
			ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
			if (k < 2)
				EXPECT_EQ(p.chain->head, head[k]);
			ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 1), 0);
		}
		ASSERT_EQ(kvs_ring_publish(&p.dev), 1);
		while (pk_get(&p, &id, &len))
			;
		ASSERT_EQ(p.room, num);
	}
	pk_close(&p);
}

TEST("packed: kicks are asked for before sleeping, for what is not yet seen")
{
	static const uint16_t nums[] = { 5, 8, 63, 64, 65, 130 };
	size_t i;

	for (i = 0; i < sizeof(nums) / sizeof(nums[0]); i++) {
		waiting(nums[i], 0);
		waiting(nums[i], PK_EVENT);
		waiting(nums[i], PK_EVENT | PK_ONE_BY_ONE);
	}
}

TEST("packed: serving goes on at the base, however much was read ahead")
{
	u16 order[100];
	struct pk p;
	uint32_t len;
	uint16_t id;
	int i, k;

	pk_open(&p, 150, 0);
	for (i = 0; i < 100; i++)
		order[i] = pk_offer(&p, i & 1, 1);	/* 150 descriptors */
	for (i = 0; i < 100; i += 10) {
		for (k = 0; k < 10; k++) {
			ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
			ASSERT_EQ(p.chain->head, order[i + k]);
		}
		/* all of them back, and again, across what was read ahead */
		while (k)
			kvs_ring_unpop(&p.dev, order[i + --k]);
		for (; k < 10; k++) {
			ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
			ASSERT_EQ(p.chain->head, order[i + k]);
			ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head, 9), 0);
		}
		ASSERT_EQ(kvs_ring_publish(&p.dev), 1);
		p.cfg.base = kvs_ring_stop(&p.dev);
		ASSERT_EQ(kvs_ring_start(&p.dev, &p.cfg), 0);
	}
	EXPECT_EQ(p.cfg.base, 0);	/* both once round */
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(pk_get(&p, &id, &len), 1);
		EXPECT_EQ(id, order[i]);
	}
	pk_close(&p);
}
