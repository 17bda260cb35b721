// SPDX-License-Identifier: GPL-2.0-only
/* What was counted of queues; see trace_queue_model.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace_grow.h"
#include "trace_queue_model.h"

struct queue_trace_queue *queue_trace_grow(struct queue_trace *t)
{
	return trace_grow(&t->queue, &t->n, &t->spare, sizeof(*t->queue));
}

struct queue_row *queue_row_grow(struct queue_trace_queue *q)
{
	struct queue_row *row = trace_grow(&q->row, &q->n_rows, &q->spare_rows,
					   sizeof(*row));

	return row ? memset(row, 0, sizeof(*row)) : NULL;
}

static int slower_first(const void *a, const void *b)
{
	const struct queue_trip *x = a, *y = b;

	return x->total_ns < y->total_ns ? 1 : x->total_ns > y->total_ns ? -1 : 0;
}

static int by_number(const void *a, const void *b)
{
	const struct queue_trace_queue *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int by_key(const void *a, const void *b)
{
	const struct queue_row *x = a, *y = b;

	if (x->key.what != y->key.what)
		return x->key.what < y->key.what ? -1 : 1;
	return x->key.op < y->key.op ? -1 : x->key.op > y->key.op;
}

void queue_trace_order(struct queue_trace *t)
{
	if (t->n)
		qsort(t->queue, t->n, sizeof(*t->queue), by_number);
}

void queue_trace_sort(struct queue_trace *t)
{
	struct queue_trace_queue *q;

	queue_trace_order(t);
	for (q = t->queue; q < t->queue + t->n; q++) {
		qsort(q->slow.trip, QUEUES_SLOWEST, sizeof(q->slow.trip[0]),
		      slower_first);
		if (q->n_rows)
			qsort(q->row, q->n_rows, sizeof(*q->row), by_key);
	}
}

void queue_trace_clear(struct queue_trace *t)
{
	struct queue_trace_queue *q;

	for (q = t->queue; q < t->queue + t->n; q++)
		*q = (struct queue_trace_queue){
			.row = q->row, .spare_rows = q->n_rows + q->spare_rows,
		};
	*t = (struct queue_trace){ .queue = t->queue, .spare = t->n + t->spare };
}

void queue_trace_free(struct queue_trace *t)
{
	size_t i;

	for (i = 0; i < t->n + t->spare; i++)
		free(t->queue[i].row);
	free(t->queue);
	t->queue = NULL;
	t->n = 0;
	t->spare = 0;
}

int queue_index_make(struct queue_index *index, const struct queue_trace *t)
{
	size_t i;

	*index = (struct queue_index){ .t = t, .n = 1 };
	for (i = 0; i < t->n; i++)
		if (t->queue[i].state.number >= index->n)
			index->n = (size_t)t->queue[i].state.number + 1;
	index->place = calloc(index->n, sizeof(*index->place));
	if (!index->place)
		return -ENOMEM;
	for (i = 0; i < t->n; i++)
		index->place[t->queue[i].state.number] = i + 1;
	return 0;
}

struct queue_trace_queue *queue_numbered(const struct queue_index *index,
					 uint32_t number)
{
	size_t place = number < index->n ? index->place[number] : 0;

	return place ? &index->t->queue[place - 1] : NULL;
}

void queue_series_settle(struct queue_series *s)
{
	uint32_t i, last = 0;

	s->n = 0;
	for (i = 0; i < HIST_BUCKETS; i++) {
		s->n += s->bucket[i];
		if (s->bucket[i])
			last = i;
	}
	if (!s->n || hist_index(s->max) != last)
		s->max = s->n ? hist_middle(last) : 0;
}

struct queue_series queue_sum(const struct queue_trace_queue *q, unsigned int what,
			      int op)
{
	struct queue_series sum = { 0 };
	size_t i, k;

	for (i = 0; i < q->n_rows; i++) {
		const struct queue_row *r = &q->row[i];

		if (r->key.what != what || (op >= 0 && r->key.op != op))
			continue;
		sum.n += r->s.n;
		sum.sum += r->s.sum;
		if (r->s.max > sum.max)
			sum.max = r->s.max;
		for (k = 0; k < HIST_BUCKETS; k++)
			sum.bucket[k] += r->s.bucket[k];
	}
	return sum;
}

/* The series of @key in @q, most often at place @at. */
static const struct queue_series *find_series(const struct queue_trace_queue *q,
					      const struct queue_series_key *key,
					      size_t at)
{
	const struct queue_row *r;
	size_t i;

	for (i = 0; q && i < q->n_rows; i++) {
		r = &q->row[(at + i) % q->n_rows];
		if (r->key.what == key->what && r->key.op == key->op)
			return &r->s;
	}
	return NULL;
}

