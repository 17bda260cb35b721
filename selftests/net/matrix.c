// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every combination of what a driver can negotiate carries frames unharmed in
 * both directions: split or packed ring x indirect x event index x in order x
 * mergeable buffers x offloads in the header x ring sizes.
 *
 *	this process' rings <-> $KVT_NET_NODE <-> tap0 <-> packet socket
 *
 * Each frame's content follows from its number; every byte is compared, and
 * frames must arrive once and in order. A feature the node does not offer
 * skips its combinations. Then one queue is stopped and goes on, or is reset
 * (VIRTIO_F_RING_RESET), while the other one works.
 */
#include <linux/if_ether.h>
#include <linux/if_tun.h>

#include "kvt_net.h"

#define MS	10000
#define FRAMES	120		/* each way; in bursts */
#define SINGLES	16		/* of them, one after the other at first */
#define BURST	8
#define GSO_LEN	20000
#define GSO_MSS	1448

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED	KVT_F(VIRTIO_F_RING_PACKED)
#define ORDER	KVT_F(VIRTIO_F_IN_ORDER)
#define RESET	KVT_F(VIRTIO_F_RING_RESET)

enum offload { NONE, CSUM, TSO, NR_OFFLOADS };

struct combo {
	struct kvt_test test;
	char name[96];
	uint64_t features;
	uint16_t num;
	enum offload offload;
};

struct bed {
	struct kvt_nic nic;
	int wire;
	enum offload offload;
	size_t vnet;		/* bytes of header on the wire's socket */
};

static void bed_open(struct bed *b, uint64_t features, uint16_t num,
		     enum offload offload)
{
	static const unsigned int tun[NR_OFFLOADS] = {
		[CSUM] = TUN_F_CSUM, [TSO] = TUN_F_CSUM | TUN_F_TSO4,
	};
	struct kvt_nic_opts o = {
		.features = features, .num = num,
		.pieces = features & IND ? 3 : 2, .tx_buf = 2048,
		.rx_buf = 2048,
	};

	kvt_netns();
	if (offload == TSO) {
		o.tx_buf = GSO_LEN + 64;
		o.rx_buf = features & MRG ? 4096 : GSO_LEN + 64;
	}
	b->offload = offload;
	b->vnet = offload ? sizeof(struct virtio_net_hdr) : 0;
	o.sock = kvt_tap("tap0", 0, (int)kvt_hdr_len(features), tun[offload]);
	b->wire = kvt_packet("tap0", offload ? ETH_P_IP : KVT_ETHERTYPE,
			     offload);
	kvt_nic_open(&b->nic, &o);
}

/* Frame number @seq with its header; returns its length. */
static uint32_t make(const struct bed *b, struct virtio_net_hdr *hdr,
		     uint8_t *frame, uint32_t seq)
{
	static const uint32_t lens[] = { 60, 61, 64, 100, 511, 1000, 1513,
					 1514 };
	uint32_t len = lens[seq % (sizeof(lens) / sizeof(lens[0]))];
	bool gso = b->offload == TSO && seq % 20 == 19;

	memset(hdr, 0, sizeof(*hdr));
	if (gso)
		len = GSO_LEN;
	if (!b->offload) {
		kvt_frame(frame, len, seq);
		return len;
	}
	*hdr = kvt_tso_hdr(gso ? GSO_MSS : 0);
	kvt_tcp_frame(frame, len, seq);
	return len;
}

/* Is this frame number @seq as it was made, offload fields included? */
static void same(const struct bed *b, const struct virtio_net_hdr *hdr,
		 const uint8_t *frame, ssize_t len, uint32_t seq,
		 const char *way)
{
	static uint8_t want[GSO_LEN];
	struct virtio_net_hdr h;

	ASSERT_EQ(len, make(b, &h, want, seq));
	ASSERT(!memcmp(frame, want, (size_t)len), "%s frame %u changed", way,
	       seq);
	EXPECT_EQ(hdr->gso_type, h.gso_type);
	EXPECT_EQ(hdr->gso_size, h.gso_size);
	EXPECT_EQ(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, h.flags);
	if (h.flags) {
		EXPECT_EQ(hdr->csum_start, h.csum_start);
		EXPECT_EQ(hdr->csum_offset, h.csum_offset);
	}
}

