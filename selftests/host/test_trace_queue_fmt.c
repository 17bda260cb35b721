// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `kvasir trace path`, `io` and `net` print, in every format.
 *
 * Proven: names that carry quotes, markup and terminal sequences harm no format;
 * folded stacks add up to the time of the hops; the page is well formed, fetches
 * nothing, and has the charts of what was counted; the spans of the slowest
 * requests lie within them, whatever a file says of their moments; requests that are
 * never done are shown; an empty trace and one of the largest numbers are printed,
 * too.
 */
#include <json-c/json.h>

#include "queue_sample.h"
#include "trace_text.h"

/* What queue_print() prints. To be freed. */
static char *print(const struct queue_record *rec, enum trace_format format)
{
	const struct trace_style style = { .format = format, .slowest = 8 };
	FILE *before = stdout;
	size_t len;
	char *text;

	stdout = open_memstream(&text, &len);
	EXPECT_EQ(queue_print(rec, &style), 0);
	fclose(stdout);
	stdout = before;
	ASSERT_EQ(strlen(text), len);
	return text;
}

static void sample(struct queue_record *rec, enum queue_view view)
{
	queue_sample_record(rec, view, 12, 6, 0.5, 42);
}

static size_t occurs(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Sum of all series of a kind. */
static uint64_t sum_of(const struct queue_record *rec, unsigned int what)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < rec->t.n; i++)
		sum += queue_sum(&rec->t.queue[i], what, -1).sum;
	return sum;
}

TEST("T-05 folded stacks of a path: the time of all hops, none of it twice")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	uint64_t want = 0;
	unsigned int what;
	char *text;

	sample(rec, VIEW_PATH);
	for (what = 1; what < STAGES; what++)
		want += sum_of(rec, what);
	text = print(rec, TRACE_FOLDED);
	EXPECT(strstr(text, "web (kvasir 1234);blk 3 queue 0;read;host device "),
	       "no read: %s", text);
	EXPECT(strstr(text, "web (kvasir 1234);net 4 tx0;doorbell -> worker "),
	       "no wait: %s", text);
	EXPECT_EQ(folded_sum(text, 3, 4), want);
	free(text);
	queue_record_free(rec);
	free(rec);
}

TEST("T-05 folded stacks of a load: the time at the host device, by kind")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	char *text;

	sample(rec, VIEW_LOAD);
	text = print(rec, TRACE_FOLDED);
	EXPECT(strstr(text, "a\\x3bb\"c\\\\d<script>&'\\x1b[31m"),
	       "the name is not there: %s", text);
	EXPECT_EQ(folded_sum(text, 4, 4), sum_of(rec, STAGE_DONE));
	free(text);
	queue_record_free(rec);
	free(rec);
}

TEST("T-05 the page of a path: hops, heat maps, the slowest; nothing foreign")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	char *text;

	sample(rec, VIEW_PATH);
	text = print(rec, TRACE_HTML);
	expect_page(text);
	EXPECT_EQ(occurs(text, "<h2>"), SAMPLE_QUEUES);
	EXPECT_EQ(occurs(text, "requests by latency and time"), SAMPLE_QUEUES);
	/* All hops and the whole; of frames received one is not. */
	EXPECT_EQ(occurs(text, "<h3>in all</h3>"), SAMPLE_QUEUES);
	EXPECT_EQ(occurs(text, "<h3>host device</h3>"), SAMPLE_QUEUES);
	EXPECT_EQ(occurs(text, "<h3>worker -&gt; host device</h3>"),
		  SAMPLE_QUEUES - 1);
	EXPECT_EQ(occurs(text, "<h3>slowest requests</h3>"), 3);
	/* 8 requests of 7 hops, one of 7, a frame of 5 */
	EXPECT_EQ(occurs(text, "<rect class=\"s"), 8 * 7 + 7 + 5);
	EXPECT(strstr(text, "lost: 3 completions"), "no loss");
	free(text);
	queue_record_free(rec);
	free(rec);
}

TEST("T-05 the page of a load: by kind, sizes in bytes, depths, drops")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	char *text;

	sample(rec, VIEW_LOAD);
	text = print(rec, TRACE_HTML);
	expect_page(text);
	EXPECT_EQ(occurs(text, "requests by latency and time"), SAMPLE_QUEUES);
	EXPECT_EQ(occurs(text, "<h3>latency: read</h3>"), 1);
	EXPECT_EQ(occurs(text, "<h3>size: write</h3>"), 1);
	EXPECT_EQ(occurs(text, "<h3>latency: type 77</h3>"), 1);
	EXPECT_EQ(occurs(text, "<h3>in flight</h3>"), SAMPLE_QUEUES);
	EXPECT(strstr(text, ">16KiB</text>"), "no sizes");
	/* A bar for each depth: no range */
	EXPECT(strstr(text, "<title>5: "), "no depths");
	EXPECT(strstr(text, "<p>errors: 2</p>"), "no errors");
	EXPECT(strstr(text, "<p>bad-chain:too-long: 5</p>"), "no chains");
	free(text);
	queue_record_free(rec);
	free(rec);
}

