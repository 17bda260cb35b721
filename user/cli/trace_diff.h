/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What changed between two recordings, per VM, reason and class.
 *
 *	trace_diff.c		matches, and tests for significance
 *	cmd_trace_diff.c	the command: options, table, JSON
 */
#ifndef KVASIR_TRACE_DIFF_H
#define KVASIR_TRACE_DIFF_H

#include "trace_file.h"
#include "trace_fmt.h"

/* A change is one that chance does not explain, and that is of some size. */
#define DIFF_P		0.01
#define DIFF_SIZE	0.05
/* Latencies are compared from so many in each run on. */
#define DIFF_TIMED_MIN	20

enum diff_test {
	DIFF_RATE,		/* exits per second */
	DIFF_SHIFT,		/* longer or shorter as a whole */
	DIFF_TAIL,		/* share beyond the 99 % of both together */
	DIFF_TESTS,
};

struct diff_row {
	uint32_t isa, reason;
	bool user;		/* the class */
	const struct exits_series *s[2];	/* NULL: none in this run */
	double rate[2];		/* exits per second */
	double tail[2];		/* share beyond the common 99 % */
	double slower;		/* chance that one of B takes longer than one of A */
	double p[DIFF_TESTS];	/* corrected; below 0: not tested */
	bool changed[DIFF_TESTS];
};

struct diff_vm {
	const struct trace_vm *vm[2];	/* NULL: in the other run only */
	struct diff_row *row;
	size_t n_rows;
};

struct trace_diff {
	struct diff_vm *vm;
	size_t n_vms;
	bool poisson;		/* too few slices to see bursts */
};

/* Return: 0 or -ENOMEM; trace_diff_free() in any case, before @a and @b. */
int trace_diff(struct trace_diff *d, const struct trace_record *a,
	       const struct trace_record *b);
void trace_diff_free(struct trace_diff *d);

#endif /* KVASIR_TRACE_DIFF_H */
