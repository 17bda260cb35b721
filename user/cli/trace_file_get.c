// SPDX-License-Identifier: GPL-2.0-only
/* What recordings of all kinds are read with; see trace_file_json.h. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "trace_file_json.h"

#define SECONDS_MAX	1e9
/* So that a count divided by it is a number. */
#define SECONDS_MIN	1e-9

void file_refuse(struct file_reader *r, const char *why)
{
	if (!r->err) {
		r->err = -EINVAL;
		r->why = why;
	}
}

struct json_object *file_get(struct file_reader *r, struct json_object *o,
			     const char *key, json_type type, const char *why)
{
	struct json_object *v;

	if (!r->err && json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, key, &v) && json_object_is_type(v, type))
		return v;
	file_refuse(r, why);
	return NULL;
}

uint64_t file_number(struct file_reader *r, struct json_object *v, uint64_t max,
		     const char *why)
{
	uint64_t n;

	if (json_object_is_type(v, json_type_int) &&
	    (json_object_get_int64(v) >= 0)) {
		n = json_object_get_uint64(v);
		if (n <= max)
			return n;
	}
	file_refuse(r, why);
	return 0;
}

uint64_t file_get_number(struct file_reader *r, struct json_object *o,
			 const char *key, uint64_t max, const char *why)
{
	struct json_object *v = file_get(r, o, key, json_type_int, why);

	return v ? file_number(r, v, max, why) : 0;
}

static double get_seconds(struct file_reader *r, struct json_object *o,
			  const char *key, const char *why)
{
	struct json_object *v = NULL;
	double s;

	if (!r->err && json_object_object_get_ex(o, key, &v) &&
	    (json_object_is_type(v, json_type_double) ||
	     json_object_is_type(v, json_type_int))) {
		s = json_object_get_double(v);
		if (isfinite(s) && s <= SECONDS_MAX && (!s || s >= SECONDS_MIN))
			return s;
	}
	file_refuse(r, why);
	return 0;
}

uint64_t file_get_sum(struct file_reader *r, struct json_object *o,
		      const char *key, const char *why)
{
	uint64_t sum = file_get_number(r, o, key, TIME_MAX_NS, why);

	r->sum += sum;
	if (r->sum > SUM_MAX)
		file_refuse(r, "times too long in all");
	return sum;
}

uint64_t file_get_part(struct file_reader *r, struct json_object *o,
		       const char *key, uint64_t max, const char *why)
{
	if (!json_object_object_get_ex(o, key, NULL))
		return 0;
	return file_get_number(r, o, key, max, why);
}

bool file_get_bool(struct file_reader *r, struct json_object *o, const char *key,
		   const char *why)
{
	struct json_object *v = file_get(r, o, key, json_type_boolean, why);

	return v && json_object_get_boolean(v);
}

