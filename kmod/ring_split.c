// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * H2: the device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * Portable (env.h). Barriers S1 to S4: Documentation/ring.rst.
 */
#include "ring_priv.h"

static inline u16 ring_mask(const struct kvs_ring *ring)
{
	return ring->num - 1;
}

/* The event index the driver writes, behind the available entries. */
static inline __virtio16 __user *used_event(const struct kvs_ring *ring)
{
	return &ring->avail->ring[ring->num];
}

/* The event index we write, behind the used entries. */
static inline __virtio16 __user *avail_event(const struct kvs_ring *ring)
{
	return (__virtio16 __user *)&ring->used->ring[ring->num];
}

/* Where used entry @slot lies, in bytes from the used ring's start. */
static u32 used_offset(const struct kvs_ring *ring, u16 slot)
{
	return offsetof(struct vring_used, ring) +
	       (u32)(slot & ring_mask(ring)) * sizeof(struct vring_used_elem);
}

int kvs_split_check(const struct kvs_ring_cfg *cfg)
{
	size_t event = cfg->event_idx ? sizeof(__virtio16) : 0;

	if (!is_power_of_2(cfg->num) || cfg->base > 0xffff)
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

int kvs_split_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg)
{
	ring->avail = kvs_hva_ptr(cfg->avail);
	ring->used = kvs_hva_ptr(cfg->used);
	ring->next_avail = cfg->base;
	ring->avail_idx = cfg->base;
	if (kvs_load16(&ring->used_idx, &ring->used->idx) ||
	    kvs_store16(&ring->used->flags, 0))
		return -EFAULT;
	ring->next_used = ring->used_idx;
	kvs_ring_told(ring, KVS_AREA_USED, offsetof(struct vring_used, flags),
		      sizeof(u16));
	return 0;
}

/*
 * Inside a section: read @n entries from @pos on, and the first descriptor of
 * each. What is wrong with one of them matters when its turn comes, and not
 * before. Returns how many could be read.
 */
static __always_inline u16 split_read(struct kvs_ring *ring, u16 pos, u16 n)
{
	struct vring_avail __user *avail = ring->avail;
	struct kvs_raw_desc __user *desc = ring->desc;
	/* pointers: a section is no place for a checker of array indices */
	struct kvs_desc *win = ring->win;
	u16 *heads = ring->win_head;
	u16 num = ring->num, i;

	for (i = 0; i < n; i++, pos++) {
		struct kvs_raw_desc __user *d = desc;
		u16 head;

		kvs_get16(head, &avail->ring[pos & (num - 1)], fault);
		heads[i] = head;
		if (likely(head < num))
			d += kvs_index(head, num);
		kvs_get64(win[i].addr, &d->addr, fault);
		kvs_get64(win[i].word, &d->word, fault);
	}
fault:
	return i;
}

/* Read ahead, in one section. Returns 1 if there is something, 0, or -EIO. */
static noinline int split_fetch(struct kvs_ring *ring)
{
	u16 pos = ring->next_avail, idx = ring->avail_idx, n = 0;

	if (!kvs_access_begin(ring->avail, sizeof(*ring->avail)))
		return kvs_ring_fault(ring);
	if (idx == pos) {
		kvs_get16(idx, &ring->avail->idx, out);
		if (idx == pos || (u16)(idx - pos) > ring->num)
			goto none;
		smp_rmb();	/* S1 */
		ring->avail_idx = idx;
	}
	n = split_read(ring, pos, min_t(u16, idx - pos, ring->batch));
out:
	kvs_access_end();
	ring->win_next = 0;
	ring->win_nr = n;
	return n ? 1 : kvs_ring_fault(ring);

none:
	kvs_access_end();
	return idx == pos ? 0 : kvs_ring_break(ring, KVS_RING_AVAIL_JUMP);
}

