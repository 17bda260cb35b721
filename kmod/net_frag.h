/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * H3: pieces of pages for frames on their way to the lower device, without a
 * fresh page for every few frames.
 *
 * A set of a few chunks of pages belongs to a queue, which cuts slices off the
 * current one. The lower device gets a reference with every slice and drops it
 * when the frame is gone, whenever that is. A chunk used up is taken again when
 * it has no other references than ours, and only then; one that somebody still
 * holds is skipped. When all are held and there may be no more of them, the
 * oldest is given up for a fresh one, unless the set is a fixed one: then there
 * is nothing to be had.
 *
 * Rules:
 *  - Our references to a chunk are kvs_chunk.bias in number. A slice handed out
 *    takes one of them along, so no atomic operation is needed for a slice.
 *  - page_ref_count() == bias means: every slice ever handed out was given
 *    back. Whoever could still take a reference needs one to begin with, or
 *    is a speculative one of the memory management, which does not look at the
 *    contents; both only make the count too large.
 *  - A reference somebody forgets to drop costs the chunk, never its contents.
 *
 * Not locked: under vq->lock, by the worker.
 */
#ifndef KVS_NET_FRAG_H
#define KVS_NET_FRAG_H

#include <linux/cache.h>
#include <linux/mm.h>

/* Most chunks of a set: room for a few batches of full-sized frames. */
#define KVS_CHUNKS		16
#define KVS_CHUNK_MAX_ORDER	5
/* References taken at once: one per smallest slice, and one that stays. */
#define KVS_CHUNK_REFS	((PAGE_SIZE << KVS_CHUNK_MAX_ORDER) / SMP_CACHE_BYTES + 1)

/**
 * struct kvs_chunk - pages that slices are cut off
 * @page: the (compound) page
 * @size: its bytes: as the set's order says, or PAGE_SIZE when memory is
 *	fragmented and the set is not fixed
 * @bias: references to it that are ours
 */
struct kvs_chunk {
	struct page *page;
	u32 size;
	u32 bias;
};

/**
 * struct kvs_frags - a set of chunks
 * @base: address of the current chunk
 * @left: bytes at its front that have not been cut off; slices are cut off
 *	the end
 * @cur: index of the current chunk
 * @nr: chunks there are
 * @order: of a chunk
 * @fixed: no chunk is ever given up while the set is in use
 * @chunk: the chunks
 */
struct kvs_frags {
	void *base;
	u32 left;
	u32 cur;
	u32 nr;
	u8 order;
	bool fixed;
	struct kvs_chunk chunk[KVS_CHUNKS];
};

void kvs_frags_init(struct kvs_frags *f, u8 order, bool fixed);
bool kvs_frags_next(struct kvs_frags *f, u32 size);
void kvs_frags_deinit(struct kvs_frags *f);

/**
 * kvs_frag_get() - cut off a slice
 * @f: the set
 * @size: bytes, a multiple of SMP_CACHE_BYTES and not 0
 *
 * Context: may sleep.
 * Return: the slice, with one page reference that is the caller's, or NULL
 * when there is no memory, or not so much in one piece, or all chunks of a
 * fixed set are held.
 */
static inline void *kvs_frag_get(struct kvs_frags *f, u32 size)
{
	if (unlikely(size > f->left) && !kvs_frags_next(f, size))
		return NULL;
	f->left -= size;
	f->chunk[f->cur].bias--;
	return f->base + f->left;
}

/* Take back the slice of @f that was cut off last, of this size. */
static inline void kvs_frag_undo(struct kvs_frags *f, u32 size)
{
	f->left += size;
	f->chunk[f->cur].bias++;
}

/* Drop the reference of a slice nobody took. */
static inline void kvs_frag_put(void *slice)
{
	put_page(virt_to_head_page(slice));
}

#endif /* KVS_NET_FRAG_H */
