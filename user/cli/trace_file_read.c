// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading recordings; see trace_file.h.
 *
 * The file may be cut, foreign or made up. The first thing that is wrong is
 * kept in struct reader; all that follows does nothing then.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "output.h"
#include "run.h"
#include "trace_file.h"
#include "trace_fmt.h"

#define DEPTH_MAX	16
/* Counts and times stay far from overflow when they are summed. */
#define COUNT_MAX	(1ULL << 48)
#define TIME_MAX_NS	(1ULL << 60)
#define SECONDS_MAX	1e9

struct reader {
	const char *why;	/* NULL: all well so far */
	int err;
	size_t rows, cells;
};

static void refuse(struct reader *r, const char *why)
{
	if (!r->err) {
		r->err = -EINVAL;
		r->why = why;
	}
}

/* Member @key of type @type; NULL, and an error, if there is none. */
static struct json_object *get(struct reader *r, struct json_object *o,
			       const char *key, json_type type, const char *why)
{
	struct json_object *v;

	if (!r->err && json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, key, &v) && json_object_is_type(v, type))
		return v;
	refuse(r, why);
	return NULL;
}

/* A whole number up to @max; else 0, and an error. */
static uint64_t number(struct reader *r, struct json_object *v, uint64_t max,
		       const char *why)
{
	uint64_t n;

	if (json_object_is_type(v, json_type_int) &&
	    (json_object_get_int64(v) >= 0)) {
		n = json_object_get_uint64(v);
		if (n <= max)
			return n;
	}
	refuse(r, why);
	return 0;
}

static uint64_t get_number(struct reader *r, struct json_object *o,
			   const char *key, uint64_t max, const char *why)
{
	struct json_object *v = get(r, o, key, json_type_int, why);

	return v ? number(r, v, max, why) : 0;
}

static double get_seconds(struct reader *r, struct json_object *o,
			  const char *key, const char *why)
{
	struct json_object *v = NULL;
	double s;

	if (!r->err && json_object_object_get_ex(o, key, &v) &&
	    (json_object_is_type(v, json_type_double) ||
	     json_object_is_type(v, json_type_int))) {
		s = json_object_get_double(v);
		if (isfinite(s) && s >= 0 && s <= SECONDS_MAX)
			return s;
	}
	refuse(r, why);
	return 0;
}

static bool get_bool(struct reader *r, struct json_object *o, const char *key,
		     const char *why)
{
	struct json_object *v = get(r, o, key, json_type_boolean, why);

	return v && json_object_get_boolean(v);
}

/* What out_escape() made of some bytes; cut to @size. */
static void get_bytes(struct reader *r, struct json_object *o, const char *key,
		      char *dst, size_t size, const char *why)
{
	struct json_object *v = get(r, o, key, json_type_string, why);
	const char *s = v ? json_object_get_string(v) : "";
	char byte[3] = "";
	size_t n;

	for (n = 0; *s && n + 1 < size; n++) {
		if (!strncmp(s, "\\x", 2) && isxdigit((unsigned char)s[2]) &&
		    isxdigit((unsigned char)s[3])) {
			memcpy(byte, s + 2, 2);
			dst[n] = (char)strtoul(byte, NULL, 16);
			s += 4;
		} else {
			s += s[0] == '\\' && s[1] == '\\';
			dst[n] = *s++;
		}
	}
	dst[n] = 0;
}

/* Items of a list; 0, and an error, if it is none. */
static size_t get_list(struct reader *r, struct json_object *o, const char *key,
		       struct json_object **list, const char *why)
{
	*list = get(r, o, key, json_type_array, why);
	return *list ? json_object_array_length(*list) : 0;
}

static void *make(struct reader *r, size_t n, size_t size)
{
	void *p = n && !r->err ? calloc(n, size) : NULL;

	if (n && !r->err && !p)
		r->err = -ENOMEM;
	return p;
}

