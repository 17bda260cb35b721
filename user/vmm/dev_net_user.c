// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3 and H4: a virtio-net queue pair served in this process.
 *
 * Transmit: one writev() per frame, its header checked on a private copy.
 * Receive: readv() straight into the next chain; what does not fit there
 * lands in a private buffer and is copied into the chains that follow
 * (mergeable buffers). A frame for which the driver has offered too little is
 * kept, half delivered, until more buffers come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dev_net.h"
#include "net_hdr.h"

#define BIT(n)		(1ULL << (n))
#define FRAME_MAX	(TAP_HDR_LEN + KVS_NET_MAX_FRAME)
#define RX_MAX_HEADS	256	/* chains of one frame */
#define RX_PUBLISH	64	/* used entries the driver is left waiting for */

struct rx_head {
	uint16_t head;
	uint32_t len;
};

struct net_user {
	struct net_dev *net;
	struct soft *soft;
	struct soft_queue *rx;
	struct soft_queue *tx;
	int tap_fd;
	bool tx_wait;		/* the tap took no more */

	/* the frame being received */
	uint32_t rx_len;	/* header included; 0: none */
	uint32_t rx_done;	/* of them delivered */
	unsigned int rx_nr;
	unsigned int rx_unpublished;
	uint8_t *rx_num_buffers[2];	/* the header field's two bytes */
	struct rx_head rx_head[RX_MAX_HEADS];
	uint8_t rx_buf[FRAME_MAX];	/* what was not read in place */

	struct iovec iov[KVS_CHAIN_MAX + 1];
};

/* ---- transmit ---- */

static bool tx_again(int err)
{
	/* the tap wakes us for nothing else; frames may be lost */
	return err == EAGAIN;
}

static enum soft_verdict tx_chain(struct soft_queue *q,
				  struct kvs_chain *chain)
{
	struct net_user *u = q->ctx;
	struct virtio_net_hdr_v1 hdr;
	struct iovec *frame = chain->iov, *iov = u->iov;
	unsigned int nr = chain->nr_iov_out;

	if (chain->out_len < sizeof(hdr))
		goto done;
	if (kvs_iov_take(&frame, &nr, &hdr, sizeof(hdr)) ||
	    nr >= KVS_CHAIN_MAX ||
	    !kvs_net_hdr_check((struct virtio_net_hdr *)&hdr,
			       chain->out_len - sizeof(hdr),
			       u->net->v.features))
		goto done;
	hdr.num_buffers = 0;
	iov[0].iov_base = &hdr;
	iov[0].iov_len = sizeof(hdr);
	memcpy(&iov[1], frame, nr * sizeof(*frame));
	if (writev(u->tap_fd, iov, nr + 1) < 0 && tx_again(errno)) {
		kvs_ring_unpop(&q->ring, chain->head);
		u->tx_wait = true;
		return SOFT_WAIT;
	}
	/* any other error is about this frame: drop it and go on */
done:
	soft_put(q, chain->head, 0);
	return SOFT_TAKEN;
}

static const struct soft_queue_ops tx_ops = {
	.chain = tx_chain,
};

/* ---- receive ---- */

static void rx_note_num_buffers(struct net_user *u, const struct iovec *iov)
{
	size_t off = offsetof(struct virtio_net_hdr_v1, num_buffers);
	unsigned int i;

	for (i = 0; i < 2; i++, off++) {
		while (off >= iov->iov_len)
			off -= (iov++)->iov_len;
		u->rx_num_buffers[i] = (uint8_t *)iov->iov_base + off;
	}
}

/* All of the frame is in its chains. */
static void rx_finish(struct net_user *u)
{
	struct soft_queue *q = u->rx;
	unsigned int i;

	*(volatile uint8_t *)u->rx_num_buffers[0] = u->rx_nr;
	*(volatile uint8_t *)u->rx_num_buffers[1] = u->rx_nr >> 8;
	for (i = 0; i < u->rx_nr; i++)
		soft_put(q, u->rx_head[i].head, u->rx_head[i].len);
	u->rx_unpublished += u->rx_nr;
	u->rx_nr = 0;
	u->rx_len = 0;
	if (u->rx_unpublished >= RX_PUBLISH) {
		soft_publish(q);
		u->rx_unpublished = 0;
	}
}

/* Drop the frame, @head being the chain taken last. */
static void rx_drop(struct net_user *u, uint16_t head)
{
	kvs_ring_unpop(&u->rx->ring, head);
	while (u->rx_nr)
		kvs_ring_unpop(&u->rx->ring, u->rx_head[--u->rx_nr].head);
	u->rx_len = 0;
}

/* @len bytes of the frame went into chain @head. */
static void rx_delivered(struct net_user *u, uint16_t head, uint32_t len)
{
	u->rx_head[u->rx_nr++] = (struct rx_head) { head, len };
	u->rx_done += len;
	if (u->rx_done == u->rx_len)
		rx_finish(u);
}

