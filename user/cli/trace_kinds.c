// SPDX-License-Identifier: GPL-2.0-only
/* What can be traced: exits and queues; see trace_run.h. */
#include <errno.h>
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

	trace_clear(t);
	t->seconds = trace_now() - s->begin;
	err = exits->snapshot(s, t);
	return err ? unreadable(err) : 0;
}

static int exits_look(struct trace_source *s)
{
	struct trace_exits *exits = s->counts;
	int ret = trace_exits_now(s, &exits->next);

	return ret ? ret : look_done(trace_record_add(&exits->rec, &exits->next));
}

static int exits_write(struct trace_source *s, FILE *file)
{
	struct trace_exits *exits = s->counts;

	if (trace_join_returns(&exits->rec.t))
		return -ENOMEM;
	trace_ready(&exits->rec.t);
	return trace_file_write(file, &exits->rec);
}

static int exits_print(struct trace_source *s, const struct trace_style *style)
{
	struct trace_exits *exits = s->counts;

	if (trace_join_returns(&exits->rec.t))
		return look_done(-ENOMEM);
	trace_ready(&exits->rec.t);
	return trace_print(&exits->rec.t, &exits->rec.tl, style);
}

static int exits_metrics(struct trace_source *s, FILE *out)
{
	struct trace_exits *exits = s->counts;
	struct trace *t = &exits->next;
	int ret = trace_exits_now(s, t);

	if (ret)
		return ret;
	trace_ready(t);
	trace_fmt_prometheus(out, t);
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

	queue_trace_clear(t);
	t->about.seconds = trace_now() - s->begin;
	err = queues->snapshot(s, t);
	return err ? unreadable(err) : 0;
}

static int queues_look(struct trace_source *s)
{
	struct trace_queues *queues = s->counts;
	int ret = queues_now(s, &queues->next);

	return ret ? ret : look_done(queue_record_add(&queues->rec, &queues->next));
}

static int queues_write(struct trace_source *s, FILE *file)
{
	struct trace_queues *queues = s->counts;

	queue_trace_sort(&queues->rec.t);
	return queue_file_write(file, &queues->rec);
}

static int queues_print(struct trace_source *s, const struct trace_style *style)
{
	struct trace_queues *queues = s->counts;

	queue_trace_sort(&queues->rec.t);
	return queue_print(&queues->rec, style);
}

static int queues_metrics(struct trace_source *s, FILE *out)
{
	struct trace_queues *queues = s->counts;
	struct queue_record rec = {
		.view = queues->rec.view, .type = queues->rec.type,
	};
	int ret = queues_now(s, &queues->next);

	if (ret)
		return ret;
	queue_trace_sort(&queues->next);
	rec.t = queues->next;	/* lent, to be read */
	queue_fmt_prometheus(out, &rec);
	return 0;
}

const struct trace_kind trace_kind_queues = {
	.look = queues_look, .write = queues_write,
	.print = queues_print, .metrics = queues_metrics,
};
