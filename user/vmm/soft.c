// SPDX-License-Identifier: GPL-2.0-only
/*
 * H2 and H5: the thread that serves queues inside the VMM; see soft.h.
 *
 * Doorbells are watched edge-triggered and never read: each write of an
 * eventfd is an edge, so a kick costs one epoll_wait() and nothing else.
 *
 * The lock is held while handlers run. Stopping clears soft.started first, so
 * that a busy thread does not keep taking the lock in front of the stopper.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "soft.h"

#define SOFT_BUDGET	256	/* chains of one queue before others' turn */
#define SOFT_EVENTS	16

/* What epoll reports: a queue's doorbell or a device's descriptor. */
struct soft_source {
	int fd;
	soft_fd_fn fn;
	void *ctx;
	struct soft_source *next;
};

struct soft {
	struct virtio_dev *dev;
	struct kvs_mem *mem;
	struct kvs_chain *chain;
	int epoll_fd;
	int wake_fd;		/* started, or to exit */
	pthread_t thread;
	bool has_thread;
	atomic_bool started;
	atomic_bool exiting;
	pthread_mutex_t lock;
	struct soft_queue *queues;
	struct soft_source *sources;
};

const struct kvs_mem *soft_mem(const struct soft *soft)
{
	return soft->mem;
}

/* The ring is beyond use: the driver has to reset the device. */
static void queue_broken(struct soft_queue *q)
{
	q->running = false;
	q->again = false;
	virtio_needs_reset(q->soft->dev);
}

void soft_put(struct soft_queue *q, uint16_t head, uint32_t len)
{
	/* a broken ring is noticed, once, by the next pop or publish */
	(void)kvs_ring_put(&q->ring, head, len);
}

void soft_publish(struct soft_queue *q)
{
	uint64_t one = 1;
	int ret;

	if (!q->running)
		return;
	ret = kvs_ring_publish(&q->ring);
	if (ret < 0)
		queue_broken(q);
	else if (ret > 0 && write(q->vq->call_fd, &one, sizeof(one)) < 0)
		virtio_needs_reset(q->soft->dev);
}

int soft_pop(struct soft_queue *q, struct kvs_chain *chain)
{
	int ret;

	while ((ret = kvs_ring_pop(&q->ring, q->soft->mem, chain)) ==
	       KVS_POP_REFUSED)
		soft_put(q, chain->head, 0);
	return ret;
}

/* Take chains until the ring is empty, the device is full or it is enough. */
static int serve_some(struct soft_queue *q)
{
	struct kvs_chain *chain = q->soft->chain;
	unsigned int n;
	int ret;

	for (n = 0; n < SOFT_BUDGET; n++) {
		ret = kvs_ring_pop(&q->ring, q->soft->mem, chain);
		if (ret <= 0)
			return ret;
		if (ret == KVS_POP_REFUSED) {
			soft_put(q, chain->head, 0);
			continue;
		}
		if (q->ops->chain(q, chain) == SOFT_WAIT)
			return SOFT_WAIT;
	}
	q->again = true;
	return SOFT_WAIT;
}

void soft_serve(struct soft_queue *q)
{
	int ret;

	q->again = false;
	if (!q->running)
		return;
	ret = kvs_ring_disarm(&q->ring);
	if (!ret)
		ret = serve_some(q);
	if (ret >= 0 && q->ops->flush)
		q->ops->flush(q);
	soft_publish(q);
	if (!ret)
		ret = kvs_ring_arm(&q->ring);
	else if (ret > 0)
		return;

	if (ret < 0 && q->running)
		queue_broken(q);
	/* entries came in meanwhile: in the next round, so that others and
	 * soft_stop() have their turn
	 */
	if (ret > 0)
		q->again = true;
}

static void doorbell(void *ctx, uint32_t events)
{
	(void)events;
	soft_serve(ctx);
}

