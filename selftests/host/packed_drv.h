/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small driver's side of a packed ring for the host tests, and the device
 * side it talks to, in one object. Buffers are pieces of 64 bytes, all at the
 * same place: the tests are about the ring.
 */
#ifndef PACKED_DRV_H
#define PACKED_DRV_H

#include "ring_dev.h"

#define PK_AVAIL	(1 << VRING_PACKED_DESC_F_AVAIL)
#define PK_USED		(1 << VRING_PACKED_DESC_F_USED)
#define PK_LEN		64
#define PK_FRESH	0x80008000u

#define PK_EVENT	1u
#define PK_INDIRECT	2u
#define PK_IN_ORDER	4u
#define PK_ONE_BY_ONE	8u

struct pk {
	struct kvt_mem mem;
	struct kvs_mem *map;
	struct kvs_ring dev;
	struct kvs_ring_cfg cfg;
	struct kvs_chain *chain;

	struct vring_packed_desc *desc;
	volatile struct vring_packed_desc_event *drv_ev, *dev_ev;
	struct vring_packed_desc *table;
	uint64_t gpa;		/* of the buffer */
	uint16_t num;
	uint16_t at, used_at;	/* next to offer, next used */
	bool wrap, used_wrap;
	uint16_t room;		/* free descriptors */
	uint16_t nr_ids;
	uint16_t *ids;		/* stack of free ids */
	uint16_t *count;	/* descriptors, by id; 0: not in flight */
	uint16_t *fifo;		/* ids in the order offered */
	uint32_t fifo_put, fifo_got;
};

static inline void pk_open(struct pk *p, uint16_t num, unsigned int flags)
{
	unsigned int i;

	memset(p, 0, sizeof(*p));
	kvt_mem_init(&p->mem, 2 << 20, 1ull << 30);
	p->map = dev_map(&p->mem);
	p->desc = kvt_mem_alloc(&p->mem, 16u * num, 16);
	p->drv_ev = kvt_mem_alloc(&p->mem, 4, 4);
	p->dev_ev = kvt_mem_alloc(&p->mem, 4, 4);
	p->table = kvt_mem_alloc(&p->mem, 64 * 16, 16);
	p->gpa = kvt_gpa(&p->mem, kvt_mem_alloc(&p->mem, PK_LEN, 64));
	p->chain = malloc(sizeof(*p->chain));
	p->ids = calloc(num, sizeof(*p->ids));
	p->count = calloc(num, sizeof(*p->count));
	p->fifo = calloc(num, sizeof(*p->fifo));
	ASSERT(p->chain && p->ids && p->count && p->fifo, "out of memory");
	p->num = num;
	p->room = num;
	p->wrap = true;
	p->used_wrap = true;
	for (i = 0; i < num; i++)
		p->ids[p->nr_ids++] = (uint16_t)(num - 1 - i);
	p->cfg = (struct kvs_ring_cfg){
		.num = num, .base = PK_FRESH, .desc = (uintptr_t)p->desc,
		.avail = (uintptr_t)p->drv_ev, .used = (uintptr_t)p->dev_ev,
		.packed = true, .event_idx = flags & PK_EVENT,
		.indirect = flags & PK_INDIRECT,
		.in_order = flags & PK_IN_ORDER,
		.one_by_one = flags & PK_ONE_BY_ONE,
	};
	ASSERT_EQ(kvs_ring_start(&p->dev, &p->cfg), 0);
}

static inline void pk_close(struct pk *p)
{
	kvs_ring_stop(&p->dev);
	kvs_mem_free(p->map);
	kvt_mem_free(&p->mem);
	free(p->chain);
	free(p->ids);
	free(p->count);
	free(p->fifo);
}

static inline void pk_broken(struct pk *p, enum kvs_ring_err why)
{
	dev_broken(&p->dev, p->map, p->chain, why);
}

