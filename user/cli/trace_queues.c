// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvasir trace path: a request's way from the guest's doorbell through the
 *	module and the host device back into the guest, hop by hop.
 * kvasir trace io, net: what the queues of disks and network cards are loaded
 *	with: sizes, latencies, depths, and what was dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_queues.h"
#include "queues.skel.h"

/* The module's counters when the trace began. */
struct counters {
	struct kvasir_queue_info *queue;
	size_t n;
	int err;
};

/* The trace, too: its BPF programs are the source of counts. */
struct options {
	struct trace_session session;	/* first */
	struct queues_bpf *skel;
	struct counters before;
	double stopped;		/* trace_now(), 0: still counting */
	enum queue_view view;
	uint32_t type;		/* of devices; 0: all */
	unsigned int slowest;
	bool no_guests;		/* KVM's tracepoints are not there */
	bool json;
	const char *prometheus;	/* [ADDRESS:]PORT, or "-" */
};

static int counters_add(const struct kvasir_queue_info *info, void *ctx)
{
	struct counters *c = ctx;
	struct kvasir_queue_info *grown;

	grown = realloc(c->queue, (c->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->queue = grown;
	c->queue[c->n++] = *info;
	return 0;
}

static void counters_read(struct counters *c)
{
	memset(c, 0, sizeof(*c));
	c->err = kvasir_list_queues(UINT32_MAX, counters_add, c);
}

static const struct kvasir_queue_info *counters_of(const struct counters *c,
						   uint32_t dev, uint32_t index)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->queue[i].dev_id == dev && c->queue[i].index == index)
			return &c->queue[i];
	return NULL;
}

/* ---- maps -> model ---- */

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

static int collect_queues(struct queue_trace *t, const struct queues_bpf *s)
{
	struct queue_trace_queue *q, *grown;
	uint64_t key, *last = NULL;

	while (!bpf_map_get_next_key(bpf_map__fd(s->maps.queues), last, &key)) {
		last = &key;
		grown = realloc(t->queue, (t->n + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		t->queue = grown;
		q = memset(&t->queue[t->n], 0, sizeof(*q));
		if (bpf_map_lookup_elem(bpf_map__fd(s->maps.queues), &key, &q->state))
			return -errno;
		q->dev = key >> 32;
		q->index = key;
		if (!q->state.type)
			continue;	/* just coming up */
		q->state.backend[sizeof(q->state.backend) - 1] = 0;
		if (bpf_map_lookup_elem(bpf_map__fd(s->maps.slow),
					&q->state.number, &q->slow))
			return -errno;
		qsort(q->slow.trip, QUEUES_SLOWEST, sizeof(q->slow.trip[0]),
		      slower_first);
		t->n++;
	}
	if (t->n)
		qsort(t->queue, t->n, sizeof(*t->queue), by_number);
	return 0;
}

static struct queue_trace_queue *numbered(struct queue_trace *t, uint32_t number)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->queue[i].state.number == number)
			return &t->queue[i];
	return NULL;
}