static void wire_send(const struct bed *b, uint32_t seq)
{
	static uint8_t bytes[sizeof(struct virtio_net_hdr) + GSO_LEN];
	struct virtio_net_hdr hdr;
	size_t len = make(b, &hdr, bytes + b->vnet, seq);

	memcpy(bytes, &hdr, b->vnet);
	ASSERT_EQ(write(b->wire, bytes, b->vnet + len),
		  (ssize_t)(b->vnet + len));
}

static void wire_recv(const struct bed *b, uint32_t seq)
{
	static uint8_t bytes[sizeof(struct virtio_net_hdr) + GSO_LEN + 1];
	struct virtio_net_hdr hdr = { 0 };
	ssize_t n = kvt_wire_recv(b->wire, bytes, sizeof(bytes), MS);

	ASSERT(n > 0, "sent frame %u did not arrive", seq);
	memcpy(&hdr, bytes, b->vnet);
	same(b, &hdr, bytes + b->vnet, n - (ssize_t)b->vnet, seq, "sent");
}

static void nic_send(struct bed *b, uint32_t seq)
{
	static uint8_t frame[GSO_LEN];
	struct virtio_net_hdr hdr;
	uint32_t len = make(b, &hdr, frame, seq);

	ASSERT(kvt_nic_send(&b->nic, &hdr, frame, len),
	       "frame %u: no transmit buffer came back", seq);
}

static void nic_recv(struct bed *b, uint32_t seq)
{
	static uint8_t frame[GSO_LEN + 1];
	struct virtio_net_hdr hdr;
	ssize_t n = kvt_nic_recv(&b->nic, &hdr, frame, sizeof(frame), MS);

	same(b, &hdr, frame, n, seq, "received");
}

/* Frames @from to @to both ways, burst by burst. */
static void traffic(struct bed *b, uint32_t from, uint32_t to)
{
	uint32_t seq, i, n;

	for (seq = from; seq < to; seq += n) {
		/* one by one at first: each burst of one is a sleep */
		n = seq - from < SINGLES ? 1 : BURST;
		if (n > to - seq)
			n = to - seq;
		for (i = 0; i < n; i++)
			nic_send(b, seq + i);
		for (i = 0; i < n; i++)
			wire_recv(b, seq + i);
		for (i = 0; i < n; i++)
			wire_send(b, seq + i);
		for (i = 0; i < n; i++)
			nic_recv(b, seq + i);
	}
	ASSERT(kvt_nic_drain(&b->nic, MS), "transmit queue stuck");
}

static void bed_close(struct bed *b, uint32_t frames)
{
	uint32_t q;

	for (q = 0; b->nic.ours && q < 2; q++) {
		EXPECT_EQ(kvt_nl_counter(b->nic.id, q, KVASIR_C_REQUESTS),
			  frames);
		EXPECT_EQ(kvt_nl_counter(b->nic.id, q, KVASIR_C_BAD_CHAIN), 0);
		EXPECT_EQ(kvt_nl_counter(b->nic.id, q, KVASIR_C_BROKEN), 0);
	}
	kvt_nic_close(&b->nic);
}

static void combination(void)
{
	const struct combo *c = kvt_arg();
	struct bed b;

	bed_open(&b, c->features, c->num, c->offload);
	traffic(&b, 0, FRAMES);
	bed_close(&b, FRAMES);
}

static void add(uint64_t features, uint16_t num, enum offload offload)
{
	static const char *const offloads[] = {
		[NONE] = "none", [CSUM] = "checksum", [TSO] = "TSO",
	};
	struct combo *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	snprintf(c->name, sizeof(c->name),
		 "%s of %u%s%s%s%s, offloads: %s",
		 features & PACKED ? "packed" : "split", num,
		 features & IND ? ", indirect" : "",
		 features & EV ? ", event index" : "",
		 features & ORDER ? ", in order" : "",
		 features & MRG ? ", mergeable" : "", offloads[offload]);
	c->features = features;
	c->num = num;
	c->offload = offload;
	c->test = (struct kvt_test){ .name = c->name, .seconds = KVT_SECONDS,
				     .fn = combination, .arg = c };
	kvt_register(&c->test);
}

