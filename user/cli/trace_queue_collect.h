/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps of bpf/queues*.bpf.c and the module's counters, as a model. */
#ifndef KVASIR_TRACE_QUEUE_COLLECT_H
#define KVASIR_TRACE_QUEUE_COLLECT_H

#include "trace_names.h"
#include "trace_queue_model.h"

/* File descriptors, and what is kept from look to look. */
struct queue_maps {
	int numbers, queues, slow, series;
	struct trace_names *names;
};

/* The module's counters at one moment. */
struct queue_counters {
	struct kvasir_queue_info *queue;
	size_t n, spare;
	int err;		/* -errno: they could not be read */
};

/* Free @c->queue, whatever @c->err is. */
void queue_counters_read(struct queue_counters *c);

/**
 * queue_collect() - read the maps, and what the counters gained, into @t
 * @t: without queues; queue_trace_clear() makes an earlier look one
 * @before: the counters when the trace began
 *
 * Queues come by device and index; their series and slowest requests in no order,
 * which queue_trace_sort() gives to what is to be shown.
 *
 * Return: 0 or a negative errno; queue_trace_free() either way.
 */
int queue_collect(struct queue_trace *t, const struct queue_maps *maps,
		  const struct queue_counters *before);

#endif