/* One descriptor of the table. */
static int split_load(const struct kvs_ring *ring, u16 i, struct kvs_desc *d)
{
	struct kvs_raw_desc __user *raw = ring->desc + kvs_index(i, ring->num);

	if (!kvs_access_begin(raw, sizeof(*raw)))
		return -EFAULT;
	kvs_get64(d->addr, &raw->addr, fault);
	kvs_get64(d->word, &raw->word, fault);
	kvs_access_end();
	return 0;

fault:
	kvs_access_end();
	return -EFAULT;
}

/*
 * Walk a chain from the copy @first of its first descriptor on. The walk ends
 * after as many steps as the table has entries, and after KVS_CHAIN_MAX.
 * Returns 0, also for a refused chain, or -EFAULT.
 */
static noinline int split_walk(struct kvs_ring *ring, const struct kvs_mem *mem,
			       const struct kvs_desc *first, u16 head,
			       struct kvs_chain *chain)
{
	struct kvs_desc d = *first;

	kvs_chain_init(chain, head);
	for (;;) {
		u16 flags = kvs_split_flags(&d);

		if (flags & VRING_DESC_F_INDIRECT) {
			/* At most one table, and it ends the chain. */
			if (ring->indirect)
				kvs_chain_indirect(chain, mem, &ring->hint, &d,
						   flags, false);
			else
				chain->err = KVS_CHAIN_INDIRECT;
			return 0;
		}
		if (!kvs_chain_add(chain, mem, &ring->hint, &d, flags) ||
		    !(flags & VRING_DESC_F_NEXT))
			return 0;
		if (kvs_split_next(&d) >= ring->num)
			chain->err = KVS_CHAIN_NEXT;
		else if (chain->slots == ring->num)
			chain->err = KVS_CHAIN_LOOP;
		else if (chain->slots == KVS_CHAIN_MAX)
			chain->err = KVS_CHAIN_TOO_LONG;
		if (chain->err)
			return 0;
		if (split_load(ring, kvs_split_next(&d), &d))
			return -EFAULT;
		chain->slots++;
	}
}

int kvs_split_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		  struct kvs_chain *chain)
{
	const struct kvs_desc *d;
	u16 head;
	int ret;

	if (ring->win_next == ring->win_nr) {
		ret = split_fetch(ring);
		if (ret <= 0)
			return ret;
	}
	d = &ring->win[ring->win_next];
	head = ring->win_head[ring->win_next];
	if (unlikely(head >= ring->num))
		return kvs_ring_break(ring, KVS_RING_BAD_HEAD);
	head = kvs_index(head, ring->num);
	if (unlikely(test_bit(head, ring->busy)))
		return kvs_ring_break(ring, KVS_RING_HEAD_BUSY);

	if (!kvs_chain_one(chain, mem, &ring->hint, d, kvs_split_flags(d),
			   head) &&
	    split_walk(ring, mem, d, head, chain))
		return kvs_ring_fault(ring);
	ring->win_next++;
	ring->next_avail++;
	return kvs_ring_taken(ring, chain);
}

/* Inside a section: the entries kept back go into the used ring. */
static __always_inline int split_write(struct kvs_ring *ring)
{
	struct vring_used __user *used = ring->used;
	const struct kvs_used *u = ring->done, *end = u + ring->nr_done;
	u16 mask = ring_mask(ring);

	for (; u < end; u++) {
		struct vring_used_elem __user *e = &used->ring[u->slot & mask];

		kvs_put32(u->id, &e->id, fault);
		kvs_put32(u->len, &e->len, fault);
	}
	return 0;

fault:
	return -EFAULT;
}

/* Outside: they are written. */
static void split_written(struct kvs_ring *ring)
{
	u16 i;

	if (unlikely(ring->watch))
		for (i = 0; i < ring->nr_done; i++)
			ring->watch(ring, KVS_AREA_USED,
				    used_offset(ring, ring->done[i].slot),
				    sizeof(struct vring_used_elem));
	kvs_ring_written(ring);
}

