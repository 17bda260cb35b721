/* SPDX-License-Identifier: GPL-2.0-only */
/* H3: the receive side's own state, shared by net_rx.c and net_rx_skb.c. */
#ifndef KVS_NET_RX_H
#define KVS_NET_RX_H

#include <linux/skbuff.h>

#include "net.h"

/*
 * Set in an element of kvs_net_rx.frames: an skb that is ours to copy, already
 * in the tap's statistics. Bit 0 is the tap's own (TUN_XDP_FLAG).
 */
#define KVS_RX_PLAIN	2UL

/**
 * struct kvs_net_rx - receive side
 * @ring: the tap's queue of frames; NULL for other sockets
 * @counted: @ring is a tap's, whose reader keeps its transmit statistics
 * @frames: taken from @ring
 * @done, @first, @last: of @frames, those from @first to @last are not yet
 *	received; those from @done to @first are to be freed, NULL or an skb
 * @hold: of the socket's bell; used with @ring only
 * @target: frames that make the bell ring at once; 0: it is not held
 * @held: frames that waited; a hint, also written in the bell
 * @requests, @bytes: received, not yet counted in the queue
 * @iov: buffers collected for the next frame: the chain's own, or @iovs
 * @nr_iov: its elements in use
 * @in_len: bytes they hold
 * @heads, @lens: the chains they came from
 * @nr_heads: of them
 * @seg: their writable segments for the dirty log: the chain's own, or @segs
 * @nr_segs: of them
 * @nr_slots: descriptors of the ring in those chains, when there are several
 */
struct kvs_net_rx {
	struct ptr_ring *ring;
	bool counted;
	void *frames[KVS_NET_BATCH];
	u32 done;
	u32 first;
	u32 last;
	struct kvs_hold hold;
	u32 target;
	u32 held;
	u32 requests;
	u64 bytes;
	struct iovec *iov;
	struct kvs_seg *seg;
	u32 nr_iov;
	u32 nr_heads;
	u32 nr_segs;
	u32 nr_slots;
	u64 in_len;
	u16 heads[KVS_NET_MAX_HEADS];
	u32 lens[KVS_NET_MAX_HEADS];
	struct iovec iovs[KVS_CHAIN_MAX];
	struct kvs_seg segs[KVS_CHAIN_MAX];
};

static inline bool kvs_rx_is_plain(const void *frame)
{
	return (unsigned long)frame & KVS_RX_PLAIN;
}

static inline void *kvs_rx_frame(const void *frame)
{
	return (void *)((unsigned long)frame & ~KVS_RX_PLAIN);
}

/* net_rx_skb.c */
bool kvs_rx_refill(struct kvs_netq *q);
void kvs_rx_unfill(struct kvs_net_rx *rx);
void kvs_rx_free_done(struct kvs_net_rx *rx);
bool kvs_rx_copy(struct kvs_netq *q, const struct sk_buff *skb);

#endif /* KVS_NET_RX_H */
