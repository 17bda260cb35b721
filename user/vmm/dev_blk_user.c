// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3 and H4: a virtio-blk queue served in this process by io_uring.
 *
 * Requests are parsed and checked by the code the module uses. All of a
 * service's requests go to the kernel in one system call, and as many can be
 * in flight as the ring has entries: a request's slot is its head.
 *
 * Direct I/O wants aligned buffers; requests whose buffers are not go through
 * a bounce buffer, a piece at a time. The guest decides how many do: beyond
 * BOUNCE_QUEUE_MAX the queue waits for some to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dev_blk.h"
#include "run.h"

#define BIT(n)		(1ULL << (n))
#define BOUNCE_MAX	(256U << 10)	/* bytes per piece */
#define BOUNCE_QUEUE_MAX (4U << 20)	/* bytes in flight; many pieces */

struct blk_slot {
	struct kvs_blk_req req;
	uint16_t head;
	uint32_t done;		/* bytes of a read or write */
	uint32_t range;		/* of a discard: the one in progress */
	bool punch;		/* the file cannot zero a range otherwise */
	void *bounce;
	struct iovec *iov;	/* what is left of the data */
	unsigned int nr_iov;
	struct iovec iov_store[KVS_CHAIN_MAX];
};

struct blk_user {
	struct blk_dev *blk;
	struct soft *soft;
	struct soft_queue *q;
	struct io_uring ring;
	bool have_ring;
	int done_fd;		/* eventfd: completions */
	unsigned int inflight;
	uint32_t bounced;	/* bytes of bounce buffers in flight */
	bool bounce_wait;	/* a chain was given back for want of them */
	struct blk_slot *slot;
};

/* ---- data ---- */

/* Copy between a buffer and the front of what is left of the data. */
static void iov_copy(const struct iovec *iov, void *buf, uint32_t len,
		     bool to_iov)
{
	for (; len; iov++) {
		uint32_t part = iov->iov_len < len ? iov->iov_len : len;

		if (to_iov)
			memcpy(iov->iov_base, buf, part);
		else
			memcpy(buf, iov->iov_base, part);
		buf = (char *)buf + part;
		len -= part;
	}
}

static void slot_advance(struct blk_slot *s, uint32_t len)
{
	s->done += len;
	while (len) {
		uint32_t part = s->iov->iov_len < len ? s->iov->iov_len : len;

		s->iov->iov_base = (char *)s->iov->iov_base + part;
		s->iov->iov_len -= part;
		len -= part;
		if (!s->iov->iov_len) {
			s->iov++;
			s->nr_iov--;
		}
	}
}

static bool aligned(const struct blk_user *u, const struct blk_slot *s)
{
	uintptr_t mask = u->blk->disk.block_size - 1, bits = 0;
	unsigned int i;

	if (!u->blk->disk.direct)
		return true;
	for (i = 0; i < s->nr_iov; i++)
		bits |= (uintptr_t)s->iov[i].iov_base | s->iov[i].iov_len;
	return !(bits & mask);
}

/* ---- bounce buffers ---- */

static uint32_t bounce_len(const struct blk_slot *s)
{
	return s->req.len < BOUNCE_MAX ? s->req.len : BOUNCE_MAX;
}

/* If not, buffers are in flight, as one alone always fits. */
static bool bounce_fits(const struct blk_user *u, const struct blk_slot *s)
{
	return bounce_len(s) <= BOUNCE_QUEUE_MAX - u->bounced;
}

static bool bounce_get(struct blk_user *u, struct blk_slot *s)
{
	s->bounce = aligned_alloc(u->blk->disk.block_size, bounce_len(s));
	if (!s->bounce)
		return false;
	u->bounced += bounce_len(s);
	return true;
}

static void bounce_put(struct blk_user *u, struct blk_slot *s)
{
	if (!s->bounce)
		return;
	free(s->bounce);
	s->bounce = NULL;
	u->bounced -= bounce_len(s);
	if (u->bounce_wait) {
		u->bounce_wait = false;
		u->q->again = true;
	}
}

/* ---- submission ---- */

static void prep_rw(struct blk_user *u, struct blk_slot *s,
		    struct io_uring_sqe *sqe)
{
	uint64_t off = s->req.sector * KVS_SECTOR_SIZE + s->done;
	uint32_t len = s->req.len - s->done;
	bool write = s->req.op == KVS_BLK_WRITE;
	int fd = u->blk->disk.fd;

