/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network card as the guest sees it (receive ring 0, transmit ring 1 of a
 * vhost node) with a tap, and a packet socket that plays the wire:
 *
 *	rings of this process <-> node <-> tap <-> kernel's device <-> wire
 */
#ifndef KVT_NET_H
#define KVT_NET_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "kvt_nl.h"
#include "kvt_vhost.h"

#ifndef VIRTIO_F_ANY_LAYOUT
#define VIRTIO_F_ANY_LAYOUT 27	/* vhost-net gives this bit another meaning */
#endif

#define KVT_ETHERTYPE 0x88b5	/* IEEE 802: local experiments */

/* A network namespace of the test's own; without root the test is skipped. */
void kvt_netns(void);
/* Bring an interface up, quiet (no IPv6 chatter), with this MTU (0: leave). */
void kvt_link_up(const char *name, int mtu);

#define KVT_HDR_MAX 12

/**
 * kvt_tap() - make a tap interface and attach to it
 * @flags: in addition to IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
 * @hdr_len: of the virtio-net header
 * @offloads: TUN_F_*, what the reader (guest) can take
 */
int kvt_tap(const char *name, int flags, int hdr_len, unsigned int offloads);
/* Packet socket on an interface, one ethertype (host order, 0: all). */
int kvt_packet(const char *ifname, uint16_t proto, bool vnet_hdr);
/* One frame from a socket or tap; -ETIMEDOUT. */
ssize_t kvt_wire_recv(int sock, void *buf, size_t len, unsigned int ms);

struct kvt_nic_opts {
	const char *node;	/* NULL: kvt_net_node() */
	uint64_t features;
	uint16_t num;		/* ring entries; 0: 256 */
	uint32_t rx_buf;	/* bytes of one receive buffer; 0: 2048 */
	uint32_t tx_buf;	/* of one transmit buffer, header too; 0: 2048 */
	unsigned int pieces;	/* descriptors of one transmitted frame; 0: 1 */
	int sock;		/* tap, macvtap or packet socket */
};

struct kvt_nic {
	struct kvt_nic_opts o;
	struct kvt_mem mem;
	struct kvt_dev dev;
	struct kvt_ring rx, tx;
	uint32_t hdr_len;
	bool ours;		/* the node is the module's: .id is valid */
	uint32_t id;
	unsigned int nr_rx;
	uint8_t **rx_bufs;
	unsigned int nr_tx;
	uint8_t **tx_bufs;
	uint8_t **tx_free;	/* stack of those not in flight */
	unsigned int nr_tx_free;
};

/* Length of the virtio-net header under these features. */
uint32_t kvt_hdr_len(uint64_t features);
/* Set up everything; ends with both backends set and receive buffers given. */
void kvt_nic_open(struct kvt_nic *nic, const struct kvt_nic_opts *opts);
/**
 * kvt_nic_open_tap() - the same, on a new tap "tap0" in a namespace of its own
 * @opts: but for the socket
 * @offloads: as for kvt_tap()
 *
 * Returns the wire, which sees KVT_ETHERTYPE.
 */
int kvt_nic_open_tap(struct kvt_nic *nic, const struct kvt_nic_opts *opts,
		     unsigned int offloads);
void kvt_nic_close(struct kvt_nic *nic);
/* The same rings from the start again, after the backends were taken off. */
void kvt_nic_restart(struct kvt_nic *nic);

/* The driver's side of a queue reset; receive buffers await publication. */
void kvt_nic_reset_rx(struct kvt_nic *nic);
void kvt_nic_reset_tx(struct kvt_nic *nic);

/* Offer @bytes (header and frame) as they are; false: no buffer free in time */
bool kvt_nic_send_raw(struct kvt_nic *nic, const void *bytes, uint32_t len);
/* @hdr NULL: all zero */
bool kvt_nic_send(struct kvt_nic *nic, const struct virtio_net_hdr *hdr,
		  const void *frame, uint32_t len);
/*
 * The same, but the device does not see them yet: the next one sent, or drained,
 * takes them along.
 */
bool kvt_nic_queue_raw(struct kvt_nic *nic, const void *bytes, uint32_t len);
bool kvt_nic_queue(struct kvt_nic *nic, const struct virtio_net_hdr *hdr,
		   const void *frame, uint32_t len);
/* Until all transmitted chains came back; false: not in time. */
bool kvt_nic_drain(struct kvt_nic *nic, unsigned int ms);
/* One frame; returns its length without header, or -ETIMEDOUT. */
ssize_t kvt_nic_recv(struct kvt_nic *nic, struct virtio_net_hdr *hdr,
		     void *frame, size_t max, unsigned int ms);

/* Take all frames that were on their way from @wire, and those at @wire. */
void kvt_nic_empty(struct kvt_nic *nic, int wire);

/* An Ethernet frame of KVT_ETHERTYPE whose payload follows from @seq. */
void kvt_frame(void *frame, uint32_t len, uint32_t seq);
/* Bytes of headers kvt_tcp_frame() makes. */
#define KVT_TCP_HDRS (14 + 20 + 20)
/*
 * A TCP/IPv4 segment whose payload follows from @seq; the checksum field
 * holds the pseudo header's sum, as the offload header of kvt_tso_hdr() says.
 */
void kvt_tcp_frame(void *frame, uint32_t len, uint32_t seq);
/* @mss 0: a checksum to be done and nothing to be cut. */
struct virtio_net_hdr kvt_tso_hdr(uint16_t mss);
/* True when @frame is kvt_frame(len, seq), byte for byte. */
bool kvt_frame_ok(const void *frame, uint32_t len, uint32_t seq);
/* One such frame out to @wire, and one in from there. */
void kvt_nic_exchange(struct kvt_nic *nic, int wire, uint32_t len,
		      uint32_t seq);

#endif /* KVT_NET_H */
