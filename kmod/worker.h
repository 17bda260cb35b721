/* SPDX-License-Identifier: GPL-2.0-only */
/* What a worker is made of; for worker.c, dev_worker.c and poll.c only. */
#ifndef KVS_WORKER_H
#define KVS_WORKER_H

#include <linux/completion.h>

#include "kvasir.h"

/**
 * struct kvs_worker - a thread and its works
 * @works: queued, newest first
 * @task: the thread
 * @chain: scratch for the queue being served
 * @id: names it towards the owner; index in the device's table
 * @mm: it works in
 * @kcov: coverage handle of the creator
 * @owner: the creator, until @ready
 * @ready: the thread has joined the owner's control groups
 * @err: or could not
 * @polls: queues it polls (struct kvs_poll); the thread's own
 * @polled: nanoseconds it has polled in all; ditto
 * @poll_credit: nanoseconds it may poll, at @poll_refill; ditto
 * @poll_refill: when the credit was last topped up; ditto
 */
struct kvs_worker {
	struct llist_head works;
	struct task_struct *task;
	struct kvs_chain *chain;
	u32 id;
	struct mm_struct *mm;
	u64 kcov;
	struct task_struct *owner;
	struct completion ready;
	int err;
	struct list_head polls;
	u64 polled;
	s64 poll_credit;
	u64 poll_refill;
};

#endif /* KVS_WORKER_H */
