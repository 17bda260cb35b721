// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that writes anything anywhere in the ring between any two steps of
 * the device: the device's books stay balanced, nothing
 * is ever in flight twice, and a broken ring stays broken.
 *
 * Input: ring size (log2), flags, base (2 bytes), then steps of 4 bytes: what
 * to do, and for a store the offset into the ring and the value.
 */
#include "fuzz.h"

#define AVAIL 0x2000u
#define USED 0x2800u

struct state {
	struct fuzz_guest g;
	struct kvs_ring ring;
	uint16_t inflight[512];
	unsigned int nr;
};

static void books(const struct state *s)
{
	unsigned int i, busy = 0;

	for (i = 0; i < s->ring.num; i++)
		busy += test_bit(i, s->ring.busy);
	PROMISE(busy == s->nr && s->ring.inflight == s->nr);
	for (i = 0; i < s->nr; i++)
		PROMISE(test_bit(s->inflight[i], s->ring.busy));
}

static void pop(struct state *s)
{
	bool broken = s->ring.err;
	int ret = kvs_ring_pop(&s->ring, s->g.map, s->g.chain);

	PROMISE(!broken || ret == -EIO);
	PROMISE((ret == -EIO) == !!s->ring.err);
	if (ret <= 0)
		return;
	PROMISE((ret == KVS_POP_REFUSED) == !!s->g.chain->err);
	PROMISE(s->g.chain->head < s->ring.num);
	if (ret == KVS_POP_CHAIN)
		fuzz_chain_promises(&s->g);
	s->inflight[s->nr++] = s->g.chain->head;
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
		pop(s);		/* only the newest may be given back */
		if (s->nr && !s->ring.err &&
		    s->inflight[s->nr - 1] == s->g.chain->head)
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
	cfg.num = 1u << (data[0] % 9);
	cfg.event_idx = data[1] & 1;
	cfg.indirect = data[1] & 2;
	cfg.base = (uint16_t)(data[2] | data[3] << 8);
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