/* Pairs of index and count, indices rising. Return: the sum of the counts. */
static uint64_t get_sparse(struct reader *r, struct json_object *o,
			   uint64_t *count, uint32_t n)
{
	static const char why[] = "bad histogram buckets";
	struct json_object *list;
	size_t len = get_list(r, o, "buckets", &list, why), i;
	uint64_t at, least = 0, sum = 0;

	if (len % 2 || len > 2 * n)
		refuse(r, why);
	for (i = 0; i + 1 < len && !r->err; i += 2) {
		at = number(r, json_object_array_get_idx(list, i), n - 1, why);
		if (at < least)
			refuse(r, why);
		least = at + 1;
		count[at] = number(r, json_object_array_get_idx(list, i + 1),
				   COUNT_MAX, why);
		sum += count[at];
	}
	return sum;
}

/* A number that may be missing, for 0. */
static uint64_t get_part(struct reader *r, struct json_object *o,
			 const char *key, uint64_t max)
{
	if (!json_object_object_get_ex(o, key, NULL))
		return 0;
	return get_number(r, o, key, max, "a time that has no such part");
}

static void get_series(struct reader *r, struct json_object *o,
		       struct exits_series *s)
{
	static const char why[] = "a reason without its counts";
	uint64_t bucket[HIST_BUCKETS] = { 0 }, left;
	uint32_t i, last = 0;

	memset(s, 0, sizeof(*s));
	s->timed = get_number(r, o, "timed", COUNT_MAX, why);
	s->untimed = get_number(r, o, "untimed", COUNT_MAX, why);
	s->total_ns = get_number(r, o, "total_ns", TIME_MAX_NS, why);
	s->max_ns = get_number(r, o, "max_ns", TIME_MAX_NS, why);
	s->min_ns = get_part(r, o, "min_ns", s->max_ns);
	left = s->total_ns;
	left -= s->user_ns = get_part(r, o, "user_ns", left);
	left -= s->ready_ns = get_part(r, o, "ready_ns", left);
	left -= s->blocked_ns = get_part(r, o, "blocked_ns", left);
	s->poll_ns = get_part(r, o, "poll_ns", left);
	if (get_sparse(r, o, bucket, HIST_BUCKETS) != s->timed)
		refuse(r, "a histogram that does not sum up to its count");
	for (i = 0; i < HIST_BUCKETS; i++) {
		s->bucket[i] = bucket[i];
		if (bucket[i])
			last = i;
	}
	if (s->timed && hist_index(s->max_ns) != last)
		refuse(r, "a maximum outside of its histogram");
}

static void get_reason(struct reader *r, struct json_object *o,
		       struct trace_vm *vm, struct trace_vcpu *vcpu)
{
	static const char why[] = "a bad exit reason";
	uint32_t isa = get_number(r, o, "isa", UINT16_MAX, why);
	uint32_t code = get_number(r, o, "code", UINT32_MAX, why);
	struct json_object *v;
	struct exits_series s;
	int by;

	if (++r->rows > TRACE_FILE_ROWS)
		refuse(r, "too many exit reasons");
	for (by = 0; by < 2 && !r->err; by++) {
		if (!json_object_object_get_ex(o, trace_class_name[by], &v))
			continue;
		get_series(r, v, &s);
		if (!r->err)
			r->err = trace_book(vm, vcpu, isa, code, by, &s);
	}
}

static void get_vcpu(struct reader *r, struct json_object *o,
		     struct trace_vm *vm, struct trace_vcpu *vcpu)
{
	static const char why[] = "a bad vCPU";
	struct json_object *list;
	size_t n, i;

	vcpu->id = get_number(r, o, "id", UINT32_MAX, why);
	n = get_list(r, o, "reasons", &list, why);
	for (i = 0; i < n && !r->err; i++)
		get_reason(r, json_object_array_get_idx(list, i), vm, vcpu);
}

static void get_returns(struct reader *r, struct json_object *o,
			struct trace_vm *vm)
{
	static const char why[] = "bad returns of KVM_RUN";
	struct json_object *list, *v;
	size_t n = get_list(r, o, "returns", &list, why), i;

