// SPDX-License-Identifier: GPL-2.0-only
/* Recordings of queues; see trace_file.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace_file_json.h"
#include "trace_queues.h"

#define ERRNO_MAX 4095

/* "hop", "size", ... of a series or cell, and the kind of requests. */
static void put_what(struct json *j, struct json_object *o, unsigned int what,
		     unsigned int op)
{
	json_put_str(j, o, "what", queue_hop(what));
	json_put_u64(j, o, "op", op);
}

static void get_what(struct file_reader *r, struct json_object *o,
		     uint32_t *what, uint32_t *op, const char *why)
{
	struct json_object *v = file_get(r, o, "what", json_type_string, why);

	*what = 0;
	*op = file_get_number(r, o, "op", UINT16_MAX, why);
	while (v && *what < WHAT_END &&
	       strcmp(json_object_get_string(v), queue_hop(*what)))
		++*what;
	if (*what >= WHAT_END) {
		*what = 0;
		file_refuse(r, why);
	}
}

/* In the file a queue goes by its place in the list. */
static void put_cell(struct json *j, struct json_object *o,
		     const uint32_t key[TRACE_KEY], const void *queues)
{
	const struct queue_index *index = queues;
	const struct queue_trace_queue *q;

	q = queue_numbered(index, key[QUEUE_CELL_NUMBER]);
	json_put_u64(j, o, "queue", q ? q - index->t->queue : 0);
	put_what(j, o, key[QUEUE_CELL_WHAT], key[QUEUE_CELL_OP]);
}

static void get_cell(struct file_reader *r, struct json_object *o,
		     uint32_t key[TRACE_KEY], const void *trace)
{
	static const char why[] = "a bad cell of a slice";
	const struct queue_trace *t = trace;

	if (!t->n)
		file_refuse(r, why);
	key[QUEUE_CELL_NUMBER] = file_get_number(r, o, "queue", t->n - 1, why);
	get_what(r, o, &key[QUEUE_CELL_WHAT], &key[QUEUE_CELL_OP], why);
}

static const struct file_cells cells = {
	.total = "total", .put = put_cell, .get = get_cell,
};

/* What is counted per queue, as in the JSON of a trace. */
static const struct {
	const char *key;
	size_t offset;		/* of a uint64_t */
} counts[] = {
#define COUNT(key, member) { key, offsetof(struct queue_state, member) }
	COUNT("requests", completed),
	COUNT("failed", failed),
	COUNT("services", services),
	COUNT("unasked", unasked),
	COUNT("calls", calls),
	COUNT("uncalled", uncalled),
	COUNT("elsewhere", elsewhere),
	COUNT("posted", posted),
#undef COUNT
};

#define COUNTS (sizeof(counts) / sizeof(counts[0]))

static uint64_t *count_of(const struct queue_state *s, size_t i)
{
	return (uint64_t *)((const char *)s + counts[i].offset);
}

/* ---- writing ---- */

static struct json_object *series(struct json *j, const struct queue_row *row)
{
	struct json_object *o = json_new(j);

	put_what(j, o, row->key.what, row->key.op);
	json_put_u64(j, o, "count", row->s.n);
	json_put_u64(j, o, "sum", row->s.sum);
	json_put_u64(j, o, "max", row->s.max);
	file_put_hist(j, o, row->s.bucket);
	return o;
}

static struct json_object *trip(struct json *j, const struct queue_trip *t)
{
	struct json_object *o = json_new(j), *at = json_new_list(j);
	int i;

	json_put_u64(j, o, "op", t->op);
	json_put_u64(j, o, "bytes", t->len);
	json_put_u64(j, o, "head", t->head);
	json_put_u64(j, o, "total", t->total_ns);
	for (i = 0; i < STAGES; i++)
		json_put_item(j, at, json_object_new_uint64(t->at[i]));
	json_put(j, o, "at", at);
	return o;
}

static struct json_object *counters(struct json *j,
				    const struct queue_trace_queue *q)
{
	struct json_object *o = json_new(j);
	const char *name;
	unsigned int i;

	for (i = 1; (name = kvasir_counter_name(i)); i++)
		json_put_u64(j, o, name, q->counters[i]);
	return o;
}

static struct json_object *queue(struct json *j, const struct queue_trace_queue *q)
{
	struct json_object *o = json_new(j), *rows = json_new_list(j);
	struct json_object *slowest = json_new_list(j);
	uint64_t bad[QUEUE_ERRORS];
	size_t i;

