// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio-blk (virtio 1.2, 5.2): features, configuration space, and who serves
 * the queues: the module or this process.
 */
#include <errno.h>
#include <linux/kvasir.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev_blk.h"
#include "run.h"

#define BIT(n)		(1ULL << (n))
#define RING_BITS	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
			 BIT(VIRTIO_RING_F_EVENT_IDX))
#define USER_MAX_RANGE	(64U << (20 - KVS_SECTOR_SHIFT))	/* sectors */

static struct blk_dev *to_blk(struct virtio_dev *dev)
{
	return (struct blk_dev *)dev;
}

/* ---- start and stop ---- */

static struct kvasir_blk_opts backend_opts(const struct blk_dev *blk,
					   const char *serial)
{
	return (struct kvasir_blk_opts) {
		.sz = sizeof(struct kvasir_blk_opts),
		.fd = blk->disk.fd,
		.readonly = blk->disk.readonly,
		.logical_block_size = blk->disk.block_size,
		.serial = serial,
		.writethrough = !blk->config.wce,
		.polled = blk->poll,
	};
}

static int link_start(struct blk_dev *blk)
{
	char serial[VIRTIO_BLK_ID_BYTES + 1] = "";
	struct kvasir_blk_opts opts = backend_opts(blk, serial);
	bool any = false;
	unsigned int i;
	int ret;

	memcpy(serial, blk->limits.serial, VIRTIO_BLK_ID_BYTES);
	ret = link_set_features(blk->link);
	for (i = 0; i < blk->v.nr_queues && !ret; i++) {
		const struct vq *vq = &blk->v.vqs[i];

		any |= vq->enabled;
		ret = vq->enabled ? link_set_queue(blk->link, vq, i) :
		      link_park_queue(blk->link, i);
	}
	if (!ret && any)
		ret = link_start_blk(blk->link, &opts);
	return ret ? ret : soft_start(blk->watch);
}

static int blk_start(struct virtio_dev *dev)
{
	struct blk_dev *blk = to_blk(dev);
	unsigned int i;
	int ret = 0;

	if (blk->link)
		ret = link_start(blk);
	for (i = 0; i < dev->nr_queues && blk->user[i] && !ret; i++)
		ret = blk_user_start(blk->user[i]);
	return ret ? vmm_err(dev->vm, ret, "%s: backend %s does not start: %s",
			     dev->name, dev->backend, strerror(-ret)) : 0;
}

static void blk_stop(struct virtio_dev *dev)
{
	struct blk_dev *blk = to_blk(dev);
	unsigned int i;

	blk->config.wce = !blk->writethrough;
	soft_stop(blk->watch);
	link_stop(blk->link);
	for (i = 0; i < dev->nr_queues && blk->user[i]; i++)
		blk_user_stop(blk->user[i]);
}

/* Queues served here look their call eventfd up each time. */
static void blk_call_changed(struct virtio_dev *dev, struct vq *vq)
{
	if (to_blk(dev)->link)
		link_set_call(to_blk(dev)->link, vq, vq->index);
}

/*
 * VIRTIO_BLK_F_CONFIG_WCE (5.2.4): the one byte a driver may write. What it has
 * been told is written is durable when write-through is in force.
 */
static void blk_config_write(struct virtio_dev *dev, uint32_t offset,
			     const void *data, uint32_t len)
{
	struct blk_dev *blk = to_blk(dev);
	int ret;

	if (offset != offsetof(struct virtio_blk_config, wce) || len != 1 ||
	    !(dev->features & BIT(VIRTIO_BLK_F_CONFIG_WCE)))
		return;
	__atomic_store_n(&blk->config.wce, *(const uint8_t *)data & 1,
			 __ATOMIC_SEQ_CST);
	if (blk->link)
		ret = link_set_writeback(blk->link, blk->config.wce);
	else
		ret = blk->config.wce || blk->limits.readonly ? 0 :
		      fdatasync(blk->disk.fd);
	if (ret)
		virtio_needs_reset(dev);
}

