// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* H3: the virtio-net header of a frame to be sent, checked. Portable (env.h). */
#include "net_hdr.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_HOST_USO		56
#endif

/* The feature that allows a GSO type; -1 for a type nobody may send. */
static int gso_feature(u8 type)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_HOST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_HOST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_HOST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_HOST_USO;
	default:
		return -1;
	}
}

bool kvs_net_hdr_check(struct virtio_net_hdr *hdr, u32 len, u64 features)
{
	u8 type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	u32 start = kvs_cpu16(hdr->csum_start);
	u32 end = start + kvs_cpu16(hdr->csum_offset) + sizeof(u16);
	bool csum = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	if (len < KVS_NET_MIN_FRAME || len > KVS_NET_MAX_FRAME)
		return false;
	if (csum && (start < KVS_NET_MIN_FRAME || end > len))
		return false;
	if (kvs_cpu16(hdr->hdr_len) > len)
		hdr->hdr_len = kvs_guest16(len);
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;

	return csum && gso_feature(type) >= 0 &&
	       features >> gso_feature(type) & 1 &&
	       kvs_cpu16(hdr->gso_size) && start + sizeof(u16) < len;
}
