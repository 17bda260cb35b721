// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: memory for the page vectors and segments of a queue's requests.
 *
 * Allocated when the queue starts, so that a request never waits for memory
 * of the host and a queue never takes more than it was given: what does not
 * fit waits in the ring until requests in flight give theirs back. The largest
 * request fits when nothing is in flight.
 *
 * All under vq->lock.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "blk.h"
#include "pin.h"

/* Handed out in units of this many bytes. */
#define UNIT		1024
/* Beyond the largest request: a unit for so many entries, and units at most. */
#define ENTRIES_PER_UNIT	2
#define UNITS_MOST	512

static u32 units(size_t bytes)
{
	return DIV_ROUND_UP(bytes, UNIT);
}

/* Allocate for a ring of @num entries. Return: 0 or -ENOMEM. */
int kvs_blk_room_init(struct kvs_blk_room *room, u32 num)
{
	size_t largest = kvs_pin_max(KVS_CHAIN_MAX, KVASIR_BLK_MAX_BYTES) *
			 sizeof(struct bio_vec) +
			 KVS_CHAIN_MAX * sizeof(struct kvs_seg);

	room->nr = units(largest) + min_t(u32, num / ENTRIES_PER_UNIT,
					  UNITS_MOST);
	room->map = bitmap_zalloc(room->nr, GFP_KERNEL_ACCOUNT);
	room->mem = kvmalloc_array(room->nr, UNIT, GFP_KERNEL_ACCOUNT);
	if (room->map && room->mem)
		return 0;
	kvs_blk_room_deinit(room);
	return -ENOMEM;
}

void kvs_blk_room_deinit(struct kvs_blk_room *room)
{
	bitmap_free(room->map);
	kvfree(room->mem);
	room->map = NULL;
	room->mem = NULL;
}

/* Returns NULL when requests in flight have it. */
void *kvs_blk_room_get(struct kvs_blk_room *room, size_t bytes)
{
	u32 n = units(bytes);
	unsigned long at;

	at = bitmap_find_next_zero_area(room->map, room->nr, 0, n, 0);
	if (at >= room->nr)
		return NULL;
	bitmap_set(room->map, at, n);
	return room->mem + at * UNIT;
}

void kvs_blk_room_put(struct kvs_blk_room *room, void *p, size_t bytes)
{
	bitmap_clear(room->map, (p - room->mem) / UNIT, units(bytes));
}
