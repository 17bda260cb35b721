// SPDX-License-Identifier: GPL-2.0-only
/*
 * One virtqueue: configuration by the stock vring ioctls, start and stop.
 *
 * Control path, under dev->lock; what the worker reads is changed under
 * vq->lock on top.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "kvasir.h"

static bool fast_path = true;
module_param(fast_path, bool, 0444);
MODULE_PARM_DESC(fast_path, "Read and write ring entries in batches");

void kvs_vq_init(struct kvs_vq *vq, struct kvs_dev *dev, u32 index)
{
	vq->dev = dev;
	vq->index = index;
	mutex_init(&vq->lock);
	INIT_LIST_HEAD(&vq->poll.node);
	kvs_poll_reset(vq);
}

/* Forget all configuration. The queue is stopped. */
void kvs_vq_reset(struct kvs_vq *vq)
{
	if (vq->kick)
		fput(vq->kick);
	if (vq->call)
		eventfd_ctx_put(vq->call);
	if (vq->err)
		eventfd_ctx_put(vq->err);

	mutex_lock(&vq->lock);
	vq->kick = NULL;
	vq->call = NULL;
	vq->err = NULL;
	memset(&vq->cfg, 0, sizeof(vq->cfg));
	vq->have_addr = false;
	vq->log_addr = 0;
	vq->log_base = NULL;
	vq->log_ctx = NULL;
	vq->mem = NULL;
	vq->umem = NULL;
	vq->features = 0;
	kvs_poll_reset(vq);
	mutex_unlock(&vq->lock);
}

bool kvs_vq_configured(const struct kvs_vq *vq)
{
	return vq->cfg.num && vq->have_addr;
}

/* What the negotiated features say about the ring. */
static void vq_cfg_features(const struct kvs_vq *vq, struct kvs_ring_cfg *cfg)
{
	cfg->packed = kvs_vq_has(vq, VIRTIO_F_RING_PACKED);
	cfg->event_idx = kvs_vq_has(vq, VIRTIO_RING_F_EVENT_IDX);
	cfg->indirect = kvs_vq_has(vq, VIRTIO_RING_F_INDIRECT_DESC);
	cfg->in_order = kvs_vq_has(vq, VIRTIO_F_IN_ORDER);
	cfg->one_by_one = !fast_path;
}

/* Under vq->lock, except that reports read the pid as it is. */
static void vq_set_worker(struct kvs_vq *vq, struct kvs_worker *worker)
{
	vq->worker = worker;
	vq->chain = worker ? kvs_worker_chain(worker) : NULL;
	WRITE_ONCE(vq->worker_pid, worker ? kvs_worker_pid(worker) : 0);
}

/*
 * Take up the ring. With an IOTLB that does not know where it is, that is
 * left to the first service that finds out (kvs_iotlb_ready()).
 */
static int vq_ring_start(struct kvs_vq *vq)
{
	int ret;

	if (kvs_vq_has_iotlb(vq)) {
		/* What is logged is looked up like what was written. */
		vq->log_addr = vq->cfg.used;
		ret = kvs_iotlb_map_ring(vq);
		return ret == -EAGAIN ? 0 : ret;
	}
	ret = kvs_ring_start(&vq->ring, &vq->cfg);
	vq->ring_up = !ret;
	return ret;
}

/**
 * kvs_vq_start() - let the assigned worker serve the queue
 * @vq: stopped; its backend is in place
 *
 * The first service is queued at once: the driver may have kicked before
 * anybody listened.
 *
 * Context: the owner's, under dev->lock.
 * Return: 0, -EFAULT not configured or the ring is not readable, -EINVAL bad
 * ring layout or doorbell, -ENOMEM, -ENOSPC no worker can be made.
 */
