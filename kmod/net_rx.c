// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: frames to the guest. Documentation/net-rx.rst tells the story.
 *
 * The length of the next frame is known before any buffer is taken, so
 * buffers are collected until they suffice (mergeable) or the frame is
 * dropped whole. Nothing is read back from a buffer.
 *
 * Frames of a tap or macvtap are taken out of its ring in batches and, if they
 * are plain (net_rx_skb.c), copied and freed here; everything else goes
 * through the socket's recvmsg(). Used entries, counters and the frames' memory
 * are settled once per batch.
 *
 * The queue waits for one of two things: without a frame, for the socket;
 * without buffers, for a kick. Only then are rings of the bell, or kicks,
 * asked for.
 */
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/skb_array.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "net.h"
#include "net_rx.h"
#include "trace.h"

static unsigned int rx_hold_us = 100;
module_param(rx_hold_us, uint, 0644);
MODULE_PARM_DESC(rx_hold_us,
		 "longest time a frame received at a high rate waits for more, in microseconds (0: none does)");

/* A frame came: is it to wait? Under the lock of the socket's wait queue. */
static bool rx_hold(struct kvs_bell *bell)
{
	struct kvs_net_rx *rx = container_of(bell, struct kvs_netq, bell)->rx;

	if (!READ_ONCE(rx->target) || ++rx->held >= rx->target)
		return false;
	kvs_hold_start(&rx->hold, READ_ONCE(rx_hold_us));
	return true;
}

/* Whether to hold the bell when it is unmuted next. */
static void rx_plan(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;
	u32 target = 0;

	/* Not more than a small ring, or a small queue of the tap's, holds. */
	if (kvs_hold_plan(&rx->hold, READ_ONCE(rx_hold_us)))
		target = min3((u32)KVS_NET_BATCH, (u32)q->vq->ring.num / 2,
			      (u32)READ_ONCE(rx->ring->size) / 4);
	rx->held = 0;
	WRITE_ONCE(rx->target, target);
}

int kvs_net_rx_init(struct kvs_netq *q)
{
	q->rx = kvzalloc(sizeof(*q->rx), KVS_GFP);
	if (!q->rx)
		return -ENOMEM;
	q->rx->ring = kvs_net_sock_ring(q->sock);
	q->rx->counted = kvs_net_sock_is_tap(q->sock);
	kvs_hold_init(&q->rx->hold, q->vq);
	if (q->rx->ring)
		q->bell.hold = rx_hold;
	return 0;
}

/* The queue is quiesced. Frames taken early go back to the tap's ring. */
void kvs_net_rx_deinit(struct kvs_netq *q)
{
	q->bell.hold = NULL;
	kvs_hold_deinit(&q->rx->hold);
	if (q->rx->ring) {
		kvs_rx_free_done(q->rx);
		kvs_rx_unfill(q->rx);
	}
	kvfree(q->rx);
	q->rx = NULL;
}

static bool rx_peek_queue(struct sock *sk, u32 *len)
{
	struct sk_buff *head;
	unsigned long flags;

	spin_lock_irqsave(&sk->sk_receive_queue.lock, flags);
	head = skb_peek(&sk->sk_receive_queue);
	if (likely(head)) {
		*len = head->len;
		if (skb_vlan_tag_present(head))
			*len += VLAN_HLEN;
	}
	spin_unlock_irqrestore(&sk->sk_receive_queue.lock, flags);
	return head;
}

/* Is there a frame, and of how many bytes? It stays where it is. */
static bool rx_peek(struct kvs_netq *q, u32 *len)
{
	struct kvs_net_rx *rx = q->rx;

	if (!rx->ring)
		return rx_peek_queue(q->sock->sk, len);
	if (rx->first == rx->last && !kvs_rx_refill(q))
		return false;
	*len = kvs_net_frame_len(kvs_rx_frame(rx->frames[rx->first]));
	return true;
}

/* The next frame of the tap's is somebody else's to free now. */
static void *rx_take(struct kvs_net_rx *rx)
{
	void *frame = kvs_rx_frame(rx->frames[rx->first]);

	rx->frames[rx->first++] = NULL;
	return frame;
}

/* Throw the next frame away. */
static void rx_drop(struct kvs_netq *q)
{
	struct msghdr msg = {};

	if (q->rx->ring) {
		kvs_net_frame_free(rx_take(q->rx));
		return;
	}
	iov_iter_kvec(&msg.msg_iter, ITER_DEST, NULL, 0, 0);
	q->sock->ops->recvmsg(q->sock, &msg, 0, MSG_DONTWAIT | MSG_TRUNC);
}

enum rx_collected { RX_READY, RX_EMPTY, RX_TOO_SMALL, RX_RETRY };

