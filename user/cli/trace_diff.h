/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What changed between two recordings.
 *
 *	trace_diff_test.c	tests series for significance, whatever they are of
 *	trace_diff.c		exits: per VM, reason and class
 *	trace_diff_queues.c	requests: per queue, hop and operation; drops
 *	trace_diff_print.c	table, JSON
 *	cmd_trace_diff.c	the command
 */
#ifndef KVASIR_TRACE_DIFF_H
#define KVASIR_TRACE_DIFF_H

#include "exit_names.h"
#include "json_put.h"
#include "trace_fmt.h"
#include "trace_queue_model.h"
#include "trace_record.h"

/* A change is one that chance does not explain, and that is of some size. */
#define DIFF_P		0.01
#define DIFF_SIZE	0.05
/* Values are compared from so many in each run on. */
#define DIFF_VALUES_MIN	20

enum diff_test {
	DIFF_RATE,		/* events per second */
	DIFF_SHIFT,		/* larger or smaller values as a whole */
	DIFF_TAIL,		/* share beyond the 99 % of both together */
	DIFF_TESTS,
};

#define DIFF_ALL	((1U << DIFF_TESTS) - 1)

/* One series of one run; all 0: there was none. */
struct diff_series {
	uint64_t count;		/* events */
	uint64_t values;	/* of them, in the histogram */
	uint64_t sum, max;
	const __u64 *bucket;
};

struct diff_row {
	char name[EXIT_NAME_MAX], by[16];	/* what it is of; ASCII */
	enum trace_unit unit;
	bool idle;		/* says little: marked */
	unsigned int ask;	/* the questions, as bits */
	uint32_t key[TRACE_KEY];	/* of its cells; the first is the group's */
	struct diff_series s[2];
	double rate[2];		/* events per second */
	double tail[2];		/* share beyond the common 99 % */
	double slower;		/* chance that a value of B is above one of A */
	double p[DIFF_TESTS];	/* corrected; below 0: not tested */
	bool changed[DIFF_TESTS];
};

/* A VM, or a queue. */
struct diff_group {
	size_t at[2];		/* its index in each run, or DIFF_NONE */
	uint32_t key[2];	/* the first of the key of its cells */
	struct diff_row *row;
	size_t n_rows;
	size_t n_drops;		/* of them, the last: drops by reason */
};

#define DIFF_NONE	SIZE_MAX

/* What exits and requests are called, and told by. */
struct diff_kind {
	const char *heads[2];		/* of the table's first columns */
	const char *rate;		/* events per second, as a head */
	const char *rows, *events;	/* "reasons", "exits" */
	const char *groups;		/* key of the list, in JSON */
	/* @run's side of a group, for people; printable ASCII */
	const char *(*label)(char buf[TRACE_LABEL_MAX], const void *record,
			     size_t at);
	/* The same as members of @o, and what a row's key means. */
	void (*json_group)(struct json *j, struct json_object *o,
			   const void *record, size_t at);
	void (*json_row)(struct json *j, struct json_object *o,
			 const struct diff_row *row);
};

struct diff_run {
	const void *record;
	const struct trace_timeline *tl;
	double seconds;
	const struct trace_loss_key *losses;	/* of @trace */
	const void *trace;
};

struct trace_diff {
	const struct diff_kind *kind;
	struct diff_run run[2];
	struct diff_group *group;
	size_t n;
	bool poisson;		/* too few slices to see bursts */
	bool drops;		/* are compared, by reason */
	bool uncounted[2];	/* queues without the module's counters */
};

/* Both: 0 or -ENOMEM; trace_diff_free() in any case, before @a and @b. */
int trace_diff(struct trace_diff *d, const struct trace_record *a,
	       const struct trace_record *b);
int queue_diff(struct trace_diff *d, const struct queue_record *a,
	       const struct queue_record *b);
void trace_diff_free(struct trace_diff *d);

/* Ask all questions of all rows, which have their series. 0 or -ENOMEM */
int trace_diff_test(struct trace_diff *d);

/* Print to stdout; @all: what did not change, too. Return: exit status */
int trace_diff_table(const struct trace_diff *d, bool all, bool wide);
int trace_diff_json(const struct trace_diff *d);

#endif /* KVASIR_TRACE_DIFF_H */
