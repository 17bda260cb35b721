/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * H2: the device's side of a virtqueue.
 *
 * Backends see chains (chain.h) and these calls, never the ring's layout; a
 * second layout joins behind the same calls.
 *
 * Context: one thread at a time, by the caller's queue lock; the functions
 * that touch the ring may sleep on a page fault.
 */
#ifndef KVS_RING_H
#define KVS_RING_H

#include "chain.h"

#define KVS_RING_MAX_SIZE	32768	/* virtio 1.2, 2.7 */

/* Why a ring was declared broken; it stays so until kvs_ring_start(). */
enum kvs_ring_err {
	KVS_RING_OK,
	KVS_RING_FAULT,		/* ring memory cannot be read or written */
	KVS_RING_AVAIL_JUMP,	/* more new entries than the ring has */
	KVS_RING_BAD_HEAD,	/* available entry outside the ring */
	KVS_RING_HEAD_BUSY,	/* head offered again while in flight */
};

/* What kvs_ring_pop() found. */
enum kvs_pop {
	KVS_POP_EMPTY = 0,
	KVS_POP_CHAIN = 1,	/* a chain to serve */
	KVS_POP_REFUSED = 2,	/* chain->err is set: put it back with length 0 */
};

/**
 * struct kvs_ring_cfg - how the driver set the queue up
 * @num: entries, a power of two, 1 to KVS_RING_MAX_SIZE
 * @base: index of the next available entry (16 bits, free running)
 * @desc: host address of the descriptor table, 16-byte aligned
 * @avail: of the driver area, 2-byte aligned
 * @used: of the device area, 4-byte aligned
 * @event_idx: VIRTIO_RING_F_EVENT_IDX negotiated
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC negotiated
 */
struct kvs_ring_cfg {
	u32 num;
	u16 base;
	u64 desc;
	u64 avail;
	u64 used;
	bool event_idx;
	bool indirect;
};

struct kvs_ring {
	struct vring_desc __user *desc;
	struct vring_avail __user *avail;
	struct vring_used __user *used;
	u16 num;
	bool event_idx;
	bool indirect;
	u8 err;			/* enum kvs_ring_err */

	u16 next_avail;		/* entry the next pop takes */
	u16 avail_idx;		/* driver's index as last read */

	u16 next_used;		/* entry the next put writes */
	u16 used_idx;		/* index as last published */
	u16 called_idx;		/* used_idx when a call was last decided */
	bool called_valid;	/* called_idx means something */
	bool armed;		/* the driver is asked to kick */

	u32 inflight;		/* chains popped and not put */
	unsigned long *busy;	/* by head: popped and not put */
};

/**
 * kvs_ring_check() - is this configuration acceptable
 *
 * Return: 0, -EINVAL (size or alignment), -EFAULT (not a range of user
 * addresses). No guest memory is touched.
 */
int kvs_ring_check(const struct kvs_ring_cfg *cfg);

/**
 * kvs_ring_start() - begin to serve a ring
 * @ring: zeroed, or stopped
 * @cfg: passes kvs_ring_check()
 *
 * Takes up the used index found in the ring, so that a ring served before
 * by somebody else goes on where it was; asks for kicks.
 *
 * Return: 0, what kvs_ring_check() says, -ENOMEM, or -EFAULT when the ring
 * cannot be read.
 */
int kvs_ring_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg);

/**
 * kvs_ring_stop() - end serving, free what kvs_ring_start() allocated
 *
 * Nothing may be in flight, or its completion must be given up.
 *
 * Return: the index of the next available entry, for kvs_ring_cfg.base.
 */
u16 kvs_ring_stop(struct kvs_ring *ring);

/**
 * kvs_ring_pop() - take the next chain
 *
 * Return: enum kvs_pop, or -EIO when the ring is, or has just been found,
 * broken (@ring->err tells why).
 */
int kvs_ring_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		 struct kvs_chain *chain);

/**
 * kvs_ring_unpop() - give the chain popped last back to the driver's side
 * @head: its head
 *
 * May be repeated, newest first; only for chains not put yet.
 */
void kvs_ring_unpop(struct kvs_ring *ring, u16 head);

/**
 * kvs_ring_put() - write a used entry; the driver does not see it yet
 * @head: from the chain
 * @len: bytes written to its device-writable part
 *
 * Return: 0 or -EIO (broken; the chain counts as done all the same).
 * virtio 1.2, 2.7.8.
 */
int kvs_ring_put(struct kvs_ring *ring, u16 head, u32 len);

/**
 * kvs_ring_publish() - show the driver all entries put so far
 *
 * Return: 1 when the driver wants a call for them, 0 when not (or nothing
 * was new), -EIO (broken). virtio 1.2, 2.7.7 and 2.7.10.
 */
int kvs_ring_publish(struct kvs_ring *ring);

/**
 * kvs_ring_arm() - ask the driver to kick at its next entry
 *
 * "Next" is beyond what kvs_ring_pop() has seen so far: entries that were seen
 * and given back (kvs_ring_unpop()) because they do not suffice do not count,
 * or waiting for more of them would never begin.
 *
 * Return: 1 when there are new entries already (serve on, the request to kick
 * is withdrawn), 0 when it is safe to sleep, -EIO (broken).
 */
int kvs_ring_arm(struct kvs_ring *ring);

/**
 * kvs_ring_disarm() - tell the driver that no kick is needed
 *
 * Return: 0 or -EIO (broken). A hint: the driver may kick all the same.
 */
int kvs_ring_disarm(struct kvs_ring *ring);

/* The ring failed; every later call says -EIO. Returns -EIO. */
int kvs_ring_break(struct kvs_ring *ring, enum kvs_ring_err why);

/* Where used entry number @entry lies, in bytes from the used ring's start. */
static inline u32 kvs_ring_used_offset(const struct kvs_ring *ring, u16 entry)
{
	return offsetof(struct vring_used, ring) +
	       (u32)(entry & (ring->num - 1)) * sizeof(struct vring_used_elem);
}

#endif /* KVS_RING_H */
