/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A split ring for the host tests: the driver of the library and the device
 * side it talks to, in one object.
 */
#ifndef SPLIT_DRV_H
#define SPLIT_DRV_H

#include "ring_dev.h"

/* Besides KVT_RING_*: of the device's side only. */
#define SP_IN_ORDER	0x100u
#define SP_ONE_BY_ONE	0x200u
#define SP_DEVICE	(SP_IN_ORDER | SP_ONE_BY_ONE)

struct sp {
	struct kvt_mem mem;
	struct kvs_mem *map;
	struct kvt_ring drv;
	struct kvs_ring dev;
	struct kvs_ring_cfg cfg;
	struct kvs_chain *chain;
	uint8_t *buf;
};

/* Both sides begin at @base, as after a migration. */
static inline void sp_open(struct sp *p, uint16_t num, unsigned int flags,
			   uint16_t base)
{
	memset(p, 0, sizeof(*p));
	kvt_mem_init(&p->mem, 8 << 20, 1ull << 30);
	p->map = dev_map(&p->mem);
	kvt_ring_init(&p->drv, &p->mem, num, flags & ~SP_DEVICE);
	p->buf = kvt_mem_alloc(&p->mem, 4096, 4096);
	p->chain = malloc(sizeof(*p->chain));
	ASSERT(p->chain, "out of memory");
	p->drv.avail_idx = p->drv.kicked_idx = p->drv.last_used = base;
	p->drv.avail->idx = htole16(base);
	p->drv.used->idx = htole16(base);
	p->cfg = (struct kvs_ring_cfg){
		.num = num, .base = base, .desc = (uintptr_t)p->drv.desc,
		.avail = (uintptr_t)p->drv.avail,
		.used = (uintptr_t)p->drv.used,
		.event_idx = flags & KVT_RING_EVENT_IDX,
		.indirect = flags & KVT_RING_INDIRECT,
		.in_order = flags & SP_IN_ORDER,
		.one_by_one = flags & SP_ONE_BY_ONE,
	};
	ASSERT_EQ(kvs_ring_start(&p->dev, &p->cfg), 0);
}

static inline void sp_close(struct sp *p)
{
	kvs_ring_stop(&p->dev);
	kvt_ring_free(&p->drv);
	kvs_mem_free(p->map);
	kvt_mem_free(&p->mem);
	free(p->chain);
}

static inline void sp_broken(struct sp *p, enum kvs_ring_err why)
{
	dev_broken(&p->dev, p->map, p->chain, why);
}

#endif /* SPLIT_DRV_H */
