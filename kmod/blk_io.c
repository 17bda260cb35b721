// SPDX-License-Identifier: GPL-2.0-only
/*
 * H4: one request on the host file or block device.
 *
 * Reads and writes of a file go as asynchronous direct I/O on the pinned guest
 * pages, those of a block device as bios (blk_bio.c); both complete in whatever
 * context the device completes in. What needs bounce pages or the page cache (a
 * file system without direct I/O), or must block (discard, write-zeroes, flush
 * of a file, a bio to be cut), runs on the device's workqueue. Either way the end is
 * kvs_blk_io_done(): the request goes to its queue's list, and the worker is
 * woken if it sleeps.
 */
#include <linux/blkdev.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>

#include "blk.h"

/**
 * kvs_blk_io_done() - the end of a request on the host's side
 * @io: submitted
 * @result: bytes moved, or -errno
 *
 * From llist_add() on the request is the worker's, and nothing of ours keeps
 * the queue alive but the read-side section: kvs_blkq_stop() waits for it before
 * it lets go of the worker. A worker that is about to look by itself is not
 * asked to: llist_add() is a full barrier, which pairs with the one in
 * kvs_blkq_service().
 *
 * Context: any.
 */
void kvs_blk_io_done(struct kvs_blk_io *io, long result)
{
	struct kvs_blkq *q = io->q;

	io->result = result;
	rcu_read_lock();
	if (llist_add(&io->done, &q->done) && !READ_ONCE(q->reaping))
		kvs_vq_kick(q->vq);
	rcu_read_unlock();
}

/* The end of what went on by itself. */
static void io_iocb_done(struct kiocb *iocb, long result)
{
	struct kvs_blk_io *io = container_of(iocb, struct kvs_blk_io, iocb);

	if (io->op == KVS_BLK_WRITE)
		kiocb_end_write(iocb);
	kvs_blk_io_done(io, result);
}

static void io_prepare(const struct kvs_blk_io *io, struct kiocb *iocb)
{
	init_sync_kiocb(iocb, kvs_blk_io_disk(io)->file);
	iocb->ki_flags &= ~(IOCB_DIRECT | IOCB_APPEND);
	iocb->ki_pos = io->sector << KVS_SECTOR_SHIFT;
	if (io->sync)
		iocb->ki_flags |= IOCB_DSYNC;
}

/* Read or write the pinned pages; -EIOCBQUEUED when it goes on by itself. */
static long io_transfer(struct kvs_blk_io *io, struct kiocb *iocb)
{
	struct iov_iter iter;

	if (io->op == KVS_BLK_READ) {
		iov_iter_bvec(&iter, ITER_DEST, io->bvec, io->nr_bvec, io->len);
		return vfs_iocb_iter_read(iocb->ki_filp, iocb, &iter);
	}
	iov_iter_bvec(&iter, ITER_SOURCE, io->bvec, io->nr_bvec, io->len);
	return kvs_iocb_write(iocb, &iter);
}

/* Returns false when the file system has rules of its own and declined. */
static bool io_direct(struct kvs_blk_io *io)
{
	long ret;

	io_prepare(io, &io->iocb);
	io->iocb.ki_flags |= IOCB_DIRECT;
	io->iocb.ki_complete = io_iocb_done;
	ret = io_transfer(io, &io->iocb);
	if (ret == -EIOCBQUEUED)
		return true;
	if (ret == -EINVAL)
		return false;
	kvs_blk_io_done(io, ret);
	return true;
}

#define BOUNCE_PAGES	16

/* Move one stretch between bounce pages and disk, directly, and wait. */
static long bounce_transfer(struct kvs_blk_io *io, struct bio_vec *bvec,
			    u32 done, u32 len)
{
	struct iov_iter iter;
	struct kiocb iocb;

	io_prepare(io, &iocb);
	iocb.ki_flags |= IOCB_DIRECT;
	iocb.ki_pos += done;
	iov_iter_bvec(&iter, io->op == KVS_BLK_READ ? ITER_DEST : ITER_SOURCE,
		      bvec, DIV_ROUND_UP(len, PAGE_SIZE), len);
	return io->op == KVS_BLK_READ ?
	       vfs_iocb_iter_read(iocb.ki_filp, &iocb, &iter) :
	       kvs_iocb_write(&iocb, &iter);
}