TEST("T-05 tables and JSON of hostile names")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	struct json_object *root, *queues, *queue;
	char *text;

	sample(rec, VIEW_PATH);
	text = print(rec, TRACE_TABLE);
	expect_ascii(text);
	EXPECT(strstr(text, "guest -> doorbell"), "no hops: %s", text);
	free(text);
	text = print(rec, TRACE_JSON);
	expect_ascii(text);
	root = json_tokener_parse(text);
	ASSERT(root, "not JSON: %s", text);
	queues = json_object_object_get(root, "queues");
	ASSERT_EQ(json_object_array_length(queues), SAMPLE_QUEUES);
	queue = json_object_array_get_idx(queues, 3);
	EXPECT(strstr(json_object_get_string(json_object_object_get(queue, "name")),
		      "a;b\"c"), "no name");
	json_object_put(root);
	free(text);
	text = print(rec, TRACE_PROMETHEUS);
	expect_ascii(text);
	free(text);
	queue_record_free(rec);
	free(rec);
}

#define HUNG 32u

/* Reads that were done, and @HUNG writes that a disk keeps. */
static void hung(struct queue_record *rec)
{
	uint64_t state = kvt_seed() | 1;
	struct queue_trace_queue *q;
	struct queue_trace t;

	memset(rec, 0, sizeof(*rec));
	ASSERT_EQ(queue_record_init(rec, "io"), 0);
	queue_sample_init(&t);
	q = &t.queue[0];
	queue_sample_add(q, VIRTIO_BLK_T_IN, 7, 1, &state);
	queue_sample_book(q, WHAT_SIZE, VIRTIO_BLK_T_OUT, HUNG, 4096, 0.1, &state);
	queue_sample_book(q, WHAT_DEPTH, 0, HUNG, 16, 0.5, &state);
	queue_sample_look(rec, &t, 1);
	queue_trace_free(&t);
}

static uint64_t count_of(struct json_object *op, const char *series)
{
	struct json_object *o = json_object_object_get(op, series);

	ASSERT(o, "no %s", series);
	return json_object_get_uint64(json_object_object_get(o, "count"));
}

TEST("T-05 a disk that hangs: what was issued is there, though nothing is done")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	struct json_object *root, *ops, *op;
	unsigned int issued, done;
	char *text, *row;

	hung(rec);
	text = print(rec, TRACE_JSON);
	root = json_tokener_parse(text);
	ASSERT(root, "not JSON: %s", text);
	ops = json_object_array_get_idx(json_object_object_get(root, "queues"), 0);
	ops = json_object_object_get(ops, "ops");
	EXPECT_EQ(json_object_object_length(ops), 2);
	op = json_object_object_get(ops, "write");
	ASSERT(op, "no writes: %s", text);
	EXPECT_EQ(count_of(op, "latency"), 0);
	EXPECT_EQ(count_of(op, "size"), HUNG);
	json_object_put(root);
	free(text);
	text = print(rec, TRACE_TABLE);
	row = strstr(text, "\nwrite ");
	ASSERT(row && sscanf(row, " write %u %u", &issued, &done) == 2,
	       "no writes: %s", text);
	EXPECT_EQ(issued, HUNG);
	EXPECT_EQ(done, 0);
	EXPECT_EQ(occurs(text, "\nread "), 1);
	free(text);
	text = print(rec, TRACE_HTML);
	expect_page(text);
	row = strstr(text, "<td>write<td>");
	ASSERT(row && sscanf(row, "<td>write<td>%u<td>%u<td>", &issued, &done) == 2,
	       "no writes: %s", text);
	EXPECT_EQ(issued, HUNG);
	EXPECT_EQ(done, 0);
	EXPECT_EQ(occurs(text, "<td>read<td>"), 1);
	free(text);
	queue_record_free(rec);
	free(rec);
}

/* Sum of a metric over all series that have @label (NULL: over all). */
static uint64_t metric_sum(const char *text, const char *name, const char *label)
{
	size_t len = strlen(name);
	char line[1024];
	uint64_t sum = 0;
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
		if (!strncmp(line, name, len) && line[len] == '{' &&
		    (!label || strstr(line, label)))
			sum += strtoull(strrchr(line, ' '), NULL, 10);
	}
	return sum;
}

