// SPDX-License-Identifier: GPL-2.0-only
/* The page of a trace of queues: tables, heat maps, histograms, the slowest. */
#include <inttypes.h>

#include "trace_page.h"
#include "trace_queues.h"
#include "trace_svg.h"

/* Colours of the hops, by the stage they end with; fit for light and dark. */
static const char style[] =
".s1,.key.s1{fill:#4c8fd0;background:#4c8fd0}.s2,.key.s2{fill:#e58a2b;background:#e58a2b}\n"
".s3,.key.s3{fill:#a277c9;background:#a277c9}.s4,.key.s4{fill:#4aa564;background:#4aa564}\n"
".s5,.key.s5{fill:#c9b02c;background:#c9b02c}.s6,.key.s6{fill:#db5a5a;background:#db5a5a}\n"
".s7,.key.s7{fill:#3fb0ac;background:#3fb0ac}\n"
"th:nth-child(2),td:nth-child(2){text-align:right}h3{margin-top:1.6rem}"
".n{white-space:nowrap;margin-right:.8em}\n";

/* Cells of a row for a series of times. */
static void put_times(FILE *out, const struct queue_series *s)
{
	char text[TRACE_DURATION_MAX];
	uint64_t v[QUEUE_FIGURES];
	size_t i;

	queue_figures(s, v);
	fprintf(out, "<td>%llu", s->n);
	for (i = 0; i < QUEUE_FIGURES; i++)
		fprintf(out, "<td>%s", s->n ? trace_duration(text, v[i]) : "-");
}

static void put_hop(FILE *out, const struct queue_trace_queue *q, unsigned int what)
{
	struct queue_series s = queue_sum(q, what, -1);

	if (!s.n)
		return;
	fputs("<tr><td>", out);
	if (what != WHAT_TOTAL)
		fprintf(out, "<span class=\"key s%u\"></span> ", what);
	trace_page_text(out, queue_hop_text(what));
	put_times(out, &s);
	fputs("</tr>\n", out);
}

static void put_hops(FILE *out, const struct queue_trace_queue *q)
{
	unsigned int i;

	fputs("<div class=\"t\"><table>\n<tr><th>hop<th>count<th>mean<th>p50<th>p90"
	      "<th>p99<th>p99.9<th>max</tr>\n", out);
	for (i = 1; i < STAGES; i++)
		put_hop(out, q, i);
	put_hop(out, q, WHAT_TOTAL);
	fputs("</table></div>\n", out);
}

static void put_op(FILE *out, const struct queue_trace_queue *q,
		   const struct queue_kind *k)
{
	const uint64_t v[] = {
		queue_quantile(&k->size, 500), queue_quantile(&k->size, 990),
		k->size.max,
	};
	char op[16], text[TRACE_VALUE_MAX];
	size_t i;

	fputs("<tr><td>", out);
	trace_page_text(out, queue_op_name(q, k->op, op));
	fprintf(out, "<td>%llu", k->size.n);
	put_times(out, &k->time);
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		fprintf(out, "<td>%s", k->size.n ?
			trace_value(text, TRACE_UNIT_BYTES, v[i]) : "-");
	fputs("</tr>\n", out);
}

static void put_ops(FILE *out, const struct queue_trace_queue *q)
{
	struct queue_kind k;
	size_t i;

	fputs("<div class=\"t\"><table>\n<tr><th>op<th>issued<th>count<th>mean"
	      "<th>p50<th>p90<th>p99<th>p99.9<th>max<th>size p50<th>p99<th>max</tr>\n",
	      out);
	for (i = 0; i < q->n_rows; i++)
		if (queue_kind_at(q, i, &k))
			put_op(out, q, &k);
	fputs("</table></div>\n", out);
}

static void put_drop(void *ctx, const char *reason, uint64_t n)
{
	FILE *out = ctx;

	if (!n)
		return;
	fputs("<p>", out);
	trace_page_text(out, reason);
	fprintf(out, ": %" PRIu64 "</p>\n", n);
}

/* ---- charts ---- */

struct heat_of {
	uint32_t queue, what;
};

static bool in_heat(const struct trace_cell *c, const void *ctx)
{
	const struct heat_of *of = ctx;

	return c->key[QUEUE_CELL_NUMBER] == of->queue &&
	       c->key[QUEUE_CELL_WHAT] == of->what;
}

/* The whole way, or the host device's part of it, by time. */
static void put_heat(FILE *out, const struct queue_record *rec,
		     const struct queue_trace_queue *q)
{
	const struct heat_of of = {
		q->state.number,
		rec->view == VIEW_PATH ? WHAT_TOTAL : STAGE_DONE,
	};
	const struct trace_svg_heat heat = {
		.label = "requests by latency and time",
		.what = "requests",
		.pick = { in_heat, &of },
	};

	fputs("<figure>\n", out);
	if (trace_svg_heat(out, &rec->tl, &heat))
		fprintf(out, "<figcaption>Requests, %s, by latency and time</figcaption>",
			rec->view == VIEW_PATH ? "in all" : "at the host device");
	fputs("</figure>\n", out);
}

static void put_histogram(FILE *out, const char *of, const char *op,
			  enum trace_unit unit, const struct queue_series *s)
{
	const struct trace_svg_histogram h = {
		.label = "how often it was how much",
		.unit = unit,
		.bucket = { s->bucket },
		.p50 = queue_quantile(s, 500),
		.p99 = queue_quantile(s, 990),
	};

	if (!s->n)
		return;
	fputs("<h3>", out);
	trace_page_text(out, of);
	if (op) {
		fputs(": ", out);
		trace_page_text(out, op);
	}
	fputs("</h3>\n", out);
	trace_svg_histogram(out, &h);
}

