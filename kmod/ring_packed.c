// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * H2: the device's side of a packed virtqueue (virtio 1.2, 2.8).
 *
 * Portable (env.h). Barriers P1 to P4: Documentation/ring.rst.
 *
 * A descriptor's length, id and flags are one aligned 64-bit word, loaded and
 * stored as one. Positions carry the wrap counter (KVS_RING_WRAP).
 */
#include "ring_priv.h"

#define AVAIL	(1 << VRING_PACKED_DESC_F_AVAIL)
#define USED	(1 << VRING_PACKED_DESC_F_USED)

/* Event suppression: what the two low bits of the flags say. */
#define EVENT_MASK	3
#define EVENT(flags)	((u32)(flags) << 16)

static bool pos_ok(u32 num, u16 pos)
{
	return kvs_pos_index(pos) < num;
}

int kvs_packed_check(const struct kvs_ring_cfg *cfg)
{
	u16 avail = (u16)cfg->base, used = (u16)(cfg->base >> 16);
	int ahead = kvs_pos_distance(cfg->num, used, avail);

	if (!pos_ok(cfg->num, avail) || !pos_ok(cfg->num, used) ||
	    ahead < 0 || ahead > (int)cfg->num)
		return -EINVAL;
	if (cfg->desc % sizeof(struct kvs_raw_desc) ||
	    cfg->avail % sizeof(u32) || cfg->used % sizeof(u32))
		return -EINVAL;
	if (!kvs_hva_ok(cfg->desc, cfg->num * sizeof(struct kvs_raw_desc)) ||
	    !kvs_hva_ok(cfg->avail, sizeof(u32)) ||
	    !kvs_hva_ok(cfg->used, sizeof(u32)))
		return -EFAULT;
	return 0;
}

/* Write the device's event suppression structure as a whole. */
static int packed_event(struct kvs_ring *ring, u32 event)
{
	if (!kvs_access_begin(ring->device_event, sizeof(u32)))
		return kvs_ring_fault(ring);
	kvs_put32(event, ring->device_event, fault);
	kvs_access_end();
	kvs_ring_told(ring, KVS_AREA_USED, 0, sizeof(u32));
	return 0;

fault:
	kvs_access_end();
	return kvs_ring_fault(ring);
}

int kvs_packed_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg)
{
	ring->driver_event = kvs_hva_ptr(cfg->avail);
	ring->device_event = kvs_hva_ptr(cfg->used);
	ring->next_avail = (u16)cfg->base;
	ring->avail_idx = ring->next_avail;
	ring->next_used = (u16)(cfg->base >> 16);
	ring->used_idx = ring->next_used;
	return packed_event(ring, EVENT(VRING_PACKED_EVENT_FLAG_ENABLE)) ?
	       -EFAULT : 0;
}

/* The flags of a descriptor that is available in the round of @pos. */
static inline u64 offered(u16 pos)
{
	return (u64)(pos & KVS_RING_WRAP ? AVAIL : USED) << 48;
}

#define OFFERED_MASK	((u64)(AVAIL | USED) << 48)

/*
 * Inside a section: read up to @max descriptors, which lie side by side and
 * begin at @pos, into @to. Returns how many of them are available; *fault tells
 * why there are not more.
 */
static __always_inline u16 packed_read(struct kvs_ring *ring, u16 pos, u16 max,
				       struct kvs_desc *to, bool *fault)
{
	struct kvs_raw_desc __user *d = ring->desc +
		kvs_index(kvs_pos_index(pos), ring->num);
	u64 want = offered(pos), word;
	u16 i;

	*fault = true;
	for (i = 0; i < max; i++, d++, to++) {
		kvs_get64(word, &d->word, out);
		if ((word & OFFERED_MASK) != want)
			break;
		smp_rmb();	/* P1 */
		kvs_get64(to->addr, &d->addr, out);
		to->word = word;
	}
	*fault = false;
out:
	return i;
}

/*
 * Read ahead from @pos on, up to a descriptor that is not available, or to the
 * end of the ring. Returns how many there are, or -EIO.
 */
static noinline int packed_fetch(struct kvs_ring *ring, u16 pos)
{
	u16 max = min_t(u16, ring->batch, ring->num - kvs_pos_index(pos)), n;
	bool fault;

	if (!kvs_access_begin(ring->desc, sizeof(*ring->desc)))
		return kvs_ring_fault(ring);
	n = packed_read(ring, pos, max, ring->win, &fault);
	kvs_access_end();
	if (unlikely(fault && !n))
		return kvs_ring_fault(ring);
	ring->avail_idx = kvs_pos_add(ring->num, pos, n);
	if (n) {	/* else: what was taken last may still be given back */
		ring->win_next = 0;
		ring->win_nr = n;
	}
	return n;
}

