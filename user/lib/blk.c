// SPDX-License-Identifier: LGPL-2.1-or-later
/* Start and stop a blk device on a disk (H3, H4: which file). */
#include <errno.h>
#include <linux/kvasir.h>
#include <stddef.h>
#include <string.h>

#include "internal.h"

static int set_backend(struct kvasir_dev *dev, struct kvasir_blk_backend *arg)
{
	arg->size = sizeof(*arg);
	return kvl_ioctl(dev, KVASIR_BLK_SET_BACKEND, arg,
			 "KVASIR_BLK_SET_BACKEND");
}

static int fill_backend(struct kvasir_blk_backend *arg,
			const struct kvasir_blk_opts *o)
{
	size_t len = o->serial ? strlen(o->serial) : 0;

	if (len > sizeof(arg->serial))
		return -EINVAL;
	if (o->fd < 0)
		return -EBADF;
	arg->fd = o->fd;
	arg->flags = (o->readonly ? KVASIR_BLK_F_READONLY : 0) |
		     (o->writethrough ? KVASIR_BLK_F_WRITETHROUGH : 0) |
		     (o->polled ? KVASIR_BLK_F_POLLED : 0);
	arg->logical_block_size = o->logical_block_size;
	if (len)
		memcpy(arg->serial, o->serial, len);
	return 0;
}

/* What the first release of the header had. */
#define OPTS_V0	offsetof(struct kvasir_blk_opts, writethrough)
#define INFO_V0	offsetof(struct kvasir_blk_info, physical_block_size)

static int fill_info(struct kvasir_blk_info *info,
		     const struct kvasir_blk_backend *arg)
{
	const struct kvasir_blk_info full = {
		.capacity = arg->capacity,
		.max_discard_sectors = arg->max_discard_sectors,
		.max_write_zeroes_sectors = arg->max_write_zeroes_sectors,
		.physical_block_size = arg->physical_block_size,
		.alignment_offset = arg->alignment_offset,
		.io_min = arg->io_min,
		.io_opt = arg->io_opt,
		.seg_max = arg->seg_max,
		.discard_align_sectors = arg->discard_align_sectors,
		.max_secure_erase_sectors = arg->max_secure_erase_sectors,
		.secure_erase_align_sectors = arg->secure_erase_align_sectors,
		.unmap = arg->caps & KVASIR_BLK_C_UNMAP,
		.polled = arg->caps & KVASIR_BLK_C_POLLED,
	};

	return kvl_opts_put(info, &full, sizeof(full), INFO_V0);
}

int kvasir_blk_start(struct kvasir_dev *dev, const struct kvasir_blk_opts *opts,
		     struct kvasir_blk_info *info)
{
	struct kvasir_blk_backend arg = { 0 };
	struct kvasir_blk_opts o;
	int err;

	if (!dev || dev->type != KVASIR_BLK)
		return -EINVAL;
	err = kvl_opts_get(&o, sizeof(o), OPTS_V0, opts);
	if (err)
		return err;
	if (info) {
		err = kvl_opts_check(info, INFO_V0);
		if (err)
			return err;
	}
	err = fill_backend(&arg, &o);
	if (err)
		return err;

	err = set_backend(dev, &arg);
	if (err < 0)
		return err;
	dev->blk_running = true;
	return info ? fill_info(info, &arg) : 0;
}

int kvasir_blk_set_writeback(struct kvasir_dev *dev, bool on)
{
	__u32 arg = on;
	int ret;

	if (!dev || dev->type != KVASIR_BLK)
		return -EINVAL;
	ret = kvl_ioctl(dev, KVASIR_BLK_SET_WRITEBACK, &arg,
			"KVASIR_BLK_SET_WRITEBACK");
	return ret < 0 ? ret : 0;
}

int kvasir_blk_get_capacity(struct kvasir_dev *dev, uint64_t *sectors)
{
	__u64 arg = 0;
	int ret;

	if (!dev || dev->type != KVASIR_BLK || !sectors)
		return -EINVAL;
	ret = kvl_ioctl(dev, KVASIR_BLK_GET_CAPACITY, &arg,
			"KVASIR_BLK_GET_CAPACITY");
	if (ret < 0)
		return ret;
	*sectors = arg;
	return 0;
}

int kvasir_blk_stop(struct kvasir_dev *dev)
{
	struct kvasir_blk_backend arg = { .fd = -1 };
	int ret;

	if (!dev || dev->type != KVASIR_BLK)
		return -EINVAL;
	ret = set_backend(dev, &arg);
	if (ret < 0)
		return ret;
	dev->blk_running = false;
	return 0;
}