int blk_resize(struct virtio_dev *dev, uint64_t *bytes)
{
	struct blk_dev *blk = to_blk(dev);
	int ret;

	ret = disk_measure(&blk->disk);
	*bytes = blk->disk.capacity * KVS_SECTOR_SIZE;
	if (ret <= 0)
		return ret;
	/* Requests in front of a new end are good before the driver knows. */
	__atomic_store_n(&blk->limits.capacity, blk->disk.capacity,
			 __ATOMIC_SEQ_CST);
	ret = blk->link ? link_update_capacity(blk->link) : 0;
	if (ret)
		return ret;
	blk->config.capacity = blk->disk.capacity;
	virtio_config_changed(dev);
	return 1;
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct blk_dev *blk = to_blk(dev);
	unsigned int i;

	virtio_pci_destroy(dev);
	soft_destroy(blk->watch);
	link_close(blk->link);
	for (i = 0; i < VIRTIO_MAX_QUEUES; i++)
		blk_user_destroy(blk->user[i]);
	disk_close(&blk->disk);
	free(blk);
}

static const struct virtio_ops blk_virtio_ops = {
	.start = blk_start,
	.stop = blk_stop,
	.call_changed = blk_call_changed,
	.config_write = blk_config_write,
	.destroy = blk_destroy,
};

/* ---- who serves ---- */

static void link_failed(void *ctx, uint32_t events)
{
	(void)events;
	virtio_needs_reset(ctx);
}

/* The module, if wanted and there; blk->link stays NULL for "user". */
static int choose_backend(struct blk_dev *blk, enum backend want)
{
	int ret;

	if (want == BACKEND_VHOST)
		return vmm_err_class(blk->v.vm, EXIT_USAGE, -EINVAL,
				     "%s: backend=vhost is for networks only",
				     blk->name);
	blk->v.backend = "user";
	if (want == BACKEND_USER)
		return 0;
	ret = link_open(&blk->v, KVASIR_BLK, NULL, &blk->link);
	if (!ret && !(link_features(blk->link) & BIT(VIRTIO_F_VERSION_1))) {
		link_close(blk->link);
		blk->link = NULL;
		ret = -EPROTO;
	}
	if (!ret)
		blk->v.backend = "kvasir";
	else if (want == BACKEND_KVASIR)
		return link_explain(&blk->v, KVASIR_BLK, NULL, ret);
	return 0;
}

/* Let the module take the disk once: it knows the limits, and the errors. */
static int link_prepare(struct blk_dev *blk, const struct disk_opts *opts)
{
	struct kvasir_blk_opts o = backend_opts(blk, opts->serial);
	struct kvasir_blk_info KVASIR_OPTS(info);
	int ret;

	ret = link_share_workers(blk->link, blk->v.nr_queues, opts->workers);
	if (ret)
		return vmm_err(blk->v.vm, ret, "%s: workers=%u: %s", blk->name,
			       opts->workers, strerror(-ret));
	ret = link_probe_blk(blk->link, &o, &info);
	if (ret)
		return vmm_err_class(blk->v.vm, ret == -EBUSY ? EXIT_DISK :
				     EXIT_NO_BACKEND, ret,
				     "%s: the module refuses %s: %s%s",
				     blk->name, opts->path, strerror(-ret),
				     ret == -EBUSY ? " (mounted or claimed?)" :
				     "");
	blk->limits.capacity = info.capacity;
	blk->limits.max_discard = info.max_discard_sectors;
	blk->limits.max_write_zeroes = info.max_write_zeroes_sectors;
	blk->limits.max_secure_erase = info.max_secure_erase_sectors;
	blk->limits.erase_align = info.secure_erase_align_sectors;
	blk->disk.discard_align = info.discard_align_sectors;
	if (!blk->disk.io_min)
		blk->disk.io_min = info.io_min;

	ret = soft_create(&blk->v, blk->name, &blk->watch);
	if (ret)
		return ret;
	ret = soft_add_fd(blk->watch, link_err_fd(blk->link),
			  EPOLLIN | EPOLLET, link_failed, &blk->v);
	return ret ? vmm_err(blk->v.vm, ret, "%s: %s", blk->name,
			     strerror(-ret)) : 0;
}

