// SPDX-License-Identifier: GPL-2.0-only
/* virtio-rng (virtio 1.2, 5.4): the host's getrandom(), served in this process. */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "soft.h"

#define BIT(n)		(1ULL << (n))
#define RNG_QUEUE_MAX	64
/* Bytes per request; less than asked for is fine (5.4.6.1), endless is not. */
#define RNG_MAX		4096

struct rng_dev {
	struct virtio_dev v;
	struct soft *soft;
	struct soft_queue *q;
};

static struct rng_dev *to_rng(struct virtio_dev *dev)
{
	return (struct rng_dev *)dev;
}

static enum soft_verdict rng_chain(struct soft_queue *q,
				   struct kvs_chain *chain)
{
	const struct iovec *iov = chain->iov + chain->nr_iov_out;
	uint32_t len = 0;
	unsigned int i;

	for (i = 0; i < chain->nr_iov_in && len < RNG_MAX; i++) {
		size_t part = iov[i].iov_len < RNG_MAX - len ?
			      iov[i].iov_len : RNG_MAX - len;
		ssize_t n = getrandom(iov[i].iov_base, part, 0);

		if (n < 0)
			break;
		len += n;
	}
	soft_put(q, chain->head, len);
	return SOFT_TAKEN;
}

static const struct soft_queue_ops rng_queue_ops = {
	.chain = rng_chain,
};

static int rng_start(struct virtio_dev *dev)
{
	int ret = soft_start(to_rng(dev)->soft);

	return ret ? vmm_err(dev->vm, ret, "%s does not start: %s", dev->name,
			     strerror(-ret)) : 0;
}

static void rng_stop(struct virtio_dev *dev)
{
	soft_stop(to_rng(dev)->soft);
}

static void rng_destroy(struct virtio_dev *dev)
{
	virtio_pci_destroy(dev);
	soft_destroy(to_rng(dev)->soft);
	free(dev);
}

static const struct virtio_ops rng_ops = {
	.start = rng_start,
	.stop = rng_stop,
	.destroy = rng_destroy,
};

int rng_create(struct vm *vm, struct virtio_dev **out)
{
	struct rng_dev *rng = calloc(1, sizeof(*rng));
	int ret;

	if (!rng)
		return vmm_err(vm, -ENOMEM, "rng: out of memory");
	rng->v.vm = vm;
	rng->v.name = "rng";
	rng->v.id = VIRTIO_ID_RNG;
	rng->v.ops = &rng_ops;
	rng->v.backend = "user";
	rng->v.nr_queues = 1;
	rng->v.vqs[0].max = RNG_QUEUE_MAX;
	rng->v.offered = BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			 BIT(VIRTIO_RING_F_EVENT_IDX);

	ret = soft_create(&rng->v, rng->v.name, &rng->soft);
	if (ret)
		goto err;
	ret = soft_add_queue(rng->soft, &rng->v.vqs[0], &rng_queue_ops, rng,
			     &rng->q);
	if (ret) {
		vmm_err(vm, ret, "rng: %s", strerror(-ret));
		goto err;
	}
	ret = virtio_pci_create(&rng->v);
	if (ret)
		goto err;
	*out = &rng->v;
	return 0;
err:
	rng_destroy(&rng->v);
	return ret;
}
