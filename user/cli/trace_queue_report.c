// SPDX-License-Identifier: GPL-2.0-only
/* What can be said about queues, for all formats; and tables for people. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "output.h"
#include "trace_queues.h"

/* What a series is of: mostly the hop that ends with a stage. */
static const struct {
	const char *key, *text;
} hops[WHAT_END] = {
	[WHAT_TOTAL] = { "total", "in all" },
	[STAGE_KICK] = { "doorbell", "guest -> doorbell" },
	[STAGE_BEGIN] = { "wake", "doorbell -> worker" },
	[STAGE_ISSUE] = { "backend", "worker -> host device" },
	[STAGE_DONE] = { "device", "host device" },
	[STAGE_CALL] = { "publish", "done -> call" },
	[STAGE_IRQ] = { "interrupt", "call -> interrupt" },
	[STAGE_ENTRY] = { "entry", "interrupt -> guest" },
	[WHAT_SIZE] = { "size", "bytes" },
	[WHAT_DEPTH] = { "depth", "in flight" },
};

const char *queue_hop(unsigned int what)
{
	return what < WHAT_END ? hops[what].key : NULL;
}

const char *queue_hop_text(unsigned int what)
{
	return hops[what].text;
}

bool queue_is_hop(enum queue_view view, unsigned int what)
{
	return view == VIEW_PATH ? what > WHAT_TOTAL && what < STAGES :
				   what == STAGE_DONE;
}

/* enum kvs_chain_err, in its order */
static const char *const bad_chains[QUEUE_ERRORS] = {
	[1] = "loop", "next", "too-long", "order", "indirect", "range",
	"length", "access", "miss",
};

