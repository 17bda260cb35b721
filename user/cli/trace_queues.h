/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `kvasir trace path`, `io` and `net` know, from the maps to the page.
 *
 *	trace_queues.c		the commands: options, attach
 *	trace_queue_collect.c	maps -> model
 *	trace_queue_model.c	the model, and its slices
 *	trace_queue_report.c	what there is to say; model -> table
 *	trace_queue_json.c	model -> JSON
 *	trace_queue_prom.c	model -> Prometheus' text format
 *	trace_queue_folded.c	model -> folded stacks
 *	trace_queue_html.c	model -> page with charts
 */
#ifndef KVASIR_TRACE_QUEUES_H
#define KVASIR_TRACE_QUEUES_H

#include <stdio.h>

#include "json_put.h"
#include "trace_fmt.h"
#include "trace_queue_model.h"

/* "read", "write", ..., "other"; numbers for what a file may say besides */
const char *queue_op_name(const struct queue_trace_queue *q, unsigned int op,
			  char buf[16]);
/* "rx0", "tx0"; "queue 0" */
const char *queue_name(const struct queue_trace_queue *q, char buf[32]);
/* "net", "blk" */
const char *queue_type(const struct queue_trace_queue *q);
/* "blk queue 0, device 3 (null0), pid 1234, web": printable ASCII */
#define QUEUE_LABEL_MAX TRACE_LABEL_MAX
const char *queue_label(char buf[QUEUE_LABEL_MAX],
			const struct queue_trace_queue *q);
/* What a series is of, as in JSON: enum queue_what. NULL: there is no such thing */
const char *queue_hop(unsigned int what);
/* The same for people. */
const char *queue_hop_text(unsigned int what);
/* Is it one of the times that @view is about, and no sum of others? */
bool queue_is_hop(enum queue_view view, unsigned int what);
/* How long the hop of @t that ends with @stage took; false: an end is unknown. */
bool queue_hop_ns(const struct queue_trip *t, unsigned int stage, uint64_t *ns);
uint64_t queue_quantile(const struct queue_series *s, uint32_t permille);
/* Mean, p50, p90, p99, p99.9, maximum */
#define QUEUE_FIGURES 6
void queue_figures(const struct queue_series *s, uint64_t figure[QUEUE_FIGURES]);
/* "12 services (...), 12 calls, ..." */
void queue_services(FILE *out, const struct queue_trace_queue *q);

/* What the reader must know about a reduced trace, or NULL. */
const char *queue_note(const struct queue_record *rec);

extern const struct trace_loss_key queue_losses[];

/* Number @i of them, NULL beyond the last. Return: its key. */
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

/**
 * queue_print() - to stdout, in the form @style asks for
 *
 * Return: the exit status
 */
int queue_print(const struct queue_record *rec, const struct trace_style *style);
int queue_print_json(const struct queue_record *rec);
/* What tells a queue from others, as members of @o */
void queue_json_names(struct json *j, struct json_object *o,
		      const struct queue_trace_queue *q);
void queue_fmt_prometheus(FILE *out, const struct queue_record *rec);
void queue_fmt_folded(FILE *out, const struct queue_record *rec);
void queue_fmt_html(FILE *out, const struct queue_record *rec);

#endif
