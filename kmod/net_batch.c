// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: frames to a tap or macvtap in batches.
 *
 * tun and tap take an array of frames by one sendmsg() call (TUN_MSG_PTR): each
 * an xdp_buff over memory that becomes the data area of an skb, or that an XDP
 * program drops before there is one. A frame is copied once, header and all,
 * into a slice (net_frag.h); the header is checked there, so the driver cannot
 * change it any more. Layout of a slice:
 *
 *	0		struct tun_xdp_hdr: size of the slice, virtio-net header
 *	pad - hdr_len	header as it came; nobody reads it after the check
 *	pad		the frame
 *	size - shinfo	struct skb_shared_info, made by the lower device
 *
 * What the call means: below zero, the array was not touched and is still ours
 * (the queue of the tap is detached, or the tap is gone). Otherwise every frame
 * has been taken, and each page reference with it. A single frame that an XDP
 * program, the stack, or a lack of memory for its skb drops then is counted by
 * the interface (rx_dropped, rx_frame_errors; ip -s link), and nobody tells us:
 * our requests and bytes are what the lower device took, not what the wire saw.
 */
#include <linux/if_tun.h>
#include <linux/poll.h>
#include <linux/skbuff.h>
#include <net/sock.h>

#include "net.h"
#include "trace.h"

#define SHINFO	SKB_DATA_ALIGN(sizeof(struct skb_shared_info))

/* Copy the readable part of the chain. */
static bool copy_chain(const struct kvs_chain *c, void *dst)
{
	u32 i;

	for (i = 0; i < c->nr_iov_out; i++) {
		if (kvs_load(dst, c->iov[i].iov_base, c->iov[i].iov_len))
			return false;
		dst += c->iov[i].iov_len;
	}
	return true;
}

/**
 * kvs_net_batch_begin() - a service of the queue begins
 * @q: a transmit queue
 *
 * The array goes past the send buffer's limit and past the check that the
 * interface is up. So it is used only where there is no limit, as is a tap's
 * default, and while the socket says it can be written; otherwise sendmsg()
 * takes the frames one by one and tells what is wrong.
 */
void kvs_net_batch_begin(struct kvs_netq *q)
{
	struct kvs_net_tx *tx = q->tx;
	struct sock *sk = q->sock->sk;

	tx->batching = tx->array && READ_ONCE(sk->sk_sndbuf) == INT_MAX &&
		       vfs_poll(q->sock->file, NULL) & EPOLLOUT;
	tx->pad = NET_SKB_PAD + NET_IP_ALIGN;
	if (sock_flag(sk, SOCK_XDP))
		tx->pad += XDP_PACKET_HEADROOM;
	tx->pad = SKB_DATA_ALIGN(tx->pad);
}

/*
 * Does the driver want this frame segmented? A look ahead that decides about
 * the memory to be copied to and nothing else.
 */
static bool wants_gso(const struct kvs_chain *c)
{
	struct virtio_net_hdr __user *hdr = c->iov[0].iov_base;
	u8 type;

	return c->iov[0].iov_len >= sizeof(*hdr) &&
	       !__get_user(type, &hdr->gso_type) && type;
}

/*
 * Where a frame is copied to. XDP programs expect a frame within a page; those
 * to be segmented are none of theirs before there is an skb. So a frame of
 * several pages goes by the array if it is such a one.
 */
static struct kvs_frags *batch_frags(struct kvs_netq *q, u32 size)
{
	if (likely(size <= PAGE_SIZE))
		return &q->tx->frags;
	return wants_gso(q->vq->chain) ? &q->tx->large : NULL;
}

/* A frame is in @slice, checked, to be handed over with the others. */
static void batch_append(struct kvs_netq *q, struct tun_xdp_hdr *slice,
			 u32 size, u32 len)
{
	struct kvs_net_tx *tx = q->tx;
	struct xdp_buff *xdp = &tx->xdp[tx->nr];

	slice->buflen = size;
	xdp_init_buff(xdp, size, NULL);
	xdp_prepare_buff(xdp, (void *)slice, tx->pad, len, true);
	tx->heads[tx->nr++] = q->vq->chain->head;
	tx->bytes += len;
}

/**
 * kvs_net_batch_add() - take the frame in vq->chain into the batch
 * @q: a transmit queue; the chain has no writable part and holds a header
 *
 * Return: KVS_TX_HELD; KVS_TX_SLOW when it is too large or there is no memory
 * for it; KVS_TX_DROP for a frame that breaks the rules or cannot be read; what
 * kvs_net_batch_flush() says when the batch was full.
 */
