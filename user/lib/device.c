// SPDX-License-Identifier: LGPL-2.1-or-later
/* One open backend device: its life, features and guest memory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

#define MAX_REGIONS 512

int kvl_ioctl(struct kvasir_dev *dev, unsigned long request, void *arg,
	      const char *name)
{
	int ret, err;

	ret = ioctl(dev->fd, request, arg);
	if (ret >= 0)
		return ret;
	err = errno;
	kvl_log(&dev->log, KVASIR_LOG_ERROR, "%s: %s", name, strerror(err));
	return -err;
}

static const char *default_node(enum kvasir_type type)
{
	return type == KVASIR_NET ? "/dev/kvasir-net" : "/dev/kvasir-blk";
}

static int open_node(struct kvasir_dev *dev, const char *path)
{
	int err;

	dev->fd = open(path, O_RDWR | O_CLOEXEC);
	if (dev->fd >= 0)
		return 0;
	err = errno;
	kvl_log(&dev->log, KVASIR_LOG_ERROR, "open %s: %s", path,
		strerror(err));
	/* Both say: a node is there, a driver is not. */
	return err == ENODEV ? -ENXIO : -err;
}

int kvasir_open(enum kvasir_type type, const struct kvasir_open_opts *opts,
		struct kvasir_dev **out)
{
	struct kvasir_open_opts o = { 0 };
	struct kvasir_dev *dev;
	int err;

	if (!out || (type != KVASIR_NET && type != KVASIR_BLK))
		return -EINVAL;
	if (opts) {
		err = kvl_opts_get(&o, sizeof(o), sizeof(o), opts);
		if (err)
			return err;
	}

	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->type = type;
	dev->log.fn = o.log;
	dev->log.ctx = o.log_ctx;

	err = open_node(dev, o.path ? o.path : default_node(type));
	if (err)
		goto free_dev;
	err = kvl_ioctl(dev, VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER");
	if (err < 0)
		goto close_fd;

	*out = dev;
	return 0;

close_fd:
	close(dev->fd);
free_dev:
	free(dev);
	return err;
}

void kvasir_close(struct kvasir_dev *dev)
{
	uint32_t index;

	if (!dev)
		return;
	/*
	 * The last close stops everything, but a forked child may still hold
	 * the descriptor: the caller is about to free the rings, so stop now.
	 */
	for (index = 0; dev->net_running; index++)
		if (dev->net_running & (1ULL << index)) {
			kvasir_net_stop(dev, index);
			dev->net_running &= ~(1ULL << index);
		}
	if (dev->blk_running)
		kvasir_blk_stop(dev);
	close(dev->fd);
	free(dev);
}

int kvasir_fd(const struct kvasir_dev *dev)
{
	return dev ? dev->fd : -EINVAL;
}

int kvasir_get_features(struct kvasir_dev *dev, uint64_t *features)
{
	__u64 bits;
	int ret;

	if (!dev || !features)
		return -EINVAL;
	ret = kvl_ioctl(dev, VHOST_GET_FEATURES, &bits, "VHOST_GET_FEATURES");
	if (ret < 0)
		return ret;
	*features = bits;
	return 0;
}

int kvasir_set_features(struct kvasir_dev *dev, uint64_t features)
{
	__u64 bits = features;

	if (!dev)
		return -EINVAL;
	return kvl_ioctl(dev, VHOST_SET_FEATURES, &bits, "VHOST_SET_FEATURES");
}

int kvasir_set_memory(struct kvasir_dev *dev,
		      const struct kvasir_region *regions, unsigned int nr)
{
	struct vhost_memory *mem;
	unsigned int i;
	int ret;

	if (!dev || (nr && !regions) || nr > MAX_REGIONS)
		return -EINVAL;
	mem = calloc(1, sizeof(*mem) + nr * sizeof(mem->regions[0]));
	if (!mem)
		return -ENOMEM;

	mem->nregions = nr;
	for (i = 0; i < nr; i++) {
		mem->regions[i].guest_phys_addr = regions[i].gpa;
		mem->regions[i].memory_size = regions[i].size;
		mem->regions[i].userspace_addr = regions[i].hva;
	}
	ret = kvl_ioctl(dev, VHOST_SET_MEM_TABLE, mem, "VHOST_SET_MEM_TABLE");
	free(mem);
	return ret;
}
