/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers share: a small guest memory filled from the input, and the
 * promises a chain must keep whatever the input is.
 *
 *	gpa 0x1000  16 KiB  region A, the ring at its start
 *	gpa 0x5000          a hole of 4 KiB
 *	gpa 0x6000   8 KiB  region B
 *	gpa 0x8000   8 KiB  region C, touching B in the guest, not in the host
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "ring.h"

#define FUZZ_A	0x4000u
#define FUZZ_BC	0x2000u

struct fuzz_guest {
	uint8_t *a, *b, *c;	/* each its own allocation, for ASan */
	struct kvs_mem *map;
	struct kvs_chain *chain;
};

/* A promise broken: a crash the fuzzer reports with its input. */
#define PROMISE(x) do { if (!(x)) __builtin_trap(); } while (0)

static inline void fuzz_guest_init(struct fuzz_guest *g, const uint8_t *data,
				   size_t size)
{
	struct kvs_region r[3];
	size_t n = size < FUZZ_A ? size : FUZZ_A;

	g->a = calloc(1, FUZZ_A);
	g->b = calloc(1, FUZZ_BC);
	g->c = calloc(1, FUZZ_BC);
	g->chain = malloc(sizeof(*g->chain));
	PROMISE(g->a && g->b && g->c && g->chain);
	if (n)
		memcpy(g->a, data, n);
	if (size > n)
		memcpy(g->b, data + n, size - n < FUZZ_BC ? size - n : FUZZ_BC);
	r[0] = (struct kvs_region){ 0x1000, FUZZ_A, (uintptr_t)g->a };
	r[1] = (struct kvs_region){ 0x6000, FUZZ_BC, (uintptr_t)g->b };
	r[2] = (struct kvs_region){ 0x8000, FUZZ_BC, (uintptr_t)g->c };
	PROMISE(!kvs_mem_create(r, 3, &g->map));
}

static inline void fuzz_guest_free(struct fuzz_guest *g)
{
	kvs_mem_free(g->map);
	free(g->a);
	free(g->b);
	free(g->c);
	free(g->chain);
}

static inline bool fuzz_inside(const struct fuzz_guest *g,
			       const struct iovec *v)
{
	const uint8_t *p = v->iov_base;

	return (p >= g->a && v->iov_len <= (size_t)(g->a + FUZZ_A - p)) ||
	       (p >= g->b && v->iov_len <= (size_t)(g->b + FUZZ_BC - p)) ||
	       (p >= g->c && v->iov_len <= (size_t)(g->c + FUZZ_BC - p));
}

/* An array of iovecs that must cover @want bytes of guest memory. */
static inline void fuzz_iov(const struct fuzz_guest *g, const struct iovec *v,
			    unsigned int nr, uint64_t want)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		PROMISE(v[i].iov_len && fuzz_inside(g, &v[i]));
		sum += v[i].iov_len;
	}
	PROMISE(sum == want);
}

/* A chain that was not refused. */
static inline void fuzz_chain_promises(const struct fuzz_guest *g)
{
	const struct kvs_chain *c = g->chain;
	uint64_t out = 0, in = 0;
	unsigned int i;

	PROMISE(c->nr_out + c->nr_in <= KVS_CHAIN_MAX);
	PROMISE(c->nr_iov_out + c->nr_iov_in <= KVS_CHAIN_MAX);
	for (i = 0; i < c->nr_out; i++)
		out += c->seg[i].len;
	for (; i < (unsigned int)c->nr_out + c->nr_in; i++)
		in += c->seg[i].len;
	PROMISE(out == c->out_len && in == c->in_len);
	fuzz_iov(g, c->iov, c->nr_iov_out, out);
	fuzz_iov(g, c->iov + c->nr_iov_out, c->nr_iov_in, in);
}

/* Offer @head in a split ring whose available entries begin at @avail. */
static inline void fuzz_offer(const struct fuzz_guest *g, size_t avail,
			      uint16_t head)
{
	struct vring_avail *a = (void *)(g->a + avail);

	a->idx = 1;
	a->ring[0] = head;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* FUZZ_H */
