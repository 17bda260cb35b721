/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes on while a tracer counts: waiting, recording, serving, showing.
 *
 * A tracer hides behind struct trace_source, so all of this also runs on
 * counters that a test makes up.
 *
 *	trace_run.c	wait for the end and print, or record
 *	trace_kinds.c	looks at exits, and at queues
 *	trace_serve.c	answer Prometheus
 *	trace_live.c	the full-screen view
 */
#ifndef KVASIR_TRACE_RUN_H
#define KVASIR_TRACE_RUN_H

#include <poll.h>

#include "trace_fmt.h"
#include "trace_queue_model.h"

struct trace_source;

/* What is counted, exits or queues: what the looks at it make, and its forms. */
struct trace_kind {
	/* One look more: a slice of the recording. Return: 0, or the exit status. */
	int (*look)(struct trace_source *s);
	/* What the looks have seen: into a file. Return: 0 or -errno */
	int (*write)(struct trace_source *s, FILE *file);
	/* The same for people, or Prometheus. Return: the exit status */
	int (*print)(struct trace_source *s, const struct trace_style *style);
	/* What is counted now, beside any looks. Return: 0, or the exit status. */
	int (*metrics)(struct trace_source *s, FILE *out);
};

/* Counting, from the start of a job on. */
struct trace_source {
	int sigfd;		/* readable: SIGINT or SIGTERM came */
	int pidfd;		/* readable: the traced process ended; or -1 */
	double begin;		/* of the trace, trace_now() */
	double end;		/* trace_now() to end at, 0: never */
	const struct trace_kind *kind;
	void *counts;		/* of this kind */
	/* Count no more. */
	void (*stop)(struct trace_source *s);
	/* If not NULL: to be called at once, and at the trace_now() it returns. */
	double (*tick)(struct trace_source *s);
};

/* Exits: the @counts of a source whose kind this is. */
extern const struct trace_kind trace_kind_exits;

struct trace_exits {
	/*
	 * What was counted so far; after stop(), all of it: into @t, which
	 * trace_clear() emptied. Return: 0 or -errno
	 */
	int (*snapshot)(struct trace_source *s, struct trace *t);
	/* At the end: trace_record_free(), trace_free() */
	struct trace_record rec;
	struct trace next;	/* look; what it occupies is that of the last but one */
};

/* The same of queues. */
extern const struct trace_kind trace_kind_queues;

struct trace_queues {
	int (*snapshot)(struct trace_source *s, struct queue_trace *t);
	struct queue_record rec;	/* its view and type are the caller's */
	struct queue_trace next;
};

struct trace_job {
	struct trace_style style;
	const char *file;	/* record into it */
	const char *listen;	/* serve there: [ADDRESS:]PORT */
	bool live;		/* show on the terminal: exits only */
	double interval;	/* seconds between updates of the view */
};

/* Seconds of a clock that only goes forward. */
double trace_now(void);

/* Do the job until the trace ends. Return: exit status */
int trace_run(struct trace_source *s, const struct trace_job *job);

enum trace_wait {
	TRACE_TIME,		/* @until has come */
	TRACE_FD,		/* one of @fds has events */
	TRACE_END,		/* the trace is over */
	TRACE_FAILED,		/* errno */
};

/**
 * trace_wait() - sleep until there is something to do
 * @until: trace_now() at the latest, 0: no limit
 * @fds: the first two are filled in here, the rest are the caller's
 * @n: all of them, at least 2
 */
enum trace_wait trace_wait(struct trace_source *s, double until,
			   struct pollfd *fds, nfds_t n);

/*
 * Of exits: snapshot() with the length of the trace. @t: 0, or an earlier look that
 * is no more needed. Return: 0, or the exit status; trace_free() in the end
 */
int trace_exits_now(struct trace_source *s, struct trace *t);

/* Is it "PORT" or "ADDRESS:PORT", numbers both? */
bool trace_serve_valid(const char *where);
int trace_serve(struct trace_source *s, const char *where);
int trace_live(struct trace_source *s, double interval);

#endif /* KVASIR_TRACE_RUN_H */
