/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* H2: between ring.c and the two layouts. */
#ifndef KVS_RING_PRIV_H
#define KVS_RING_PRIV_H

#include "ring.h"

static inline int kvs_ring_fault(struct kvs_ring *ring)
{
	return kvs_ring_break(ring, KVS_RING_FAULT);
}

/* Tell the watcher; it may break the ring. */
static inline void kvs_ring_told(struct kvs_ring *ring, enum kvs_ring_area area,
				 u32 offset, u32 len)
{
	if (unlikely(ring->watch))
		ring->watch(ring, area, offset, len);
}

/* The chain just read is in flight. Returns what kvs_ring_pop() does. */
static inline int kvs_ring_taken(struct kvs_ring *ring,
				 const struct kvs_chain *chain)
{
	__set_bit(chain->head, ring->busy);
	ring->inflight++;
	if (ring->in_order) {
		if (chain->in_len || chain->err)
			__clear_bit(chain->head, ring->quiet);
		else
			__set_bit(chain->head, ring->quiet);
	}
	return unlikely(chain->err) ? KVS_POP_REFUSED : KVS_POP_CHAIN;
}

/* What was kept back is written. */
static inline void kvs_ring_written(struct kvs_ring *ring)
{
	ring->nr_done = 0;
	ring->done_quiet = false;
}

/* ---- positions in a packed ring: KVS_RING_WRAP and the descriptor ---- */

static inline u16 kvs_pos_index(u16 pos)
{
	return pos & ~KVS_RING_WRAP;
}

/* The next descriptor; with the largest ring the wrap counter is the carry. */
static inline u16 kvs_pos_next(u16 num, u16 pos)
{
	pos++;
	return kvs_pos_index(pos) == num ? ~pos & KVS_RING_WRAP : pos;
}

/* @n descriptors further, at most once round. */
static inline u16 kvs_pos_add(u16 num, u16 pos, u16 n)
{
	u32 at = kvs_pos_index(pos) + n;

	pos &= KVS_RING_WRAP;
	return at < num ? pos | at : (pos ^ KVS_RING_WRAP) | (at - num);
}

/* @n descriptors back, at most once round. */
static inline u16 kvs_pos_sub(u16 num, u16 pos, u16 n)
{
	u32 at = kvs_pos_index(pos);

	pos &= KVS_RING_WRAP;
	return at >= n ? pos | (at - n) : (pos ^ KVS_RING_WRAP) | (at + num - n);
}

/*
 * How far @to is ahead of @from. Less than 0 or more than @num: they are not
 * within one round of each other.
 */
static inline int kvs_pos_distance(u16 num, u16 from, u16 to)
{
	int d = kvs_pos_index(to) - kvs_pos_index(from);

	return (from ^ to) & KVS_RING_WRAP ? d + num : d;
}

/*
 * What a layout provides. flush: write the used entries kept back where the
 * driver does not look yet. The rest: see kvs_ring_*(); the ring is not broken.
 */
int kvs_split_check(const struct kvs_ring_cfg *cfg);
int kvs_split_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg);
int kvs_split_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		  struct kvs_chain *chain);
int kvs_split_flush(struct kvs_ring *ring);
int kvs_split_publish(struct kvs_ring *ring);
int kvs_split_arm(struct kvs_ring *ring);
int kvs_split_disarm(struct kvs_ring *ring);
int kvs_split_pending(struct kvs_ring *ring);

int kvs_packed_check(const struct kvs_ring_cfg *cfg);
int kvs_packed_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg);
int kvs_packed_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		   struct kvs_chain *chain);
int kvs_packed_flush(struct kvs_ring *ring);
int kvs_packed_publish(struct kvs_ring *ring);
int kvs_packed_arm(struct kvs_ring *ring);
int kvs_packed_disarm(struct kvs_ring *ring);
int kvs_packed_pending(struct kvs_ring *ring);

#endif /* KVS_RING_PRIV_H */
