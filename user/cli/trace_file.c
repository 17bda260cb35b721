// SPDX-License-Identifier: GPL-2.0-only
/* Writing recordings; see trace_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "exit_names.h"
#include "json_put.h"
#include "output.h"
#include "run.h"
#include "trace_file.h"
#include "trace_fmt.h"

/* What is not zero, as index, count, index, count, ... */
static struct json_object *sparse(struct json *j, const uint64_t *count, size_t n)
{
	struct json_object *list = json_new_list(j);
	size_t i;

	for (i = 0; i < n; i++) {
		if (!count[i])
			continue;
		json_put_item(j, list, json_object_new_int((int)i));
		json_put_item(j, list, json_object_new_uint64(count[i]));
	}
	return list;
}

static struct json_object *series(struct json *j, const struct exits_series *s)
{
	uint64_t bucket[HIST_BUCKETS];
	struct json_object *o = json_new(j);
	size_t i;

	for (i = 0; i < HIST_BUCKETS; i++)
		bucket[i] = s->bucket[i];
	json_put_u64(j, o, "timed", s->timed);
	json_put_u64(j, o, "untimed", s->untimed);
	json_put_u64(j, o, "total_ns", s->total_ns);
	json_put_u64(j, o, "max_ns", s->max_ns);
	json_put_u64(j, o, "min_ns", s->min_ns);
	json_put_u64(j, o, "user_ns", s->user_ns);
	json_put_u64(j, o, "ready_ns", s->ready_ns);
	json_put_u64(j, o, "blocked_ns", s->blocked_ns);
	json_put_u64(j, o, "poll_ns", s->poll_ns);
	json_put(j, o, "buckets", sparse(j, bucket, HIST_BUCKETS));
	return o;
}

static struct json_object *vcpu(struct json *j, const struct trace_vcpu *v)
{
	struct json_object *o = json_new(j), *list = json_new_list(j), *row;
	char name[EXIT_NAME_MAX];
	size_t i;
	int by;

	for (i = 0; i < v->rows.n && !j->failed; i++) {
		const struct trace_row *r = &v->rows.row[i];

		row = json_new(j);
		json_put_u64(j, row, "isa", r->isa);
		json_put_u64(j, row, "code", r->reason);
		json_put_str(j, row, "reason",
			     exit_reason_name(r->isa, r->reason, name));
		for (by = 0; by < 2; by++)
			if (r->by[by].timed || r->by[by].untimed)
				json_put(j, row, trace_class_name[by],
					 series(j, &r->by[by]));
		json_put_item(j, list, row);
	}
	json_put_u64(j, o, "id", v->id);
	json_put(j, o, "reasons", list);
	return o;
}

/* Any bytes, and the same ones when read again. */
static void put_bytes(struct json *j, struct json_object *o, const char *key,
		      const char *s)
{
	char text[4 * sizeof(((struct trace_vm *)0)->name)];

	json_put_str(j, o, key, out_escape(text, sizeof(text), s));
}

static struct json_object *vm(struct json *j, const struct trace_vm *vm)
{
	struct json_object *o = json_new(j), *vcpus = json_new_list(j);
	struct json_object *rets = json_new_list(j), *ret;
	char name[EXIT_NAME_MAX];
	size_t i;

	json_put_u64(j, o, "pid", vm->pid);
	put_bytes(j, o, "comm", vm->comm);
	put_bytes(j, o, "name", vm->name);
	json_put_bool(j, o, "known", vm->kvm);
	for (i = 0; i < vm->n_vcpus; i++)
		json_put_item(j, vcpus, vcpu(j, &vm->vcpu[i]));
	json_put(j, o, "vcpus", vcpus);
	for (i = 0; i < vm->n_rets; i++) {
		ret = json_new(j);
		json_put_u64(j, ret, "code", vm->ret[i].reason);
		json_put_str(j, ret, "reason",
			     run_exit_name(vm->ret[i].reason, name));
		json_put_u64(j, ret, "count", vm->ret[i].count);
		json_put_item(j, rets, ret);
	}
	json_put(j, o, "returns", rets);
	return o;
}

static struct json_object *slice(struct json *j, const struct trace_slice *s)
{
	struct json_object *o = json_new(j), *list = json_new_list(j), *cell;
	size_t i;

