// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is read ahead and kept back (kmod/ring.c): its borders, in-order use
 * of descriptors, and that every byte the device writes is told, both layouts.
 */
#include "packed_drv.h"
#include "split_drv.h"

/* Entries base, base + 1, ... offer heads 0, 1, ...: readable or writable. */
static void sp_offer(struct sp *p, uint16_t head, bool in)
{
	kvt_raw_desc(&p->drv, head, kvt_gpa(&p->mem, p->buf), 64,
		     in ? VRING_DESC_F_WRITE : 0, 0);
	kvt_raw_avail(&p->drv, head);
}

static void take(struct sp *p, uint16_t head)
{
	ASSERT_EQ(kvs_ring_pop(&p->dev, p->map, p->chain), 1);
	ASSERT_EQ(p->chain->head, head);
}

static void give_back(uint16_t base, unsigned int n, unsigned int flags)
{
	unsigned int i, back;
	struct sp p;

	sp_open(&p, 256, flags, base);
	for (i = 0; i < n; i++)
		sp_offer(&p, i, true);
	for (back = 1; back <= n; back++) {
		for (i = 0; i < n; i++)
			take(&p, i);
		EXPECT_EQ(kvs_ring_base(&p.dev), (uint16_t)(base + n));
		while (i > n - back)
			kvs_ring_unpop(&p.dev, --i);
		EXPECT_EQ(kvs_ring_base(&p.dev), (uint16_t)(base + i));
		for (; i < n; i++)
			take(&p, i);
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 0);
		while (i)
			kvs_ring_unpop(&p.dev, --i);
		EXPECT_EQ(p.dev.inflight, 0);
	}
	sp_close(&p);
}

TEST("any number given back is popped again, across what was read ahead")
{
	give_back(0, 5, 0);
	give_back(0xfffe, 64, 0);
	give_back(0xffc0, 65, KVT_RING_EVENT_IDX);
	give_back(7, 150, 0);
	give_back(7, 150, SP_ONE_BY_ONE);
}

TEST("the base is behind the last chain popped, not behind what was read")
{
	struct sp p;
	unsigned int i;

	sp_open(&p, 64, 0, 0xfff0);
	for (i = 0; i < 40; i++)
		sp_offer(&p, i, false);
	for (i = 0; i < 20; i++) {
		take(&p, i);
		ASSERT_EQ(kvs_ring_put(&p.dev, i, 0), 0);
	}
	ASSERT_EQ(kvs_ring_publish(&p.dev), 1);
	p.cfg.base = kvs_ring_stop(&p.dev);
	EXPECT_EQ(p.cfg.base, 4);
	ASSERT_EQ(kvs_ring_start(&p.dev, &p.cfg), 0);
	for (; i < 40; i++)
		take(&p, i);
	sp_close(&p);
}

TEST("R-03 R-04 what is wrong further on breaks the ring when its turn comes")
{
	unsigned int kind, i;
	struct sp p;

	for (kind = 0; kind < 2; kind++) {
		sp_open(&p, 16, 0, 0);
		for (i = 0; i < 5; i++)
			sp_offer(&p, i, true);
		kvt_raw_avail(&p.drv, kind ? 16 : 4);
		for (i = 0; i < 5; i++) {
			take(&p, i);
			if (kind || i < 4)
				ASSERT_EQ(kvs_ring_put(&p.dev, i, 0), 0);
		}
		EXPECT_EQ(kvs_ring_publish(&p.dev), 1);
		EXPECT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), -EIO);
		EXPECT_EQ(p.dev.err, kind ? KVS_RING_BAD_HEAD :
					    KVS_RING_HEAD_BUSY);
		sp_close(&p);
	}
}

TEST("R-02 an index that moves back into what was seen is found when arming")
{
	struct sp p;

	sp_open(&p, 16, KVT_RING_EVENT_IDX, 0);
	sp_offer(&p, 0, true);
	sp_offer(&p, 1, true);
	take(&p, 0);
	take(&p, 1);
	kvs_ring_unpop(&p.dev, 1);
	p.drv.avail->idx = htole16(1);
	EXPECT_EQ(kvs_ring_arm(&p.dev), -EIO);
	EXPECT_EQ(p.dev.err, KVS_RING_AVAIL_JUMP);
	sp_close(&p);
}

