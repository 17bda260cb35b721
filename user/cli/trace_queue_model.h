/* SPDX-License-Identifier: GPL-2.0-only */
/* What was counted of queues: plain data, whoever counted it. */
#ifndef KVASIR_TRACE_QUEUE_MODEL_H
#define KVASIR_TRACE_QUEUE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/queues.h"
#include "kvasir.h"
#include "trace_about.h"
#include "trace_time.h"

enum queue_view {
	VIEW_PATH,		/* hop by hop */
	VIEW_LOAD,		/* sizes, latencies, depths, drops */
};

/* One series of a queue. */
struct queue_row {
	struct queue_series_key key;
	struct queue_series s;
};

struct queue_trace_queue {
	uint32_t dev, index;
	struct queue_state state;
	char name[128];			/* of the VM; may be empty. Both as they */
	char comm[17];			/* stand: escape before printing */
	struct queue_slow slow;		/* the slowest first, unused ones 0 */
	struct queue_row *row;		/* by what and op */
	size_t n_rows, spare_rows;	/* as trace_grow.h says */
	bool counted;			/* the module's counters were read: */
	uint64_t counters[KVASIR_COUNTERS_MAX];	/* what they gained */
};

struct queue_trace {
	struct queue_trace_queue *queue;	/* by device and index */
	size_t n, spare;
	struct trace_about about;
	struct queues_lost lost;
	bool no_guests;		/* KVM's tracepoints are not there */
	int counters_err;	/* -errno: they could not be read */
};

/* The key of a cell: one series of one queue. */
enum queue_cell_key {
	QUEUE_CELL_NUMBER,	/* of the queue: its state's, not its place */
	QUEUE_CELL_WHAT,	/* enum queue_what */
	QUEUE_CELL_OP,
};

/* What queues were looked at for: all of it, and what happened when. */
struct queue_record {
	struct queue_trace t;	/* the last look */
	struct trace_timeline tl;
	enum queue_view view;
	uint32_t type;		/* of devices; 0: all */
};

/* One more queue, or series of @q, all 0; NULL: no memory. Sort when all are there. */
struct queue_trace_queue *queue_trace_grow(struct queue_trace *t);
struct queue_row *queue_row_grow(struct queue_trace_queue *q);
void queue_trace_sort(struct queue_trace *t);
/* Only the queues: by device and index. */
void queue_trace_order(struct queue_trace *t);
/* Empty @t; what its arrays occupy is kept for the next look. */
void queue_trace_clear(struct queue_trace *t);
void queue_trace_free(struct queue_trace *t);

/* The queues of a trace by number. */
struct queue_index {
	const struct queue_trace *t;
	size_t *place;		/* in @t, + 1; 0: there is none */
	size_t n;
};

/* For @t as it is: not sorted behind that. Return: 0 or -ENOMEM; free @place */
int queue_index_make(struct queue_index *index, const struct queue_trace *t);
/* The queue of this number, or NULL. */
struct queue_trace_queue *queue_numbered(const struct queue_index *index,
					 uint32_t number);

/*
 * Make count and maximum fit the buckets, which do not lie: CPUs race for the
 * maximum, and one may be booking while this was read.
 */
void queue_series_settle(struct queue_series *s);

/* All series of a kind in one; @op: of these only, or -1 */
struct queue_series queue_sum(const struct queue_trace_queue *q, unsigned int what,
			      int op);

/* One kind of request of a queue. */
struct queue_kind {
	unsigned int op;
	struct queue_series time;	/* at the host device, of those done */
	struct queue_series size;	/* of those issued, or received */
};

/**
 * queue_kind_at() - the kind of request that row @i of @q is of
 *
 * A kind is known from the first request that is issued: none need be done.
 *
 * Return: false if the row is of all kinds, or an earlier one is of the same.
 */
bool queue_kind_at(const struct queue_trace_queue *q, size_t i,
		   struct queue_kind *k);

/**
 * queue_record_add() - one more slice: from the last look to @now
 * @now: cumulative; changed for the last look
 *
 * Names of processes and counters of devices that are gone since are those of the
 * last look.
 *
 * Return: 0 or -ENOMEM, and @now is unchanged; queue_trace_free() it, or look into it
 * again
 */
int queue_record_add(struct queue_record *rec, struct queue_trace *now);
void queue_record_free(struct queue_record *rec);

/* @kind: "path", "io" or "net", as the verb that traces it. 0, or -EINVAL */
int queue_record_init(struct queue_record *rec, const char *kind);
const char *queue_record_kind(const struct queue_record *rec);

#endif
