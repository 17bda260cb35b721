// SPDX-License-Identifier: GPL-2.0-only
/*
 * Busy polling: before a worker sleeps it looks for work a little longer, and
 * a kick, its exit and a wake-up are saved when some comes
 * (VHOST_SET_VRING_BUSYLOOP_TIMEOUT; the parameters poll_us and blk_poll_us
 * until the owner says something).
 *
 * A queue joins its worker's list when its service ends: out of chains, it
 * leaves kicks off and the available ring is looked at; out of frames, the
 * socket's bell queues work even now, and the thread only stays awake. What
 * ends a poll: work of any kind (the list is kept, the works run, the rest of
 * the time is used then), the end of the window or of the worker's credit,
 * another task that wants the CPU, the end of the worker. Whoever leaves in
 * vain has kicks armed with the usual second look (kvs_ring_arm()).
 *
 * The window of a queue adapts: doubled when work came within the owner's
 * limit, polled for or not, halved when it did not, down to nothing. A queue
 * whose work comes rarely is not polled at all; one look at the clock for each
 * service finds out when that changes.
 *
 * A worker's list belongs to its thread: queues join in their service, and
 * leave there, in the poll, or by kvs_worker_leave(), which has the thread do
 * it. The rest of struct kvs_poll is under vq->lock.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/signal.h>

#include "worker.h"

static unsigned int poll_cpu_percent = 50;
module_param(poll_cpu_percent, uint, 0644);
MODULE_PARM_DESC(poll_cpu_percent,
		 "most of a CPU one worker spends polling, in percent (0: none)");

static unsigned int poll_us;
module_param(poll_us, uint, 0644);
MODULE_PARM_DESC(poll_us,
		 "busy-poll limit of net queues whose owner names none, in us");

static unsigned int blk_poll_us = 100;
module_param(blk_poll_us, uint, 0644);
MODULE_PARM_DESC(blk_poll_us, "the same of block queues");

/* Credit is saved up over this long. */
#define KVS_POLL_PERIOD_NS	(10 * NSEC_PER_MSEC)
/* Windows under this part of the limit are not worth the trouble. */
#define KVS_POLL_MIN_PART	8

static u64 poll_limit(const struct kvs_poll *poll)
{
	return (u64)poll->timeout * NSEC_PER_USEC;
}

/* Top up and tell the worker's credit. */
static s64 poll_credit(struct kvs_worker *worker, u64 now)
{
	u32 percent = min(READ_ONCE(poll_cpu_percent), 100U);
	u64 passed = now - worker->poll_refill;
	s64 most = KVS_POLL_PERIOD_NS / 100 * percent;

	worker->poll_credit = min_t(s64, most, worker->poll_credit +
				    (s64)(passed * percent / 100));
	worker->poll_refill = now;
	return worker->poll_credit;
}

static void poll_set(struct kvs_vq *vq, u32 timeout, bool wanted)
{
	WRITE_ONCE(vq->poll.timeout, timeout);
	vq->poll.wanted = wanted;
	vq->poll.window = poll_limit(&vq->poll);
	vq->poll.since = 0;
}

/* The owner's limit in microseconds. Under vq->lock. */
void kvs_poll_set(struct kvs_vq *vq, u32 timeout)
{
	poll_set(vq, timeout, timeout);
}

/* What holds until the owner says otherwise. */
void kvs_poll_reset(struct kvs_vq *vq)
{
	bool blk = vq->dev->ops->type == KVASIR_DEV_BLK;

	poll_set(vq, blk ? READ_ONCE(blk_poll_us) : READ_ONCE(poll_us), false);
}

/* The service ends without work. Returns whether the queue is polled now. */
static bool poll_join(struct kvs_vq *vq)
{
	struct kvs_worker *worker = vq->worker;
	struct kvs_poll *poll = &vq->poll;

	/* With an IOTLB the ring may be gone when the service is over. */
	if (likely(!poll->timeout) || vq->ring.err || kvs_vq_has_iotlb(vq))
		return false;
	poll->since = ktime_get_ns();
	if (!poll->window || poll_credit(worker, poll->since) <= 0)
		return false;
	if (list_empty(&poll->node)) {
		list_add_tail(&poll->node, &worker->polls);
		poll->mark = worker->polled;
		kvs_count(vq, KVASIR_C_POLL_TRIES, 1);
	}
	return true;
}