/* Serve what ran out of budget; returns whether some still did. */
static bool serve_again(struct soft *soft)
{
	struct soft_queue *q;
	bool again = false;

	for (q = soft->queues; q; q = q->next) {
		if (q->again)
			soft_serve(q);
		again |= q->again;
	}
	return again;
}

static bool handle_events(struct soft *soft, struct epoll_event *ev, int n)
{
	bool again = false;
	int i;

	pthread_mutex_lock(&soft->lock);
	if (atomic_load(&soft->started)) {
		for (i = 0; i < n; i++) {
			struct soft_source *s = ev[i].data.ptr;

			if (s)
				s->fn(s->ctx, ev[i].events);
		}
		again = serve_again(soft);
	}
	pthread_mutex_unlock(&soft->lock);
	return again;
}

static void *soft_thread(void *arg)
{
	struct epoll_event ev[SOFT_EVENTS];
	struct soft *soft = arg;
	bool again = false;

	while (!atomic_load(&soft->exiting)) {
		int n = epoll_wait(soft->epoll_fd, ev, SOFT_EVENTS,
				   again ? 0 : -1);

		/* EINTR: io_uring has posted completions on our behalf */
		again = atomic_load(&soft->started) &&
			handle_events(soft, ev, n < 0 ? 0 : n);
	}
	return NULL;
}

static int epoll_set(struct soft *soft, int op, struct soft_source *s, int fd,
		     uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(soft->epoll_fd, op, fd, &ev) ? -errno : 0;
}

static struct soft_source *source_new(struct soft *soft, int fd, soft_fd_fn fn,
				      void *ctx)
{
	struct soft_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fd = fd;
	s->fn = fn;
	s->ctx = ctx;
	s->next = soft->sources;
	soft->sources = s;
	return s;
}

int soft_add_fd(struct soft *soft, int fd, uint32_t events, soft_fd_fn fn,
		void *ctx)
{
	struct soft_source *s = source_new(soft, fd, fn, ctx);

	if (!s)
		return -ENOMEM;
	return epoll_set(soft, EPOLL_CTL_ADD, s, fd, events);
}

void soft_rearm_fd(struct soft *soft, int fd, uint32_t events)
{
	struct soft_source *s = soft->sources;

	while (s && s->fd != fd)
		s = s->next;
	/* cannot fail for a descriptor that was added */
	if (s)
		(void)epoll_set(soft, EPOLL_CTL_MOD, s, fd, events);
}

int soft_add_queue(struct soft *soft, struct vq *vq,
		   const struct soft_queue_ops *ops, void *ctx,
		   struct soft_queue **out)
{
	struct soft_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->ops = ops;
	q->ctx = ctx;
	q->soft = soft;
	q->vq = vq;
	q->next = soft->queues;
	soft->queues = q;
	*out = q;
	/* the doorbell joins at start, when the queue is known for good */
	return source_new(soft, -1, doorbell, q) ? 0 : -ENOMEM;
}

static struct soft_source *source_of(struct soft *soft,
				     const struct soft_queue *q)
{
	struct soft_source *s = soft->sources;

	while (s->ctx != q || s->fn != doorbell)
		s = s->next;
	return s;
}

static int queue_start(struct soft_queue *q)
{
	struct soft_source *s = source_of(q->soft, q);
	struct kvs_ring_cfg cfg;
	int ret;

	ret = vq_ring_cfg(q->soft->dev, q->vq, &cfg);
	if (!ret)
		ret = kvs_ring_start(&q->ring, &cfg);
	if (ret)
		return ret;
	s->fd = q->vq->kick_fd;
	ret = epoll_set(q->soft, EPOLL_CTL_ADD, s, s->fd, EPOLLIN | EPOLLET);
	if (ret) {
		kvs_ring_stop(&q->ring);
		return ret;
	}
	q->running = true;
	q->again = true;	/* there may be entries already */
	return 0;
}

static void queue_stop(struct soft_queue *q)
{
	struct soft_source *s = source_of(q->soft, q);

	if (!q->ring.busy)
		return;
	if (q->ops->drain)
		q->ops->drain(q);
	(void)epoll_set(q->soft, EPOLL_CTL_DEL, NULL, s->fd, 0);
	kvs_ring_stop(&q->ring);
	q->running = false;
	q->again = false;
}

