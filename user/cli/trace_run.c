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

/*
 * Wait for the end. With @sliced, look at the counters now and then: for each
 * of the slices there is room for, when the end is known, else every second.
 */
static int wait_for_end(struct trace_source *s, bool sliced)
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
			ret = s->kind->look(s);
			if (ret)
				return ret;
		}
	}
}

static int write_record(struct trace_source *s, FILE *file, const char *path)
{
	int err = s->kind->write(s, file);

	return err ? out_error(EXIT_VMM, "cannot write %s: %s", path,
			       strerror(-err)) : 0;
}

/* Wait, stop, then print, or write to @file. */
static int batch(struct trace_source *s, const struct trace_job *job,
		 FILE *file)
{
	int ret;

	ret = wait_for_end(s, file || job->style.format == TRACE_HTML);
	s->stop(s);
	/* The end of the trace is a slice too. */
	if (!ret)
		ret = s->kind->look(s);
	if (ret)
		return ret;
	return file ? write_record(s, file, job->file) :
		      s->kind->print(s, &job->style);
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
	s->stop(s);
	/* Whatever was shown: at the end the sum is printed. */
	if (!ret)
		ret = s->kind->look(s);
	return ret ? ret : s->kind->print(s, &job->style);
}
