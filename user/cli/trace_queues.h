/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `kvasir trace path`, `io` and `net` know, from the maps to the page.
 *
 *	trace_queues.c		the commands: options, attach, wait; maps -> model
 *	trace_queue_report.c	model -> table or JSON
 *	trace_queue_prom.c	model -> Prometheus' text format
 */
#ifndef KVASIR_TRACE_QUEUES_H
#define KVASIR_TRACE_QUEUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../bpf/queues.h"
#include "kvasir.h"
#include "trace_session.h"

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
	struct queue_slow slow;		/* the slowest first, unused ones 0 */
	struct queue_row *row;
	size_t n_rows;
	bool counted;			/* the module's counters were read: */
	uint64_t counters[KVASIR_COUNTERS_MAX];	/* what they gained */
};

struct queue_trace {
	struct queue_trace_queue *queue;
	size_t n;
	struct queues_lost lost;
	const struct trace_cost *cost;
	double seconds;
	uint32_t pid;
	bool no_guests;		/* KVM's tracepoints are not there */
	int counters_err;	/* -errno: they could not be read */
};

/* All series of a kind in one; @op: of these only, or -1 */
struct queue_series queue_sum(const struct queue_trace_queue *q, unsigned int what,
			      int op);

/* "read", "write", ...; numbers for the unknown */
const char *queue_op_name(const struct queue_trace_queue *q, unsigned int op,
			  char buf[16]);

/* "rx0", "tx0"; "queue 0" */
const char *queue_name(const struct queue_trace_queue *q, char buf[32]);
/* "net", "blk" */
const char *queue_type(const struct queue_trace_queue *q);
/* The hop that ends with @stage, as in JSON. */
const char *queue_hop(unsigned int stage);

/* Losses: number @i, 0 beyond the last. Return: its key, or NULL. */
const char *queue_loss(const struct queue_trace *t, size_t i, uint64_t *count,
		       const char **text);

/* @fn for every reason requests of @q may be dropped for, and those refused. */
void queue_each_drop(const struct queue_trace_queue *q,
		     void (*fn)(void *ctx, const char *reason, uint64_t n), void *ctx);

/**
 * trace_queue_layout() - where the running module keeps what names a queue
 *
 * Return: 0, -ENOENT if the module or its type information is missing, other
 * -errno.
 */
int trace_queue_layout(struct queues_where *where);

/* Print to stdout. Return: exit status */
int queue_print(const struct queue_trace *t, enum queue_view view,
		unsigned int slowest);
int queue_print_json(const struct queue_trace *t, enum queue_view view);

void queue_fmt_prometheus(FILE *out, const struct queue_trace *t,
			  enum queue_view view);

#endif
