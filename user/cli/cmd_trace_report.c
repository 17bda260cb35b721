// SPDX-License-Identifier: GPL-2.0-only
/* kvasir trace report: a recording, printed in any format. */
#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_file.h"
#include "trace_fmt.h"

static int parse(int argc, char **argv, struct trace_style *style, int *first)
{
	bool json = false;
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .kind = OPT_CALL,
		  .dst = &style->format, .fn = trace_take_format,
		  .arg = "FORMAT",
		  .help = "table (default), json, prometheus, folded or html" },
		{ .name = "json", .kind = OPT_FLAG, .dst = &json,
		  .help = "the same as --format json" },
		{ .name = "vcpus", .kind = OPT_FLAG, .dst = &style->per_vcpu,
		  .help = "a table for every vCPU too" },
		{ .name = "wide", .letter = 'w', .kind = OPT_FLAG,
		  .dst = &style->wide,
		  .help = "all columns, even if that is wider than the screen" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "trace report",
		.operands = "FILE",
		.min_operands = 1,
		.max_operands = 1,
		.about = "Print what 'kvasir trace record' wrote.",
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   4 no such file   5 no recording, or damaged\n",
	};
	int ret = opts_parse(&usage, argc, argv, first);

	if (ret != OPTS_GO || !json)
		return ret;
	if (style->format != TRACE_TABLE && style->format != TRACE_JSON)
		return out_error(EXIT_USAGE, "only one of --format and --json");
	style->format = TRACE_JSON;
	return OPTS_GO;
}

int cmd_trace_report(int argc, char **argv)
{
	struct trace_style style = { .format = TRACE_TABLE };
	struct trace_record rec;
	int ret, first;

	out_verb("trace report");
	ret = parse(argc, argv, &style, &first);
	if (ret != OPTS_GO)
		return ret;
	ret = trace_file_read(argv[first], &rec);
	if (!ret)
		ret = trace_print(&rec.t, &rec.tl, &style);
	trace_record_free(&rec);
	return ret;
}
