// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Queues: where a ring lies and which eventfds belong to it. The kick eventfd
 * is H1 of the data path, the call eventfd H5.
 */
#include <errno.h>
#include <linux/kvasir.h>

#include "internal.h"

static int set_state(struct kvasir_dev *dev, unsigned long request,
		     uint32_t index, uint32_t num, const char *name)
{
	struct vhost_vring_state state = { .index = index, .num = num };

	return kvl_ioctl(dev, request, &state, name);
}

static int set_file(struct kvasir_dev *dev, unsigned long request,
		    uint32_t index, int fd, const char *name)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return kvl_ioctl(dev, request, &file, name);
}

static int set_addr(struct kvasir_dev *dev, const struct kvasir_queue_opts *o)
{
	struct vhost_vring_addr addr = {
		.index = o->index,
		.flags = o->log ? 1U << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = o->desc,
		.avail_user_addr = o->avail,
		.used_user_addr = o->used,
		.log_guest_addr = o->log ? o->used_gpa : 0,
	};

	return kvl_ioctl(dev, VHOST_SET_VRING_ADDR, &addr,
			 "VHOST_SET_VRING_ADDR");
}

int kvasir_queue_setup(struct kvasir_dev *dev,
		       const struct kvasir_queue_opts *opts)
{
	struct kvasir_queue_opts o;
	int err;

	if (!dev)
		return -EINVAL;
	err = kvl_opts_get(&o, sizeof(o), sizeof(o), opts);
	if (err)
		return err;
	if (o.kick_fd < 0 || o.call_fd < -1 || o.err_fd < -1)
		return -EINVAL;

	err = set_state(dev, VHOST_SET_VRING_NUM, o.index, o.num,
			"VHOST_SET_VRING_NUM");
	if (err < 0)
		return err;
	err = set_state(dev, VHOST_SET_VRING_BASE, o.index, o.base,
			"VHOST_SET_VRING_BASE");
	if (err < 0)
		return err;
	err = set_addr(dev, &o);
	if (err < 0)
		return err;
	err = set_file(dev, VHOST_SET_VRING_ERR, o.index, o.err_fd,
		       "VHOST_SET_VRING_ERR");
	if (err < 0)
		return err;
	err = set_file(dev, VHOST_SET_VRING_CALL, o.index, o.call_fd,
		       "VHOST_SET_VRING_CALL");
	if (err < 0)
		goto drop_err;
	err = set_file(dev, VHOST_SET_VRING_KICK, o.index, o.kick_fd,
		       "VHOST_SET_VRING_KICK");
	if (err < 0)
		goto drop_call;
	return 0;

	/* The eventfds stay the caller's: hold none of a queue not set up. */
drop_call:
	set_file(dev, VHOST_SET_VRING_CALL, o.index, -1,
		 "VHOST_SET_VRING_CALL");
drop_err:
	set_file(dev, VHOST_SET_VRING_ERR, o.index, -1, "VHOST_SET_VRING_ERR");
	return err;
}

int kvasir_queue_set_call(struct kvasir_dev *dev, uint32_t index, int fd)
{
	if (!dev || fd < -1)
		return -EINVAL;
	return set_file(dev, VHOST_SET_VRING_CALL, index, fd,
			"VHOST_SET_VRING_CALL");
}

int kvasir_worker_create(struct kvasir_dev *dev, uint32_t *worker)
{
	struct vhost_worker_state state = { 0 };
	int ret;

	if (!dev || !worker)
		return -EINVAL;
	ret = kvl_ioctl(dev, VHOST_NEW_WORKER, &state, "VHOST_NEW_WORKER");
	if (ret < 0)
		return ret;
	*worker = state.worker_id;
	return 0;
}

int kvasir_queue_set_worker(struct kvasir_dev *dev, uint32_t index,
			    uint32_t worker)
{
	struct vhost_vring_worker arg = {
		.index = index, .worker_id = worker,
	};
	int ret;

	if (!dev)
		return -EINVAL;
	ret = kvl_ioctl(dev, VHOST_ATTACH_VRING_WORKER, &arg,
			"VHOST_ATTACH_VRING_WORKER");
	return ret < 0 ? ret : 0;
}

int kvasir_queue_get_base(struct kvasir_dev *dev, uint32_t index,
			  uint32_t *base)
{
	struct vhost_vring_state state = { .index = index };
	int ret;

	if (!dev || !base)
		return -EINVAL;
	ret = kvl_ioctl(dev, VHOST_GET_VRING_BASE, &state,
			"VHOST_GET_VRING_BASE");
	if (ret < 0)
		return ret;
	*base = state.num;
	return 0;
}
