// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: /dev/kvasir-net, a virtio-net queue pair on a socket. Life and
 * backends; the data paths are net_rx.c and net_tx.c. One worker serves both
 * queues unless the owner makes more.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "net.h"
#include "net_rx.h"
#include "trace.h"

/* Frames of one queue are completed in the order of their chains. */
#define KVS_NET_FEATURES (KVS_COMMON_FEATURES |			\
			  BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |	\
			  BIT_ULL(VIRTIO_F_IN_ORDER) |		\
			  BIT_ULL(VIRTIO_F_RING_RESET) |	\
			  BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) |	\
			  BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR))

static struct kvs_net *to_net(struct kvs_dev *dev)
{
	return container_of(dev, struct kvs_net, dev);
}

static void net_service(struct kvs_work *work)
{
	struct kvs_vq *vq = container_of(work, struct kvs_vq, service);
	struct kvs_netq *q = kvs_netq(vq);

	mutex_lock(&vq->lock);
	if (vq->running && kvs_vq_ready(vq)) {
		kvs_count(vq, KVASIR_C_WAKEUPS, 1);
		trace_kvasir_service_begin(vq);
		kvs_poll_end(vq);
		kvs_vq_disarm(vq);
		if (vq->index == KVS_NET_RX) {
			kvs_net_rx_run(q);
			if (!q->rx->hold.on)
				kvs_poll_wait(vq);
		} else {
			kvs_net_tx_run(q);
		}
		trace_kvasir_service_end(vq);
	}
	mutex_unlock(&vq->lock);
}

static struct kvs_dev *net_create(void)
{
	struct kvs_net *net;
	u32 i;
	int ret;

	net = kzalloc(sizeof(*net), GFP_KERNEL_ACCOUNT);
	if (!net)
		return ERR_PTR(-ENOMEM);
	ret = kvs_dev_init(&net->dev, &kvs_net_ops, KVS_NET_QUEUES);
	if (ret) {
		kfree(net);
		return ERR_PTR(ret);
	}
	for (i = 0; i < KVS_NET_QUEUES; i++) {
		net->q[i].vq = &net->dev.vqs[i];
		kvs_work_init(&net->dev.vqs[i].service, net_service);
	}
	return &net->dev;
}

static void net_destroy(struct kvs_dev *dev)
{
	kvs_dev_deinit(dev);
	kfree(to_net(dev));
}

/* virtio 1.2, 5.1.6: the modern header always counts buffers */
static void netq_set_header(struct kvs_netq *q)
{
	bool wide = kvs_vq_has(q->vq, VIRTIO_NET_F_MRG_RXBUF) ||
		    kvs_vq_has(q->vq, VIRTIO_F_VERSION_1);

	q->hdr_len = wide ? sizeof(struct virtio_net_hdr_mrg_rxbuf) :
			    sizeof(struct virtio_net_hdr);
	q->sock_hlen = kvs_vq_has(q->vq, VHOST_NET_F_VIRTIO_NET_HDR) ?
		       0 : q->hdr_len;
}

static int side_init(struct kvs_netq *q)
{
	return q->vq->index == KVS_NET_RX ? kvs_net_rx_init(q) :
					    kvs_net_tx_init(q);
}

static void side_deinit(struct kvs_netq *q)
{
	if (q->vq->index == KVS_NET_RX)
		kvs_net_rx_deinit(q);
	else
		kvs_net_tx_deinit(q);
}

/*
 * Detach a queue from its socket: first nobody rings, then nothing runs, then
 * what was in use is let go.
 */
static void netq_stop(struct kvs_netq *q)
{
	if (!q->sock)
		return;
	kvs_bell_detach(&q->bell);
	kvs_vq_quiesce(q->vq);
	side_deinit(q);
	kvs_vq_stop(q->vq);
	kvs_net_sock_put(q->sock);
	q->sock = NULL;
}

/* Takes over the reference to @sock, also on failure. */
static int netq_start(struct kvs_netq *q, struct socket *sock)
{
	__poll_t mask = q->vq->index == KVS_NET_RX ? EPOLLIN : EPOLLOUT;
	int ret;

	netq_set_header(q);
	q->sock = sock;
	ret = side_init(q);
	if (ret)
		goto err_sock;
	ret = kvs_vq_start(q->vq);
	if (ret)
		goto err_side;
	/* Room to send is of interest only after there was none. */
	q->bell.muted = q->vq->index == KVS_NET_TX;
	ret = kvs_bell_attach(&q->bell, sock->file, mask, q->vq);
	if (ret)
		netq_stop(q);
	return ret;

err_side:
	side_deinit(q);
err_sock:
	kvs_net_sock_put(sock);
	q->sock = NULL;
	return ret;
}

static void net_stop(struct kvs_dev *dev)
{
	struct kvs_net *net = to_net(dev);
	u32 i;

	for (i = 0; i < KVS_NET_QUEUES; i++)
		netq_stop(&net->q[i]);
	kvs_dev_name_backend(dev, "");
}

/* VHOST_NET_SET_BACKEND: a socket for one queue, or -1. */
static long net_set_backend(struct kvs_net *net, void __user *argp)
{
	struct vhost_vring_file f;
	struct socket *sock;
	struct kvs_netq *q;
	const char *kind;
	long ret;

	if (copy_from_user(&f, argp, sizeof(f)))
		return -EFAULT;
	if (f.index >= KVS_NET_QUEUES)
		return -ENOBUFS;
	q = &net->q[array_index_nospec(f.index, KVS_NET_QUEUES)];
	if (f.fd == VHOST_FILE_UNBIND) {
		netq_stop(q);
		if (!net->q[KVS_NET_RX].sock && !net->q[KVS_NET_TX].sock)
			kvs_dev_name_backend(&net->dev, "");
		return 0;
	}
	if (!kvs_vq_configured(q->vq))
		return -EFAULT;
	sock = kvs_net_sock_get(f.fd, &kind);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	netq_stop(q);
	ret = netq_start(q, sock);
	if (!ret)
		kvs_dev_name_backend(&net->dev, kind);
	return ret;
}

static long net_ioctl(struct kvs_dev *dev, unsigned int cmd, void __user *argp)
{
	switch (cmd) {
	case VHOST_NET_SET_BACKEND:
		return net_set_backend(to_net(dev), argp);
	default:
		return -ENOIOCTLCMD;
	}
}

const struct kvs_dev_ops kvs_net_ops = {
	.type = KVASIR_DEV_NET,
	.name = "kvasir-net",
	.features = KVS_NET_FEATURES,
	.shared_worker = true,
	.create = net_create,
	.ioctl = net_ioctl,
	.stop = net_stop,
	.destroy = net_destroy,
};
