/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* H3: the virtio-net header of a frame to be sent, checked. */
#ifndef KVS_NET_HDR_H
#define KVS_NET_HDR_H

#include "env.h"
#include <linux/virtio_net.h>

#define KVS_NET_MIN_FRAME	14		/* an Ethernet header */
#define KVS_NET_MAX_FRAME	(65535 + 14 + 8)	/* largest GSO frame, two VLAN tags */

/**
 * kvs_net_hdr_check() - may this header accompany this frame
 * @hdr: a private copy of what the driver wrote
 * @len: bytes of the frame behind it
 * @features: negotiated VIRTIO_NET_F_* (what the driver may ask for)
 *
 * virtio 1.2, 5.1.6.2: checksum start and offset inside the frame, a known
 * GSO type that was negotiated, with a checksum and a segment size, and a
 * header that leaves payload. hdr_len is a hint and corrected to the frame.
 *
 * Return: whether the frame may be handed to the lower device.
 */
bool kvs_net_hdr_check(struct virtio_net_hdr *hdr, u32 len, u64 features);

#endif /* KVS_NET_HDR_H */
