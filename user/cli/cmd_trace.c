// SPDX-License-Identifier: GPL-2.0-only
/* kvasir trace: the tracers. */
#include "cli.h"
#include "output.h"

int cmd_trace(int argc, char **argv)
{
	static const struct cli_verb tracers[] = {
		{ "exits", cmd_trace_exits, "VM exits per guest and reason" },
		{ "record", cmd_trace_record, "what a tracer counts, into a file" },
		{ "report", cmd_trace_report, "what a file holds, in many forms" },
		{ "diff", cmd_trace_diff, "what changed between two files" },
		{ "path", cmd_trace_path, "hops of requests through the module" },
		{ "io", cmd_trace_io, "load of the module's disks" },
		{ "net", cmd_trace_net, "load of the module's network cards" },
		{ 0 },
	};

	out_verb("trace");
	return cli_dispatch("kvasir trace", tracers, NULL, argc, argv);
}
