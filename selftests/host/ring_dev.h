/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host tests of rings want of the device's side, in any layout. */
#ifndef RING_DEV_H
#define RING_DEV_H

#include "kvt_ring.h"
#include "ring.h"

/* All of guest memory, as one region. */
static inline struct kvs_mem *dev_map(const struct kvt_mem *mem)
{
	struct kvs_region r = { .gpa = mem->gpa, .size = mem->size,
				.hva = (uintptr_t)mem->base };
	struct kvs_mem *map;

	ASSERT_EQ(kvs_mem_create(&r, 1, &map), 0);
	return map;
}

/* The next chain breaks the ring, which stays so, whatever is asked of it. */
static inline void dev_broken(struct kvs_ring *dev, const struct kvs_mem *map,
			      struct kvs_chain *chain, enum kvs_ring_err why)
{
	EXPECT_EQ(kvs_ring_pop(dev, map, chain), -EIO);
	EXPECT_EQ(dev->err, why);
	EXPECT_EQ(kvs_ring_pop(dev, map, chain), -EIO);
	EXPECT_EQ(kvs_ring_publish(dev), -EIO);
	EXPECT_EQ(kvs_ring_arm(dev), -EIO);
	EXPECT_EQ(kvs_ring_pending(dev), -EIO);
	EXPECT_EQ(kvs_ring_disarm(dev), -EIO);
	EXPECT_EQ(dev->err, why);
}

#endif /* RING_DEV_H */
