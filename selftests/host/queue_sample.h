/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traces of queues made up for the tests of what goes out: a disk and a card of a
 * VM with a plain name, a disk of one with hostile names. Included once by each
 * test.
 */
#ifndef KVT_QUEUE_SAMPLE_H
#define KVT_QUEUE_SAMPLE_H

#include <linux/virtio_blk.h>

#include "trace_sample.h"
#include "../../user/cli/trace_queues.h"

#define SAMPLE_QUEUES	4

static inline struct queue_row *queue_sample_row(struct queue_trace_queue *q,
						 unsigned int what, unsigned int op)
{
	struct queue_row *row;
	size_t i;

	for (i = 0; i < q->n_rows; i++)
		if (q->row[i].key.what == what && q->row[i].key.op == op)
			return &q->row[i];
	row = queue_row_grow(q);
	ASSERT(row, "no memory");
	row->key = (struct queue_series_key){ q->state.number, what, op };
	return row;
}

/* @n values around @middle, some of them @spread times as large. */
static inline void queue_sample_book(struct queue_trace_queue *q, unsigned int what,
				     unsigned int op, uint64_t n, double middle,
				     double spread, uint64_t *state)
{
	struct queue_row *row = queue_sample_row(q, what, op);
	struct exits_series s;
	uint32_t i;

	sample_fill(&s, n, middle, spread, state);
	row->s.n += s.timed;
	row->s.sum += s.total_ns;
	if (s.max_ns > row->s.max)
		row->s.max = s.max_ns;
	for (i = 0; i < HIST_BUCKETS; i++)
		row->s.bucket[i] += s.bucket[i];
}

/* Nothing counted yet. queue_trace_free() frees it. */
static inline void queue_sample_init(struct queue_trace *t)
{
	static const struct {
		uint32_t dev, index, pid, type;
		const char *backend, *name, *comm;
	} queues[SAMPLE_QUEUES] = {
		{ 3, 0, 1234, KVASIR_BLK, "nullb0", "web", "kvasir" },
		{ 4, 0, 1234, KVASIR_NET, "tap", "web", "kvasir" },
		{ 4, 1, 1234, KVASIR_NET, "tap", "web", "kvasir" },
		{ 7, 0, 1235, KVASIR_BLK, HOSTILE_NAME, HOSTILE_NAME, HOSTILE_COMM },
	};
	struct queue_trace_queue *q;
	uint32_t i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < SAMPLE_QUEUES; i++) {
		q = queue_trace_grow(t);
		ASSERT(q, "no memory");
		q->dev = queues[i].dev;
		q->index = queues[i].index;
		q->state.number = 10 - i;	/* not in their order */
		q->state.pid = queues[i].pid;
		q->state.type = queues[i].type;
		strcpy(q->state.backend, queues[i].backend);
		strcpy(q->name, queues[i].name);
		strcpy(q->comm, queues[i].comm);
	}
	strcpy(t->about.kernel, "6.1.0-test");
	t->about.began = 1700000000;
}

static inline void queue_sample_counter(struct queue_trace_queue *q,
					const char *counter, uint64_t n)
{
	const char *name;
	unsigned int i;

	q->counted = true;
	for (i = 1; (name = kvasir_counter_name(i)); i++)
		if (!strcmp(name, counter))
			q->counters[i] = n;
}

/* A request of which all hops are known; @ns: how long it took. */
static inline void queue_sample_trip(struct queue_trace_queue *q, unsigned int at,
				     uint64_t ns, unsigned int op)
{
	struct queue_trip *trip = &q->slow.trip[at];
	unsigned int i;

	for (i = 0; i < STAGES; i++)
		trip->at[i] = 1000000 + ns * i / (STAGES - 1);
	trip->total_ns = ns;
	trip->len = 4096;
	trip->op = op;
	trip->head = at;
	trip->queue = q->state.number;
}

/* @n requests of a kind more, of which every fourth ends with an interrupt. */
static inline void queue_sample_add(struct queue_trace_queue *q, unsigned int op,
				    uint64_t n, double scale, uint64_t *state)
{
	bool rx = q->state.type == KVASIR_NET && !(q->index & 1);

	queue_sample_book(q, STAGE_KICK, 0, n / 2, 900 * scale, 0.3, state);
	queue_sample_book(q, STAGE_BEGIN, 0, n / 2, 6e3 * scale, 0.6, state);
	if (!rx)
		queue_sample_book(q, STAGE_ISSUE, 0, n, 1.5e3 * scale, 0.3, state);
	queue_sample_book(q, STAGE_DONE, op, n, 40e3 * scale, 0.5, state);
	queue_sample_book(q, STAGE_CALL, 0, n / 4, 2e3 * scale, 0.4, state);
	queue_sample_book(q, STAGE_IRQ, 0, n / 4, 700 * scale, 0.2, state);
	queue_sample_book(q, STAGE_ENTRY, 0, n / 4, 3e3 * scale, 0.8, state);
	queue_sample_book(q, WHAT_TOTAL, 0, n / 4, 55e3 * scale, 0.5, state);
	queue_sample_book(q, WHAT_SIZE, op, n, op ? 16384 : 4096, 0.6, state);
	queue_sample_book(q, WHAT_DEPTH, 0, n, 5, 0.5, state);
	q->state.completed += n;
	q->state.issued += rx ? 0 : n;
	q->state.services += n / 2;
	q->state.calls += n / 4;
	q->state.uncalled += n / 4;
	q->state.depth = 3;
}

