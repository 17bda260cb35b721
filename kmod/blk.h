/* SPDX-License-Identifier: GPL-2.0-only */
/* H3/H4: a virtio-blk device with many queues on one disk. */
#ifndef KVS_BLK_H
#define KVS_BLK_H

#include <linux/bio.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>

#include "blk_parse.h"
#include "kvasir.h"

/* One service of a queue ends after this much; then others have their turn. */
#define KVS_BLK_BUDGET		256
#define KVS_BLK_BUDGET_BYTES	SZ_8M
/* Pinned at a time by one queue; further requests wait in the ring. */
#define KVS_BLK_MAX_PINNED	SZ_256M

/**
 * struct kvs_blk_disk - the host file or block device
 * @file: referenced
 * @bdev: set for a block device
 * @claim: our exclusive claim on a writable @bdev
 * @lim: what requests are checked against
 * @direct: direct I/O is possible
 * @polled: bios are polled for
 * @mem_align: of buffers for direct I/O, in bytes
 * @pos_align: of positions and lengths, ditto
 */
struct kvs_blk_disk {
	struct file *file;
	struct block_device *bdev;
	void *claim;
	struct kvs_blk_limits lim;
	bool direct;
	bool polled;
	u32 mem_align;
	u32 pos_align;
};

/* Requests of one device that block threads of the host at a time. */
#define KVS_BLK_MAX_BLOCKED	16

/* What most requests need; for more there is struct kvs_blk_room. */
#define KVS_BLK_INLINE_VECS	6
#define KVS_BLK_INLINE_SEGS	4

struct kvs_blkq;

/**
 * struct kvs_blk_io - one request in flight
 *
 * Lives in the queue's table at its head, which the ring does not accept a
 * second time while it is in flight. Owned by the worker until submitted,
 * then by the I/O, then (once in @q->done) by the worker again.
 *
 * @iocb: asynchronous I/O on a file
 * @bio: the same on a block device
 * @q: its queue
 * @done: in @q->done when complete
 * @list: in @q->polled while in flight, in @q->refused after it, or empty
 * @work: runs it on the device's workqueue when it must block
 * @op: what it does
 * @head: its chain
 * @sync: durable before it completes (write-through)
 * @nowait: submitted so that the disk may refuse it
 * @again: it was refused before, or will be if it is cut into pieces: then it
 *	waits in a thread
 * @result: bytes moved or -errno
 * @len: bytes wanted
 * @sector: where
 * @has_status: the chain has room for a status byte
 * @status_gpa: there; translated when it is written, since the memory table
 *	may change meanwhile
 * @bvec, @nr_bvec: pinned data pages
 * @seg, @nr_seg: the writable segments, for the dirty log
 * @extra: @extra_len bytes of @q->room behind @bvec and @seg, or behind @range,
 *	if not inline
 * @range, @nr_range: of a discard, write-zeroes or secure erase
 */
struct kvs_blk_io {
	union {
		struct kiocb iocb;
		struct bio bio;
	};
	struct kvs_blkq *q;
	struct llist_node done;
	struct list_head list;
	struct work_struct work;
	enum kvs_blk_op op;
	u16 head;
	bool sync;
	bool nowait;
	bool again;
	long result;
	u32 len;
	u64 sector;
	bool has_status;
	u64 status_gpa;
	struct bio_vec *bvec;
	u32 nr_bvec;
	struct kvs_seg *seg;
	u32 nr_seg;
	void *extra;
	size_t extra_len;
	struct kvs_blk_range *range;
	u32 nr_range;
	struct bio_vec inline_vec[KVS_BLK_INLINE_VECS];
	struct kvs_seg inline_seg[KVS_BLK_INLINE_SEGS];
};

/**
 * struct kvs_blk_room - memory for what requests need beyond their slots
 * @mem: @nr units
 * @map: those in use
 */
struct kvs_blk_room {
	void *mem;
	unsigned long *map;
	u32 nr;
};

