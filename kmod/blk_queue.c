// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: the requests of one queue, from chain to status byte.
 *
 * Everything here runs in the queue's worker under vq->lock. A request is
 * parsed (blk_parse.c), its slot is filled (blk_fill.c), it is submitted
 * (blk_io.c); when it comes back through @done it is logged, released, answered
 * and put.
 */
#include <linux/blkdev.h>
#include <linux/slab.h>

#include "blk.h"
#include "trace.h"

static bool io_moves_data(const struct kvs_blk_io *io)
{
	return io->op == KVS_BLK_READ || io->op == KVS_BLK_WRITE;
}

static u8 status_of(const struct kvs_blk_io *io)
{
	/* A short transfer is no transfer: the file ended under us. */
	if (io_moves_data(io))
		return io->result == io->len ? VIRTIO_BLK_S_OK :
					       VIRTIO_BLK_S_IOERR;
	if (io->result == -EOPNOTSUPP && io->op != KVS_BLK_FLUSH)
		return VIRTIO_BLK_S_UNSUPP;
	return io->result < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

/* Write the status byte where the memory table has it now. */
static bool put_status(struct kvs_vq *vq, u64 gpa, u8 status)
{
	u8 __user *hva = kvs_mem_hit(vq->mem, &vq->ring.hint, gpa, 1);

	if (!hva || kvs_store(hva, &status, 1))
		return false;
	kvs_log_write(vq, gpa, 1);
	return true;
}

/*
 * Answer a request and give its chain back.
 * @written: bytes of data before the status byte
 *
 * Without room for a status the driver sees nothing written.
 */
static void answer(struct kvs_vq *vq, u16 head, bool has_status, u64 gpa,
		   u8 status, u32 written)
{
	bool told = has_status && put_status(vq, gpa, status);

	if (!told || status != VIRTIO_BLK_S_OK)
		kvs_count(vq, KVASIR_C_ERRORS, 1);
	kvs_vq_put(vq, head, told ? written + 1 : 0);
}

static void count_request(struct kvs_vq *vq, const struct kvs_blk_io *io)
{
	kvs_count(vq, KVASIR_C_REQUESTS, 1);
	switch (io->op) {
	case KVS_BLK_READ:
		kvs_count(vq, KVASIR_C_READS, 1);
		kvs_count(vq, KVASIR_C_BYTES_OUT, max(io->result, 0L));
		break;
	case KVS_BLK_WRITE:
		kvs_count(vq, KVASIR_C_WRITES, 1);
		kvs_count(vq, KVASIR_C_BYTES_IN, max(io->result, 0L));
		break;
	case KVS_BLK_FLUSH:
		kvs_count(vq, KVASIR_C_FLUSHES, 1);
		break;
	default:
		kvs_count(vq, KVASIR_C_DISCARDS, 1);
		break;
	}
}

/* There may be room now for what waits in the ring. */
static void feed(struct kvs_blkq *q)
{
	if (likely(!q->starved))
		return;
	q->starved = false;
	WRITE_ONCE(q->full, false);
	kvs_vq_kick(q->vq);
}

/* One request has come back from the host. */
static void io_complete(struct kvs_blkq *q, struct kvs_blk_io *io)
{
	struct kvs_vq *vq = q->vq;
	u8 status = status_of(io);
	u32 written = io->op == KVS_BLK_READ ? io->len : 0;

	trace_kvasir_req_complete(vq, io->head, io->result);
	count_request(vq, io);
	/* Also after an error some bytes may have been written. */
	if (io->op == KVS_BLK_READ && kvs_logging(vq))
		kvs_log_segs(vq, io->seg, io->nr_seg, U64_MAX);
	if (io->op == KVS_BLK_WRITE)
		kvs_blk_written(io);
	if (io_moves_data(io)) {
		list_del_init(&io->list);
		q->pinned -= io->len;
	}
	kvs_blk_io_release(io);
	feed(q);
	if (status != VIRTIO_BLK_S_OK)
		written = 0;
	answer(vq, io->head, io->has_status, io->status_gpa, status, written);
}

/*
 * Did the device refuse the request because it would have had to wait, or
 * because it does not know how not to (it did when it was asked)?
 */
static bool io_refused(const struct kvs_blk_io *io)
{
	return io->nowait &&
	       (io->result == -EAGAIN || io->result == -EOPNOTSUPP);
}

/* It has another try when one of ours completes; then a thread waits for it. */
static void io_refuse(struct kvs_blkq *q, struct kvs_blk_io *io)
{
	trace_kvasir_req_refused(q->vq, io->head);
	kvs_count(q->vq, KVASIR_C_DISK_BUSY, 1);
	list_del_init(&io->list);
	if (io->again || io->result != -EAGAIN) {
		kvs_blk_io_defer(io);
		return;
	}
	io->again = true;
	list_add_tail(&io->list, &q->refused);
	q->nr_refused++;
}

/*
 * There are refused requests. @room: some of ours have completed since.
 *
 * While one of ours is with the disk, its completion leads here again. With
 * none the disk is full of others' requests, and a thread waits for it.
 */
static void retry(struct kvs_blkq *q, bool room)
{
	struct kvs_blk_io *io;

	if (!room && q->vq->ring.inflight != q->nr_refused)
		return;
	WRITE_ONCE(q->full, false);
	do {
		io = list_first_entry(&q->refused, struct kvs_blk_io, list);
		list_del_init(&io->list);
		q->nr_refused--;
		if (!room) {
			kvs_blk_io_defer(io);
			return;
		}
		kvs_blk_io_submit(io);
	} while (!READ_ONCE(q->full) && !list_empty(&q->refused));
}

/* Take back what has completed. Returns how many. */
static u32 reap(struct kvs_blkq *q)
{
	struct llist_node *list = llist_del_all(&q->done);
	struct kvs_blk_io *io, *next;
	u32 n = 0;

	list = llist_reverse_order(list);
	llist_for_each_entry_safe(io, next, list, done) {
		if (unlikely(io->result < 0) && io_refused(io)) {
			io_refuse(q, io);
			continue;
		}
		io_complete(q, io);
		n++;
		cond_resched();
	}
	if (unlikely(!list_empty(&q->refused)))
		retry(q, n);
	return n;
}

/*
 * Before the service ends: what completed while it went on, much of it in
 * submit_bio(). Later completions have the queue served again.
 */
static void reap_last(struct kvs_blkq *q)
{
	do {
		WRITE_ONCE(q->reaping, true);
		reap(q);
		kvs_vq_publish(q->vq);
		WRITE_ONCE(q->reaping, false);
		/* pairs with llist_add() in kvs_blk_io_done() */
		smp_mb();
	} while (!llist_empty(&q->done));
}

/* Answer the request in vq->chain without asking the host. */
static void answer_now(struct kvs_blkq *q)
{
	const struct kvs_blk_req *req = &q->req;
	struct kvs_vq *vq = q->vq;
	struct kvs_chain *c = vq->chain;

	trace_kvasir_req_complete(vq, c->head, req->status ? -EIO : 0);
	kvs_count(vq, KVASIR_C_REQUESTS, 1);
	if (kvs_logging(vq))
		kvs_log_segs(vq, c->seg + c->nr_out, c->nr_in, req->written);
	answer(vq, c->head, req->status_hva, req->status_gpa, req->status,
	       req->written);
}

/*
 * Start the request in vq->chain, or answer it at once.
 * Return: bytes it moves, or -EAGAIN when requests in flight hold what it needs;
 * the chain was given back to the ring then, and feed() will see to it.
 */
static long issue(struct kvs_blkq *q)
{
	struct kvs_vq *vq = q->vq;
	struct kvs_blk_req *req = &q->req;
	u16 head = vq->chain->head;
	struct kvs_blk_io *io = &q->io[head];
	int ret = 0;

	kvs_blk_parse(&q->blk->disk.lim, vq->chain, req);
	if (req->op != KVS_BLK_DONE)
		ret = q->pinned && q->pinned + req->len > KVS_BLK_MAX_PINNED ?
		      -EAGAIN : kvs_blk_io_fill(io, q, head);
	if (ret == -EAGAIN) {
		q->starved = true;
		kvs_ring_unpop(&vq->ring, head);
		return ret;
	}
	trace_kvasir_req_issue(vq, head, req->type, req->sector, req->len);
	if (ret) {
		kvs_blk_io_release(io);
		req->op = KVS_BLK_DONE;
		req->status = VIRTIO_BLK_S_IOERR;
	}
	if (req->op == KVS_BLK_DONE) {
		answer_now(q);
		return 0;
	}
	/* Once submitted it is somebody else's. */
	q->pinned += req->len;
	kvs_blk_io_submit(io);
	return req->len;
}

/*
 * So many requests go to the disk together. A disk that is done when
 * submit_bio() returns would otherwise keep the driver waiting for the last of
 * a long row, and be idle itself while the driver then looks at all of them.
 */
#define PART 16

/* Take back what the last part has completed already. */
static void next_part(struct kvs_blkq *q, struct blk_plug *plug)
{
	blk_finish_plug(plug);
	if (reap(q))
		kvs_vq_publish(q->vq);
	blk_start_plug(plug);
}

/*
 * Take new requests until the ring is empty, the disk full or the budget spent.
 * Return: whether a kick is to be asked for.
 */
static bool run(struct kvs_blkq *q, struct blk_plug *plug)
{
	struct kvs_vq *vq = q->vq;
	u32 taken, bytes = 0;
	long moved;
	int ret;

	for (taken = 0; taken < KVS_BLK_BUDGET; taken++) {
		if (bytes >= KVS_BLK_BUDGET_BYTES)
			break;
		if (taken && taken % PART == 0)
			next_part(q, plug);
		if (unlikely(READ_ONCE(q->full))) {
			q->starved = true;	/* see feed() */
			return false;
		}
		ret = kvs_vq_pop(vq);
		if (ret == KVS_POP_EMPTY)
			return true;
		if (ret == KVS_POP_REFUSED) {
			if (kvs_vq_put(vq, vq->chain->head, 0))
				return false;
			continue;
		}
		moved = issue(q);
		if (moved < 0)
			return false;
		bytes += moved;
	}
	kvs_count(vq, KVASIR_C_BUDGET, 1);
	kvs_vq_kick(vq);
	return false;
}

void kvs_blkq_service(struct kvs_work *work)
{
	struct kvs_vq *vq = container_of(work, struct kvs_vq, service);
	struct kvs_blkq *q = container_of(vq->dev, struct kvs_blk, dev)->q +
			     vq->index;
	struct blk_plug plug;
	bool empty = false;

	mutex_lock(&vq->lock);
	if (!vq->worker)
		goto out;
	kvs_count(vq, KVASIR_C_WAKEUPS, 1);
	trace_kvasir_service_begin(vq);
	kvs_poll_end(vq);
	WRITE_ONCE(q->reaping, true);
	kvs_blk_bio_poll(q);
	/* First what is done: one call for the batch, while new work waits. */
	if (reap(q))
		kvs_vq_publish(vq);
	if (vq->running) {
		kvs_vq_disarm(vq);
		blk_start_plug(&plug);
		empty = run(q, &plug);
		blk_finish_plug(&plug);
	}
	reap_last(q);
	/* Not before: what comes while this is busy needs no kick. */
	if (!list_empty(&q->polled) || (empty && kvs_vq_arm(vq)))
		kvs_vq_kick(vq);
	trace_kvasir_service_end(vq);
	if (!vq->running && !vq->ring.inflight)
		wake_up(&q->idle);
out:
	mutex_unlock(&vq->lock);
}

static void blkq_free(struct kvs_blkq *q)
{
	kvs_blk_room_deinit(&q->room);
	kvfree(q->io);
	q->io = NULL;
}

/**
 * kvs_blkq_start() - serve the queue on the device's disk
 * @q: configured and stopped
 *
 * Context: the owner's, under dev->lock. Return: 0 or -errno.
 */
int kvs_blkq_start(struct kvs_blkq *q)
{
	int ret;

	q->io = kvcalloc(q->vq->cfg.num, sizeof(*q->io), GFP_KERNEL_ACCOUNT);
	if (!q->io)
		return -ENOMEM;
	ret = kvs_blk_room_init(&q->room, q->vq->cfg.num);
	if (ret)
		goto err_free;
	q->starved = false;
	init_llist_head(&q->done);
	INIT_LIST_HEAD(&q->polled);
	INIT_LIST_HEAD(&q->refused);
	q->nr_refused = 0;
	q->full = false;
	q->pinned = 0;
	ret = kvs_vq_start(q->vq);
	if (ret)
		goto err_free;
	return 0;

err_free:
	blkq_free(q);
	return ret;
}

/**
 * kvs_blkq_drain() - wait for what is in flight
 * @q: quiesced, or not running
 * @limit: jiffies to wait, what is left of them afterwards; NULL: as long as
 *	the host device needs
 *
 * Context: under dev->lock.
 * Return: 0; with @limit also -ETIMEDOUT, or -EINTR by a fatal signal.
 */
int kvs_blkq_drain(struct kvs_blkq *q, long *limit)
{
	long left;

	if (!q->io)
		return 0;
	if (!limit) {
		wait_event_idle(q->idle, !READ_ONCE(q->vq->ring.inflight));
		return 0;
	}
	left = wait_event_killable_timeout(q->idle,
					   !READ_ONCE(q->vq->ring.inflight),
					   *limit);
	if (left <= 0)
		return left ? -EINTR : -ETIMEDOUT;
	*limit = left;
	return 0;
}

/**
 * kvs_blkq_stop() - let go of a drained queue
 * @q: running or not
 *
 * Context: under dev->lock, an RCU grace period after kvs_blkq_drain(), so
 * that no io_done() is between giving up its request and queuing the worker.
 */
void kvs_blkq_stop(struct kvs_blkq *q)
{
	if (!q->io)
		return;
	kvs_worker_flush(q->vq->worker);
	kvs_vq_stop(q->vq);
	blkq_free(q);
}
