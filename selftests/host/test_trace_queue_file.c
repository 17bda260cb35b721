// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recordings of `kvasir trace record path|io|net`.
 *
 * Proven: what is written is read back the same, byte for byte when written
 * again, and prints as the trace itself does; a file that was cut, changed or
 * mixed up is refused with a reason; slices add up to the whole, whoever was
 * seen first; names and counters stay known when what they are of is gone; a trace
 * ended by a signal is recorded, one that cannot be written leaves the old file.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "queue_sample.h"
#include "trace_damage.h"
#include "trace_fake.h"

/* Everything that a recording can hold is in it. */
static void full_record(struct queue_record *rec, enum queue_view view)
{
	queue_sample_record(rec, view, 8, 4, 0.3, 5);
	rec->t.about.pid = 1234;
	rec->t.about.recursion_misses = 9;
	rec->t.about.cost_events = 1000;
	rec->t.about.cost_ns = 123456;
	rec->t.no_guests = true;
	rec->t.counters_err = -EPERM;
	rec->t.lost.queues_full = 1ULL << 48;
}

static char *write_text(const struct queue_record *rec, size_t *len)
{
	char *text;
	FILE *f = open_memstream(&text, len);

	ASSERT_EQ(queue_file_write(f, rec), 0);
	fclose(f);
	return text;
}

/* What goes to stdout. To be freed */
static char *printed(const struct queue_record *rec, enum trace_format format)
{
	const struct trace_style style = { .format = format, .slowest = 8 };
	FILE *out = stdout;
	char *text;
	size_t len;

	stdout = open_memstream(&text, &len);
	EXPECT_EQ(queue_print(rec, &style), 0);
	fclose(stdout);
	stdout = out;
	return text;
}

static void expect_same_print(const struct queue_record *a,
			      const struct queue_record *b)
{
	int format;

	for (format = TRACE_TABLE; format <= TRACE_HTML; format++) {
		char *x = printed(a, format), *y = printed(b, format);

		EXPECT(*x && !strcmp(x, y), "format %d differs", format);
		free(x);
		free(y);
	}
}

TEST("written, read and written again: the same bytes, and the same prints")
{
	static const char *const kinds[] = { "path", "io", "net" };
	struct queue_record rec, empty;
	struct trace_recording back;
	size_t len, again, i;
	char *text, *copy;
	const char *why;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(queue_record_init(&empty, kinds[i]), 0);
		full_record(&rec, empty.view);
		rec.type = empty.type;
		text = write_text(&rec, &len);
		ASSERT_EQ(parse(text, &back, &why), 0);
		ASSERT(back.of_queues, "read as exits");
		EXPECT(!strcmp(queue_record_kind(&back.queues), kinds[i]), "kind");
		EXPECT(!strcmp(back.queues.t.queue[3].name, HOSTILE_NAME), "name");
		EXPECT(!strcmp(back.queues.t.queue[3].comm, HOSTILE_COMM), "comm");
		copy = write_text(&back.queues, &again);
		EXPECT(len == again && !memcmp(text, copy, len), "%s differs",
		       kinds[i]);
		expect_same_print(&rec, &back.queues);
		trace_recording_free(&back);
		queue_record_free(&rec);
		free(copy);
		free(text);
	}
	EXPECT_EQ(queue_record_init(&empty, "exits"), -EINVAL);
}

TEST("a trace of nothing is read back")
{
	struct queue_record rec;
	struct trace_recording back;
	const char *why;
	size_t len;
	char *text;

	ASSERT_EQ(queue_record_init(&rec, "net"), 0);
	text = write_text(&rec, &len);
	ASSERT_EQ(parse(text, &back, &why), 0);
	EXPECT_EQ(back.queues.t.n, 0);
	EXPECT(strstr(queue_note(&back.queues), "no requests"), "note");
	trace_recording_free(&back);
	free(text);
}

TEST("a file cut anywhere is refused")
{
	struct queue_record rec;
	size_t len;
	char *text;

	full_record(&rec, VIEW_PATH);
	text = write_text(&rec, &len);
	queue_record_free(&rec);
	expect_cut_refused(text, len, 397);
	free(text);
}