	json_put_u64(j, o, "dev", q->dev);
	json_put_u64(j, o, "index", q->index);
	json_put_str(j, o, "type", queue_type(q));
	file_put_bytes(j, o, "backend", q->state.backend);
	json_put_u64(j, o, "pid", q->state.pid);
	file_put_bytes(j, o, "comm", q->comm);
	file_put_bytes(j, o, "name", q->name);
	for (i = 0; i < COUNTS; i++)
		json_put_u64(j, o, counts[i].key, *count_of(&q->state, i));
	for (i = 0; i < QUEUE_ERRORS; i++)
		bad[i] = q->state.bad[i];
	file_put_sparse(j, o, "refused", bad, QUEUE_ERRORS);
	if (q->counted)
		json_put(j, o, "counters", counters(j, q));
	for (i = 0; i < q->n_rows && !j->failed; i++)
		json_put_item(j, rows, series(j, &q->row[i]));
	json_put(j, o, "series", rows);
	for (i = 0; i < QUEUES_SLOWEST && q->slow.trip[i].total_ns; i++)
		json_put_item(j, slowest, trip(j, &q->slow.trip[i]));
	json_put(j, o, "slowest", slowest);
	return o;
}

int queue_file_write(FILE *out, const struct queue_record *rec)
{
	struct json j = { false };
	struct json_object *root = json_new(&j), *list = json_new_list(&j);
	const struct queue_trace *t = &rec->t;
	struct queue_index index;
	size_t i;

	if (queue_index_make(&index, t))
		j.failed = true;
	file_put_head(&j, root, queue_record_kind(rec), &t->about, queue_losses, t);
	json_put_bool(&j, root, "no_guests", t->no_guests);
	json_put_u64(&j, root, "counters_errno", -t->counters_err);
	for (i = 0; i < t->n; i++)
		json_put_item(&j, list, queue(&j, &t->queue[i]));
	json_put(&j, root, "queues", list);
	file_put_slices(&j, root, &rec->tl, &cells, &index);
	free(index.place);
	return file_emit(&j, root, out);
}

/* ---- reading ---- */

static void get_series(struct file_reader *r, struct json_object *o,
		       struct queue_trace_queue *q)
{
	static const char why[] = "a bad series of a queue";
	struct queue_row *row, *before = q->n_rows ? &q->row[q->n_rows - 1] : NULL;
	uint32_t what, op;

	if (++r->rows > TRACE_FILE_ROOM * QUEUES_SERIES)
		file_refuse(r, "too many series");
	get_what(r, o, &what, &op, why);
	if (before && (before->key.what > what ||
		       (before->key.what == what && before->key.op >= op)))
		file_refuse(r, "series out of order");
	row = r->err ? NULL : queue_row_grow(q);
	if (!row) {
		r->err = r->err ? r->err : -ENOMEM;
		return;
	}
	row->key.what = what;
	row->key.op = op;
	row->s.n = file_get_number(r, o, "count", COUNT_MAX, why);
	row->s.sum = file_get_sum(r, o, "sum", why);
	row->s.max = file_get_number(r, o, "max", TIME_MAX_NS, why);
	file_get_hist(r, o, row->s.bucket, row->s.n, row->s.max);
}

static void get_trip(struct file_reader *r, struct json_object *o,
		     struct queue_trip *t)
{
	static const char why[] = "a bad request among the slowest";
	struct json_object *at;
	size_t n, i;

	t->op = file_get_number(r, o, "op", UINT32_MAX, why);
	t->len = file_get_number(r, o, "bytes", UINT32_MAX, why);
	t->head = file_get_number(r, o, "head", UINT32_MAX, why);
	t->total_ns = file_get_number(r, o, "total", TIME_MAX_NS, why);
	n = file_get_list(r, o, "at", &at, why);
	if (n != STAGES || !t->total_ns)
		file_refuse(r, why);
	for (i = 0; i < n && !r->err; i++)
		t->at[i] = file_number(r, json_object_array_get_idx(at, i),
				       TIME_MAX_NS, why);
}

static void get_slowest(struct file_reader *r, struct json_object *o,
			struct queue_trace_queue *q)
{
	struct queue_trip *trip = q->slow.trip;
	struct json_object *list;
	size_t n, i;

