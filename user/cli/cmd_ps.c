// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvasir ps: running guests. There is no list kept anywhere: whoever answers
 * on a socket of VMM_RUN_DIR is running.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "vmsock.h"

/* "web.sock" into "web"; false for anything else */
static bool socket_name(const char *file, char *name, size_t size)
{
	static const char suffix[] = ".sock";
	size_t len = strlen(file);

	if (len < sizeof(suffix) || len - (sizeof(suffix) - 1) >= size ||
	    strcmp(file + len - (sizeof(suffix) - 1), suffix))
		return false;
	len -= sizeof(suffix) - 1;
	memcpy(name, file, len);
	name[len] = '\0';
	return vmsock_name_valid(name);
}

/*
 * What the guest says of itself, under the name of its socket. NULL with a
 * note when it is there but does not answer; NULL for a left-over socket.
 */
static struct json_object *ask(const char *name)
{
	struct json_object *info;
	int fd, err;

	fd = vmsock_connect(name);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return NULL;
	if (fd < 0) {
		out_note("%s: %s", name, strerror(-fd));
		return NULL;
	}
	err = vmsock_ask(fd, "info", &info);
	close(fd);
	if (!err) {
		json_object_object_del(info, "ok");
		json_object_object_add(info, "name",
				       json_object_new_string(name));
		return info;
	}
	out_note("%s: does not answer: %s", name, strerror(-err));
	json_object_put(info);
	return NULL;
}

static int collect(struct json_object *list)
{
	char name[VMM_NAME_MAX + 1];
	struct json_object *info;
	struct dirent *entry;
	DIR *dir;

	dir = opendir(VMM_RUN_DIR);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return out_error(EXIT_VMM, VMM_RUN_DIR ": %s",
				 strerror(errno));
	while ((entry = readdir(dir))) {
		if (!socket_name(entry->d_name, name, sizeof(name)))
			continue;
		info = ask(name);
		if (info)
			json_object_array_add(list, info);
	}
	closedir(dir);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	struct json_object *x, *y;

	json_object_object_get_ex(*(struct json_object *const *)a, "name", &x);
	json_object_object_get_ex(*(struct json_object *const *)b, "name", &y);
	return strcmp(json_object_get_string(x), json_object_get_string(y));
}

static int64_t number(struct json_object *info, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(info, key, &value) ?
	       json_object_get_int64(value) : 0;
}

static const char *string(struct json_object *info, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(info, key, &value) ?
	       json_object_get_string(value) : "-";
}

static int print_table(struct json_object *list)
{
	static const char *const heads[] = {
		"NAME", ">PID", ">CPUS", ">MEM", ">UP", "KERNEL",
	};
	struct table *t = table_create(6, heads);
	struct json_object *info;
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++) {
		info = json_object_array_get_idx(list, i);
		table_cell(t, "%s", string(info, "name"));
		table_cell(t, "%" PRId64, number(info, "pid"));
		table_cell(t, "%" PRId64, number(info, "cpus"));
		table_cell(t, "%" PRId64 "M", number(info, "mem") >> 20);
		table_cell(t, "%" PRId64 "s",
			   number(info, "uptime_ms") / 1000);
		table_cell(t, "%s", string(info, "kernel"));
	}
	return table_print(t);
}

int cmd_ps(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {
		{ .name = "json", .kind = OPT_FLAG, .dst = &json,
		  .help = "machine-readable output, with all devices" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "ps",
		.about = "List the guests that run on this machine.",
		.opts = opts,
		.exits = "  0 done, also without any guest   1 failed   2 usage\n",
	};
	struct json_object *list;
	int first, ret;

	out_verb("ps");
	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	list = json_object_new_array();
	if (!list)
		return out_error(EXIT_VMM, "out of memory");
	ret = collect(list);
	json_object_array_sort(list, by_name);
	if (!ret && json)
		return out_json(list);
	if (!ret)
		ret = print_table(list);
	json_object_put(list);
	return ret;
}