/* One more descriptor of a chain, the @n-th. */
static void packed_add(struct kvs_ring *ring, const struct kvs_mem *mem,
		       const struct kvs_desc *d, u32 n, struct kvs_chain *chain)
{
	u16 flags = kvs_packed_flags(d);

	if (unlikely(chain->err))
		return;		/* only its end is of interest */
	if (unlikely(n > KVS_CHAIN_MAX))
		chain->err = KVS_CHAIN_TOO_LONG;
	else if (!(flags & VRING_DESC_F_INDIRECT))
		kvs_chain_add(chain, mem, &ring->hint, d, flags);
	else if (ring->indirect)
		kvs_chain_indirect(chain, mem, &ring->hint, d, flags, true);
	else
		chain->err = KVS_CHAIN_INDIRECT;
}

/* What follows in the window, or is read into it. As packed_fetch(). */
static inline int packed_more(struct kvs_ring *ring, u16 pos)
{
	return ring->win_next == ring->win_nr ? packed_fetch(ring, pos) : 1;
}

/*
 * Walk a chain from @pos on, which moves behind it. Its id becomes the head.
 * Returns the number of its descriptors or -EIO.
 */
static noinline int packed_walk(struct kvs_ring *ring,
				const struct kvs_mem *mem, u16 *pos,
				struct kvs_chain *chain)
{
	u32 n = 0, room = ring->num - ring->owned;
	const struct kvs_desc *d;
	int ret;

	kvs_chain_init(chain, 0);
	for (;;) {
		if (unlikely(n == room))
			return kvs_ring_break(ring, KVS_RING_AVAIL_JUMP);
		d = &ring->win[ring->win_next++];
		*pos = kvs_pos_next(ring->num, *pos);
		packed_add(ring, mem, d, ++n, chain);
		if (!(kvs_packed_flags(d) & VRING_DESC_F_NEXT))
			break;
		ret = packed_more(ring, *pos);
		if (ret < 0)
			return ret;
		if (unlikely(!ret))
			return kvs_ring_break(ring, KVS_RING_BAD_WRAP);
	}
	chain->head = kvs_packed_id(d);
	chain->slots = n;
	return n;
}

int kvs_packed_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		   struct kvs_chain *chain)
{
	u16 pos = ring->next_avail, id;
	const struct kvs_desc *d;
	int n;

	n = packed_more(ring, pos);
	if (n <= 0)
		return n;
	d = &ring->win[ring->win_next];
	if (likely(ring->owned < ring->num &&
		   kvs_chain_one(chain, mem, &ring->hint, d,
				 kvs_packed_flags(d), kvs_packed_id(d)))) {
		ring->win_next++;
		pos = kvs_pos_next(ring->num, pos);
		n = 1;
	} else {
		n = packed_walk(ring, mem, &pos, chain);
		if (n < 0)
			return n;
	}

	id = chain->head;
	if (unlikely(id >= ring->num))
		return kvs_ring_break(ring, KVS_RING_BAD_HEAD);
	id = kvs_index(id, ring->num);
	if (unlikely(test_bit(id, ring->busy)))
		return kvs_ring_break(ring, KVS_RING_HEAD_BUSY);
	ring->count[id] = n;
	ring->owned += n;
	ring->next_avail = pos;
	return kvs_ring_taken(ring, chain);
}

/*
 * Inside a section: write the used descriptors kept back. The first one that
 * the driver waits for keeps the flags of an available one; with it hidden the
 * driver does not look at those behind it.
 */
static __always_inline int packed_write(struct kvs_ring *ring)
{
	struct kvs_raw_desc __user *desc = ring->desc;
	const struct kvs_used *u = ring->done, *end = u + ring->nr_done;
	u16 first = ring->used_idx;

	for (; u < end; u++) {
		u16 flags = u->len ? VRING_DESC_F_WRITE : 0;

		if (u->slot & KVS_RING_WRAP)
			flags |= AVAIL | USED;
		if (u->slot == first) {
			ring->first_flags = flags;
			flags = first & KVS_RING_WRAP ? AVAIL : USED;
		}
		kvs_put64(u->len | (u64)u->id << 32 | (u64)flags << 48,
			  &desc[kvs_pos_index(u->slot)].word, fault);
	}
	return 0;

fault:
	return -EFAULT;
}

