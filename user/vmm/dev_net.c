// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio-net (virtio 1.2, 5.1): features, configuration space, and who serves
 * the queue pairs: the module, the stock vhost-net, or this process.
 *
 * A kernel backend is one node per queue pair. The control queue, offered
 * with more than one pair, is always served here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev_net.h"
#include "run.h"

#define BIT(n)		(1ULL << (n))
#define VHOST_NET	"/dev/vhost-net"
#define NET_QUEUE_MAX	256	/* ring entries */
#define ETH_MTU		1500

/* What a backend has to take part in; the rest is the tap's or ours. */
#define BACKEND_BITS	(BIT(VIRTIO_NET_F_MRG_RXBUF) | \
			 BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
			 BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 BIT(VIRTIO_F_RING_PACKED) | \
			 BIT(VIRTIO_F_IN_ORDER))

static struct net_dev *to_net(struct virtio_dev *dev)
{
	return (struct net_dev *)dev;
}

/* ---- start and stop ---- */

static unsigned int pairs_used(const struct net_dev *net)
{
	return net->v.features & BIT(VIRTIO_NET_F_MQ) ? net->pairs : 1;
}

static int link_pair_start(struct net_dev *net, unsigned int pair)
{
	const struct vq *rx = &net->v.vqs[NET_RX(pair)];
	const struct vq *tx = &net->v.vqs[NET_TX(pair)];
	struct link *link = net->link[pair];
	int ret;

	if (!rx->enabled || !tx->enabled)
		return 0;
	ret = link_set_features(link);
	if (!ret)
		ret = link_set_queue(link, rx, 0);
	if (!ret)
		ret = link_set_queue(link, tx, 1);
	return ret ? ret : link_start_net(link, tap_fd(net->tap, pair));
}

static int net_start(struct virtio_dev *dev)
{
	struct net_dev *net = to_net(dev);
	unsigned int i;
	int ret;

	/* 5.1.5: one pair, until the driver asks for more */
	ret = tap_set_active(net->tap, 1);
	if (!ret)
		ret = tap_set_offloads(net->tap, dev->features);
	for (i = 0; i < pairs_used(net) && !ret; i++)
		ret = net->link[i] ? link_pair_start(net, i) :
		      net_user_start(net->user[i]);
	if (!ret && net->ctrl)
		ret = net_ctrl_start(net);
	return ret ? vmm_err(dev->vm, ret, "%s: backend %s does not start: %s",
			     dev->name, dev->backend, strerror(-ret)) : 0;
}

static void net_stop(struct virtio_dev *dev)
{
	struct net_dev *net = to_net(dev);
	unsigned int i;

	soft_stop(net->ctrl);
	for (i = 0; i < net->pairs; i++) {
		link_stop(net->link[i]);
		if (net->user[i])
			net_user_stop(net->user[i]);
	}
}

/* The control queue has a thread of its own, which comes and goes with it. */
static bool is_ctrl(const struct net_dev *net, const struct vq *vq)
{
	return vq == net->ctrl_q->vq;
}

static void net_queue_stop(struct virtio_dev *dev, struct vq *vq)
{
	struct net_dev *net = to_net(dev);

	if (is_ctrl(net, vq))
		soft_stop(net->ctrl);
	else if (vq->index / 2 < pairs_used(net))
		link_stop_queue(net->link[vq->index / 2], vq->index % 2);
}

static int net_queue_start(struct virtio_dev *dev, struct vq *vq)
{
	struct net_dev *net = to_net(dev);
	unsigned int pair = vq->index / 2;

	if (is_ctrl(net, vq))
		return net_ctrl_start(net);
	if (pair >= pairs_used(net))
		return -EINVAL;
	return link_restart_queue(net->link[pair], vq, vq->index % 2,
				  tap_fd(net->tap, pair));
}

/* Queues served here look their call eventfd up each time. */
static void net_call_changed(struct virtio_dev *dev, struct vq *vq)
{
	struct net_dev *net = to_net(dev);
	unsigned int pair = vq->index / 2;

	if (pair < pairs_used(net) && net->link[pair])
		link_set_call(net->link[pair], vq, vq->index % 2);
}

static void net_destroy(struct virtio_dev *dev)
{
	struct net_dev *net = to_net(dev);
	unsigned int i;

	virtio_pci_destroy(dev);
	soft_destroy(net->ctrl);
	for (i = 0; i < NET_MAX_PAIRS; i++) {
		link_close(net->link[i]);
		net_user_destroy(net->user[i]);
	}
	tap_close(net->tap);
	free(net);
}

static const struct virtio_ops net_ops = {
	.start = net_start,
	.stop = net_stop,
	.queue_stop = net_queue_stop,
	.queue_start = net_queue_start,
	.call_changed = net_call_changed,
	.destroy = net_destroy,
};

/* ---- who serves ---- */

/* A kernel backend for every pair, or none. */
static int links_open(struct net_dev *net, const char *path)
{
	unsigned int i;
	int ret;

	for (i = 0; i < net->pairs; i++) {
		ret = link_open(&net->v, KVASIR_NET, path, &net->link[i]);
		if (!ret && !(link_features(net->link[i]) &
			      BIT(VIRTIO_F_VERSION_1)))
			ret = -EPROTO;
		if (ret)
			goto err;
	}
	return 0;
err:
	do {
		link_close(net->link[i]);
		net->link[i] = NULL;
	} while (i--);
	return ret;
}

static int users_create(struct net_dev *net)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < net->pairs && !ret; i++)
		ret = net_user_create(net, i, &net->user[i]);
	return ret;
}

