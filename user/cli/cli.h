/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The verbs: each takes its own arguments (argv[0] is the verb) and returns
 * the exit status. The statuses are those of run.h; every verb uses the same
 * number for the same thing.
 */
#ifndef KVASIR_CLI_H
#define KVASIR_CLI_H

typedef int (*cli_fn)(int argc, char **argv);

struct cli_verb {
	const char *name;
	cli_fn fn;
	const char *help;	/* NULL ends a table */
};

/**
 * cli_dispatch() - run the verb argv[1] names
 * @prefix: what was typed so far: "kvasir", "kvasir trace"
 * @tail: printed below the list by --help, or NULL
 */
int cli_dispatch(const char *prefix, const struct cli_verb *verbs,
		 const char *tail, int argc, char **argv);

int cmd_run(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_resize(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_trace_exits(int argc, char **argv);
int cmd_trace_path(int argc, char **argv);
int cmd_trace_io(int argc, char **argv);
int cmd_trace_net(int argc, char **argv);
int cmd_trace_record(int argc, char **argv);
int cmd_trace_report(int argc, char **argv);
int cmd_trace_diff(int argc, char **argv);
int cmd_module(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif /* KVASIR_CLI_H */
