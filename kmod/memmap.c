// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Guest memory table: guest physical address + length -> host addresses.
 *
 * Part of H2. Portable (env.h). A table is constant once created, so readers
 * need no lock; who replaces it waits for its readers.
 */
#include "memmap.h"

static int region_cmp(const void *a, const void *b)
{
	const struct kvs_region *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

int kvs_region_check(const struct kvs_region *r)
{
	u64 end;

	if (!r->size || check_add_overflow(r->gpa, r->size, &end) ||
	    check_add_overflow(r->hva, r->size, &end))
		return -EINVAL;
	return kvs_hva_ok(r->hva, r->size) ? 0 : -EFAULT;
}

int kvs_mem_create(const struct kvs_region *regions, u32 nr,
		   struct kvs_mem **out)
{
	struct kvs_mem *mem;
	u32 i;
	int ret;

	if (nr > KVS_MEM_MAX_REGIONS)
		return -E2BIG;
	mem = kvs_alloc(1, sizeof(*mem) + nr * sizeof(mem->r[0]));
	if (!mem)
		return -ENOMEM;

	mem->nr = nr;
	for (i = 0; i < nr; i++) {
		mem->r[i] = regions[i];
		ret = kvs_region_check(&mem->r[i]);
		if (ret)
			goto err;
	}
	sort(mem->r, nr, sizeof(mem->r[0]), region_cmp, NULL);
	for (i = 1; i < nr; i++) {
		if (mem->r[i].gpa - mem->r[i - 1].gpa < mem->r[i - 1].size) {
			ret = -EINVAL;
			goto err;
		}
	}
	*out = mem;
	return 0;

err:
	kvs_free(mem);
	return ret;
}

void kvs_mem_free(struct kvs_mem *mem)
{
	kvs_free(mem);
}

u32 kvs_mem_find(const struct kvs_mem *mem, u64 gpa)
{
	u32 lo = 0, hi = mem->nr;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		const struct kvs_region *r = &mem->r[mid];

		if (gpa < r->gpa)
			hi = mid;
		else if (gpa - r->gpa >= r->size)
			lo = mid + 1;
		else
			return mid;
	}
	return mem->nr;
}

/* The region that holds @gpa, or NULL. */
static const struct kvs_region *region_find(const struct kvs_mem *mem, u64 gpa)
{
	u32 i = kvs_mem_find(mem, gpa);

	return i < mem->nr ? &mem->r[i] : NULL;
}

int kvs_mem_iov(const struct kvs_mem *mem, u64 gpa, u64 len,
		struct iovec *iov, int max)
{
	int n = 0;

	if (len > U64_MAX - gpa)
		return -EFAULT;
	while (len) {
		const struct kvs_region *r = region_find(mem, gpa);
		u64 off, part;

		if (!r)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		off = kvs_index(gpa - r->gpa, r->size);
		part = min_t(u64, len, r->size - off);
		iov[n].iov_base = kvs_hva_ptr(r->hva + off);
		iov[n].iov_len = part;
		n++;
		gpa += part;
		len -= part;
	}
	return n;
}

int kvs_mem_load(const struct kvs_mem *mem, void *dst, u64 gpa, u32 len)
{
	while (len) {
		const struct kvs_region *r = region_find(mem, gpa);
		u64 off;
		u32 part;

		if (!r)
			return -EFAULT;
		off = kvs_index(gpa - r->gpa, r->size);
		part = min_t(u64, len, r->size - off);
		if (kvs_load(dst, kvs_hva_ptr(r->hva + off), part))
			return -EFAULT;
		dst += part;
		gpa += part;
		len -= part;
	}
	return 0;
}