/* Ring sizes: one that bursts fill, and one they wrap at odd places. */
__attribute__((constructor))
static void combinations(void)
{
	static const uint64_t bit[] = { PACKED, IND, EV, ORDER, MRG };
	static const uint16_t sizes[2][2] = { { 8, 256 }, { 7, 300 } };
	unsigned int i, k, o, s;

	for (i = 0; i < 1u << 5; i++) {
		uint64_t features = V1;

		for (k = 0; k < 5; k++)
			features |= i >> k & 1 ? bit[k] : 0;
		for (o = NONE; o < NR_OFFLOADS; o++)
			for (s = 0; s < 2; s++)
				add(features, sizes[i & 1][s], o);
	}
}

/* ---- one queue stops, the other goes on ---- */

static unsigned int base_of(const struct bed *b, unsigned int q)
{
	struct vhost_vring_state s = { .index = q };

	ASSERT_OK(ioctl(b->nic.dev.fd, VHOST_GET_VRING_BASE, &s));
	return s.num;
}

/* Where the driver stands, in the words of VHOST_GET_VRING_BASE. */
static unsigned int own_base(const struct kvt_ring *ring)
{
	unsigned int avail, used;

	if (!(ring->flags & KVT_RING_PACKED))
		return ring->avail_idx;
	avail = ring->at_avail.slot | ring->at_avail.wrap << 15;
	used = ring->at_used.slot | ring->at_used.wrap << 15;
	return avail | used << 16;
}

static void stop_and_go_on(uint64_t features, uint16_t num)
{
	unsigned int base, i;
	struct bed b;

	bed_open(&b, features, num, NONE);
	for (i = 0; i < 20; i++) {
		/* odd numbers of frames: the position wanders, and wraps */
		traffic(&b, i * 13, i * 13 + 13);
		ASSERT_OK(kvt_net_backend(&b.nic.dev, 1, -1));
		base = base_of(&b, 1);
		EXPECT_EQ(base, own_base(&b.nic.tx));
		/* what comes in meanwhile comes in */
		wire_send(&b, i);
		nic_recv(&b, i);
		ASSERT_OK(kvt_vring_base(b.nic.dev.fd, 1, base));
		ASSERT_OK(kvt_net_backend(&b.nic.dev, 1, b.nic.o.sock));
	}
	traffic(&b, 0, 50);
	kvt_nic_close(&b.nic);
}

TEST("split: a stopped queue tells its base and goes on from there")
{
	stop_and_go_on(V1 | EV, 16);
}

TEST("packed: a stopped queue tells its base and goes on from there")
{
	stop_and_go_on(V1 | EV | PACKED, 11);
}

TEST("packed, in order: a stopped queue tells its base and goes on")
{
	stop_and_go_on(V1 | EV | PACKED | ORDER, 11);
}

/* Reset a queue as the driver sees it, with chains in flight. */
static void reset_queue(struct bed *b, unsigned int q)
{
	struct kvt_nic *nic = &b->nic;

	ASSERT_OK(kvt_net_backend(&nic->dev, q, -1));
	if (q)
		kvt_nic_reset_tx(nic);
	else
		kvt_nic_reset_rx(nic);
	kvt_vring_setup(&nic->dev, q, q ? &nic->tx : &nic->rx);
	ASSERT_OK(kvt_net_backend(&nic->dev, q, nic->o.sock));
	kvt_ring_kick(q ? &nic->tx : &nic->rx);
}

static void reset_under_load(uint64_t features, uint16_t num)
{
	uint8_t frame[64];
	struct bed b;
	unsigned int i, n;

	bed_open(&b, features | RESET, num, NONE);
	for (i = 0; i < 15; i++) {
		/* frames the reset may or may not let through */
		kvt_frame(frame, 60, 1000000);
		for (n = 0; n < 5; n++)
			ASSERT(kvt_nic_send(&b.nic, NULL, frame, 60), "send");
		reset_queue(&b, 1);
		wire_send(&b, i);
		nic_recv(&b, i);
		while (kvt_wire_recv(b.wire, frame, sizeof(frame), 20) > 0)
			ASSERT(kvt_frame_ok(frame, 60, 1000000), "changed");
		reset_queue(&b, 0);
		traffic(&b, i * 9, i * 9 + 9);
	}
	kvt_nic_close(&b.nic);
}

TEST("split: either queue is reset under load, the other one goes on")
{
	reset_under_load(V1 | EV | MRG, 64);
}

TEST("packed: either queue is reset under load, the other one goes on")
{
	reset_under_load(V1 | EV | MRG | PACKED, 50);
}
