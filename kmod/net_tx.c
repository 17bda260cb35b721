// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: frames from the guest.
 *
 * The virtio-net header is copied once, checked, and the copy is what the
 * lower device sees. A tap or macvtap takes frames in batches (net_batch.c) if
 * they fit a page, or are to be segmented. Everything else goes by sendmsg()
 * for each frame: a short one is copied behind its header; a long one is pinned
 * and handed over as pages, which the lower device copies into its buffers
 * before sendmsg() returns, so the chain is done then in every case. Frames
 * stay in order: the batch goes first.
 *
 * Errors of the lower device: out of memory or buffers means try again later
 * (the frame stays in the ring; the waits grow), anything else drops the frame
 * and counts it.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "net.h"
#include "pin.h"
#include "trace.h"

static unsigned int tx_hold_us = 100;
module_param(tx_hold_us, uint, 0644);
MODULE_PARM_DESC(tx_hold_us,
		 "longest time a frame sent at a high rate waits for more, in microseconds (0: none does)");

static void tx_retry(struct timer_list *timer)
{
	struct kvs_net_tx *tx = container_of(timer, struct kvs_net_tx, retry);

	kvs_vq_kick(tx->vq);
}

int kvs_net_tx_init(struct kvs_netq *q)
{
	q->tx = kvzalloc(sizeof(*q->tx), KVS_GFP);
	if (!q->tx)
		return -ENOMEM;
	q->tx->hdr = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!q->tx->hdr) {
		kvfree(q->tx);
		q->tx = NULL;
		return -ENOMEM;
	}
	q->tx->vq = q->vq;
	kvs_hold_init(&q->tx->hold, q->vq);
	kvs_frags_init(&q->tx->frags, KVS_NET_FRAG_ORDER, false);
	kvs_frags_init(&q->tx->large, KVS_NET_LARGE_ORDER, true);
	q->tx->array = kvs_net_sock_ring(q->sock);
	timer_setup(&q->tx->retry, tx_retry, 0);
	return 0;
}

/* The queue is quiesced, or was never started. */
void kvs_net_tx_deinit(struct kvs_netq *q)
{
	timer_delete_sync(&q->tx->retry);
	kvs_hold_deinit(&q->tx->hold);	/* and the last kick of either timer */
	kvs_frags_deinit(&q->tx->frags);
	kvs_frags_deinit(&q->tx->large);
	__free_page(q->tx->hdr);
	kvfree(q->tx);
	q->tx = NULL;
}

/*
 * The offloads a lower device can be asked for: a segmentation its header
 * conversion knows. What the driver negotiated is the VMM's business and not
 * known here.
 */
#define TX_OFFLOADS (BIT_ULL(VIRTIO_NET_F_HOST_TSO4) |	\
		     BIT_ULL(VIRTIO_NET_F_HOST_TSO6) |	\
		     BIT_ULL(VIRTIO_NET_F_HOST_UFO) | KVS_LOWER_USO)

/**
 * kvs_net_tx_hdr_ok() - may a frame with this header go to the lower device
 * @q: a transmit queue
 * @hdr: a private copy; its hint of the headers' length is corrected
 * @len: bytes of the frame
 */
bool kvs_net_tx_hdr_ok(struct kvs_netq *q, struct virtio_net_hdr *hdr, u32 len)
{
	/* Nothing is asked for: only the length counts. */
	if (likely(!hdr->flags && !hdr->gso_type))
		return len >= KVS_NET_MIN_FRAME && len <= KVS_NET_MAX_FRAME;
	if (!kvs_net_hdr_check(hdr, len, TX_OFFLOADS))
		return false;
	/* Without a header towards the socket there are no offloads. */
	return q->sock_hlen || (!hdr->gso_type &&
				!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM));
}

/* The frame's pieces behind the header, and its header, as the socket wants. */
struct tx_frame {
	struct iovec *iov;
	u32 nr_iov;
	u32 len;
	struct virtio_net_hdr_mrg_rxbuf hdr;
};

