// SPDX-License-Identifier: GPL-2.0-only
/* The opening of stop, resize and console: options, then the guest's socket. */
#include <errno.h>
#include <string.h>

#include "guest_verb.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "vmsock.h"

static int connect_or_say(const char *name, int *code)
{
	int fd = vmsock_connect(name);

	switch (fd) {
	case -EINVAL:
		*code = out_error(EXIT_USAGE, "%s: not a guest's name", name);
		break;
	case -ENOENT:
	case -ECONNREFUSED:
		*code = out_error(EXIT_NO_FILE,
				  "%s: no such guest ('kvasir ps' lists them)",
				  name);
		break;
	case -EACCES:
		*code = out_error(EXIT_VMM,
				  "%s: not permitted; the guest belongs to another user",
				  name);
		break;
	default:
		if (fd < 0)
			*code = out_error(EXIT_VMM, "%s: %s", name,
					  strerror(-fd));
	}
	return fd;
}

int guest_verb_open(const struct opt_usage *usage, int argc, char **argv,
		    const char **name, int *code)
{
	int first;

	out_verb(usage->verb);
	*code = opts_parse(usage, argc, argv, &first);
	if (*code != OPTS_GO)
		return -1;
	*name = argv[first];
	return connect_or_say(*name, code);
}
