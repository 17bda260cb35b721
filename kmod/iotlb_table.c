// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A device's IOTLB as a memory table: I/O virtual -> host addresses.
 *
 * Part of H2. Portable (env.h). Tables are constant, so that a queue reads
 * the one it was given without further locks; each message makes a new one.
 * It is a cache: whatever is in doubt is left out, and asked for again.
 */
#include "iotlb_table.h"

static struct kvs_mem_attr no_attr[1];

const struct kvs_mem kvs_iotlb_empty = { .attr = no_attr };

/* The attributes lie behind the regions, in the same piece of memory. */
static struct kvs_mem *table_alloc(u32 nr)
{
	struct kvs_mem *mem;

	mem = kvs_alloc(1, sizeof(*mem) + (size_t)nr * sizeof(mem->r[0]) +
			   (size_t)nr * sizeof(mem->attr[0]));
	if (mem)
		mem->attr = (struct kvs_mem_attr *)&mem->r[nr];
	return mem;
}

void kvs_iotlb_free(const struct kvs_mem *mem)
{
	if (mem != &kvs_iotlb_empty)
		kvs_free(mem);
}

/* The first entry that ends behind @iova; mem->nr when there is none. */
static u32 first_behind(const struct kvs_mem *mem, u64 iova)
{
	u32 lo = 0, hi = mem->nr;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (mem->r[mid].gpa + mem->r[mid].size > iova)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* The entries that touch @iova to @last are *from to before *to. */
static void touched(const struct kvs_mem *mem, u64 iova, u64 last, u32 *from,
		    u32 *to)
{
	u32 i = first_behind(mem, iova);

	*from = i;
	while (i < mem->nr && mem->r[i].gpa <= last)
		i++;
	*to = i;
}

/* Append old entries @from to before @to, but for number @skip. */
static void append(struct kvs_mem *mem, const struct kvs_mem *old, u32 from,
		   u32 to, u32 skip)
{
	u32 i;

	for (i = from; i < to; i++) {
		if (i == skip)
			continue;
		mem->r[mem->nr] = old->r[i];
		mem->attr[mem->nr] = old->attr[i];
		mem->nr++;
	}
}

/* The oldest entry outside @from to before @to; @now is newer than all. */
static u32 oldest(const struct kvs_mem *mem, u32 from, u32 to, u32 now)
{
	u32 i, age, found = mem->nr, most = 0;

	for (i = 0; i < mem->nr; i++) {
		age = now - mem->attr[i].age;
		if (i >= from && i < to)
			continue;
		if (found == mem->nr || age > most) {
			most = age;
			found = i;
		}
	}
	return found;
}

/* One more than the age of the newest entry. */
static u32 next_age(const struct kvs_mem *mem)
{
	u32 i, newest;

	if (!mem->nr)
		return 0;
	newest = mem->attr[0].age;
	for (i = 1; i < mem->nr; i++)
		if ((int)(mem->attr[i].age - newest) > 0)
			newest = mem->attr[i].age;
	return newest + 1;
}

int kvs_iotlb_update(const struct kvs_mem *old, const struct kvs_region *r,
		     u32 access, u32 max, const struct kvs_mem **out)
{
	u32 from, to, now, kept, skip = old->nr;
	struct kvs_mem *mem;
	int ret;

	if (!access || access & ~(KVS_MEM_READ | KVS_MEM_WRITE))
		return -EINVAL;
	ret = kvs_region_check(r);
	if (ret)
		return ret;

	touched(old, r->gpa, r->gpa + r->size - 1, &from, &to);
	now = next_age(old);
	kept = old->nr - (to - from);
	if (kept >= max)
		skip = oldest(old, from, to, now);
	mem = table_alloc(kept + 1);
	if (!mem)
		return -ENOMEM;

	append(mem, old, 0, from, skip);
	mem->r[mem->nr] = *r;
	mem->attr[mem->nr].access = access;
	mem->attr[mem->nr].age = now;
	mem->nr++;
	append(mem, old, to, old->nr, skip);
	*out = mem;
	return 0;
}

const struct kvs_mem *kvs_iotlb_invalidate(const struct kvs_mem *old, u64 iova,
					   u64 last)
{
	struct kvs_mem *mem;
	u32 from, to;

	touched(old, iova, last, &from, &to);
	if (from == to)
		return old;
	mem = table_alloc(old->nr - (to - from));
	if (!mem)
		return &kvs_iotlb_empty;
	append(mem, old, 0, from, old->nr);
	append(mem, old, to, old->nr, old->nr);
	return mem;
}

/* The entry that holds @iova, or NULL. */
static const struct kvs_region *entry_at(const struct kvs_mem *mem, u64 iova)
{
	u32 i = kvs_mem_find(mem, iova);

	return i < mem->nr ? &mem->r[i] : NULL;
}

int kvs_iotlb_check(const struct kvs_mem *mem, u64 iova, u64 len, u8 access,
		    u64 *miss)
{
	if (len > U64_MAX - iova)
		return -EFAULT;
	while (len) {
		const struct kvs_region *r = entry_at(mem, iova);
		u64 part;

		if (!r) {
			*miss = iova;
			return -EAGAIN;
		}
		if (access & ~mem->attr[r - mem->r].access)
			return -EACCES;
		part = min_t(u64, len, r->size - (iova - r->gpa));
		iova += part;
		len -= part;
	}
	return 0;
}

int kvs_iotlb_linear(const struct kvs_mem *mem, u64 iova, u64 len, u64 *hva)
{
	const struct kvs_region *r = entry_at(mem, iova);
	u64 next, end = iova + len;

	if (!r)
		return -EFAULT;
	*hva = r->hva + kvs_index(iova - r->gpa, r->size);
	while (r->gpa + r->size < end) {
		next = r->hva + r->size;
		r = entry_at(mem, r->gpa + r->size);
		if (!r || r->hva != next)
			return -EFAULT;
	}
	return 0;
}