	n = file_get_list(r, o, "slowest", &list, "no slowest requests");
	if (n > QUEUES_SLOWEST)
		file_refuse(r, "too many slowest requests");
	for (i = 0; i < n && !r->err; i++) {
		get_trip(r, json_object_array_get_idx(list, i), &trip[i]);
		if (i && trip[i].total_ns > trip[i - 1].total_ns)
			file_refuse(r, "the slowest requests out of order");
	}
}

static void get_counters(struct file_reader *r, struct json_object *o,
			 struct queue_trace_queue *q)
{
	static const char why[] = "bad counters of a queue";
	struct json_object *v;
	const char *name;
	unsigned int i;

	q->counted = json_object_object_get_ex(o, "counters", NULL);
	if (!q->counted)
		return;
	v = file_get(r, o, "counters", json_type_object, why);
	for (i = 1; (name = kvasir_counter_name(i)); i++)
		q->counters[i] = file_get_part(r, v, name, TIME_MAX_NS, why);
}

static void get_names(struct file_reader *r, struct json_object *o,
		      struct queue_trace_queue *q)
{
	static const char why[] = "a queue without its names";
	char type[8];

	file_get_bytes(r, o, "type", type, sizeof(type), why);
	if (!strcmp(type, "net"))
		q->state.type = KVASIR_NET;
	else if (!strcmp(type, "blk"))
		q->state.type = KVASIR_BLK;
	else
		file_refuse(r, "a queue of an unknown type");
	file_get_bytes(r, o, "backend", q->state.backend, sizeof(q->state.backend),
		       why);
	q->state.pid = file_get_number(r, o, "pid", INT32_MAX, why);
	file_get_bytes(r, o, "comm", q->comm, sizeof(q->comm), why);
	file_get_bytes(r, o, "name", q->name, sizeof(q->name), why);
}

static void get_queue(struct file_reader *r, struct json_object *o,
		      struct queue_trace_queue *q)
{
	static const char why[] = "a bad queue";
	uint64_t bad[QUEUE_ERRORS] = { 0 };
	struct json_object *list;
	size_t n, i;

	q->dev = file_get_number(r, o, "dev", UINT32_MAX, why);
	q->index = file_get_number(r, o, "index", UINT32_MAX, why);
	get_names(r, o, q);
	for (i = 0; i < COUNTS; i++)
		*count_of(&q->state, i) = file_get_number(r, o, counts[i].key,
							  COUNT_MAX, why);
	file_get_sparse(r, o, "refused", bad, QUEUE_ERRORS, why);
	for (i = 0; i < QUEUE_ERRORS; i++)
		q->state.bad[i] = bad[i];
	get_counters(r, o, q);
	r->sum = 0;	/* those of two queues are never added */
	n = file_get_list(r, o, "series", &list, why);
	for (i = 0; i < n && !r->err; i++)
		get_series(r, json_object_array_get_idx(list, i), q);
	get_slowest(r, o, q);
}

static void get_queues(struct file_reader *r, struct json_object *root,
		       struct queue_trace *t)
{
	struct queue_trace_queue *q;
	struct json_object *list;
	size_t n, i;

	n = file_get_list(r, root, "queues", &list, "no queues");
	if (n > TRACE_FILE_ROOM * QUEUES_MAX)
		file_refuse(r, "too many queues");
	t->queue = file_make(r, n, sizeof(*t->queue));
	for (i = 0; i < n && !r->err; i++) {
		q = &t->queue[i];
		t->n = i + 1;
		q->state.number = i;
		get_queue(r, json_object_array_get_idx(list, i), q);
		if (i && (q[-1].dev > q->dev ||
			  (q[-1].dev == q->dev && q[-1].index >= q->index)))
			file_refuse(r, "queues out of order");
	}
}

void file_get_queues(struct file_reader *r, struct json_object *root,
		     struct queue_record *rec)
{
	struct queue_trace *t = &rec->t;

	file_get_head(r, root, &t->about, queue_losses, t);
	t->no_guests = file_get_bool(r, root, "no_guests", "no word on guests");
	t->counters_err = -(int)file_get_number(r, root, "counters_errno", ERRNO_MAX,
						"no word on counters");
	get_queues(r, root, t);
	file_get_slices(r, root, &rec->tl, &cells, t);
}