int kvs_vq_start(struct kvs_vq *vq)
{
	int ret;

	if (!kvs_vq_configured(vq))
		return -EFAULT;
	ret = kvs_dev_assign_worker(vq);
	if (ret)
		return ret;

	mutex_lock(&vq->lock);
	vq_cfg_features(vq, &vq->cfg);
	ret = vq_ring_start(vq);
	if (!ret)
		vq_set_worker(vq, vq->assigned);
	mutex_unlock(&vq->lock);
	if (ret)
		return ret;
	rcu_assign_pointer(vq->target, vq->worker);

	/* Services take nothing yet, so a failure leaves nothing in flight. */
	if (vq->kick) {
		ret = kvs_bell_attach(&vq->bell, vq->kick, EPOLLIN, vq);
		if (ret) {
			kvs_vq_quiesce(vq);
			kvs_vq_stop(vq);
			return ret;
		}
	}
	mutex_lock(&vq->lock);
	vq->running = true;
	WRITE_ONCE(vq->state, KVASIR_QUEUE_RUNNING);
	mutex_unlock(&vq->lock);
	kvs_vq_kick(vq);
	return 0;
}

/**
 * kvs_vq_quiesce() - no new request is taken when this returns
 * @vq: running or not
 *
 * Requests in flight go on, their completions still reach the ring.
 * Context: under dev->lock, not vq->lock. Idempotent.
 */
void kvs_vq_quiesce(struct kvs_vq *vq)
{
	if (!vq->worker)
		return;
	kvs_bell_detach(&vq->bell);
	mutex_lock(&vq->lock);
	WRITE_ONCE(vq->running, false);
	mutex_unlock(&vq->lock);
	kvs_worker_leave(vq->worker, vq);
}

/* Let go of the ring; the queue is quiesced and nothing is in flight. */
void kvs_vq_stop(struct kvs_vq *vq)
{
	if (!vq->worker)
		return;
	mutex_lock(&vq->lock);
	if (vq->ring_up)
		vq->cfg.base = kvs_ring_stop(&vq->ring);
	vq->ring_up = false;
	kvs_iotlb_forget(vq);
	RCU_INIT_POINTER(vq->target, NULL);
	vq_set_worker(vq, NULL);
	WRITE_ONCE(vq->state, KVASIR_QUEUE_STOPPED);
	mutex_unlock(&vq->lock);
}

/**
 * kvs_vq_move() - let another worker serve a running queue
 * @vq: started
 * @worker: of the same device
 *
 * No two threads serve the queue, and no kick is lost: first nobody can queue
 * its service any more, then the old worker is done with what was queued, and
 * only then the new one is named. Kicks in between find no target and are made
 * up for by one at the end; the second grace period sees to it that what they
 * announced is visible to the service this starts.
 *
 * Context: under dev->lock, not vq->lock.
 */
void kvs_vq_move(struct kvs_vq *vq, struct kvs_worker *worker)
{
	rcu_assign_pointer(vq->target, NULL);
	synchronize_rcu();
	kvs_worker_leave(vq->worker, vq);

	mutex_lock(&vq->lock);
	vq_set_worker(vq, worker);
	mutex_unlock(&vq->lock);
	rcu_assign_pointer(vq->target, worker);
	synchronize_rcu();
	kvs_vq_kick(vq);
}

/* Have the queue served. Any context. */
void kvs_vq_kick(struct kvs_vq *vq)
{
	struct kvs_worker *worker;

	rcu_read_lock();
	worker = rcu_dereference(vq->target);
	if (likely(worker))
		kvs_work_queue(worker, &vq->service);
	rcu_read_unlock();
}

static long vq_set_num(struct kvs_vq *vq, const struct vhost_vring_state *s)
{
	if (vq->worker)
		return -EBUSY;
	if (!s->num || s->num > KVS_RING_MAX_SIZE ||
	    (!is_power_of_2(s->num) && !kvs_vq_has(vq, VIRTIO_F_RING_PACKED)))
		return -EINVAL;
	vq->cfg.num = s->num;
	return 0;
}

/*
 * Split: the next available index. Packed: the next available position, with
 * its wrap counter in bit 15; in the upper half the same for used. Both are
 * checked against the ring's size when the queue starts, or now if it is known.
 */