/* Move one stretch between the guest's pages and the bounce pages. */
static void bounce_copy(struct kvs_blk_io *io, struct iov_iter *guest,
			struct bio_vec *bvec, u32 len)
{
	u32 i, part;

	for (i = 0; len; i++, len -= part) {
		part = min_t(u32, len, PAGE_SIZE);
		if (io->op == KVS_BLK_READ)
			copy_page_to_iter(bvec[i].bv_page, 0, part, guest);
		else
			copy_page_from_iter(bvec[i].bv_page, 0, part, guest);
	}
}

/*
 * Direct I/O for buffers the device cannot take as they are. Never through
 * the page cache: a page written back from there would undo direct writes to
 * neighbouring sectors.
 */
static long io_bounced(struct kvs_blk_io *io)
{
	struct bio_vec bvec[BOUNCE_PAGES];
	struct iov_iter guest;
	u32 done = 0, nr, len, i;
	long ret = 0;

	for (nr = 0; nr < BOUNCE_PAGES; nr++) {
		bvec[nr].bv_page = alloc_page(GFP_KERNEL);
		bvec[nr].bv_len = PAGE_SIZE;
		bvec[nr].bv_offset = 0;
		if (!bvec[nr].bv_page) {
			ret = -ENOMEM;
			goto out;
		}
	}
	iov_iter_bvec(&guest, io->op == KVS_BLK_READ ? ITER_DEST : ITER_SOURCE,
		      io->bvec, io->nr_bvec, io->len);
	while (done < io->len) {
		len = min_t(u32, io->len - done, BOUNCE_PAGES * PAGE_SIZE);
		if (io->op == KVS_BLK_WRITE)
			bounce_copy(io, &guest, bvec, len);
		ret = bounce_transfer(io, bvec, done, len);
		if (ret != len)
			break;
		if (io->op == KVS_BLK_READ)
			bounce_copy(io, &guest, bvec, len);
		done += len;
	}
out:
	for (i = 0; i < nr; i++)
		__free_page(bvec[i].bv_page);
	return done == io->len ? done : ret < 0 ? ret : -EIO;
}

static long io_buffered(struct kvs_blk_io *io)
{
	struct kiocb iocb;

	io_prepare(io, &iocb);
	return io_transfer(io, &iocb);
}

/* The queue is being stopped: long work ends with an error. */
static bool io_unwanted(const struct kvs_blk_io *io)
{
	return !READ_ONCE(io->q->vq->running);
}

/* Zeroes by writing them, where the file cannot make them otherwise. */
static long zero_by_writing(const struct kvs_blk_io *io, loff_t pos, u64 len)
{
	struct bio_vec bvec = { .bv_page = ZERO_PAGE(0) };
	struct iov_iter iter;
	struct kiocb iocb;
	long ret;

	while (len) {
		if (io_unwanted(io))
			return -EINTR;
		bvec.bv_len = min_t(u64, len, PAGE_SIZE);
		io_prepare(io, &iocb);
		iocb.ki_pos = pos;
		iov_iter_bvec(&iter, ITER_SOURCE, &bvec, 1, bvec.bv_len);
		ret = kvs_iocb_write(&iocb, &iter);
		if (ret <= 0)
			return ret ?: -EIO;
		pos += ret;
		len -= ret;
		cond_resched();
	}
	return 0;
}

/* Like bios these pass below the page cache. */
static long bdev_range(const struct kvs_blk_io *io,
		       const struct kvs_blk_range *r)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);
	loff_t pos = r->sector << KVS_SECTOR_SHIFT;
	u64 len = (u64)r->nr << KVS_SECTOR_SHIFT;
	long ret;

	ret = kvs_blk_sync_cache(disk, pos, len, true);
	if (ret)
		return ret;
	switch (io->op) {
	case KVS_BLK_DISCARD:
		ret = blkdev_issue_discard(disk->bdev, r->sector, r->nr,
					   GFP_KERNEL);
		break;
	case KVS_BLK_SECURE_ERASE:
		ret = blkdev_issue_secure_erase(disk->bdev, r->sector, r->nr,
						GFP_KERNEL);
		break;
	default:
		ret = blkdev_issue_zeroout(disk->bdev, r->sector, r->nr,
					   GFP_KERNEL,
					   r->unmap ? 0 : BLKDEV_ZERO_NOUNMAP);
		break;
	}
	return ret ?: kvs_blk_sync_cache(disk, pos, len, true);
}

