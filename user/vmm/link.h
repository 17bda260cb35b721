/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * H2: a kernel backend (/dev/kvasir-net, /dev/kvasir-blk, /dev/vhost-net)
 * serving queues of a device, by libkvasir.
 *
 * The node is opened, owned and given guest memory when the device is made;
 * queues are handed over when the driver starts. None of it needs a
 * privilege after link_open().
 */
#ifndef KVASIR_LINK_H
#define KVASIR_LINK_H

#include "virtio.h"

struct link;

/**
 * link_open() - open a backend's node for a device
 * @path: the node, NULL for Kvasir's own
 *
 * Return: 0 or -errno, without a word in vm->err: "auto" tries and goes on.
 * link_explain() writes it.
 */
int link_open(struct virtio_dev *dev, enum kvasir_type type, const char *path,
	      struct link **out);
/* Stops the backend. NULL is fine. */
void link_close(struct link *link);
/* The line for an error of link_open(); returns @err. */
int link_explain(struct virtio_dev *dev, enum kvasir_type type,
		 const char *path, int err);

/* Feature bits the backend can take over. */
uint64_t link_features(const struct link *link);
/* Signalled when the backend gives up a queue. */
int link_err_fd(const struct link *link);

/* Tell the backend the negotiated features, once before queues. */
int link_set_features(struct link *link);
/* Describe queue @vq to the backend as its queue @index. */
int link_set_queue(struct link *link, const struct vq *vq, unsigned int index);
/* Should the backend know queue @index from an earlier driver, turn it to a
 * ring without entries: it would be served with the others.
 */
int link_park_queue(struct link *link, unsigned int index);
/* The call eventfd of a described queue changed. */
void link_set_call(struct link *link, const struct vq *vq, unsigned int index);

int link_start_net(struct link *link, int tap_fd);
/* One queue of a running net device: stop it, and start it as @vq says. */
void link_stop_queue(struct link *link, unsigned int index);
int link_restart_queue(struct link *link, const struct vq *vq,
		       unsigned int index, int tap_fd);
/* Serve the first @nr_queues queues by @nr_workers threads, in turn; 0: each has
 * one of its own.
 */
int link_share_workers(struct link *link, unsigned int nr_queues,
		       unsigned int nr_workers);
/* For a running blk device; nothing to do, and 0, when it is not. */
int link_set_writeback(struct link *link, bool on);
int link_update_capacity(struct link *link);
int link_start_blk(struct link *link, const struct kvasir_blk_opts *opts);
/**
 * link_probe_blk() - let the backend look at a disk before any driver runs
 *
 * Starts it on an empty ring of our own and stops it again: errors come while
 * there is somebody to tell, and the limits go into configuration space.
 */
int link_probe_blk(struct link *link, const struct kvasir_blk_opts *opts,
		   struct kvasir_blk_info *info);
/* The backend touches no ring any more when this returns. Idempotent. */
void link_stop(struct link *link);

#endif /* KVASIR_LINK_H */
