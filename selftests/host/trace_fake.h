/* SPDX-License-Identifier: GPL-2.0-only */
/* A tracer whose counts are made up, for what goes on while one counts. */
#ifndef KVT_TRACE_FAKE_H
#define KVT_TRACE_FAKE_H

#include <signal.h>
#include <sys/signalfd.h>

#include "trace_sample.h"
#include "../../user/cli/trace_run.h"

/* A tracer that counts the same at every look. */
struct fake {
	struct trace_source source;
	struct trace_exits counts;
	unsigned int looks, stops;
	bool fail;		/* the counters cannot be read */
	bool crash;		/* the third look */
};

static inline int fake_snapshot(struct trace_source *source, struct trace *t)
{
	struct fake *f = (struct fake *)source;
	double seconds = t->seconds;
	uint64_t state = 1;
	unsigned int i;

	if (f->fail)
		return -EIO;
	f->looks++;
	if (f->crash && f->looks > 2)
		raise(SIGSEGV);
	trace_free(t);
	sample_init(t);
	t->seconds = seconds;
	for (i = 0; i < f->looks; i++)
		sample_add(t, 0.1, &state);
	trace_sort(t);
	return 0;
}

static inline void fake_stop(struct trace_source *source)
{
	((struct fake *)source)->stops++;
}

static inline void fake_init(struct fake *f, double seconds)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*f = (struct fake){
		.source = { .sigfd = signalfd(-1, &set, SFD_CLOEXEC), .pidfd = -1,
			    .begin = trace_now(), .kind = &trace_kind_exits,
			    .counts = &f->counts, .stop = fake_stop },
		.counts.snapshot = fake_snapshot,
	};
	if (seconds > 0)
		f->source.end = f->source.begin + seconds;
}

static inline void fake_exit(struct fake *f)
{
	trace_record_free(&f->counts.rec);
	trace_free(&f->counts.next);
	close(f->source.sigfd);
}

#endif /* KVT_TRACE_FAKE_H */
