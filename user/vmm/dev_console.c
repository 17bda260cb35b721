// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio-console (virtio 1.2, 5.3), port 0 only, on a pair of descriptors.
 *
 * The descriptors are the caller's and may be shared with others, so they are
 * not made non-blocking: they are used only when poll() or epoll says that
 * they are ready, and watched one event at a time (EPOLLONESHOT).
 */
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "soft.h"

#define BIT(n)		(1ULL << (n))
#define VCON_QUEUE_MAX	128
#define VCON_RX		0
#define VCON_TX		1
/* A writable pipe takes this much without blocking (PIPE_BUF). */
#define VCON_WRITE_MAX	4096

struct vcon_dev {
	struct virtio_dev v;
	struct virtio_console_config config;
	struct soft *soft;
	struct soft_queue *rx;
	struct soft_queue *tx;
	int in_fd;
	bool in_end;		/* no input, or its end was seen */
	int out_fd;		/* -1: discard */
	uint32_t tx_done;	/* bytes of the first chain already written */
};

static struct vcon_dev *to_vcon(struct virtio_dev *dev)
{
	return (struct vcon_dev *)dev;
}

static bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0;
}

/* ---- towards the guest ---- */

static enum soft_verdict rx_chain(struct soft_queue *q,
				  struct kvs_chain *chain)
{
	struct vcon_dev *vcon = q->ctx;
	ssize_t n;

	if (!chain->nr_iov_in) {
		soft_put(q, chain->head, 0);
		return SOFT_TAKEN;
	}
	if (!vcon->in_end && ready(vcon->in_fd, POLLIN)) {
		n = readv(vcon->in_fd, chain->iov + chain->nr_iov_out,
			  chain->nr_iov_in);
		if (n > 0) {
			soft_put(q, chain->head, n);
			return SOFT_TAKEN;
		}
		vcon->in_end = !n || (errno != EAGAIN && errno != EINTR);
	}
	kvs_ring_unpop(&q->ring, chain->head);
	if (!vcon->in_end)
		soft_rearm_fd(q->soft, vcon->in_fd, EPOLLIN | EPOLLONESHOT);
	return SOFT_WAIT;
}

static const struct soft_queue_ops rx_ops = {
	.chain = rx_chain,
};

static void input(void *ctx, uint32_t events)
{
	(void)events;
	soft_serve(((struct vcon_dev *)ctx)->rx);
}

/* ---- from the guest ---- */

