// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace diff` of queues.
 *
 * Proven: runs of one kind are hardly ever called different; more requests, a
 * slower host device, larger requests and deeper queues are found, each as what it
 * is and where it is; queues are matched by name, type, order of devices and
 * index; hostile names harm neither table nor JSON. Drops that differ are shown by
 * reason, others are not, nor those that one run knows nothing of; a run that lost
 * events is warned of.
 */
#include <json-c/json.h>

#include "queue_sample.h"
#include "trace_damage.h"
#include "trace_text.h"
#include "../../user/cli/trace_diff.h"

/* What requests of a run are like. */
struct like {
	double n;		/* in a slice */
	double device;		/* ns at the host device */
	double bytes, depth;
};

static const struct like usual = { 60, 40e3, 8192, 5 };

/* One run of one disk: 60 slices in 30 seconds. */
static void run_of(struct queue_record *rec, enum queue_view view,
		   const struct like *like, uint64_t *state)
{
	struct queue_trace_queue *q;
	struct queue_trace t;
	uint64_t count;
	size_t i, k;

	memset(rec, 0, sizeof(*rec));
	rec->view = view;
	queue_sample_init(&t);
	t.n = 1;
	q = &t.queue[0];
	for (i = 1; i <= 60; i++) {
		/* About Poisson: a sum of many rare ones */
		for (k = 0, count = 16 * like->n; k < 16; k++)
			count += kvt_rand(state) % 2 ? sqrt(count) : -sqrt(count);
		count /= 16;
		queue_sample_book(q, STAGE_BEGIN, 0, count, 6e3, 0.4, state);
		queue_sample_book(q, STAGE_DONE, VIRTIO_BLK_T_IN, count,
				  like->device, 0.3, state);
		queue_sample_book(q, WHAT_TOTAL, 0, count, like->device + 20e3,
				  0.3, state);
		queue_sample_book(q, WHAT_SIZE, VIRTIO_BLK_T_IN, count,
				  like->bytes, 0.3, state);
		queue_sample_book(q, WHAT_DEPTH, 0, count, like->depth, 0.4, state);
		queue_sample_look(rec, &t, i * 0.5);
	}
	queue_trace_free(&t);
}

static const struct diff_row *row_of(const struct diff_group *g, const char *name)
{
	size_t i;

	for (i = 0; i < g->n_rows; i++)
		if (!strcmp(g->row[i].name, name))
			return &g->row[i];
	return NULL;
}

/* Changes of the row called @name, as bits. */
static unsigned int changes(const struct trace_diff *d, const char *name)
{
	const struct diff_row *row;
	unsigned int bits = 0;
	int i;

	ASSERT_EQ(d->n, 1);
	row = row_of(&d->group[0], name);
	ASSERT(row, "no row %s", name);
	for (i = 0; i < DIFF_TESTS; i++)
		bits |= (unsigned int)row->changed[i] << i;
	return bits;
}

TEST("runs of one kind are the same")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	uint64_t state = kvt_seed() | 1;
	unsigned int wrong = 0, i;
	struct trace_diff d;
	size_t k, rows = 0;

	for (i = 0; i < 20; i++) {
		run_of(a, i % 2 ? VIEW_PATH : VIEW_LOAD, &usual, &state);
		run_of(b, i % 2 ? VIEW_PATH : VIEW_LOAD, &usual, &state);
		ASSERT_EQ(queue_diff(&d, a, b), 0);
		ASSERT_EQ(d.n, 1);
		EXPECT(!d.poisson, "60 slices are too few");
		rows += d.group[0].n_rows;
		for (k = 0; k < d.group[0].n_rows; k++)
			wrong += d.group[0].row[k].changed[DIFF_RATE] +
				 d.group[0].row[k].changed[DIFF_SHIFT] +
				 d.group[0].row[k].changed[DIFF_TAIL];
		trace_diff_free(&d);
		queue_record_free(a);
		queue_record_free(b);
	}
	EXPECT_EQ(rows, 20 * 3);	/* three series in either view */
	NOTE("%u changes in 20 pairs", wrong);
	EXPECT(wrong <= 2, "%u changes in 20 pairs", wrong);
	free(a);
}

