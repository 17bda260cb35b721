// SPDX-License-Identifier: GPL-2.0-only
/* H3: pieces of pages for frames; see net_frag.h. */
#include <linux/gfp.h>

#include "net_frag.h"

static bool chunk_alloc(const struct kvs_frags *f, struct kvs_chunk *c)
{
	/* As much as there is without an effort; a single page with one. */
	gfp_t easy = (GFP_KERNEL_ACCOUNT & ~__GFP_DIRECT_RECLAIM) | __GFP_COMP |
		     __GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC;

	c->size = PAGE_SIZE << f->order;
	c->page = alloc_pages(easy, f->order);
	if (!c->page && !f->fixed) {
		c->size = PAGE_SIZE;
		c->page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	}
	if (!c->page)
		return false;
	page_ref_add(c->page, KVS_CHUNK_REFS - 1);
	c->bias = KVS_CHUNK_REFS;
	return true;
}

/* Give up our references; whoever holds the last slice frees the pages. */
static void chunk_drop(struct kvs_chunk *c)
{
	__page_frag_cache_drain(c->page, c->bias);
	c->page = NULL;
}

/* Can @c be used from its start again? */
static bool chunk_idle(struct kvs_chunk *c)
{
	if (page_ref_count(c->page) != c->bias)
		return false;
	/*
	 * Whoever dropped the last slice read it before; the drop is a full
	 * barrier. Our writes to the chunk depend on the count just read.
	 */
	smp_acquire__after_ctrl_dep();
	return true;
}

/* Is @c worth using again? Small ones and emergency reserves are not. */
static bool chunk_good(const struct kvs_frags *f, const struct kvs_chunk *c)
{
	return c->size == PAGE_SIZE << f->order && !page_is_pfmemalloc(c->page);
}

/* A fresh chunk in the place of number @i. */
static bool chunk_replace(struct kvs_frags *f, u32 i)
{
	struct kvs_chunk fresh;

	if (!chunk_alloc(f, &fresh))
		return false;
	if (i < f->nr)
		chunk_drop(&f->chunk[i]);
	else
		f->nr++;
	f->chunk[i] = fresh;
	return true;
}

/* Make number @i, which is idle or fresh, the current one. */
static void frags_use(struct kvs_frags *f, u32 i)
{
	struct kvs_chunk *c = &f->chunk[i];

	page_ref_add(c->page, KVS_CHUNK_REFS - c->bias);
	c->bias = KVS_CHUNK_REFS;
	f->cur = i;
	f->base = page_address(c->page);
	f->left = c->size;
}

/**
 * kvs_frags_next() - the current chunk is used up: go to another one
 * @f: the set
 * @size: bytes needed
 *
 * The oldest that is free; a new one while there may be more; else a new one
 * in place of the oldest, if the set is not fixed.
 *
 * Return: false when there is none, or none so large.
 */
bool kvs_frags_next(struct kvs_frags *f, u32 size)
{
	u32 oldest = f->cur + 1 < f->nr ? f->cur + 1 : 0;
	u32 i = oldest, n;

	for (n = 0; n < f->nr; n++) {
		if (chunk_idle(&f->chunk[i])) {
			if (!chunk_good(f, &f->chunk[i]) &&
			    !chunk_replace(f, i))
				return false;
			goto found;
		}
		i = i + 1 < f->nr ? i + 1 : 0;
	}
	i = f->nr < KVS_CHUNKS ? f->nr : oldest;
	if ((f->fixed && i < f->nr) || !chunk_replace(f, i))
		return false;
found:
	frags_use(f, i);
	return size <= f->left;
}

/**
 * kvs_frags_init() - a set without chunks yet
 * @f: the set
 * @order: of its chunks, up to KVS_CHUNK_MAX_ORDER
 * @fixed: it rather has nothing to give than it gives up a chunk
 */
void kvs_frags_init(struct kvs_frags *f, u8 order, bool fixed)
{
	memset(f, 0, sizeof(*f));
	f->order = order;
	f->fixed = fixed;
}

/* Give up all chunks; slices that are under way stay valid. */
void kvs_frags_deinit(struct kvs_frags *f)
{
	while (f->nr)
		chunk_drop(&f->chunk[--f->nr]);
	f->left = 0;
}