bool queue_kind_at(const struct queue_trace_queue *q, size_t i,
		   struct queue_kind *k)
{
	struct queue_series_key key = q->row[i].key;

	if (key.what != STAGE_DONE && key.what != WHAT_SIZE)
		return false;
	k->op = key.op;
	k->time = queue_sum(q, STAGE_DONE, key.op);
	k->size = queue_sum(q, WHAT_SIZE, key.op);
	if (key.what == STAGE_DONE)
		return true;
	key.what = STAGE_DONE;
	return !find_series(q, &key, i);
}

/* Add what series @r of queue @number gained since @old, NULL for all of it. */
static int add_row(struct trace_slice *s, uint32_t number,
		   const struct queue_row *r, const struct queue_series *old)
{
	const uint32_t key[TRACE_KEY] = {
		[QUEUE_CELL_NUMBER] = number,
		[QUEUE_CELL_WHAT] = r->key.what,
		[QUEUE_CELL_OP] = r->key.op,
	};
	uint64_t n = 0, sum = trace_since(r->s.sum, old ? old->sum : 0);
	__u64 gain[HIST_BUCKETS];
	uint32_t i;

	for (i = 0; i < HIST_BUCKETS; i++) {
		gain[i] = trace_since(r->s.bucket[i], old ? old->bucket[i] : 0);
		n += gain[i];
	}
	/* One without the other: a look came between the two. */
	return n || sum ? trace_slice_add(s, key, n, sum, gain) : 0;
}

static int add_looks(struct trace_slice *s, const struct queue_trace *now,
		     const struct queue_index *before)
{
	size_t i, k;
	int err;

	for (i = 0; i < now->n; i++) {
		const struct queue_trace_queue *q = &now->queue[i], *old;

		old = queue_numbered(before, q->state.number);
		for (k = 0; k < q->n_rows; k++) {
			err = add_row(s, q->state.number, &q->row[k],
				      find_series(old, &q->row[k].key, k));
			if (err)
				return err;
		}
	}
	return 0;
}

/* What can no longer be asked, of processes and devices that are gone. */
static void keep_gone(struct queue_trace *now, const struct queue_index *before)
{
	size_t i;

	for (i = 0; i < now->n; i++) {
		struct queue_trace_queue *q = &now->queue[i];
		const struct queue_trace_queue *old;

		old = queue_numbered(before, q->state.number);
		if (old && !*q->comm) {
			memcpy(q->comm, old->comm, sizeof(q->comm));
			memcpy(q->name, old->name, sizeof(q->name));
		}
		if (old && !q->counted) {
			memcpy(q->counters, old->counters, sizeof(q->counters));
			q->counted = old->counted;
		}
	}
}

int queue_record_add(struct queue_record *rec, struct queue_trace *now)
{
	struct trace_slice s = { .end = now->about.seconds };
	struct queue_trace last = rec->t;
	struct queue_index before;
	int err = queue_index_make(&before, &last);

	if (!err)
		err = add_looks(&s, now, &before);
	err = trace_timeline_add(&rec->tl, &s, err);
	if (!err) {
		keep_gone(now, &before);
		rec->t = *now;
		*now = last;
	}
	free(before.place);
	return err;
}

void queue_record_free(struct queue_record *rec)
{
	trace_timeline_free(&rec->tl);
	queue_trace_free(&rec->t);
}

static const struct {
	const char *name;
	enum queue_view view;
	uint32_t type;
} kinds[] = {
	{ "path", VIEW_PATH, 0 },
	{ "io", VIEW_LOAD, KVASIR_BLK },
	{ "net", VIEW_LOAD, KVASIR_NET },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

int queue_record_init(struct queue_record *rec, const char *kind)
{
	size_t i;

	for (i = 0; i < KINDS; i++) {
		if (strcmp(kind, kinds[i].name))
			continue;
		memset(rec, 0, sizeof(*rec));
		rec->view = kinds[i].view;
		rec->type = kinds[i].type;
		return 0;
	}
	return -EINVAL;
}

const char *queue_record_kind(const struct queue_record *rec)
{
	size_t i;

	for (i = 0; i < KINDS; i++)
		if (kinds[i].view == rec->view && kinds[i].type == rec->type)
			return kinds[i].name;
	return "?";
}