/* Used entries as an in-order driver sees them: the id at each slot. */
static uint16_t used_id(const struct sp *p, uint16_t slot)
{
	return (uint16_t)le32toh(p->drv.used->ring[slot & (p->cfg.num - 1)].id);
}

TEST("in order, split: transmit chains share an entry, receive chains do not")
{
	/* r: readable only, w: 64 writable bytes, b: refused */
	static const char kinds[] = "rrrwrrwwrbrr";
	/* the entry at each slot: the last of its batch; 99: none written */
	static const uint16_t want[] = { 3, 99, 99, 99, 6, 99, 99, 7, 9, 99,
					 11, 99 };
	unsigned int n = sizeof(kinds) - 1, i;
	struct sp p;

	sp_open(&p, 16, SP_IN_ORDER, 0xfffa);
	for (i = 0; i < 16; i++)
		p.drv.used->ring[i].id = htole32(99);
	for (i = 0; i < n; i++) {
		sp_offer(&p, i, kinds[i] == 'w');
		if (kinds[i] == 'b')
			p.drv.desc[i].addr = htole64(1);
	}
	for (i = 0; i < n; i++) {
		ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain),
			  kinds[i] == 'b' ? 2 : 1);
		ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head,
				       kinds[i] == 'w' ? i : 0), 0);
	}
	EXPECT_EQ(le16toh(p.drv.used->idx), 0xfffa);
	EXPECT_EQ(kvs_ring_publish(&p.dev), 1);
	EXPECT_EQ(le16toh(p.drv.used->idx), (uint16_t)(0xfffa + n));
	for (i = 0; i < n; i++)
		EXPECT(used_id(&p, (uint16_t)(0xfffa + i)) == want[i],
		       "slot %u: %u", i, used_id(&p, (uint16_t)(0xfffa + i)));
	EXPECT_EQ(le32toh(p.drv.used->ring[(0xfffa + 4) & 15].len), 6);
	sp_close(&p);
}

static void in_order_packed(uint16_t num, bool rx, unsigned int batch)
{
	unsigned int i, k, got, entries = 0;
	struct pk p;
	uint16_t id;
	uint32_t len;

	pk_open(&p, num, PK_IN_ORDER | PK_EVENT);
	for (i = 0; i < 500; i++) {
		for (k = 0; k < batch; k++)
			pk_offer(&p, 2, rx);
		for (k = 0; k < batch; k++) {
			ASSERT_EQ(kvs_ring_pop(&p.dev, p.map, p.chain), 1);
			ASSERT_EQ(kvs_ring_put(&p.dev, p.chain->head,
					       rx ? k : 0), 0);
		}
		ASSERT(!pk_has_used(&p), "seen before it was published");
		ASSERT(kvs_ring_publish(&p.dev) >= 0, "publish");
		for (k = 0; k < batch; k += got, entries++) {
			got = pk_get(&p, &id, &len);
			ASSERT(got && (got == 1 || !rx), "%u got", got);
			ASSERT_EQ(len, rx ? k : 0);
		}
		ASSERT_EQ(p.room, num);
	}
	EXPECT_EQ(entries, rx ? 500 * batch : 500);
	pk_close(&p);
}

TEST("in order, packed: the same, with chains of several descriptors")
{
	in_order_packed(64, false, 1);
	in_order_packed(64, false, 20);
	in_order_packed(99, false, 33);
	in_order_packed(300, false, 64);
	in_order_packed(64, true, 20);
	in_order_packed(100, true, 33);
}

/* ---- what was written and what was told ---- */

static struct shadow {
	uint8_t *base[2], *was[2], *told[2];
	size_t size[2];
} shadow;

static void watch(struct kvs_ring *ring, enum kvs_ring_area area, u32 offset,
		  u32 len)
{
	struct shadow *s = &shadow;

	(void)ring;
	ASSERT(len && offset + len <= s->size[area], "told %u+%u of %zu",
	       offset, len, s->size[area]);
	/* told after it was written: what changes later must be told again */
	memcpy(s->was[area] + offset, s->base[area] + offset, len);
	memset(s->told[area] + offset, 1, len);
}

static void shadow_area(enum kvs_ring_area area, void *base, size_t size)
{
	shadow.base[area] = base;
	shadow.size[area] = size;
	shadow.was[area] = malloc(size);
	shadow.told[area] = calloc(1, size);
	ASSERT(shadow.was[area] && shadow.told[area], "out of memory");
	memcpy(shadow.was[area], base, size);
}