TEST("more, slower, larger and deeper are found, where they are")
{
	static const struct {
		enum queue_view view;
		struct like like;
		const char *row, *other;
		unsigned int want;
	} cases[] = {
		{ VIEW_PATH, { 90, 40e3, 8192, 5 }, "wake", NULL, 1 << DIFF_RATE },
		{ VIEW_PATH, { 60, 48e3, 8192, 5 }, "device", "wake",
		  1 << DIFF_SHIFT },
		{ VIEW_LOAD, { 60, 48e3, 8192, 5 }, "latency", "size",
		  1 << DIFF_SHIFT },
		{ VIEW_LOAD, { 60, 40e3, 12288, 5 }, "size", "latency",
		  1 << DIFF_SHIFT },
		{ VIEW_LOAD, { 60, 40e3, 8192, 9 }, "depth", "size",
		  1 << DIFF_SHIFT },
	};
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	uint64_t state = kvt_seed() | 1;
	struct trace_diff d;
	unsigned int got;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_of(a, cases[i].view, &usual, &state);
		run_of(b, cases[i].view, &cases[i].like, &state);
		ASSERT_EQ(queue_diff(&d, a, b), 0);
		got = changes(&d, cases[i].row);
		EXPECT((got & cases[i].want) == cases[i].want,
		       "case %zu: changes 0x%x, expected 0x%x", i, got,
		       cases[i].want);
		if (cases[i].other) {
			got = changes(&d, cases[i].other);
			EXPECT(!got, "case %zu: changes 0x%x of %s", i, got,
			       cases[i].other);
		}
		trace_diff_free(&d);
		queue_record_free(a);
		queue_record_free(b);
	}
	free(a);
}

/* The queue of B that number @a of A is compared with. */
static size_t partner(const struct trace_diff *d, size_t a)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		if (d->group[i].at[0] == a)
			return d->group[i].at[1];
	return DIFF_NONE;
}

TEST("queues are matched by name, type, order of devices and index")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct trace_diff d;

	queue_sample_record(a, VIEW_PATH, 2, 1, 0.1, 1);
	queue_sample_record(b, VIEW_PATH, 2, 1, 0.1, 2);
	/* B: a restart; all devices and processes have other numbers. */
	b->t.queue[0].dev = 21;
	b->t.queue[1].dev = 22;
	b->t.queue[2].dev = 22;
	b->t.queue[3].dev = 20;
	b->t.queue[0].state.pid = 9;
	b->t.queue[1].state.pid = 9;
	b->t.queue[2].state.pid = 9;
	queue_trace_sort(&b->t);
	ASSERT_EQ(queue_diff(&d, a, b), 0);
	EXPECT_EQ(d.n, SAMPLE_QUEUES);
	EXPECT_EQ(partner(&d, 0), 1);	/* web's disk */
	EXPECT_EQ(partner(&d, 1), 2);	/* rx0 */
	EXPECT_EQ(partner(&d, 2), 3);	/* tx0 */
	EXPECT_EQ(partner(&d, 3), 0);	/* the hostile one */
	trace_diff_free(&d);

	/* Another disk of web before the old one: that is the first now. */
	strcpy(b->t.queue[0].name, a->t.queue[0].name);
	strcpy(b->t.queue[0].comm, a->t.queue[0].comm);
	ASSERT_EQ(queue_diff(&d, a, b), 0);
	EXPECT_EQ(d.n, SAMPLE_QUEUES + 1);
	EXPECT_EQ(partner(&d, 0), 0);
	EXPECT_EQ(partner(&d, 3), DIFF_NONE);
	EXPECT(d.group[4].at[0] == DIFF_NONE && d.group[4].at[1] == 1,
	       "web's second disk is not new");
	EXPECT(d.group[4].n_rows && !d.group[4].row[0].s[0].count, "from nowhere");
	trace_diff_free(&d);
	queue_record_free(a);
	queue_record_free(b);
	free(a);
}

TEST("one VM each: whatever they are called")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	uint64_t state = 3;
	struct trace_diff d;

	run_of(a, VIEW_PATH, &usual, &state);
	run_of(b, VIEW_PATH, &usual, &state);
	strcpy(b->t.queue[0].name, "other");
	ASSERT_EQ(queue_diff(&d, a, b), 0);
	EXPECT_EQ(d.n, 1);
	EXPECT_EQ(partner(&d, 0), 0);
	trace_diff_free(&d);
	queue_record_free(a);
	queue_record_free(b);
	free(a);
}

