/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network driver as lean as a poll-mode one, for measuring who serves it:
 * all descriptors are written once, entry i of a ring always means buffer i,
 * and buffers come back in the order they were offered (a network backend has
 * no reason to do otherwise; drv_check() tells when it did). What is left per
 * packet is next to nothing, so a figure is the backend's.
 */
#ifndef DRV_H
#define DRV_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "kvt_net.h"

#ifndef VIRTIO_F_IN_ORDER
#define VIRTIO_F_IN_ORDER 35
#endif

#define DRV_HDR_LEN	12	/* with VERSION_1 */
#define DRV_BUF_LEN	2048

struct drv_ring {
	bool packed;
	bool write;		/* the device writes the buffers: receive */
	uint16_t num;
	uint32_t len;		/* of each buffer, as offered */
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

struct drv_nic {
	struct kvt_mem mem;
	struct kvt_dev dev;
	struct drv_ring rx, tx;
	uint64_t features;
	int tap;
};

/* What both nodes are given, unless the case is about one of these. */
#define DRV_FEATURES	(KVT_F(VIRTIO_F_VERSION_1) |		\
			 KVT_F(VIRTIO_RING_F_EVENT_IDX) |	\
			 KVT_F(VIRTIO_NET_F_MRG_RXBUF))

/**
 * drv_prepare() - a tap, guest memory and rings
 * @frame: length of the frames to send
 */
void drv_prepare(struct drv_nic *nic, const char *tap, uint16_t num,
		 uint32_t frame, uint64_t features);
/**
 * drv_start() - hand them to a device of @node, both queues running
 *
 * Ends the program with a reason when @node lacks one of the features.
 */
void drv_start(struct drv_nic *nic, const char *node);
void drv_close(struct drv_nic *nic);

/* Make the next @n buffers available. */
void drv_offer(struct drv_ring *r, uint32_t n);
/* Signal the device if it asked to be. */
void drv_kick(struct drv_ring *r);
/* Take back what the device has used; how many. */
uint32_t drv_reap(struct drv_ring *r);
/* Ask not to be called. Repeat at least every quarter of the ring. */
void drv_mute(struct drv_ring *r);
/* Sleep until @n more buffers are used, then take back what there is. */
uint32_t drv_wait(struct drv_ring *r, uint32_t n);
/* Buffers with the device. */
static inline uint32_t drv_inflight(const struct drv_ring *r)
{
	return r->offered - r->done;
}

/* Frames of zeroes but for a header, as this driver sends and expects them. */
void drv_frame(void *frame, uint32_t len);
/* End the program unless received buffers hold what was sent to them. */
void drv_check(const struct drv_ring *r, uint32_t frame);

/* Drop every frame that @ifname receives, before the stack sees it. */
void drv_xdp_drop(const char *ifname);

#endif /* DRV_H */