enum kvs_tx kvs_net_batch_add(struct kvs_netq *q)
{
	struct kvs_net_tx *tx = q->tx;
	u32 size, len = q->vq->chain->out_len - q->hdr_len;
	struct tun_xdp_hdr *slice;
	struct virtio_net_hdr *hdr;
	struct kvs_frags *frags;

	if (!tx->batching || len > KVS_NET_MAX_FRAME)
		return KVS_TX_SLOW;
	size = SKB_DATA_ALIGN(tx->pad + len) + SHINFO;
	frags = batch_frags(q, size);
	slice = frags ? kvs_frag_get(frags, size) : NULL;
	if (unlikely(!slice))
		return KVS_TX_SLOW;

	hdr = (void *)slice + tx->pad - q->hdr_len;
	if (!copy_chain(q->vq->chain, hdr) || !kvs_net_tx_hdr_ok(q, hdr, len)) {
		kvs_frag_undo(frags, size);
		return KVS_TX_DROP;
	}
	if (unlikely(size > PAGE_SIZE && !hdr->gso_type)) {
		kvs_frag_undo(frags, size);
		return KVS_TX_SLOW;
	}
	slice->gso = *hdr;
	batch_append(q, slice, size, len);
	if (tx->nr < KVS_NET_BATCH && tx->bytes < KVS_NET_BATCH_BYTES)
		return KVS_TX_HELD;
	return kvs_net_batch_flush(q, false);
}

/* The lower device refused the array: take back slices, and maybe chains. */
static void batch_refused(struct kvs_netq *q, int err, bool newer)
{
	struct kvs_net_tx *tx = q->tx;
	u32 i;

	if (newer && kvs_net_again(err))
		kvs_ring_unpop(&q->vq->ring, q->vq->chain->head);
	for (i = tx->nr; i--;) {
		kvs_frag_put(tx->xdp[i].data_hard_start);
		if (kvs_net_again(err))
			kvs_ring_unpop(&q->vq->ring, tx->heads[i]);
	}
}

static void batch_trace(struct kvs_netq *q, int ret)
{
	u32 i;

	if (!trace_kvasir_req_complete_enabled())
		return;
	for (i = 0; i < q->tx->nr; i++)
		trace_kvasir_req_complete(q->vq, q->tx->heads[i], ret);
}

/**
 * kvs_net_batch_flush() - hand the batch over, put its chains
 * @q: a transmit queue
 * @newer: vq->chain is a newer one, popped and not in the batch; it goes back
 *	to the ring, too, when the batch does
 *
 * The used entries are not published yet.
 *
 * Return: KVS_TX_DONE, also when the frames were dropped for good and for an
 * empty batch; KVS_TX_AGAIN; KVS_TX_BROKEN.
 */
enum kvs_tx kvs_net_batch_flush(struct kvs_netq *q, bool newer)
{
	struct kvs_net_tx *tx = q->tx;
	struct tun_msg_ctl ctl = {
		.type = TUN_MSG_PTR,
		.num = tx->nr,
		.ptr = tx->xdp,
	};
	struct msghdr msg = {
		.msg_flags = MSG_DONTWAIT,
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
	};
	u32 i, nr = tx->nr, bytes = tx->bytes;
	int ret;

	if (!nr)
		return KVS_TX_DONE;
	ret = q->sock->ops->sendmsg(q->sock, &msg, 0);
	batch_trace(q, ret);
	if (unlikely(ret < 0))
		batch_refused(q, ret, newer);
	tx->nr = 0;
	tx->bytes = 0;
	if (unlikely(kvs_net_again(ret)))
		return KVS_TX_AGAIN;

	if (unlikely(ret < 0)) {
		kvs_count(q->vq, KVASIR_C_DROP_LOWER, nr);
	} else {
		tx->backoff = 0;
		kvs_count(q->vq, KVASIR_C_REQUESTS, nr);
		kvs_count(q->vq, KVASIR_C_BYTES_IN, bytes);
	}
	for (i = 0; i < nr; i++) {
		if (kvs_vq_put(q->vq, tx->heads[i], 0))
			return KVS_TX_BROKEN;
	}
	return KVS_TX_DONE;
}
