// SPDX-License-Identifier: GPL-2.0-only
/* H3/H4: guest pages pinned for the host's own I/O. See pin.h. */
#include <linux/mm.h>

#include "pin.h"

#define PIN_BATCH 16

/* Does @page continue the last element, inside one compound page? */
static bool pin_continues(const struct bio_vec *last, const struct page *page,
			  u32 offset)
{
	u32 end = last->bv_offset + last->bv_len;

	/* Unpinning walks the pages from the first: they must be adjacent. */
	return !offset && end % PAGE_SIZE == 0 &&
	       page == last->bv_page + end / PAGE_SIZE &&
	       compound_head(page) == compound_head(last->bv_page);
}

/* Append a piece of a page. Returns false when the array is full. */
static bool pin_add(struct bio_vec *bvec, u32 *nr, u32 max, struct page *page,
		    u32 len, u32 offset)
{
	if (*nr && pin_continues(&bvec[*nr - 1], page, offset)) {
		bvec[*nr - 1].bv_len += len;
		return true;
	}
	if (*nr == max)
		return false;
	bvec[*nr].bv_page = page;
	bvec[*nr].bv_len = len;
	bvec[*nr].bv_offset = offset;
	(*nr)++;
	return true;
}

static int pin_range(unsigned long addr, size_t len, bool write,
		     struct bio_vec *bvec, u32 *nr, u32 max)
{
	struct page *pages[PIN_BATCH];
	int i, got;

	while (len) {
		u32 offset = offset_in_page(addr);
		u32 want = min_t(size_t, PIN_BATCH,
				 DIV_ROUND_UP(offset + len, PAGE_SIZE));

		got = pin_user_pages_fast(addr - offset, want,
					  write ? FOLL_WRITE : 0, pages);
		if (got <= 0)
			return -EFAULT;
		for (i = 0; i < got; i++) {
			u32 part = min_t(size_t, len, PAGE_SIZE - offset);

			if (!pin_add(bvec, nr, max, pages[i], part, offset)) {
				unpin_user_pages(&pages[i], got - i);
				return -E2BIG;
			}
			addr += part;
			len -= part;
			offset = 0;
		}
	}
	return 0;
}

int kvs_pin_iov(const struct iovec *iov, u32 nr_iov, bool write,
		struct bio_vec *bvec, u32 max)
{
	u32 i, nr = 0;
	int ret;

	for (i = 0; i < nr_iov; i++) {
		ret = pin_range((unsigned long)iov[i].iov_base, iov[i].iov_len,
				write, bvec, &nr, max);
		if (ret) {
			kvs_unpin(bvec, nr, false);
			return ret;
		}
	}
	return nr;
}

void kvs_unpin(struct bio_vec *bvec, u32 nr, bool dirty)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		u32 end = bvec[i].bv_offset + bvec[i].bv_len;

		unpin_user_page_range_dirty_lock(bvec[i].bv_page,
						 DIV_ROUND_UP(end, PAGE_SIZE),
						 dirty);
	}
}
