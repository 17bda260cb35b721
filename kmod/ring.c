// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * H2: the device's side of a virtqueue: what both layouts share.
 *
 * Portable (env.h): the module, the VMM and the fuzzers build this file.
 *
 * Trust: everything in the ring is the guest's and may change at any time.
 * Each field is loaded once, checked, and only the checked copy is used. What
 * contradicts the protocol breaks the ring for good (kvs_ring_break()); what
 * is only a strange hint (notification flags, event indices) is taken as it
 * comes and costs at most a notification.
 *
 * Memory ordering and the reasons for reading ahead: Documentation/ring.rst.
 */
#include "ring_priv.h"

int kvs_ring_break(struct kvs_ring *ring, enum kvs_ring_err why)
{
	if (!ring->err)
		ring->err = why;
	return -EIO;
}

int kvs_ring_check(const struct kvs_ring_cfg *cfg)
{
	if (!cfg->num || cfg->num > KVS_RING_MAX_SIZE)
		return -EINVAL;
	return cfg->packed ? kvs_packed_check(cfg) : kvs_split_check(cfg);
}

static void ring_free(struct kvs_ring *ring)
{
	kvs_free(ring->busy);
	kvs_free(ring->count);
	kvs_free(ring->quiet);
	ring->busy = NULL;
	ring->count = NULL;
	ring->quiet = NULL;
}

static int ring_alloc(struct kvs_ring *ring)
{
	u32 longs = BITS_TO_LONGS(ring->num);

	ring->busy = kvs_alloc(longs, sizeof(long));
	if (ring->packed)
		ring->count = kvs_alloc(ring->num, sizeof(*ring->count));
	if (ring->in_order)
		ring->quiet = kvs_alloc(longs, sizeof(long));
	if (ring->busy && (ring->count || !ring->packed) &&
	    (ring->quiet || !ring->in_order))
		return 0;
	ring_free(ring);
	return -ENOMEM;
}

int kvs_ring_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg)
{
	int ret;

	ret = kvs_ring_check(cfg);
	if (ret)
		return ret;

	memset(ring, 0, sizeof(*ring));
	ring->num = cfg->num;
	ring->batch = cfg->one_by_one ? 1 : min_t(u32, cfg->num, KVS_RING_BATCH);
	ring->packed = cfg->packed;
	ring->event_idx = cfg->event_idx;
	ring->indirect = cfg->indirect;
	ring->in_order = cfg->in_order;
	ring->watch = cfg->watch;
	ring->desc = kvs_hva_ptr(cfg->desc);
	ring->armed = true;

	ret = ring_alloc(ring);
	if (ret)
		return ret;
	ret = ring->packed ? kvs_packed_start(ring, cfg) :
			     kvs_split_start(ring, cfg);
	if (ret)
		ring_free(ring);
	return ret;
}

void kvs_ring_sizes(const struct kvs_ring_cfg *cfg, u32 *desc, u32 *avail,
		    u32 *used)
{
	u32 event = cfg->event_idx ? sizeof(__virtio16) : 0;

	*desc = cfg->num * sizeof(struct kvs_raw_desc);
	*avail = sizeof(u32);	/* packed: two halves of an event area */
	*used = sizeof(u32);
	if (cfg->packed)
		return;
	*avail = sizeof(struct vring_avail) + event +
		 cfg->num * sizeof(__virtio16);
	*used = sizeof(struct vring_used) + event +
		cfg->num * sizeof(struct vring_used_elem);
}

int kvs_ring_move(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg)
{
	int ret = kvs_ring_check(cfg);

	if (ret)
		return ret;
	/* Driver and device event of a packed ring are at the same places. */
	ring->desc = kvs_hva_ptr(cfg->desc);
	ring->avail = kvs_hva_ptr(cfg->avail);
	ring->used = kvs_hva_ptr(cfg->used);
	return 0;
}

u32 kvs_ring_base(const struct kvs_ring *ring)
{
	return ring->packed ? ring->next_avail | (u32)ring->used_idx << 16 :
			      ring->next_avail;
}

u32 kvs_ring_stop(struct kvs_ring *ring)
{
	ring_free(ring);
	ring->inflight = 0;
	return kvs_ring_base(ring);
}

int kvs_ring_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		 struct kvs_chain *chain)
{
	if (unlikely(ring->err))
		return -EIO;
	return ring->packed ? kvs_packed_pop(ring, mem, chain) :
			      kvs_split_pop(ring, mem, chain);
}

void kvs_ring_unpop(struct kvs_ring *ring, u16 head)
{
	u16 n = ring->packed ? ring->count[head] : 1;

	__clear_bit(head, ring->busy);
	ring->inflight--;
	if (ring->packed) {
		ring->owned -= n;
		ring->next_avail = kvs_pos_sub(ring->num, ring->next_avail, n);
	} else {
		ring->next_avail--;
	}
	/* Step back in what was read ahead, or read it anew. */
	if (ring->win_next >= n) {
		ring->win_next -= n;
	} else {
		ring->win_next = 0;
		ring->win_nr = 0;
	}
}

int kvs_ring_put(struct kvs_ring *ring, u16 head, u32 len)
{
	struct kvs_used *u;

	/* Also on a broken ring: the chain is not in flight any more. */
	__clear_bit(head, ring->busy);
	ring->inflight--;
	if (unlikely(ring->err))
		return -EIO;

	if (ring->done_quiet) {
		u = &ring->done[ring->nr_done - 1];
	} else {
		u = &ring->done[ring->nr_done++];
		u->slot = ring->next_used;
	}
	u->id = head;
	u->len = len;
	if (ring->in_order)
		ring->done_quiet = test_bit(head, ring->quiet);
	if (ring->packed)
		ring->next_used = kvs_pos_add(ring->num, ring->next_used,
					      ring->count[head]);
	else
		ring->next_used++;
	if (likely(ring->nr_done < ring->batch))
		return 0;
	return ring->packed ? kvs_packed_flush(ring) : kvs_split_flush(ring);
}

int kvs_ring_publish(struct kvs_ring *ring)
{
	int ret;

	if (unlikely(ring->err))
		return -EIO;
	if (ring->next_used == ring->used_idx)
		return 0;
	ret = ring->packed ? kvs_packed_publish(ring) :
			     kvs_split_publish(ring);
	/* The watcher may have broken the ring. */
	return unlikely(ring->err) ? -EIO : ret;
}

int kvs_ring_arm(struct kvs_ring *ring)
{
	int ret;

	if (unlikely(ring->err))
		return -EIO;
	ret = ring->packed ? kvs_packed_arm(ring) : kvs_split_arm(ring);
	if (ret > 0)
		ret = kvs_ring_disarm(ring) ? -EIO : 1;
	return unlikely(ring->err) ? -EIO : ret;
}

int kvs_ring_pending(struct kvs_ring *ring)
{
	if (unlikely(ring->err))
		return -EIO;
	return ring->packed ? kvs_packed_pending(ring) :
			      kvs_split_pending(ring);
}

int kvs_ring_disarm(struct kvs_ring *ring)
{
	if (unlikely(ring->err))
		return -EIO;
	if (!ring->armed)
		return 0;
	ring->armed = false;
	return ring->packed ? kvs_packed_disarm(ring) : kvs_split_disarm(ring);
}