/**
 * struct kvs_blkq - one request queue
 * @vq: the virtqueue
 * @blk: its device
 * @io: one slot per ring entry, from start to stop
 * @done: completed requests, filled from any context
 * @reaping: the worker will look at @done before it sleeps
 * @polled: bios in flight that do not complete unless polled, oldest first
 * @full: the disk has refused a request and completed none since; a hint, set
 *	from any context
 * @refused: requests that wait for the disk, @nr_refused of them
 * @room: memory of its requests
 * @starved: chains wait in the ring for what requests in flight hold
 * @req: scratch for parsing
 * @pinned: bytes of the reads and writes in flight
 * @idle: woken when the last request in flight has completed
 */
struct kvs_blkq {
	struct kvs_vq *vq;
	struct kvs_blk *blk;
	struct kvs_blk_io *io;
	struct llist_head done;
	bool reaping;
	struct list_head polled;
	bool full;
	struct list_head refused;
	u32 nr_refused;
	struct kvs_blk_room room;
	bool starved;
	struct kvs_blk_req req;
	u64 pinned;
	wait_queue_head_t idle;
};

/**
 * struct kvs_blk - one blk device
 * @dev: the core's part
 * @disk: set while a backend is
 * @writeback: writes are durable by a flush only, if one was negotiated
 * @wq: for requests that must block; the device's own, so that a disk that
 *	hangs holds up nobody else's
 * @blkcg, @memcg: the owner's, who pays for what @wq does; referenced
 * @q: its queues
 */
struct kvs_blk {
	struct kvs_dev dev;
	struct kvs_blk_disk disk;
	bool writeback;
	struct workqueue_struct *wq;
	struct cgroup_subsys_state *blkcg;
	struct mem_cgroup *memcg;
	struct kvs_blkq q[KVASIR_BLK_MAX_QUEUES];
};

/* blk_disk.c */
int kvs_blk_disk_open(struct kvs_blk_disk *disk,
		      const struct kvasir_blk_backend *b);
void kvs_blk_disk_describe(const struct kvs_blk_disk *disk,
			   struct kvasir_blk_backend *b);
u64 kvs_blk_disk_measure(const struct kvs_blk_disk *disk);
void kvs_blk_disk_close(struct kvs_blk_disk *disk);

/* blk_queue.c */
int kvs_blkq_start(struct kvs_blkq *q);
int kvs_blkq_drain(struct kvs_blkq *q, long *limit);
void kvs_blkq_stop(struct kvs_blkq *q);
void kvs_blkq_service(struct kvs_work *work);

/* blk_fill.c */
int kvs_blk_io_fill(struct kvs_blk_io *io, struct kvs_blkq *q, u16 head);
void kvs_blk_io_release(struct kvs_blk_io *io);

/* blk_room.c */
int kvs_blk_room_init(struct kvs_blk_room *room, u32 num);
void kvs_blk_room_deinit(struct kvs_blk_room *room);
void *kvs_blk_room_get(struct kvs_blk_room *room, size_t bytes);
void kvs_blk_room_put(struct kvs_blk_room *room, void *p, size_t bytes);

/* blk_io.c: @io is filled; it will turn up in @io->q->done exactly once */
void kvs_blk_io_submit(struct kvs_blk_io *io);
void kvs_blk_io_defer(struct kvs_blk_io *io);
void kvs_blk_io_done(struct kvs_blk_io *io, long result);

/* blk_bio.c: block devices */
bool kvs_blk_bio_start(struct kvs_blk_io *io);
bool kvs_blk_bio_submit(struct kvs_blk_io *io, blk_opf_t flags);
void kvs_blk_bio_poll(struct kvs_blkq *q);
void kvs_blk_written(const struct kvs_blk_io *io);
int kvs_blk_sync_cache(const struct kvs_blk_disk *disk, loff_t pos, u64 len,
		       bool drop);

static inline const struct kvs_blk_disk *
kvs_blk_io_disk(const struct kvs_blk_io *io)
{
	return &io->q->blk->disk;
}

#endif /* KVS_BLK_H */
