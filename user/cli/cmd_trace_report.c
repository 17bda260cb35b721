// SPDX-License-Identifier: GPL-2.0-only
/* kvasir trace report: a recording, printed in any format. */
#include <limits.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_file.h"
#include "trace_queues.h"

#define NOT_GIVEN UINT_MAX

static int parse(int argc, char **argv, struct trace_style *style, int *first)
{
	enum trace_format none = -1, format = none;
	bool json = false;
	const struct opt opts[] = {
		{ .name = "format", .letter = 'f', .kind = OPT_CALL,
		  .dst = &format, .fn = trace_take_format,
		  .arg = "FORMAT",
		  .help = "table (default), json, prometheus, folded or html" },
		{ .name = "json", .kind = OPT_FLAG, .dst = &json,
		  .help = "the same as --format json" },
		{ .name = "vcpus", .kind = OPT_FLAG, .dst = &style->per_vcpu,
		  .help = "of exits: a table for every vCPU too" },
		{ .name = "wide", .letter = 'w', .kind = OPT_FLAG,
		  .dst = &style->wide,
		  .help = "of exits: all columns, even if that is wider than\n"
			  "the screen" },
		{ .name = "slowest", .kind = OPT_UINT, .dst = &style->slowest,
		  .max = QUEUES_SLOWEST, .arg = "N",
		  .help = "of a path: the N slowest of every queue (default: 3)" },
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

	if (ret != OPTS_GO)
		return ret;
	if (format != none && json)
		return out_error(EXIT_USAGE, "only one of --format and --json");
	if (format != none)
		style->format = format;
	else if (json)
		style->format = TRACE_JSON;
	ret = trace_check_style(style, style->format);
	return ret ? ret : OPTS_GO;
}

/* Which options there are depends on what the file holds. */
static int print(const char *path, const struct trace_recording *rec,
		 struct trace_style *style)
{
	bool trips = rec->of_queues && rec->queues.view == VIEW_PATH;
	const char *kind = rec->of_queues ? queue_record_kind(&rec->queues) : "exits";

	if (rec->of_queues && (style->per_vcpu || style->wide))
		return out_error(EXIT_USAGE, "--%s is for exits; %s is a recording of %s",
				 style->per_vcpu ? "vcpus" : "wide", path, kind);
	if (!trips && style->slowest != NOT_GIVEN)
		return out_error(EXIT_USAGE,
				 "--slowest is for paths; %s is a recording of %s",
				 path, kind);
	if (style->slowest == NOT_GIVEN)
		style->slowest = TRACE_SLOWEST;
	return rec->of_queues ? queue_print(&rec->queues, style) :
				trace_print(&rec->exits.t, &rec->exits.tl, style);
}

int cmd_trace_report(int argc, char **argv)
{
	struct trace_style style = { .format = TRACE_TABLE, .slowest = NOT_GIVEN };
	struct trace_recording rec;
	int ret, first;

	out_verb("trace report");
	ret = parse(argc, argv, &style, &first);
	if (ret != OPTS_GO)
		return ret;
	ret = trace_file_read(argv[first], &rec);
	if (!ret)
		ret = print(argv[first], &rec, &style);
	trace_recording_free(&rec);
	return ret;
}
