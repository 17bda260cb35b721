// SPDX-License-Identifier: LGPL-2.1-or-later
/* Start and stop a blk device on a disk (H3, H4: which file). */
#include <errno.h>
#include <linux/kvasir.h>
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
	arg->flags = o->readonly ? KVASIR_BLK_F_READONLY : 0;
	arg->logical_block_size = o->logical_block_size;
	if (len)
		memcpy(arg->serial, o->serial, len);
	return 0;
}

int kvasir_blk_start(struct kvasir_dev *dev, const struct kvasir_blk_opts *opts,
		     struct kvasir_blk_info *info)
{
	struct kvasir_blk_backend arg = { 0 };
	struct kvasir_blk_info full = { 0 };
	struct kvasir_blk_opts o;
	int err;

	if (!dev || dev->type != KVASIR_BLK)
		return -EINVAL;
	err = kvl_opts_get(&o, sizeof(o), sizeof(o), opts);
	if (err)
		return err;
	if (info) {
		err = kvl_opts_check(info, sizeof(*info));
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
	if (!info)
		return 0;
	full.capacity = arg.capacity;
	full.max_discard_sectors = arg.max_discard_sectors;
	full.max_write_zeroes_sectors = arg.max_write_zeroes_sectors;
	return kvl_opts_put(info, &full, sizeof(full), sizeof(full));
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
