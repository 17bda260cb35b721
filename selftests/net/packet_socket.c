// SPDX-License-Identifier: GPL-2.0-only
/*
 * A net device on a packet socket over one end of a veth pair, with and
 * without a virtio-net header towards the socket.
 *
 *	this process' rings <-> kvasir-net <-> packet socket on v0 === v1 <- wire
 */
#include <linux/if_ether.h>

#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define HDR	KVT_F(VHOST_NET_F_VIRTIO_NET_HDR)
#define MS	10000

static void both_ways(uint64_t features, bool vnet_hdr)
{
	struct kvt_nic_opts o = { .features = features };
	struct kvt_nic nic;
	uint32_t i;
	int wire;

	kvt_netns();
	if (system("ip link add v0 type veth peer name v1"))
		SKIP("cannot make a veth pair");
	kvt_link_up("v0", 0);
	kvt_link_up("v1", 0);
	o.sock = kvt_packet("v0", KVT_ETHERTYPE, vnet_hdr);
	wire = kvt_packet("v1", KVT_ETHERTYPE, false);
	kvt_nic_open(&nic, &o);
	for (i = 0; i < 100; i++)
		kvt_nic_exchange(&nic, wire, 60 + i * 14, i);
	kvt_nic_close(&nic);
}

TEST("the socket knows no header, the device makes it")
{
	both_ways(V1 | EV | HDR, false);
}

TEST("the same, legacy layout")
{
	both_ways(HDR, false);
}

TEST("frames with offloads are dropped where the socket has no header")
{
	struct kvt_nic_opts o = { .features = V1 | HDR };
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .csum_start = 34, .csum_offset = 16 };
	uint8_t frame[200];
	struct kvt_nic nic;
	int wire;

	if (!kvt_ours(kvt_net_node()))
		SKIP("%s sends such frames unfinished", kvt_net_node());
	kvt_netns();
	if (system("ip link add v0 type veth peer name v1"))
		SKIP("cannot make a veth pair");
	kvt_link_up("v0", 0);
	kvt_link_up("v1", 0);
	o.sock = kvt_packet("v0", KVT_ETHERTYPE, false);
	wire = kvt_packet("v1", KVT_ETHERTYPE, false);
	kvt_nic_open(&nic, &o);
	kvt_frame(frame, 200, 0);
	ASSERT(kvt_nic_send(&nic, &hdr, frame, 200), "send");
	ASSERT(kvt_nic_drain(&nic, MS), "transmit stuck");
	EXPECT_EQ(kvt_nl_counter(nic.id, 1, KVASIR_C_DROP_HEADER), 1);
	ASSERT(kvt_nic_send(&nic, NULL, frame, 200), "send");
	EXPECT_EQ(kvt_wire_recv(wire, frame, sizeof(frame), MS), 200);
	kvt_nic_close(&nic);
}
