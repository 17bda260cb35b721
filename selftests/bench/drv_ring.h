/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings of a driver as lean as a poll-mode one, for measuring who serves them:
 * all descriptors are written once, entry i of a ring means buffer i unless
 * drv_aim() said otherwise. What is left per buffer is next to nothing, so a
 * figure is the backend's.
 */
#ifndef DRV_RING_H
#define DRV_RING_H

#include <endian.h>
#include <linux/virtio_config.h>

#include "kvt_vhost.h"

#ifndef VIRTIO_F_IN_ORDER
#define VIRTIO_F_IN_ORDER 35
#endif

struct drv_ring {
	bool packed;
	uint16_t num;
	uint16_t flags;		/* VRING_DESC_F_* of all descriptors */
	uint32_t len;		/* of each buffer, as offered */
	uint32_t stride;	/* from buffer to buffer */
	uint64_t gpa;		/* of the first buffer */
	uint8_t *bufs;

	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_packed_desc *pdesc;
	struct vring_packed_desc_event *driver, *device;

	uint32_t offered;	/* buffers, from the beginning; free-running */
	uint32_t kicked;	/* .offered when kicks were last thought of */
	uint32_t done;		/* buffers taken back */
	int kick, call;		/* eventfds that block */
	uint64_t kicks, calls;
};

/**
 * drv_ring_init() - a ring and its buffers in guest memory
 * @r: zero but for .flags, .len and .stride
 * @call: an eventfd that blocks, or -1 for one of its own
 */
void drv_ring_init(struct drv_ring *r, struct kvt_mem *mem, uint16_t num,
		   uint64_t features, int call);
/* As VHOST_SET_VRING_ADDR takes it. */
struct vhost_vring_addr drv_ring_addr(const struct drv_ring *r,
				      unsigned int index);
/* All but the backend, by ioctls. */
void drv_ring_give(const struct kvt_dev *dev, unsigned int index,
		   const struct drv_ring *r);

/* Split rings: the entry @nth from now will be buffer @head, not its own. */
static inline void drv_aim(struct drv_ring *r, uint32_t nth, uint16_t head)
{
	r->avail->ring[(r->offered + nth) % r->num] = htole16(head);
}

/* Split rings: the buffer that was used as @nth, counted as .done is. */
static inline uint32_t drv_used(const struct drv_ring *r, uint32_t nth)
{
	return le32toh(r->used->ring[nth % r->num].id);
}

/* Make the next @n buffers available. */
void drv_offer(struct drv_ring *r, uint32_t n);
/* Signal the device if it asked to be. */
void drv_kick(struct drv_ring *r);
/* Take back what the device has used; how many. */
uint32_t drv_reap(struct drv_ring *r);
/* Ask not to be called. Repeat at least every quarter of the ring. */
void drv_mute(struct drv_ring *r);
/* Ask to be called when @n more buffers are used; then as drv_reap(). */
uint32_t drv_want(struct drv_ring *r, uint32_t n);
/* Sleep until @n more buffers are used, then take back what there is. */
uint32_t drv_wait(struct drv_ring *r, uint32_t n);
/* Buffers with the device. */
static inline uint32_t drv_inflight(const struct drv_ring *r)
{
	return r->offered - r->done;
}

#endif /* DRV_RING_H */
