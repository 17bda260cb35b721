// SPDX-License-Identifier: GPL-2.0-only
/* What was traced of queues in Prometheus' text exposition format. */
#include <inttypes.h>
#include <string.h>

#include "prom.h"
#include "trace_queues.h"

/* From 255 ns to 68 s, 15 bytes to 1 MiB, and 1 to 1023 requests. */
static const struct prom_histogram hop_seconds = {
	.name = "kvasir_queue_hop_seconds", .unit = 1e9, .first = 8, .last = 36,
}, device_seconds = {
	.name = "kvasir_queue_device_seconds", .unit = 1e9, .first = 8, .last = 36,
}, request_bytes = {
	.name = "kvasir_queue_request_bytes", .unit = 1, .first = 4, .last = 20,
}, in_flight = {
	.name = "kvasir_queue_in_flight", .unit = 1, .first = 1, .last = 10,
};

static void queue_labels(struct prom_labels *l, const struct queue_trace_queue *q)
{
	char buf[32];

	l->len = 0;
	prom_label(l, "vm", q->name);
	prom_label_number(l, "pid", q->state.pid);
	prom_label_number(l, "dev", q->dev);
	prom_label(l, "type", queue_type(q));
	prom_label(l, "queue", queue_name(q, buf));
}

/* One series of a queue, with a label of its own unless @key is NULL. */
static void one(FILE *out, const struct prom_histogram *h,
		const struct queue_trace_queue *q, const char *key,
		const char *value, const struct queue_series *s)
{
	struct prom_labels l;

	if (!s->n)
		return;
	queue_labels(&l, q);
	if (key)
		prom_label(&l, key, value);
	prom_histogram(out, h, l.text, s->bucket, s->n, s->sum);
}

static void hops(FILE *out, const struct queue_trace *t)
{
	struct queue_series s;
	unsigned int k;
	size_t i;

	prom_head(out, hop_seconds.name, "histogram",
		  "Time of a hop of requests through the module.");
	for (i = 0; i < t->n; i++) {
		for (k = 1; k < STAGES; k++) {
			s = queue_sum(&t->queue[i], k, -1);
			one(out, &hop_seconds, &t->queue[i], "hop", queue_hop(k), &s);
		}
		s = queue_sum(&t->queue[i], WHAT_TOTAL, -1);
		one(out, &hop_seconds, &t->queue[i], "hop", "total", &s);
	}
}

/* All series of a kind, by operation. */
static void by_op(FILE *out, const struct queue_trace *t,
		  const struct prom_histogram *h, unsigned int what,
		  const char *help)
{
	char op[16];
	size_t i, k;

	prom_head(out, h->name, "histogram", help);
	for (i = 0; i < t->n; i++) {
		const struct queue_trace_queue *q = &t->queue[i];

		for (k = 0; k < q->n_rows; k++)
			if (q->row[k].key.what == what)
				one(out, h, q, "op",
				    queue_op_name(q, q->row[k].key.op, op),
				    &q->row[k].s);
	}
}

/* What is no drop: metrics of their own. */
static const struct apart {
	const char *reason, *metric, *help;
} aparts[] = {
	{ "errors", "kvasir_queue_errors_total",
	  "Disk requests answered with an error." },
	{ "broken", "kvasir_queue_broken_total",
	  "Times the queue was declared broken." },
	{ "no-buffers", "kvasir_queue_no_buffers_total",
	  "Times receiving stopped for want of buffers." },
};

#define APARTS (sizeof(aparts) / sizeof(aparts[0]))

struct drop {
	FILE *out;
	const struct queue_trace_queue *q;
	const struct apart *apart;	/* NULL: all others */
};

static bool is_apart(const char *reason)
{
	size_t i;

	for (i = 0; i < APARTS; i++)
		if (!strcmp(reason, aparts[i].reason))
			return true;
	return false;
}

