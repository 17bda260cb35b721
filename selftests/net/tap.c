// SPDX-License-Identifier: GPL-2.0-only
/*
 * A net device on a tap: large frames, offload headers both ways, and frames
 * that must be dropped, counted, and never stop the queue (N-01 to N-08).
 *
 *	this process' rings <-> kvasir-net <-> tap0 <-> packet socket
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/socket.h>

#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define MS	10000

#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)

struct bed {
	struct kvt_nic nic;
	int wire;	/* sees KVT_ETHERTYPE */
};

static void bed_open(struct bed *b, uint64_t features, uint32_t rx_buf,
		     uint32_t tx_buf, unsigned int offloads)
{
	struct kvt_nic_opts o = { .features = features, .rx_buf = rx_buf,
				  .tx_buf = tx_buf };

	b->wire = kvt_nic_open_tap(&b->nic, &o, offloads);
}

static uint64_t count(struct bed *b, uint32_t q, int counter)
{
	return b->nic.ours ? kvt_nl_counter(b->nic.id, q, counter) : 0;
}

static void works(struct bed *b)
{
	uint8_t frame[2048];

	kvt_frame(frame, 700, 1);
	ASSERT(kvt_nic_send(&b->nic, NULL, frame, 700), "cannot send");
	ASSERT(kvt_nic_drain(&b->nic, MS), "transmit stuck");
	ASSERT_EQ(kvt_wire_recv(b->wire, frame, sizeof(frame), MS), 700);
	EXPECT(kvt_frame_ok(frame, 700, 1), "sent frame changed");
	kvt_frame(frame, 321, 2);
	ASSERT_EQ(write(b->wire, frame, 321), 321);
	ASSERT_EQ(kvt_nic_recv(&b->nic, NULL, frame, sizeof(frame), MS), 321);
	EXPECT(kvt_frame_ok(frame, 321, 2), "received frame changed");
}

TEST("frames of every length from 14 to 1514 bytes, both ways")
{
	struct bed b;
	uint32_t len;

	bed_open(&b, V1 | EV, 0, 0, 0);
	for (len = 14; len <= 1514; len += len < 100 || len > 1480 ? 1 : 13)
		kvt_nic_exchange(&b.nic, b.wire, len, len);
	kvt_nic_close(&b.nic);
}

TEST("large frames over many mergeable buffers, and out of pinned pages")
{
	static const uint32_t lens[] = { 1515, 2036, 2037, 4095, 4096, 9014,
					 32000, 65000 };
	struct bed b;
	size_t i;

	bed_open(&b, V1 | MRG | EV, 2048, 70000, 0);
	kvt_link_up("tap0", 65000);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		kvt_nic_exchange(&b.nic, b.wire, lens[i], (uint32_t)i);
	kvt_nic_close(&b.nic);
}

/* ---- offloads ---- */

static void expect_hdr(const struct virtio_net_hdr *got, uint16_t mss)
{
	EXPECT_EQ(got->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  VIRTIO_NET_HDR_F_NEEDS_CSUM);
	EXPECT_EQ(got->gso_type, mss ? VIRTIO_NET_HDR_GSO_TCPV4 :
				       VIRTIO_NET_HDR_GSO_NONE);
	EXPECT_EQ(got->gso_size, mss);
	EXPECT_EQ(got->csum_start, 34);
	EXPECT_EQ(got->csum_offset, 16);
}

TEST("checksum and TSO headers arrive as sent, both ways")
{
	static const struct { uint32_t len; uint16_t mss; } t[] = {
		{ 100, 0 }, { 1514, 0 }, { 3000, 1448 }, { 20000, 1448 },
		{ 65000, 1448 }, { 65000, 536 },
	};
	static uint8_t frame[65550], got[65550];
	struct virtio_net_hdr hdr;
	struct bed b;
	size_t i;
	int wire;

	bed_open(&b, V1 | MRG, 4096, 70000, OFFLOADS);
	wire = kvt_packet("tap0", ETH_P_IP, true);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint32_t len = t[i].len;

		kvt_tcp_frame(frame, len, 99);
		hdr = kvt_tso_hdr(t[i].mss);
		ASSERT(kvt_nic_send(&b.nic, &hdr, frame, len), "send");
		ASSERT_EQ(kvt_wire_recv(wire, got, sizeof(got), MS), len + 10);
		expect_hdr((void *)got, t[i].mss);
		EXPECT(!memcmp(got + 10, frame, len), "sent frame changed");

		memcpy(got, &hdr, 10);
		memcpy(got + 10, frame, len);
		ASSERT_EQ(write(wire, got, len + 10), len + 10);
		ASSERT_EQ(kvt_nic_recv(&b.nic, &hdr, got, sizeof(got), MS),
			  len);
		expect_hdr(&hdr, t[i].mss);
		EXPECT(!memcmp(got, frame, len), "received frame changed");
	}
	kvt_nic_close(&b.nic);
}

