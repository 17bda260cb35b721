// SPDX-License-Identifier: LGPL-2.1-or-later
/* Load, unload and look at the kernel module. */
#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define MODULE "kvasir"

static void kmod_to_log(void *data, int priority, const char *file, int line,
			const char *fn, const char *format, va_list args)
{
	const struct kvl_log *log = data;
	char msg[512];

	(void)priority;
	(void)file;
	(void)line;
	vsnprintf(msg, sizeof(msg), format, args);
	msg[strcspn(msg, "\n")] = '\0';
	kvl_log(log, KVASIR_LOG_ERROR, "%s: %s", fn, msg);
}

/* Also keeps libkmod from printing by itself. */
static struct kmod_ctx *ctx_create(struct kvl_log *log)
{
	struct kmod_ctx *ctx = kmod_new(NULL, NULL);

	if (ctx)
		kmod_set_log_fn(ctx, kmod_to_log, log);
	return ctx;
}

/* Every module of @alias or of that name, dependencies first. */
static int insert_by_name(struct kmod_ctx *ctx, const char *name,
			  unsigned int flags, const char *params)
{
	struct kmod_list *list = NULL, *item;
	struct kmod_module *mod;
	int err;

	err = kmod_module_new_from_lookup(ctx, name, &list);
	if (err < 0)
		return err;
	if (!list)
		return -ENOENT;
	kmod_list_foreach(item, list) {
		mod = kmod_module_get_module(item);
		err = kmod_module_probe_insert_module(mod, flags, params, NULL,
						      NULL, NULL);
		kmod_module_unref(mod);
		if (err < 0)
			break;
	}
	kmod_module_unref_list(list);
	return err < 0 ? err : 0;
}

/* @names: "tun,tap", as a module's "depends" says; cut up here */
static int insert_names(struct kmod_ctx *ctx, char *names)
{
	char *save = NULL, *name;
	int err = 0;

	for (name = strtok_r(names, ",", &save); name && !err;
	     name = strtok_r(NULL, ",", &save))
		err = insert_by_name(ctx, name, 0, NULL);
	return err;
}

static int insert_dependencies(struct kmod_ctx *ctx, struct kmod_module *mod)
{
	struct kmod_list *info = NULL, *item;
	char *names;
	int err;

	err = kmod_module_get_info(mod, &info);
	if (err < 0)
		return err;
	err = 0;
	kmod_list_foreach(item, info) {
		if (strcmp(kmod_module_info_get_key(item), "depends"))
			continue;
		names = strdup(kmod_module_info_get_value(item));
		err = names ? insert_names(ctx, names) : -ENOMEM;
		free(names);
		break;
	}
	kmod_module_info_free_list(info);
	return err;
}

static int insert_file(struct kmod_ctx *ctx, const char *path,
		       const char *params)
{
	struct kmod_module *mod;
	int err;

	if (access(path, R_OK))
		return -errno;
	err = kmod_module_new_from_path(ctx, path, &mod);
	if (err < 0)
		return err;
	/* A file outside /lib/modules has no entry in modules.dep. */
	err = insert_dependencies(ctx, mod);
	if (!err)
		err = kmod_module_insert_module(mod, 0, params);
	kmod_module_unref(mod);
	return err < 0 ? err : 0;
}

static int module_opts(struct kvasir_module_opts *o, struct kvl_log *log,
		       const struct kvasir_module_opts *opts)
{
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (opts)
		err = kvl_opts_get(o, sizeof(*o), sizeof(*o), opts);
	log->fn = o->log;
	log->ctx = o->log_ctx;
	return err;
}

int kvasir_module_load(const struct kvasir_module_opts *opts)
{
	struct kvasir_module_info info = { .sz = sizeof(info) };
	struct kvasir_module_opts o;
	struct kmod_ctx *ctx;
	struct kvl_log log;
	int err;

	err = module_opts(&o, &log, opts);
	if (err)
		return err;
	err = kvasir_module_status(&info);
	if (err)
		return err;
	if (info.loaded)
		return -EEXIST;
	ctx = ctx_create(&log);
	if (!ctx)
		return -ENOMEM;
	if (o.path)
		err = insert_file(ctx, o.path, o.params);
	else
		err = insert_by_name(ctx, MODULE,
				     KMOD_PROBE_FAIL_ON_LOADED, o.params);
	kmod_unref(ctx);
	return err;
}

int kvasir_module_unload(const struct kvasir_module_opts *opts)
{
	struct kvasir_module_opts o;
	struct kmod_module *mod;
	struct kmod_ctx *ctx;
	struct kvl_log log;
	int err;

	err = module_opts(&o, &log, opts);
	if (err)
		return err;
	ctx = ctx_create(&log);
	if (!ctx)
		return -ENOMEM;
	err = kmod_module_new_from_name(ctx, MODULE, &mod);
	if (err < 0)
		goto out;
	err = kmod_module_get_initstate(mod);
	if (err >= 0)
		err = kmod_module_remove_module(mod, 0);
	kmod_module_unref(mod);
	/* "would block": somebody holds a reference */
	if (err == -EAGAIN)
		err = -EBUSY;
out:
	kmod_unref(ctx);
	return err;
}

/* First line of a file of sysfs; "" when there is none */
static void read_attr(const char *name, char *buf, size_t size)
{
	char path[128];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/" MODULE "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

int kvasir_module_status(struct kvasir_module_info *info)
{
	struct kvasir_module_info full = { 0 };
	char state[16], refcnt[16];
	int err;

	err = kvl_opts_check(info, sizeof(full));
	if (err)
		return err;
	/* "live"; a module being loaded or unloaded serves nobody. */
	read_attr("initstate", state, sizeof(state));
	full.loaded = !strcmp(state, "live");
	if (full.loaded) {
		read_attr("refcnt", refcnt, sizeof(refcnt));
		full.refcount = (uint32_t)strtoul(refcnt, NULL, 10);
		read_attr("version", full.version, sizeof(full.version));
		read_attr("srcversion", full.srcversion,
			  sizeof(full.srcversion));
	}
	return kvl_opts_put(info, &full, sizeof(full), sizeof(full));
}
