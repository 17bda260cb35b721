// SPDX-License-Identifier: GPL-2.0-only
/* What recordings of all kinds are written with; see trace_file_json.h. */
#include <errno.h>

#include "output.h"
#include "trace_file_json.h"

#define BYTES_MAX 128

void file_put_bytes(struct json *j, struct json_object *o, const char *key,
		    const char *s)
{
	char text[4 * BYTES_MAX];

	json_put_str(j, o, key, out_escape(text, sizeof(text), s));
}

void file_put_sparse(struct json *j, struct json_object *o, const char *key,
		     const uint64_t *count, uint32_t n)
{
	struct json_object *list = json_new_list(j);
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (!count[i])
			continue;
		json_put_item(j, list, json_object_new_int((int)i));
		json_put_item(j, list, json_object_new_uint64(count[i]));
	}
	json_put(j, o, key, list);
}

void file_put_hist(struct json *j, struct json_object *o, const __u64 *bucket)
{
	uint64_t count[HIST_BUCKETS];
	uint32_t i;

	for (i = 0; i < HIST_BUCKETS; i++)
		count[i] = bucket[i];
	file_put_sparse(j, o, "buckets", count, HIST_BUCKETS);
}

static void put_cost(struct json *j, struct json_object *root,
		     const struct trace_about *about)
{
	struct json_object *o = json_new(j);

	json_put_u64(j, o, "events", about->cost_events);
	json_put_u64(j, o, "ns", about->cost_ns);
	json_put(j, root, "cost", o);
}

void file_put_head(struct json *j, struct json_object *root, const char *kind,
		   const struct trace_about *about,
		   const struct trace_loss_key *losses, const void *trace)
{
	struct json_object *lost = json_new(j);

	json_put_u64(j, root, "kvasir_trace", TRACE_FILE_VERSION);
	json_put_str(j, root, "kind", kind);
	file_put_bytes(j, root, "kernel", about->kernel);
	json_put_u64(j, root, "began", about->began);
	json_put_double(j, root, "seconds", about->seconds);
	json_put_u64(j, root, "pid", about->pid);
	json_put_u64(j, root, "hist_sub_bits", HIST_SUB_BITS);
	json_put_u64(j, root, "hist_bits", HIST_BITS);
	put_cost(j, root, about);
	for (; losses->key; losses++)
		json_put_u64(j, lost, losses->key, *trace_lost(losses, trace));
	json_put(j, root, "losses", lost);
}

static struct json_object *slice(struct json *j, const struct trace_slice *s,
				 const struct file_cells *cells, const void *trace)
{
	struct json_object *o = json_new(j), *list = json_new_list(j), *cell;
	size_t i;

	for (i = 0; i < s->n_cells && !j->failed; i++) {
		const struct trace_cell *c = &s->cell[i];

		cell = json_new(j);
		cells->put(j, cell, c->key, trace);
		json_put_u64(j, cell, "count", c->count);
		json_put_u64(j, cell, cells->total, c->total);
		file_put_sparse(j, cell, "buckets", c->heat, TRACE_HEAT);
		json_put_item(j, list, cell);
	}
	json_put_double(j, o, "end", s->end);
	json_put(j, o, "cells", list);
	return o;
}

void file_put_slices(struct json *j, struct json_object *root,
		     const struct trace_timeline *tl,
		     const struct file_cells *cells, const void *trace)
{
	struct json_object *slices = json_new_list(j);
	size_t i;

	for (i = 0; i < tl->n; i++)
		json_put_item(j, slices, slice(j, &tl->slice[i], cells, trace));
	json_put(j, root, "slices", slices);
}

int file_emit(struct json *j, struct json_object *root, FILE *out)
{
	const char *text;
	int err;

	root = json_done(j, root);
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
