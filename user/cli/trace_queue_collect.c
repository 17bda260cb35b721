// SPDX-License-Identifier: GPL-2.0-only
/* Maps and counters -> model; see trace_queue_collect.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "trace_queue_collect.h"
#include "trace_vm.h"

static int counters_add(const struct kvasir_queue_info *info, void *ctx)
{
	struct queue_counters *c = ctx;
	struct kvasir_queue_info *grown;

	grown = realloc(c->queue, (c->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->queue = grown;
	c->queue[c->n++] = *info;
	return 0;
}

void queue_counters_read(struct queue_counters *c)
{
	memset(c, 0, sizeof(*c));
	c->err = kvasir_list_queues(UINT32_MAX, counters_add, c);
}

static const struct kvasir_queue_info *counters_of(const struct queue_counters *c,
						   uint32_t dev, uint32_t index)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->queue[i].dev_id == dev && c->queue[i].index == index)
			return &c->queue[i];
	return NULL;
}

static int collect_queues(struct queue_trace *t, const struct queue_maps *maps)
{
	uint64_t key, *last = NULL;
	struct queue_trace_queue *q;
	uint32_t number;

	while (!bpf_map_get_next_key(maps->numbers, last, &key)) {
		last = &key;
		q = queue_trace_grow(t);
		if (!q)
			return -ENOMEM;
		if (bpf_map_lookup_elem(maps->numbers, &key, &number) ||
		    bpf_map_lookup_elem(maps->queues, &number, &q->state) ||
		    bpf_map_lookup_elem(maps->slow, &number, &q->slow))
			return -errno;
		q->state.backend[sizeof(q->state.backend) - 1] = 0;
		q->dev = key >> 32;
		q->index = key;
		trace_vm_name(q->state.pid, q->name, sizeof(q->name));
		trace_vm_comm(q->state.pid, q->comm, sizeof(q->comm));
	}
	return 0;
}

static int collect_series(struct queue_trace *t, const struct queue_maps *maps)
{
	struct queue_series_key key, *last = NULL;
	struct queue_trace_queue *q;
	struct queue_row *row;

	while (!bpf_map_get_next_key(maps->series, last, &key)) {
		last = &key;
		q = queue_numbered(t, key.queue);
		if (!q)
			continue;
		row = queue_row_grow(q);
		if (!row)
			return -ENOMEM;
		row->key = key;
		if (bpf_map_lookup_elem(maps->series, &key, &row->s))
			return -errno;
		queue_series_settle(&row->s);
	}
	return 0;
}

/* What the module counted since @before. */
static void collect_counters(struct queue_trace *t,
			     const struct queue_counters *before)
{
	const struct kvasir_queue_info *was, *is;
	struct queue_counters now;
	size_t i, k;

	queue_counters_read(&now);
	t->counters_err = before->err ? before->err : now.err;
	for (i = 0; i < t->n && !before->err && !now.err; i++) {
		struct queue_trace_queue *q = &t->queue[i];

		was = counters_of(before, q->dev, q->index);
		is = counters_of(&now, q->dev, q->index);
		if (!is)
			continue;	/* the device is gone, and they with it */
		q->counted = true;
		for (k = 0; k < KVASIR_COUNTERS_MAX; k++)
			q->counters[k] = trace_since(is->counters[k],
						     was ? was->counters[k] : 0);
	}
	free(now.queue);
}

int queue_collect(struct queue_trace *t, const struct queue_maps *maps,
		  const struct queue_counters *before)
{
	int err = collect_queues(t, maps);

	if (!err)
		err = collect_series(t, maps);
	if (err)
		return err;
	queue_trace_sort(t);
	collect_counters(t, before);
	return 0;
}
