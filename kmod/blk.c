// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: /dev/kvasir-blk, a virtio-blk device with many queues. Life and backend;
 * the data path is blk_queue.c -> blk_parse.c -> blk_fill.c -> blk_io.c. Each
 * running queue has a worker of its own unless the owner lets some share one.
 */
#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/slab.h>

#include "blk.h"

/* Bits without work for us are accepted, so that a VMM can pass all it has. */
#define KVS_BLK_FEATURES (KVS_COMMON_FEATURES |			\
			  BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) |	\
			  BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |	\
			  BIT_ULL(VIRTIO_BLK_F_GEOMETRY) |	\
			  BIT_ULL(VIRTIO_BLK_F_RO) |		\
			  BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |	\
			  BIT_ULL(VIRTIO_BLK_F_FLUSH) |		\
			  BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |	\
			  BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |	\
			  BIT_ULL(VIRTIO_BLK_F_MQ) |		\
			  BIT_ULL(VIRTIO_BLK_F_DISCARD) |	\
			  BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) |	\
			  BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE))

static struct kvs_blk *to_blk(struct kvs_dev *dev)
{
	return container_of(dev, struct kvs_blk, dev);
}

static struct kvs_dev *blk_create(void)
{
	struct kvs_blk *blk;
	u32 i;
	int ret;

	blk = kvzalloc(sizeof(*blk), GFP_KERNEL_ACCOUNT);
	if (!blk)
		return ERR_PTR(-ENOMEM);
	ret = kvs_dev_init(&blk->dev, &kvs_blk_ops, KVASIR_BLK_MAX_QUEUES);
	if (ret) {
		kvfree(blk);
		return ERR_PTR(ret);
	}
	for (i = 0; i < KVASIR_BLK_MAX_QUEUES; i++) {
		blk->q[i].vq = &blk->dev.vqs[i];
		blk->q[i].blk = blk;
		init_waitqueue_head(&blk->q[i].idle);
		kvs_work_init(&blk->dev.vqs[i].service, kvs_blkq_service);
	}
	return &blk->dev;
}

static void blk_destroy(struct kvs_dev *dev)
{
	kvs_dev_deinit(dev);
	kvfree(to_blk(dev));
}

/* Threads for what must block, in the owner's name. Return: 0 or -ENOMEM. */
static int blk_helpers_start(struct kvs_blk *blk)
{
	blk->wq = alloc_workqueue("kvasir-blk-%u", WQ_UNBOUND,
				  KVS_BLK_MAX_BLOCKED, blk->dev.id);
	if (!blk->wq)
		return -ENOMEM;
#ifdef CONFIG_BLK_CGROUP
	blk->blkcg = task_get_css(current, io_cgrp_id);
#endif
	blk->memcg = get_mem_cgroup_from_mm(blk->dev.mm);
	return 0;
}

static void blk_helpers_stop(struct kvs_blk *blk)
{
	destroy_workqueue(blk->wq);
	blk->wq = NULL;
	if (blk->blkcg)
		css_put(blk->blkcg);
	blk->blkcg = NULL;
	mem_cgroup_put(blk->memcg);
	blk->memcg = NULL;
}

/*
 * Stop all queues and let go of the disk; see kvs_blkq_drain() for @limit and
 * the result. After an error the queues take nothing new, and the rest is to be
 * done by another call.
 */
static int blk_detach(struct kvs_blk *blk, long *limit)
{
	int ret;
	u32 i;

	if (!blk->disk.file)
		return 0;
	/* All at once, so that no queue goes on while another one drains. */
	for (i = 0; i < KVASIR_BLK_MAX_QUEUES; i++)
		kvs_vq_quiesce(blk->q[i].vq);
	for (i = 0; i < KVASIR_BLK_MAX_QUEUES; i++) {
		ret = kvs_blkq_drain(&blk->q[i], limit);
		if (ret)
			return ret;
	}
	synchronize_rcu();
	for (i = 0; i < KVASIR_BLK_MAX_QUEUES; i++)
		kvs_blkq_stop(&blk->q[i]);
	blk_helpers_stop(blk);
	kvs_blk_disk_close(&blk->disk);
	kvs_dev_name_backend(&blk->dev, "");
	return 0;
}

static void blk_stop(struct kvs_dev *dev)
{
	blk_detach(to_blk(dev), NULL);
}

/* As the owner asks for it: killable, and within its limit. */
static int blk_unset_backend(struct kvs_blk *blk, u32 timeout_ms)
{
	long limit = timeout_ms ? msecs_to_jiffies(timeout_ms) :
				  MAX_SCHEDULE_TIMEOUT;

	return blk_detach(blk, &limit);
}