enum how {
	PRINT_CHANGES,
	PRINT_ALL,
	PRINT_JSON,
};

/* What goes to stdout. To be freed. */
static char *print(const struct trace_diff *d, enum how how)
{
	FILE *before = stdout;
	size_t len;
	char *text;

	stdout = open_memstream(&text, &len);
	EXPECT_EQ(how == PRINT_JSON ? trace_diff_json(d) :
		  trace_diff_table(d, how == PRINT_ALL, true), 0);
	fclose(stdout);
	stdout = before;
	ASSERT_EQ(strlen(text), len);
	expect_ascii(text);
	return text;
}

TEST("T-05 table and JSON, hostile names in them")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct json_object *root, *queues, *queue, *series, *first;
	struct trace_diff d;
	char *text;
	int view;

	for (view = VIEW_PATH; view <= VIEW_LOAD; view++) {
		queue_sample_record(a, view, 12, 6, 0.5, 1);
		queue_sample_record(b, view, 12, 6, 1, 2);
		ASSERT_EQ(queue_diff(&d, a, b), 0);
		text = print(&d, PRINT_ALL);
		EXPECT(strstr(text, "a;b\"c\\\\d<script>&'\\x1b[31m"), "no name: %s",
		       text);
		EXPECT(strstr(text, view == VIEW_PATH ? "device     read" :
						        "size     read"),
		       "no reads: %s", text);
		EXPECT(view == VIEW_PATH || strstr(text, "KiB"), "no sizes: %s", text);
		free(text);
		text = print(&d, PRINT_JSON);
		root = json_tokener_parse(text);
		ASSERT(root, "not JSON: %s", text);
		queues = json_object_object_get(root, "queues");
		ASSERT_EQ(json_object_array_length(queues), SAMPLE_QUEUES);
		queue = json_object_array_get_idx(queues, 0);
		EXPECT(!strcmp(json_object_get_string(json_object_object_get(
			json_object_object_get(queue, "b"), "name")), "web"), "name");
		series = json_object_object_get(queue, "series");
		first = json_object_array_get_idx(series, 0);
		EXPECT(json_object_object_get(first, "what"), "no what: %s", text);
		json_object_put(root);
		free(text);
		trace_diff_free(&d);
		queue_record_free(a);
		queue_record_free(b);
	}
	free(a);
}

TEST("empty runs, and runs of the largest numbers")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct trace_diff d;

	EXPECT_EQ(queue_diff(&d, a, b), 0);
	EXPECT_EQ(d.n, 0);
	free(print(&d, PRINT_ALL));
	trace_diff_free(&d);
	queue_sample_huge(b, VIEW_PATH);
	EXPECT_EQ(queue_diff(&d, a, b), 0);
	EXPECT_EQ(d.n, SAMPLE_QUEUES);
	free(print(&d, PRINT_JSON));
	trace_diff_free(&d);
	queue_sample_huge(a, VIEW_PATH);
	EXPECT_EQ(queue_diff(&d, a, b), 0);
	EXPECT_EQ(d.n, SAMPLE_QUEUES);
	free(print(&d, PRINT_ALL));
	trace_diff_free(&d);
	queue_record_free(a);
	queue_record_free(b);
	free(a);
}

/* ---- drops and losses ---- */

#define TX 2	/* the place of tx0 in the sample */

/* As it is when read from the file that it was written to. */
static void through_file(struct queue_record *rec)
{
	struct trace_recording back;
	const char *why;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ASSERT_EQ(queue_file_write(f, rec), 0);
	fclose(f);
	ASSERT_EQ(parse(text, &back, &why), 0);
	free(text);
	queue_record_free(rec);
	*rec = back.queues;
}

/* A trace of cards, @seconds long: what tx0 did not send, for two reasons. */
static void net_run(struct queue_record *rec, double seconds, uint64_t lower,
		    uint64_t header)
{
	uint64_t state = 7;
	struct queue_trace t;
	size_t i;

	ASSERT_EQ(queue_record_init(rec, "net"), 0);
	queue_sample_init(&t);
	queue_sample_load(&t, 1, &state);
	for (i = 0; i < t.n; i++)
		queue_sample_counter(&t.queue[i], "kicks", 1);
	queue_sample_counter(&t.queue[TX], "drop-lower", lower);
	queue_sample_counter(&t.queue[TX], "drop-header", header);
	queue_sample_look(rec, &t, seconds);
	queue_trace_free(&t);
	through_file(rec);
}

