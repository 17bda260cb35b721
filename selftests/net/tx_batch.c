// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames sent many at a time to a tap: every length, with and without offload
 * headers, and memory that is used again while receivers still hold frames.
 *
 *	this process' rings -> kvasir-net -> tap0 -> packet sockets
 */
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <sys/socket.h>

#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define MS	20000

#define BURST	64		/* transmit buffers of a kvt_nic */
#define LONGEST	65535
#define ETHERTYPE_NOBODY 0x88b6

struct bed {
	struct kvt_nic nic;
	int wire;	/* sees KVT_ETHERTYPE */
};

static void bed_open(struct bed *b, uint64_t features, unsigned int pieces)
{
	struct kvt_nic_opts o = { .features = features, .pieces = pieces,
				  .tx_buf = LONGEST + KVT_HDR_MAX };
	int size = 256 << 20;

	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
	ASSERT_OK(setsockopt(b->wire, SOL_SOCKET, SO_RCVBUFFORCE, &size,
			     sizeof(size)));
}

static void expect_counters(struct bed *b, uint64_t frames, uint64_t bytes)
{
	if (!b->nic.ours)
		return;
	EXPECT_EQ(kvt_nl_counter(b->nic.id, 1, KVASIR_C_REQUESTS), frames);
	EXPECT_EQ(kvt_nl_counter(b->nic.id, 1, KVASIR_C_BYTES_IN), bytes);
	EXPECT_EQ(kvt_nl_counter(b->nic.id, 1, KVASIR_C_DROP_HEADER), 0);
	EXPECT_EQ(kvt_nl_counter(b->nic.id, 1, KVASIR_C_DROP_LOWER), 0);
}

/* The next frame from the wire must be this one. */
static void expect_frame(int wire, uint32_t len, uint32_t seq)
{
	static uint8_t got[LONGEST + 1];

	ASSERT_EQ(kvt_wire_recv(wire, got, sizeof(got), MS), len);
	ASSERT(kvt_frame_ok(got, len, seq), "frame %u of %u bytes changed",
	       seq, len);
}

/* ---- lengths ---- */

/* All near the ends of slices and pages, fewer in between. */
static uint32_t next_len(uint32_t len)
{
	if (len < 80 || (len > 3600 && len < 4160))
		return len + 1;
	if (len < 3600)
		return len + 17;
	if (len > LONGEST - 4 || len % 32768 > 32768 - 500)
		return len + (len < LONGEST - 4 ? 61 : 1);
	return len + 2777;
}

static void all_lengths(uint64_t features, unsigned int pieces)
{
	uint32_t lens[BURST], len = 14, seq = 0, n, i;
	static uint8_t frame[LONGEST];
	uint64_t bytes = 0;
	struct bed b;

	bed_open(&b, features, pieces);
	while (len <= LONGEST) {
		for (n = 0; n < BURST && len <= LONGEST; n++) {
			lens[n] = len;
			kvt_frame(frame, len, seq + n);
			ASSERT(kvt_nic_queue(&b.nic, NULL, frame, len),
			       "queue %u bytes", len);
			bytes += len;
			len = next_len(len);
		}
		ASSERT(kvt_nic_drain(&b.nic, MS), "stuck at %u bytes", len);
		for (i = 0; i < n; i++)
			expect_frame(b.wire, lens[i], seq + i);
		seq += n;
	}
	EXPECT(seq > 500, "only %u frames", seq);
	expect_counters(&b, seq, bytes);
	kvt_nic_close(&b.nic);
}

TEST("bursts of frames of 14 to 65535 bytes, header and frame in one piece")
{
	all_lengths(V1 | EV | MRG, 1);
}

TEST("the same in pieces, header split")
{
	all_lengths(V1 | EV | KVT_F(VIRTIO_RING_F_INDIRECT_DESC), 23);
}

TEST("the same, legacy layout")
{
	all_lengths(0, 3);
}

/* ---- offload headers ---- */

/* By number: nothing, a checksum, TSO with two segment sizes. */
static struct virtio_net_hdr make_hdr(uint32_t i, uint32_t len)
{
	uint16_t mss = i % 4 == 2 ? 1448 : 536;

	if (i % 4 == 0)
		return (struct virtio_net_hdr){ 0 };
	return kvt_tso_hdr(i % 4 > 1 && len > 2 * KVT_TCP_HDRS ? mss : 0);
}

static void expect_offload(int wire, const struct virtio_net_hdr *sent,
			   uint32_t len, uint32_t seq)
{
	static uint8_t got[10 + LONGEST + 1], want[LONGEST];
	struct virtio_net_hdr hdr;
	uint32_t segment = KVT_TCP_HDRS + sent->gso_size;
	bool gso = sent->gso_size && len > segment;

	ASSERT_EQ(kvt_wire_recv(wire, got, sizeof(got), MS), 10 + len);
	memcpy(&hdr, got, 10);
	EXPECT_EQ(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, sent->flags);
	if (sent->flags) {
		EXPECT_EQ(hdr.csum_start, sent->csum_start);
		EXPECT_EQ(hdr.csum_offset, sent->csum_offset);
	}
	/* a frame of one segment needs none; the kernel may say so or not */
	if (gso) {
		EXPECT_EQ(hdr.gso_type, sent->gso_type);
		EXPECT_EQ(hdr.gso_size, sent->gso_size);
	}
	kvt_tcp_frame(want, len, seq);
	ASSERT(!memcmp(got + 10, want, len), "frame %u of %u bytes changed",
	       seq, len);
}

