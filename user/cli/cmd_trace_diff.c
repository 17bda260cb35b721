// SPDX-License-Identifier: GPL-2.0-only
/* kvasir trace diff: what changed between two recordings. */
#include <string.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_diff.h"
#include "trace_file.h"

struct options {
	bool json, all, wide;
};

static int parse(int argc, char **argv, struct options *o, int *first)
{
	const struct opt opts[] = {
		{ .name = "json", .kind = OPT_FLAG, .dst = &o->json,
		  .help = "JSON instead of tables, with what did not change" },
		{ .name = "all", .letter = 'a', .kind = OPT_FLAG, .dst = &o->all,
		  .help = "also what did not change" },
		{ .name = "wide", .letter = 'w', .kind = OPT_FLAG,
		  .dst = &o->wide,
		  .help = "all columns, even if that is wider than the screen" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "trace diff",
		.operands = "A B",
		.min_operands = 2,
		.max_operands = 2,
		.about = "Compare two files of 'kvasir trace record', both of the same kind: per VM and\n"
			 "reason, or per queue and hop or operation, and drops by reason. A change is\n"
			 "shown if chance does not explain it (p < 0.01, corrected for the number of\n"
			 "comparisons) and it is larger than 5 %. What each trace lost is always shown.",
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   4 no such file   5 no recording, or damaged\n",
	};

	return opts_parse(&usage, argc, argv, first);
}

static const char *kind_of(const struct trace_recording *rec)
{
	return rec->of_queues ? queue_record_kind(&rec->queues) : "exits";
}

/* Return: 0, or the exit status after one line of complaint. */
static int compare(char **path, const struct trace_recording *a,
		   const struct trace_recording *b, struct trace_diff *d)
{
	int err;

	if (strcmp(kind_of(a), kind_of(b)))
		return out_error(EXIT_USAGE,
				 "cannot compare: %s is a recording of %s, %s of %s",
				 path[0], kind_of(a), path[1], kind_of(b));
	err = a->of_queues ? queue_diff(d, &a->queues, &b->queues) :
			     trace_diff(d, &a->exits, &b->exits);
	return err ? out_error(EXIT_VMM, "out of memory") : 0;
}

int cmd_trace_diff(int argc, char **argv)
{
	struct trace_recording a, b = { 0 };
	struct options o = { 0 };
	struct trace_diff d = { 0 };
	int ret, first;

	out_verb("trace diff");
	ret = parse(argc, argv, &o, &first);
	if (ret != OPTS_GO)
		return ret;
	ret = trace_file_read(argv[first], &a);
	if (!ret)
		ret = trace_file_read(argv[first + 1], &b);
	if (!ret)
		ret = compare(&argv[first], &a, &b, &d);
	if (!ret)
		ret = o.json ? trace_diff_json(&d) :
			       trace_diff_table(&d, o.all, o.wide);
	trace_diff_free(&d);
	trace_recording_free(&b);
	trace_recording_free(&a);
	return ret;
}
