/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * H2: queues served by this process. One thread waits for doorbells and for
 * the backend's descriptors, takes chains off the rings (kmod/ring.c, the
 * module's own) and hands them to the device.
 *
 * Everything a device does for its queues happens in the thread under its
 * lock: chain handlers, descriptor handlers. soft_start() and soft_stop()
 * come from vCPU threads; when soft_stop() returns, no handler runs and none
 * will.
 */
#ifndef KVASIR_SOFT_H
#define KVASIR_SOFT_H

#include <sys/epoll.h>

#include "ring.h"
#include "virtio.h"

struct soft;
struct soft_queue;

enum soft_verdict {
	SOFT_TAKEN,	/* the chain is the handler's: put now or later */
	SOFT_WAIT,	/* given back (unpop): something other than a kick,
			 * reported by a descriptor, resumes the queue
			 */
};

struct soft_queue_ops {
	enum soft_verdict (*chain)(struct soft_queue *q,
				   struct kvs_chain *chain);
	/* Before the used entries are published: hand over what the chain
	 * handler collected. May be NULL.
	 */
	void (*flush)(struct soft_queue *q);
	/* Finish or forget what is in flight; the ring stops behind it. Called
	 * by soft_stop() with no handler running. May be NULL.
	 */
	void (*drain)(struct soft_queue *q);
};

struct soft_queue {
	const struct soft_queue_ops *ops;
	void *ctx;
	struct soft *soft;
	struct vq *vq;
	struct kvs_ring ring;
	bool running;
	bool again;		/* out of budget: serve it in the next round */
	struct soft_queue *next;
};

/* A descriptor became ready (EPOLL*). */
typedef void (*soft_fd_fn)(void *ctx, uint32_t events);

/* @name: of the thread, up to 15 characters. */
int soft_create(struct virtio_dev *dev, const char *name, struct soft **out);
void soft_destroy(struct soft *soft);

/**
 * soft_add_queue() - let the thread serve a queue from soft_start() on
 * @vq: may be replaced in the soft_queue while stopped
 */
int soft_add_queue(struct soft *soft, struct vq *vq,
		   const struct soft_queue_ops *ops, void *ctx,
		   struct soft_queue **out);
/* @events: EPOLL*, also EPOLLET or EPOLLONESHOT. Handlers run while started.
 * -EPERM: a file that is always ready.
 */
int soft_add_fd(struct soft *soft, int fd, uint32_t events, soft_fd_fn fn,
		void *ctx);
/* Set the events of a descriptor anew (EPOLLONESHOT). */
void soft_rearm_fd(struct soft *soft, int fd, uint32_t events);

/* Start all enabled queues, from the ring's beginning. */
int soft_start(struct soft *soft);
void soft_stop(struct soft *soft);

/* ---- for handlers ---- */

const struct kvs_mem *soft_mem(const struct soft *soft);
/* The next chain, beyond the one the handler was given: enum kvs_pop or
 * -EIO. Refused chains are put back on the way.
 */
int soft_pop(struct soft_queue *q, struct kvs_chain *chain);
/* Serve a queue now, as if it had been kicked. */
void soft_serve(struct soft_queue *q);
/* Return a chain to the driver; seen by it after soft_publish(). */
void soft_put(struct soft_queue *q, uint16_t head, uint32_t len);
void soft_publish(struct soft_queue *q);

#endif /* KVASIR_SOFT_H */
