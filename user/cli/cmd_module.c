// SPDX-License-Identifier: GPL-2.0-only
/* kvasir module: load, unload, status. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli.h"
#include "kvasir.h"
#include "options.h"
#include "output.h"
#include "run.h"

/* Keeps the library's last words, for the one line of an error. */
struct words {
	char line[512];
};

static void keep_words(void *ctx, enum kvasir_log_level level, const char *msg)
{
	struct words *w = ctx;

	if (level == KVASIR_LOG_ERROR)
		snprintf(w->line, sizeof(w->line), "%s", msg);
}

static int load_failed(int err, const char *path, const struct words *w)
{
	const char *what = path ? path : "module kvasir";
	struct utsname uts;

	uname(&uts);
	switch (err) {
	case -EEXIST:
		return out_error(EXIT_VMM, "module kvasir is already loaded");
	case -ENOENT:
		if (path)
			return out_error(EXIT_NO_FILE, "%s: no such file",
					 path);
		return out_error(EXIT_NO_FILE,
				 "no module kvasir for kernel %s; 'make install' puts it there, --path names a file",
				 uts.release);
	case -ENOEXEC:
		return out_error(EXIT_VMM,
				 "%s is not a module for kernel %s; build it with KDIR=/lib/modules/%s/build",
				 what, uts.release, uts.release);
	case -ENOSYS:
		return out_error(EXIT_VMM,
				 "kernel %s cannot load modules", uts.release);
	case -EPERM:
	case -EACCES:
		return out_error(EXIT_VMM,
				 "%s: not permitted; load it as root (CAP_SYS_MODULE)",
				 what);
	default:
		return out_error(EXIT_VMM, "%s: %s%s%s", what, strerror(-err),
				 w->line[0] ? ": " : "", w->line);
	}
}

static int module_load(int argc, char **argv)
{
	struct words words = { "" };
	struct kvasir_module_opts KVASIR_OPTS(o, .log = keep_words,
					      .log_ctx = &words);
	const struct opt opts[] = {
		{ .name = "path", .kind = OPT_STRING, .dst = &o.path,
		  .arg = "FILE", .help = "this file, not the installed module" },
		{ .name = "params", .kind = OPT_STRING, .dst = &o.params,
		  .arg = "TEXT", .help = "module parameters, \"name=value ...\"" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "module load",
		.about = "Load the kernel module, and before it the modules it needs.",
		.opts = opts,
		.exits = "  0 loaded   1 refused, or loaded already   2 usage   4 no such module\n",
	};
	int first, ret;

	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	ret = kvasir_module_load(&o);
	return ret ? load_failed(ret, o.path, &words) : 0;
}

static int module_unload(int argc, char **argv)
{
	struct words words = { "" };
	struct kvasir_module_opts KVASIR_OPTS(o, .log = keep_words,
					      .log_ctx = &words);
	static const struct opt opts[] = { { 0 } };
	const struct opt_usage usage = {
		.verb = "module unload",
		.about = "Unload the kernel module. While a guest uses it nothing changes.",
		.opts = opts,
		.exits = "  0 unloaded   1 in use, or not permitted   2 usage   6 not loaded\n",
	};
	int first, ret;

	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	ret = kvasir_module_unload(&o);
	switch (ret) {
	case 0:
		return 0;
	case -EBUSY:
		return out_error(EXIT_VMM,
				 "module kvasir is in use; 'kvasir stats' shows by which process");
	case -ENOENT:
		return out_error(EXIT_NO_BACKEND,
				 "module kvasir is not loaded");
	case -EPERM:
	case -EACCES:
		return out_error(EXIT_VMM,
				 "not permitted; unload it as root (CAP_SYS_MODULE)");
	default:
		return out_error(EXIT_VMM, "module kvasir: %s%s%s",
				 strerror(-ret), words.line[0] ? ": " : "",
				 words.line);
	}
}

static int status_json(const struct kvasir_module_info *info)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "loaded",
			       json_object_new_boolean(info->loaded));
	if (info->loaded) {
		json_object_object_add(obj, "refcount",
				       json_object_new_int64(info->refcount));
		json_object_object_add(obj, "version",
				       out_json_string(info->version));
		json_object_object_add(obj, "srcversion",
				       out_json_string(info->srcversion));
	}
	return out_json(obj);
}

static int module_status(int argc, char **argv)
{
	struct kvasir_module_info info = { .sz = sizeof(info) };
	bool json = false;
	const struct opt opts[] = {
		{ .name = "json", .kind = OPT_FLAG, .dst = &json,
		  .help = "machine-readable output" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "module status",
		.about = "Say whether the kernel module is loaded, which one, and how many use it.",
		.opts = opts,
		.exits = "  0 loaded   1 cannot tell   2 usage   6 not loaded\n",
	};
	int first, ret;

	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	ret = kvasir_module_status(&info);
	if (ret)
		return out_error(EXIT_VMM, "module kvasir: %s", strerror(-ret));
	if (json)
		ret = status_json(&info);
	else if (info.loaded)
		printf("loaded: version %s, srcversion %s, used by %u\n",
		       info.version, info.srcversion, info.refcount);
	else
		puts("not loaded");
	if (!ret)
		ret = out_done();
	return ret ? ret : info.loaded ? 0 : EXIT_NO_BACKEND;
}

int cmd_module(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "load", module_load, "load it and what it needs" },
		{ "unload", module_unload, "unload it, unless in use" },
		{ "status", module_status, "loaded or not, version, users" },
		{ 0 },
	};

	out_verb("module");
	return cli_dispatch("kvasir module", verbs, NULL, argc, argv);
}