static void shadow_free(void)
{
	int a;

	for (a = 0; a < 2; a++) {
		free(shadow.was[a]);
		free(shadow.told[a]);
	}
}

/* Everything the device changed since the last look was told. */
static void shadow_compare(const char *when)
{
	size_t i;
	int a;

	for (a = 0; a < 2; a++)
		for (i = 0; i < shadow.size[a]; i++)
			ASSERT(shadow.base[a][i] == shadow.was[a][i],
			       "%s: area %d byte %zu was changed, not told",
			       when, a, i);
}

static void shadow_sync(void)
{
	int a;

	for (a = 0; a < 2; a++)
		memcpy(shadow.was[a], shadow.base[a], shadow.size[a]);
}

/* The device serves the 100 chains there are; every other one is written. */
static void told_serve(struct kvs_ring *dev, const struct kvs_mem *map,
		       struct kvs_chain *chain)
{
	unsigned int k;

	shadow_sync();
	kvs_ring_disarm(dev);
	shadow_compare("disarm");
	for (k = 0; k < 100; k++) {
		ASSERT_EQ(kvs_ring_pop(dev, map, chain), 1);
		kvs_ring_put(dev, chain->head, k & 1 ? k : 0);
		shadow_compare("put");
	}
	ASSERT(kvs_ring_publish(dev) >= 0, "publish");
	shadow_compare("publish");
}

static void told_split(unsigned int flags)
{
	unsigned int i, k;
	struct sp p;

	sp_open(&p, 128, flags, 0xff00);
	kvs_ring_stop(&p.dev);
	memset(p.drv.used->ring, 0xaa, 128 * 8 + 2);
	shadow_area(KVS_AREA_DESC, p.drv.desc, 128 * 16);
	shadow_area(KVS_AREA_USED, p.drv.used, 4 + 128 * 8 + 2);
	p.drv.used->flags = htole16(0x55);
	p.cfg.watch = watch;
	ASSERT_EQ(kvs_ring_start(&p.dev, &p.cfg), 0);
	shadow_compare("start");
	for (i = 0; i < 40; i++) {
		kvs_ring_arm(&p.dev);
		shadow_compare("arm");
		for (k = 0; k < 100; k++)
			sp_offer(&p, k, k & 1);
		told_serve(&p.dev, p.map, p.chain);
	}
	for (i = 0; i < 128 * 16; i++)
		ASSERT(!shadow.told[KVS_AREA_DESC][i], "descriptor told");
	shadow_free();
	sp_close(&p);
}

static void told_packed(unsigned int flags)
{
	unsigned int i, k;
	struct pk p;
	uint16_t id;
	uint32_t len;

	pk_open(&p, 150, flags);
	kvs_ring_stop(&p.dev);
	p.dev_ev->off_wrap = 0x55;
	p.dev_ev->flags = 0x55;
	shadow_area(KVS_AREA_DESC, p.desc, 150 * 16);
	shadow_area(KVS_AREA_USED, (void *)p.dev_ev, 4);
	p.cfg.watch = watch;
	ASSERT_EQ(kvs_ring_start(&p.dev, &p.cfg), 0);
	shadow_compare("start");
	for (i = 0; i < 40; i++) {
		kvs_ring_arm(&p.dev);
		shadow_compare("arm");
		for (k = 0; k < 100; k++)
			pk_offer(&p, !(k & 1), k & 1);
		told_serve(&p.dev, p.map, p.chain);
		while (pk_get(&p, &id, &len))
			;
		ASSERT_EQ(p.room, 150);
	}
	shadow_free();
	pk_close(&p);
}

TEST("U-06 split: every byte the device writes is told after it was written")
{
	told_split(0);
	told_split(KVT_RING_EVENT_IDX);
	told_split(KVT_RING_EVENT_IDX | SP_IN_ORDER);
	told_split(SP_ONE_BY_ONE);
}

TEST("U-06 packed: every byte the device writes is told after it was written")
{
	told_packed(0);
	told_packed(PK_EVENT);
	told_packed(PK_EVENT | PK_IN_ORDER);
	told_packed(PK_ONE_BY_ONE);
}
