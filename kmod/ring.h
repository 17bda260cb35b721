/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * H2: the device's side of a virtqueue, split or packed.
 *
 * Backends see chains (chain.h) and these calls, never the ring's layout:
 * ring_split.c and ring_packed.c, behind ring.c. How and why, with every
 * barrier: Documentation/ring.rst.
 *
 * Context: one thread at a time, by the caller's queue lock; the functions
 * that touch the ring may sleep on a page fault.
 */
#ifndef KVS_RING_H
#define KVS_RING_H

#include "chain.h"

#define KVS_RING_MAX_SIZE	32768	/* virtio 1.2, 2.7 and 2.8.10 */

/* Entries read ahead, and used entries kept back, at most. */
#define KVS_RING_BATCH		64

/* A position in a packed ring: descriptor, and the wrap counter on top. */
#define KVS_RING_WRAP		0x8000

/* Why a ring was declared broken; it stays so until kvs_ring_start(). */
enum kvs_ring_err {
	KVS_RING_OK,
	KVS_RING_FAULT,		/* ring memory cannot be read or written */
	KVS_RING_AVAIL_JUMP,	/* more new entries than the ring has */
	KVS_RING_BAD_HEAD,	/* available entry or buffer id outside */
	KVS_RING_HEAD_BUSY,	/* head or id offered again while in flight */
	KVS_RING_BAD_WRAP,	/* chain continues in descriptors not offered */
};

/* What kvs_ring_pop() found. */
enum kvs_pop {
	KVS_POP_EMPTY = 0,
	KVS_POP_CHAIN = 1,	/* a chain to serve */
	KVS_POP_REFUSED = 2,	/* chain->err is set: put it back with length 0 */
};

/* Where the device writes, for the dirty log. */
enum kvs_ring_area { KVS_AREA_DESC, KVS_AREA_USED };

struct kvs_ring;

/* @len bytes at @offset from the start of @area were written. */
typedef void (*kvs_ring_watch)(struct kvs_ring *ring, enum kvs_ring_area area,
			       u32 offset, u32 len);

/**
 * struct kvs_ring_cfg - how the driver set the queue up
 * @num: entries, 1 to KVS_RING_MAX_SIZE; a power of two if split
 * @base: where serving begins. Split: index of the next available entry
 *	(16 bits, free running). Packed: position of the next available
 *	descriptor in the lower half, of the next used one in the upper half,
 *	each with its wrap counter (KVS_RING_WRAP); a fresh ring begins at
 *	0x80008000.
 * @desc: host address of the descriptor table or ring, 16-byte aligned
 * @avail: of the driver area, 2-byte aligned; packed: 4-byte
 * @used: of the device area, 4-byte aligned
 * @packed: VIRTIO_F_RING_PACKED negotiated
 * @event_idx: VIRTIO_RING_F_EVENT_IDX negotiated
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC negotiated
 * @in_order: VIRTIO_F_IN_ORDER negotiated: chains are put in the order they
 *	were popped, which the caller answers for
 * @one_by_one: read nothing ahead and keep nothing back (for comparison)
 * @watch: told of every range of the ring that was written, or NULL; may
 *	change while serving (kvs_ring.watch)
 */
struct kvs_ring_cfg {
	u32 num;
	u32 base;
	u64 desc;
	u64 avail;
	u64 used;
	bool packed;
	bool event_idx;
	bool indirect;
	bool in_order;
	bool one_by_one;
	kvs_ring_watch watch;
};

/* A used entry that the driver has not been shown yet. */
struct kvs_used {
	u16 slot;	/* where it goes: used index or packed position */
	u16 id;
	u32 len;
};

struct kvs_ring {
	struct kvs_raw_desc __user *desc;
	union {
		struct vring_avail __user *avail;
		__virtio32 __user *driver_event; /* offset, flags */
	};
	union {
		struct vring_used __user *used;
		__virtio32 __user *device_event;
	};
	u16 num;
	u16 batch;		/* entries read ahead or kept back, at most */
	bool packed;
	bool event_idx;
	bool indirect;
	bool in_order;
	u8 err;			/* enum kvs_ring_err */

	bool armed;		/* the driver is asked to kick */
	bool called_valid;	/* a call was decided about before */
	u16 next_avail;		/* what the next pop takes: index or position */
	u16 avail_idx;		/* end of what is known to be available */
	u16 next_used;		/* what the next put writes: index or position */
	u16 used_idx;		/* the same, as the driver has been shown */
	u32 hint;		/* memory region of the last buffer */

	/* read ahead: private copies of what lies at next_avail */
	u16 win_next;		/* the next one to take */
	u16 win_nr;