TEST("what cannot be is refused, with the reason")
{
	struct queue_record rec;
	size_t len;
	char *text;

	full_record(&rec, VIEW_PATH);
	text = write_text(&rec, &len);
	queue_record_free(&rec);
	expect_refused(text, "\"kvasir_trace\":1", "\"kvasir_trace\":2", "version");
	expect_refused(text, "\"kind\":\"path\"", "\"kind\":\"paths\"", "not know");
	expect_refused(text, "\"kind\":\"path\"", "\"kind\":\"pathological\"",
		       "not know");
	expect_refused(text, "\"kind\":\"path\"", "\"kind\":7", "kind");
	expect_refused(text, "\"kind\":\"path\"", "\"kind\":\"exits\"",
		       "virtual machines");
	expect_refused(text, "\"hist_bits\":40", "\"hist_bits\":41", "histograms");
	expect_refused(text, "\"cost\":{\"events\":", "\"cost\":{\"events\":-",
		       "cost");
	expect_refused(text, "\"no_guests\":true", "\"no_guests\":1", "guests");
	expect_refused(text, "\"counters_errno\":1", "\"counters_errno\":70000",
		       "counters");
	expect_refused(text, "\"queues\":[", "\"queues\":{},\"x\":[", "no queues");
	expect_refused(text, "\"queues\":[", "\"queues\":[[],", "queue");
	expect_refused(text, "\"type\":\"blk\"", "\"type\":\"scsi\"", "type");
	expect_refused(text, "\"dev\":3", "\"dev\":300", "order");
	expect_refused(text, "\"dev\":3", "\"dev\":4294967296", "queue");
	expect_refused(text, "\"requests\":", "\"requests\":-", "queue");
	expect_refused(text, "\"refused\":[", "\"refused\":[16,1,", "queue");
	expect_refused(text, "\"counters\":{", "\"counters\":[],\"x\":{", "counters");
	expect_refused(text, "\"what\":\"total\"", "\"what\":\"whole\"", "series");
	expect_refused(text, "\"what\":\"total\"", "\"what\":\"depth\"", "order");
	expect_refused(text, "\"what\":\"wake\"", "\"what\":\"doorbell\"", "order");
	expect_refused(text, "\"op\":0", "\"op\":65536", "series");
	expect_refused(text, "\"count\":", "\"count\":9", "sum up");
	expect_refused(text, "\"max\":", "\"max\":99", "maximum");
	expect_refused(text, "\"max\":", "\"max\":18446744073709551615,\"x\":",
		       "series");
	expect_refused(text, "\"buckets\":[", "\"buckets\":[1152,1,", "buckets");
	expect_refused(text, "\"buckets\":[", "\"buckets\":[1,", "buckets");
	expect_refused(text, "\"slowest\":[", "\"slowest\":[{},", "slowest");
	expect_refused(text, "\"slowest\":[", "\"slowest\":[0,0,0,0,0,0,0,0,0,",
		       "too many");
	expect_refused(text, "\"total\":400000", "\"total\":4", "order");
	expect_refused(text, "\"total\":400000", "\"total\":0", "slowest");
	expect_refused(text, "\"at\":[", "\"at\":[0,", "slowest");
	expect_refused(text, "\"at\":[", "\"at\":[-", "slowest");
	expect_refused(text, "\"slices\":[", "\"slices\":[[],", "slice");
	expect_refused(text, "\"queue\":0", "\"queue\":4", "cell");
	expect_refused(text, "\"end\":1.0", "\"end\":4.5", "order");
	free(text);
}

/* @n times @item in list @key, which @tail closes, of an otherwise empty file */
static void expect_too_many(const char *key, const char *item, size_t n,
			    const char *tail)
{
	static const char head[] =
		"{\"kvasir_trace\":1,\"kind\":\"io\",\"kernel\":\"\",\"began\":0,"
		"\"seconds\":1,\"pid\":0,\"hist_sub_bits\":5,\"hist_bits\":40,"
		"\"losses\":{},\"no_guests\":false,\"counters_errno\":0,";
	struct trace_recording back;
	const char *why;
	size_t len, i;
	char *text;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, "%s%s", head, key);
	for (i = 0; i < n; i++)
		fprintf(f, "%s%s", i ? "," : "", item);
	fputs(tail, f);
	fclose(f);
	EXPECT_EQ(parse(text, &back, &why), -EINVAL);
	EXPECT(why && strstr(why, "too many"), "%s: %s", key, why);
	trace_recording_free(&back);
	free(text);
}

TEST("more than a trace can have is refused, not stored")
{
	expect_too_many("\"queues\":[", "{}", TRACE_FILE_ROOM * QUEUES_MAX + 1, "]}");
	expect_too_many("\"queues\":[],\"slices\":[", "{}", TRACE_SLICES + 1,
			"]}");
	expect_too_many("\"queues\":[],\"slices\":[{\"end\":1,\"cells\":[", "{}",
			TRACE_CELLS + 1, "]}]}");
}

