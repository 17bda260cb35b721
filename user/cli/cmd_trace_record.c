// SPDX-License-Identifier: GPL-2.0-only
/* kvasir trace record: what a tracer counts, into a file. */
#include <string.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_file.h"
#include "trace_record_verb.h"

struct options {
	struct trace_session session;
	struct trace_exits_choice exits;
	const char *file;
};

static int parse(int argc, char **argv, struct options *o, const char **kind)
{
	const struct opt opts[] = {
		{ .name = "output", .letter = 'o', .kind = OPT_STRING,
		  .dst = &o->file, .arg = "FILE",
		  .help = "where to (default: kvasir-trace.json); what it\n"
			  "held is replaced at the end" },
		TRACE_SESSION_OPTIONS(&o->session),
		TRACE_EXITS_OPTIONS(&o->exits),
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "trace record",
		.operands = "[exits|path|io|net]",
		.max_operands = 1,
		.about = "Trace as 'kvasir trace exits' (default), 'path', 'io' or 'net' does, into a\n"
			 "file for 'kvasir trace report' and 'kvasir trace diff'. --vcpu and --series\n"
			 "are for exits.",
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   3 no KVM, or no permission\n"
			 "  4 no such process, guest or file   6 module not loaded\n",
	};
	int first, ret = opts_parse(&usage, argc, argv, &first);

	if (ret == OPTS_GO && first < argc)
		*kind = argv[first];
	return ret;
}

int cmd_trace_record(int argc, char **argv)
{
	struct options o = { .file = "kvasir-trace.json" };
	const char *kind = "exits";
	struct queue_record rec;
	int ret;

	out_verb("trace record");
	trace_exits_all(&o.exits);
	ret = parse(argc, argv, &o, &kind);
	if (ret != OPTS_GO)
		return ret;
	if (o.session.room > 100 * TRACE_FILE_ROOM)
		return out_error(EXIT_USAGE, "--room %u: no more than %u can be recorded",
				 o.session.room, 100 * TRACE_FILE_ROOM);
	if (o.exits.series > TRACE_FILE_ROWS)
		return out_error(EXIT_USAGE, "--series %u: no more than %u can be recorded",
				 o.exits.series, TRACE_FILE_ROWS);
	if (!strcmp(kind, "exits"))
		return trace_record_exits(&o.session, &o.exits, o.file);
	if (queue_record_init(&rec, kind))
		return out_error(EXIT_USAGE, "%s: not exits, path, io or net", kind);
	if (trace_exits_chosen(&o.exits))
		return out_error(EXIT_USAGE, "--vcpu and --series are for exits");
	return trace_record_queues(&o.session, &rec, o.file);
}