static void rx_more(struct net_user *u, struct kvs_chain *chain)
{
	struct iovec *iov = chain->iov + chain->nr_iov_out;
	uint32_t left = u->rx_len - u->rx_done;
	const uint8_t *src = u->rx_buf + u->rx_done;
	uint32_t len = 0;

	if (u->rx_nr == RX_MAX_HEADS) {
		rx_drop(u, chain->head);
		return;
	}
	for (; len < left && len < chain->in_len; iov++) {
		uint32_t part = iov->iov_len < left - len ?
				iov->iov_len : left - len;

		kvs_store(iov->iov_base, src + len, part);
		len += part;
	}
	rx_delivered(u, chain->head, len);
}

/* Read a frame into the chain, and into rx_buf from where the chain ends. */
static ssize_t rx_read(struct net_user *u, const struct kvs_chain *chain)
{
	unsigned int nr = chain->nr_iov_in;
	ssize_t n;

	memcpy(u->iov, chain->iov + chain->nr_iov_out, nr * sizeof(u->iov[0]));
	if (chain->in_len < FRAME_MAX && nr < KVS_CHAIN_MAX)
		u->iov[nr++] = (struct iovec) {
			.iov_base = u->rx_buf + chain->in_len,
			.iov_len = FRAME_MAX - chain->in_len,
		};
	do {
		n = readv(u->tap_fd, u->iov, nr);
	} while (n > 0 && n < TAP_HDR_LEN + KVS_NET_MIN_FRAME);
	return n;
}

static enum soft_verdict rx_chain(struct soft_queue *q,
				  struct kvs_chain *chain)
{
	struct net_user *u = q->ctx;
	uint32_t len;
	ssize_t n;

	if (chain->in_len < TAP_HDR_LEN) {
		soft_put(q, chain->head, 0);
		return SOFT_TAKEN;
	}
	if (u->rx_len) {
		rx_more(u, chain);
		return SOFT_TAKEN;
	}
	n = rx_read(u, chain);
	if (n <= 0) {
		/* nothing there, or the tap is down: it will report */
		kvs_ring_unpop(&q->ring, chain->head);
		return SOFT_WAIT;
	}

	u->rx_len = n;
	u->rx_done = 0;
	len = u->rx_len < chain->in_len ? u->rx_len : chain->in_len;
	if (len < u->rx_len &&
	    !(u->net->v.features & BIT(VIRTIO_NET_F_MRG_RXBUF))) {
		rx_drop(u, chain->head);
		return SOFT_TAKEN;
	}
	rx_note_num_buffers(u, chain->iov + chain->nr_iov_out);
	rx_delivered(u, chain->head, len);
	return SOFT_TAKEN;
}

static void rx_drain(struct soft_queue *q)
{
	struct net_user *u = q->ctx;

	u->rx_len = 0;
	u->rx_nr = 0;
	u->rx_unpublished = 0;
}

static const struct soft_queue_ops rx_ops = {
	.chain = rx_chain,
	.drain = rx_drain,
};

/* ---- life ---- */

static void tap_ready(void *ctx, uint32_t events)
{
	struct net_user *u = ctx;

	if (events & ~EPOLLOUT)
		soft_serve(u->rx);
	if (events & EPOLLOUT && u->tx_wait) {
		u->tx_wait = false;
		soft_serve(u->tx);
	}
}

int net_user_create(struct net_dev *net, unsigned int pair,
		    struct net_user **out)
{
	struct net_user *u = calloc(1, sizeof(*u));
	char name[16];
	int ret;

	if (!u)
		return vmm_err(net->v.vm, -ENOMEM, "%s: out of memory",
			       net->name);
	u->net = net;
	u->tap_fd = tap_fd(net->tap, pair);
	snprintf(name, sizeof(name), "%.11s.%u", net->name, pair);
	ret = soft_create(&net->v, name, &u->soft);
	if (ret)
		goto err;
	ret = soft_add_queue(u->soft, &net->v.vqs[NET_RX(pair)], &rx_ops, u,
			     &u->rx);
	if (!ret)
		ret = soft_add_queue(u->soft, &net->v.vqs[NET_TX(pair)],
				     &tx_ops, u, &u->tx);
	if (!ret)
		ret = soft_add_fd(u->soft, u->tap_fd,
				  EPOLLIN | EPOLLOUT | EPOLLET, tap_ready, u);
	if (ret) {
		vmm_err(net->v.vm, ret, "%s: queue pair %u: %s", net->name,
			pair, strerror(-ret));
		goto err;
	}
	*out = u;
	return 0;
err:
	net_user_destroy(u);
	return ret;
}

void net_user_destroy(struct net_user *u)
{
	if (!u)
		return;
	soft_destroy(u->soft);
	free(u);
}

int net_user_start(struct net_user *u)
{
	u->tx_wait = false;
	return soft_start(u->soft);
}

void net_user_stop(struct net_user *u)
{
	soft_stop(u->soft);
}
