/* SPDX-License-Identifier: GPL-2.0-only */
/* H4: a tap interface, one descriptor per queue pair. */
#ifndef KVASIR_TAP_H
#define KVASIR_TAP_H

#include "virtio.h"

#define TAP_MAX_QUEUES	8
#define TAP_HDR_LEN	12	/* struct virtio_net_hdr_v1 before each frame */

struct tap;

/**
 * tap_open() - open or create what struct net_opts names
 * @label: who asks, for messages
 *
 * A tap that does not exist is created and vanishes with its descriptors; one
 * that exists stays. It is set up and attached to the bridge, if one is given.
 */
int tap_open(struct vm *vm, const char *label, const struct net_opts *opts,
	     struct tap **out);
void tap_close(struct tap *tap);

const char *tap_name(const struct tap *tap);
/* Non-blocking. */
int tap_fd(const struct tap *tap, unsigned int queue);
unsigned int tap_mtu(const struct tap *tap);
/* VIRTIO_NET_F_* offloads this kernel's taps can take part in. */
uint64_t tap_features(const struct tap *tap);
/* Frames towards the guest may use what the driver negotiated. */
int tap_set_offloads(struct tap *tap, uint64_t features);
/* Frames are spread over queues 0 to @nr - 1. */
int tap_set_active(struct tap *tap, unsigned int nr);

#endif /* KVASIR_TAP_H */