TEST("T-05 metrics of drops: none is counted twice, and only drops are")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	struct queue_trace_queue *tx;
	struct queue_trace t;
	char *text;

	ASSERT_EQ(queue_record_init(rec, "net"), 0);
	queue_sample_init(&t);
	tx = &t.queue[2];
	tx->state.bad[1] = 3;
	tx->state.bad[2] = 2;
	queue_sample_counter(tx, "bad-chain", 6);
	queue_sample_counter(tx, "drop-lower", 10);
	queue_sample_counter(tx, "errors", 100);
	queue_sample_counter(tx, "broken", 200);
	queue_sample_counter(tx, "no-buffers", 400);
	/* Whose counter was read before its tracepoint. */
	t.queue[1].state.bad[1] = 20;
	queue_sample_counter(&t.queue[1], "bad-chain", 19);
	/* Whose counters could not be read. */
	t.queue[0].state.bad[1] = 40;
	queue_sample_look(rec, &t, 1);
	text = print(rec, TRACE_PROMETHEUS);
#define DROPPED "kvasir_queue_dropped_total"
	EXPECT_EQ(metric_sum(text, DROPPED, "queue=\"tx0\""), 6 + 10);
	EXPECT_EQ(metric_sum(text, DROPPED, "reason=\"bad-chain:next\""), 2);
	EXPECT_EQ(metric_sum(text, DROPPED, "reason=\"bad-chain:other\""), 1);
	EXPECT_EQ(metric_sum(text, DROPPED, NULL), 6 + 10 + 20 + 40);
#undef DROPPED
	EXPECT_EQ(metric_sum(text, "kvasir_queue_errors_total", NULL), 100);
	EXPECT_EQ(metric_sum(text, "kvasir_queue_broken_total", NULL), 200);
	EXPECT_EQ(metric_sum(text, "kvasir_queue_no_buffers_total", NULL), 400);
	free(text);
	queue_trace_free(&t);
	queue_record_free(rec);
	free(rec);
}

/* The number behind @key, from @at on. */
static double number(const char *at, const char *key)
{
	const char *s = strstr(at, key);

	ASSERT(s, "no %s: %.80s", key, at);
	return strtod(s + strlen(key), NULL);
}

TEST("spans lie within the chart, whatever the moments are")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	uint64_t state = kvt_seed() | 1;
	unsigned int i, k, round;
	double x, width;
	char *text, *s;

	sample(rec, VIEW_PATH);
	for (round = 0; round < 50; round++) {
		struct queue_slow *slow = &rec->t.queue[0].slow;

		for (i = 0; i < QUEUES_SLOWEST; i++) {
			for (k = 0; k < STAGES; k++)
				slow->trip[i].at[k] = kvt_rand(&state) >>
						      (kvt_rand(&state) % 64);
			slow->trip[i].total_ns = 1 + (kvt_rand(&state) >>
						      (1 + kvt_rand(&state) % 60));
		}
		text = print(rec, TRACE_HTML);
		for (s = text; (s = strstr(s, "<rect class=\"s")); s++) {
			x = number(s, " x=\"");
			width = number(s, " width=\"");
			EXPECT(x >= 0 && width > 0 && x + width <= 720,
			       "x %g, width %g", x, width);
		}
		free(text);
	}
	queue_record_free(rec);
	free(rec);
}

TEST("a trace of nothing, and the largest numbers, in every format")
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	int format, view;
	char *text;

	for (view = VIEW_PATH; view <= VIEW_LOAD; view++) {
		memset(rec, 0, sizeof(*rec));
		rec->view = view;
		for (format = TRACE_TABLE; format <= TRACE_HTML; format++) {
			text = print(rec, format);
			EXPECT(format == TRACE_FOLDED || *text, "format %d", format);
			free(text);
		}
		queue_sample_huge(rec, view);
		for (format = TRACE_TABLE; format <= TRACE_HTML; format++) {
			text = print(rec, format);
			expect_ascii(text);
			EXPECT(!strstr(text, "nan"), "nan in format %d", format);
			free(text);
		}
		queue_record_free(rec);
	}
	free(rec);
}

TEST("requests go by the direction of their queue, whichever pair it is of")
{
	struct queue_trace_queue q = { .state.type = KVASIR_NET };
	char op[16], name[32];

	for (q.index = 0; q.index < 6; q.index++) {
		bool rx = q.index % 2 == 0;

		EXPECT(!strcmp(queue_op_name(&q, 0, op), rx ? "received" : "sent"),
		       "queue %u: %s", q.index, queue_op_name(&q, 0, op));
		EXPECT(!strncmp(queue_name(&q, name), rx ? "rx" : "tx", 2),
		       "queue %u: %s", q.index, name);
	}
}
