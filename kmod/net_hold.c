// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: one wake-up of the worker for several frames.
 *
 * Waking a sleeping thread costs more than dozens of frames do, and what wakes
 * it (a kick, an exit of the guest) comes on top. When frames come so fast that
 * more are likely to follow, a queue is *held*: it is served a bounded time
 * later, by a timer, and meanwhile nobody wakes its worker. What is held is the
 * bell of the socket (receive, net_rx.c) or the driver's kicks (transmit,
 * net_tx.c).
 *
 * Traffic that comes frame by frame (request and answer) is not made to wait:
 * it is found out by its rate, or by holding in vain, which is then given up
 * for longer and longer. No timer runs while a queue is idle.
 */
#include <linux/ktime.h>

#include "net.h"

#define HOLD_MAX_US	10000
/*
 * Frames per wake-up, in sixteenths: what holding must bring, and what it is
 * taken to bring at first.
 */
#define HOLD_LEAST	24
#define HOLD_FIRST	32
/* Wake-ups without holding after it was in vain; doubled up to so often. */
#define HOLD_SKIP	256
#define HOLD_DOUBLE	4

static u64 hold_ns(u32 us)
{
	return min_t(u64, us, HOLD_MAX_US) * NSEC_PER_USEC;
}

static enum hrtimer_restart hold_over(struct hrtimer *timer)
{
	kvs_vq_kick(container_of(timer, struct kvs_hold, timer)->vq);
	return HRTIMER_NORESTART;
}

void kvs_hold_init(struct kvs_hold *h, struct kvs_vq *vq)
{
	h->vq = vq;
	h->average = HOLD_FIRST;
	hrtimer_init(&h->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	h->timer.function = hold_over;
}

/* Nobody starts the timer any more: the queue is quiesced, the bell detached. */
void kvs_hold_deinit(struct kvs_hold *h)
{
	hrtimer_cancel(&h->timer);
	if (h->vq->worker)	/* the timer's last kick */
		kvs_worker_flush(h->vq->worker);
}

/**
 * kvs_hold_start() - have the queue served after this long at the latest
 * @h: of the queue
 * @us: microseconds
 *
 * No frame that waits is lost: the timer is queued after this, and who takes it
 * off the queue, its function or a service that begins (kvs_hold_end()), sees to
 * it that the frames are looked for afterwards.
 *
 * Context: the worker, or the wait queue's lock of the socket; not both for the
 * same queue.
 */
void kvs_hold_start(struct kvs_hold *h, u32 us)
{
	if (!hrtimer_is_queued(&h->timer))
		hrtimer_start(&h->timer, ns_to_ktime(hold_ns(us)),
			      HRTIMER_MODE_REL);
}

/* The queue is being served. */
void kvs_hold_end(struct kvs_hold *h)
{
	if (hrtimer_is_queued(&h->timer))
		hrtimer_try_to_cancel(&h->timer);
}

/* Learn from @frames that came while the queue was held. */
static void hold_learn(struct kvs_hold *h, u32 frames)
{
	h->average += ((int)min(frames, KVS_NET_BATCH) * 16 - h->average) / 4;
	if (h->average >= HOLD_FIRST)
		h->misses = 0;
	if (h->average >= HOLD_LEAST)
		return;
	h->skip = HOLD_SKIP << h->misses;
	if (h->misses < HOLD_DOUBLE)
		h->misses++;
	h->average = HOLD_FIRST;
}

/**
 * kvs_hold_plan() - is the queue to be held until its next service
 * @h: of a queue that ends its service for want of frames; its counters are up
 *	to date
 * @us: how long at most, 0 for not at all
 *
 * It is, when at the rate of the frames since the last call one more is to be
 * expected within that time. Not so with an owner who asked
 * for polling: it wants each frame at once.
 */
bool kvs_hold_plan(struct kvs_hold *h, u32 us)
{
	u64 now = ktime_get_mono_fast_ns(), passed = now - h->since;
	u64 total = h->vq->count[KVASIR_C_REQUESTS];
	u32 frames = total - h->total;

	h->since = now;
	h->total = total;
	if (h->on)
		hold_learn(h, frames);
	else if (h->skip)
		h->skip--;
	h->on = us && !h->skip && !h->vq->poll.wanted &&
		frames * hold_ns(us) >= passed;
	return h->on;
}