/* Take and check the header. Returns false for a frame to be dropped. */
static bool tx_header(struct kvs_netq *q, struct tx_frame *f)
{
	struct kvs_chain *c = q->vq->chain;

	f->iov = c->iov;
	f->nr_iov = c->nr_iov_out;
	memset(&f->hdr, 0, sizeof(f->hdr));
	if (kvs_iov_take(&f->iov, &f->nr_iov, &f->hdr, q->hdr_len))
		return false;
	f->len = c->out_len - q->hdr_len;
	return kvs_net_tx_hdr_ok(q, &f->hdr.hdr, f->len);
}

/* Copy a frame behind its header to @buf and send that. */
static int tx_copy(struct kvs_netq *q, struct tx_frame *f, struct msghdr *msg,
		   void *buf)
{
	struct kvec kvec = {
		.iov_base = buf,
		.iov_len = q->sock_hlen + f->len,
	};

	memcpy(buf, &f->hdr, q->sock_hlen);
	if (kvs_iov_take(&f->iov, &f->nr_iov, buf + q->sock_hlen, f->len))
		return -EFAULT;
	iov_iter_kvec(&msg->msg_iter, ITER_SOURCE, &kvec, 1, kvec.iov_len);
	return q->sock->ops->sendmsg(q->sock, msg, kvec.iov_len);
}

/* A long frame in more pieces than drivers make: copied, too. */
static int tx_gathered(struct kvs_netq *q, struct tx_frame *f,
		       struct msghdr *msg)
{
	void *buf = kvmalloc(q->sock_hlen + f->len, KVS_GFP);
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = tx_copy(q, f, msg, buf);
	kvfree(buf);
	return ret;
}

/* Send a long frame out of the guest's pages. */
static int tx_pinned(struct kvs_netq *q, struct tx_frame *f, struct msghdr *msg)
{
	struct kvs_net_tx *tx = q->tx;
	u32 total = q->sock_hlen + f->len, first = q->sock_hlen ? 0 : 1;
	int nr, ret;

	nr = kvs_pin_iov(f->iov, f->nr_iov, false, tx->bvec + 1,
			 KVS_NET_MAX_BVECS);
	if (nr == -E2BIG)
		return tx_gathered(q, f, msg);
	if (nr < 0)
		return nr;
	memcpy(page_address(tx->hdr), &f->hdr, q->sock_hlen);
	tx->bvec[0].bv_page = tx->hdr;
	tx->bvec[0].bv_offset = 0;
	tx->bvec[0].bv_len = q->sock_hlen;
	iov_iter_bvec(&msg->msg_iter, ITER_SOURCE, tx->bvec + first,
		      nr + 1 - first, total);
	ret = q->sock->ops->sendmsg(q->sock, msg, total);
	kvs_unpin(tx->bvec + 1, nr, false);
	return ret;
}

/* Send one frame by itself, behind those of the batch. */
static enum kvs_tx tx_slow(struct kvs_netq *q)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	struct kvs_vq *vq = q->vq;
	u16 head = vq->chain->head;
	struct tx_frame f;
	int ret;

	if (!tx_header(q, &f))
		return KVS_TX_DROP;
	if (q->sock_hlen + f.len <= KVS_NET_COPY)
		ret = tx_copy(q, &f, &msg, q->tx->copy);
	else
		ret = tx_pinned(q, &f, &msg);
	trace_kvasir_req_complete(vq, head, ret);

	if (unlikely(kvs_net_again(ret))) {
		kvs_ring_unpop(&vq->ring, head);
		return KVS_TX_AGAIN;
	}
	if (ret < 0) {
		kvs_count(vq, KVASIR_C_DROP_LOWER, 1);
	} else {
		q->tx->backoff = 0;
		kvs_count(vq, KVASIR_C_REQUESTS, 1);
		kvs_count(vq, KVASIR_C_BYTES_IN, f.len);
	}
	return kvs_vq_put(vq, head, 0) ? KVS_TX_BROKEN : KVS_TX_DONE;
}

/* Put the chain in vq->chain, which has no frame to send. */
static enum kvs_tx tx_put(struct kvs_netq *q)
{
	enum kvs_tx ret = kvs_net_batch_flush(q, true);

	if (ret == KVS_TX_AGAIN)
		return ret;
	return kvs_vq_put(q->vq, q->vq->chain->head, 0) ? KVS_TX_BROKEN : ret;
}