static int collect_series(struct queue_trace *t, const struct queues_bpf *s)
{
	int fd = bpf_map__fd(s->maps.series);
	struct queue_series_key key, *last = NULL;
	struct queue_trace_queue *q;
	struct queue_row *grown;
	size_t i;

	while (!bpf_map_get_next_key(fd, last, &key)) {
		last = &key;
		q = numbered(t, key.queue);
		if (!q)
			continue;
		grown = realloc(q->row, (q->n_rows + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		q->row = grown;
		q->row[q->n_rows].key = key;
		if (bpf_map_lookup_elem(fd, &key, &q->row[q->n_rows].s))
			return -errno;
		q->n_rows++;
	}
	for (i = 0; i < t->n; i++)
		if (t->queue[i].n_rows)
			qsort(t->queue[i].row, t->queue[i].n_rows,
			      sizeof(struct queue_row), by_key);
	return 0;
}

/* What the module counted meanwhile. */
static void collect_counters(struct queue_trace *t, const struct counters *before)
{
	const struct kvasir_queue_info *was, *is;
	struct counters now;
	size_t i, k;

	counters_read(&now);
	t->counters_err = before->err ? before->err : now.err;
	for (i = 0; i < t->n && !before->err && !now.err; i++) {
		struct queue_trace_queue *q = &t->queue[i];

		was = counters_of(before, q->dev, q->index);
		is = counters_of(&now, q->dev, q->index);
		if (!is)
			continue;	/* the device is gone, and they with it */
		q->counted = true;
		for (k = 0; k < KVASIR_COUNTERS_MAX; k++)
			q->counters[k] = is->counters[k] -
					 (was ? was->counters[k] : 0);
	}
	free(now.queue);
}

static void queue_trace_free(struct queue_trace *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		free(t->queue[i].row);
	free(t->queue);
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

/* ---- the commands ---- */

/* KVM's half is left out where KVM is not there, or was not asked for. */
static void choose_programs(struct queues_bpf *s, bool path)
{
	struct bpf_program *const kvm[] = {
		s->progs.on_exit, s->progs.on_entry, s->progs.on_accept,
		s->progs.on_inject,
	};
	size_t i;

	s->rodata->want_path = path;
	for (i = 0; i < sizeof(kvm) / sizeof(kvm[0]); i++)
		bpf_program__set_autoload(kvm[i], path);
}

/* Return: attached and counting, or NULL with the exit status in *@ret. */
static struct queues_bpf *start(const struct options *o, bool path, int *ret)
{
	struct trace_optional ready;
	struct queues_where where;
	struct queues_bpf *s;
	int err;

	err = trace_queue_layout(&where);
	if (err) {
		*ret = err == -ENOENT ?
		       out_error(EXIT_NO_BACKEND,
				 "no type information of module kvasir: is it loaded ('kvasir module load') and built with BTF?") :
		       out_error(EXIT_VMM, "type information: %s", strerror(-err));
		return NULL;
	}
	s = queues_bpf__open();
	if (!s) {
		*ret = trace_explain("cannot open the BPF program", -errno);
		return NULL;
	}
	/* A module older than this command has no such tracepoint. */
	ready = (struct trace_optional){
		s->progs.on_ready, &s->links.on_ready,
		"the wait of received frames for the worker is unknown",
	};
	s->rodata->only_pid = o->session.pid;
	s->rodata->only_type = o->type;
	memcpy((void *)&s->rodata->where, &where, sizeof(where));
	choose_programs(s, path);
	trace_defer(&ready, 1);
	err = queues_bpf__load(s);
	if (err)
		*ret = trace_explain("cannot load the BPF program", err);
	else if ((err = queues_bpf__attach(s)))
		*ret = trace_explain("cannot attach to the tracepoints", err);
	if (err) {
		queues_bpf__destroy(s);
		return NULL;
	}
	trace_attach(&ready, 1);
	s->bss->enabled = true;
	return s;
}

/* What was counted so far. Return: 0, or the exit status; queue_trace_free(). */
static int look(const struct options *o, struct queue_trace *t)
{
	int err;

	*t = (struct queue_trace){
		.pid = o->session.pid,
		.cost = &o->session.cost,
		.no_guests = o->no_guests,
		.lost = o->skel->bss->lost,
		.seconds = (o->stopped > 0 ? o->stopped : trace_now()) -
			   o->session.source.begin,
	};
	err = collect_queues(t, o->skel);
	if (!err)
		err = collect_series(t, o->skel);
	if (err)
		return out_error(EXIT_VMM, "cannot read the counts: %s",
				 strerror(-err));
	collect_counters(t, &o->before);
	return 0;
}

static int metrics(struct trace_source *source, FILE *out)
{
	const struct options *o = (struct options *)source;
	struct queue_trace t;
	int ret = look(o, &t);

	if (!ret)
		queue_fmt_prometheus(out, &t, o->view);
	queue_trace_free(&t);
	return ret;
}

static void stop(struct trace_source *source)
{
	struct options *o = (struct options *)source;

	o->skel->bss->enabled = false;
	o->stopped = trace_now();
	queues_bpf__detach(o->skel);
	trace_cost_end(&o->session.cost, o->skel->obj);
}

static int report(const struct options *o)
{
	struct queue_trace t;
	int ret = look(o, &t);

	if (ret)
		;
	else if (o->json)
		ret = queue_print_json(&t, o->view);
	else
		ret = queue_print(&t, o->view, o->slowest);
	queue_trace_free(&t);
	return ret;
}

static int wait_and_report(struct options *o)
{
	struct trace_source *source = &o->session.source;
	int err = trace_session_wait(&o->session);

	stop(source);
	if (err)
		return out_error(EXIT_VMM, "poll: %s", strerror(-err));
	if (!o->prometheus)
		return report(o);
	err = metrics(source, stdout);
	return err ? err : out_done();
}

static int trace(struct trace_session *session, void *ctx)
{
	struct options *o = ctx;
	int ret;

	o->no_guests = o->view == VIEW_PATH && access("/sys/module/kvm", F_OK);
	o->skel = start(o, o->view == VIEW_PATH && !o->no_guests, &ret);
	if (!o->skel)
		return ret;
	session->source.metrics = metrics;
	session->source.stop = stop;
	counters_read(&o->before);
	trace_session_begin(session);
	out_note("tracing queues, Ctrl-C ends");
	ret = o->prometheus && strcmp(o->prometheus, "-") ?
	      trace_serve(&session->source, o->prometheus) : wait_and_report(o);
	free(o->before.queue);
	queues_bpf__destroy(o->skel);
	return ret;
}

static int run(int argc, char **argv, struct options *o, const char *verb,
	       const char *about)
{
	const struct opt opts[] = {
		TRACE_SESSION_OPTIONS(&o->session),
		{ .name = "json", .kind = OPT_FLAG, .dst = &o->json,
		  .help = "JSON instead of tables" },
		TRACE_PROMETHEUS_OPTION(&o->prometheus),
		/* The last one is for path only. */
		{ .name = o->view == VIEW_PATH ? "slowest" : NULL,
		  .kind = o->view == VIEW_PATH ? OPT_UINT : OPT_END,
		  .dst = &o->slowest, .max = QUEUES_SLOWEST, .arg = "N",
		  .help = "show the N slowest of every queue (default: 3)" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = verb,
		.about = about,
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   3 no permission   4 no such process or guest\n"
			 "  6 module not loaded\n",
	};
	int first, ret;

	out_verb(verb);
	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	if (o->json && o->prometheus)
		return out_error(EXIT_USAGE, "only one of --json and --prometheus");
	ret = trace_check_prometheus(o->prometheus);
	if (ret)
		return ret;
	return trace_session_run(&o->session, trace, o);
}

int cmd_trace_path(int argc, char **argv)
{
	struct options o = { .view = VIEW_PATH, .slowest = 3 };

	return run(argc, argv, &o, "trace path",
		   "Time every hop of a request through the module: doorbell, worker, host device,\n"
		   "interrupt, guest. Needs the capabilities CAP_BPF and CAP_PERFMON.");
}

int cmd_trace_io(int argc, char **argv)
{
	struct options o = { .view = VIEW_LOAD, .type = KVASIR_BLK };

	return run(argc, argv, &o, "trace io",
		   "Sizes, latencies and queue depths of the module's disks.\n"
		   "Needs the capabilities CAP_BPF and CAP_PERFMON.");
}

int cmd_trace_net(int argc, char **argv)
{
	struct options o = { .view = VIEW_LOAD, .type = KVASIR_NET };

	return run(argc, argv, &o, "trace net",
		   "Sizes, latencies and queue depths of the module's network cards, and what they\n"
		   "dropped. Needs the capabilities CAP_BPF and CAP_PERFMON.");
}
