// SPDX-License-Identifier: GPL-2.0-only
/*
 * H4: reads, writes and flushes of a block device, one bio each.
 *
 * The bio is part of the request and its vector is the request's own array of
 * pinned pages, so that nothing is allocated here; the block layer splits what
 * is larger than the device takes. Requests of one service go out under one
 * plug (blk_queue.c), where neighbours are merged.
 *
 * Bios pass below the device's page cache. Its writers are kept off by our
 * claim, but somebody may read it, and bounced requests may end up in there:
 * what it holds is written out before, and after a write it is dropped again
 * (kvs_blk_written()). While nobody uses it this costs a look at a counter.
 */
#include <linux/blkdev.h>
#include <linux/pagemap.h>
#include <linux/task_io_accounting_ops.h>

#include "blk.h"

/* Any context. */
static void bio_done(struct bio *bio)
{
	struct kvs_blk_io *io = container_of(bio, struct kvs_blk_io, bio);
	long result = io->len;

	if (unlikely(bio->bi_status)) {
		result = blk_status_to_errno(bio->bi_status);
		if (result == -EAGAIN && !io->again)
			WRITE_ONCE(io->q->full, true);
	}
	bio_uninit(bio);
	kvs_blk_io_done(io, result);
}

/**
 * kvs_blk_sync_cache() - write out what the page cache has of a range
 * @disk: a block device
 * @pos: in bytes
 * @len: in bytes
 * @drop: the range is about to change, or did: drop it, too
 *
 * Context: may sleep. Return: 0; -EBUSY when a page cannot be dropped; an
 * error of the writing.
 */
int kvs_blk_sync_cache(const struct kvs_blk_disk *disk, loff_t pos, u64 len,
		       bool drop)
{
	struct address_space *mapping = disk->file->f_mapping;
	loff_t end = pos + len - 1;
	int ret;

	if (likely(!READ_ONCE(mapping->nrpages)))
		return 0;
	ret = filemap_write_and_wait_range(mapping, pos, end);
	if (ret || !drop)
		return ret;
	return invalidate_inode_pages2_range(mapping, pos >> PAGE_SHIFT,
					     end >> PAGE_SHIFT);
}

static blk_opf_t bio_opf(const struct kvs_blk_io *io)
{
	switch (io->op) {
	case KVS_BLK_READ:
		return REQ_OP_READ;
	case KVS_BLK_FLUSH:
		return REQ_OP_WRITE | REQ_SYNC | REQ_PREFLUSH;
	default:
		return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
		       (io->sync ? REQ_FUA : 0);
	}
}

/**
 * kvs_blk_bio_submit() - begin a read, write or flush of a block device
 * @io: filled; its pages are pinned, and aligned as the device wants them
 * @flags: REQ_NOWAIT: it is refused where it would have to wait; REQ_POLLED
 *
 * Context: may sleep; with REQ_POLLED the queue's worker.
 * Return: false when the page cache is in the way: nothing has begun.
 */
bool kvs_blk_bio_submit(struct kvs_blk_io *io, blk_opf_t flags)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);
	struct bio *bio = &io->bio;

	/* It may have been made so since; not every kernel refuses the bio. */
	if (io->op == KVS_BLK_WRITE && unlikely(bdev_read_only(disk->bdev))) {
		kvs_blk_io_done(io, -EPERM);
		return true;
	}
	if (kvs_blk_sync_cache(disk, io->sector << KVS_SECTOR_SHIFT,
			       io->len ?: disk->lim.capacity << KVS_SECTOR_SHIFT,
			       io->op == KVS_BLK_WRITE))
		return false;
	bio_init(bio, disk->bdev, io->bvec, io->nr_bvec, bio_opf(io) | flags);
	bio->bi_vcnt = io->nr_bvec;
	bio->bi_iter.bi_sector = io->sector;
	bio->bi_iter.bi_size = io->len;
	bio->bi_end_io = bio_done;
	io->nowait = flags & REQ_NOWAIT;
	if (flags & REQ_POLLED)
		list_add_tail(&io->list, &io->q->polled);
	submit_bio(bio);
	return true;
}

/*
 * Would the block layer cut it? It never does that to a bio that must not
 * wait, and refuses it. What this overlooks is found out by a refusal.
 */
static bool bio_is_cut(const struct kvs_blk_io *io,
		       const struct queue_limits *lim)
{
	u32 sectors = io->len >> KVS_SECTOR_SHIFT;

	if (likely(io->len <= PAGE_SIZE && io->nr_bvec <= 1))
		return false;
	return sectors > lim->max_sectors ||
	       io->nr_bvec + io->len / lim->max_segment_size >
	       lim->max_segments ||
	       (lim->chunk_sectors && io->sector / lim->chunk_sectors !=
		(io->sector + sectors - 1) / lim->chunk_sectors);
}

/**
 * kvs_blk_bio_start() - kvs_blk_bio_submit() that does not wait for the disk
 * @io: as there
 *
 * It waits only where the device cannot do without. What it refuses comes back
 * through @io->q->done with -EAGAIN, and @io->q->full is set if another try has
 * a chance. Stacked devices cut by rules of their own, or not at all: they are
 * asked.
 *
 * Context: the queue's worker, may sleep.
 * Return: as there.
 */
bool kvs_blk_bio_start(struct kvs_blk_io *io)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);
	struct request_queue *rq = bdev_get_queue(disk->bdev);
	blk_opf_t flags = 0;

	if (io->op == KVS_BLK_WRITE && !io->again)
		task_io_account_write(io->len);
	if (bdev_nowait(disk->bdev)) {
		flags = REQ_NOWAIT;
		if (unlikely(bio_is_cut(io, &rq->limits))) {
			io->again = true;
			if (queue_is_mq(rq)) {
				kvs_blk_io_defer(io);
				return true;
			}
		}
	}
	if (disk->polled && io->op != KVS_BLK_FLUSH)
		flags |= REQ_POLLED;
	return kvs_blk_bio_submit(io, flags);
}

/* Looks at the device's queue before others have their turn. */
#define POLL_LOOKS 64

/**
 * kvs_blk_bio_poll() - find completions that nobody will announce
 * @q: its oldest bio with the driver is polled for, so that each has its turn,
 *	whatever hardware queue it is in
 *
 * Some are not with the driver yet, while younger ones are: a scheduler sorts.
 * Of bios that were merged the first sector's has the cookie.
 *
 * Context: the queue's worker, without a plug. A bio that the block layer
 * decided to announce after all (it was split) is found in @q->done like others.
 */
void kvs_blk_bio_poll(struct kvs_blkq *q)
{
	struct kvs_blk_io *io;
	int i;

	list_for_each_entry(io, &q->polled, list)
		if (READ_ONCE(io->bio.bi_cookie) != BLK_QC_T_NONE)
			break;
	if (list_entry_is_head(io, &q->polled, list))
		return;
	for (i = 0; i < POLL_LOOKS && llist_empty(&q->done); i++)
		bio_poll(&io->bio, NULL, BLK_POLL_ONESHOT);
}

/* A write has ended: what was read into the page cache meanwhile is stale. */
void kvs_blk_written(const struct kvs_blk_io *io)
{
	const struct kvs_blk_disk *disk = kvs_blk_io_disk(io);

	if (disk->bdev)
		kvs_blk_sync_cache(disk, io->sector << KVS_SECTOR_SHIFT,
				   io->len, true);
}
