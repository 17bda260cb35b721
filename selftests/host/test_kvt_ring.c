// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tests' own driver (lib/kvt_ring.h) against a device of a few lines that
 * follows the letter of virtio 1.2: every layout, completion in order and out
 * of it, one used entry for a batch, notification suppression. Without it a
 * fault of the driver would pass for one of the module.
 */
#include <linux/virtio_config.h>

#include "kvt_ring.h"

#define MAX_NUM 256

/* A chain the device has taken. */
struct taken {
	uint16_t id;
	uint16_t slots;
	uint32_t in_len;
};

struct dev {
	struct kvt_ring *r;
	uint64_t rnd;
	uint16_t avail_idx, used_idx;		/* split */
	struct kvt_pos at_avail, at_used;	/* packed */
	struct taken taken[MAX_NUM];
	unsigned int nr;
};

static struct kvt_ring ring;
static struct kvt_mem mem;

static bool is_packed(const struct dev *d)
{
	return d->r->flags & KVT_RING_PACKED;
}

static void count_piece(const struct dev *d, struct taken *t, uint64_t addr,
			uint32_t len, uint16_t flags)
{
	uint32_t i;

	ASSERT(addr >= mem.gpa, "address 0x%llx", (unsigned long long)addr);
	if (!(flags & VRING_DESC_F_INDIRECT)) {
		t->in_len += flags & VRING_DESC_F_WRITE ? len : 0;
		return;
	}
	ASSERT(d->r->flags & KVT_RING_INDIRECT, "indirect without the feature");
	for (i = 0; i < len / 16; i++) {
		const uint8_t *e = mem.base + (addr - mem.gpa) + 16 * i;
		const struct vring_packed_desc *p = (const void *)e;
		const struct vring_desc *s = (const void *)e;

		flags = le16toh(is_packed(d) ? p->flags : s->flags);
		t->in_len += flags & VRING_DESC_F_WRITE ? le32toh(s->len) : 0;
	}
}

static bool split_take(struct dev *d, struct taken *t)
{
	struct kvt_ring *r = d->r;
	struct vring_desc *e;
	uint16_t i;

	if (d->avail_idx == le16toh(r->avail->idx))
		return false;
	i = le16toh(r->avail->ring[d->avail_idx % r->num]);
	*t = (struct taken){ .id = i };
	for (;; i = le16toh(e->next)) {
		e = &r->desc[i];
		t->slots++;
		count_piece(d, t, le64toh(e->addr), le32toh(e->len),
			    le16toh(e->flags));
		if (!(le16toh(e->flags) & VRING_DESC_F_NEXT))
			break;
		if (r->flags & KVT_RING_IN_ORDER)
			ASSERT_EQ(le16toh(e->next), (i + 1) % r->num);
	}
	d->avail_idx++;
	return true;
}

static bool packed_take(struct dev *d, struct taken *t)
{
	const uint16_t both = KVT_PACKED_AVAIL | KVT_PACKED_USED;
	struct kvt_pos pos = d->at_avail;
	struct vring_packed_desc *e;
	uint16_t flags;

	*t = (struct taken){ 0 };
	do {
		e = &d->r->slot[pos.slot];
		flags = le16toh(e->flags);
		if ((flags & both) != kvt_packed_avail(pos)) {
			ASSERT(!t->slots, "chain shown before its end");
			return false;
		}
		t->slots++;
		t->id = le16toh(e->id);
		count_piece(d, t, le64toh(e->addr), le32toh(e->len), flags);
		pos = kvt_packed_step(d->r, pos, 1);
	} while (flags & VRING_DESC_F_NEXT);
	d->at_avail = pos;
	return true;
}

static void take_all(struct dev *d)
{
	struct taken t;

	while (is_packed(d) ? packed_take(d, &t) : split_take(d, &t)) {
		ASSERT(d->nr < d->r->num, "more chains than the ring holds");
		d->taken[d->nr++] = t;
	}
}

/* Show a batch of @n chains by the one entry for its last, @slots long. */
static void write_used(struct dev *d, const struct taken *last, uint32_t len,
		       unsigned int n, unsigned int slots)
{
	struct kvt_ring *r = d->r;
	struct vring_packed_desc *e;

	if (!is_packed(d)) {
		r->used->ring[d->used_idx % r->num].id = htole32(last->id);
		r->used->ring[d->used_idx % r->num].len = htole32(len);
		d->used_idx += (uint16_t)n;
		r->used->idx = htole16(d->used_idx);
		return;
	}
	e = &r->slot[d->at_used.slot];
	e->id = htole16(last->id);
	e->len = htole32(len);
	e->flags = htole16(kvt_packed_used(d->at_used));
	d->at_used = kvt_packed_step(r, d->at_used, slots);
}

/* Complete one batch; returns the number of chains. */
static unsigned int complete(struct dev *d)
{
	bool in_order = d->r->flags & KVT_RING_IN_ORDER;
	unsigned int n = 1, at = 0, i, slots = 0;

	if (in_order)
		n += (unsigned int)(kvt_rand(&d->rnd) % d->nr);
	else
		at = (unsigned int)(kvt_rand(&d->rnd) % d->nr);
	for (i = at; i < at + n; i++)
		slots += d->taken[i].slots;
	write_used(d, &d->taken[at + n - 1], d->taken[at + n - 1].in_len / 2,
		   n, slots);
	d->nr -= n;
	memmove(&d->taken[at], &d->taken[at + n],
		(d->nr - at) * sizeof(d->taken[0]));
	return n;
}