static void poll_out(struct kvs_vq *vq)
{
	list_del_init(&vq->poll.node);
	kvs_count(vq, KVASIR_C_POLL_NS,
		  vq->worker->polled - vq->poll.mark);
}

/**
 * kvs_poll_defer() - poll for chains instead of asking for a kick
 * @vq: out of chains; its service ends after this
 *
 * A queue that waits for the host as well, and for a time that only the host
 * knows, is polled if its owner said so.
 *
 * Context: a service, under vq->lock.
 * Return: whether kicks stay off, to be armed by the end of the poll.
 */
bool kvs_poll_defer(struct kvs_vq *vq)
{
	if (vq->ring.inflight && !vq->poll.wanted)
		return false;
	if (!poll_join(vq))
		return false;
	vq->poll.arm = true;
	return true;
}

/**
 * kvs_poll_wait() - stay awake for the queue's other source of work
 * @vq: its service ends, maybe for want of frames
 *
 * Context: a service, under vq->lock. Nothing happens when the service will
 * go on, or is polled for already.
 */
void kvs_poll_wait(struct kvs_vq *vq)
{
	if (vq->running && list_empty(&vq->poll.node) &&
	    !test_bit(0, &vq->service.queued))
		poll_join(vq);
}

/**
 * kvs_poll_end() - the queue is about to be served
 * @vq: the queue
 *
 * Adapts the window. Context: a service, under vq->lock.
 */
void kvs_poll_end(struct kvs_vq *vq)
{
	struct kvs_poll *poll = &vq->poll;
	u64 limit = poll_limit(poll), least = limit / KVS_POLL_MIN_PART;

	if (!list_empty(&poll->node)) {
		kvs_count(vq, KVASIR_C_POLL_HITS, 1);
		poll_out(vq);
	}
	poll->arm = false;
	if (likely(!poll->since))
		return;
	if (ktime_get_ns() - poll->since <= limit) {
		poll->window = min(max(2 * poll->window, least), limit);
	} else {
		poll->window /= 2;
		if (poll->window < least)
			poll->window = 0;
	}
	poll->since = 0;
}

/* Stop polling for @vq, in the thread that does, when it will be moved. */
void kvs_poll_leave(struct kvs_vq *vq)
{
	mutex_lock(&vq->lock);
	if (!list_empty(&vq->poll.node))
		poll_out(vq);
	vq->poll.arm = false;
	mutex_unlock(&vq->lock);
}

/* The poll for @vq was in vain. */
static void poll_miss(struct kvs_vq *vq)
{
	bool arm = vq->poll.arm;

	poll_out(vq);
	vq->poll.arm = false;
	if (arm && kvs_vq_arm_now(vq))
		kvs_vq_kick(vq);
}

/* One look. @last: it must be the last one. */
static void poll_look(struct kvs_vq *vq, u64 now, bool last)
{
	struct kvs_poll *poll = &vq->poll;

	if (last)
		mutex_lock(&vq->lock);
	else if (!mutex_trylock(&vq->lock))
		return;
	if (!vq->running)
		poll_out(vq);
	else if (poll->arm && kvs_ring_pending(&vq->ring))
		kvs_vq_kick(vq);	/* a broken ring is found there, too */
	else if (last || now - poll->since >= poll->window || !poll->timeout)
		poll_miss(vq);
	mutex_unlock(&vq->lock);
}

/*
 * Does another task want the CPU? Where the kernel is preemptible it has had it
 * before we can look: @switches is current->nivcsw when the poll began.
 */
static bool poll_unwelcome(unsigned long switches)
{
	return need_resched() || current->nivcsw != switches ||
	       signal_pending(current) || kthread_should_stop();
}

/**
 * kvs_poll_run() - poll until there is work, or nothing to poll for
 * @worker: its thread calls, without a lock
 */
void kvs_poll_run(struct kvs_worker *worker)
{
	unsigned long switches = current->nivcsw;
	u64 last, now = ktime_get_ns();
	struct kvs_vq *vq, *next;
	bool enough = false;

	for (;;) {
		list_for_each_entry_safe(vq, next, &worker->polls, poll.node)
			poll_look(vq, now, enough);
		if (!llist_empty(&worker->works) || list_empty(&worker->polls))
			return;
		cpu_relax();
		last = now;
		now = ktime_get_ns();
		worker->polled += now - last;
		worker->poll_credit -= now - last;
		enough = poll_credit(worker, now) <= 0 ||
			 poll_unwelcome(switches);
	}
}