TEST("slices add up to the whole, whoever was seen first")
{
	struct queue_record rec = { .view = VIEW_PATH };
	struct trace_recording back;
	uint64_t state = 1, count = 0, sum = 0;
	struct queue_series all;
	struct queue_trace t;
	const char *why;
	size_t len, i, k;
	char *text;

	queue_sample_init(&t);
	/* The last queue comes first; the others appear before it. */
	for (i = 1; i <= 3; i++) {
		queue_sample_add(&t.queue[3], 0, 100, 1, &state);
		queue_sample_look(&rec, &t, i);
	}
	queue_sample_load(&t, 1, &state);
	queue_sample_look(&rec, &t, i);
	text = write_text(&rec, &len);
	ASSERT_EQ(parse(text, &back, &why), 0);
	ASSERT_EQ(back.queues.tl.n, 4);
	all = queue_sum(&back.queues.t.queue[3], STAGE_DONE, -1);
	for (i = 0; i < back.queues.tl.n; i++) {
		const struct trace_slice *s = &back.queues.tl.slice[i];

		for (k = 0; k < s->n_cells; k++) {
			const uint32_t *key = s->cell[k].key;

			if (key[QUEUE_CELL_NUMBER] !=
			    back.queues.t.queue[3].state.number ||
			    key[QUEUE_CELL_WHAT] != STAGE_DONE)
				continue;
			count += s->cell[k].count;
			sum += s->cell[k].total;
		}
	}
	EXPECT_EQ(count, all.n);
	EXPECT_EQ(sum, all.sum);
	trace_recording_free(&back);
	queue_record_free(&rec);
	queue_trace_free(&t);
	free(text);
}

TEST("slices of many queues are merged, not more than a reader takes")
{
	struct queue_record rec = { .view = VIEW_PATH };
	uint64_t state = 1, want = 0, count = 0;
	struct queue_trace t = { 0 };
	struct queue_trace_queue *q;
	size_t i, k;

	for (i = 0; i < 400; i++) {
		q = queue_trace_grow(&t);
		ASSERT(q, "no memory");
		q->state.number = i;
		q->dev = i;
	}
	for (k = 1; k <= TRACE_SLICES; k++) {
		for (i = 0; i < 400; i++)
			queue_sample_book(&t.queue[i], STAGE_DONE, 0, 1, 5e3, 0.1,
					  &state);
		want += 400;
		queue_sample_look(&rec, &t, k);
		ASSERT(rec.tl.n_cells <= TRACE_CELLS, "%zu cells", rec.tl.n_cells);
	}
	for (i = 0; i < rec.tl.n; i++)
		for (k = 0; k < rec.tl.slice[i].n_cells; k++)
			count += rec.tl.slice[i].cell[k].count;
	EXPECT_EQ(count, want);
	EXPECT_EQ(rec.tl.slice[rec.tl.n - 1].end, TRACE_SLICES);
	queue_record_free(&rec);
	queue_trace_free(&t);
}

TEST("count and maximum of a series that was being booked are made to fit")
{
	struct queue_series s = { .n = 3, .max = 100 };

	s.bucket[hist_index(5000)] = 2;
	s.bucket[hist_index(100)] = 2;
	queue_series_settle(&s);
	EXPECT_EQ(s.n, 4);
	EXPECT_EQ(hist_index(s.max), hist_index(5000));
	s.max = 4999;
	queue_series_settle(&s);
	EXPECT_EQ(s.max, 4999);
	memset(&s, 0, sizeof(s));
	s.max = 7;
	queue_series_settle(&s);
	EXPECT_EQ(s.max, 0);
}

/* ---- while it counts ---- */

struct fake_queues {
	struct trace_source source;
	struct trace_queues counts;
	unsigned int looks, stops;
	bool gone;		/* processes and devices, from the third look on */
};

static int queues_snapshot(struct trace_source *source, struct queue_trace *t)
{
	struct fake_queues *f = (struct fake_queues *)source;
	double seconds = t->about.seconds;
	uint64_t state = 1;
	unsigned int i;

	f->looks++;
	queue_trace_free(t);
	queue_sample_init(t);
	t->about.seconds = seconds;
	for (i = 0; i < f->looks; i++)
		queue_sample_load(t, 0.1, &state);
	for (i = 0; i < t->n; i++) {
		if (f->gone && f->looks > 2)
			*t->queue[i].comm = *t->queue[i].name = 0;
		else
			queue_sample_counter(&t->queue[i], "errors", f->looks);
	}
	queue_trace_sort(t);
	return 0;
}