	vm->ret = make(r, n, sizeof(*vm->ret));
	for (i = 0; i < n && !r->err; i++) {
		v = json_object_array_get_idx(list, i);
		vm->ret[i].reason = get_number(r, v, "code", UINT32_MAX, why);
		vm->ret[i].count = get_number(r, v, "count", COUNT_MAX, why);
		vm->n_rets = i + 1;
	}
}

static void get_vm(struct reader *r, struct json_object *o, struct trace_vm *vm)
{
	static const char why[] = "a bad virtual machine";
	struct json_object *list;
	size_t n, i;

	vm->pid = get_number(r, o, "pid", INT32_MAX, why);
	get_bytes(r, o, "comm", vm->comm, sizeof(vm->comm), why);
	get_bytes(r, o, "name", vm->name, sizeof(vm->name), why);
	vm->kvm = get_bool(r, o, "known", why);
	n = get_list(r, o, "vcpus", &list, why);
	if (n > EXITS_LIVES)
		refuse(r, "too many vCPUs");
	vm->vcpu = make(r, n, sizeof(*vm->vcpu));
	for (i = 0; i < n && !r->err; i++) {
		vm->n_vcpus = i + 1;
		get_vcpu(r, json_object_array_get_idx(list, i), vm, &vm->vcpu[i]);
	}
	get_returns(r, o, vm);
}

static void get_vms(struct reader *r, struct json_object *root, struct trace *t)
{
	struct json_object *list;
	size_t n = get_list(r, root, "vms", &list, "no virtual machines"), i;

	if (n > 2 * EXITS_LIVES)
		refuse(r, "too many virtual machines");
	t->vm = make(r, n, sizeof(*t->vm));
	for (i = 0; i < n && !r->err; i++) {
		t->n_vms = i + 1;
		get_vm(r, json_object_array_get_idx(list, i), &t->vm[i]);
	}
}

static void get_cell(struct reader *r, struct json_object *o,
		     const struct trace *t, struct trace_cell *c)
{
	static const char why[] = "a bad cell of a slice";

	if (++r->cells > TRACE_CELLS)
		refuse(r, "too many cells in slices");
	if (!t->n_vms)
		refuse(r, why);
	c->key[TRACE_CELL_VM] = get_number(r, o, "vm", t->n_vms - 1, why);
	c->key[TRACE_CELL_ISA] = get_number(r, o, "isa", UINT16_MAX, why);
	c->key[TRACE_CELL_REASON] = get_number(r, o, "code", UINT32_MAX, why);
	c->key[TRACE_CELL_USER] = get_bool(r, o, "user", why);
	c->count = get_number(r, o, "count", COUNT_MAX, why);
	c->total = get_number(r, o, "total_ns", TIME_MAX_NS, why);
	if (get_sparse(r, o, c->heat, TRACE_HEAT) > c->count)
		refuse(r, why);
}

static void get_slices(struct reader *r, struct json_object *root,
		       const struct trace *t, struct trace_timeline *tl)
{
	struct json_object *list, *cells, *v;
	size_t n, m, i, k;
	double end = 0;

	n = get_list(r, root, "slices", &list, "no slices");
	if (n > TRACE_SLICES)
		refuse(r, "too many slices");
	for (i = 0; i < n && !r->err; i++) {
		struct trace_slice *s = &tl->slice[i];

		tl->n = i + 1;
		v = json_object_array_get_idx(list, i);
		s->end = get_seconds(r, v, "end", "a slice without end");
		if (s->end < end)
			refuse(r, "slices out of order");
		end = s->end;
		m = get_list(r, v, "cells", &cells, "a slice without cells");
		if (m > TRACE_CELLS - r->cells)
			refuse(r, "too many cells in slices");
		s->cell = make(r, m, sizeof(*s->cell));
		for (k = 0; k < m && !r->err; k++) {
			s->n_cells = k + 1;
			get_cell(r, json_object_array_get_idx(cells, k), t,
				 &s->cell[k]);
		}
	}
}