	if (s->bounce) {
		if (len > BOUNCE_MAX)
			len = BOUNCE_MAX;
		if (write) {
			iov_copy(s->iov, s->bounce, len, false);
			io_uring_prep_write(sqe, fd, s->bounce, len, off);
		} else {
			io_uring_prep_read(sqe, fd, s->bounce, len, off);
		}
	} else if (write) {
		io_uring_prep_writev(sqe, fd, s->iov, s->nr_iov, off);
	} else {
		io_uring_prep_readv(sqe, fd, s->iov, s->nr_iov, off);
	}
	/* 5.2.6.2: write-through: a completed write is on the disk */
	if (write && (!__atomic_load_n(&u->blk->config.wce, __ATOMIC_RELAXED) ||
		      !(u->blk->v.features & BIT(VIRTIO_BLK_F_FLUSH))))
		sqe->rw_flags = RWF_DSYNC;
}

static void prep_range(struct blk_user *u, struct blk_slot *s,
		       struct io_uring_sqe *sqe)
{
	const struct kvs_blk_range *r = &s->req.range[s->range];
	bool punch = s->req.op == KVS_BLK_DISCARD || r->unmap || s->punch;

	io_uring_prep_fallocate(sqe, u->blk->disk.fd, FALLOC_FL_KEEP_SIZE |
				(punch ? FALLOC_FL_PUNCH_HOLE :
				 FALLOC_FL_ZERO_RANGE),
				r->sector * KVS_SECTOR_SIZE,
				(uint64_t)r->nr * KVS_SECTOR_SIZE);
}

static void slot_submit(struct blk_user *u, struct blk_slot *s)
{
	/* as many entries as slots, one for each: never full */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	switch (s->req.op) {
	case KVS_BLK_READ:
	case KVS_BLK_WRITE:
		prep_rw(u, s, sqe);
		break;
	case KVS_BLK_FLUSH:
		io_uring_prep_fsync(sqe, u->blk->disk.fd,
				    IORING_FSYNC_DATASYNC);
		break;
	default:
		prep_range(u, s, sqe);
	}
	io_uring_sqe_set_data(sqe, s);
}

/* ---- completion ---- */

static void slot_finish(struct blk_user *u, struct blk_slot *s, uint8_t status)
{
	uint32_t len = s->req.written;

	if (s->req.op == KVS_BLK_READ)
		len = s->done;
	bounce_put(u, s);
	if (s->req.status_hva) {
		*(volatile uint8_t *)s->req.status_hva = status;
		len++;
	}
	soft_put(u->q, s->head, len);
}

enum progress { MORE, FINISHED, FAILED };

static enum progress rw_progress(struct blk_slot *s, int res)
{
	if (res <= 0)	/* 0: the file has become shorter */
		return FAILED;
	if (s->bounce && s->req.op == KVS_BLK_READ)
		iov_copy(s->iov, s->bounce, res, true);
	slot_advance(s, res);
	return s->done < s->req.len ? MORE : FINISHED;
}

static enum progress range_progress(struct blk_slot *s, int res)
{
	if (res == -EOPNOTSUPP && s->req.op == KVS_BLK_WRITE_ZEROES &&
	    !s->punch && !s->req.range[s->range].unmap) {
		s->punch = true;
		return MORE;
	}
	if (res < 0)
		return FAILED;
	return ++s->range < s->req.nr_range ? MORE : FINISHED;
}

static void slot_complete(struct blk_user *u, struct blk_slot *s, int res)
{
	enum progress p;

	if (res == -EINTR || res == -EAGAIN)
		p = MORE;
	else if (s->req.op == KVS_BLK_READ || s->req.op == KVS_BLK_WRITE)
		p = rw_progress(s, res);
	else if (s->req.op == KVS_BLK_FLUSH)
		p = res < 0 ? FAILED : FINISHED;
	else
		p = range_progress(s, res);

	if (p == MORE) {
		slot_submit(u, s);
		return;
	}
	u->inflight--;
	slot_finish(u, s, p == FINISHED ? VIRTIO_BLK_S_OK :
		    VIRTIO_BLK_S_IOERR);
}

/* Take what has completed, without a system call. */
static void reap(struct blk_user *u)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		struct blk_slot *s = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		slot_complete(u, s, res);
	}
}

/* Submit what was collected, and take what is done at once (page cache). */
static void submit_and_reap(struct blk_user *u)
{
	int ret;

	while (io_uring_sq_ready(&u->ring)) {
		ret = io_uring_submit(&u->ring);
		reap(u);
		if (ret < 0 && ret != -EINTR) {
			/* short of memory: in the next round */
			u->q->again = true;
			return;
		}
	}
}

static void blk_flush(struct soft_queue *q)
{
	submit_and_reap(q->ctx);
}

static void completions(void *ctx, uint32_t events)
{
	struct blk_user *u = ctx;

	(void)events;
	reap(u);
	submit_and_reap(u);
	soft_publish(u->q);
}

/* ---- requests ---- */

static enum soft_verdict blk_chain(struct soft_queue *q,
				   struct kvs_chain *chain)
{
	struct blk_user *u = q->ctx;
	struct blk_slot *s = &u->slot[chain->head];

