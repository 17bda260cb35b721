// SPDX-License-Identifier: GPL-2.0-only
/* What can be traced: exits and queues; see trace_run.h. */
#include <string.h>

#include "output.h"
#include "run.h"
#include "trace_file.h"
#include "trace_queues.h"
#include "trace_run.h"

static int unreadable(int err)
{
	return out_error(EXIT_VMM, "cannot read the counts: %s", strerror(-err));
}

static int look_done(int err)
{
	return err ? out_error(EXIT_VMM, "out of memory") : 0;
}

/* ---- exits ---- */

int trace_exits_now(struct trace_source *s, struct trace *t)
{
	struct trace_exits *exits = s->counts;
	int err;

	memset(t, 0, sizeof(*t));
	t->seconds = trace_now() - s->begin;
	err = exits->snapshot(s, t);
	if (!err)
		return 0;
	trace_free(t);
	return unreadable(err);
}

static int exits_look(struct trace_source *s)
{
	struct trace_exits *exits = s->counts;
	struct trace t;
	int ret = trace_exits_now(s, &t);

	return ret ? ret : look_done(trace_record_add(&exits->rec, &t));
}

static int exits_write(struct trace_source *s, FILE *file)
{
	struct trace_exits *exits = s->counts;

	return trace_file_write(file, &exits->rec);
}

static int exits_print(struct trace_source *s, const struct trace_style *style)
{
	struct trace_exits *exits = s->counts;

	return trace_print(&exits->rec.t, &exits->rec.tl, style);
}

static int exits_metrics(struct trace_source *s, FILE *out)
{
	struct trace t;
	int ret = trace_exits_now(s, &t);

	if (ret)
		return ret;
	trace_fmt_prometheus(out, &t);
	trace_free(&t);
	return 0;
}

const struct trace_kind trace_kind_exits = {
	.look = exits_look, .write = exits_write,
	.print = exits_print, .metrics = exits_metrics,
};

/* ---- queues ---- */

static int queues_now(struct trace_source *s, struct queue_trace *t)
{
	struct trace_queues *queues = s->counts;
	int err;

	memset(t, 0, sizeof(*t));
	t->about.seconds = trace_now() - s->begin;
	err = queues->snapshot(s, t);
	if (!err)
		return 0;
	queue_trace_free(t);
	return unreadable(err);
}

static int queues_look(struct trace_source *s)
{
	struct trace_queues *queues = s->counts;
	struct queue_trace t;
	int ret = queues_now(s, &t);

	return ret ? ret : look_done(queue_record_add(&queues->rec, &t));
}

static int queues_write(struct trace_source *s, FILE *file)
{
	struct trace_queues *queues = s->counts;

	return queue_file_write(file, &queues->rec);
}

static int queues_print(struct trace_source *s, const struct trace_style *style)
{
	struct trace_queues *queues = s->counts;

	return queue_print(&queues->rec, style);
}

static int queues_metrics(struct trace_source *s, FILE *out)
{
	struct trace_queues *queues = s->counts;
	struct queue_record rec = {
		.view = queues->rec.view, .type = queues->rec.type,
	};
	int ret = queues_now(s, &rec.t);

	if (ret)
		return ret;
	queue_fmt_prometheus(out, &rec);
	queue_trace_free(&rec.t);
	return 0;
}

const struct trace_kind trace_kind_queues = {
	.look = queues_look, .write = queues_write,
	.print = queues_print, .metrics = queues_metrics,
};