int kvs_split_flush(struct kvs_ring *ring)
{
	int ret;

	if (!kvs_access_begin(ring->used, sizeof(*ring->used)))
		return kvs_ring_fault(ring);
	ret = split_write(ring);
	kvs_access_end();
	if (ret)
		return kvs_ring_fault(ring);
	split_written(ring);
	return unlikely(ring->err) ? -EIO : 0;
}

/*
 * Does a step from @old to @new pass the index @event the other side waits
 * for? All indices run freely modulo 2^16.
 */
static bool passes_event(u16 event, u16 new, u16 old)
{
	return (u16)(new - event - 1) < (u16)(new - old);
}

int kvs_split_publish(struct kvs_ring *ring)
{
	u16 old = ring->used_idx, new = ring->next_used, wish;
	bool valid = ring->called_valid;

	if (!kvs_access_begin(ring->used, sizeof(*ring->used)))
		return kvs_ring_fault(ring);
	if (split_write(ring))
		goto fault;
	smp_wmb();	/* S2 */
	kvs_put16(new, &ring->used->idx, fault);
	smp_mb();	/* S3 */
	kvs_get16(wish, ring->event_idx ? used_event(ring) :
					  &ring->avail->flags, fault);
	kvs_access_end();

	ring->used_idx = new;
	split_written(ring);
	kvs_ring_told(ring, KVS_AREA_USED, offsetof(struct vring_used, idx),
		      sizeof(u16));
	if (!ring->event_idx)
		return !(wish & VRING_AVAIL_F_NO_INTERRUPT);
	ring->called_valid = true;
	return !valid || passes_event(wish, new, old);

fault:
	kvs_access_end();
	return kvs_ring_fault(ring);
}

int kvs_split_arm(struct kvs_ring *ring)
{
	u16 seen = ring->avail_idx, known = seen - ring->next_avail, idx;
	bool write = ring->event_idx || !ring->armed;

	if (!kvs_access_begin(ring->used, sizeof(*ring->used)))
		return kvs_ring_fault(ring);
	if (ring->event_idx)
		kvs_put16(seen, avail_event(ring), fault);
	else if (write)
		kvs_put16(0, &ring->used->flags, fault);
	smp_mb();	/* S4 */
	kvs_get16(idx, &ring->avail->idx, fault);
	kvs_access_end();

	ring->armed = true;
	if (write)
		kvs_ring_told(ring, KVS_AREA_USED, ring->event_idx ?
			      used_offset(ring, 0) + ring->num *
			      sizeof(struct vring_used_elem) :
			      offsetof(struct vring_used, flags), sizeof(u16));
	/* What was there must still be there, and no more than fits in. */
	idx -= ring->next_avail;
	if (idx < known || idx > ring->num)
		return kvs_ring_break(ring, KVS_RING_AVAIL_JUMP);
	if (idx == known)
		return 0;
	smp_rmb();	/* S1 */
	ring->avail_idx = ring->next_avail + idx;
	return 1;

fault:
	kvs_access_end();
	return kvs_ring_fault(ring);
}

int kvs_split_disarm(struct kvs_ring *ring)
{
	/*
	 * With event indices there is nothing to write: the driver kicks when
	 * it passes the index left behind, which it has or is about to.
	 */
	if (ring->event_idx)
		return 0;
	if (kvs_store16(&ring->used->flags, VRING_USED_F_NO_NOTIFY))
		return kvs_ring_fault(ring);
	kvs_ring_told(ring, KVS_AREA_USED, offsetof(struct vring_used, flags),
		      sizeof(u16));
	return 0;
}

int kvs_split_pending(struct kvs_ring *ring)
{
	u16 idx;

	if (kvs_load16(&idx, &ring->avail->idx))
		return kvs_ring_fault(ring);
	return idx != ring->avail_idx;
}
