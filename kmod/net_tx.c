// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: frames from the guest.
 *
 * The virtio-net header is copied once, checked, and the copy is what the
 * lower device sees. A short frame is copied behind it; a long one is pinned
 * and handed over as pages, which the lower device copies into its buffers
 * before sendmsg() returns, so the chain is done then in every case.
 *
 * Errors of the lower device: out of memory or buffers means try again later
 * (the frame stays in the ring), anything else drops the frame and counts it.
 */
#include <linux/slab.h>
#include <net/sock.h>

#include "net.h"
#include "pin.h"
#include "trace.h"

static void tx_retry(struct timer_list *timer)
{
	struct kvs_net_tx *tx = container_of(timer, struct kvs_net_tx, retry);

	kvs_vq_kick(tx->vq);
}

int kvs_net_tx_init(struct kvs_netq *q)
{
	q->tx = kvzalloc(sizeof(*q->tx), GFP_KERNEL_ACCOUNT);
	if (!q->tx)
		return -ENOMEM;
	q->tx->hdr = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!q->tx->hdr) {
		kvfree(q->tx);
		q->tx = NULL;
		return -ENOMEM;
	}
	q->tx->vq = q->vq;
	timer_setup(&q->tx->retry, tx_retry, 0);
	return 0;
}

/* The queue is quiesced, or was never started. */
void kvs_net_tx_deinit(struct kvs_netq *q)
{
	timer_delete_sync(&q->tx->retry);
	if (q->vq->worker)	/* the timer's last kick */
		kvs_worker_flush(q->vq->worker);
	__free_page(q->tx->hdr);
	kvfree(q->tx);
	q->tx = NULL;
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
	if (c->nr_in || c->out_len < q->hdr_len ||
	    kvs_iov_take(&f->iov, &f->nr_iov, &f->hdr, q->hdr_len))
		return false;
	f->len = c->out_len - q->hdr_len;
	/*
	 * The offloads the driver may use are the VMM's business and not known
	 * here; the lower device refuses those it has not got.
	 */
	if (!kvs_net_hdr_check(&f->hdr.hdr, f->len, U64_MAX))
		return false;
	/* Without a header towards the socket there are no offloads. */
	return q->sock_hlen ||
	       (!f->hdr.hdr.gso_type &&
		!(f->hdr.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM));
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
	void *buf = kvmalloc(q->sock_hlen + f->len, GFP_KERNEL_ACCOUNT);
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

static bool tx_again(int err)
{
	return err == -EAGAIN || err == -ENOMEM || err == -ENOBUFS;
}

/*
 * Send the frame in vq->chain.
 * Return: whether the chain is done; if not, it was given back to the ring.
 */
static bool tx_chain(struct kvs_netq *q)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	struct kvs_vq *vq = q->vq;
	u16 head = vq->chain->head;
	struct tx_frame f;
	int ret;

	if (!tx_header(q, &f)) {
		kvs_count(vq, KVASIR_C_DROP_HEADER, 1);
		return true;
	}
	trace_kvasir_req_issue(vq, head, 0, 0, f.len);
	if (q->sock_hlen + f.len <= KVS_NET_COPY)
		ret = tx_copy(q, &f, &msg, q->tx->copy);
	else
		ret = tx_pinned(q, &f, &msg);
	trace_kvasir_req_complete(vq, head, ret);

	if (unlikely(tx_again(ret))) {
		kvs_ring_unpop(&vq->ring, head);
		return false;
	}
	if (ret < 0) {
		kvs_count(vq, KVASIR_C_DROP_LOWER, 1);
		return true;
	}
	kvs_count(vq, KVASIR_C_REQUESTS, 1);
	kvs_count(vq, KVASIR_C_BYTES_IN, f.len);
	return true;
}

/*
 * Serve until the ring is empty, the budget is spent, or the lower device
 * cannot take more.
 */
void kvs_net_tx_run(struct kvs_netq *q)
{
	struct kvs_vq *vq = q->vq;
	u32 chains, bytes = 0;
	int ret;

	WRITE_ONCE(q->bell.muted, true);
	for (chains = 0; chains < KVS_NET_BUDGET_CHAINS; chains++) {
		if (bytes >= KVS_NET_BUDGET_BYTES)
			break;
		ret = kvs_vq_pop(vq);
		if (ret == KVS_POP_EMPTY) {
			kvs_vq_publish(vq);
			if (!kvs_vq_arm(vq))
				return;
			continue;
		}
		bytes += vq->chain->out_len;
		if (ret == KVS_POP_CHAIN && !tx_chain(q)) {
			WRITE_ONCE(q->bell.muted, false);
			mod_timer(&q->tx->retry, jiffies + 1);
			kvs_vq_publish(vq);
			return;
		}
		if (kvs_vq_put(vq, vq->chain->head, 0))
			return;
		if (chains % KVS_NET_BATCH == KVS_NET_BATCH - 1)
			kvs_vq_publish(vq);
	}
	kvs_vq_publish(vq);
	kvs_count(vq, KVASIR_C_BUDGET, 1);
	kvs_vq_kick(vq);
}
