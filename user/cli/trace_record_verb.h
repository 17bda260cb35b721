/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tracers have in common with `kvasir trace record`. */
#ifndef KVASIR_TRACE_RECORD_VERB_H
#define KVASIR_TRACE_RECORD_VERB_H

#include <limits.h>

#include "trace_session.h"

#define TRACE_SERIES_MAX (1U << 20)

/* Which exits, and room for how many histograms. */
struct trace_exits_choice {
	unsigned int vcpu;	/* UINT_MAX: all */
	unsigned int series;	/* 0: as --room says */
};

#define TRACE_EXITS_OPTIONS(c)						\
	{ .name = "vcpu", .kind = OPT_UINT, .dst = &(c)->vcpu,		\
	  .max = INT32_MAX, .arg = "N",					\
	  .help = "only vCPUs of this number" },			\
	{ .name = "series", .kind = OPT_UINT, .dst = &(c)->series,	\
	  .min = 1, .max = TRACE_SERIES_MAX, .arg = "N",		\
	  .help = "room for N histograms of 9 KiB, one per vCPU, reason\n"\
		  "and kernel or userspace (default: 2048)" }

static inline void trace_exits_all(struct trace_exits_choice *c)
{
	*c = (struct trace_exits_choice){ UINT_MAX, 0 };
}

/* Did anybody choose? */
static inline bool trace_exits_chosen(const struct trace_exits_choice *c)
{
	return c->vcpu != UINT_MAX || c->series;
}

/* Trace until the session ends, into @file. Return: exit status */
int trace_record_exits(const struct trace_session *session,
		       const struct trace_exits_choice *choice, const char *file);
/* @rec: of the kind that is wanted, and empty */
int trace_record_queues(const struct trace_session *session,
			const struct queue_record *rec, const char *file);

#endif