/* Outside: they are written. */
static void packed_written(struct kvs_ring *ring)
{
	u16 i;

	if (unlikely(ring->watch))
		for (i = 0; i < ring->nr_done; i++)
			ring->watch(ring, KVS_AREA_DESC,
				    kvs_pos_index(ring->done[i].slot) *
				    sizeof(struct kvs_raw_desc),
				    sizeof(struct kvs_raw_desc));
	kvs_ring_written(ring);
}

int kvs_packed_flush(struct kvs_ring *ring)
{
	int ret;

	if (!kvs_access_begin(ring->desc, sizeof(*ring->desc)))
		return kvs_ring_fault(ring);
	ret = packed_write(ring);
	kvs_access_end();
	if (ret)
		return kvs_ring_fault(ring);
	packed_written(ring);
	return unlikely(ring->err) ? -EIO : 0;
}

/*
 * Does the driver want a call for the step from @old to @new? Reserved flags
 * and positions outside the ring count as "always".
 */
static bool packed_wants_call(struct kvs_ring *ring, u32 wish, u16 old, u16 new)
{
	bool valid = ring->called_valid;
	u16 event = (u16)wish;
	int behind;

	ring->called_valid = true;
	switch (wish >> 16 & EVENT_MASK) {
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		return false;
	case VRING_PACKED_EVENT_FLAG_DESC:
		break;
	default:
		return true;
	}
	if (!valid || !ring->event_idx || !pos_ok(ring->num, event))
		return true;
	behind = kvs_pos_distance(ring->num, event, new);
	return behind >= 1 && behind <= kvs_pos_distance(ring->num, old, new);
}

int kvs_packed_publish(struct kvs_ring *ring)
{
	u16 old = ring->used_idx, new = ring->next_used;
	struct kvs_raw_desc __user *first = ring->desc + kvs_pos_index(old);
	u32 wish;

	if (!kvs_access_begin(ring->desc, sizeof(*ring->desc)))
		return kvs_ring_fault(ring);
	if (packed_write(ring))
		goto fault;
	smp_wmb();	/* P2 */
	kvs_put16(ring->first_flags, (__virtio16 __user *)&first->word + 3,
		  fault);
	smp_mb();	/* P3 */
	kvs_get32(wish, ring->driver_event, fault);
	kvs_access_end();

	ring->used_idx = new;
	ring->owned -= kvs_pos_distance(ring->num, old, new);
	packed_written(ring);
	kvs_ring_told(ring, KVS_AREA_DESC, kvs_pos_index(old) *
		      sizeof(*first), sizeof(*first));
	return packed_wants_call(ring, wish, old, new);

fault:
	kvs_access_end();
	return kvs_ring_fault(ring);
}

int kvs_packed_arm(struct kvs_ring *ring)
{
	u16 seen = ring->avail_idx;
	bool write = ring->event_idx || !ring->armed;
	u64 word;

	if (!kvs_access_begin(ring->desc, sizeof(*ring->desc)))
		return kvs_ring_fault(ring);
	if (ring->event_idx)
		kvs_put32(seen | EVENT(VRING_PACKED_EVENT_FLAG_DESC),
			  ring->device_event, fault);
	else if (write)
		kvs_put32(EVENT(VRING_PACKED_EVENT_FLAG_ENABLE),
			  ring->device_event, fault);
	smp_mb();	/* P4 */
	kvs_get64(word, &ring->desc[kvs_pos_index(seen)].word, fault);
	kvs_access_end();

	ring->armed = true;
	if (write)
		kvs_ring_told(ring, KVS_AREA_USED, 0, sizeof(u32));
	return (word & OFFERED_MASK) == offered(seen);

fault:
	kvs_access_end();
	return kvs_ring_fault(ring);
}

int kvs_packed_disarm(struct kvs_ring *ring)
{
	return packed_event(ring, EVENT(VRING_PACKED_EVENT_FLAG_DISABLE));
}

int kvs_packed_pending(struct kvs_ring *ring)
{
	u16 seen = ring->avail_idx;
	u64 word;

	if (!kvs_access_begin(ring->desc, sizeof(*ring->desc)))
		return kvs_ring_fault(ring);
	kvs_get64(word, &ring->desc[kvs_pos_index(seen)].word, fault);
	kvs_access_end();
	return (word & OFFERED_MASK) == offered(seen);

fault:
	kvs_access_end();
	return kvs_ring_fault(ring);
}
