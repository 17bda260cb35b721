/* SPDX-License-Identifier: GPL-2.0-only */
/* H3: frames wait a moment for more; see net_hold.c. */
#ifndef KVS_NET_HOLD_H
#define KVS_NET_HOLD_H

#include <linux/hrtimer.h>

#include "kvasir.h"

/**
 * struct kvs_hold - frames of a queue wait for more
 * @vq: the queue, for @timer
 * @timer: has it served when a frame has waited long enough
 * @on: what kvs_hold_plan() decided last
 * @average: frames per wake-up while it was, in sixteenths
 * @misses: times holding was given up
 * @skip: wake-ups to go without it
 * @since: when kvs_hold_plan() was called last
 * @total: frames of the queue then
 */
struct kvs_hold {
	struct kvs_vq *vq;
	struct hrtimer timer;
	bool on;
	int average;
	u32 misses;
	u32 skip;
	u64 since;
	u64 total;
};

void kvs_hold_init(struct kvs_hold *h, struct kvs_vq *vq);
void kvs_hold_deinit(struct kvs_hold *h);
bool kvs_hold_plan(struct kvs_hold *h, u32 us);
void kvs_hold_start(struct kvs_hold *h, u32 us);
void kvs_hold_end(struct kvs_hold *h);

#endif /* KVS_NET_HOLD_H */
