// SPDX-License-Identifier: GPL-2.0-only
/* H2: hands a device's queues to a kernel backend; see link.h. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "link.h"
#include "ring.h"
#include "run.h"

#define NET_QUEUES	2	/* of one vhost-net device: receive, transmit */

/* A ring without entries, for queues no driver uses. */
#define IDLE_RING	2
#define IDLE_AVAIL	64
#define IDLE_USED	128
#define IDLE_BYTES	256

struct link {
	struct virtio_dev *dev;
	enum kvasir_type type;
	struct kvasir_dev *backend;
	uint64_t features;
	int err_fd;
	uint64_t described;	/* queues the backend knows, a bit each */
	int idle_fd;		/* eventfd that nobody signals */
	void *idle_ring;
	bool running;
	bool packed;		/* as last negotiated */
};

int link_open(struct virtio_dev *dev, enum kvasir_type type, const char *path,
	      struct link **out)
{
	struct kvasir_open_opts KVASIR_OPTS(open_opts, .path = path);
	struct link *link = calloc(1, sizeof(*link));
	int ret;

	if (!link)
		return -ENOMEM;
	link->dev = dev;
	link->type = type;
	link->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	link->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	link->idle_ring = aligned_alloc(VRING_DESC_ALIGN_SIZE, IDLE_BYTES);
	if (link->err_fd < 0 || link->idle_fd < 0 || !link->idle_ring) {
		ret = -errno;
		goto err;
	}
	memset(link->idle_ring, 0, IDLE_BYTES);
	ret = kvasir_open(type, &open_opts, &link->backend);
	if (ret)
		goto err;
	ret = kvasir_get_features(link->backend, &link->features);
	if (ret)
		goto err;
	ret = kvasir_set_memory(link->backend, dev->vm->regions,
				dev->vm->nr_regions);
	if (ret)
		goto err;
	*out = link;
	return 0;
err:
	link_close(link);
	return ret;
}

void link_close(struct link *link)
{
	if (!link)
		return;
	link_stop(link);
	kvasir_close(link->backend);
	if (link->err_fd >= 0)
		close(link->err_fd);
	if (link->idle_fd >= 0)
		close(link->idle_fd);
	free(link->idle_ring);
	free(link);
}

int link_explain(struct virtio_dev *dev, enum kvasir_type type,
		 const char *path, int err)
{
	const char *hint;

	switch (-err) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		hint = path ? "load its module: modprobe vhost_net" :
		       "load the module: kvasir module load";
		break;
	case EACCES:
	case EPERM:
		hint = "be root or a member of the node's group";
		break;
	default:
		hint = "see the kernel log, or use backend=user";
	}
	if (!path)
		path = type == KVASIR_NET ? "/dev/kvasir-net" :
		       "/dev/kvasir-blk";
	return vmm_err_class(dev->vm, EXIT_NO_BACKEND, err,
			     "%s: backend %s: %s (%s)", dev->name, path,
			     strerror(-err), hint);
}

uint64_t link_features(const struct link *link)
{
	return link->features;
}

int link_err_fd(const struct link *link)
{
	return link->err_fd;
}

int link_set_features(struct link *link)
{
	uint64_t features = link->dev->features & link->features;

	link->packed = features & (1ULL << VIRTIO_F_RING_PACKED);
	return kvasir_set_features(link->backend, features);
}

int link_set_queue(struct link *link, const struct vq *vq, unsigned int index)
{
	struct kvs_ring_cfg cfg;
	int ret;

	ret = vq_ring_cfg(link->dev, vq, &cfg);
	if (ret)
		return ret;

	struct kvasir_queue_opts KVASIR_OPTS(q,
		.index = index,
		.num = cfg.num,
		.base = cfg.base,
		.kick_fd = vq->kick_fd,
		.call_fd = vq->call_fd,
		.err_fd = link->err_fd,
		.desc = cfg.desc,
		.avail = cfg.avail,
		.used = cfg.used,
		.used_gpa = vq->used);
	link->described |= 1ULL << index;
	return kvasir_queue_setup(link->backend, &q);
}

void link_set_call(struct link *link, const struct vq *vq, unsigned int index)
{
	if (kvasir_queue_set_call(link->backend, index, vq->call_fd))
		virtio_needs_reset(link->dev);
}

int link_start_net(struct link *link, int tap_fd)
{
	unsigned int i;
	int ret;

	link->running = true;
	for (i = 0; i < NET_QUEUES; i++) {
		ret = kvasir_net_start(link->backend, i, tap_fd);
		if (ret)
			return ret;
	}
	return 0;
}

void link_stop_queue(struct link *link, unsigned int index)
{
	(void)kvasir_net_stop(link->backend, index);
}

int link_restart_queue(struct link *link, const struct vq *vq,
		       unsigned int index, int tap_fd)
{
	int ret = link_set_queue(link, vq, index);

	return ret ? ret : kvasir_net_start(link->backend, index, tap_fd);
}

int link_start_blk(struct link *link, const struct kvasir_blk_opts *opts)
{
	int ret = kvasir_blk_start(link->backend, opts, NULL);

	link->running = !ret;
	return ret;
}

int link_share_workers(struct link *link, unsigned int nr_queues,
		       unsigned int nr_workers)
{
	uint32_t worker[VIRTIO_MAX_QUEUES];
	unsigned int i;
	int ret;

	if (!nr_workers)
		return 0;
	for (i = 0; i < nr_workers; i++) {
		ret = kvasir_worker_create(link->backend, &worker[i]);
		if (ret)
			return ret;
	}
	for (i = 0; i < nr_queues; i++) {
		ret = kvasir_queue_set_worker(link->backend, i,
					      worker[i % nr_workers]);
		if (ret)
			return ret;
	}
	return 0;
}

int link_set_writeback(struct link *link, bool on)
{
	return link->running ? kvasir_blk_set_writeback(link->backend, on) : 0;
}

int link_update_capacity(struct link *link)
{
	uint64_t sectors;
	int ret;

	if (!link->running)
		return 0;
	ret = kvasir_blk_get_capacity(link->backend, &sectors);
	return ret == -ENXIO ? 0 : ret;	/* stopped meanwhile */
}

int link_park_queue(struct link *link, unsigned int index)
{
	struct kvasir_queue_opts KVASIR_OPTS(q,
		.index = index,
		.num = IDLE_RING,
		.base = link->packed ? KVASIR_PACKED_BASE : 0,
		.kick_fd = link->idle_fd,
		.call_fd = -1,
		.err_fd = -1,
		.desc = (uintptr_t)link->idle_ring,
		.avail = (uintptr_t)link->idle_ring + IDLE_AVAIL,
		.used = (uintptr_t)link->idle_ring + IDLE_USED);

	if (!(link->described & 1ULL << index))
		return 0;
	return kvasir_queue_setup(link->backend, &q);
}

int link_probe_blk(struct link *link, const struct kvasir_blk_opts *opts,
		   struct kvasir_blk_info *info)
{
	int ret;

	link->described |= 1;
	ret = link_park_queue(link, 0);
	if (!ret)
		ret = kvasir_blk_start(link->backend, opts, info);
	return ret ? ret : kvasir_blk_stop(link->backend);
}

void link_stop(struct link *link)
{
	unsigned int i;

	if (!link || !link->running)
		return;
	link->running = false;
	if (link->type == KVASIR_BLK) {
		(void)kvasir_blk_stop(link->backend);
		return;
	}
	for (i = 0; i < NET_QUEUES; i++)
		(void)kvasir_net_stop(link->backend, i);
}
