/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's side of a split virtqueue, in userspace: guest memory, buffers
 * in, kick, wait for the call, used buffers out (virtio 1.2, 2.7). It knows
 * nothing of who serves the ring, so it drives a vhost node (kvt_vhost.h) and
 * the portable device side (kmod/ring.c) alike.
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

/* Descriptors of an indirect table; what kvt_ring_add() takes in one chain. */
#define KVT_INDIRECT_MAX 64

#define KVT_RING_EVENT_IDX	1u
#define KVT_RING_INDIRECT	2u	/* put chains into indirect tables */
#define KVT_RING_LEGACY		4u	/* one block, used ring page-aligned */

struct kvt_ring {
	struct kvt_mem *mem;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t num;
	unsigned int flags;

	uint16_t avail_idx;	/* entries made available, maybe unpublished */
	uint16_t kicked_idx;	/* avail_idx at the last publication */
	uint16_t last_used;
	uint16_t nr_free;
	uint16_t *free;		/* stack of free descriptors */
	uint16_t *next;		/* own copy of the links, by descriptor */
	void **token;		/* by head */
	struct vring_desc *indirect;	/* KVT_INDIRECT_MAX per head */

	int kick, call, err;	/* eventfds, non-blocking */
	uint64_t calls;		/* signals taken from .call */
};

/* One piece of a buffer, in guest terms. */
struct kvt_sg {
	uint64_t gpa;
	uint32_t len;
};

/* @p must lie in guest memory. */
struct kvt_sg kvt_sg(const struct kvt_mem *mem, const void *p, uint32_t len);

void kvt_ring_init(struct kvt_ring *ring, struct kvt_mem *mem, uint16_t num,
		   unsigned int flags);
void kvt_ring_free(struct kvt_ring *ring);
/* Start over with empty indices, as after a device reset. */
void kvt_ring_reset(struct kvt_ring *ring);

/* Descriptor table slots kvt_ring_add() would use for @n pieces. */
bool kvt_ring_fits(const struct kvt_ring *ring, unsigned int n);

/**
 * kvt_ring_add() - offer a chain: @nr_out readable pieces, then @nr_in writable
 *
 * Not visible to the device before kvt_ring_publish(). Returns the head.
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
 * no chain in flight fails the test.
 */
void *kvt_ring_get(struct kvt_ring *ring, uint16_t *head, uint32_t *len);

/* Used entries not taken yet. */
uint16_t kvt_ring_used(const struct kvt_ring *ring);

/**
 * kvt_ring_wait() - sleep on the call eventfd until @n used entries are there
 *
 * Asks for the call as a driver would (used_event or flags), so a lost call
 * shows as a time-out. Returns 0 or -ETIMEDOUT.
 */
int kvt_ring_wait(struct kvt_ring *ring, uint16_t n, unsigned int ms);

/* True when @fd (an eventfd) was signalled within @ms; takes the signal. */
bool kvt_eventfd_wait(int fd, unsigned int ms, uint64_t *count);

/* Raw access for hostile drivers; nothing is tracked or checked. */
void kvt_raw_desc(struct kvt_ring *ring, uint16_t i, uint64_t gpa,
		  uint32_t len, uint16_t flags, uint16_t next);
/* One more available entry, published. */
void kvt_raw_avail(struct kvt_ring *ring, uint16_t head);

#endif /* KVT_RING_H */
