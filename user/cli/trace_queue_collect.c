// SPDX-License-Identifier: GPL-2.0-only
/* Maps and counters -> model; see trace_queue_collect.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "trace_grow.h"
#include "trace_maps.h"
#include "trace_queue_collect.h"

/* One look, under way. */
struct look {
	struct queue_trace *t;
	const struct queue_maps *maps;
	struct queue_index index;	/* of @t */
};

static int counters_add(const struct kvasir_queue_info *info, void *ctx)
{
	struct queue_counters *c = ctx;
	struct kvasir_queue_info *q;

	q = trace_grow(&c->queue, &c->n, &c->spare, sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = *info;
	return 0;
}

static int info_cmp(const void *a, const void *b)
{
	const struct kvasir_queue_info *x = a, *y = b;

	if (x->dev_id != y->dev_id)
		return x->dev_id < y->dev_id ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

void queue_counters_read(struct queue_counters *c)
{
	memset(c, 0, sizeof(*c));
	c->err = kvasir_list_queues(UINT32_MAX, counters_add, c);
	if (c->n)
		qsort(c->queue, c->n, sizeof(*c->queue), info_cmp);
}

static const struct kvasir_queue_info *counters_of(const struct queue_counters *c,
						   uint32_t dev, uint32_t index)
{
	const struct kvasir_queue_info key = { .dev_id = dev, .index = index };

	return c->n ? bsearch(&key, c->queue, c->n, sizeof(key), info_cmp) : NULL;
}

/* An entry of map "numbers". */
static int add_queue(void *ctx, const void *key, void *value)
{
	const uint32_t *number = value;
	const uint64_t *id = key;
	struct look *look = ctx;
	struct queue_trace_queue *q = queue_trace_grow(look->t);

	if (!q)
		return -ENOMEM;
	if (bpf_map_lookup_elem(look->maps->queues, number, &q->state) ||
	    bpf_map_lookup_elem(look->maps->slow, number, &q->slow))
		return -errno;
	q->state.backend[sizeof(q->state.backend) - 1] = 0;
	q->dev = *id >> 32;
	q->index = *id;
	return 0;
}

/* An entry of map "series". */
static int add_series(void *ctx, const void *key, void *value)
{
	const struct queue_series_key *k = key;
	const struct look *look = ctx;
	struct queue_trace_queue *q = queue_numbered(&look->index, k->queue);
	struct queue_row *row;

	if (!q)
		return 0;
	row = queue_row_grow(q);
	if (!row)
		return -ENOMEM;
	row->key = *k;
	memcpy(&row->s, value, sizeof(row->s));
	queue_series_settle(&row->s);
	return 0;
}

static int collect_series(struct look *look)
{
	const struct trace_map map = {
		look->maps->series, sizeof(struct queue_series_key),
		sizeof(struct queue_series), TRACE_MAP_ALL,
	};
	int err = queue_index_make(&look->index, look->t);

	if (!err)
		err = trace_map_read(&map, add_series, look);
	free(look->index.place);
	return err;
}

/* Whose the queues are. Those of a process are mostly next to each other. */
static void name_queues(struct queue_trace *t, struct trace_names *names)
{
	struct queue_trace_queue *q, *last = NULL;
	const struct trace_name *called;

	queue_trace_order(t);
	for (q = t->queue; q < t->queue + t->n; last = q++) {
		if (last && last->state.pid == q->state.pid) {
			memcpy(q->name, last->name, sizeof(q->name));
			memcpy(q->comm, last->comm, sizeof(q->comm));
			continue;
		}
		called = trace_names_get(names, q->state.pid, 0);
		if (!called)
			continue;
		memcpy(q->name, called->name, sizeof(q->name));
		memcpy(q->comm, called->comm, sizeof(q->comm));
	}
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
	const struct trace_map numbers = {
		maps->numbers, sizeof(uint64_t), sizeof(uint32_t), TRACE_MAP_ALL,
	};
	struct look look = { .t = t, .maps = maps };
	int err = trace_map_read(&numbers, add_queue, &look);

	if (err)
		return err;
	name_queues(t, maps->names);
	err = collect_series(&look);
	if (!err)
		collect_counters(t, before);
	return err;
}
