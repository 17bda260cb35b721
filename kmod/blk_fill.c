// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: the slot of a request filled, with its pages pinned, and emptied.
 *
 * Like all of blk_queue.c: in the queue's worker, under vq->lock.
 */
#include "blk.h"
#include "pin.h"

static int io_extra(struct kvs_blk_io *io, size_t bytes)
{
	io->extra = kvs_blk_room_get(&io->q->room, bytes);
	io->extra_len = bytes;
	return io->extra ? 0 : -EAGAIN;
}

/* Room for the request's pages and segments. */
static int io_room(struct kvs_blk_io *io, u32 nr_vec, u32 nr_seg)
{
	size_t vecs = nr_vec * sizeof(struct bio_vec);
	int ret;

	io->bvec = io->inline_vec;
	io->seg = io->inline_seg;
	io->extra = NULL;
	if (nr_vec <= KVS_BLK_INLINE_VECS && nr_seg <= KVS_BLK_INLINE_SEGS)
		return 0;
	ret = io_extra(io, vecs + nr_seg * sizeof(struct kvs_seg));
	if (ret)
		return ret;
	io->bvec = io->extra;
	io->seg = io->extra + vecs;
	return 0;
}

static int io_fill_rw(struct kvs_blk_io *io, const struct kvs_blk_req *req,
		      const struct kvs_chain *chain)
{
	bool read = req->op == KVS_BLK_READ;
	u32 max = kvs_pin_max(req->nr_iov, req->len);
	int ret;

	if (req->len > KVASIR_BLK_MAX_BYTES)
		return -EFBIG;
	io->nr_seg = read ? chain->nr_in : 0;
	ret = io_room(io, max, io->nr_seg);
	if (ret)
		return ret;
	memcpy(io->seg, chain->seg + chain->nr_out,
	       io->nr_seg * sizeof(*io->seg));
	ret = kvs_pin_iov(req->iov, req->nr_iov, read, io->bvec, max);
	if (ret < 0)
		return ret;
	io->nr_bvec = ret;
	return 0;
}

static int io_fill_ranges(struct kvs_blk_io *io, const struct kvs_blk_req *req)
{
	size_t bytes = req->nr_range * sizeof(req->range[0]);
	int ret;

	ret = io_extra(io, bytes);
	if (ret)
		return ret;
	io->range = memcpy(io->extra, req->range, bytes);
	io->nr_range = req->nr_range;
	return 0;
}

/**
 * kvs_blk_io_fill() - turn a parsed request into one for the host
 * @io: its slot
 * @q: its queue; the request is in @q->req and the queue's chain
 * @head: the chain's
 *
 * Return: 0 or -errno, and kvs_blk_io_release() is due; or -EAGAIN: nothing is
 * held, requests in flight hold what it needs
 */
int kvs_blk_io_fill(struct kvs_blk_io *io, struct kvs_blkq *q, u16 head)
{
	const struct kvs_blk_req *req = &q->req;

	io->q = q;
	io->op = req->op;
	io->head = head;
	INIT_LIST_HEAD(&io->list);
	io->nowait = false;
	io->again = false;
	io->sync = !READ_ONCE(q->blk->writeback) ||
		   !kvs_vq_has(q->vq, VIRTIO_BLK_F_FLUSH);
	io->len = req->len;
	/* A flush is of all; its header may say anything. */
	io->sector = req->op == KVS_BLK_FLUSH ? 0 : req->sector;
	io->has_status = req->status_hva;
	io->status_gpa = req->status_gpa;
	io->nr_bvec = 0;
	io->extra = NULL;
	switch (req->op) {
	case KVS_BLK_READ:
	case KVS_BLK_WRITE:
		return io_fill_rw(io, req, q->vq->chain);
	case KVS_BLK_DISCARD:
	case KVS_BLK_WRITE_ZEROES:
	case KVS_BLK_SECURE_ERASE:
		return io_fill_ranges(io, req);
	default:
		return 0;
	}
}

/* Release what the request holds in host memory. */
void kvs_blk_io_release(struct kvs_blk_io *io)
{
	kvs_unpin(io->bvec, io->nr_bvec, io->op == KVS_BLK_READ);
	io->nr_bvec = 0;
	if (io->extra)
		kvs_blk_room_put(&io->q->room, io->extra, io->extra_len);
	io->extra = NULL;
}
