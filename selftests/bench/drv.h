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

#include <linux/virtio_net.h>

#include "drv_ring.h"
#include "kvt_net.h"

#define DRV_HDR_LEN	12	/* with VERSION_1 */
#define DRV_BUF_LEN	2048

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

/* Frames of zeroes but for a header, as this driver sends and expects them. */
void drv_frame(void *frame, uint32_t len);
/* End the program unless received buffers hold what was sent to them. */
void drv_check(const struct drv_ring *r, uint32_t frame);

/* Drop every frame that @ifname receives, before the stack sees it. */
void drv_xdp_drop(const char *ifname);

#endif /* DRV_H */
