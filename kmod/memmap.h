/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Guest memory table: guest physical address + length -> host addresses. */
#ifndef KVS_MEMMAP_H
#define KVS_MEMMAP_H

#include "env.h"

#define KVS_MEM_MAX_REGIONS	512

/**
 * struct kvs_region - one stretch of guest memory
 * @gpa: guest physical address of the first byte
 * @size: bytes, never 0; neither @gpa + @size nor @hva + @size wraps
 * @hva: the same byte in the owner's address space
 */
struct kvs_region {
	u64 gpa;
	u64 size;
	u64 hva;
};

struct kvs_mem_attr;

/**
 * struct kvs_mem - constant once created; replaced as a whole
 * @nr: elements of @r
 * @attr: of a device's IOTLB (iotlb_table.h), where addresses are I/O virtual,
 *	not everything is allowed, and what is absent may yet come; else NULL
 * @r: by rising gpa, not overlapping
 */
struct kvs_mem {
	u32 nr;
	struct kvs_mem_attr *attr;
	struct kvs_region r[];
};

/**
 * kvs_region_check() - can this be an element of a table
 *
 * Return: 0, -EINVAL empty or wrapping, -EFAULT a host range no process can
 * own.
 */
int kvs_region_check(const struct kvs_region *r);

/**
 * kvs_mem_create() - build a memory table
 * @regions: any order; copied
 * @nr: 0 to KVS_MEM_MAX_REGIONS
 * @out: the table, freed by kvs_mem_free()
 *
 * Return: 0, -E2BIG too many regions, -EINVAL an empty, wrapping or
 * overlapping region, -EFAULT a host range no process can own, -ENOMEM.
 */
int kvs_mem_create(const struct kvs_region *regions, u32 nr,
		   struct kvs_mem **out);
void kvs_mem_free(struct kvs_mem *mem);

/* Index of the region that holds @gpa; mem->nr when there is none. */
u32 kvs_mem_find(const struct kvs_mem *mem, u64 gpa);

/**
 * kvs_mem_iov() - translate a guest range
 * @mem: the table
 * @gpa: first byte
 * @len: bytes; 0 yields no element
 * @iov: result, one element per region touched
 * @max: elements @iov has
 *
 * Return: the number of elements, -EFAULT when a byte of the range is not
 * guest memory (or the range wraps), -E2BIG when @max does not suffice.
 */
int kvs_mem_iov(const struct kvs_mem *mem, u64 gpa, u64 len,
		struct iovec *iov, int max);

/**
 * kvs_mem_hit() - translate a range that lies in one region
 * @mem: the table
 * @hint: index of the region to try first; of the one found, afterwards. Any
 *	value will do, also one that belongs to another table.
 * @gpa: first byte
 * @len: bytes
 *
 * Return: the host address, or NULL: try kvs_mem_iov().
 */
static inline void __user *kvs_mem_hit(const struct kvs_mem *mem, u32 *hint,
				       u64 gpa, u64 len)
{
	const struct kvs_region *r;
	u64 off;

	if (unlikely(*hint >= mem->nr || gpa - mem->r[*hint].gpa >=
					 mem->r[*hint].size))
		*hint = kvs_mem_find(mem, gpa);
	if (unlikely(*hint >= mem->nr))
		return NULL;
	r = &mem->r[kvs_index(*hint, mem->nr)];
	off = kvs_index(gpa - r->gpa, r->size);
	return len <= r->size - off ? kvs_hva_ptr(r->hva + off) : NULL;
}

/**
 * kvs_mem_load() - copy out of guest physical memory
 *
 * Return: 0 or -EFAULT. Context: as kvs_load().
 */
int kvs_mem_load(const struct kvs_mem *mem, void *dst, u64 gpa, u32 len);

#endif /* KVS_MEMMAP_H */