static void compare(struct trace_diff *d, const struct queue_record *a,
		    const struct queue_record *b)
{
	ASSERT_EQ(queue_diff(d, a, b), 0);
	ASSERT_EQ(d->n, SAMPLE_QUEUES);
}

/* The row of tx0's drops for @reason, or NULL. */
static const struct diff_row *drop_of(const struct trace_diff *d, const char *reason)
{
	const struct diff_group *g = &d->group[TX];
	size_t i;

	for (i = g->n_rows - g->n_drops; i < g->n_rows; i++)
		if (!strcmp(g->row[i].name, reason))
			return &g->row[i];
	return NULL;
}

/* Are there more or fewer drops of this kind? Of those there are. */
static bool drop_changed(const struct trace_diff *d, const char *reason)
{
	const struct diff_row *row = drop_of(d, reason);

	ASSERT(row, "no row %s", reason);
	return row->changed[DIFF_RATE];
}

/* Print, and look for @want, or that it is not there. */
static void expect_text(const struct trace_diff *d, enum how how, const char *want,
			bool there)
{
	char *text = print(d, how);

	EXPECT(!!strstr(text, want) == there, "%s%s: %s", there ? "no " : "", want,
	       text);
	free(text);
}

TEST("drops that differ are shown by reason, others are not")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct trace_diff d;

	net_run(a, 10, 100, 40);
	net_run(b, 10, 300, 41);
	compare(&d, a, b);
	EXPECT(drop_changed(&d, "drop-lower"), "100 and 300 are the same");
	EXPECT(!drop_changed(&d, "drop-header"), "40 and 41 are not the same");
	EXPECT(!drop_of(&d, "errors"), "what neither dropped is compared");
	expect_text(&d, PRINT_CHANGES, "drop-lower  100  300     10     30  +200.0%  more\n",
		    true);
	expect_text(&d, PRINT_CHANGES, "drop-header", false);
	expect_text(&d, PRINT_CHANGES, "note: when each drop was", true);
	expect_text(&d, PRINT_ALL, "drop-header", true);
	expect_text(&d, PRINT_ALL, "without the module's counters", false);
	trace_diff_free(&d);
	compare(&d, a, a);
	expect_text(&d, PRINT_CHANGES, "\nno change in drops\n", true);
	expect_text(&d, PRINT_CHANGES, "DROP", false);
	trace_diff_free(&d);
	queue_record_free(a);
	queue_record_free(b);
	free(a);
}

TEST("drops of runs that are not as long are compared by their rates")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct trace_diff d;

	net_run(a, 100, 1000, 200);
	net_run(b, 10, 100, 200);
	compare(&d, a, b);
	EXPECT(!drop_changed(&d, "drop-lower"), "10/s and 10/s are not the same");
	EXPECT(drop_changed(&d, "drop-header"), "2/s and 20/s are the same");
	trace_diff_free(&d);
	queue_record_free(a);
	queue_record_free(b);
	free(a);
}

TEST("new and gone drops; those that one run knows nothing of")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct trace_diff d;

	net_run(a, 10, 0, 70);
	net_run(b, 10, 60, 0);
	compare(&d, a, b);
	expect_text(&d, PRINT_CHANGES, "-  new\n", true);
	expect_text(&d, PRINT_CHANGES, "-100.0%  gone\n", true);
	trace_diff_free(&d);
	/* Refused chains are known all the same. */
	b->t.queue[TX].counted = false;
	b->t.queue[TX].state.bad[1] = 500;
	b->t.counters_err = -EPERM;
	compare(&d, a, b);
	EXPECT_EQ(d.group[TX].n_drops, 1);
	EXPECT(drop_changed(&d, "bad-chain:loop"), "0 and 500 are the same");
	expect_text(&d, PRINT_CHANGES, "note: B without the module's counters", true);
	expect_text(&d, PRINT_JSON, "\"counted\": false", true);
	trace_diff_free(&d);
	queue_record_free(a);
	queue_record_free(b);
	free(a);
}