	/* kept back: used entries not written, or not shown, yet */
	u16 nr_done;
	bool done_quiet;	/* the last one may be left out */
	u16 first_flags;	/* packed: those */

	u32 inflight;		/* chains popped and not put */
	u32 owned;		/* packed: descriptors popped, not shown used */
	unsigned long *busy;	/* by head or id: popped and not put */
	u16 *count;		/* packed, by id: descriptors in the chain */
	unsigned long *quiet;	/* in order, by head or id: nothing to write */

	kvs_ring_watch watch;	/* see kvs_ring_cfg */

	struct kvs_used done[KVS_RING_BATCH];
	u16 win_head[KVS_RING_BATCH];	/* split */
	struct kvs_desc win[KVS_RING_BATCH];
};

/**
 * kvs_ring_check() - is this configuration acceptable
 *
 * Return: 0, -EINVAL (size, alignment or base), -EFAULT (not a range of user
 * addresses). No guest memory is touched.
 */
int kvs_ring_check(const struct kvs_ring_cfg *cfg);

/**
 * kvs_ring_start() - begin to serve a ring
 * @ring: zeroed, or stopped
 * @cfg: passes kvs_ring_check()
 *
 * A split ring's used index is taken up as found in the ring, so that one
 * served before by somebody else goes on where it was; asks for kicks.
 *
 * Return: 0, what kvs_ring_check() says, -ENOMEM, or -EFAULT when the ring
 * cannot be read.
 */
int kvs_ring_start(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg);

/**
 * kvs_ring_sizes() - bytes of the areas of a ring
 * @cfg: passes kvs_ring_check()
 */
void kvs_ring_sizes(const struct kvs_ring_cfg *cfg, u32 *desc, u32 *avail,
		    u32 *used);

/**
 * kvs_ring_move() - the same ring, at other addresses
 * @ring: started
 * @cfg: @cfg->desc, @cfg->avail and @cfg->used are where its memory is now;
 *	the rest is as at the start
 *
 * Return: 0 or what kvs_ring_check() says; nothing has changed then.
 */
int kvs_ring_move(struct kvs_ring *ring, const struct kvs_ring_cfg *cfg);

/**
 * kvs_ring_base() - where serving would go on, for kvs_ring_cfg.base
 *
 * This is behind the last chain popped, however much was read ahead.
 */
u32 kvs_ring_base(const struct kvs_ring *ring);

/**
 * kvs_ring_stop() - end serving, free what kvs_ring_start() allocated
 *
 * Nothing may be in flight, or its completion must be given up; what was put
 * and not published is forgotten.
 *
 * Return: kvs_ring_base().
 */
u32 kvs_ring_stop(struct kvs_ring *ring);

/**
 * kvs_ring_pop() - take the next chain
 *
 * Return: enum kvs_pop, or -EIO when the ring is, or has just been found,
 * broken (@ring->err tells why).
 */
int kvs_ring_pop(struct kvs_ring *ring, const struct kvs_mem *mem,
		 struct kvs_chain *chain);

/* Will the next kvs_ring_pop() do without a look at the ring? */
static inline bool kvs_ring_has_read(const struct kvs_ring *ring)
{
	return ring->win_next != ring->win_nr;
}

/**
 * kvs_ring_unpop() - give the chain popped last back to the driver's side
 * @head: its head
 *
 * May be repeated, newest first; only for chains not put yet.
 */
void kvs_ring_unpop(struct kvs_ring *ring, u16 head);

/**
 * kvs_ring_put() - add a used entry; the driver does not see it yet
 * @head: from the chain
 * @len: bytes written to its device-writable part
 *
 * In order, chains without a device-writable part get no entry of their own
 * when another one follows in the same batch.
 *
 * Return: 0 or -EIO (broken; the chain counts as done all the same).
 * virtio 1.2, 2.7.8.
 */
int kvs_ring_put(struct kvs_ring *ring, u16 head, u32 len);

/**
 * kvs_ring_publish() - show the driver all entries put so far, at once
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
 * kvs_ring_pending() - has the driver made an entry available
 *
 * "New" as in kvs_ring_arm(); nothing is written. For polling.
 *
 * Return: 1 or 0, -EIO (broken).
 */
int kvs_ring_pending(struct kvs_ring *ring);

/**
 * kvs_ring_disarm() - tell the driver that no kick is needed
 *
 * Return: 0 or -EIO (broken). A hint: the driver may kick all the same.
 */
int kvs_ring_disarm(struct kvs_ring *ring);

/* The ring failed; every later call says -EIO. Returns -EIO. */
int kvs_ring_break(struct kvs_ring *ring, enum kvs_ring_err why);

#endif /* KVS_RING_H */
