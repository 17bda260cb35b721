/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's side of a virtqueue, split (virtio 1.2, 2.7) or packed (2.8),
 * in userspace: guest memory, buffers in, kick, wait for the call, used
 * buffers out. It knows nothing of who serves the ring, so it drives a vhost
 * node (kvt_vhost.h) and the portable device side (kmod/ring.c) alike.
 *
 * Broken set-up (out of memory, ring full where the test fills it) ends the
 * test through ASSERT.
 */
#ifndef KVT_RING_H
#define KVT_RING_H

#include <linux/virtio_ring.h>

#include "kvt.h"

/* Guest memory: one mapping, one guest physical range. */
struct kvt_mem {
	uint8_t *base;
	size_t size;
	uint64_t gpa;
	size_t next;		/* kvt_mem_alloc() */
	int fd;			/* memfd behind it, or -1 */
};

void kvt_mem_init(struct kvt_mem *mem, size_t size, uint64_t gpa);
void kvt_mem_free(struct kvt_mem *mem);
/* @align is a power of two; zeroed; freed with the whole memory. */
void *kvt_mem_alloc(struct kvt_mem *mem, size_t size, size_t align);
uint64_t kvt_gpa(const struct kvt_mem *mem, const void *p);
/* Write to @p, a place in it, where the mapping does not allow that. */
void kvt_mem_poke(const struct kvt_mem *mem, void *p, const void *bytes,
		  size_t len);

/* Descriptors of an indirect table; what kvt_ring_add() takes in one chain. */
#define KVT_INDIRECT_MAX 64

#define KVT_RING_EVENT_IDX	1u
#define KVT_RING_INDIRECT	2u	/* put chains into indirect tables */
#define KVT_RING_LEGACY		4u	/* one block, used ring page-aligned */
#define KVT_RING_PACKED		8u
/* The device uses chains in order, and one used entry may stand for many. */
#define KVT_RING_IN_ORDER	16u

/* A place in a packed ring: slot and wrap counter. */
struct kvt_pos {
	uint16_t slot;
	bool wrap;
};

/* A chain in flight, by its head (split) or buffer id (packed). */
struct kvt_buf {
	void *token;
	uint32_t in_len;	/* writable bytes */
	uint16_t slots;		/* descriptors it takes from the ring */
};

struct kvt_ring {
	struct kvt_mem *mem;
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *slot;
	};
	union {
		struct vring_avail *avail;
		struct vring_packed_desc_event *driver;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device;
	};
	uint16_t num;
	unsigned int flags;

	uint16_t nr_free;	/* descriptors */
	uint16_t *free;		/* stack of free descriptors or buffer ids */
	uint16_t *next;		/* split: own copy of the links */
	struct kvt_buf *buf;
	struct vring_desc *indirect;	/* KVT_INDIRECT_MAX per chain */

	/* split */
	uint16_t avail_idx;	/* entries made available, maybe unpublished */
	uint16_t kicked_idx;	/* avail_idx at the last publication */
	uint16_t last_used;
	uint16_t next_desc;	/* in order: the one to take next */

	/* packed */
	struct kvt_pos at_avail;	/* where the next chain begins */
	struct kvt_pos at_used;		/* where the next one comes back */
	uint16_t nr_ids;	/* on the stack .free */
	uint16_t nr_new;	/* descriptors since the last publication */
	struct vring_packed_desc *held;	/* unpublished: its flags are not set */
	uint16_t held_flags;

	/* in order */
	uint16_t *order;	/* circle of heads or ids in flight */
	uint16_t oldest;	/* index in it */
	uint16_t nr_inflight;
	uint16_t batch;		/* known to be used and not taken yet */
	uint32_t batch_len;	/* used length of the last of them */

	int kick, call, err;	/* eventfds, non-blocking */
	uint64_t calls;		/* signals taken from .call */
	uint64_t kicks;		/* signals given to .kick */
};

/* One piece of a buffer, in guest terms. */
struct kvt_sg {
	uint64_t gpa;
	uint32_t len;
};

/* @p must lie in guest memory. */
struct kvt_sg kvt_sg(const struct kvt_mem *mem, const void *p, uint32_t len);

