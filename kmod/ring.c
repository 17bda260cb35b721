// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * H2: the device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * Portable (env.h): the module, the VMM and the fuzzers build this file.
 *
 * Trust: everything in the ring is the guest's and may change at any time.
 * Each field is loaded once, checked, and only the checked copy is used. What
 * contradicts the protocol breaks the ring for good (kvs_ring_break()); what
 * is only a strange hint (notification flags, event indices) is taken as it
 * comes and costs at most a notification.
 *
 * Memory ordering, with the driver's side as partner:
 *   B1  load avail->idx, smp_rmb, load avail->ring[] and descriptors
 *       | driver: stores them, write barrier, stores avail->idx
 *   B2  store used->ring[], smp_wmb, store used->idx
 *       | driver: loads used->idx, read barrier, loads used->ring[]
 *   B3  store used->idx, smp_mb, load the driver's wish for calls
 *       | driver: stores its wish, full barrier, loads used->idx
 *   B4  store our wish for kicks, smp_mb, load avail->idx
 *       | driver: stores avail->idx, full barrier, loads our wish
 * B3 and B4 make sure that at least one side sees the other's store, so no
 * call and no kick is lost.
 */
#include "ring.h"

int kvs_ring_break(struct kvs_ring *ring, enum kvs_ring_err why)
{
	if (!ring->err)
		ring->err = why;
	return -EIO;
}

static inline int ring_fault(struct kvs_ring *ring)
{
	return kvs_ring_break(ring, KVS_RING_FAULT);
}

static inline u16 ring_mask(const struct kvs_ring *ring)
{
	return ring->num - 1;
}

/* The event index the driver writes, behind the available entries. */
static __virtio16 __user *used_event(const struct kvs_ring *ring)
{
	return &ring->avail->ring[ring->num];
}

/* The event index we write, behind the used entries. */
static __virtio16 __user *avail_event(const struct kvs_ring *ring)
{
	return (__virtio16 __user *)&ring->used->ring[ring->num];
}

int kvs_ring_check(const struct kvs_ring_cfg *cfg)
{
	size_t event = cfg->event_idx ? sizeof(__virtio16) : 0;

	if (cfg->num > KVS_RING_MAX_SIZE || !is_power_of_2(cfg->num))
		return -EINVAL;
	if (cfg->desc % VRING_DESC_ALIGN_SIZE ||
	    cfg->avail % VRING_AVAIL_ALIGN_SIZE ||
	    cfg->used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	if (!kvs_hva_ok(cfg->desc, cfg->num * sizeof(struct vring_desc)) ||
	    !kvs_hva_ok(cfg->avail, sizeof(struct vring_avail) + event +
			cfg->num * sizeof(__virtio16)) ||
	    !kvs_hva_ok(cfg->used, sizeof(struct vring_used) + event +
			cfg->num * sizeof(struct vring_used_elem)))
		return -EFAULT;
	return 0;
}

int kvs_ring_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg)
{
	unsigned long *busy;
	u16 used_idx;
	int ret;

	ret = kvs_ring_check(cfg);
	if (ret)
		return ret;

	memset(ring, 0, sizeof(*ring));
	ring->num = cfg->num;
	ring->event_idx = cfg->event_idx;
	ring->indirect = cfg->indirect;
	ring->desc = kvs_hva_ptr(cfg->desc);
	ring->avail = kvs_hva_ptr(cfg->avail);
	ring->used = kvs_hva_ptr(cfg->used);
	ring->next_avail = cfg->base;
	ring->avail_idx = cfg->base;

	if (kvs_load16(&used_idx, &ring->used->idx) ||
	    kvs_store16(&ring->used->flags, 0))
		return -EFAULT;
	ring->armed = true;
	ring->next_used = used_idx;
	ring->used_idx = used_idx;

	busy = kvs_alloc(BITS_TO_LONGS(ring->num), sizeof(long));
	if (!busy)
		return -ENOMEM;
	ring->busy = busy;
	return 0;
}

u16 kvs_ring_stop(struct kvs_ring *ring)
{
	kvs_free(ring->busy);
	ring->busy = NULL;
	ring->inflight = 0;
	return ring->next_avail;
}