static int users_create(struct blk_dev *blk)
{
	unsigned int i;
	int ret = 0;

	if (blk->disk.can_discard) {
		blk->limits.max_discard = USER_MAX_RANGE;
		blk->limits.max_write_zeroes = USER_MAX_RANGE;
	}
	for (i = 0; i < blk->v.nr_queues && !ret; i++)
		ret = blk_user_create(blk, i, &blk->user[i]);
	return ret;
}

/* ---- what the driver sees ---- */

static void describe_ranges(struct blk_dev *blk)
{
	struct virtio_blk_config *c = &blk->config;
	const struct kvs_blk_limits *lim = &blk->limits;

	if (lim->readonly)
		return;
	if (lim->max_discard) {
		blk->v.offered |= BIT(VIRTIO_BLK_F_DISCARD);
		c->max_discard_sectors = lim->max_discard;
		c->max_discard_seg = KVS_BLK_MAX_RANGES;
		c->discard_sector_alignment = blk->disk.discard_align ?:
			lim->block_size >> KVS_SECTOR_SHIFT;
	}
	if (lim->max_secure_erase) {
		blk->v.offered |= BIT(VIRTIO_BLK_F_SECURE_ERASE);
		c->max_secure_erase_sectors = lim->max_secure_erase;
		c->max_secure_erase_seg = KVS_BLK_MAX_RANGES;
		c->secure_erase_sector_alignment = lim->erase_align ?:
			lim->block_size >> KVS_SECTOR_SHIFT;
	}
	if (lim->max_write_zeroes) {
		blk->v.offered |= BIT(VIRTIO_BLK_F_WRITE_ZEROES);
		c->max_write_zeroes_sectors = lim->max_write_zeroes;
		c->max_write_zeroes_seg = KVS_BLK_MAX_RANGES;
		c->write_zeroes_may_unmap = 1;
	}
}

/* In logical blocks, but for the exponent and the offset of physical ones. */
static void describe_topology(struct blk_dev *blk)
{
	struct virtio_blk_config *c = &blk->config;
	const struct disk *disk = &blk->disk;
	uint32_t block = disk->block_size;

	c->blk_size = blk->limits.block_size;
	c->physical_block_exp = __builtin_ctz(disk->phys_size / block);
	c->alignment_offset = disk->phys_offset / block;
	c->min_io_size = (disk->io_min > disk->phys_size ? disk->io_min :
			  disk->phys_size) / block;
	c->opt_io_size = disk->io_opt / block;
}

static void describe(struct blk_dev *blk, const char *path)
{
	struct virtio_blk_config *c = &blk->config;
	const struct disk *disk = &blk->disk;
	uint64_t kept = blk->limits.capacity * KVS_SECTOR_SIZE;
	const char *file = strrchr(path, '/');
	char ignored[48] = "";

	blk->v.offered = RING_BITS;
	if (blk->link)
		blk->v.offered &= link_features(blk->link);
	blk->v.offered |= BIT(VIRTIO_BLK_F_SIZE_MAX) |
			  BIT(VIRTIO_BLK_F_SEG_MAX) |
			  BIT(VIRTIO_BLK_F_BLK_SIZE) |
			  BIT(VIRTIO_BLK_F_TOPOLOGY) |
			  BIT(VIRTIO_BLK_F_FLUSH) |
			  BIT(VIRTIO_BLK_F_CONFIG_WCE);
	if (blk->limits.readonly)
		blk->v.offered |= BIT(VIRTIO_BLK_F_RO);
	if (blk->v.nr_queues > 1)
		blk->v.offered |= BIT(VIRTIO_BLK_F_MQ);

	c->capacity = blk->limits.capacity;
	c->seg_max = BLK_QUEUE_MAX - 2;	/* header and status */
	/* so that the largest request is one the module takes */
	c->size_max = KVASIR_BLK_MAX_BYTES / BLK_QUEUE_MAX;
	c->wce = !blk->writethrough;
	describe_topology(blk);
	c->num_queues = blk->v.nr_queues;
	describe_ranges(blk);
	blk->v.config = c;
	blk->v.config_len = sizeof(*c);

	if (kept < disk->bytes)
		snprintf(ignored, sizeof(ignored),
			 ", last %llu bytes ignored",
			 (unsigned long long)(disk->bytes - kept));
	snprintf(blk->v.detail, sizeof(blk->v.detail),
		 "%.32s, %llu MiB%s%s%s", file ? file + 1 : path,
		 (unsigned long long)(kept >> 20),
		 blk->limits.readonly ? ", read-only" : "",
		 disk->direct ? "" : ", through the page cache", ignored);
}