/* @num: a power of two unless packed */
void kvt_ring_init(struct kvt_ring *ring, struct kvt_mem *mem, uint16_t num,
		   unsigned int flags);
void kvt_ring_free(struct kvt_ring *ring);
/* Start over with empty indices, as after a device or queue reset. */
void kvt_ring_reset(struct kvt_ring *ring);

/* Descriptor table slots kvt_ring_add() would use for @n pieces. */
bool kvt_ring_fits(const struct kvt_ring *ring, unsigned int n);

/**
 * kvt_ring_add() - offer a chain: @nr_out readable pieces, then @nr_in writable
 *
 * Not visible to the device before kvt_ring_publish(). Returns the head, or
 * the buffer id in a packed ring.
 */
uint16_t kvt_ring_add(struct kvt_ring *ring, const struct kvt_sg *sg,
		      unsigned int nr_out, unsigned int nr_in, void *token);

/* Make the offered chains visible; true when the device asked for a kick. */
bool kvt_ring_publish(struct kvt_ring *ring);
/* Publish, and signal the kick eventfd if the device asked for it. */
void kvt_ring_kick(struct kvt_ring *ring);
/* Signal the kick eventfd whatever the device asked for. */
void kvt_ring_force_kick(struct kvt_ring *ring);

/**
 * kvt_ring_get() - take the next used chain
 *
 * Returns its token and fills @head and @len (either may be NULL); NULL when
 * there is none (offer chains with non-NULL tokens). A used entry that names
 * no chain in flight fails the test. In order, chains whose entries the device
 * skipped come with the length of their writable part (2.7.9, 2.8.9).
 */
void *kvt_ring_get(struct kvt_ring *ring, uint16_t *head, uint32_t *len);

/* Chains used and not taken yet. */
uint16_t kvt_ring_used(const struct kvt_ring *ring);

/**
 * kvt_ring_wait() - sleep on the call eventfd until @n used chains are there
 *
 * Asks for the call as a driver would (used_event or flags), so a lost call
 * shows as a time-out. Returns 0 or -ETIMEDOUT.
 */
int kvt_ring_wait(struct kvt_ring *ring, uint16_t n, unsigned int ms);

/* True when @fd (an eventfd) was signalled within @ms; takes the signal. */
bool kvt_eventfd_wait(int fd, unsigned int ms, uint64_t *count);

/* What VHOST_SET_VRING_BASE takes for a ring that was just (re)set. */
uint32_t kvt_ring_base(const struct kvt_ring *ring);

/* Raw access for hostile drivers; nothing is tracked or checked. */
void kvt_raw_desc(struct kvt_ring *ring, uint16_t i, uint64_t gpa,
		  uint32_t len, uint16_t flags, uint16_t next);
/* One more available entry, published. */
void kvt_raw_avail(struct kvt_ring *ring, uint16_t head);

/* The same for packed rings. */
#define KVT_PACKED_AVAIL	(1u << VRING_PACKED_DESC_F_AVAIL)
#define KVT_PACKED_USED		(1u << VRING_PACKED_DESC_F_USED)

/* The flag bits that make a descriptor available, or used, at @pos. */
uint16_t kvt_packed_avail(struct kvt_pos pos);
uint16_t kvt_packed_used(struct kvt_pos pos);
struct kvt_pos kvt_packed_step(const struct kvt_ring *ring, struct kvt_pos pos,
			       unsigned int slots);
/* Write a descriptor as it is, its flags last. */
void kvt_raw_packed(struct kvt_ring *ring, uint16_t slot, uint64_t gpa,
		    uint32_t len, uint16_t id, uint16_t flags);
/* One more available descriptor at the end, after kvt_ring_publish(). */
void kvt_raw_packed_push(struct kvt_ring *ring, uint64_t gpa, uint32_t len,
			 uint16_t id, uint16_t flags);
/**
 * kvt_raw_packed_take() - wait for the next used descriptor, whose it may be
 * @slots: descriptors its chain has
 *
 * Returns 0 or -ETIMEDOUT.
 */
int kvt_raw_packed_take(struct kvt_ring *ring, unsigned int slots,
			uint16_t *id, uint32_t *len, unsigned int ms);

#endif /* KVT_RING_H */
