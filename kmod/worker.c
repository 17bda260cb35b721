// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: kernel threads that live in the owner's address space and serve
 * queues (between H1 and H3).
 *
 * A worker owns a lock-free list of works. Queuing is possible from any
 * context, interrupts included; a work is in the list at most once. Works run
 * one after the other and in the order they were queued.
 *
 * Ordering: the queuer sets the bit, adds to the list, and wakes; the worker
 * takes the list, clears the bit, and runs the function. The atomic bit
 * operations are full barriers on the queuer's side; smp_mb__after_atomic()
 * behind the clear pairs with them: whoever finds the bit still set knows
 * that the function has not looked at its inputs yet.
 *
 * A worker without works polls its queues (poll.c) for a bounded time, and
 * sleeps then: no timer, no look at the clock until somebody queues.
 */
#include <linux/cgroup.h>
#include <linux/kcov.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "worker.h"

static void kvs_worker_run(struct llist_node *list)
{
	struct kvs_work *work, *next;

	list = llist_reverse_order(list);
	llist_for_each_entry_safe(work, next, list, node) {
		clear_bit(0, &work->queued);
		/* pairs with test_and_set_bit() in kvs_work_queue() */
		smp_mb__after_atomic();
		work->fn(work);
		cond_resched();
	}
}

static int kvs_worker_thread(void *data)
{
	struct kvs_worker *worker = data;
	struct mem_cgroup *memcg, *old_memcg;
	struct llist_node *list;

	/* From here: an owner without privilege may not move a kernel thread. */
	worker->err = cgroup_attach_task_all(worker->owner, current);
	complete(&worker->ready);

	kthread_use_mm(worker->mm);
	/* A kernel thread's allocations are nobody's unless it says whose. */
	memcg = get_mem_cgroup_from_mm(worker->mm);
	old_memcg = set_active_memcg(memcg);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		list = llist_del_all(&worker->works);
		if (!list) {
			if (kthread_should_stop())
				break;
			if (list_empty(&worker->polls)) {
				schedule();
			} else {
				__set_current_state(TASK_RUNNING);
				kvs_poll_run(worker);
			}
			continue;
		}
		__set_current_state(TASK_RUNNING);
		kcov_remote_start_common(worker->kcov);
		kvs_worker_run(list);
		kcov_remote_stop();
	}
	__set_current_state(TASK_RUNNING);
	set_active_memcg(old_memcg);
	mem_cgroup_put(memcg);
	kthread_unuse_mm(worker->mm);
	return 0;
}

/**
 * kvs_worker_create() - start a worker
 * @mm: the address space it works in; the caller holds a reference to its
 *	users that outlives the worker
 * @name: of the thread
 *
 * The thread joins the control groups of the caller, who pays for its CPU time,
 * I/O and memory.
 *
 * Context: process context, may sleep.
 * Return: the worker or an ERR_PTR.
 */
struct kvs_worker *kvs_worker_create(struct mm_struct *mm, const char *name)
{
	struct kvs_worker *worker;
	int ret;

	worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	if (!worker)
		return ERR_PTR(-ENOMEM);
	/* A little over a power of two, which kvmalloc() would round up. */
	worker->chain = __vmalloc(sizeof(*worker->chain), KVS_GFP);
	if (!worker->chain) {
		ret = -ENOMEM;
		goto err_free;
	}
	init_llist_head(&worker->works);
	INIT_LIST_HEAD(&worker->polls);
	worker->mm = mm;
	worker->kcov = kcov_common_handle();
	worker->owner = current;
	init_completion(&worker->ready);

	worker->task = kthread_create(kvs_worker_thread, worker, "%s", name);
	if (IS_ERR(worker->task)) {
		ret = PTR_ERR(worker->task);
		goto err_free;
	}
	wake_up_process(worker->task);
	wait_for_completion(&worker->ready);
	worker->owner = NULL;
	ret = worker->err;
	if (ret)
		goto err_stop;
	return worker;

err_stop:
	kthread_stop(worker->task);
err_free:
	vfree(worker->chain);
	kfree(worker);
	return ERR_PTR(ret);
}

/* End a worker; nothing may queue work any more. What is queued still runs. */
void kvs_worker_destroy(struct kvs_worker *worker)
{
	if (!worker)
		return;
	kthread_stop(worker->task);
	vfree(worker->chain);
	kfree(worker);
}

struct kvs_chain *kvs_worker_chain(const struct kvs_worker *worker)
{
	return worker->chain;
}

pid_t kvs_worker_pid(const struct kvs_worker *worker)
{
	return task_pid_nr(worker->task);
}

void kvs_work_init(struct kvs_work *work, kvs_work_fn fn)
{
	work->queued = 0;
	work->fn = fn;
}

/* Let @work run, once, after this call. Any context. */
void kvs_work_queue(struct kvs_worker *worker, struct kvs_work *work)
{
	if (test_and_set_bit(0, &work->queued))
		return;
	/*
	 * The first one wakes for all behind it. Nor need a thread be woken
	 * that runs: llist_add() orders the two, so that its next look at the
	 * list, which comes after set_current_state(), finds the work.
	 */
	if (llist_add(&work->node, &worker->works) &&
	    !task_is_running(worker->task))
		wake_up_process(worker->task);
}

struct kvs_flush {
	struct kvs_work work;
	struct kvs_vq *leaving;
	struct completion done;
};

static void kvs_flush_fn(struct kvs_work *work)
{
	struct kvs_flush *flush = container_of(work, struct kvs_flush, work);

	if (flush->leaving)
		kvs_poll_leave(flush->leaving);
	complete(&flush->done);
}

/**
 * kvs_worker_leave() - wait until everything queued before has run
 * @worker: whose works; a poll ends at once
 * @vq: is not polled by it any more; or NULL
 *
 * Context: may sleep; not under a queue's lock.
 */
void kvs_worker_leave(struct kvs_worker *worker, struct kvs_vq *vq)
{
	struct kvs_flush flush = { .leaving = vq };

	kvs_work_init(&flush.work, kvs_flush_fn);
	init_completion(&flush.done);
	kvs_work_queue(worker, &flush.work);
	wait_for_completion(&flush.done);
}

void kvs_worker_flush(struct kvs_worker *worker)
{
	kvs_worker_leave(worker, NULL);
}