static long file_range(const struct kvs_blk_io *io,
		       const struct kvs_blk_range *r)
{
	bool punch = io->op == KVS_BLK_DISCARD || r->unmap;
	loff_t pos = r->sector << KVS_SECTOR_SHIFT;
	u64 len = (u64)r->nr << KVS_SECTOR_SHIFT;
	long ret;

	ret = vfs_fallocate(kvs_blk_io_disk(io)->file, FALLOC_FL_KEEP_SIZE |
			    (punch ? FALLOC_FL_PUNCH_HOLE :
				     FALLOC_FL_ZERO_RANGE), pos, len);
	if (ret == -EOPNOTSUPP && io->op == KVS_BLK_WRITE_ZEROES)
		ret = zero_by_writing(io, pos, len);
	return ret;
}

static long io_ranges(struct kvs_blk_io *io)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);
	long ret = 0;
	u32 i;

	for (i = 0; i < io->nr_range && !ret; i++) {
		if (!io->range[i].nr)
			continue;
		if (io_unwanted(io))
			return -EINTR;
		ret = disk->bdev ? bdev_range(io, &io->range[i]) :
				   file_range(io, &io->range[i]);
	}
	if (!ret && io->sync)
		ret = vfs_fsync(disk->file, 1);
	return ret;
}

static long io_blocking(struct kvs_blk_io *io)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);
	long ret = -EINVAL;

	switch (io->op) {
	case KVS_BLK_READ:
	case KVS_BLK_WRITE:
		if (disk->direct)
			ret = io_bounced(io);
		return ret == -EINVAL ? io_buffered(io) : ret;
	case KVS_BLK_FLUSH:
		return vfs_fsync(disk->file, 1);
	default:
		return io_ranges(io);
	}
}

/* Can the device take the request as it is? */
static bool io_aligned(const struct kvs_blk_io *io)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);
	u32 offsets = 0, lengths = 0, i;

	for (i = 0; i < io->nr_bvec; i++) {
		offsets |= io->bvec[i].bv_offset;
		lengths |= io->bvec[i].bv_len;
	}
	return !(offsets & (disk->mem_align - 1)) &&
	       !(lengths & (disk->pos_align - 1));
}

/* Can it be a bio? */
static bool io_suits_bio(const struct kvs_blk_io *io)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);

	switch (io->op) {
	case KVS_BLK_READ:
	case KVS_BLK_WRITE:
		return disk->bdev && disk->direct && io_aligned(io);
	case KVS_BLK_FLUSH:
		return disk->bdev;
	default:
		return false;
	}
}

/* The thread is the host's; I/O and memory are the owner's. */
static void io_work(struct work_struct *work)
{
	struct kvs_blk_io *io = container_of(work, struct kvs_blk_io, work);
	struct kvs_blk *blk = io->q->blk;
	struct mem_cgroup *old = set_active_memcg(blk->memcg);

	kthread_associate_blkcg(blk->blkcg);
	/* A bio may wait for the device here, and goes on by itself. */
	if (!io_suits_bio(io) || !kvs_blk_bio_submit(io, 0))
		kvs_blk_io_done(io, io_blocking(io));
	kthread_associate_blkcg(NULL);
	set_active_memcg(old);
}

/* Let a thread of the host do what may block. */
void kvs_blk_io_defer(struct kvs_blk_io *io)
{
	io->nowait = false;
	INIT_WORK(&io->work, io_work);
	queue_work(io->q->blk->wq, &io->work);
}

/* Begin what can go on by itself. Returns false for the rest. */
static bool io_start(struct kvs_blk_io *io)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);

	switch (io->op) {
	case KVS_BLK_READ:
	case KVS_BLK_WRITE:
		if (disk->direct && io_aligned(io) &&
		    (disk->bdev ? kvs_blk_bio_start(io) : io_direct(io)))
			return true;
		kvs_count(io->q->vq, KVASIR_C_BOUNCED, 1);
		return false;
	case KVS_BLK_FLUSH:
		return disk->bdev && kvs_blk_bio_start(io);
	default:
		return false;
	}
}

/**
 * kvs_blk_io_submit() - begin a request
 * @io: filled; its pages are pinned
 *
 * Context: the queue's worker, may sleep. The request may be complete, and in
 * the hands of the next caller of llist_del_all(), before this returns.
 */
void kvs_blk_io_submit(struct kvs_blk_io *io)
{
	if (!io_start(io))
		kvs_blk_io_defer(io);
}