TEST("without offloads the guest gets segments with checksums")
{
	static uint8_t frame[8192], got[8192];
	struct virtio_net_hdr hdr = kvt_tso_hdr(1000);
	uint32_t payload = 0;
	struct bed b;
	int wire, n;

	bed_open(&b, V1 | MRG, 4096, 8192, 0);
	wire = kvt_packet("tap0", ETH_P_IP, true);
	kvt_tcp_frame(frame + 10, 5000 + KVT_TCP_HDRS, 99);
	memcpy(frame, &hdr, 10);
	ASSERT_EQ(write(wire, frame, 5010 + KVT_TCP_HDRS), 5010 + KVT_TCP_HDRS);
	for (n = 0; n < 5; n++) {
		ssize_t len = kvt_nic_recv(&b.nic, &hdr, got, sizeof(got), MS);

		ASSERT_EQ(len, 1000 + KVT_TCP_HDRS);
		EXPECT_EQ(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		EXPECT_EQ(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		EXPECT(!memcmp(got + KVT_TCP_HDRS, frame + 10 + KVT_TCP_HDRS + payload,
			       1000), "payload changed");
		payload += 1000;
	}
	kvt_nic_close(&b.nic);
}

/* ---- what must be dropped ---- */

/* Send bytes as they are; they must come back, dropped and counted. */
static void dropped(struct bed *b, const void *bytes, uint32_t len,
		    int counter)
{
	uint64_t was = count(b, 1, counter);

	ASSERT(kvt_nic_send_raw(&b->nic, bytes, len), "send");
	ASSERT(kvt_nic_drain(&b->nic, MS), "%u bytes stop the queue", len);
	if (b->nic.ours)
		EXPECT_EQ(count(b, 1, counter), was + 1);
}

TEST("N-01 frames too short for header or Ethernet")
{
	uint8_t bytes[64] = { 0 };
	struct bed b;
	uint32_t len;

	bed_open(&b, V1, 0, 0, 0);
	for (len = 1; len < 12 + 14; len++)
		dropped(&b, bytes, len, KVASIR_C_DROP_HEADER);
	EXPECT_EQ(kvt_wire_recv(b.wire, bytes, sizeof(bytes), 100), -ETIMEDOUT);
	works(&b);
	kvt_nic_close(&b.nic);
}

TEST("N-05 offload headers that lie")
{
	static uint8_t bytes[4096];
	struct virtio_net_hdr *h = (void *)bytes;
	static const struct virtio_net_hdr bad[] = {
		{ .flags = 1, .csum_start = 2000, .csum_offset = 16 },
		{ .flags = 1, .csum_start = 34, .csum_offset = 0xffff },
		{ .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .flags = 1, .csum_start = 1013, .csum_offset = 0 },
		{ .flags = 1, .csum_start = 0, .csum_offset = 0 },
		{ .flags = 1, .gso_type = 1, .csum_start = 34 },
		{ .gso_type = 1, .gso_size = 500 },
		{ .flags = 1, .gso_type = 2, .gso_size = 500,
		  .csum_start = 34, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 0x7f, .gso_size = 500,
		  .csum_start = 34, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 0x80, .gso_size = 500,
		  .csum_start = 34, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 1, .gso_size = 500,
		  .csum_start = 1012, .csum_offset = 0 },
	};
	struct bed b;
	size_t i;

	bed_open(&b, V1, 0, 4096, OFFLOADS);
	kvt_tcp_frame(bytes + 12, 1014, 99);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*h = bad[i];
		dropped(&b, bytes, 12 + 1014, KVASIR_C_DROP_HEADER);
	}
	works(&b);
	kvt_nic_close(&b.nic);
}

TEST("N-02 a frame larger than any buffer, not mergeable")
{
	static uint8_t frame[9000];
	struct bed b;

	bed_open(&b, V1, 2048, 0, 0);
	kvt_link_up("tap0", 9000);
	kvt_frame(frame, 5000, 3);
	ASSERT_EQ(write(b.wire, frame, 5000), 5000);
	works(&b);
	EXPECT_EQ(count(&b, 0, KVASIR_C_DROP_NOBUF), b.nic.ours);
	kvt_nic_close(&b.nic);
}

TEST("N-03 mergeable: too few buffers wait for more, without spinning")
{
	static uint8_t frame[9000];
	uint64_t wakeups, budget;
	struct kvt_ring *rx;
	struct kvt_sg sg;
	struct bed b;
	uint8_t *buf;
	int i;

	bed_open(&b, V1 | MRG | EV, 2048, 0, 0);
	kvt_link_up("tap0", 9000);
	rx = &b.nic.rx;
	/* a fresh receive ring with room for less than half of the frame */
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	kvt_ring_reset(rx);
	for (i = 0; i < 2; i++) {
		buf = kvt_mem_alloc(&b.nic.mem, 2048, 64);
		sg = kvt_sg(&b.nic.mem, buf, 2048);
		kvt_ring_add(rx, &sg, 0, 1, buf);
	}
	kvt_vring_setup(&b.nic.dev, 0, rx);
	kvt_ring_publish(rx);
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, b.nic.o.sock));
	kvt_frame(frame, 8000, 4);
	ASSERT_EQ(write(b.wire, frame, 8000), 8000);
	kvt_sleep(300);
	EXPECT_EQ(kvt_ring_used(rx), 0);
	wakeups = count(&b, 0, KVASIR_C_WAKEUPS);
	budget = count(&b, 0, KVASIR_C_BUDGET);
	kvt_sleep(1000);
	EXPECT(count(&b, 0, KVASIR_C_WAKEUPS) - wakeups < 20,
	       "served %llu times in a second without new buffers",
	       (unsigned long long)(count(&b, 0, KVASIR_C_WAKEUPS) - wakeups));
	EXPECT(count(&b, 0, KVASIR_C_BUDGET) - budget < 20,
	       "%llu times out of budget without new buffers",
	       (unsigned long long)(count(&b, 0, KVASIR_C_BUDGET) - budget));
	/* the other half: the frame comes whole */
	for (i = 0; i < 4; i++) {
		buf = kvt_mem_alloc(&b.nic.mem, 2048, 64);
		sg = kvt_sg(&b.nic.mem, buf, 2048);
		kvt_ring_add(rx, &sg, 0, 1, buf);
	}
	kvt_ring_kick(rx);
	ASSERT_EQ(kvt_nic_recv(&b.nic, NULL, frame, sizeof(frame), MS), 8000);
	EXPECT(kvt_frame_ok(frame, 8000, 4), "frame changed");
	kvt_nic_close(&b.nic);
}

