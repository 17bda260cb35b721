// SPDX-License-Identifier: GPL-2.0-only
/* Waiting for the end of a trace, and recording it; see trace_run.h. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "run.h"
#include "trace_file.h"
#include "trace_run.h"

#define LONG_WAIT 3600

double trace_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

enum trace_wait trace_wait(struct trace_source *s, double until,
			   struct pollfd *fds, nfds_t n)
{
	bool last = s->end > 0 && (until <= 0 || s->end <= until);
	double at = last ? s->end : until > 0 ? until : HUGE_VAL;
	double left, tick = HUGE_VAL;
	struct timespec ts;
	int ret;

	fds[0] = (struct pollfd){ .fd = s->sigfd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = s->pidfd, .events = POLLIN };
	for (;;) {
		if (s->tick)
			tick = s->tick(s);
		left = (tick < at ? tick : at) - trace_now();
		/* HUGE_VAL is no time to hand to the kernel. */
		left = left < 0 ? 0 : left > LONG_WAIT ? LONG_WAIT : left;
		ts.tv_sec = left;
		ts.tv_nsec = (left - ts.tv_sec) * 1e9;
		ret = ppoll(fds, n, &ts, NULL);
		if (ret < 0 && errno != EINTR)
			return TRACE_FAILED;
		if (ret > 0)
			return fds[0].revents || fds[1].revents ? TRACE_END :
								  TRACE_FD;
		if (trace_now() >= at)
			return last ? TRACE_END : TRACE_TIME;
	}
}

int trace_look(struct trace_source *s, struct trace *t)
{
	int err;

	memset(t, 0, sizeof(*t));
	t->seconds = trace_now() - s->begin;
	err = s->snapshot(s, t);
	if (!err)
		return 0;
	trace_free(t);
	return out_error(EXIT_VMM, "cannot read the counts: %s", strerror(-err));
}

int trace_metrics(struct trace_source *s, FILE *out)
{
	struct trace t;
	int ret = trace_look(s, &t);

	if (ret)
		return ret;
	trace_fmt_prometheus(out, &t);
	trace_free(&t);
	return 0;
}

/* One look more, into @tl. Return: 0, or the exit status. */
static int add_slice(struct trace_source *s, struct trace_timeline *tl)
{
	struct trace t;
	int ret = trace_look(s, &t);

	if (ret)
		return ret;
	if (trace_timeline_add(tl, &t))
		return out_error(EXIT_VMM, "out of memory");
	return 0;
}

/*
 * Wait for the end. With @sliced, look at the counters now and then: for each
 * of the slices there is room for, when the end is known, else every second.
 */
static int wait_for_end(struct trace_source *s, struct trace_timeline *tl,
			bool sliced)
{
	double step = s->end > 0 ? (s->end - s->begin) / TRACE_SLICES : 1;
	double next = sliced ? s->begin : 0;
	struct pollfd fds[2];
	int ret;

	/* A look costs: not more than ten in a second. */
	if (step < 0.1)
		step = 0.1;
	for (;;) {
		if (sliced) {
			while (next <= trace_now())
				next += step;
		}
		switch (trace_wait(s, next, fds, 2)) {
		case TRACE_END:
			return 0;
		case TRACE_FAILED:
			return out_error(EXIT_VMM, "poll: %s", strerror(errno));
		default:
			ret = add_slice(s, tl);
			if (ret)
				return ret;
		}
	}
}

static int write_record(const struct trace *t, const struct trace_timeline *tl,
			FILE *file, const char *path)
{
	int err = trace_file_write(file, t, tl);

	return err ? out_error(EXIT_VMM, "cannot write %s: %s", path,
			       strerror(-err)) : 0;
}

/* Wait, stop, then print, or write to @file. */
static int batch(struct trace_source *s, const struct trace_job *job,
		 FILE *file)
{
	bool sliced = file || job->style.format == TRACE_HTML;
	struct trace_timeline tl = { .n = 0 };
	int ret;

	ret = wait_for_end(s, &tl, sliced);
	s->stop(s);
	/* The end of the trace is a slice too; tl.before is all of it then. */
	if (!ret)
		ret = add_slice(s, &tl);
	if (!ret && file)
		ret = write_record(&tl.before, &tl, file, job->file);
	else if (!ret)
		ret = trace_print(&tl.before, &tl, &job->style);
	trace_timeline_free(&tl);
	return ret;
}

static int record(struct trace_source *s, const struct trace_job *job)
{
	struct trace_out out;
	int ret, done;

	ret = trace_out_open(&out, job->file);
	if (ret)
		return ret;
	ret = batch(s, job, out.file);
	done = trace_out_close(&out, !ret);
	if (!ret && !done)
		out_note("recorded in %s", job->file);
	return ret ? ret : done;
}

/* Whatever was shown or served: at the end the sum is printed. */
static int print_end(struct trace_source *s, const struct trace_style *style)
{
	const struct trace_timeline none = { .n = 0 };
	struct trace t;
	int ret;

	s->stop(s);
	ret = trace_look(s, &t);
	if (ret)
		return ret;
	ret = trace_print(&t, &none, style);
	trace_free(&t);
	return ret;
}

int trace_run(struct trace_source *s, const struct trace_job *job)
{
	int ret;

	if (job->file)
		return record(s, job);
	if (job->listen)
		return trace_serve(s, job->listen);
	if (!job->live)
		return batch(s, job, NULL);
	ret = trace_live(s, job->interval);
	return ret ? ret : print_end(s, &job->style);
}