/* Start every configured queue; all or none. */
static int blk_start(struct kvs_blk *blk)
{
	u32 i, started = 0;
	int ret;

	for (i = 0; i < KVASIR_BLK_MAX_QUEUES; i++) {
		if (!kvs_vq_configured(blk->q[i].vq))
			continue;
		ret = kvs_blkq_start(&blk->q[i]);
		if (ret)
			return ret;
		started++;
	}
	return started ? 0 : -ENXIO;
}

#define KVS_BLK_FLAGS	(KVASIR_BLK_F_READONLY | KVASIR_BLK_F_WRITETHROUGH | \
			 KVASIR_BLK_F_POLLED)

static int blk_backend_get(struct kvasir_blk_backend *b, void __user *argp)
{
	u32 size;
	int ret;

	if (get_user(size, (u32 __user *)argp))
		return -EFAULT;
	if (size < KVASIR_BLK_BACKEND_SIZE_VER0 || size > PAGE_SIZE)
		return -EINVAL;
	ret = copy_struct_from_user(b, sizeof(*b), argp, size);
	if (ret)
		return ret;
	if (b->flags & ~KVS_BLK_FLAGS || b->fd < -1 ||
	    (b->fd >= 0 && b->timeout_ms))
		return -EINVAL;
	b->size = size;
	return 0;
}

/* KVASIR_BLK_SET_BACKEND */
static long blk_set_backend(struct kvs_blk *blk, void __user *argp)
{
	struct kvasir_blk_backend b;
	char name[64];
	int ret;

	ret = blk_backend_get(&b, argp);
	if (ret)
		return ret;
	if (b.fd == -1)
		return blk_unset_backend(blk, b.timeout_ms);
	if (blk->disk.file)
		return -EBUSY;
	ret = kvs_blk_disk_open(&blk->disk, &b);
	if (ret)
		return ret;
	ret = blk_helpers_start(blk);
	if (ret) {
		kvs_blk_disk_close(&blk->disk);
		return ret;
	}

	blk->writeback = !(b.flags & KVASIR_BLK_F_WRITETHROUGH);

	/* The caller learns what the disk is before a request is served. */
	kvs_blk_disk_describe(&blk->disk, &b);
	ret = copy_to_user(argp, &b, min_t(u32, b.size, sizeof(b))) ?
	      -EFAULT : blk_start(blk);
	if (ret) {
		blk_stop(&blk->dev);
		return ret;
	}
	snprintf(name, sizeof(name), "%pD", blk->disk.file);
	kvs_dev_name_backend(&blk->dev, name);
	return 0;
}

/* What changed is seen by every request taken from here on. */
static void blk_pass_queues(struct kvs_blk *blk)
{
	u32 i;

	for (i = 0; i < KVASIR_BLK_MAX_QUEUES; i++) {
		mutex_lock(&blk->q[i].vq->lock);
		mutex_unlock(&blk->q[i].vq->lock);
	}
}

/* KVASIR_BLK_SET_WRITEBACK */
static long blk_set_writeback(struct kvs_blk *blk, u32 __user *argp)
{
	u32 on;

	if (get_user(on, argp))
		return -EFAULT;
	if (on > 1)
		return -EINVAL;
	if (!blk->disk.file)
		return -ENXIO;
	WRITE_ONCE(blk->writeback, on);
	if (on || blk->disk.lim.readonly)
		return 0;
	blk_pass_queues(blk);
	return vfs_fsync(blk->disk.file, 1);
}

/* KVASIR_BLK_GET_CAPACITY */
static long blk_get_capacity(struct kvs_blk *blk, u64 __user *argp)
{
	u64 sectors;

	if (!blk->disk.file)
		return -ENXIO;
	sectors = kvs_blk_disk_measure(&blk->disk);
	if (put_user(sectors, argp))
		return -EFAULT;
	WRITE_ONCE(blk->disk.lim.capacity, sectors);
	return 0;
}

static long blk_ioctl(struct kvs_dev *dev, unsigned int cmd, void __user *argp)
{
	switch (cmd) {
	case KVASIR_BLK_SET_BACKEND:
		return blk_set_backend(to_blk(dev), argp);
	case KVASIR_BLK_SET_WRITEBACK:
		return blk_set_writeback(to_blk(dev), argp);
	case KVASIR_BLK_GET_CAPACITY:
		return blk_get_capacity(to_blk(dev), argp);
	default:
		return -ENOIOCTLCMD;
	}
}

const struct kvs_dev_ops kvs_blk_ops = {
	.type = KVASIR_DEV_BLK,
	.name = "kvasir-blk",
	.features = KVS_BLK_FEATURES,
	.create = blk_create,
	.ioctl = blk_ioctl,
	.stop = blk_stop,
	.destroy = blk_destroy,
};