/* Where the driver stands, as the device counts positions. */
static inline uint16_t pk_pos(const struct pk *p)
{
	return (uint16_t)(p->at | (p->wrap ? KVS_RING_WRAP : 0));
}

static inline void pk_step(const struct pk *p, uint16_t *at, bool *wrap,
			   uint16_t n)
{
	uint32_t next = *at + n;

	if (next >= p->num) {
		next -= p->num;
		*wrap = !*wrap;
	}
	*at = (uint16_t)next;
}

static inline uint16_t pk_flags(bool wrap, uint16_t flags)
{
	return htole16(flags | (wrap ? PK_AVAIL : PK_USED));
}

/* One descriptor, as it comes; nothing is tracked. */
static inline void pk_raw(struct pk *p, uint16_t i, bool wrap, uint16_t id,
			  uint16_t flags)
{
	p->desc[i] = (struct vring_packed_desc){
		htole64(p->gpa), htole32(PK_LEN), htole16(id),
		pk_flags(wrap, flags) };
}

/* A chain of @out readable and @in writable pieces; returns its id. */
static inline uint16_t pk_offer(struct pk *p, unsigned int out, unsigned int in)
{
	uint16_t id, first = p->at, n = (uint16_t)(out + in), i;
	bool wrap = p->wrap;

	ASSERT(n <= p->room && p->nr_ids, "ring full");
	id = p->ids[--p->nr_ids];
	for (i = 0; i < n; i++) {
		uint16_t f = (i >= out ? VRING_DESC_F_WRITE : 0) |
			     (i + 1 < n ? VRING_DESC_F_NEXT : 0);
		uint16_t at = p->at;

		p->desc[at].addr = htole64(p->gpa);
		p->desc[at].len = htole32(PK_LEN);
		p->desc[at].id = htole16(i + 1 < n ? 0xdead : id);
		if (i)
			p->desc[at].flags = pk_flags(p->wrap, f);
		pk_step(p, &p->at, &p->wrap, 1);
	}
	__atomic_thread_fence(__ATOMIC_RELEASE);
	p->desc[first].flags = pk_flags(wrap,
					(out ? 0 : VRING_DESC_F_WRITE) |
					(n > 1 ? VRING_DESC_F_NEXT : 0));
	p->room -= n;
	p->count[id] = n;
	p->fifo[p->fifo_put++ % p->num] = id;
	return id;
}

/* Is a used descriptor there? */
static inline bool pk_has_used(const struct pk *p)
{
	uint16_t f = le16toh(p->desc[p->used_at].flags);

	return !!(f & PK_AVAIL) == p->used_wrap &&
	       !!(f & PK_USED) == p->used_wrap;
}

static inline void pk_free(struct pk *p, uint16_t id)
{
	pk_step(p, &p->used_at, &p->used_wrap, p->count[id]);
	p->room += p->count[id];
	p->count[id] = 0;
	p->ids[p->nr_ids++] = id;
}

/*
 * Take the next used descriptor. Returns the number of chains it stands for:
 * 0 for none, more than 1 only in order.
 */
static inline unsigned int pk_get(struct pk *p, uint16_t *id, uint32_t *len)
{
	uint16_t x, f;
	unsigned int n = 1;

	if (!pk_has_used(p))
		return 0;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*id = le16toh(p->desc[p->used_at].id);
	*len = le32toh(p->desc[p->used_at].len);
	f = le16toh(p->desc[p->used_at].flags);
	ASSERT(*id < p->num && p->count[*id], "used: id %u", *id);
	EXPECT_EQ(!!(f & VRING_DESC_F_WRITE), !!*len);
	if (!p->cfg.in_order) {
		pk_free(p, *id);
		return 1;
	}
	for (; (x = p->fifo[p->fifo_got++ % p->num]) != *id; n++)
		pk_free(p, x);
	pk_free(p, x);
	return n;
}

#endif /* PACKED_DRV_H */