	for (i = 0; i < s->n_cells && !j->failed; i++) {
		const struct trace_cell *c = &s->cell[i];

		cell = json_new(j);
		json_put_u64(j, cell, "vm", c->key[TRACE_CELL_VM]);
		json_put_u64(j, cell, "isa", c->key[TRACE_CELL_ISA]);
		json_put_u64(j, cell, "code", c->key[TRACE_CELL_REASON]);
		json_put_bool(j, cell, "user", c->key[TRACE_CELL_USER]);
		json_put_u64(j, cell, "count", c->count);
		json_put_u64(j, cell, "total_ns", c->total);
		json_put(j, cell, "buckets", sparse(j, c->heat, TRACE_HEAT));
		json_put_item(j, list, cell);
	}
	json_put_double(j, o, "end", s->end);
	json_put(j, o, "cells", list);
	return o;
}

static void put_head(struct json *j, struct json_object *o, const struct trace *t)
{
	struct json_object *lost = json_new(j);
	const char *key, *text;
	uint64_t n;
	size_t i;

	json_put_u64(j, o, "kvasir_trace", TRACE_FILE_VERSION);
	put_bytes(j, o, "kernel", t->kernel);
	json_put_u64(j, o, "began", t->began);
	json_put_double(j, o, "seconds", t->seconds);
	json_put_u64(j, o, "pid", t->pid);
	json_put_u64(j, o, "hist_sub_bits", HIST_SUB_BITS);
	json_put_u64(j, o, "hist_bits", HIST_BITS);
	for (i = 0; (key = trace_loss(t, i, &n, &text)); i++)
		json_put_u64(j, lost, key, n);
	json_put(j, o, "losses", lost);
}

int trace_file_write(FILE *out, const struct trace_record *rec)
{
	const struct trace_timeline *tl = &rec->tl;
	const struct trace *t = &rec->t;
	struct json_object *root, *vms, *slices;
	struct json j = { false };
	const char *text;
	size_t i;
	int err;

	root = json_new(&j);
	vms = json_new_list(&j);
	slices = json_new_list(&j);
	put_head(&j, root, t);
	for (i = 0; i < t->n_vms; i++)
		json_put_item(&j, vms, vm(&j, &t->vm[i]));
	json_put(&j, root, "vms", vms);
	for (i = 0; i < tl->n; i++)
		json_put_item(&j, slices, slice(&j, &tl->slice[i]));
	json_put(&j, root, "slices", slices);
	root = json_done(&j, root);
	text = root ? json_object_to_json_string_ext(root,
						     JSON_C_TO_STRING_PLAIN) : NULL;
	if (!text) {
		json_object_put(root);
		return -ENOMEM;
	}
	errno = 0;
	fputs(text, out);
	putc('\n', out);
	err = fflush(out) || ferror(out) ? -(errno ? errno : EIO) : 0;
	json_object_put(root);
	return err;
}

/* A file beside @o->path, to be put in its place; NULL with errno set. */
static FILE *open_temp(struct trace_out *o)
{
	FILE *file = NULL;
	mode_t mask;
	int fd;

	if (asprintf(&o->temp, "%s.XXXXXX", o->path) < 0) {
		o->temp = NULL;
		return NULL;
	}
	fd = mkostemp(o->temp, O_CLOEXEC);
	if (fd < 0)
		return NULL;
	mask = umask(0);
	umask(mask);
	if (!fchmod(fd, 0666 & ~mask))
		file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		unlink(o->temp);
	}
	return file;
}

int trace_out_open(struct trace_out *o, const char *path)
{
	struct stat st;

	*o = (struct trace_out){ .path = path };
	if (stat(path, &st) || S_ISREG(st.st_mode))
		o->file = open_temp(o);
	else	/* a device or pipe; a folder fails with EISDIR */
		o->file = fopen(path, "we");
	if (o->file)
		return 0;
	free(o->temp);
	return out_error(EXIT_VMM, "cannot write %s: %s", path, strerror(errno));
}

int trace_out_close(struct trace_out *o, bool keep)
{
	int ret = 0, err = fclose(o->file) ? errno : 0;

	if (keep && !err && o->temp && rename(o->temp, o->path))
		err = errno;
	if (keep && err)
		ret = out_error(EXIT_VMM, "cannot write %s: %s", o->path,
				strerror(err));
	if (o->temp && (!keep || err))
		unlink(o->temp);
	free(o->temp);
	return ret;
}
