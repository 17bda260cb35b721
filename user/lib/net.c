// SPDX-License-Identifier: LGPL-2.1-or-later
/* Start and stop the queues of a net device (H3, H4: which socket). */
#include <errno.h>
#include <linux/vhost.h>

#include "internal.h"

/* Bits of net_running; more than any vhost-net compatible node has. */
#define MAX_QUEUES 64

static int set_backend(struct kvasir_dev *dev, uint32_t index, int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return kvl_ioctl(dev, VHOST_NET_SET_BACKEND, &file,
			 "VHOST_NET_SET_BACKEND");
}

int kvasir_net_start(struct kvasir_dev *dev, uint32_t index, int sock_fd)
{
	int ret;

	if (!dev || dev->type != KVASIR_NET || index >= MAX_QUEUES)
		return -EINVAL;
	if (sock_fd < 0)
		return -EBADF;
	ret = set_backend(dev, index, sock_fd);
	if (ret < 0)
		return ret;
	dev->net_running |= 1ULL << index;
	return 0;
}

int kvasir_net_stop(struct kvasir_dev *dev, uint32_t index)
{
	int ret;

	if (!dev || dev->type != KVASIR_NET || index >= MAX_QUEUES)
		return -EINVAL;
	ret = set_backend(dev, index, -1);
	if (ret < 0)
		return ret;
	dev->net_running &= ~(1ULL << index);
	return 0;
}