const struct trace_loss_key queue_losses[] = {
#define LOSS(member, text) \
	{ #member, offsetof(struct queue_trace, lost.member), text }
	LOSS(queues_full, "events of queues beyond what there is room for"),
	LOSS(series_full, "values that found no free histogram"),
	LOSS(reqs_full, "requests not followed: too many in flight"),
	LOSS(vcpus_full, "exits of vCPUs beyond what there is room for"),
	LOSS(irqs_full, "interrupts not followed into the guest: too many, or too late"),
	LOSS(unmatched, "completions of requests begun before the trace"),
	LOSS(slow_busy, "requests not compared with the slowest"),
	LOSS(storage, "events without memory for their thread"),
	LOSS(backward_clock, "hops that ended before they began"),
#undef LOSS
	{ "recursion_misses", offsetof(struct queue_trace, about.recursion_misses),
	  "events missed while the tracer was busy" },
	{ NULL, 0, NULL },
};

const char *queue_loss(const struct queue_trace *t, size_t i, uint64_t *count,
		       const char **text)
{
	const struct trace_loss_key *l = &queue_losses[i];

	if (!l->key)
		return NULL;
	*count = *trace_lost(l, t);
	*text = l->text;
	return l->key;
}

const char *queue_op_name(const struct queue_trace_queue *q, unsigned int op,
			  char buf[16])
{
	if (q->state.type == KVASIR_NET)
		return q->index & 1 ? "sent" : "received";
	switch (op) {
	case VIRTIO_BLK_T_IN:
		return "read";
	case VIRTIO_BLK_T_OUT:
		return "write";
	case VIRTIO_BLK_T_FLUSH:
		return "flush";
	case VIRTIO_BLK_T_GET_ID:
		return "get-id";
	case VIRTIO_BLK_T_DISCARD:
		return "discard";
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return "write-zeroes";
	case VIRTIO_BLK_T_SECURE_ERASE:
		return "secure-erase";
	case QUEUE_OP_OTHER:
		return "other";
	default:
		snprintf(buf, 16, "type %u", op);
		return buf;
	}
}

const char *queue_name(const struct queue_trace_queue *q, char buf[32])
{
	if (q->state.type == KVASIR_NET)
		snprintf(buf, 32, "%s%u", q->index & 1 ? "tx" : "rx", q->index / 2);
	else
		snprintf(buf, 32, "queue %u", q->index);
	return buf;
}

const char *queue_type(const struct queue_trace_queue *q)
{
	return q->state.type == KVASIR_NET ? "net" :
	       q->state.type == KVASIR_BLK ? "blk" : "?";
}

uint64_t queue_quantile(const struct queue_series *s, uint32_t permille)
{
	return hist_quantile(s->bucket, s->n, permille, s->max);
}

const char *queue_label(char buf[QUEUE_LABEL_MAX],
			const struct queue_trace_queue *q)
{
	char backend[4 * sizeof(q->state.backend)], name[4 * sizeof(q->name)];
	char queue[32];

	out_escape(name, sizeof(name), q->name);
	out_escape(backend, sizeof(backend), q->state.backend);
	snprintf(buf, QUEUE_LABEL_MAX, "%s %s, device %u %s%s%s, pid %u%s%s",
		 queue_type(q), queue_name(q, queue), q->dev, *backend ? "(" : "",
		 backend, *backend ? ")" : "", q->state.pid, *name ? ", " : "",
		 name);
	return buf;
}

void queue_figures(const struct queue_series *s, uint64_t figure[QUEUE_FIGURES])
{
	const uint64_t v[QUEUE_FIGURES] = {
		s->n ? s->sum / s->n : 0, queue_quantile(s, 500),
		queue_quantile(s, 900), queue_quantile(s, 990),
		queue_quantile(s, 999), s->max,
	};

	memcpy(figure, v, sizeof(v));
}

/* Cells of a series of times: count, mean, quantiles, maximum. */
static void add_times(struct table *table, const struct queue_series *s)
{
	uint64_t v[QUEUE_FIGURES];
	char buf[TRACE_DURATION_MAX];
	size_t i;

	queue_figures(s, v);
	table_cell(table, "%llu", s->n);
	for (i = 0; i < QUEUE_FIGURES; i++)
		table_cell(table, "%s", s->n ? trace_duration(buf, v[i]) : "-");
}

static const char *const time_heads[] = {
	"HOP", ">COUNT", ">MEAN", ">P50", ">P90", ">P99", ">P99.9", ">MAX",
};

static int print_hops(const struct queue_trace_queue *q)
{
	struct table *table = table_create(8, time_heads);
	struct queue_series s;
	unsigned int i;

	for (i = 1; i < STAGES; i++) {
		s = queue_sum(q, i, -1);
		if (!s.n)
			continue;
		table_cell(table, "%s", queue_hop_text(i));
		add_times(table, &s);
	}
	s = queue_sum(q, WHAT_TOTAL, -1);
	table_cell(table, "%s", queue_hop_text(WHAT_TOTAL));
	add_times(table, &s);
	return table_print(table);
}

bool queue_hop_ns(const struct queue_trip *t, unsigned int stage, uint64_t *ns)
{
	unsigned int before = stage - 1;

	/* A frame is received without being issued. */
	if (stage == STAGE_DONE && !t->at[STAGE_ISSUE])
		before = STAGE_BEGIN;
	if (!t->at[stage] || !t->at[before] || t->at[stage] < t->at[before])
		return false;
	*ns = t->at[stage] - t->at[before];
	return true;
}

static int print_slowest(const struct queue_trace_queue *q, unsigned int n)
{
	static const char *const heads[] = {
		"SLOWEST", ">BYTES", ">ALL", ">DOORBELL", ">WAKE", ">BACKEND",
		">DEVICE", ">PUBLISH", ">IRQ", ">ENTRY",
	};
	char op[16], buf[TRACE_DURATION_MAX];
	struct table *table;
	unsigned int i, k;
	uint64_t ns;

	if (!n || !q->slow.trip[0].total_ns)
		return 0;
	table = table_create(sizeof(heads) / sizeof(heads[0]), heads);
	for (i = 0; i < n && q->slow.trip[i].total_ns; i++) {
		const struct queue_trip *t = &q->slow.trip[i];

		table_cell(table, "%s", queue_op_name(q, t->op, op));
		table_cell(table, "%u", t->len);
		table_cell(table, "%s", trace_duration(buf, t->total_ns));
		for (k = 1; k < STAGES; k++)
			table_cell(table, "%s", queue_hop_ns(t, k, &ns) ?
				   trace_duration(buf, ns) : "-");
	}
	return table_print(table);
}

void queue_services(FILE *out, const struct queue_trace_queue *q)
{
	const struct queue_state *s = &q->state;

	fprintf(out, "%llu services (%llu not kicked), %llu calls, %llu services without one",
		s->services, s->unasked, s->calls, s->uncalled);
	if (s->elsewhere)
		fprintf(out, ", %llu calls not into a guest", s->elsewhere);
	if (s->posted)
		fprintf(out, ", %llu interrupts posted into a running guest",
			s->posted);
}

static int print_load(const struct queue_trace_queue *q)
{
	static const char *const heads[] = {
		"OP", ">ISSUED", ">COUNT", ">MEAN", ">P50", ">P90", ">P99",
		">P99.9", ">MAX", ">SIZE P50", ">P99", ">MAX",
	};
	struct table *table = table_create(12, heads);
	struct queue_kind k;
	char op[16];
	size_t i;

	for (i = 0; i < q->n_rows; i++) {
		if (!queue_kind_at(q, i, &k))
			continue;
		table_cell(table, "%s", queue_op_name(q, k.op, op));
		table_cell(table, "%llu", k.size.n);
		add_times(table, &k.time);
		table_cell(table, "%" PRIu64, queue_quantile(&k.size, 500));
		table_cell(table, "%" PRIu64, queue_quantile(&k.size, 990));
		table_cell(table, "%llu", k.size.max);
	}
	return table_print(table);
}

static void print_depth(const struct queue_trace_queue *q, double seconds)
{
	struct queue_series s = queue_sum(q, WHAT_DEPTH, -1);

	if (s.n)
		printf("in flight: mean %.1f, p50 %" PRIu64 ", p99 %" PRIu64
		       ", max %llu\n", (double)s.sum / s.n,
		       queue_quantile(&s, 500), queue_quantile(&s, 990), s.max);
	printf("%.0f requests/s, %llu failed\n",
	       seconds > 0 ? q->state.completed / seconds : 0, q->state.failed);
}

/* Counters that say what was lost and why. */
static bool is_drop(const char *counter)
{
	return !strncmp(counter, "drop-", 5) || !strcmp(counter, "errors") ||
	       !strcmp(counter, "bad-chain") || !strcmp(counter, "broken") ||
	       !strcmp(counter, "no-buffers");
}

void queue_each_drop(const struct queue_trace_queue *q,
		     void (*fn)(void *ctx, const char *reason, uint64_t n), void *ctx)
{
	const char *name;
	unsigned int i;
	char key[32];

	for (i = 1; q->counted && (name = kvasir_counter_name(i)); i++)
		if (is_drop(name))
			fn(ctx, name, q->counters[i]);
	for (i = 0; i < QUEUE_ERRORS; i++) {
		if (!q->state.bad[i])
			continue;
		snprintf(key, sizeof(key), "bad-chain:%s",
			 bad_chains[i] ? bad_chains[i] : "?");
		fn(ctx, key, q->state.bad[i]);
	}
}

static void print_drop(void *ctx, const char *reason, uint64_t n)
{
	(void)ctx;
	if (n)
		printf("%s: %" PRIu64 "\n", reason, n);
}

static int print_queue(const struct queue_record *rec,
		       const struct queue_trace_queue *q, unsigned int slowest)
{
	char label[QUEUE_LABEL_MAX];
	int ret;

	printf("== %s\n", queue_label(label, q));
	if (rec->view == VIEW_PATH) {
		ret = print_hops(q);
		if (!ret)
			ret = print_slowest(q, slowest);
		queue_services(stdout, q);
		putchar('\n');
	} else {
		ret = print_load(q);
		print_depth(q, rec->t.about.seconds);
		queue_each_drop(q, print_drop, NULL);
	}
	putchar('\n');
	return ret;
}

const char *queue_note(const struct queue_record *rec)
{
	const struct queue_trace *t = &rec->t;

	if (!t->n)
		return "no requests: no queue of the module was used";
	if (rec->view == VIEW_PATH && t->no_guests)
		return "KVM is not loaded: the hops in the guest are unknown";
	if (rec->view == VIEW_LOAD && t->counters_err == -EPERM)
		return "drops by reason are the module's counters: needs CAP_NET_ADMIN";
	if (rec->view == VIEW_LOAD && t->counters_err)
		return "drops by reason are the module's counters, which this network namespace does not show";
	return NULL;
}

static int print_tables(const struct queue_record *rec, unsigned int slowest)
{
	const struct trace_about *about = &rec->t.about;
	const char *note = queue_note(rec), *text;
	char buf[TRACE_DURATION_MAX];
	uint64_t lost;
	int ret = 0;
	size_t i;

	for (i = 0; i < rec->t.n && !ret; i++)
		ret = print_queue(rec, &rec->t.queue[i], slowest);
	for (i = 0; queue_loss(&rec->t, i, &lost, &text); i++)
		if (lost)
			printf("lost: %" PRIu64 " %s\n", lost, text);
	if (about->cost_events)
		printf("cost: %s per event (measured on %" PRIu64 ")\n",
		       trace_duration(buf, about->cost_ns / about->cost_events),
		       about->cost_events);
	if (note)
		printf("note: %s\n", note);
	return ret ? ret : out_done();
}

int queue_print(const struct queue_record *rec, const struct trace_style *style)
{
	switch (style->format) {
	case TRACE_JSON:
		return queue_print_json(rec);
	case TRACE_PROMETHEUS:
		queue_fmt_prometheus(stdout, rec);
		return out_done();
	case TRACE_FOLDED:
		queue_fmt_folded(stdout, rec);
		return out_done();
	case TRACE_HTML:
		queue_fmt_html(stdout, rec);
		return out_done();
	default:
		return print_tables(rec, style->slowest);
	}
}
