/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages of the device's IOTLB; Documentation/iotlb.rst tells the story. */
#ifndef KVS_IOTLB_H
#define KVS_IOTLB_H

#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include "iotlb_table.h"

struct kvs_dev;
struct kvs_ring_cfg;
struct kvs_vq;

/**
 * struct kvs_iotlb - of a device
 * @table: what is known; NULL while addresses are guest physical; dev->lock
 * @lock: guards what the queues miss; innermost
 * @wait: who wants to read of misses
 * @turn: queue to look at first at the next read; under @lock
 */
struct kvs_iotlb {
	const struct kvs_mem *table;
	spinlock_t lock;	/* misses; see above */
	wait_queue_head_t wait;
	u32 turn;
};

enum kvs_iotlb_miss {
	KVS_MISS_NONE,
	KVS_MISS_ASKED,		/* to be read */
	KVS_MISS_TAKEN,		/* read, not answered */
};

/**
 * struct kvs_vq_iotlb - of a queue
 * @mapped: the ring is where the current table says; under vq->lock
 * @stalled: this service found a miss and takes no further chain; ditto
 * @miss: enum kvs_iotlb_miss; this and what follows under the device's
 *	iotlb.lock
 * @access: what the missing address is needed for
 * @iova: the missing address
 * @taken: jiffies when it was read
 */
struct kvs_vq_iotlb {
	bool mapped;
	bool stalled;
	u8 miss;
	u8 access;
	u64 iova;
	unsigned long taken;
};

void kvs_iotlb_init(struct kvs_iotlb *tlb);

/* under dev->lock */
void kvs_iotlb_switch(struct kvs_dev *dev, u64 features);
void kvs_iotlb_off(struct kvs_iotlb *tlb);

/* under vq->lock */
void kvs_iotlb_changed(struct kvs_vq *vq);
int kvs_iotlb_check_ring(const struct kvs_ring_cfg *cfg);
int kvs_iotlb_map_ring(struct kvs_vq *vq);
bool kvs_iotlb_ready(struct kvs_vq *vq);
void kvs_iotlb_miss(struct kvs_vq *vq, u64 iova, u8 access);
void kvs_iotlb_forget(struct kvs_vq *vq);

/* the device node's; under no lock */
ssize_t kvs_iotlb_read(struct kvs_dev *dev, struct iov_iter *to, bool block);
ssize_t kvs_iotlb_write(struct kvs_dev *dev, struct iov_iter *from);
__poll_t kvs_iotlb_poll(struct kvs_dev *dev, struct file *file,
			poll_table *table);

#endif /* KVS_IOTLB_H */