/* Write some of what is left of a chain; returns false if it has to wait. */
static bool tx_some(struct vcon_dev *vcon, const struct kvs_chain *chain)
{
	const struct iovec *iov = chain->iov;
	size_t skip = vcon->tx_done;
	size_t len;
	ssize_t n;

	while (skip >= iov->iov_len)
		skip -= (iov++)->iov_len;
	len = iov->iov_len - skip;
	if (len > VCON_WRITE_MAX)
		len = VCON_WRITE_MAX;
	if (!ready(vcon->out_fd, POLLOUT))
		return false;
	n = write(vcon->out_fd, (char *)iov->iov_base + skip, len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* nobody reads any more: discard */
	vcon->tx_done = n < 0 ? chain->out_len : vcon->tx_done + n;
	return true;
}

static enum soft_verdict tx_chain(struct soft_queue *q,
				  struct kvs_chain *chain)
{
	struct vcon_dev *vcon = q->ctx;

	while (vcon->out_fd >= 0 && vcon->tx_done < chain->out_len) {
		if (tx_some(vcon, chain))
			continue;
		kvs_ring_unpop(&q->ring, chain->head);
		soft_rearm_fd(q->soft, vcon->out_fd, EPOLLOUT | EPOLLONESHOT);
		return SOFT_WAIT;
	}
	vcon->tx_done = 0;
	soft_put(q, chain->head, 0);
	return SOFT_TAKEN;
}

static void tx_drain(struct soft_queue *q)
{
	((struct vcon_dev *)q->ctx)->tx_done = 0;
}

static const struct soft_queue_ops tx_ops = {
	.chain = tx_chain,
	.drain = tx_drain,
};

static void output(void *ctx, uint32_t events)
{
	(void)events;
	soft_serve(((struct vcon_dev *)ctx)->tx);
}

/* ---- life ---- */

static int vcon_start(struct virtio_dev *dev)
{
	int ret = soft_start(to_vcon(dev)->soft);

	return ret ? vmm_err(dev->vm, ret, "%s does not start: %s", dev->name,
			     strerror(-ret)) : 0;
}

static void vcon_stop(struct virtio_dev *dev)
{
	soft_stop(to_vcon(dev)->soft);
}

static void vcon_destroy(struct virtio_dev *dev)
{
	struct vcon_dev *vcon = to_vcon(dev);

	virtio_pci_destroy(dev);
	soft_destroy(vcon->soft);
	if (vcon->in_fd >= 0)
		close(vcon->in_fd);
	if (vcon->out_fd >= 0)
		close(vcon->out_fd);
	free(vcon);
}

static const struct virtio_ops vcon_ops = {
	.start = vcon_start,
	.stop = vcon_stop,
	.destroy = vcon_destroy,
};

/*
 * Watch a descriptor of our own, for it may be the same file for input and
 * output. -EPERM: a regular file, always ready and not watchable.
 */
static int watch(struct vcon_dev *vcon, int fd, soft_fd_fn fn, int *own)
{
	int ret;

	if (fd < 0)
		return 0;
	*own = dup(fd);
	if (*own < 0)
		return -errno;
	ret = soft_add_fd(vcon->soft, *own, EPOLLONESHOT, fn, vcon);
	return ret == -EPERM ? 0 : ret;
}

static int add_queues(struct vcon_dev *vcon, int in_fd, int out_fd)
{
	int ret;

	ret = soft_add_queue(vcon->soft, &vcon->v.vqs[VCON_RX], &rx_ops, vcon,
			     &vcon->rx);
	if (!ret)
		ret = soft_add_queue(vcon->soft, &vcon->v.vqs[VCON_TX],
				     &tx_ops, vcon, &vcon->tx);
	if (!ret)
		ret = watch(vcon, in_fd, input, &vcon->in_fd);
	if (!ret)
		ret = watch(vcon, out_fd, output, &vcon->out_fd);
	return ret ? vmm_err(vcon->v.vm, ret, "console: %s", strerror(-ret)) :
	       0;
}

int vcon_create(struct vm *vm, int in_fd, int out_fd, struct virtio_dev **out)
{
	struct vcon_dev *vcon = calloc(1, sizeof(*vcon));
	unsigned int i;
	int ret;

	if (!vcon)
		return vmm_err(vm, -ENOMEM, "console: out of memory");
	vcon->v.vm = vm;
	vcon->v.name = "console";
	vcon->v.id = VIRTIO_ID_CONSOLE;
	vcon->v.ops = &vcon_ops;
	vcon->v.backend = "user";
	vcon->v.nr_queues = 2;
	vcon->v.config = &vcon->config;
	vcon->v.config_len = sizeof(vcon->config);
	vcon->v.offered = BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			  BIT(VIRTIO_RING_F_EVENT_IDX);
	vcon->in_fd = -1;
	vcon->in_end = in_fd < 0;
	vcon->out_fd = -1;
	for (i = 0; i < vcon->v.nr_queues; i++)
		vcon->v.vqs[i].max = VCON_QUEUE_MAX;

	ret = soft_create(&vcon->v, vcon->v.name, &vcon->soft);
	if (!ret)
		ret = add_queues(vcon, in_fd, out_fd);
	if (!ret)
		ret = virtio_pci_create(&vcon->v);
	if (ret)
		vcon_destroy(&vcon->v);
	else
		*out = &vcon->v;
	return ret;
}