static void queues_stop(struct trace_source *source)
{
	((struct fake_queues *)source)->stops++;
}

static void queues_init(struct fake_queues *f, double seconds)
{
	struct fake exits;

	fake_init(&exits, seconds);
	*f = (struct fake_queues){
		.source = exits.source, .counts.snapshot = queues_snapshot,
	};
	f->source.kind = &trace_kind_queues;
	f->source.counts = &f->counts;
	f->source.stop = queues_stop;
	ASSERT_EQ(queue_record_init(&f->counts.rec, "path"), 0);
}

static void queues_exit(struct fake_queues *f)
{
	queue_record_free(&f->counts.rec);
	queue_trace_free(&f->counts.next);
	close(f->source.sigfd);
}

static void find_errors(void *ctx, const char *reason, uint64_t n)
{
	if (!strcmp(reason, "errors"))
		*(uint64_t *)ctx = n;
}

TEST("a recording has slices, and names and counters of what is gone")
{
	char path[] = "/tmp/kvt-record-XXXXXX";
	const struct trace_job job = { .file = path };
	struct trace_recording rec;
	struct fake_queues f;
	uint64_t errors = 0;

	close(mkstemp(path));
	queues_init(&f, 1.0);
	f.gone = true;
	ASSERT_EQ(trace_run(&f.source, &job), 0);
	EXPECT_EQ(f.stops, 1);
	ASSERT_EQ(trace_file_read(path, &rec), 0);
	ASSERT(rec.of_queues, "read as exits");
	EXPECT(rec.queues.tl.n >= 5 && rec.queues.tl.n <= 12, "%zu slices",
	       rec.queues.tl.n);
	EXPECT_EQ(rec.queues.tl.slice[rec.queues.tl.n - 1].end * 1000,
		  rec.queues.t.about.seconds * 1000);
	EXPECT(!strcmp(rec.queues.t.queue[0].name, "web"), "name %s",
	       rec.queues.t.queue[0].name);
	queue_each_drop(&rec.queues.t.queue[0], find_errors, &errors);
	EXPECT_EQ(errors, 2);
	expect_same_print(&f.counts.rec, &rec.queues);
	trace_recording_free(&rec);
	queues_exit(&f);
	unlink(path);
}

TEST("Ctrl-C ends a recording that has no end, and keeps it")
{
	char path[] = "/tmp/kvt-record-XXXXXX";
	const struct trace_job job = { .file = path };
	struct trace_recording rec;
	struct fake_queues f;
	int status;
	pid_t pid;

	close(mkstemp(path));
	pid = fork();
	if (!pid) {
		queues_init(&f, 0);
		kill(getpid(), SIGINT);
		status = trace_run(&f.source, &job);
		queues_exit(&f);
		_exit(status);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	ASSERT_EQ(trace_file_read(path, &rec), 0);
	EXPECT_EQ(rec.queues.tl.n, 1);
	trace_recording_free(&rec);
	unlink(path);
}

/* Record into @path where files may not be larger than @limit. The exit status */
static int record_limited(const char *path, rlim_t limit)
{
	const struct trace_job job = { .file = path };
	const struct rlimit rl = { limit, RLIM_INFINITY };
	struct fake_queues f;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		signal(SIGXFSZ, SIG_IGN);
		queues_init(&f, 0.2);
		setrlimit(RLIMIT_FSIZE, &rl);
		status = trace_run(&f.source, &job);
		queues_exit(&f);
		_exit(status);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST("what cannot be written leaves the old file, and nothing beside it")
{
	char dir[] = "/tmp/kvt-record-XXXXXX", path[64], nowhere[64];
	struct stat st;
	int fd;

	ASSERT(mkdtemp(dir), "mkdtemp");
	sprintf(path, "%s/file", dir);
	sprintf(nowhere, "%s/none/file", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ASSERT_EQ(write(fd, "old", 3), 3);
	close(fd);
	EXPECT_EQ(record_limited(path, 4096), 1);
	ASSERT_EQ(stat(path, &st), 0);
	EXPECT_EQ(st.st_size, 3);
	EXPECT_EQ(record_limited("/dev/full", RLIM_INFINITY), 1);
	EXPECT_EQ(record_limited(nowhere, RLIM_INFINITY), 1);
	EXPECT_EQ(record_limited(path, RLIM_INFINITY), 0);
	ASSERT_EQ(stat(path, &st), 0);
	EXPECT(st.st_size > 4096, "%ld bytes", (long)st.st_size);
	unlink(path);
	EXPECT_OK(rmdir(dir));
}