static void get_head(struct reader *r, struct json_object *root, struct trace *t)
{
	struct json_object *lost, *v;
	const char *key, *text;
	uint64_t n;
	size_t i;

	n = get_number(r, root, "kvasir_trace", UINT32_MAX,
		       "not a recording of kvasir trace");
	if (n != TRACE_FILE_VERSION)
		refuse(r, "a recording of another version of kvasir");
	if (get_number(r, root, "hist_sub_bits", 64, "no bucket size") !=
	    HIST_SUB_BITS ||
	    get_number(r, root, "hist_bits", 64, "no bucket range") != HIST_BITS)
		refuse(r, "a recording with other histograms");
	get_bytes(r, root, "kernel", t->kernel, sizeof(t->kernel), "no kernel");
	t->began = get_number(r, root, "began", TIME_MAX_NS, "no begin");
	t->pid = get_number(r, root, "pid", INT32_MAX, "no pid");
	t->seconds = get_seconds(r, root, "seconds", "no length");
	lost = get(r, root, "losses", json_type_object, "no losses");
	for (i = 0; lost && (key = trace_loss(t, i, &n, &text)); i++)
		if (json_object_object_get_ex(lost, key, &v))
			trace_loss_set(t, i, number(r, v, COUNT_MAX, "bad losses"));
}

int trace_file_parse(const char *text, size_t len, struct trace_record *rec,
		     const char **why)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *root;
	struct reader r = { 0 };

	if (!tok)
		return -ENOMEM;
	root = len > TRACE_FILE_MAX ? NULL :
	       json_tokener_parse_ex(tok, text, (int)len);
	if (!root)
		refuse(&r, json_tokener_get_error(tok) == json_tokener_continue ?
			   "it ends too early" : "not a recording of kvasir trace");
	if (root && strspn(text + json_tokener_get_parse_end(tok), " \t\r\n") <
		    len - json_tokener_get_parse_end(tok))
		refuse(&r, "there is something behind the recording");
	get_head(&r, root, &rec->t);
	get_vms(&r, root, &rec->t);
	get_slices(&r, root, &rec->t, &rec->tl);
	if (!r.err)
		trace_sort(&rec->t);
	json_object_put(root);
	json_tokener_free(tok);
	*why = r.why;
	return r.err;
}

/* All of the file at @fd, and a 0. Return: to be freed; NULL with errno set. */
static char *slurp(int fd, size_t *len)
{
	size_t room = 1 << 16;
	char *buf = NULL, *grown;
	ssize_t n;

	*len = 0;
	do {
		room *= 2;
		grown = realloc(buf, room);
		if (!grown)
			goto err;
		buf = grown;
		do {
			n = read(fd, buf + *len, room - 1 - *len);
			if (n < 0 && errno != EINTR)
				goto err;
			*len += n > 0 ? n : 0;
		} while (n && *len < room - 1);
	} while (n && *len <= TRACE_FILE_MAX);
	buf[*len] = 0;
	return buf;
err:
	free(buf);
	return NULL;
}

int trace_file_read(const char *path, struct trace_record *rec)
{
	const char *why = NULL;
	struct stat st;
	char *text;
	size_t len;
	int fd, err;

	memset(rec, 0, sizeof(*rec));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !fstat(fd, &st) && !S_ISREG(st.st_mode)) {
		close(fd);
		return out_error(EXIT_NO_FILE, "%s: not a regular file", path);
	}
	text = fd < 0 ? NULL : slurp(fd, &len);
	err = errno;
	if (fd >= 0)
		close(fd);
	if (!text)
		return out_error(EXIT_NO_FILE, "cannot read %s: %s", path,
				 strerror(err));
	err = trace_file_parse(text, len, rec, &why);
	free(text);
	if (err == -EINVAL)
		return out_error(EXIT_BAD_KERNEL, "%s: %s", path, why);
	return err ? out_error(EXIT_VMM, "%s: %s", path, strerror(-err)) : 0;
}
