// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio-net header check (kmod/net_hdr.c): what a lower device may be
 * handed, at every border (N-01, N-05).
 */
#include "kvt.h"
#include "net_hdr.h"

#define ALL ~0ull
#define CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM

static bool ok(uint8_t flags, uint8_t type, uint16_t size, uint16_t start,
	       uint16_t offset, uint32_t len)
{
	struct virtio_net_hdr h = {
		.flags = flags, .gso_type = type, .gso_size = size,
		.csum_start = start, .csum_offset = offset,
	};

	return kvs_net_hdr_check(&h, len, ALL);
}

TEST("N-01 frame lengths")
{
	EXPECT(!ok(0, 0, 0, 0, 0, 0), "empty");
	EXPECT(!ok(0, 0, 0, 0, 0, 13), "shorter than Ethernet");
	EXPECT(ok(0, 0, 0, 0, 0, 14), "an Ethernet header alone");
	EXPECT(ok(0, 0, 0, 0, 0, KVS_NET_MAX_FRAME), "the longest");
	EXPECT(!ok(0, 0, 0, 0, 0, KVS_NET_MAX_FRAME + 1), "too long");
	EXPECT(!ok(0, 0, 0, 0, 0, ~0u), "4 GiB");
}

TEST("N-05 the checksum lies inside the frame")
{
	EXPECT(ok(CSUM, 0, 0, 34, 16, 100), "TCP");
	EXPECT(ok(CSUM, 0, 0, 34, 16, 52), "ends with the frame");
	EXPECT(!ok(CSUM, 0, 0, 34, 16, 51), "one byte beyond");
	EXPECT(!ok(CSUM, 0, 0, 13, 16, 100), "starts in the Ethernet header");
	EXPECT(ok(CSUM, 0, 0, 14, 16, 100), "starts behind it");
	EXPECT(!ok(CSUM, 0, 0, 0xffff, 0xffff, 65000), "sum overflows 16 bits");
	EXPECT(!ok(CSUM, 0, 0, 34, 0xffff, 1000), "offset");
	/* fields nobody asked to use may hold anything */
	EXPECT(ok(0, 0, 0, 0xffff, 0xffff, 100), "no checksum wanted");
}

TEST("N-05 segmentation: type, size, checksum, payload")
{
	static const uint8_t types[] = { 1, 3, 4, 5, 0x81, 0x84 };
	uint8_t t;
	size_t i;

	for (i = 0; i < sizeof(types); i++) {
		t = types[i];
		EXPECT(ok(CSUM, t, 1000, 34, 16, 5000), "type 0x%x", t);
		EXPECT(!ok(0, t, 1000, 34, 16, 5000), "0x%x: no checksum", t);
		EXPECT(!ok(CSUM, t, 0, 34, 16, 5000), "0x%x: size 0", t);
	}
	EXPECT(!ok(CSUM, 2, 1000, 34, 16, 5000), "type 2");
	EXPECT(!ok(CSUM, 6, 1000, 34, 16, 5000), "type 6");
	EXPECT(!ok(CSUM, 0x7f, 1000, 34, 16, 5000), "type 0x7f");
	EXPECT(!ok(CSUM, 0x80, 1000, 34, 16, 5000), "ECN without a type");
}

TEST("N-05 only what was negotiated")
{
	static const struct { uint8_t type; int bit; } t[] = {
		{ 1, VIRTIO_NET_F_HOST_TSO4 }, { 4, VIRTIO_NET_F_HOST_TSO6 },
		{ 3, VIRTIO_NET_F_HOST_UFO }, { 5, 56 },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct virtio_net_hdr h = {
			.flags = CSUM, .gso_type = t[i].type, .gso_size = 500,
			.csum_start = 34, .csum_offset = 16,
		};

		EXPECT(kvs_net_hdr_check(&h, 3000, 1ull << t[i].bit),
		       "type %u refused", t[i].type);
		EXPECT(!kvs_net_hdr_check(&h, 3000, ~(1ull << t[i].bit)),
		       "type %u accepted", t[i].type);
	}
}

TEST("N-05 a header length that lies is corrected, never larger than the frame")
{
	struct virtio_net_hdr h = {
		.flags = CSUM, .gso_type = 1, .gso_size = 500, .hdr_len = 60000,
		.csum_start = 34, .csum_offset = 16,
	};

	EXPECT(kvs_net_hdr_check(&h, 3000, ALL), "refused");
	EXPECT(h.hdr_len <= 3000, "hdr_len %u", h.hdr_len);
}
