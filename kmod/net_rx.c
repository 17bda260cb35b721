// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: frames to the guest.
 *
 * The length of the next frame is known before any buffer is taken, so
 * buffers are collected until they suffice (mergeable) or the frame is
 * dropped whole. Nothing is read back from a buffer.
 *
 * The queue waits for one of two things: without a frame, for the socket;
 * without buffers, for a kick. Only then are kicks asked for.
 */
#include <linux/slab.h>
#include <linux/skb_array.h>
#include <linux/if_vlan.h>
#include <net/sock.h>

#include "net.h"
#include "trace.h"

int kvs_net_rx_init(struct kvs_netq *q)
{
	q->rx = kvzalloc(sizeof(*q->rx), GFP_KERNEL_ACCOUNT);
	if (!q->rx)
		return -ENOMEM;
	q->rx->ring = kvs_net_sock_ring(q->sock);
	return 0;
}

/* The queue is quiesced. Frames taken early go back to the tap's ring. */
void kvs_net_rx_deinit(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;

	if (rx->ring && rx->first != rx->last)
		ptr_ring_unconsume(rx->ring, rx->frames + rx->first,
				   rx->last - rx->first, kvs_net_frame_free);
	kvfree(rx);
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
	if (rx->first == rx->last) {
		rx->first = 0;
		rx->last = ptr_ring_consume_batched(rx->ring, rx->frames,
						    KVS_NET_BATCH);
		if (!rx->last)
			return false;
	}
	*len = kvs_net_frame_len(rx->frames[rx->first]);
	return true;
}

/* Throw the next frame away. */
static void rx_drop(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;
	struct msghdr msg = {};

	if (rx->ring) {
		kvs_net_frame_free(rx->frames[rx->first++]);
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
	    rx->nr_iov + c->nr_iov_in > ARRAY_SIZE(rx->iov) ||
	    rx->nr_segs + c->nr_in > ARRAY_SIZE(rx->segs))
		return false;
	memcpy(rx->iov + rx->nr_iov, c->iov + c->nr_iov_out,
	       c->nr_iov_in * sizeof(*rx->iov));
	memcpy(rx->segs + rx->nr_segs, c->seg + c->nr_out,
	       c->nr_in * sizeof(*rx->segs));
	rx->nr_iov += c->nr_iov_in;
	rx->nr_segs += c->nr_in;
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

/* Take buffers for @need bytes. */
static enum rx_collected rx_collect(struct kvs_netq *q, u32 need)
{
	bool merge = kvs_vq_has(q->vq, VIRTIO_NET_F_MRG_RXBUF);
	struct kvs_net_rx *rx = q->rx;
	struct kvs_chain *c = q->vq->chain;
	int ret;

	rx->nr_heads = 0;
	rx->nr_iov = 0;
	rx->nr_segs = 0;
	rx->in_len = 0;
	do {
		ret = kvs_vq_pop(q->vq);
		if (ret == KVS_POP_EMPTY) {
			/* More will not come while we hold the whole ring. */
			bool all = rx->nr_heads == q->vq->ring.num;

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
	} while (merge && rx->in_len < need);

	if (rx->in_len >= need)
		return RX_READY;
	rx_unpop(q);
	return RX_TOO_SMALL;
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

/* Receive one frame of @len bytes, header included, into the buffers. */
static bool rx_frame(struct kvs_netq *q, u32 len)
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
		msg.msg_control = rx->frames[rx->first++];
	ret = q->sock->ops->recvmsg(q->sock, &msg, len - own,
				    MSG_DONTWAIT | MSG_TRUNC);
	trace_kvasir_req_complete(q->vq, rx->heads[0], ret);
	return ret == (int)(len - own) && rx_header(q, &hdr);
}

/* Give the filled buffers back, all of them. False: the queue broke. */
static bool rx_put(struct kvs_netq *q, u32 len)
{
	struct kvs_net_rx *rx = q->rx;
	u32 i, left = len;
	int ret = 0;

	if (kvs_logging(q->vq))
		kvs_log_segs(q->vq, rx->segs, rx->nr_segs, len);
	for (i = 0; i < rx->nr_heads; i++) {
		u32 part = min(left, rx->lens[i]);

		ret = kvs_vq_put(q->vq, rx->heads[i], part);
		left -= part;
	}
	if (ret)
		return false;
	kvs_count(q->vq, KVASIR_C_REQUESTS, 1);
	kvs_count(q->vq, KVASIR_C_BYTES_OUT, len - q->hdr_len);
	return true;
}

/* Without buffers: sleep until the driver kicks. Returns whether to go on. */
static bool rx_starved(struct kvs_vq *vq)
{
	kvs_vq_publish(vq);
	if (kvs_vq_arm(vq))
		return true;
	kvs_count(vq, KVASIR_C_NO_BUFFERS, 1);
	return false;
}

/* Serve until no frame or no buffer is left, or the budget is spent. */
void kvs_net_rx_run(struct kvs_netq *q)
{
	struct kvs_vq *vq = q->vq;
	u32 turns, chains, len, bytes = 0, unpublished = 0;
	enum rx_collected got;

	for (turns = 0; turns < KVS_NET_BUDGET_CHAINS; turns += chains) {
		if (bytes >= KVS_NET_BUDGET_BYTES)
			break;
		if (!rx_peek(q, &len)) {
			kvs_vq_publish(vq);
			return;
		}
		len += q->hdr_len;
		got = rx_collect(q, len);
		chains = max(q->rx->nr_heads, 1U);
		switch (got) {
		case RX_EMPTY:
			if (!rx_starved(vq))
				return;
			break;
		case RX_TOO_SMALL:
			kvs_count(vq, KVASIR_C_DROP_NOBUF, 1);
			rx_drop(q);
			break;
		case RX_RETRY:
			break;
		case RX_READY:
			bytes += len;
			if (!rx_frame(q, len)) {
				kvs_count(vq, KVASIR_C_DROP_LOWER, 1);
				rx_unpop(q);
			} else if (!rx_put(q, len)) {
				return;
			}
			break;
		}
		unpublished += chains;
		if (unpublished >= KVS_NET_BATCH) {
			kvs_vq_publish(vq);
			unpublished = 0;
		}
	}
	kvs_vq_publish(vq);
	kvs_count(vq, KVASIR_C_BUDGET, 1);
	kvs_vq_kick(vq);
}