static void wake(struct soft *soft)
{
	vm_signal(soft->wake_fd);
}

int soft_start(struct soft *soft)
{
	struct soft_queue *q;
	int ret = 0;

	pthread_mutex_lock(&soft->lock);
	for (q = soft->queues; q && !ret; q = q->next)
		if (q->vq->enabled)
			ret = queue_start(q);
	if (!ret)
		atomic_store(&soft->started, true);
	pthread_mutex_unlock(&soft->lock);
	if (ret)
		soft_stop(soft);
	else
		wake(soft);
	return ret;
}

void soft_stop(struct soft *soft)
{
	struct soft_queue *q;

	if (!soft)
		return;
	atomic_store(&soft->started, false);
	pthread_mutex_lock(&soft->lock);
	for (q = soft->queues; q; q = q->next)
		queue_stop(q);
	pthread_mutex_unlock(&soft->lock);
}

static int mem_create(struct virtio_dev *dev, struct kvs_mem **out)
{
	const struct vm *vm = dev->vm;
	struct kvs_region r[sizeof(vm->regions) / sizeof(vm->regions[0])];
	unsigned int i;

	for (i = 0; i < vm->nr_regions; i++)
		r[i] = (struct kvs_region) {
			.gpa = vm->regions[i].gpa,
			.size = vm->regions[i].size,
			.hva = vm->regions[i].hva,
		};
	return kvs_mem_create(r, vm->nr_regions, out);
}

static int open_fds(struct soft *soft)
{
	soft->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (soft->epoll_fd < 0)
		return -errno;
	soft->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (soft->wake_fd < 0)
		return -errno;
	return epoll_set(soft, EPOLL_CTL_ADD, NULL, soft->wake_fd,
			 EPOLLIN | EPOLLET);
}

static int run_thread(struct soft *soft, const char *name)
{
	int ret = pthread_create(&soft->thread, NULL, soft_thread, soft);

	if (ret)
		return -ret;
	soft->has_thread = true;
	/* a name that is refused (too long) does no harm */
	(void)pthread_setname_np(soft->thread, name);
	return 0;
}

int soft_create(struct virtio_dev *dev, const char *name, struct soft **out)
{
	struct soft *soft = calloc(1, sizeof(*soft));
	int ret;

	if (!soft)
		return vmm_err(dev->vm, -ENOMEM, "%s: out of memory",
			       dev->name);
	soft->dev = dev;
	soft->epoll_fd = -1;
	soft->wake_fd = -1;
	pthread_mutex_init(&soft->lock, NULL);
	soft->chain = calloc(1, sizeof(*soft->chain));
	ret = soft->chain ? mem_create(dev, &soft->mem) : -ENOMEM;
	if (!ret)
		ret = open_fds(soft);
	if (!ret)
		ret = run_thread(soft, name);
	if (ret) {
		soft_destroy(soft);
		return vmm_err(dev->vm, ret, "%s: service thread: %s",
			       dev->name, strerror(-ret));
	}
	*out = soft;
	return 0;
}

void soft_destroy(struct soft *soft)
{
	if (!soft)
		return;
	soft_stop(soft);
	if (soft->has_thread) {
		atomic_store(&soft->exiting, true);
		wake(soft);
		pthread_join(soft->thread, NULL);
	}
	while (soft->queues) {
		struct soft_queue *q = soft->queues;

		soft->queues = q->next;
		free(q);
	}
	while (soft->sources) {
		struct soft_source *s = soft->sources;

		soft->sources = s->next;
		free(s);
	}
	if (soft->wake_fd >= 0)
		close(soft->wake_fd);
	if (soft->epoll_fd >= 0)
		close(soft->epoll_fd);
	kvs_mem_free(soft->mem);
	free(soft->chain);
	pthread_mutex_destroy(&soft->lock);
	free(soft);
}
