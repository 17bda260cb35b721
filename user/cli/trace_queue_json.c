// SPDX-License-Identifier: GPL-2.0-only
/* What was traced of queues as JSON, described in Documentation/tracing.rst. */
#include <json-c/json.h>

#include "json_put.h"
#include "output.h"
#include "trace_queues.h"

static struct json_object *json_series(struct json *j,
				       const struct queue_series *s)
{
	struct json_object *o = json_new(j), *list = json_new_list(j), *b;
	unsigned int i;

	json_put_u64(j, o, "count", s->n);
	json_put_u64(j, o, "sum", s->sum);
	json_put_u64(j, o, "p50", queue_quantile(s, 500));
	json_put_u64(j, o, "p90", queue_quantile(s, 900));
	json_put_u64(j, o, "p99", queue_quantile(s, 990));
	json_put_u64(j, o, "p999", queue_quantile(s, 999));
	json_put_u64(j, o, "max", s->max);
	for (i = 0; i < HIST_BUCKETS; i++) {
		if (!s->bucket[i])
			continue;
		b = json_new_list(j);
		json_put_item(j, b, json_object_new_uint64(hist_lower(i)));
		json_put_item(j, b, json_object_new_uint64(s->bucket[i]));
		json_put_item(j, list, b);
	}
	json_put(j, o, "buckets", list);
	return o;
}

static struct json_object *json_path(struct json *j,
				     const struct queue_trace_queue *q)
{
	struct json_object *o = json_new(j);
	struct queue_series s;
	unsigned int i;

	for (i = 1; i < STAGES; i++) {
		s = queue_sum(q, i, -1);
		json_put(j, o, queue_hop(i), json_series(j, &s));
	}
	s = queue_sum(q, WHAT_TOTAL, -1);
	json_put(j, o, "total", json_series(j, &s));
	return o;
}

static struct json_object *json_slowest(struct json *j,
					const struct queue_trace_queue *q)
{
	struct json_object *list = json_new_list(j), *o;
	unsigned int i, k;
	uint64_t ns;
	char op[16];

	for (i = 0; i < QUEUES_SLOWEST && q->slow.trip[i].total_ns; i++) {
		const struct queue_trip *t = &q->slow.trip[i];

		o = json_new(j);
		json_put_str(j, o, "op", queue_op_name(q, t->op, op));
		json_put_u64(j, o, "bytes", t->len);
		json_put_u64(j, o, "head", t->head);
		json_put_u64(j, o, "total", t->total_ns);
		for (k = 1; k < STAGES; k++)
			if (queue_hop_ns(t, k, &ns))
				json_put_u64(j, o, queue_hop(k), ns);
		json_put_item(j, list, o);
	}
	return list;
}

static struct json_object *json_ops(struct json *j,
				    const struct queue_trace_queue *q)
{
	struct json_object *list = json_new(j), *o;
	struct queue_kind k;
	char op[16];
	size_t i;

	for (i = 0; i < q->n_rows; i++) {
		if (!queue_kind_at(q, i, &k))
			continue;
		o = json_new(j);
		json_put(j, o, "latency", json_series(j, &k.time));
		json_put(j, o, "size", json_series(j, &k.size));
		json_put(j, list, queue_op_name(q, k.op, op), o);
	}
	return list;
}

struct json_drops {
	struct json *j;
	struct json_object *o;
};

static void json_drop(void *ctx, const char *reason, uint64_t n)
{
	const struct json_drops *d = ctx;

	json_put_u64(d->j, d->o, reason, n);
}

static struct json_object *json_drops(struct json *j,
				      const struct queue_trace_queue *q)
{
	struct json_drops d = { j, json_new(j) };

	queue_each_drop(q, json_drop, &d);
	return d.o;
}

void queue_json_names(struct json *j, struct json_object *o,
		      const struct queue_trace_queue *q)
{
	char buf[32];

	json_put_u64(j, o, "dev", q->dev);
	json_put_u64(j, o, "index", q->index);
	json_put_str(j, o, "type", queue_type(q));
	json_put_str(j, o, "queue", queue_name(q, buf));
	json_put_str(j, o, "backend", q->state.backend);
	json_put_u64(j, o, "pid", q->state.pid);
	json_put_str(j, o, "comm", q->comm);
	json_put_str(j, o, "name", q->name);
}

static struct json_object *json_queue(struct json *j,
				      const struct queue_trace_queue *q,
				      enum queue_view view)
{
	const struct queue_state *s = &q->state;
	struct json_object *o = json_new(j);
	struct queue_series depth;

	queue_json_names(j, o, q);
	json_put_u64(j, o, "requests", s->completed);
	json_put_u64(j, o, "failed", s->failed);
	json_put_u64(j, o, "services", s->services);
	json_put_u64(j, o, "unasked", s->unasked);
	json_put_u64(j, o, "calls", s->calls);
	json_put_u64(j, o, "uncalled", s->uncalled);
	json_put_u64(j, o, "elsewhere", s->elsewhere);
	json_put_u64(j, o, "posted", s->posted);
	if (view == VIEW_PATH) {
		json_put(j, o, "hops", json_path(j, q));
		json_put(j, o, "slowest", json_slowest(j, q));
		return o;
	}
	depth = queue_sum(q, WHAT_DEPTH, -1);
	json_put(j, o, "ops", json_ops(j, q));
	json_put(j, o, "depth", json_series(j, &depth));
	json_put(j, o, "drops", json_drops(j, q));
	return o;
}

int queue_print_json(const struct queue_record *rec)
{
	const struct trace_about *about = &rec->t.about;
	const char *note = queue_note(rec), *key, *text;
	struct json_object *root, *list, *o;
	struct json j = { false };
	uint64_t lost;
	size_t i;

	root = json_new(&j);
	json_put_str(&j, root, "kernel", about->kernel);
	json_put_double(&j, root, "seconds", about->seconds);
	if (about->pid)
		json_put_u64(&j, root, "pid", about->pid);
	if (note)
		json_put_str(&j, root, "note", note);
	list = json_new_list(&j);
	for (i = 0; i < rec->t.n; i++)
		json_put_item(&j, list, json_queue(&j, &rec->t.queue[i], rec->view));
	json_put(&j, root, "queues", list);
	o = json_new(&j);
	for (i = 0; (key = queue_loss(&rec->t, i, &lost, &text)); i++)
		json_put_u64(&j, o, key, lost);
	json_put(&j, root, "losses", o);
	o = json_new(&j);
	json_put_u64(&j, o, "events", about->cost_events);
	json_put_u64(&j, o, "ns", about->cost_ns);
	json_put(&j, root, "cost", o);
	return out_json(json_done(&j, root));
}