/* Offer chains until some do not fit; the token tells the writable length. */
static unsigned int offer(struct dev *d, uint8_t *area)
{
	struct kvt_sg sg[8];
	unsigned int n, out, i, offered = 0;
	uint32_t len;

	for (;;) {
		n = 1 + (unsigned int)(kvt_rand(&d->rnd) % 5);
		out = (unsigned int)(kvt_rand(&d->rnd) % (n + 1));
		if (!kvt_ring_fits(&ring, n) || offered == 40)
			return offered;
		for (i = 0, len = 0; i < n; i++) {
			sg[i] = kvt_sg(&mem, area, 2 + 2 * i);
			len += i >= out ? 2 + 2 * i : 0;
		}
		kvt_ring_add(&ring, sg, out, n - out, area + len);
		offered++;
	}
}

static void reap(const uint8_t *area, unsigned int n, unsigned int batch)
{
	uint32_t len, whole;
	uint8_t *token;

	ASSERT_EQ(kvt_ring_used(&ring), n);
	for (; n; n--) {
		ASSERT_EQ(kvt_ring_used(&ring), n);
		token = kvt_ring_get(&ring, NULL, &len);
		ASSERT(token, "%u used chains not handed out", n);
		whole = (uint32_t)(token - area);
		/* the last of a batch has its own length */
		if (batch == 1 || n == 1)
			EXPECT_EQ(len, whole / 2);
		else
			EXPECT_EQ(len, whole);
	}
	ASSERT(!kvt_ring_get(&ring, NULL, NULL), "a chain too many");
}

static void exercise(uint16_t num, unsigned int flags)
{
	struct dev d = { .r = &ring, .rnd = num * 64u + flags + 1,
			 .at_avail = { 0, true }, .at_used = { 0, true } };
	unsigned int i, n, had;
	uint8_t *area;

	kvt_mem_init(&mem, 4 << 20, 1ull << 30);
	kvt_ring_init(&ring, &mem, num, flags);
	area = kvt_mem_alloc(&mem, 4096, 4096);
	for (i = 0; i < 3000; i++) {
		had = d.nr;
		n = offer(&d, area);
		take_all(&d);
		ASSERT_EQ(d.nr, had);	/* not published yet */
		kvt_ring_publish(&ring);
		take_all(&d);
		ASSERT_EQ(d.nr, had + n);
		n = complete(&d);
		reap(area, n, flags & KVT_RING_IN_ORDER ? 0 : 1);
	}
	while (d.nr) {
		n = complete(&d);
		reap(area, n, flags & KVT_RING_IN_ORDER ? 0 : 1);
	}
	ASSERT_EQ(ring.nr_free, num);
	kvt_ring_free(&ring);
	kvt_mem_free(&mem);
}

static void all_flags(const uint16_t *nums, size_t n, unsigned int layout)
{
	unsigned int i, f;

	for (i = 0; i < n; i++)
		for (f = 0; f < 4; f++)
			exercise(nums[i], layout |
				 (f & 1 ? KVT_RING_INDIRECT : 0) |
				 (f & 2 ? KVT_RING_IN_ORDER : 0));
}

TEST("split: chains come back whole, in order and out of it")
{
	static const uint16_t nums[] = { 8, 16, 128, 256 };

	all_flags(nums, 4, 0);
}

TEST("packed: chains come back whole, in order and out of it, any ring size")
{
	static const uint16_t nums[] = { 5, 7, 8, 100, 255, 256 };

	all_flags(nums, 6, KVT_RING_PACKED);
}

/* The rule of 2.8.10: a kick when the offset named is passed. */
TEST("packed: a kick is due exactly when the device's offset is passed")
{
	uint16_t num = 7, at, n;
	struct kvt_sg sg;
	unsigned int lap;
	uint8_t *p;

	kvt_mem_init(&mem, 1 << 20, 1ull << 30);
	kvt_ring_init(&ring, &mem, num, KVT_RING_PACKED | KVT_RING_EVENT_IDX);
	p = kvt_mem_alloc(&mem, 64, 64);
	sg = kvt_sg(&mem, p, 64);
	ring.device->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
	for (lap = 0; lap < 4 * 49; lap++) {
		struct dev d = { .r = &ring, .at_avail = ring.at_avail,
				 .at_used = ring.at_used };
		struct kvt_pos event;

		n = (uint16_t)(1 + lap % num);
		at = (uint16_t)(lap / num % num);
		/* the @at-th slot from here is waited for, @n are offered */
		event = kvt_packed_step(&ring, ring.at_avail, at);
		ring.device->off_wrap = htole16((uint16_t)
			(event.slot | event.wrap << 15));
		for (d.nr = 0; d.nr < n; d.nr++)
			kvt_ring_add(&ring, &sg, 1, 0, p);
		EXPECT_EQ(kvt_ring_publish(&ring), at < n);
		d.nr = 0;
		take_all(&d);
		ASSERT_EQ(d.nr, n);
		while (d.nr) {
			write_used(&d, &d.taken[0], 0, 1, 1);
			ASSERT(kvt_ring_get(&ring, NULL, NULL) == p, "token");
			memmove(d.taken, d.taken + 1,
				--d.nr * sizeof(d.taken[0]));
		}
	}
	kvt_ring_free(&ring);
	kvt_mem_free(&mem);
}