void file_get_bytes(struct file_reader *r, struct json_object *o, const char *key,
		    char *dst, size_t size, const char *why)
{
	struct json_object *v = file_get(r, o, key, json_type_string, why);
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

size_t file_get_list(struct file_reader *r, struct json_object *o, const char *key,
		     struct json_object **list, const char *why)
{
	*list = file_get(r, o, key, json_type_array, why);
	return *list ? json_object_array_length(*list) : 0;
}

void *file_make(struct file_reader *r, size_t n, size_t size)
{
	void *p = n && !r->err ? calloc(n, size) : NULL;

	if (n && !r->err && !p)
		r->err = -ENOMEM;
	return p;
}

uint64_t file_get_sparse(struct file_reader *r, struct json_object *o,
			 const char *key, uint64_t *count, uint32_t n,
			 const char *why)
{
	struct json_object *list;
	size_t len = file_get_list(r, o, key, &list, why), i;
	uint64_t at, least = 0, sum = 0;

	if (len % 2 || len > 2 * n)
		file_refuse(r, why);
	for (i = 0; i + 1 < len && !r->err; i += 2) {
		at = file_number(r, json_object_array_get_idx(list, i), n - 1, why);
		if (at < least)
			file_refuse(r, why);
		least = at + 1;
		count[at] = file_number(r, json_object_array_get_idx(list, i + 1),
					COUNT_MAX, why);
		sum += count[at];
	}
	return sum;
}

static uint64_t get_buckets(struct file_reader *r, struct json_object *o,
			    uint64_t *count, uint32_t n)
{
	return file_get_sparse(r, o, "buckets", count, n, "bad histogram buckets");
}

void file_get_hist(struct file_reader *r, struct json_object *o, __u64 *bucket,
		   uint64_t n, uint64_t max)
{
	uint64_t count[HIST_BUCKETS] = { 0 };
	uint32_t i, last = 0;

	if (get_buckets(r, o, count, HIST_BUCKETS) != n)
		file_refuse(r, "a histogram that does not sum up to its count");
	for (i = 0; i < HIST_BUCKETS; i++) {
		bucket[i] = count[i];
		if (count[i])
			last = i;
	}
	if (n && hist_index(max) != last)
		file_refuse(r, "a maximum outside of its histogram");
}

void file_get_kind(struct file_reader *r, struct json_object *root, char *kind,
		   size_t size)
{
	if (file_get_number(r, root, "kvasir_trace", UINT32_MAX,
			    "not a recording of kvasir trace") != TRACE_FILE_VERSION)
		file_refuse(r, "a recording of another version of kvasir");
	snprintf(kind, size, "exits");
	/* There was a time when nothing else was recorded. */
	if (json_object_object_get_ex(root, "kind", NULL))
		file_get_bytes(r, root, "kind", kind, size, "no kind");
}

static void get_cost(struct file_reader *r, struct json_object *root,
		     struct trace_about *about)
{
	static const char why[] = "a bad cost";
	struct json_object *o;

	if (!json_object_object_get_ex(root, "cost", &o))
		return;
	about->cost_events = file_get_number(r, o, "events", COUNT_MAX, why);
	about->cost_ns = file_get_number(r, o, "ns", TIME_MAX_NS, why);
}

void file_get_head(struct file_reader *r, struct json_object *root,
		   struct trace_about *about,
		   const struct trace_loss_key *losses, void *trace)
{
	struct json_object *lost, *v;

	if (file_get_number(r, root, "hist_sub_bits", 64, "no bucket size") !=
	    HIST_SUB_BITS ||
	    file_get_number(r, root, "hist_bits", 64, "no bucket range") != HIST_BITS)
		file_refuse(r, "a recording with other histograms");
	file_get_bytes(r, root, "kernel", about->kernel, sizeof(about->kernel),
		       "no kernel");
	about->began = file_get_number(r, root, "began", TIME_MAX_NS, "no begin");
	about->pid = file_get_number(r, root, "pid", INT32_MAX, "no pid");
	about->seconds = get_seconds(r, root, "seconds", "no length");
	get_cost(r, root, about);
	lost = file_get(r, root, "losses", json_type_object, "no losses");
	for (; lost && losses->key; losses++)
		if (json_object_object_get_ex(lost, losses->key, &v))
			*trace_lost(losses, trace) = file_number(r, v, COUNT_MAX,
								 "bad losses");
}

static void get_slice(struct file_reader *r, struct json_object *o,
		      struct trace_timeline *tl, struct trace_slice *s,
		      const struct file_cells *cells, const void *trace)
{
	static const char why[] = "a bad cell of a slice";
	struct json_object *list, *v;
	struct trace_cell *c;
	size_t n, i;

	n = file_get_list(r, o, "cells", &list, "a slice without cells");
	if (n > TRACE_CELLS - tl->n_cells)
		file_refuse(r, "too many cells in slices");
	s->cell = file_make(r, n, sizeof(*s->cell));
	for (i = 0; i < n && !r->err; i++) {
		v = json_object_array_get_idx(list, i);
		c = &s->cell[i];
		cells->get(r, v, c->key, trace);
		c->count = file_get_number(r, v, "count", COUNT_MAX, why);
		c->total = file_get_number(r, v, cells->total, TIME_MAX_NS, why);
		if (get_buckets(r, v, c->heat, TRACE_HEAT) > c->count)
			file_refuse(r, why);
		s->n_cells++;
		tl->n_cells++;
	}
}

void file_get_slices(struct file_reader *r, struct json_object *root,
		     struct trace_timeline *tl,
		     const struct file_cells *cells, const void *trace)
{
	struct json_object *list, *v;
	size_t n, i;
	double end = 0;

	n = file_get_list(r, root, "slices", &list, "no slices");
	if (n > TRACE_SLICES)
		file_refuse(r, "too many slices");
	for (i = 0; i < n && !r->err; i++) {
		struct trace_slice *s = &tl->slice[i];

		tl->n = i + 1;
		v = json_object_array_get_idx(list, i);
		s->end = get_seconds(r, v, "end", "a slice without end");
		if (s->end < end)
			file_refuse(r, "slices out of order");
		end = s->end;
		get_slice(r, v, tl, s, cells, trace);
	}
}