static void link_down(void)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, IFNAMSIZ, "tap0");
	ASSERT_OK(ioctl(s, SIOCSIFFLAGS, &ifr));
	close(s);
}

TEST("N-07 a lower device that always refuses drops frames, no more")
{
	uint8_t frame[100];
	struct bed b;
	int i;

	bed_open(&b, V1 | EV, 0, 0, 0);
	works(&b);
	link_down();
	kvt_frame(frame, 100, 0);
	for (i = 0; i < 200; i++)
		ASSERT(kvt_nic_send(&b.nic, NULL, frame, 100),
		       "stuck at frame %d", i);
	ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
	EXPECT_EQ(count(&b, 1, KVASIR_C_DROP_LOWER), b.nic.ours ? 200 : 0);
	kvt_link_up("tap0", 0);
	/* the packet socket holds the error of its interface going down */
	kvt_wire_recv(b.wire, frame, sizeof(frame), 0);
	works(&b);
	kvt_nic_close(&b.nic);
}

TEST("N-08 no receive buffers while frames arrive, then a refill")
{
	uint8_t frame[256];
	struct kvt_ring *rx;
	struct kvt_sg sg;
	struct bed b;
	uint8_t *buf;
	uint64_t was;
	int i, n;

	bed_open(&b, V1 | EV, 0, 0, 0);
	rx = &b.nic.rx;
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	kvt_ring_reset(rx);
	kvt_vring_setup(&b.nic.dev, 0, rx);
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, b.nic.o.sock));
	for (n = 0; n < 5; n++) {
		was = count(&b, 0, KVASIR_C_NO_BUFFERS);
		for (i = 0; i < 3; i++) {
			kvt_frame(frame, 200, (uint32_t)i);
			ASSERT_EQ(write(b.wire, frame, 200), 200);
		}
		/* until they are known to have found none */
		if (b.nic.ours)
			EXPECT(kvt_nl_wait(b.nic.id, 0, KVASIR_C_NO_BUFFERS,
					   was + 1, MS) > was, "not counted");
		else
			kvt_sleep(100);
		for (i = 0; i < 3; i++) {
			buf = kvt_mem_alloc(&b.nic.mem, 2048, 64);
			sg = kvt_sg(&b.nic.mem, buf, 2048);
			kvt_ring_add(rx, &sg, 0, 1, buf);
		}
		kvt_ring_kick(rx);	/* only if the device asked for it */
		ASSERT_EQ(kvt_ring_wait(rx, 3, MS), 0);
		for (i = 0; i < 3; i++) {
			buf = kvt_ring_get(rx, NULL, NULL);
			EXPECT(kvt_frame_ok(buf + 12, 200, (uint32_t)i),
			       "round %d, frame %d changed", n, i);
		}
	}
	kvt_nic_close(&b.nic);
}

TEST("N-10 the tap is deleted under a running device")
{
	uint8_t frame[100];
	struct bed b;
	int i;

	bed_open(&b, V1 | EV, 0, 0, 0);
	works(&b);
	if (system("ip link del tap0"))
		SKIP("no ip command");
	kvt_frame(frame, 100, 0);
	for (i = 0; i < 20; i++)
		ASSERT(kvt_nic_send(&b.nic, NULL, frame, 100), "stuck");
	ASSERT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
	EXPECT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	EXPECT_OK(kvt_net_backend(&b.nic.dev, 1, -1));
	close(b.nic.o.sock);
	close(b.wire);
	/* and another one in its place */
	b.nic.o.sock = kvt_tap("tap0", 0, 12, 0);
	b.wire = kvt_packet("tap0", KVT_ETHERTYPE, false);
	kvt_nic_restart(&b.nic);
	works(&b);
	kvt_nic_close(&b.nic);
}