/* Of @n chains refused, those of which no reason was seen. */
static uint64_t without_reason(const struct queue_trace_queue *q, uint64_t n)
{
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < QUEUE_ERRORS; i++)
		seen += q->state.bad[i];
	return n > seen ? n - seen : 0;
}

/* Each is in one of them: their sum is what was dropped. */
static void put_reason(const struct drop *d, const char *reason, uint64_t n)
{
	struct prom_labels l;

	if (!strcmp(reason, "bad-chain")) {
		reason = "bad-chain:other";
		n = without_reason(d->q, n);
	}
	queue_labels(&l, d->q);
	prom_label(&l, "reason", reason);
	fprintf(d->out, "kvasir_queue_dropped_total{%s} %" PRIu64 "\n", l.text, n);
}

static void put_drop(void *ctx, const char *reason, uint64_t n)
{
	const struct drop *d = ctx;
	struct prom_labels l;

	if (!d->apart && !is_apart(reason))
		put_reason(d, reason, n);
	if (!d->apart || strcmp(reason, d->apart->reason))
		return;
	queue_labels(&l, d->q);
	fprintf(d->out, "%s{%s} %" PRIu64 "\n", d->apart->metric, l.text, n);
}

/* Those of @apart, or all others if NULL, of all queues. */
static void drops(FILE *out, const struct queue_trace *t, const struct apart *apart)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		queue_each_drop(&t->queue[i], put_drop,
				&(struct drop){ out, &t->queue[i], apart });
}

static void load(FILE *out, const struct queue_trace *t)
{
	struct queue_series s;
	size_t i;

	by_op(out, t, &device_seconds, STAGE_DONE,
	      "Time the host device took for a request.");
	by_op(out, t, &request_bytes, WHAT_SIZE, "Size of requests.");
	prom_head(out, in_flight.name, "histogram",
		  "Requests in flight when one is issued, itself included.");
	for (i = 0; i < t->n; i++) {
		s = queue_sum(&t->queue[i], WHAT_DEPTH, -1);
		one(out, &in_flight, &t->queue[i], NULL, NULL, &s);
	}
	prom_head(out, "kvasir_queue_dropped_total", "counter",
		  "Requests and frames dropped or refused, by reason.");
	drops(out, t, NULL);
	for (i = 0; i < APARTS; i++) {
		prom_head(out, aparts[i].metric, "counter", aparts[i].help);
		drops(out, t, &aparts[i]);
	}
}

static void requests(FILE *out, const struct queue_trace *t)
{
	struct prom_labels l;
	size_t i;

	prom_head(out, "kvasir_queue_requests_total", "counter",
		  "Requests completed.");
	for (i = 0; i < t->n; i++) {
		queue_labels(&l, &t->queue[i]);
		fprintf(out, "kvasir_queue_requests_total{%s} %llu\n", l.text,
			t->queue[i].state.completed);
	}
	prom_head(out, "kvasir_queue_failed_total", "counter",
		  "Requests completed with an error.");
	for (i = 0; i < t->n; i++) {
		queue_labels(&l, &t->queue[i]);
		fprintf(out, "kvasir_queue_failed_total{%s} %llu\n", l.text,
			t->queue[i].state.failed);
	}
}

void queue_fmt_prometheus(FILE *out, const struct queue_record *rec)
{
	const struct queue_trace *t = &rec->t;
	const char *key, *text;
	uint64_t count;
	size_t i;

	if (rec->view == VIEW_PATH)
		hops(out, t);
	else
		load(out, t);
	requests(out, t);
	prom_head(out, "kvasir_trace_lost_total", "counter",
		  "What the tracer knows it did not see, by kind.");
	for (i = 0; (key = queue_loss(t, i, &count, &text)); i++)
		fprintf(out, "kvasir_trace_lost_total{kind=\"%s\"} %" PRIu64 "\n",
			key, count);
	prom_head(out, "kvasir_trace_seconds", "gauge", "How long the trace has run.");
	fprintf(out, "kvasir_trace_seconds %.3f\n", t->about.seconds);
}