static void put_hop_histogram(FILE *out, const struct queue_trace_queue *q,
			      unsigned int what)
{
	struct queue_series s = queue_sum(q, what, -1);

	put_histogram(out, queue_hop_text(what), NULL, TRACE_UNIT_TIME, &s);
}

static void put_load_histograms(FILE *out, const struct queue_trace_queue *q)
{
	struct queue_series depth = queue_sum(q, WHAT_DEPTH, -1);
	char op[16];
	size_t i;

	for (i = 0; i < q->n_rows; i++) {
		const struct queue_row *r = &q->row[i];

		if (r->key.what == STAGE_DONE)
			put_histogram(out, "latency",
				      queue_op_name(q, r->key.op, op),
				      TRACE_UNIT_TIME, &r->s);
		if (r->key.what == WHAT_SIZE)
			put_histogram(out, "size",
				      queue_op_name(q, r->key.op, op),
				      TRACE_UNIT_BYTES, &r->s);
	}
	put_histogram(out, "in flight", NULL, TRACE_UNIT_COUNT, &depth);
}

/* The hops of @t as spans. Return: how many */
static size_t trip_spans(const struct queue_trip *t,
			 struct trace_svg_span span[STAGES])
{
	uint64_t begin = 0, ns, to;
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < STAGES; i++) {
		if (!begin)
			begin = t->at[i];
		if (!i || !queue_hop_ns(t, i, &ns))
			continue;
		to = t->at[i] - begin;
		/* The moments of a file need not be in order. */
		if (t->at[i] >= begin && ns <= to && to <= t->total_ns)
			span[n++] = (struct trace_svg_span){ to - ns, to, i };
	}
	return n;
}

/* What the colours mean of those hops that @row has. */
static void put_legend(FILE *out, const struct trace_svg_row *row, size_t n,
		       const char *const *names)
{
	unsigned int seen = 0, i;
	size_t k;

	for (; n; n--, row++)
		for (k = 0; k < row->n; k++)
			seen |= 1U << row->span[k].kind;
	fputs("<figcaption>", out);
	for (i = 1; i < STAGES; i++) {
		if (!(seen & 1U << i))
			continue;
		fprintf(out, "<span class=\"n\"><span class=\"key s%u\"></span> ", i);
		trace_page_text(out, names[i]);
		fputs("</span>\n", out);
	}
	fputs("</figcaption>\n", out);
}

static void put_slowest(FILE *out, const struct queue_trace_queue *q)
{
	struct trace_svg_span span[QUEUES_SLOWEST][STAGES];
	struct trace_svg_row row[QUEUES_SLOWEST] = { 0 };
	const char *names[STAGES];
	char op[16], size[TRACE_VALUE_MAX];
	size_t n;

	for (n = 0; n < STAGES; n++)
		names[n] = queue_hop_text(n);
	for (n = 0; n < QUEUES_SLOWEST && q->slow.trip[n].total_ns; n++) {
		const struct queue_trip *t = &q->slow.trip[n];

		snprintf(row[n].label, sizeof(row[n].label), "%s %s",
			 queue_op_name(q, t->op, op),
			 trace_value(size, TRACE_UNIT_BYTES, t->len));
		row[n].length = t->total_ns;
		row[n].span = span[n];
		row[n].n = trip_spans(t, span[n]);
	}
	if (!n)
		return;
	fputs("<h3>slowest requests</h3>\n<figure>\n", out);
	trace_svg_spans(out, "the slowest requests, hop by hop", row, n, names);
	put_legend(out, row, n, names);
	fputs("</figure>\n", out);
}

/* ---- the page ---- */

static void put_path(FILE *out, const struct queue_record *rec,
		     const struct queue_trace_queue *q)
{
	unsigned int i;

	put_hops(out, q);
	fputs("<p>", out);
	queue_services(out, q);
	fputs("</p>\n", out);
	put_heat(out, rec, q);
	put_slowest(out, q);
	put_hop_histogram(out, q, WHAT_TOTAL);
	for (i = 1; i < STAGES; i++)
		put_hop_histogram(out, q, i);
}

static void put_load(FILE *out, const struct queue_record *rec,
		     const struct queue_trace_queue *q)
{
	put_ops(out, q);
	queue_each_drop(q, put_drop, out);
	put_heat(out, rec, q);
	put_slowest(out, q);
	put_load_histograms(out, q);
}

static void put_queue(FILE *out, const struct queue_record *rec,
		      const struct queue_trace_queue *q)
{
	double seconds = rec->t.about.seconds;
	char label[QUEUE_LABEL_MAX];

	fputs("<h2>", out);
	trace_page_text(out, queue_label(label, q));
	fprintf(out, "</h2>\n<p>%llu requests, %.1f in a second, %llu failed</p>\n",
		q->state.completed,
		seconds > 0 ? q->state.completed / seconds : 0, q->state.failed);
	if (!q->n_rows)
		queue_each_drop(q, put_drop, out);
	else if (rec->view == VIEW_PATH)
		put_path(out, rec, q);
	else
		put_load(out, rec, q);
}

void queue_fmt_html(FILE *out, const struct queue_record *rec)
{
	const struct trace_about *about = &rec->t.about;
	const char *text;
	uint64_t lost;
	size_t i;

	trace_page_begin(out, rec->view == VIEW_PATH ? "Requests, hop by hop" :
			 rec->type == KVASIR_BLK ? "Requests of disks" :
						   "Frames of network cards", style);
	trace_page_when(out, about->began, about->seconds, about->kernel);
	for (i = 0; queue_loss(&rec->t, i, &lost, &text); i++)
		trace_page_loss(out, lost, text);
	trace_page_note(out, queue_note(rec));
	for (i = 0; i < rec->t.n; i++)
		put_queue(out, rec, &rec->t.queue[i]);
	trace_page_end(out);
}
