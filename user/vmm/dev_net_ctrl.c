// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: virtio-net's control queue (virtio 1.2, 5.1.6.5). One command is known:
 * how many queue pairs the driver uses.
 */
#include <string.h>

#include "dev_net.h"

#define BIT(n)	(1ULL << (n))

/* struct virtio_net_ctrl_hdr and the 16-bit argument behind it */
#define CMD_LEN	4

static uint8_t set_pairs(struct net_dev *net, uint16_t pairs)
{
	if (pairs < 1 || pairs > net->pairs ||
	    !(net->v.features & BIT(VIRTIO_NET_F_MQ)))
		return VIRTIO_NET_ERR;
	return tap_set_active(net->tap, pairs) ? VIRTIO_NET_ERR :
	       VIRTIO_NET_OK;
}

static uint8_t command(struct net_dev *net, const uint8_t *cmd)
{
	if (cmd[0] != VIRTIO_NET_CTRL_MQ ||
	    cmd[1] != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET)
		return VIRTIO_NET_ERR;
	return set_pairs(net, cmd[2] | cmd[3] << 8);
}

static enum soft_verdict ctrl_chain(struct soft_queue *q,
				    struct kvs_chain *chain)
{
	uint8_t cmd[CMD_LEN], ack = VIRTIO_NET_ERR;
	unsigned int nr = chain->nr_iov_out;
	struct iovec *out = chain->iov;

	if (!chain->in_len) {
		soft_put(q, chain->head, 0);
		return SOFT_TAKEN;
	}
	if (chain->out_len >= CMD_LEN &&
	    !kvs_iov_take(&out, &nr, cmd, CMD_LEN))
		ack = command(q->ctx, cmd);
	*(volatile uint8_t *)chain->iov[chain->nr_iov_out].iov_base = ack;
	soft_put(q, chain->head, sizeof(ack));
	return SOFT_TAKEN;
}

static const struct soft_queue_ops ctrl_ops = {
	.chain = ctrl_chain,
};

static void link_failed(void *ctx, uint32_t events)
{
	struct net_dev *net = ctx;

	(void)events;
	virtio_needs_reset(&net->v);
}

int net_ctrl_create(struct net_dev *net)
{
	unsigned int i;
	int ret;

	ret = soft_create(&net->v, net->name, &net->ctrl);
	if (ret)
		return ret;
	ret = soft_add_queue(net->ctrl, &net->no_vq, &ctrl_ops, net,
			     &net->ctrl_q);
	for (i = 0; i < net->pairs && !ret; i++)
		if (net->link[i])
			ret = soft_add_fd(net->ctrl, link_err_fd(net->link[i]),
					  EPOLLIN | EPOLLET, link_failed, net);
	return ret ? vmm_err(net->v.vm, ret, "%s: control queue: %s",
			     net->name, strerror(-ret)) : 0;
}

int net_ctrl_start(struct net_dev *net)
{
	/* 5.1.2: behind the queue pairs the driver knows of */
	unsigned int pairs = net->v.features & BIT(VIRTIO_NET_F_MQ) ?
			     net->pairs : 1;

	net->ctrl_q->vq = net->v.features & BIT(VIRTIO_NET_F_CTRL_VQ) ?
			  &net->v.vqs[2 * pairs] : &net->no_vq;
	return soft_start(net->ctrl);
}
