// SPDX-License-Identifier: GPL-2.0-only
/* The kvasir command: a table of verbs. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "kvasir.h"
#include "output.h"
#include "run.h"

static const struct cli_verb verbs[] = {
	{ "run", cmd_run, "boot a guest and stay with it to its end" },
	{ "ps", cmd_ps, "list running guests" },
	{ "stop", cmd_stop, "end a guest" },
	{ "resize", cmd_resize, "tell a guest that its disks have another size" },
	{ "console", cmd_console, "attach the terminal to a guest's console" },
	{ "stats", cmd_stats, "devices, queues and counters of the module" },
	{ "trace", cmd_trace, "profile VM exits" },
	{ "module", cmd_module, "load, unload or look at the module" },
	{ "doctor", cmd_doctor, "say what this machine lacks, and the remedy" },
	{ 0 },
};

static int print_verbs(const char *prefix, const struct cli_verb *v,
		       const char *tail)
{
	printf("Usage: %s COMMAND [OPTION]...\n\nCommands:\n", prefix);
	for (; v->name; v++)
		printf("  %-10s%s\n", v->name, v->help);
	printf("\n'%s COMMAND --help' tells more about one.\n%s", prefix,
	       tail ? tail : "");
	return out_done();
}

int cli_dispatch(const char *prefix, const struct cli_verb *v,
		 const char *tail, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct cli_verb *found;

	if (!word)
		return out_error(EXIT_USAGE,
				 "missing command (see '%s --help')", prefix);
	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return print_verbs(prefix, v, tail);
	for (found = v; found->name; found++)
		if (!strcmp(word, found->name))
			return found->fn(argc - 1, argv + 1);
	return out_error(EXIT_USAGE, "%s: unknown %s (see '%s --help')", word,
			 word[0] == '-' ? "option" : "command", prefix);
}

/*
 * A closed standard descriptor would be taken by the next file opened, say a
 * disk, and then be printed to. Filled so that using it still fails.
 */
static void fill_standard_fds(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd ? O_RDONLY : O_WRONLY);
}

int main(int argc, char **argv)
{
	static const char tail[] = "'kvasir --version' prints the version.\n";

	fill_standard_fds();
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("kvasir %s\n", kvasir_version());
		return out_done();
	}
	return cli_dispatch("kvasir", verbs, tail, argc, argv);
}
