// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: one wake-up of the worker for several frames.
 *
 * Waking a sleeping thread costs more than receiving dozens of frames. When
 * frames come so fast that more are likely to follow, the bell of the socket
 * is held: it rings at the KVS_NET_BATCH-th frame, or a bounded time after the
 * first one. Traffic that comes frame by frame (request and answer) is not
 * made to wait: it is found out by its rate, or by holding in vain, which is
 * then given up for longer and longer.
 *
 * No timer runs while no frame waits, so an idle queue costs nothing.
 */
#include <linux/module.h>
#include <linux/timekeeping.h>

#include "net_rx.h"

static unsigned int rx_hold_us = 100;
module_param(rx_hold_us, uint, 0644);
MODULE_PARM_DESC(rx_hold_us,
		 "longest time a received frame waits for more, in microseconds (0: none does)");

#define RX_HOLD_MAX_US	10000
/*
 * Frames per wake-up, in sixteenths: what holding must bring, and what it is
 * taken to bring at first.
 */
#define RX_HOLD_LEAST	24
#define RX_HOLD_FIRST	32
/* Wake-ups without holding after it was in vain; doubled up to so often. */
#define RX_HOLD_SKIP	256
#define RX_HOLD_DOUBLE	4

static struct kvs_netq *rx_bell_queue(struct kvs_bell *bell)
{
	return container_of(bell, struct kvs_netq, bell);
}

static ktime_t rx_window(void)
{
	u64 us = min_t(u32, READ_ONCE(rx_hold_us), RX_HOLD_MAX_US);

	return ns_to_ktime(us * NSEC_PER_USEC);
}

static enum hrtimer_restart rx_hold_over(struct hrtimer *timer)
{
	struct kvs_rx_hold *h = container_of(timer, struct kvs_rx_hold, timer);

	kvs_vq_kick(h->vq);
	return HRTIMER_NORESTART;
}

/*
 * A frame came: is it to wait? Under the lock of the socket's wait queue.
 *
 * No frame that waits is lost: the timer is queued here or was found queued,
 * and who takes it off the queue kicks (rx_hold_over()) or serves
 * (kvs_rx_hold_end()), either of which looks at the ring afterwards.
 */
static bool rx_hold(struct kvs_bell *bell)
{
	struct kvs_rx_hold *h = &rx_bell_queue(bell)->rx->hold;

	if (!READ_ONCE(h->target) || ++h->held >= h->target)
		return false;
	if (!hrtimer_is_queued(&h->timer))
		hrtimer_start(&h->timer, rx_window(), HRTIMER_MODE_REL);
	return true;
}

void kvs_rx_hold_init(struct kvs_netq *q)
{
	struct kvs_rx_hold *h = &q->rx->hold;

	h->vq = q->vq;
	h->average = RX_HOLD_FIRST;
	hrtimer_init(&h->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	h->timer.function = rx_hold_over;
	q->bell.hold = rx_hold;
}

/* The bell is detached and the queue quiesced. */
void kvs_rx_hold_deinit(struct kvs_netq *q)
{
	q->bell.hold = NULL;
	hrtimer_cancel(&q->rx->hold.timer);
	if (q->vq->worker)	/* the timer's last kick */
		kvs_worker_flush(q->vq->worker);
}

/* The queue is being served; its bell is muted. */
void kvs_rx_hold_end(struct kvs_net_rx *rx)
{
	if (hrtimer_is_queued(&rx->hold.timer))
		hrtimer_try_to_cancel(&rx->hold.timer);
}

/* Learn from @frames that came while the bell was held. */
static void rx_hold_learn(struct kvs_rx_hold *h, u32 frames)
{
	h->average += ((int)min(frames, KVS_NET_BATCH) * 16 - h->average) / 4;
	if (h->average >= RX_HOLD_FIRST)
		h->misses = 0;
	if (h->average >= RX_HOLD_LEAST)
		return;
	h->skip = RX_HOLD_SKIP << h->misses;
	if (h->misses < RX_HOLD_DOUBLE)
		h->misses++;
	h->average = RX_HOLD_FIRST;
}

/**
 * kvs_rx_hold_plan() - whether to hold the bell when it is unmuted next
 * @q: a queue with a ring, out of frames; its counters are up to date
 *
 * It is, when at the rate of the frames since the last call a fourth of a
 * frame or more is to be expected within the time a frame may be held.
 */
void kvs_rx_hold_plan(struct kvs_netq *q)
{
	struct kvs_rx_hold *h = &q->rx->hold;
	u64 now = ktime_get_mono_fast_ns(), passed = now - h->since;
	u64 total = q->vq->count[KVASIR_C_REQUESTS];
	u32 frames = total - h->total, target;

	h->since = now;
	h->total = total;
	if (h->target && frames)
		rx_hold_learn(h, frames);
	else if (h->skip)
		h->skip--;

	/* Not more than a small ring, or a small queue of the tap's, holds. */
	target = min3((u32)KVS_NET_BATCH, (u32)q->vq->ring.num / 2,
		      (u32)READ_ONCE(q->rx->ring->size) / 4);
	/* A worker that polls is awake: waking it costs nothing. */
	if (h->skip || q->vq->poll.timeout || target < 2 ||
	    4 * frames * (u64)rx_window() < passed)
		target = 0;
	h->held = 0;
	WRITE_ONCE(h->target, target);
}