/* Add the buffer in vq->chain. Returns false when it does not fit in. */
static bool rx_add(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;
	struct kvs_chain *c = q->vq->chain;

	if (rx->nr_heads == KVS_NET_MAX_HEADS ||
	    rx->nr_iov + c->nr_iov_in > ARRAY_SIZE(rx->iovs) ||
	    rx->nr_segs + c->nr_in > ARRAY_SIZE(rx->segs))
		return false;
	memcpy(rx->iovs + rx->nr_iov, c->iov + c->nr_iov_out,
	       c->nr_iov_in * sizeof(*rx->iovs));
	memcpy(rx->segs + rx->nr_segs, c->seg + c->nr_out,
	       c->nr_in * sizeof(*rx->segs));
	rx->nr_iov += c->nr_iov_in;
	rx->nr_segs += c->nr_in;
	rx->nr_slots += c->slots;
	rx->heads[rx->nr_heads] = c->head;
	rx->lens[rx->nr_heads] = c->in_len;
	rx->nr_heads++;
	rx->in_len += c->in_len;
	return true;
}

static void rx_unpop(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;

	while (rx->nr_heads)
		kvs_ring_unpop(&q->vq->ring, rx->heads[--rx->nr_heads]);
}

/*
 * A useless buffer turned up behind good ones. Chains go back in order, so
 * all of them return to the driver empty; the frame waits for the next ones.
 */
static enum rx_collected rx_return_empty(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;
	u32 i;

	for (i = 0; i < rx->nr_heads; i++)
		kvs_vq_put(q->vq, rx->heads[i], 0);
	return kvs_vq_put(q->vq, q->vq->chain->head, 0) ? RX_EMPTY : RX_RETRY;
}

/*
 * Gather buffers for @need bytes, the one in vq->chain first; @ret is what
 * kvs_vq_pop() said about it.
 */
static enum rx_collected rx_gather(struct kvs_netq *q, u32 need, int ret)
{
	bool merge = kvs_vq_has(q->vq, VIRTIO_NET_F_MRG_RXBUF);
	struct kvs_net_rx *rx = q->rx;
	struct kvs_chain *c = q->vq->chain;

	rx->nr_iov = 0;
	rx->nr_segs = 0;
	rx->nr_slots = 0;
	rx->in_len = 0;
	rx->iov = rx->iovs;
	rx->seg = rx->segs;
	for (;; ret = kvs_vq_pop(q->vq)) {
		if (ret == KVS_POP_EMPTY) {
			/* No other like these fits into the ring beside them. */
			bool all = rx->nr_heads &&
				   rx->nr_slots + c->slots > q->vq->ring.num;

			rx_unpop(q);
			return all ? RX_TOO_SMALL : RX_EMPTY;
		}
		if (ret == KVS_POP_CHAIN && (c->nr_out || !c->in_len)) {
			kvs_count(q->vq, KVASIR_C_BAD_CHAIN, 1);
			ret = KVS_POP_REFUSED;
		}
		if (ret == KVS_POP_REFUSED)
			return rx_return_empty(q);
		if (!rx_add(q)) {
			kvs_ring_unpop(&q->vq->ring, c->head);
			rx_unpop(q);
			return RX_TOO_SMALL;
		}
		if (rx->in_len >= need)
			return RX_READY;
		if (!merge) {
			rx_unpop(q);
			return RX_TOO_SMALL;
		}
	}
}

/* Take buffers for @need bytes; mostly the next one will do. */
static enum rx_collected rx_collect(struct kvs_netq *q, u32 need)
{
	struct kvs_net_rx *rx = q->rx;
	struct kvs_chain *c = q->vq->chain;
	int ret;

	rx->nr_heads = 0;
	ret = kvs_vq_pop(q->vq);
	if (unlikely(ret != KVS_POP_CHAIN || c->nr_out || c->in_len < need))
		return rx_gather(q, need, ret);
	rx->nr_heads = 1;
	rx->heads[0] = c->head;
	rx->lens[0] = c->in_len;
	rx->iov = c->iov;
	rx->nr_iov = c->nr_iov_in;
	rx->seg = c->seg;
	rx->nr_segs = c->nr_in;
	return RX_READY;
}

/* Write the header fields that are ours (virtio 1.2, 5.1.6.4). */
static bool rx_header(struct kvs_netq *q, struct iov_iter *iter)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = {};
	u32 skip = offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers);
	__virtio16 nr = kvs_guest16(q->rx->nr_heads);

	if (!q->sock_hlen && copy_to_iter(&hdr, skip, iter) != skip)
		return false;
	if (q->sock_hlen)
		iov_iter_advance(iter, skip);
	return q->hdr_len == skip ||
	       copy_to_iter(&nr, sizeof(nr), iter) == sizeof(nr);
}

/* Receive one frame of @len bytes, header included, by the socket. */
static bool rx_socket(struct kvs_netq *q, u32 len)
{
	struct kvs_net_rx *rx = q->rx;
	u32 own = q->hdr_len - q->sock_hlen;
	struct msghdr msg = {};
	struct iov_iter hdr;
	int ret;

	iov_iter_init(&msg.msg_iter, ITER_DEST, rx->iov, rx->nr_iov, len);
	hdr = msg.msg_iter;
	iov_iter_advance(&msg.msg_iter, own);
	if (rx->ring)
		msg.msg_control = rx_take(rx);
	ret = q->sock->ops->recvmsg(q->sock, &msg, len - own,
				    MSG_DONTWAIT | MSG_TRUNC);
	return ret == (int)(len - own) && rx_header(q, &hdr);
}

