// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every combination of ring features carries frames unharmed in both
 * directions: indirect x event index x mergeable buffers x virtio 1 or legacy
 * layout x ring sizes x descriptors per frame, against a tap.
 *
 *	this process' rings <-> $KVT_NET_NODE <-> tap0 <-> packet socket
 *
 * Each frame's content follows from its number; every byte is compared, and
 * frames must arrive once and in order.
 */
#include "kvt_net.h"

#define FRAMES 150
#define MS 10000

static const uint32_t lens[] = { 60, 61, 64, 100, 511, 1000, 1513, 1514 };

static uint32_t frame_len(uint32_t seq)
{
	return lens[seq % (sizeof(lens) / sizeof(lens[0]))];
}

static void to_wire(struct kvt_nic *nic, int wire)
{
	uint8_t frame[2048];
	uint32_t i, len;
	ssize_t n;

	for (i = 0; i < FRAMES; i++) {
		len = frame_len(i);
		kvt_frame(frame, len, i);
		ASSERT(kvt_nic_send(nic, NULL, frame, len),
		       "frame %u: no transmit buffer came back", i);
		/* half of them one by one, half queued up */
		if (i < FRAMES / 2 || i % 16 != 15)
			continue;
		ASSERT(kvt_nic_drain(nic, MS), "transmit queue stuck at %u", i);
	}
	ASSERT(kvt_nic_drain(nic, MS), "transmit queue stuck");
	for (i = 0; i < FRAMES; i++) {
		n = kvt_wire_recv(wire, frame, sizeof(frame), MS);
		ASSERT_EQ(n, frame_len(i));
		ASSERT(kvt_frame_ok(frame, (uint32_t)n, i),
		       "sent frame %u arrived changed", i);
	}
}

static void from_wire(struct kvt_nic *nic, int wire)
{
	struct virtio_net_hdr hdr;
	uint8_t frame[4096];
	uint32_t i, len, burst = nic->o.num < 8 ? 1 : 8;
	ssize_t n;

	for (i = 0; i < FRAMES; i++) {
		len = frame_len(i);
		kvt_frame(frame, len, i);
		ASSERT_EQ(write(wire, frame, len), len);
		if (i % burst != burst - 1 && i != FRAMES - 1)
			continue;
		for (len = i - i % burst; len <= i; len++) {
			n = kvt_nic_recv(nic, &hdr, frame, sizeof(frame), MS);
			ASSERT_EQ(n, frame_len(len));
			ASSERT(kvt_frame_ok(frame, (uint32_t)n, len),
			       "received frame %u is changed", len);
			EXPECT_EQ(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		}
	}
}

static void both_ways(uint64_t features, uint16_t num, unsigned int pieces)
{
	struct kvt_nic_opts o = {
		.features = features, .num = num, .pieces = pieces,
	};
	struct kvt_nic nic;
	int wire;

	wire = kvt_nic_open_tap(&nic, &o, 0);
	to_wire(&nic, wire);
	from_wire(&nic, wire);
	if (nic.ours) {
		EXPECT_EQ(kvt_nl_counter(nic.id, 0, KVASIR_C_REQUESTS), FRAMES);
		EXPECT_EQ(kvt_nl_counter(nic.id, 1, KVASIR_C_REQUESTS), FRAMES);
		EXPECT_EQ(kvt_nl_counter(nic.id, 0, KVASIR_C_BAD_CHAIN), 0);
		EXPECT_EQ(kvt_nl_counter(nic.id, 1, KVASIR_C_BAD_CHAIN), 0);
	}
	kvt_nic_close(&nic);
}

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)

#define CASE(name, features, num, pieces) \
	TEST(name) { both_ways(features, num, pieces); }

/* One layout with everything that may be combined with it. */
#define LAYOUT(name, base)						\
	CASE(name ", plain", base, 256, 2)				\
	CASE(name ", event index", base | EV, 256, 2)			\
	CASE(name ", indirect", base | IND, 256, 3)			\
	CASE(name ", indirect + event index", base | IND | EV, 256, 3)	\
	CASE(name ", ring of 1", base, 1, 1)				\
	CASE(name ", ring of 1, indirect", base | IND | EV, 1, 5)	\
	CASE(name ", ring of 2, event index", base | EV, 2, 2)		\
	CASE(name ", ring of 16", base | EV, 16, 7)			\
	CASE(name ", ring of 1024", base | IND | EV, 1024, 17)		\
	CASE(name ", ring of 32768", base | EV, 32768, 1)

LAYOUT("virtio 1", V1)
LAYOUT("virtio 1 mergeable", V1 | MRG)
LAYOUT("legacy", 0)
LAYOUT("legacy mergeable", MRG)
