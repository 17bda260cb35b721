// SPDX-License-Identifier: GPL-2.0-only
/* kvasir resize: the files behind a guest's disks may have another size. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "guest_verb.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "vmsock.h"

static int print_disks(struct json_object *disks)
{
	static const char *const heads[] = { "DISK", ">BYTES", "STATE" };
	struct table *t = table_create(3, heads);
	size_t i;

	for (i = 0; i < json_object_array_length(disks); i++) {
		struct json_object *d = json_object_array_get_idx(disks, i);
		struct json_object *name, *bytes, *changed;

		if (!json_object_object_get_ex(d, "name", &name) ||
		    !json_object_object_get_ex(d, "bytes", &bytes) ||
		    !json_object_object_get_ex(d, "changed", &changed))
			continue;
		table_cell(t, "%s", json_object_get_string(name));
		table_cell(t, "%" PRId64, json_object_get_int64(bytes));
		table_cell(t, "%s", json_object_get_boolean(changed) ?
			   "changed" : "as before");
	}
	return table_print(t);
}

static int resize(const char *name, int sock, bool json)
{
	struct json_object *reply = NULL, *disks;
	int ret;

	ret = vmsock_ask(sock, "resize", &reply);
	if (ret)
		ret = out_error(EXIT_VMM, "%s: %s %s", name, strerror(-ret),
				vmsock_why(reply));
	else if (!json_object_object_get_ex(reply, "disks", &disks))
		ret = out_error(EXIT_VMM, "%s: does not tell its disks", name);
	else if (json)
		return out_json(reply);
	else
		ret = print_disks(disks);
	json_object_put(reply);
	return ret;
}

int cmd_resize(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {
		{ .name = "json", .kind = OPT_FLAG, .dst = &json,
		  .help = "machine-readable output" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "resize",
		.operands = "NAME",
		.min_operands = 1,
		.max_operands = 1,
		.about = "Find the sizes of a guest's disks anew and tell the guest of those that changed.",
		.opts = opts,
		.exits = "  0 done   1 not possible, or not permitted   2 usage   4 no such guest\n",
	};
	const char *name;
	int ret, sock;

	sock = guest_verb_open(&usage, argc, argv, &name, &ret);
	if (sock < 0)
		return ret;
	ret = resize(name, sock, json);
	close(sock);
	return ret;
}