static long vq_set_base(struct kvs_vq *vq, const struct vhost_vring_state *s)
{
	bool packed = kvs_vq_has(vq, VIRTIO_F_RING_PACKED);
	u32 avail = s->num & 0x7fff, used = s->num >> 16 & 0x7fff;

	if (vq->worker)
		return -EBUSY;
	if (!packed && s->num > U16_MAX)
		return -EINVAL;
	if (packed && vq->cfg.num && max(avail, used) >= vq->cfg.num)
		return -EINVAL;
	vq->cfg.base = s->num;
	return 0;
}

static long vq_get_base(struct kvs_vq *vq, struct vhost_vring_state *s,
			void __user *argp)
{
	mutex_lock(&vq->lock);
	s->num = vq->ring_up ? kvs_ring_base(&vq->ring) : vq->cfg.base;
	mutex_unlock(&vq->lock);
	return copy_to_user(argp, s, sizeof(*s)) ? -EFAULT : 0;
}

/* A modern ring is little-endian, and so is a legacy one on this host. */
static long vq_set_endian(struct kvs_vq *vq, const struct vhost_vring_state *s)
{
	if (vq->worker)
		return -EBUSY;
	if (kvs_vq_has(vq, VIRTIO_F_VERSION_1) ||
	    s->num != VHOST_VRING_LITTLE_ENDIAN)
		return -EINVAL;
	return 0;
}

static long vq_get_endian(struct kvs_vq *vq, struct vhost_vring_state *s,
			  void __user *argp)
{
	s->num = VHOST_VRING_LITTLE_ENDIAN;
	return copy_to_user(argp, s, sizeof(*s)) ? -EFAULT : 0;
}

/*
 * While the queue runs, only logging may be switched: QEMU repeats the same
 * addresses with another flag when it begins to migrate.
 */
