// SPDX-License-Identifier: GPL-2.0-only
/* kvasir trace diff: what changed between two recordings. */
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
			 "reason, or per queue and hop or operation. A change is shown if chance does\n"
			 "not explain it (p < 0.01, corrected for the number of comparisons) and it is\n"
			 "larger than 5 %.",
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   4 no such file   5 no recording, or damaged\n",
	};

	return opts_parse(&usage, argc, argv, first);
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
	if (!ret && (a.of_queues || b.of_queues))
		ret = out_error(EXIT_USAGE, "only recordings of exits can be compared");
	if (!ret && trace_diff(&d, &a.exits, &b.exits))
		ret = out_error(EXIT_VMM, "out of memory");
	if (!ret)
		ret = o.json ? trace_diff_json(&d) :
			       trace_diff_table(&d, o.all, o.wide);
	trace_diff_free(&d);
	trace_recording_free(&b);
	trace_recording_free(&a);
	return ret;
}