/* Send the frame in vq->chain, or take it into the batch. */
static enum kvs_tx tx_chain(struct kvs_netq *q)
{
	struct kvs_chain *c = q->vq->chain;
	enum kvs_tx ret = KVS_TX_DROP;

	trace_kvasir_req_issue(q->vq, c->head, 0, 0, c->out_len);
	if (likely(!c->nr_in && c->out_len >= q->hdr_len))
		ret = kvs_net_batch_add(q);
	if (ret == KVS_TX_SLOW) {
		ret = kvs_net_batch_flush(q, true);
		if (ret == KVS_TX_DONE)
			ret = tx_slow(q);
	}
	if (unlikely(ret == KVS_TX_DROP)) {
		trace_kvasir_req_complete(q->vq, c->head, -EINVAL);
		kvs_count(q->vq, KVASIR_C_DROP_HEADER, 1);
		ret = tx_put(q);
	}
	return ret;
}

/* Nothing can be sent now: be served again when there is room, or in a while. */
static void tx_wait(struct kvs_netq *q)
{
	struct kvs_net_tx *tx = q->tx;

	tx->backoff = clamp_t(u32, tx->backoff * 2, 1, KVS_NET_MAX_BACKOFF);
	WRITE_ONCE(q->bell.muted, false);
	mod_timer(&tx->retry, jiffies + tx->backoff);
}

/*
 * Is the queue to be held? Not after half the ring in one service: a driver
 * that ran out of entries waits for those it gets back, and goes on then.
 */
static bool tx_hold(struct kvs_netq *q, u32 chains)
{
	u32 us = chains > q->vq->ring.num / 2 ? 0 : READ_ONCE(tx_hold_us);

	if (!kvs_hold_plan(&q->tx->hold, us))
		return false;
	kvs_hold_start(&q->tx->hold, us);
	return true;
}

/*
 * The ring is empty after so many chains: finish, and look once more, unless
 * the timer does that. KVS_TX_DONE: there is more.
 */
static enum kvs_tx tx_empty(struct kvs_netq *q, u32 chains)
{
	enum kvs_tx ret = kvs_net_batch_flush(q, false);

	if (ret != KVS_TX_DONE)
		return ret;
	kvs_vq_publish(q->vq);
	if (tx_hold(q, chains))
		return KVS_TX_EMPTY;
	return kvs_vq_arm(q->vq) ? KVS_TX_DONE : KVS_TX_EMPTY;
}

/* Serve chains until something stands against it; KVS_TX_DONE: the budget. */
static enum kvs_tx tx_serve(struct kvs_netq *q)
{
	u32 chains, bytes = 0, published = 0;
	enum kvs_tx ret;

	for (chains = 1; chains <= KVS_NET_BUDGET_CHAINS; chains++) {
		switch (kvs_vq_pop(q->vq)) {
		case KVS_POP_EMPTY:
			ret = tx_empty(q, chains);
			break;
		case KVS_POP_CHAIN:
			bytes += q->vq->chain->out_len;
			ret = tx_chain(q);
			break;
		default:
			ret = tx_put(q);
		}
		if (ret > KVS_TX_HELD)
			return ret;
		if (bytes >= KVS_NET_BUDGET_BYTES)
			break;
		if (ret == KVS_TX_DONE && chains - published >= KVS_NET_BATCH) {
			kvs_vq_publish(q->vq);
			published = chains;
		}
	}
	return kvs_net_batch_flush(q, false);
}

/*
 * Serve until the ring is empty, the budget is spent, or the lower device
 * cannot take more. The batch is empty before and after.
 */
void kvs_net_tx_run(struct kvs_netq *q)
{
	struct kvs_vq *vq = q->vq;
	enum kvs_tx ret;

	WRITE_ONCE(q->bell.muted, true);
	kvs_hold_end(&q->tx->hold);
	kvs_net_batch_begin(q);
	ret = tx_serve(q);
	if (ret == KVS_TX_EMPTY)
		return;
	kvs_vq_publish(vq);
	if (ret == KVS_TX_AGAIN) {
		tx_wait(q);
	} else if (ret == KVS_TX_DONE) {
		kvs_count(vq, KVASIR_C_BUDGET, 1);
		kvs_vq_kick(vq);
	}
}
