// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's side of a packed virtqueue (virtio 1.2, 2.8); see kvt_ring.h.
 *
 * Descriptors are taken slot after slot; a chain is known by a buffer id of
 * its own, so chains may come back in any order. A wrap counter that flips at
 * the end of the ring tells what is new.
 */
#include <endian.h>

#include "kvt_packed.h"

static uint16_t load_flags(const struct vring_packed_desc *d)
{
	return le16toh(__atomic_load_n(&d->flags, __ATOMIC_ACQUIRE));
}

static void store_flags(struct vring_packed_desc *d, uint16_t flags)
{
	__atomic_store_n(&d->flags, htole16(flags), __ATOMIC_RELEASE);
}

uint16_t kvt_packed_avail(struct kvt_pos pos)
{
	return pos.wrap ? KVT_PACKED_AVAIL : KVT_PACKED_USED;
}

uint16_t kvt_packed_used(struct kvt_pos pos)
{
	return pos.wrap ? KVT_PACKED_AVAIL | KVT_PACKED_USED : 0;
}

struct kvt_pos kvt_packed_step(const struct kvt_ring *ring, struct kvt_pos pos,
			       unsigned int slots)
{
	unsigned int to = pos.slot + slots;

	if (to >= ring->num) {
		to -= ring->num;
		pos.wrap = !pos.wrap;
	}
	pos.slot = (uint16_t)to;
	return pos;
}

void kvt_packed_reset(struct kvt_ring *ring)
{
	memset(ring->driver, 0, sizeof(*ring->driver));
	memset(ring->device, 0, sizeof(*ring->device));
	ring->at_avail = (struct kvt_pos){ 0, true };
	ring->at_used = ring->at_avail;
	ring->nr_ids = ring->num;
	ring->nr_new = 0;
	ring->held = NULL;
}

/*
 * One descriptor. The first one since the last publication is held back by
 * its flags: the device reads in order and comes no further.
 */
static void put_slot(struct kvt_ring *ring, const struct kvt_sg *sg,
		     uint16_t id, uint16_t flags)
{
	struct vring_packed_desc *d = &ring->slot[ring->at_avail.slot];

	d->addr = htole64(sg->gpa);
	d->len = htole32(sg->len);
	d->id = htole16(id);
	flags |= kvt_packed_avail(ring->at_avail);
	if (ring->held) {
		store_flags(d, flags);
	} else {
		ring->held = d;
		ring->held_flags = flags;
	}
	ring->at_avail = kvt_packed_step(ring, ring->at_avail, 1);
	ring->nr_free--;
	ring->nr_new++;
}

/* An indirect table says only what is writable (2.8.8). */
static struct kvt_sg put_table(struct kvt_ring *ring, uint16_t id,
			       const struct kvt_sg *sg, unsigned int nr_out,
			       unsigned int n)
{
	struct vring_packed_desc *t =
		(void *)&ring->indirect[id * KVT_INDIRECT_MAX];
	unsigned int i;

	for (i = 0; i < n; i++)
		t[i] = (struct vring_packed_desc){
			.addr = htole64(sg[i].gpa), .len = htole32(sg[i].len),
			.flags = htole16(i < nr_out ? 0 : VRING_DESC_F_WRITE),
		};
	return kvt_sg(ring->mem, t, n * (uint32_t)sizeof(*t));
}

uint16_t kvt_packed_add(struct kvt_ring *ring, const struct kvt_sg *sg,
			unsigned int nr_out, unsigned int n)
{
	uint16_t id = ring->free[--ring->nr_ids];
	unsigned int i;

	if (ring->indirect && n > 1) {
		struct kvt_sg table = put_table(ring, id, sg, nr_out, n);

		put_slot(ring, &table, id, VRING_DESC_F_INDIRECT);
		return id;
	}
	for (i = 0; i < n; i++)
		put_slot(ring, &sg[i], id,
			 (i < nr_out ? 0 : VRING_DESC_F_WRITE) |
			 (i + 1 < n ? VRING_DESC_F_NEXT : 0));
	return id;
}

/* Does the device want a kick for the descriptors since the last time? */
static bool wants_kick(const struct kvt_ring *ring, uint16_t nr_new)
{
	uint16_t new = ring->at_avail.slot, event;
	struct vring_packed_desc_event e;
	uint32_t raw;
	bool wrap;

	/* one load, so that offset and flags belong together */
	raw = __atomic_load_n((const uint32_t *)ring->device, __ATOMIC_RELAXED);
	memcpy(&e, &raw, sizeof(e));
	if (le16toh(e.flags) != VRING_PACKED_EVENT_FLAG_DESC ||
	    !(ring->flags & KVT_RING_EVENT_IDX))
		return le16toh(e.flags) != VRING_PACKED_EVENT_FLAG_DISABLE;
	wrap = le16toh(e.off_wrap) >> VRING_PACKED_EVENT_F_WRAP_CTR;
	event = le16toh(e.off_wrap) & 0x7fff;
	if (wrap != ring->at_avail.wrap)
		event -= ring->num;	/* the lap before */
	return vring_need_event(event, new, (uint16_t)(new - nr_new));
}