/* Receive one frame of @len bytes, header included, into the buffers. */
static bool rx_frame(struct kvs_netq *q, u32 len)
{
	struct kvs_net_rx *rx = q->rx;
	bool ok;

	if (rx->ring && kvs_rx_is_plain(rx->frames[rx->first])) {
		struct sk_buff *skb = kvs_rx_frame(rx->frames[rx->first]);

		ok = kvs_rx_copy(q, skb);
		rx->frames[rx->first++] = skb;
	} else {
		ok = rx_socket(q, len);
	}
	trace_kvasir_req_complete(q->vq, rx->heads[0], ok ? len : -EFAULT);
	return ok;
}

/* Give the filled buffers back, all of them. False: the queue broke. */
static bool rx_put(struct kvs_netq *q, u32 len)
{
	struct kvs_net_rx *rx = q->rx;
	u32 i, left = len;
	int ret = 0;

	if (kvs_logging(q->vq))
		kvs_log_segs(q->vq, rx->seg, rx->nr_segs, len);
	for (i = 0; i < rx->nr_heads; i++) {
		u32 part = min(left, rx->lens[i]);

		ret = kvs_vq_put(q->vq, rx->heads[i], part);
		left -= part;
	}
	if (ret)
		return false;
	rx->requests++;
	rx->bytes += len - q->hdr_len;
	return true;
}

/* The end of a batch: the driver sees it. */
static void rx_settle(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;

	if (rx->requests) {
		kvs_count(q->vq, KVASIR_C_REQUESTS, rx->requests);
		kvs_count(q->vq, KVASIR_C_BYTES_OUT, rx->bytes);
		rx->requests = 0;
		rx->bytes = 0;
	}
	kvs_vq_publish(q->vq);
}

/*
 * Without buffers: sleep until the driver kicks; frames that arrive meanwhile
 * do not matter. Returns whether to go on.
 */
static bool rx_starved(struct kvs_netq *q)
{
	rx_settle(q);
	if (kvs_vq_arm(q->vq))
		return true;
	kvs_count(q->vq, KVASIR_C_NO_BUFFERS, 1);
	return false;
}

/* Without frames: sleep until the bell rings. Returns whether to go on. */
static bool rx_idle(struct kvs_netq *q)
{
	u32 len;

	rx_settle(q);
	if (q->rx->ring)
		rx_plan(q);
	WRITE_ONCE(q->bell.muted, false);
	/*
	 * Store our wish for the bell, then look for a frame | the socket:
	 * store a frame, full barrier, look who waits, load our wish.
	 */
	smp_mb();
	if (likely(!rx_peek(q, &len)))
		return false;
	WRITE_ONCE(q->bell.muted, true);
	return true;
}

/* One frame of @len bytes, header included. Returns the chains it took. */
static int rx_one(struct kvs_netq *q, u32 len)
{
	struct kvs_vq *vq = q->vq;

	switch (rx_collect(q, len)) {
	case RX_EMPTY:
		return rx_starved(q) ? 1 : -EAGAIN;
	case RX_TOO_SMALL:
		kvs_count(vq, KVASIR_C_DROP_NOBUF, 1);
		rx_drop(q);
		break;
	case RX_RETRY:
		break;
	case RX_READY:
		if (unlikely(!rx_frame(q, len))) {
			kvs_count(vq, KVASIR_C_DROP_LOWER, 1);
			rx_unpop(q);
		} else if (unlikely(!rx_put(q, len))) {
			return -EIO;
		}
		break;
	}
	return max(q->rx->nr_heads, 1U);
}

/* Serve until no frame or no buffer is left, or the budget is spent. */
static void rx_serve(struct kvs_netq *q)
{
	u32 turns = 0, len, bytes = 0, unpublished = 0;
	int chains;

	while (turns < KVS_NET_BUDGET_CHAINS && bytes < KVS_NET_BUDGET_BYTES) {
		if (!rx_peek(q, &len)) {
			if (!rx_idle(q))
				return;
			unpublished = 0;
			continue;
		}
		len += q->hdr_len;
		chains = rx_one(q, len);
		if (chains < 0)
			return;
		turns += chains;
		bytes += len;
		unpublished += chains;
		if (unpublished >= KVS_NET_BATCH ||
		    q->rx->bytes >= KVS_NET_SHOW_BYTES) {
			rx_settle(q);
			unpublished = 0;
		}
	}
	rx_settle(q);
	kvs_count(q->vq, KVASIR_C_BUDGET, 1);
	kvs_vq_kick(q->vq);
}

/* Serve the queue: in its worker, under vq->lock. */
void kvs_net_rx_run(struct kvs_netq *q)
{
	/* While the queue is served, or waits for buffers, frames need not ring. */
	WRITE_ONCE(q->bell.muted, true);
	kvs_hold_end(&q->rx->hold);
	rx_serve(q);
	kvs_rx_free_done(q->rx);
}