TEST("bursts of all offload headers, of every length")
{
	static uint8_t frame[LONGEST];
	struct virtio_net_hdr hdr[BURST];
	uint32_t lens[BURST], round, i, len;
	uint64_t state = kvt_seed();
	struct bed b;
	int wire;

	bed_open(&b, V1 | EV | MRG, 2);
	wire = kvt_packet("tap0", ETH_P_IP, true);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < BURST; i++) {
			len = i % 8 == 7 ? 4000 + (uint32_t)
			      (kvt_rand(&state) % (LONGEST - 4000)) :
			      KVT_TCP_HDRS + (uint32_t)
			      (kvt_rand(&state) % 3700);
			lens[i] = len;
			hdr[i] = make_hdr(i, len);
			kvt_tcp_frame(frame, len, i);
			ASSERT(kvt_nic_queue(&b.nic, &hdr[i], frame, len),
			       "queue");
		}
		ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
		for (i = 0; i < BURST; i++)
			expect_offload(wire, &hdr[i], lens[i], i);
	}
	kvt_nic_close(&b.nic);
}

TEST("N-01 N-05 bad frames in a burst: the good ones around them arrive")
{
	static uint8_t frame[600];
	struct virtio_net_hdr bad = { .gso_type = 0x7f, .gso_size = 100 };
	uint32_t i, good = 0;
	struct bed b;

	bed_open(&b, V1 | EV, 1);
	for (i = 0; i < BURST; i++) {
		kvt_frame(frame, 600, i);
		ASSERT(i % 5 == 1 ? kvt_nic_queue(&b.nic, &bad, frame, 600) :
		       i % 5 == 3 ? kvt_nic_queue(&b.nic, NULL, frame, i % 14) :
		       kvt_nic_queue(&b.nic, NULL, frame, 600), "queue");
	}
	ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
	for (i = 0; i < BURST; i++) {
		if (i % 5 == 1 || i % 5 == 3)
			continue;
		expect_frame(b.wire, 600, i);
		good++;
	}
	if (b.nic.ours) {
		EXPECT_EQ(kvt_nl_counter(b.nic.id, 1, KVASIR_C_REQUESTS), good);
		EXPECT_EQ(kvt_nl_counter(b.nic.id, 1, KVASIR_C_DROP_HEADER),
			  BURST - good);
	}
	kvt_nic_close(&b.nic);
}

/* ---- memory that is used again ---- */

static uint32_t held_len(uint32_t seq, uint32_t max)
{
	uint64_t state = seq * 2654435761ull + 1;

	return 14 + (uint32_t)(kvt_rand(&state) % (max - 14));
}

/* A frame nobody receives: its memory is free at once. */
static void queue_fleeting(struct kvt_nic *nic, uint32_t seq, uint32_t max)
{
	static uint8_t frame[LONGEST];
	uint32_t len = held_len(seq, max);

	memset(frame, 0xee, len);
	frame[0] = 2;
	frame[12] = ETHERTYPE_NOBODY >> 8;
	frame[13] = ETHERTYPE_NOBODY & 0xff;
	ASSERT(kvt_nic_queue(nic, NULL, frame, len), "queue");
}

/*
 * Send @nr frames, each @apart-th of which is received; the others are gone at
 * once, so that their memory comes round again and again beside the frames in
 * the socket. There are @hold to 2 * @hold of these; each is verified when it
 * leaves.
 */
static void hold(uint32_t nr, uint32_t apart, uint32_t hold, uint32_t max)
{
	static uint8_t frame[LONGEST];
	uint32_t seq, first = 0, last = 0;
	struct bed b;

	bed_open(&b, V1 | EV | MRG, 1);
	for (seq = 0; seq < nr; seq++) {
		if (seq % apart) {
			queue_fleeting(&b.nic, seq, max);
			continue;
		}
		kvt_frame(frame, held_len(last, max), last);
		ASSERT(kvt_nic_queue(&b.nic, NULL, frame, held_len(last, max)),
		       "queue");
		last++;
		if (last - first < 2 * hold)
			continue;
		ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
		for (; last - first > hold; first++)
			expect_frame(b.wire, held_len(first, max), first);
	}
	ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
	for (; first < last; first++)
		expect_frame(b.wire, held_len(first, max), first);
	kvt_nic_close(&b.nic);
}

TEST("a receiver that holds thousands of frames, none of which changes")
{
	hold(6000, 1, 1500, 2000);
}

TEST("one of nine frames is held, the memory between is used again")
{
	hold(30000, 9, 900, 2000);
}

TEST("the same with few and long-lived frames of all lengths")
{
	hold(3000, 31, 30, 60000);
}
