/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A device's IOTLB as a memory table: I/O virtual -> host addresses. */
#ifndef KVS_IOTLB_TABLE_H
#define KVS_IOTLB_TABLE_H

#include "memmap.h"

/* What the device may do there; as VHOST_ACCESS_RO and _WO. */
#define KVS_MEM_READ	0x1
#define KVS_MEM_WRITE	0x2

/**
 * struct kvs_mem_attr - what a table entry of an IOTLB has besides
 * @access: KVS_MEM_*
 * @age: updates since the table was empty, modulo 2^32, when it was made
 */
struct kvs_mem_attr {
	u32 access;
	u32 age;
};

/* The IOTLB that knows nothing; not to be freed. */
extern const struct kvs_mem kvs_iotlb_empty;

/**
 * kvs_iotlb_update() - a table with one more entry
 * @old: stays as it is
 * @r: the entry, by I/O virtual address
 * @access: what it allows, KVS_MEM_*
 * @max: entries the new table may have; the oldest makes room
 * @out: the new table; entries that overlapped @r are not in it
 *
 * Return: 0, what kvs_region_check() says, -EINVAL for @access, -ENOMEM.
 */
int kvs_iotlb_update(const struct kvs_mem *old, const struct kvs_region *r,
		     u32 access, u32 max, const struct kvs_mem **out);

/**
 * kvs_iotlb_invalidate() - a table without a range
 * @old: stays as it is
 * @iova: first byte
 * @last: last byte, not below @iova
 *
 * Entries that touch the range are left out whole. Out of memory everything
 * is forgotten, which a cache may do at any time.
 *
 * Return: the new table; @old if it has nothing there.
 */
const struct kvs_mem *kvs_iotlb_invalidate(const struct kvs_mem *old, u64 iova,
					   u64 last);

/* Free a table, whichever of these functions it is from; NULL is fine. */
void kvs_iotlb_free(const struct kvs_mem *mem);

/**
 * kvs_iotlb_check() - may the device use a range
 * @mem: an IOTLB
 * @iova: first byte
 * @len: bytes
 * @access: KVS_MEM_*, what it wants to do
 * @miss: with -EAGAIN: the first address that is not mapped
 *
 * Return: 0, -EAGAIN, -EACCES mapped but not for @access, -EFAULT the range
 * wraps.
 */
int kvs_iotlb_check(const struct kvs_mem *mem, u64 iova, u64 len, u8 access,
		    u64 *miss);

/**
 * kvs_iotlb_linear() - translate a range that must be in one piece
 * @mem: an IOTLB that passed kvs_iotlb_check() for the range
 * @iova: first byte
 * @len: bytes, not 0
 * @hva: result
 *
 * Return: 0, -EFAULT not contiguous in host addresses.
 */
int kvs_iotlb_linear(const struct kvs_mem *mem, u64 iova, u64 len, u64 *hva);

#endif /* KVS_IOTLB_TABLE_H */