bool kvt_packed_publish(struct kvt_ring *ring)
{
	uint16_t nr_new = ring->nr_new;

	if (ring->held)
		store_flags(ring->held, ring->held_flags);
	ring->held = NULL;
	ring->nr_new = 0;
	/* pairs with the device: it writes its wish, then reads descriptors */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return wants_kick(ring, nr_new);
}

static bool is_used(const struct kvt_ring *ring, struct kvt_pos pos)
{
	uint16_t both = KVT_PACKED_AVAIL | KVT_PACKED_USED;

	return (load_flags(&ring->slot[pos.slot]) & both) ==
	       kvt_packed_used(pos);
}

bool kvt_packed_peek(const struct kvt_ring *ring, uint32_t *id, uint32_t *len)
{
	const struct vring_packed_desc *d = &ring->slot[ring->at_used.slot];

	if (!ring->nr_inflight || !is_used(ring, ring->at_used))
		return false;
	*id = le16toh(d->id);
	*len = le32toh(d->len);
	return true;
}

/* Slots of the @n oldest chains, @seen skipped; or of chain @id. */
static unsigned int slots(const struct kvt_ring *ring, uint16_t id,
			  unsigned int seen, unsigned int n)
{
	unsigned int i, sum = 0;

	if (!(ring->flags & KVT_RING_IN_ORDER))
		return id < ring->num ? ring->buf[id].slots : 1;
	for (i = seen; i < seen + n; i++)
		sum += ring->buf[ring->order[(ring->oldest + i) %
					     ring->num]].slots;
	return sum;
}

uint16_t kvt_packed_count(const struct kvt_ring *ring, uint16_t max,
			  struct kvt_pos *end)
{
	struct kvt_pos pos = ring->at_used;
	unsigned int seen = ring->batch;

	if (seen)
		pos = kvt_packed_step(ring, pos, slots(ring, 0, 0, seen));
	while (seen < ring->nr_inflight && seen < max && is_used(ring, pos)) {
		uint16_t id = le16toh(ring->slot[pos.slot].id);
		unsigned int n = kvt_batch(ring, id, seen);

		pos = kvt_packed_step(ring, pos, slots(ring, id, seen, n));
		seen += n;
	}
	if (end)
		*end = pos;
	return (uint16_t)seen;
}

void kvt_packed_release(struct kvt_ring *ring, uint16_t id)
{
	ring->at_used = kvt_packed_step(ring, ring->at_used,
					ring->buf[id].slots);
	ring->nr_free += ring->buf[id].slots;
	ring->free[ring->nr_ids++] = id;
}

/*
 * Where the n-th chain from now comes back depends on the sizes of those
 * before it, so the call is asked for where the next one does.
 */
void kvt_packed_want_call(struct kvt_ring *ring, uint16_t n)
{
	struct vring_packed_desc_event e = { 0 };
	struct kvt_pos pos;
	uint32_t raw;

	if (ring->flags & KVT_RING_EVENT_IDX) {
		kvt_packed_count(ring, n, &pos);
		e.off_wrap = htole16((uint16_t)(pos.slot | pos.wrap <<
						VRING_PACKED_EVENT_F_WRAP_CTR));
		e.flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
	}
	memcpy(&raw, &e, sizeof(raw));
	__atomic_store_n((uint32_t *)ring->driver, raw, __ATOMIC_RELEASE);
}

/* ---- hostile drivers ---- */

void kvt_raw_packed(struct kvt_ring *ring, uint16_t slot, uint64_t gpa,
		    uint32_t len, uint16_t id, uint16_t flags)
{
	struct vring_packed_desc *d = &ring->slot[slot];

	d->addr = htole64(gpa);
	d->len = htole32(len);
	d->id = htole16(id);
	store_flags(d, flags);
}

void kvt_raw_packed_push(struct kvt_ring *ring, uint64_t gpa, uint32_t len,
			 uint16_t id, uint16_t flags)
{
	struct vring_packed_desc *d = &ring->slot[ring->at_avail.slot];
	uint16_t all = flags | kvt_packed_avail(ring->at_avail);

	/* held back as in put_slot(): the device may be looking */
	if (!ring->held) {
		ring->held = d;
		ring->held_flags = all;
		all = le16toh(d->flags);
	}
	kvt_raw_packed(ring, ring->at_avail.slot, gpa, len, id, all);
	ring->at_avail = kvt_packed_step(ring, ring->at_avail, 1);
}

int kvt_raw_packed_take(struct kvt_ring *ring, unsigned int slots,
			uint16_t *id, uint32_t *len, unsigned int ms)
{
	const struct vring_packed_desc *d = &ring->slot[ring->at_used.slot];
	uint64_t deadline = kvt_deadline(ms);

	while (!is_used(ring, ring->at_used)) {
		if (!kvt_left(deadline))
			return -ETIMEDOUT;
		kvt_sleep(1);
	}
	*id = le16toh(d->id);
	*len = le32toh(d->len);
	ring->at_used = kvt_packed_step(ring, ring->at_used, slots);
	return 0;
}
