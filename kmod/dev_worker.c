// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device's workers and which of its queues each one serves: the stock
 * worker ioctls, and what holds without them (struct kvs_dev_ops,
 * @shared_worker).
 *
 * Control path, under dev->lock. A worker lives from here to the owner's end
 * or VHOST_FREE_WORKER; while a queue is assigned to it, it is not freed.
 */
#include <linux/nospec.h>
#include <linux/slab.h>

#include "worker.h"

/* The worker of this number, or NULL. */
static struct kvs_worker *dev_worker(struct kvs_dev *dev, u32 id)
{
	u32 max = kvs_dev_max_workers(dev);

	return id < max ? dev->workers[array_index_nospec(id, max)] : NULL;
}

/* A new worker. @only: the device's one for all, which has the plain name. */
static struct kvs_worker *worker_add(struct kvs_dev *dev, bool only)
{
	struct kvs_worker *worker;
	char name[32];
	u32 id = 0;
	int ret;

	while (id < kvs_dev_max_workers(dev) && dev->workers[id])
		id++;
	if (id == kvs_dev_max_workers(dev))
		return ERR_PTR(-ENOSPC);
	if (only)
		snprintf(name, sizeof(name), "%s-%u", dev->ops->name, dev->id);
	else
		snprintf(name, sizeof(name), "%s-%u.%u", dev->ops->name,
			 dev->id, id);
	ret = kvs_dev_charge_worker(dev);
	if (ret)
		return ERR_PTR(ret);
	worker = kvs_worker_create(dev->mm, name);
	if (IS_ERR(worker)) {
		kvs_dev_uncharge_worker(dev);
		return worker;
	}
	worker->id = id;
	dev->workers[id] = worker;
	return worker;
}

static void worker_del(struct kvs_dev *dev, struct kvs_worker *worker)
{
	dev->workers[worker->id] = NULL;
	kvs_worker_destroy(worker);
	kvs_dev_uncharge_worker(dev);
}

static bool worker_in_use(const struct kvs_dev *dev,
			  const struct kvs_worker *worker)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		if (dev->vqs[i].assigned == worker)
			return true;
	return false;
}

/* One worker for all queues. Return: 0 or -errno. */
int kvs_dev_share_worker(struct kvs_dev *dev)
{
	struct kvs_worker *worker = worker_add(dev, true);
	u32 i;

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	for (i = 0; i < dev->nr_vqs; i++)
		dev->vqs[i].assigned = worker;
	return 0;
}

/* A queue without worker gets one of its own. Return: 0 or -errno. */
int kvs_dev_assign_worker(struct kvs_vq *vq)
{
	struct kvs_worker *worker;

	if (vq->assigned)
		return 0;
	worker = worker_add(vq->dev, false);
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	vq->assigned = worker;
	return 0;
}

/* All queues are stopped. */
void kvs_dev_free_workers(struct kvs_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		dev->vqs[i].assigned = NULL;
	for (i = 0; i < kvs_dev_max_workers(dev); i++)
		if (dev->workers[i])
			worker_del(dev, dev->workers[i]);
}

static long dev_new_worker(struct kvs_dev *dev, void __user *argp)
{
	struct vhost_worker_state state = {};
	struct kvs_worker *worker = worker_add(dev, false);

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	state.worker_id = worker->id;
	if (copy_to_user(argp, &state, sizeof(state))) {
		worker_del(dev, worker);
		return -EFAULT;
	}
	return 0;
}

static long dev_free_worker(struct kvs_dev *dev, void __user *argp)
{
	struct vhost_worker_state state;
	struct kvs_worker *worker;

	if (copy_from_user(&state, argp, sizeof(state)))
		return -EFAULT;
	worker = dev_worker(dev, state.worker_id);
	if (!worker)
		return -ENODEV;
	if (worker_in_use(dev, worker))
		return -EBUSY;
	worker_del(dev, worker);
	return 0;
}

static long vq_attach_worker(struct kvs_vq *vq, u32 id)
{
	struct kvs_worker *worker = dev_worker(vq->dev, id);

	if (!worker)
		return -ENODEV;
	if (vq->assigned == worker)
		return 0;
	if (vq->worker)
		kvs_vq_move(vq, worker);
	vq->assigned = worker;
	return 0;
}

static long vq_get_worker(struct kvs_vq *vq, void __user *argp)
{
	struct vhost_vring_worker vw = { .index = vq->index };

	if (!vq->assigned)
		return -ENODEV;
	vw.worker_id = vq->assigned->id;
	return copy_to_user(argp, &vw, sizeof(vw)) ? -EFAULT : 0;
}

static long vq_worker_ioctl(struct kvs_dev *dev, unsigned int cmd,
			    void __user *argp)
{
	struct vhost_vring_worker vw;
	struct kvs_vq *vq;

	if (copy_from_user(&vw, argp, sizeof(vw)))
		return -EFAULT;
	if (vw.index >= dev->nr_vqs)
		return -ENOBUFS;
	vq = &dev->vqs[array_index_nospec(vw.index, dev->nr_vqs)];
	return cmd == VHOST_ATTACH_VRING_WORKER ?
	       vq_attach_worker(vq, vw.worker_id) : vq_get_worker(vq, argp);
}

/**
 * kvs_dev_worker_ioctl() - the worker ioctls of <linux/vhost.h>
 * @dev: the device; the caller is its owner
 * @cmd: the ioctl
 * @argp: its argument in the caller's memory
 *
 * Context: under dev->lock.
 * Return: 0 or -errno; -ENOIOCTLCMD for other commands.
 */
long kvs_dev_worker_ioctl(struct kvs_dev *dev, unsigned int cmd,
			  void __user *argp)
{
	switch (cmd) {
	case VHOST_NEW_WORKER:
		return dev_new_worker(dev, argp);
	case VHOST_FREE_WORKER:
		return dev_free_worker(dev, argp);
	case VHOST_ATTACH_VRING_WORKER:
	case VHOST_GET_VRING_WORKER:
		return vq_worker_ioctl(dev, cmd, argp);
	default:
		return -ENOIOCTLCMD;
	}
}
