// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that writes anything anywhere in the ring, split or packed, between
 * any two steps of the device: the device's books
 * stay balanced, nothing is ever in flight twice, and a broken ring stays
 * broken.
 *
 * Input: ring size (split: log2), flags, base (2 bytes), then steps of 4 bytes:
 * what to do, and for a store the offset into the ring and the value; for an
 * offer to a packed ring the id, flags and length.
 */
#include "fuzz.h"

#define AVAIL 0x2000u
#define USED 0x2800u

struct state {
	struct fuzz_guest g;
	struct kvs_ring ring;
	uint16_t inflight[512];
	unsigned int nr;
	uint16_t at;		/* packed: where the driver offers next */
};

static void books(const struct state *s)
{
	unsigned int i, busy = 0;

	for (i = 0; i < s->ring.num; i++)
		busy += test_bit(i, s->ring.busy);
	PROMISE(busy == s->nr && s->ring.inflight == s->nr);
	for (i = 0; i < s->nr; i++)
		PROMISE(test_bit(s->inflight[i], s->ring.busy));
	PROMISE(s->ring.owned <= s->ring.num);
	PROMISE(s->ring.nr_done <= KVS_RING_BATCH);
	PROMISE(s->ring.win_next <= s->ring.win_nr);
	PROMISE(s->ring.win_nr <= s->ring.batch);
}

/* Returns whether there is one more in flight. */
static bool pop(struct state *s)
{
	bool broken = s->ring.err;
	int ret = kvs_ring_pop(&s->ring, s->g.map, s->g.chain);

	PROMISE(!broken || ret == -EIO);
	PROMISE((ret == -EIO) == !!s->ring.err);
	if (ret <= 0)
		return false;
	PROMISE((ret == KVS_POP_REFUSED) == !!s->g.chain->err);
	PROMISE(s->g.chain->head < s->ring.num);
	if (ret == KVS_POP_CHAIN)
		fuzz_chain_promises(&s->g);
	s->inflight[s->nr++] = s->g.chain->head;
	return true;
}

/* Complete one in flight, any of them; or give the newest back. */
static void finish(struct state *s, unsigned int which, bool back)
{
	uint16_t head;

	if (!s->nr)
		return;
	which = back ? s->nr - 1 : which % s->nr;
	head = s->inflight[which];
	if (back)
		kvs_ring_unpop(&s->ring, head);
	else	/* also on a broken ring it is not in flight any more */
		PROMISE(kvs_ring_put(&s->ring, head, which) ==
			(s->ring.err ? -EIO : 0));
	s->inflight[which] = s->inflight[--s->nr];
}

/* A well-formed descriptor of a packed ring where the device expects one. */
static void offer(struct state *s, const uint8_t *d)
{
	struct vring_packed_desc *to = (void *)s->g.a;
	uint16_t flags = d[2] & (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE |
				 VRING_DESC_F_INDIRECT);

	flags |= s->at & KVS_RING_WRAP ? 1 << VRING_PACKED_DESC_F_AVAIL :
					 1 << VRING_PACKED_DESC_F_USED;
	to[s->at & ~KVS_RING_WRAP] = (struct vring_packed_desc){
		0x3000u + d[3], d[3], d[1], flags };
	s->at++;
	if ((s->at & ~KVS_RING_WRAP) == s->ring.num)
		s->at = (s->at & KVS_RING_WRAP) ^ KVS_RING_WRAP;
}

static void step(struct state *s, const uint8_t *d)
{
	uint16_t v = (uint16_t)(d[2] | d[3] << 8);
	static const unsigned int area[] = { 0, AVAIL, AVAIL, USED };

	switch (d[0] % 8) {
	case 0:
		pop(s);
		break;
	case 1:
		finish(s, d[1], false);
		break;
	case 2:
		if (pop(s))	/* only the newest may be given back */
			finish(s, 0, true);
		break;
	case 3:
		PROMISE(kvs_ring_publish(&s->ring) <= 1);
		break;
	case 4:
		PROMISE(kvs_ring_arm(&s->ring) <= 1);
		break;
	case 5:
		PROMISE(kvs_ring_disarm(&s->ring) <= 0);
		break;
	case 6:
		if (s->ring.packed) {
			offer(s, d);
			break;
		}
		/* fall through */
	default:
		memcpy(s->g.a + area[d[0] >> 3 & 3] + d[1] * 2u, &v, 2);
	}
	books(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kvs_ring_cfg cfg = { 0 };
	struct state s = { 0 };
	size_t i;

	if (size < 4)
		return 0;
	fuzz_guest_init(&s.g, NULL, 0);
	cfg.event_idx = data[1] & 1;
	cfg.indirect = data[1] & 2;
	cfg.packed = data[1] & 4;
	cfg.in_order = data[1] & 8;
	cfg.one_by_one = data[1] & 16;
	cfg.num = cfg.packed ? 1u + data[0] : 1u << (data[0] % 9);
	s.at = (uint16_t)(data[2] % cfg.num | (data[3] & 128) << 8);
	cfg.base = cfg.packed ? s.at * 0x10001u :
				(uint16_t)(data[2] | data[3] << 8);
	cfg.desc = (uintptr_t)s.g.a;
	cfg.avail = (uintptr_t)s.g.a + AVAIL;
	cfg.used = (uintptr_t)s.g.a + USED;
	memcpy(s.g.a + AVAIL + 2, &cfg.base, 2);
	PROMISE(!kvs_ring_start(&s.ring, &cfg));
	for (i = 4; i + 4 <= size; i += 4)
		step(&s, data + i);
	kvs_ring_stop(&s.ring);
	fuzz_guest_free(&s.g);
	return 0;
}
