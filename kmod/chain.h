/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* H2: a descriptor chain, read once, checked, and independent of the ring. */
#ifndef KVS_CHAIN_H
#define KVS_CHAIN_H

#include "memmap.h"

/*
 * Longest chain taken, empty descriptors counted, the entries of an indirect
 * table counted apart; also what an iovec array may hold.
 */
#define KVS_CHAIN_MAX	1024

/* Why a chain was refused; virtio 1.2, 2.7.5 and 2.8.5. */
enum kvs_chain_err {
	KVS_CHAIN_OK,
	KVS_CHAIN_LOOP,		/* more links than the table has entries */
	KVS_CHAIN_NEXT,		/* next link outside the table */
	KVS_CHAIN_TOO_LONG,	/* more than KVS_CHAIN_MAX descriptors */
	KVS_CHAIN_ORDER,	/* device-readable after device-writable */
	KVS_CHAIN_INDIRECT,	/* table length, nesting, flags, not negotiated */
	KVS_CHAIN_RANGE,	/* bytes that are not guest memory */
	KVS_CHAIN_LENGTH,	/* readable or writable bytes exceed 32 bits */
	KVS_CHAIN_ACCESS,	/* IOTLB: mapped, but not for this direction */
	KVS_CHAIN_MISS,		/* IOTLB: not mapped yet; to be tried again */
};

/* One descriptor: guest physical address and bytes, never empty. */
struct kvs_seg {
	u64 gpa;
	u32 len;
};

/**
 * struct kvs_chain - one request as the driver described it
 * @head: names the chain towards the ring; what kvs_ring_put() takes back
 * @slots: descriptors of the ring it takes
 * @err: KVS_CHAIN_OK, or why the rest is not to be used
 * @nr_out: device-readable segments, first in @seg
 * @nr_in: device-writable segments, behind them
 * @out_len: their bytes
 * @in_len: their bytes
 * @nr_iov_out: elements of @iov that cover the readable part
 * @nr_iov_in: elements behind them that cover the writable part
 * @miss: with KVS_CHAIN_MISS: the first address that is not mapped
 * @miss_access: what it is needed for (KVS_MEM_READ, KVS_MEM_WRITE)
 * @seg: the descriptors in guest terms (dirty log)
 * @iov: the same bytes in host addresses
 *
 * Too large for a stack: one per queue, filled by kvs_ring_pop() again and
 * again, owned by whoever serves the queue.
 */
struct kvs_chain {
	u16 head;
	u16 slots;
	u8  err;
	u16 nr_out;
	u16 nr_in;
	u32 out_len;
	u32 in_len;
	u16 nr_iov_out;
	u16 nr_iov_in;
	u64 miss;
	u8 miss_access;
	struct kvs_seg seg[KVS_CHAIN_MAX];
	struct iovec iov[KVS_CHAIN_MAX];
};

/* A descriptor as it lies in guest memory, split or packed. */
struct kvs_raw_desc {
	__virtio64 addr;
	__virtio64 word;	/* length and, as the layout has it, the rest */
};

/* A descriptor in our own memory and byte order. */
struct kvs_desc {
	u64 addr;
	u64 word;
};

static inline u32 kvs_desc_len(const struct kvs_desc *d)
{
	return (u32)d->word;
}

/* struct vring_desc: len, flags, next */
static inline u16 kvs_split_flags(const struct kvs_desc *d)
{
	return (u16)(d->word >> 32);
}

static inline u16 kvs_split_next(const struct kvs_desc *d)
{
	return (u16)(d->word >> 48);
}

/* struct vring_packed_desc: len, id, flags */
static inline u16 kvs_packed_id(const struct kvs_desc *d)
{
	return (u16)(d->word >> 32);
}

static inline u16 kvs_packed_flags(const struct kvs_desc *d)
{
	return (u16)(d->word >> 48);
}

static inline void kvs_chain_init(struct kvs_chain *chain, u16 head)
{
	chain->head = head;
	chain->slots = 1;
	chain->err = KVS_CHAIN_OK;
	chain->nr_out = 0;
	chain->nr_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	chain->nr_iov_out = 0;
	chain->nr_iov_in = 0;
}

/**
 * kvs_chain_one() - the common chain: one buffer, all of it in one region
 * @chain: filled in whole when it is such a chain, else undefined
 * @mem: translates the buffer
 * @hint: see kvs_mem_hit()
 * @d: private copy of the descriptor
 * @flags: of it
 * @head: names the chain
 *
 * Return: false when it is not, or access must be looked at (IOTLB); then begin
 * with kvs_chain_init().
 */
static inline bool kvs_chain_one(struct kvs_chain *chain,
				 const struct kvs_mem *mem, u32 *hint,
				 const struct kvs_desc *d, u16 flags, u16 head)
{
	bool in = flags & VRING_DESC_F_WRITE;
	u32 len = kvs_desc_len(d);
	void __user *hva;

	if (unlikely(flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT) ||
		     !len || mem->attr))
		return false;
	hva = kvs_mem_hit(mem, hint, d->addr, len);
	if (unlikely(!hva))
		return false;
	chain->head = head;
	chain->slots = 1;
	chain->err = KVS_CHAIN_OK;
	chain->nr_out = !in;
	chain->nr_in = in;
	chain->out_len = in ? 0 : len;
	chain->in_len = in ? len : 0;
	chain->nr_iov_out = !in;
	chain->nr_iov_in = in;
	chain->seg[0].gpa = d->addr;
	chain->seg[0].len = len;
	chain->iov[0].iov_base = hva;
	chain->iov[0].iov_len = len;
	return true;
}

/**
 * kvs_chain_add() - append one buffer
 * @chain: not refused so far
 * @mem: translates it
 * @hint: see kvs_mem_hit()
 * @d: private copy of its descriptor
 * @flags: of it; only VRING_DESC_F_WRITE is looked at
 *
 * Zero-length descriptors are accepted and leave no segment. virtio 1.2, 2.7.5.
 *
 * Return: false when the chain is refused (@chain->err).
 */
bool kvs_chain_add(struct kvs_chain *chain, const struct kvs_mem *mem,
		   u32 *hint, const struct kvs_desc *d, u16 flags);

/**
 * kvs_chain_indirect() - append the buffers of an indirect table
 * @chain, @mem, @hint: as for kvs_chain_add()
 * @d: the descriptor that names the table
 * @flags: of it
 * @packed: the table is laid out for a packed ring: no links
 *
 * Entries are copied once, in batches. The walk ends after as many steps as
 * the table has entries. virtio 1.2, 2.7.5.3 and 2.8.7.
 *
 * Return: false when the chain is refused (@chain->err).
 */
bool kvs_chain_indirect(struct kvs_chain *chain, const struct kvs_mem *mem,
			u32 *hint, const struct kvs_desc *d, u16 flags,
			bool packed);

/**
 * kvs_iov_take() - read off the front of a window into an iovec array
 * @iov: start of the window, moved
 * @nr: elements left, adjusted
 * @dst: where the bytes go
 * @len: bytes, no more than the window holds
 *
 * Elements are shortened in place. Return: 0 or -EFAULT. Context: kvs_load().
 */
int kvs_iov_take(struct iovec **iov, u32 *nr, void *dst, u32 len);

#endif /* KVS_CHAIN_H */