static long vq_set_addr(struct kvs_vq *vq, const struct vhost_vring_addr *a)
{
	struct kvs_ring_cfg cfg = vq->cfg;
	int ret;

	if (a->flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	cfg.desc = a->desc_user_addr;
	cfg.avail = a->avail_user_addr;
	cfg.used = a->used_user_addr;
	if (vq->worker && (cfg.desc != vq->cfg.desc ||
			   cfg.avail != vq->cfg.avail ||
			   cfg.used != vq->cfg.used))
		return -EBUSY;
	/* Size and base may follow; starting checks all of it together. */
	if (!cfg.num)
		cfg.num = 1;
	cfg.base = 0;
	vq_cfg_features(vq, &cfg);
	ret = kvs_vq_has_iotlb(vq) ? kvs_iotlb_check_ring(&cfg) :
				     kvs_ring_check(&cfg);
	if (ret)
		return ret;

	mutex_lock(&vq->lock);
	vq->cfg.desc = cfg.desc;
	vq->cfg.avail = cfg.avail;
	vq->cfg.used = cfg.used;
	vq->have_addr = true;
	vq->cfg.watch = a->flags & BIT(VHOST_VRING_F_LOG) ? kvs_vq_watch : NULL;
	vq->log_addr = kvs_vq_has_iotlb(vq) ? cfg.used : a->log_guest_addr;
	vq->ring.watch = vq->cfg.watch;
	mutex_unlock(&vq->lock);
	return 0;
}

/* The busy-poll limit in microseconds; also while running. */
static long vq_set_poll(struct kvs_vq *vq, const struct vhost_vring_state *s)
{
	mutex_lock(&vq->lock);
	kvs_poll_set(vq, s->num);
	mutex_unlock(&vq->lock);
	return 0;
}

static long vq_get_poll(struct kvs_vq *vq, struct vhost_vring_state *s,
			void __user *argp)
{
	s->num = vq->poll.timeout;
	return copy_to_user(argp, s, sizeof(*s)) ? -EFAULT : 0;
}

static long vq_set_kick(struct kvs_vq *vq, const struct vhost_vring_file *f)
{
	struct file *file = NULL, *old = vq->kick;

	if (f->fd != VHOST_FILE_UNBIND) {
		file = eventfd_fget(f->fd);
		if (IS_ERR(file))
			return PTR_ERR(file);
	}
	if (vq->worker)
		kvs_bell_detach(&vq->bell);
	vq->kick = file;
	if (vq->worker && file) {
		/* An eventfd can always be waited for: no error to undo. */
		kvs_bell_attach(&vq->bell, file, EPOLLIN, vq);
		kvs_vq_kick(vq);
	}
	if (old)
		fput(old);
	return 0;
}

/* Replace @vq->call or @vq->err. */
static long vq_set_ctx(struct kvs_vq *vq, struct eventfd_ctx **where,
		       const struct vhost_vring_file *f)
{
	struct eventfd_ctx *ctx = NULL;

	if (f->fd != VHOST_FILE_UNBIND) {
		ctx = eventfd_ctx_fdget(f->fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	mutex_lock(&vq->lock);
	swap(*where, ctx);
	mutex_unlock(&vq->lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

static long vq_ioctl_state(struct kvs_vq *vq, unsigned int cmd,
			   void __user *argp)
{
	struct vhost_vring_state s;

	if (copy_from_user(&s, argp, sizeof(s)))
		return -EFAULT;
	s.index = vq->index;
	switch (cmd) {
	case VHOST_SET_VRING_NUM:
		return vq_set_num(vq, &s);
	case VHOST_SET_VRING_BASE:
		return vq_set_base(vq, &s);
	case VHOST_GET_VRING_BASE:
		return vq_get_base(vq, &s, argp);
	case VHOST_SET_VRING_ENDIAN:
		return vq_set_endian(vq, &s);
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
		return vq_set_poll(vq, &s);
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
		return vq_get_poll(vq, &s, argp);
	default:
		return vq_get_endian(vq, &s, argp);
	}
}

static long vq_ioctl_file(struct kvs_vq *vq, unsigned int cmd,
			  void __user *argp)
{
	struct vhost_vring_file f;

	if (copy_from_user(&f, argp, sizeof(f)))
		return -EFAULT;
	switch (cmd) {
	case VHOST_SET_VRING_KICK:
		return vq_set_kick(vq, &f);
	case VHOST_SET_VRING_CALL:
		return vq_set_ctx(vq, &vq->call, &f);
	default:
		return vq_set_ctx(vq, &vq->err, &f);
	}
}

/**
 * kvs_vq_ioctl() - the vring ioctls of <linux/vhost.h>
 * @dev: the device
 * @cmd: the ioctl
 * @argp: its argument in the caller's memory
 *
 * Every one of them names the queue in its first 32 bits.
 *
 * Context: the owner's, under dev->lock.
 * Return: 0 or -errno; -ENOIOCTLCMD for other commands, -ENOBUFS for a queue
 * the device does not have.
 */
long kvs_vq_ioctl(struct kvs_dev *dev, unsigned int cmd, void __user *argp)
{
	struct vhost_vring_addr addr;
	struct kvs_vq *vq;
	u32 index;

	switch (cmd) {
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_ENDIAN:
	case VHOST_GET_VRING_ENDIAN:
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
	case VHOST_SET_VRING_ADDR:
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		break;
	default:
		return -ENOIOCTLCMD;
	}
	if (get_user(index, (u32 __user *)argp))
		return -EFAULT;
	if (index >= dev->nr_vqs)
		return -ENOBUFS;
	vq = &dev->vqs[array_index_nospec(index, dev->nr_vqs)];

	switch (cmd) {
	case VHOST_SET_VRING_ADDR:
		if (copy_from_user(&addr, argp, sizeof(addr)))
			return -EFAULT;
		return vq_set_addr(vq, &addr);
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		return vq_ioctl_file(vq, cmd, argp);
	default:
		return vq_ioctl_state(vq, cmd, argp);
	}
}