static int choose_backend(struct net_dev *net, enum backend want)
{
	const bool any = want == BACKEND_AUTO;
	int ret;

	if (any || want == BACKEND_KVASIR) {
		net->v.backend = "kvasir";
		ret = links_open(net, NULL);
		if (!ret)
			return 0;
		if (!any)
			return link_explain(&net->v, KVASIR_NET, NULL, ret);
	}
	if (any || want == BACKEND_VHOST) {
		net->v.backend = "vhost";
		ret = links_open(net, VHOST_NET);
		if (!ret)
			return 0;
		if (!any)
			return link_explain(&net->v, KVASIR_NET, VHOST_NET,
					    ret);
	}
	net->v.backend = "user";
	return users_create(net);
}

/* ---- what the driver sees ---- */

/* FNV-1a */
static uint64_t hash(uint64_t h, const char *s, size_t len)
{
	while (len--)
		h = (h ^ (uint8_t)*s++) * 0x100000001b3ULL;
	return h;
}

/*
 * A locally administered address that stays the same for this tap on this
 * machine, and differs on others.
 */
static void derive_mac(const struct net_dev *net, uint8_t *mac)
{
	const char *name = tap_name(net->tap);
	uint64_t h = 0xcbf29ce484222325ULL;
	char id[64];
	ssize_t n;
	int fd, i;

	fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, id, sizeof(id));
	if (fd >= 0)
		close(fd);
	h = hash(h, id, n > 0 ? n : 0);
	h = hash(h, name, strlen(name));
	for (i = 0; i < 6; i++)
		mac[i] = h >> (8 * i);
	mac[0] = (mac[0] & 0xfc) | 0x02;
}

/*
 * What is in the rings. Only a kernel backend stops and starts one queue by
 * itself.
 */
static int ring_features(struct net_dev *net, const struct net_opts *opts,
			 uint64_t *out)
{
	uint64_t bits = BACKEND_BITS;

	if (net->link[0])
		bits = (bits | BIT(VIRTIO_F_RING_RESET)) &
		       link_features(net->link[0]);
	if (!opts->packed)
		bits &= ~BIT(VIRTIO_F_RING_PACKED);
	else if (!(bits & BIT(VIRTIO_F_RING_PACKED)))
		return vmm_err_class(net->v.vm, EXIT_NO_BACKEND, -EOPNOTSUPP,
				     "%s: packed=on: backend %s has no packed rings",
				     net->name, net->v.backend);
	*out = bits;
	return 0;
}

static void describe(struct net_dev *net, const struct net_opts *opts,
		     uint64_t ours)
{
	static const uint8_t none[6];

	net->v.offered = ours | tap_features(net->tap) |
			 BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS);
	net->v.nr_queues = 2 * net->pairs;

	if (memcmp(opts->mac, none, sizeof(none)))
		memcpy(net->config.mac, opts->mac, sizeof(opts->mac));
	else
		derive_mac(net, net->config.mac);
	net->config.status = VIRTIO_NET_S_LINK_UP;
	if (net->pairs > 1) {
		net->v.offered |= BIT(VIRTIO_NET_F_MQ) |
				  BIT(VIRTIO_NET_F_CTRL_VQ);
		net->v.nr_queues++;
		net->config.max_virtqueue_pairs = net->pairs;
	}
	/* an ordinary Ethernet needs no mention */
	if (tap_mtu(net->tap) && tap_mtu(net->tap) != ETH_MTU &&
	    tap_mtu(net->tap) <= UINT16_MAX) {
		net->v.offered |= BIT(VIRTIO_NET_F_MTU);
		net->config.mtu = tap_mtu(net->tap);
	}
	net->v.config = &net->config;
	net->v.config_len = offsetof(struct virtio_net_config, mtu) +
			    sizeof(net->config.mtu);
	snprintf(net->v.detail, sizeof(net->v.detail), "tap %s, %u queue%s",
		 tap_name(net->tap), net->pairs, net->pairs > 1 ? "s" : "");
}

int net_create(struct vm *vm, const struct net_opts *opts, unsigned int nr,
	       struct virtio_dev **out)
{
	struct net_dev *net;
	uint64_t bits = 0;
	unsigned int i;
	int ret;

	if (opts->queues < 1 || opts->queues > NET_MAX_PAIRS)
		return vmm_err_class(vm, EXIT_USAGE, -EINVAL,
				     "net%u: queues=%u: 1 to %u", nr,
				     opts->queues, NET_MAX_PAIRS);
	net = calloc(1, sizeof(*net));
	if (!net)
		return vmm_err(vm, -ENOMEM, "net%u: out of memory", nr);
	snprintf(net->name, sizeof(net->name), "net%u", nr);
	net->v.vm = vm;
	net->v.name = net->name;
	net->v.id = VIRTIO_ID_NET;
	net->v.ops = &net_ops;
	net->pairs = opts->queues;
	for (i = 0; i < VIRTIO_MAX_QUEUES; i++)
		net->v.vqs[i].max = NET_QUEUE_MAX;

	ret = tap_open(vm, net->name, opts, &net->tap);
	if (ret)
		goto err;
	ret = choose_backend(net, opts->backend);
	if (ret)
		goto err;
	ret = ring_features(net, opts, &bits);
	if (ret)
		goto err;
	describe(net, opts, bits);
	if (net->pairs > 1 || net->link[0]) {
		ret = net_ctrl_create(net);
		if (ret)
			goto err;
	}
	ret = virtio_pci_create(&net->v);
	if (ret)
		goto err;
	*out = &net->v;
	return 0;
err:
	net_destroy(&net->v);
	return ret;
}