static inline void queue_sample_load(struct queue_trace *t, double load,
				     uint64_t *state)
{
	queue_sample_add(&t->queue[0], VIRTIO_BLK_T_IN, 400 * load, 1, state);
	queue_sample_add(&t->queue[0], VIRTIO_BLK_T_OUT, 100 * load, 2, state);
	queue_sample_add(&t->queue[1], 0, 300 * load, 0.3, state);
	queue_sample_add(&t->queue[2], 0, 200 * load, 0.4, state);
	queue_sample_add(&t->queue[3], 77, 40 * load, 20, state);
}

/* What a look finds. */
static inline struct queue_trace queue_sample_copy(const struct queue_trace *t)
{
	struct queue_trace copy = *t;
	size_t i;

	copy.queue = malloc(t->n * sizeof(*t->queue) + 1);
	ASSERT(copy.queue, "no memory");
	memcpy(copy.queue, t->queue, t->n * sizeof(*t->queue));
	copy.spare = 0;
	for (i = 0; i < t->n; i++) {
		size_t size = t->queue[i].n_rows * sizeof(struct queue_row);

		copy.queue[i].spare_rows = 0;
		copy.queue[i].row = malloc(size + 1);
		ASSERT(copy.queue[i].row, "no memory");
		if (size)
			memcpy(copy.queue[i].row, t->queue[i].row, size);
	}
	return copy;
}

/* One look more at @t, after so many seconds in all. */
static inline void queue_sample_look(struct queue_record *rec, struct queue_trace *t,
				     double seconds)
{
	struct queue_trace now;

	t->about.seconds = seconds;
	queue_trace_sort(t);
	now = queue_sample_copy(t);
	ASSERT_EQ(queue_record_add(rec, &now), 0);
	queue_trace_free(&now);
}

/* As if looked at @slices times in @seconds. */
static inline void queue_sample_record(struct queue_record *rec,
				       enum queue_view view, size_t slices,
				       double seconds, double load, uint64_t seed)
{
	uint64_t state = seed | 1;
	struct queue_trace t;
	size_t i;

	memset(rec, 0, sizeof(*rec));
	rec->view = view;
	rec->type = view == VIEW_PATH ? 0 : KVASIR_BLK;
	queue_sample_init(&t);
	for (i = 0; i < QUEUES_SLOWEST; i++)
		queue_sample_trip(&t.queue[0], i, 400000 - 30000 * i, i % 2);
	queue_sample_trip(&t.queue[3], 0, 2000000, 77);
	/* A frame that was received: not issued, and nobody was called. */
	queue_sample_trip(&t.queue[1], 0, 90000, 0);
	t.queue[1].slow.trip[0].at[STAGE_EXIT] = 0;
	t.queue[1].slow.trip[0].at[STAGE_ISSUE] = 0;
	t.queue[0].state.failed = 2;
	t.queue[3].state.bad[3] = 5;
	t.queue[3].state.elsewhere = 1;
	queue_sample_counter(&t.queue[0], "errors", 2);
	t.lost.unmatched = 3;
	for (i = 1; i <= slices; i++) {
		queue_sample_load(&t, load * (1 + (i % 4 == 3)), &state);
		queue_sample_look(rec, &t, seconds * i / slices);
	}
	queue_trace_free(&t);
}

/* Like the real limits: nothing may overflow. */
static inline void queue_sample_huge(struct queue_record *rec, enum queue_view view)
{
	struct queue_trace t;
	unsigned int what;
	struct queue_row *row;

	memset(rec, 0, sizeof(*rec));
	rec->view = view;
	queue_sample_init(&t);
	for (what = 0; what < WHAT_END; what++) {
		row = queue_sample_row(&t.queue[0], what, UINT16_MAX);
		row->s = (struct queue_series){
			.n = (1ULL << 48) - 2, .sum = 1ULL << 62,
			.max = UINT64_MAX,
		};
		row->s.bucket[0] = row->s.n - 1;
		row->s.bucket[HIST_BUCKETS - 1] = 1;
	}
	memset(&t.queue[0].slow, 0xff, sizeof(t.queue[0].slow));
	memset(&t.lost, 0xff, sizeof(t.lost));
	t.queue[0].state.completed = UINT64_MAX;
	t.queue[0].index = UINT32_MAX;
	t.queue[0].dev = UINT32_MAX;
	queue_sample_look(rec, &t, 0.001);
	queue_trace_free(&t);
}

#endif /* KVT_QUEUE_SAMPLE_H */