static int blk_setup(struct blk_dev *blk, const struct disk_opts *opts)
{
	int ret;

	ret = choose_backend(blk, opts->backend);
	if (ret)
		return ret;
	ret = disk_open(blk->v.vm, blk->name, opts, !blk->link, &blk->disk);
	if (ret)
		return ret;
	blk->limits.capacity = blk->disk.capacity;
	blk->limits.block_size = blk->disk.block_size;
	blk->limits.readonly = blk->disk.readonly;
	if (opts->serial)
		memcpy(blk->limits.serial, opts->serial, strlen(opts->serial));
	ret = blk->link ? link_prepare(blk, opts) : users_create(blk);
	if (ret)
		return ret;
	describe(blk, opts->path);
	return virtio_pci_create(&blk->v);
}

int blk_create(struct vm *vm, const struct disk_opts *opts, unsigned int nr,
	       struct virtio_dev **out)
{
	struct blk_dev *blk;
	unsigned int i;
	int ret;

	if (opts->queues > VIRTIO_MAX_QUEUES)
		return vmm_err_class(vm, EXIT_USAGE, -EINVAL,
				     "disk%u: queues=%u: 1 to %u", nr,
				     opts->queues, VIRTIO_MAX_QUEUES);
	if (opts->workers > VIRTIO_MAX_QUEUES)
		return vmm_err_class(vm, EXIT_USAGE, -EINVAL,
				     "disk%u: workers=%u: 1 to %u", nr,
				     opts->workers, VIRTIO_MAX_QUEUES);
	if (opts->serial && strlen(opts->serial) > VIRTIO_BLK_ID_BYTES)
		return vmm_err_class(vm, EXIT_USAGE, -EINVAL,
				     "disk%u: serial '%s': up to %u characters",
				     nr, opts->serial, VIRTIO_BLK_ID_BYTES);
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return vmm_err(vm, -ENOMEM, "disk%u: out of memory", nr);
	snprintf(blk->name, sizeof(blk->name), "disk%u", nr);
	blk->v.vm = vm;
	blk->v.name = blk->name;
	blk->v.id = VIRTIO_ID_BLOCK;
	blk->v.ops = &blk_virtio_ops;
	blk->v.nr_queues = opts->queues ? opts->queues :
			   vm->nr_vcpus < VIRTIO_MAX_QUEUES ?
			   vm->nr_vcpus : VIRTIO_MAX_QUEUES;
	blk->writethrough = opts->writethrough;
	blk->poll = opts->poll;
	blk->config.wce = !opts->writethrough;
	blk->disk.fd = -1;
	for (i = 0; i < VIRTIO_MAX_QUEUES; i++)
		blk->v.vqs[i].max = BLK_QUEUE_MAX;

	ret = blk_setup(blk, opts);
	if (ret)
		blk_destroy(&blk->v);
	else
		*out = &blk->v;
	return ret;
}