	s->head = chain->head;
	s->done = 0;
	s->range = 0;
	s->punch = false;
	(void)kvs_blk_parse(&u->blk->limits, chain, &s->req);
	if (s->req.op == KVS_BLK_DONE) {
		slot_finish(u, s, s->req.status);
		return SOFT_TAKEN;
	}
	s->nr_iov = s->req.nr_iov;
	s->iov = s->iov_store;
	memcpy(s->iov, s->req.iov, s->nr_iov * sizeof(*s->iov));
	if ((s->req.op == KVS_BLK_READ || s->req.op == KVS_BLK_WRITE) &&
	    !aligned(u, s)) {
		if (!bounce_fits(u, s)) {
			/* nothing of the slot is kept; parsed anew next time */
			kvs_ring_unpop(&q->ring, s->head);
			u->bounce_wait = true;
			return SOFT_WAIT;
		}
		if (!bounce_get(u, s)) {
			slot_finish(u, s, VIRTIO_BLK_S_IOERR);
			return SOFT_TAKEN;
		}
	}
	u->inflight++;
	slot_submit(u, s);
	return SOFT_TAKEN;
}

/* Everything in flight ends: its buffers are guest memory. */
static void blk_drain(struct soft_queue *q)
{
	struct blk_user *u = q->ctx;

	while (u->inflight) {
		(void)io_uring_submit_and_wait(&u->ring, 1);
		reap(u);
	}
}

static const struct soft_queue_ops blk_ops = {
	.chain = blk_chain,
	.flush = blk_flush,
	.drain = blk_drain,
};

/* ---- life ---- */

/* The ring is no way around the system call filter: disk operations only. */
static int ring_restrict(struct io_uring *ring)
{
	static const uint8_t ops[] = {
		IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV,
		IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
	};
	struct io_uring_restriction r[sizeof(ops)] = { 0 };
	unsigned int i;

	for (i = 0; i < sizeof(ops); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = ops[i];
	}
	/* liburing 2.3 declares calls for these and does not export them */
	if (syscall(SYS_io_uring_register, ring->ring_fd,
		    IORING_REGISTER_RESTRICTIONS, r, sizeof(ops)) ||
	    syscall(SYS_io_uring_register, ring->ring_fd,
		    IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return -errno;
	return 0;
}

static int ring_create(struct blk_user *u)
{
	int ret;

	ret = io_uring_queue_init(BLK_QUEUE_MAX, &u->ring,
				  IORING_SETUP_R_DISABLED);
	if (ret)
		return vmm_err_class(u->blk->v.vm, EXIT_NO_BACKEND, ret,
				     "%s: backend user: io_uring: %s%s",
				     u->blk->name, strerror(-ret),
				     ret == -EPERM ?
				     " (sysctl kernel.io_uring_disabled?)" :
				     "");
	u->have_ring = true;
	u->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = u->done_fd < 0 ? -errno :
	      io_uring_register_eventfd(&u->ring, u->done_fd);
	ret = ret ?: ring_restrict(&u->ring);
	return ret ? vmm_err(u->blk->v.vm, ret, "%s: io_uring: %s",
			     u->blk->name, strerror(-ret)) : 0;
}

static int service_create(struct blk_user *u, unsigned int queue)
{
	struct blk_dev *blk = u->blk;
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "%.10s.%u", blk->name, queue);
	ret = soft_create(&blk->v, name, &u->soft);
	if (ret)
		return ret;
	ret = soft_add_queue(u->soft, &blk->v.vqs[queue], &blk_ops, u, &u->q);
	if (!ret)
		ret = soft_add_fd(u->soft, u->done_fd, EPOLLIN | EPOLLET,
				  completions, u);
	return ret ? vmm_err(blk->v.vm, ret, "%s: queue %u: %s", blk->name,
			     queue, strerror(-ret)) : 0;
}

int blk_user_create(struct blk_dev *blk, unsigned int queue,
		    struct blk_user **out)
{
	struct blk_user *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return vmm_err(blk->v.vm, -ENOMEM, "%s: out of memory",
			       blk->name);
	u->blk = blk;
	u->done_fd = -1;
	u->slot = calloc(BLK_QUEUE_MAX, sizeof(*u->slot));
	ret = u->slot ? ring_create(u) :
	      vmm_err(blk->v.vm, -ENOMEM, "%s: out of memory", blk->name);
	if (!ret)
		ret = service_create(u, queue);
	if (ret)
		blk_user_destroy(u);
	else
		*out = u;
	return ret;
}

void blk_user_destroy(struct blk_user *u)
{
	if (!u)
		return;
	soft_destroy(u->soft);
	if (u->have_ring)
		io_uring_queue_exit(&u->ring);
	if (u->done_fd >= 0)
		close(u->done_fd);
	free(u->slot);
	free(u);
}

int blk_user_start(struct blk_user *u)
{
	return soft_start(u->soft);
}

void blk_user_stop(struct blk_user *u)
{
	soft_stop(u->soft);
}
