/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the moments of requests are booked: hops in histograms, whole trips among
 * the slowest. Values of one series may come from two CPUs at once.
 */
#ifndef KVASIR_QUEUES_BOOK_BPF_H
#define KVASIR_QUEUES_BOOK_BPF_H

#include "queues_state.bpf.h"

struct queues_series {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_SERIES);
	__type(key, struct queue_series_key);
	__type(value, struct queue_series);
};

/* New ones are copies of it: they do not fit the stack. */
struct queues_empty_series {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct queue_series);
};

struct queues_slow {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QUEUES_NUMBERS);
	__type(key, __u32);
	__type(value, struct queue_slow);
};

extern struct queues_series series SEC(".maps");
extern struct queues_empty_series empty_series SEC(".maps");
extern struct queues_slow slow SEC(".maps");

static void book(__u32 queue, __u32 what, __u32 op, __u64 v)
{
	struct queue_series_key key = { queue, what, op };
	struct queue_series *s;
	__u32 zero = 0, i;

	s = bpf_map_lookup_elem(&series, &key);
	if (!s) {
		s = bpf_map_lookup_elem(&empty_series, &zero);
		if (s)
			bpf_map_update_elem(&series, &key, s, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&series, &key);
		if (!s) {
			count(&lost.series_full);
			return;
		}
	}
	count(&s->n);
	__sync_fetch_and_add(&s->sum, v);
	/* Two vCPUs may race for it; the buckets do not lie. */
	if (v > s->max)
		s->max = v;
	i = hist_index(v);
	/* What the compiler knows about @i the verifier has to see. */
	asm volatile("" : "+r"(i));
	if (i < HIST_BUCKETS)
		count(&s->bucket[i]);
}

/* Book the hop from stage @from to @to, if both were passed. */
static void book_hop(const struct queue_trip *t, __u32 from, __u32 to, __u32 op)
{
	if (!t->at[from] || !t->at[to])
		return;
	if (t->at[to] < t->at[from])
		count(&lost.backward_clock);
	else
		book(t->queue, to, op, t->at[to] - t->at[from]);
}

static __always_inline __u64 trip_begin(const struct queue_trip *t)
{
	if (t->at[STAGE_EXIT])
		return t->at[STAGE_EXIT];
	if (t->at[STAGE_KICK])
		return t->at[STAGE_KICK];
	return t->at[STAGE_BEGIN];
}

/* Among the slowest of its queue, in place of the fastest of those? */
static void keep_slow(const struct queue_trip *t)
{
	__u32 queue = t->queue, i, least = 0;
	struct queue_slow *s;

	s = bpf_map_lookup_elem(&slow, &queue);
	if (!s)
		return;
	if (__sync_val_compare_and_swap(&s->busy, 0, 1)) {
		count(&lost.slow_busy);
		return;
	}
#pragma unroll
	for (i = 1; i < QUEUES_SLOWEST; i++)
		if (s->trip[i].total_ns < s->trip[least & 7].total_ns)
			least = i;
	if (s->trip[least & 7].total_ns < t->total_ns)
		s->trip[least & 7] = *t;
	s->busy = 0;
}

/* @t ends with stage @last. */
static void trip_end(struct queue_trip *t, __u32 last)
{
	__u64 begin = trip_begin(t);

	if (!begin || t->at[last] < begin)
		return;
	t->total_ns = t->at[last] - begin;
	book(t->queue, WHAT_TOTAL, 0, t->total_ns);
	keep_slow(t);
}

#endif