/* Member @key of @o, which is there. */
static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *v;

	ASSERT(json_object_object_get_ex(o, key, &v), "no %s", key);
	return v;
}

TEST("JSON of drops and losses")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct json_object *root, *drop;
	struct trace_diff d;
	char *text;

	net_run(a, 10, 100, 0);
	net_run(b, 20, 100, 0);
	b->t.lost.series_full = 17;
	compare(&d, a, b);
	text = print(&d, PRINT_JSON);
	root = json_tokener_parse(text);
	ASSERT(root, "not JSON: %s", text);
	drop = member(json_object_array_get_idx(member(root, "queues"), TX), "drops");
	ASSERT_EQ(json_object_array_length(drop), 1);
	drop = json_object_array_get_idx(drop, 0);
	EXPECT(!strcmp(json_object_get_string(member(drop, "reason")), "drop-lower"),
	       "reason");
	EXPECT_EQ(json_object_get_int(member(member(drop, "a"), "count")), 100);
	EXPECT_EQ(json_object_get_double(member(member(drop, "b"), "rate")), 5);
	EXPECT(json_object_get_double(member(member(drop, "p"), "rate")) < DIFF_P, "p");
	EXPECT_EQ(json_object_array_length(member(drop, "changed")), 1);
	drop = member(root, "losses");
	EXPECT_EQ(json_object_get_int(member(member(drop, "a"), "series_full")), 0);
	EXPECT_EQ(json_object_get_int(member(member(drop, "b"), "series_full")), 17);
	json_object_put(root);
	free(text);
	trace_diff_free(&d);
	queue_record_free(a);
	queue_record_free(b);
	free(a);
}

TEST("a run that lost events is warned of, and only that")
{
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct trace_diff d;
	int view;

	for (view = VIEW_PATH; view <= VIEW_LOAD; view++) {
		queue_sample_record(a, view, 2, 1, 0.1, 1);
		queue_sample_record(b, view, 2, 1, 0.1, 1);
		a->t.lost.unmatched = 0;
		b->t.lost.unmatched = 0;
		compare(&d, a, b);
		expect_text(&d, PRINT_CHANGES, "lost", false);
		trace_diff_free(&d);
		b->t.lost.series_full = 17;
		compare(&d, a, b);
		expect_text(&d, PRINT_CHANGES,
			    "lost in B: 17 values that found no free histogram\n"
			    "warning: counts or percentiles of B miss", true);
		expect_text(&d, PRINT_CHANGES, "lost in A", false);
		trace_diff_free(&d);
		a->t.about.recursion_misses = 2;
		compare(&d, a, b);
		expect_text(&d, PRINT_ALL, "lost in A: 2 events missed", true);
		expect_text(&d, PRINT_ALL, "of A and B miss", true);
		trace_diff_free(&d);
		queue_record_free(a);
		queue_record_free(b);
	}
	free(a);
}

TEST("the largest counts of drops, in no time")
{
	static const double seconds[] = { 0, 1e-9, 1e9 };
	struct queue_record *a = calloc(2, sizeof(*a)), *b = a + 1;
	struct json_object *root;
	struct trace_diff d;
	char *text;
	size_t i;

	for (i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		/* What a file can hold, and what memory can. */
		net_run(a, 1, 1ULL << 60, 1);
		net_run(b, seconds[i], 1, 1ULL << 60);
		b->t.queue[TX].state.bad[0] = UINT64_MAX;
		b->t.queue[TX].state.bad[QUEUE_ERRORS - 1] = UINT64_MAX;
		memset(&b->t.lost, 0xff, sizeof(b->t.lost));
		compare(&d, a, b);
		EXPECT_EQ(d.group[TX].n_drops, 3);
		/* In no time at all there is no rate. */
		EXPECT(drop_changed(&d, "drop-lower") == (seconds[i] > 0),
		       "%g s", seconds[i]);
		expect_text(&d, PRINT_ALL, "bad-chain:?", true);
		text = print(&d, PRINT_JSON);
		EXPECT(!strcasestr(text, "inf") && !strcasestr(text, "nan"),
		       "no number: %s", text);
		root = json_tokener_parse(text);
		EXPECT(root, "not JSON: %s", text);
		json_object_put(root);
		free(text);
		trace_diff_free(&d);
		queue_record_free(a);
		queue_record_free(b);
	}
	free(a);
}