/* Look for new entries. Returns 1 if there are any, 0, or -EIO. */
static int ring_refresh(struct kvs_ring *ring)
{
	u16 idx;

	if (kvs_load16(&idx, &ring->avail->idx))
		return ring_fault(ring);
	if ((u16)(idx - ring->next_avail) > ring->num)
		return kvs_ring_break(ring, KVS_RING_AVAIL_JUMP);
	ring->avail_idx = idx;
	if (idx == ring->next_avail)
		return 0;
	smp_rmb();	/* B1 */
	return 1;
}

int kvs_ring_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		 struct kvs_chain *chain)
{
	u16 head;
	int ret;

	if (unlikely(ring->err))
		return -EIO;
	if (ring->avail_idx == ring->next_avail) {
		ret = ring_refresh(ring);
		if (ret <= 0)
			return ret;
	}

	if (kvs_load16(&head,
		       &ring->avail->ring[ring->next_avail & ring_mask(ring)]))
		return ring_fault(ring);
	if (unlikely(head >= ring->num))
		return kvs_ring_break(ring, KVS_RING_BAD_HEAD);
	head = kvs_index(head, ring->num);
	if (unlikely(test_bit(head, ring->busy)))
		return kvs_ring_break(ring, KVS_RING_HEAD_BUSY);
	if (kvs_chain_read(ring, mem, head, chain))
		return ring_fault(ring);

	__set_bit(head, ring->busy);
	ring->inflight++;
	ring->next_avail++;
	return chain->err ? KVS_POP_REFUSED : KVS_POP_CHAIN;
}

void kvs_ring_unpop(struct kvs_ring *ring, u16 head)
{
	__clear_bit(head, ring->busy);
	ring->inflight--;
	ring->next_avail--;
}

int kvs_ring_put(struct kvs_ring *ring, u16 head, u32 len)
{
	struct vring_used_elem e = {
		.id = kvs_guest32(head),
		.len = kvs_guest32(len),
	};

	/* Also on a broken ring: the chain is not in flight any more. */
	__clear_bit(head, ring->busy);
	ring->inflight--;
	if (unlikely(ring->err))
		return -EIO;
	if (kvs_store(&ring->used->ring[ring->next_used & ring_mask(ring)],
		      &e, sizeof(e)))
		return ring_fault(ring);
	ring->next_used++;
	return 0;
}

/*
 * Does a step from @old to @new pass the index @event the other side waits
 * for? All indices run freely modulo 2^16.
 */
static bool passes_event(u16 event, u16 new, u16 old)
{
	return (u16)(new - event - 1) < (u16)(new - old);
}

int kvs_ring_publish(struct kvs_ring *ring)
{
	u16 old = ring->called_idx, new = ring->next_used, wish;
	bool valid = ring->called_valid;

	if (unlikely(ring->err))
		return -EIO;
	if (new == ring->used_idx)
		return 0;

	smp_wmb();	/* B2 */
	if (kvs_store16(&ring->used->idx, new))
		return ring_fault(ring);
	ring->used_idx = new;
	smp_mb();	/* B3 */

	if (!ring->event_idx) {
		if (kvs_load16(&wish, &ring->avail->flags))
			return ring_fault(ring);
		return !(wish & VRING_AVAIL_F_NO_INTERRUPT);
	}

	ring->called_idx = new;
	ring->called_valid = true;
	if (kvs_load16(&wish, used_event(ring)))
		return ring_fault(ring);
	return !valid || passes_event(wish, new, old);
}

int kvs_ring_arm(struct kvs_ring *ring)
{
	u16 seen = ring->avail_idx;
	int ret;

	if (unlikely(ring->err))
		return -EIO;
	if (ring->event_idx) {
		if (kvs_store16(avail_event(ring), seen))
			return ring_fault(ring);
	} else if (!ring->armed) {
		if (kvs_store16(&ring->used->flags, 0))
			return ring_fault(ring);
	}
	ring->armed = true;
	smp_mb();	/* B4 */

	ret = ring_refresh(ring);
	if (ret < 0)
		return ret;
	if (ring->avail_idx == seen)
		return 0;
	return kvs_ring_disarm(ring) ? -EIO : 1;
}

int kvs_ring_disarm(struct kvs_ring *ring)
{
	if (unlikely(ring->err))
		return -EIO;
	if (!ring->armed)
		return 0;
	ring->armed = false;
	/*
	 * With event indices there is nothing to write: the driver kicks when
	 * it passes the index left behind, which it has or is about to.
	 */
	if (ring->event_idx)
		return 0;
	return kvs_store16(&ring->used->flags, VRING_USED_F_NO_NOTIFY) ?
	       ring_fault(ring) : 0;
}
