// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `kvasir trace` prints, in every format.
 *
 * Proven: names that carry quotes, markup and terminal sequences harm no
 * format; Prometheus' text has the syntax its readers want, and histograms in
 * it are cumulative and complete; folded stacks add up; tables fit into 80
 * columns; an empty trace and one of the largest numbers are printed too.
 */
#include <ctype.h>
#include <json-c/json.h>

#include "trace_sample.h"
#include "trace_text.h"
#include "../../user/cli/trace_svg.h"

/* What @t looks like in a format that goes to any stream. To be freed. */
static char *print_to(void (*fmt)(FILE *, const struct trace *),
		      const struct trace *t)
{
	size_t len;
	char *text;
	FILE *f = open_memstream(&text, &len);

	fmt(f, t);
	fclose(f);
	ASSERT_EQ(strlen(text), len);
	return text;
}

/* What trace_print() prints. To be freed. */
static char *print(const struct trace *t, const struct trace_timeline *tl,
		   enum trace_format format)
{
	const struct trace_style style = { .format = format };
	FILE *before = stdout;
	size_t len;
	char *text;

	stdout = open_memstream(&text, &len);
	EXPECT_EQ(trace_print(t, tl, &style), 0);
	fclose(stdout);
	stdout = before;
	ASSERT_EQ(strlen(text), len);
	return text;
}

/* A sample with two VMs, the second with hostile names. */
static void sample(struct trace_record *rec)
{
	sample_record(rec, 12, 6, 0.5, 42);
}

/* ---- Prometheus: the grammar, as its documentation gives it ---- */

static bool is_name(const char **s)
{
	const char *p = *s;

	if (!isalpha((unsigned char)*p) && *p != '_')
		return false;
	while (isalnum((unsigned char)*p) || *p == '_' || *p == ':')
		p++;
	*s = p;
	return true;
}

/* {name="value",...}, or nothing; all escapes are \\, \" or \n */
static bool is_labels(const char **s)
{
	const char *p = *s;

	if (*p != '{')
		return true;
	do {
		p++;
		if (!is_name(&p) || strncmp(p, "=\"", 2))
			return false;
		for (p += 2; *p && *p != '"'; p++) {
			if (*p == '\\' && !strchr("\\\"n", *++p))
				return false;
			if (*p == '\n' || !*p)
				return false;
		}
		if (*p++ != '"')
			return false;
	} while (*p == ',');
	if (*p++ != '}')
		return false;
	*s = p;
	return true;
}

/* One line. @value: what it says, of a sample */
static bool is_sample(const char *line, double *value)
{
	char *end;

	if (!is_name(&line) || !is_labels(&line) || *line++ != ' ')
		return false;
	*value = strtod(line, &end);
	return end != line && !*end;
}

struct prom {
	char type[64];		/* of the family under way */
	char last[4096];	/* bucket seen last, up to its le */
	double bucket, le;
	double exits, in_histograms, seconds, parts;
	unsigned int families, inf;
};

static void prom_bucket(struct prom *p, const char *line, double value)
{
	const char *at = strstr(line, ",le=\"");
	double le;
	size_t len;

	ASSERT(at, "bucket without le: %s", line);
	len = at - line;
	le = strtod(at + 5, NULL);
	if (strlen(p->last) == len && !strncmp(p->last, line, len)) {
		EXPECT(le > p->le && value >= p->bucket, "not cumulative: %s", line);
	} else {
		EXPECT(isinf(p->le) || !*p->last, "no +Inf before: %s", line);
		ASSERT(len < sizeof(p->last), "long labels");
		snprintf(p->last, sizeof(p->last), "%.*s", (int)len, line);
	}
	p->bucket = value;
	p->le = le;
	p->inf += isinf(le);
}

static void prom_line(struct prom *p, const char *line)
{
	char name[64], word[16];
	double value;

	if (sscanf(line, "# TYPE %63s %15s", name, word) == 2) {
		strcpy(p->type, name);
		p->families++;
		return;
	}
	if (!strncmp(line, "# HELP ", 7))
		return;
	ASSERT(is_sample(line, &value), "bad syntax: %s", line);
	EXPECT(!strncmp(line, p->type, strlen(p->type)),
	       "outside of its family: %s", line);
	if (!strncmp(line, "kvasir_exit_seconds_bucket", 26))
		prom_bucket(p, line, value);
	if (!strncmp(line, "kvasir_exit_seconds_count", 25)) {
		EXPECT_EQ(value, p->bucket);
		p->in_histograms += value;
	}
	if (!strncmp(line, "kvasir_exit_seconds_sum", 23))
		p->seconds += value;
	if (!strncmp(line, "kvasir_exit_part_seconds_total", 30))
		p->parts += value;
	if (!strncmp(line, "kvasir_exits_total", 18))
		p->exits += value;
}

static struct prom prom_check(const struct trace *t)
{
	char *text = print_to(trace_fmt_prometheus, t), *line, *next;
	struct prom p = { .le = INFINITY };

	expect_ascii(text);
	EXPECT(*text && text[strlen(text) - 1] == '\n', "no newline at the end");
	for (line = text; (next = strchr(line, '\n')); line = next + 1) {
		*next = 0;
		prom_line(&p, line);
	}
	free(text);
	return p;
}

TEST("T-05 Prometheus text has the right syntax, and adds up")
{
	struct trace_record rec;
	double exits = 0;
	struct prom p;
	size_t i;

	sample(&rec);
	p = prom_check(&rec.t);
	for (i = 0; i < rec.t.n_vms; i++)
		exits += trace_sum(&rec.t.vm[i].rows).exits;
	EXPECT_EQ(p.exits, exits);
	EXPECT_EQ(p.in_histograms, exits);	/* none is untimed */
	EXPECT_EQ(p.families, 6);
	EXPECT(fabs(p.parts - p.seconds) < 1e-6, "parts %f of %f", p.parts,
	       p.seconds);
	EXPECT_EQ(p.inf, 7);	/* six rows and classes, and one */
	trace_record_free(&rec);
}

TEST("bounds of the Prometheus histogram are exact")
{
	struct exits_series s = { 0 };
	struct trace t;
	char *text;

	sample_init(&t);
	s.timed = 2;
	s.bucket[hist_index(1023)] = 1;
	s.bucket[hist_index(1024)] = 1;
	s.total_ns = 2047;
	s.max_ns = 1024;
	ASSERT_EQ(trace_book(&t.vm[0], &t.vm[0].vcpu[0], EXITS_ISA_SVM, SAMPLE_IO,
			     false, &s), 0);
	text = print_to(trace_fmt_prometheus, &t);
	EXPECT(strstr(text, "le=\"1.023e-06\"} 1\n"), "1023 ns: %s", text);
	EXPECT(strstr(text, "le=\"2.047e-06\"} 2\n"), "2047 ns: %s", text);
	EXPECT(strstr(text, "_sum{vm=\"web\",comm=\"qemu-system-x86\",pid=\"1234\","
			    "reason=\"io\",isa=\"SVM\",by=\"kernel\"} 0.000002047\n"),
	       "sum: %s", text);
	free(text);
	trace_free(&t);
}

TEST("two VMs of one process have labels of their own")
{
	struct trace_record rec;
	char *text;

	sample(&rec);
	rec.t.vm[1].pid = rec.t.vm[0].pid;
	strcpy(rec.t.vm[1].comm, rec.t.vm[0].comm);
	strcpy(rec.t.vm[1].name, rec.t.vm[0].name);
	text = print_to(trace_fmt_prometheus, &rec.t);
	EXPECT(strstr(text, "pid=\"1234\",nth=\"2\",vcpu=\"0\",reason=\"msr\""),
	       "no nth: %s", text);
	free(text);
	trace_record_free(&rec);
}

TEST("T-05 folded stacks: four frames, a number, and the sum of all time")
{
	struct trace_record rec;
	struct trace_total total;
	uint64_t want = 0;
	char *text;
	size_t i;

	sample(&rec);
	text = print_to(trace_fmt_folded, &rec.t);
	for (i = 0; i < rec.t.n_vms; i++) {
		total = trace_sum(&rec.t.vm[i].rows);
		want += total.busy_ns + total.idle_ns;
	}
	EXPECT_EQ(folded_sum(text, 4, 4), want);
	free(text);
	trace_record_free(&rec);
}

TEST("T-05 the page holds no foreign markup and fetches nothing")
{
	struct trace_record rec;
	char *text;

	sample(&rec);
	text = print(&rec.t, &rec.tl, TRACE_HTML);
	expect_page(text);
	EXPECT(strstr(text, "handling: KVM") && strstr(text, "idle: KVM"),
	       "no parts of the time");
	EXPECT(strstr(text, "class=\"h\""), "no heat map");
	EXPECT(strstr(text, "class=\"u\"") && strstr(text, "class=\"k\""),
	       "no histogram");
	free(text);
	trace_record_free(&rec);
}

static size_t longest_line(const char *text)
{
	size_t most = 0, len;

	for (; *text; text += len + !!text[len]) {
		len = strcspn(text, "\n");
		if (len > most)
			most = len;
	}
	return most;
}

TEST("T-05 tables fit into 80 columns, and are text")
{
	struct trace_record rec;
	char *text;

	unsetenv("COLUMNS");
	sample(&rec);
	strcpy(rec.t.vm[1].name, "short");
	text = print(&rec.t, &rec.tl, TRACE_TABLE);
	expect_ascii(text);
	EXPECT(longest_line(text) <= 80, "%zu columns: %s", longest_line(text),
	       text);
	EXPECT(strstr(text, "P99.9"), "no P99.9: %s", text);
	free(text);
	setenv("COLUMNS", "200", 1);
	text = print(&rec.t, &rec.tl, TRACE_TABLE);
	EXPECT(strstr(text, "EXIT/S") && strstr(text, "P90"), "columns: %s", text);
	free(text);
	trace_record_free(&rec);
}

TEST("T-05 JSON parses, and says what the table says")
{
	struct trace_record rec;
	struct json_object *root, *vms, *vm, *name;
	char *text;

	sample(&rec);
	text = print(&rec.t, &rec.tl, TRACE_JSON);
	expect_ascii(text);
	root = json_tokener_parse(text);
	ASSERT(root, "not JSON: %s", text);
	vms = json_object_object_get(root, "vms");
	ASSERT_EQ(json_object_array_length(vms), 2);
	vm = json_object_array_get_idx(vms, 1);
	name = json_object_object_get(vm, "name");
	EXPECT(strstr(json_object_get_string(name), "a;b\"c"), "name %s",
	       json_object_get_string(name));
	json_object_put(root);
	free(text);
	trace_record_free(&rec);
}

TEST("a trace of nothing is printed in every format")
{
	struct trace_timeline *tl = calloc(1, sizeof(*tl));
	struct trace t = { .seconds = 1 };
	int format;
	char *text;

	for (format = TRACE_TABLE; format <= TRACE_HTML; format++) {
		text = print(&t, tl, format);
		EXPECT(format == TRACE_FOLDED || *text, "format %d", format);
		free(text);
	}
	prom_check(&t);
	free(tl);
}

TEST("the largest numbers are printed in every format")
{
	struct trace_record *rec = calloc(1, sizeof(*rec));
	struct trace look;
	int format;
	char *text;

	sample_huge(&look);
	ASSERT_EQ(trace_record_add(rec, &look), 0);
	trace_free(&look);
	for (format = TRACE_TABLE; format <= TRACE_HTML; format++) {
		text = print(&rec->t, &rec->tl, format);
		expect_ascii(text);
		EXPECT(!strstr(text, "nan"), "nan in format %d: %s", format, text);
		free(text);
	}
	prom_check(&rec->t);
	trace_record_free(rec);
	free(rec);
}

TEST("figures: in order, exact where they can be, zero for nothing")
{
	struct exits_series s = { 0 };
	struct trace_figures f = trace_figures(&s);
	uint64_t state = kvt_seed() | 1;
	char buf[TRACE_DURATION_MAX];
	uint64_t v;

	EXPECT_EQ(f.count | f.min | f.mean | f.p50 | f.max, 0);
	sample_fill(&s, 5000, 20e3, 1, &state);
	s.untimed = 7;
	f = trace_figures(&s);
	EXPECT_EQ(f.count, 5007);
	EXPECT_EQ(f.mean, s.total_ns / 5000);
	EXPECT(f.min && f.min <= f.p50 && f.p50 <= f.p90 && f.p90 <= f.p99 &&
	       f.p99 <= f.p999 && f.p999 <= f.max, "not in order");
	for (v = 1; v; v <<= 1)
		EXPECT(strlen(trace_duration(buf, v - 1)) <= 12 ||
		       v > 1ULL << 50, "%s", buf);
}

/* One more value of @s. */
static void count_one(struct exits_series *s, uint64_t ns)
{
	s->bucket[hist_index(ns)]++;
	s->min_ns = s->timed && s->min_ns < ns ? s->min_ns : ns;
	s->max_ns = s->max_ns > ns ? s->max_ns : ns;
	s->total_ns += ns;
	s->timed++;
}

TEST("figures: no percentile is below the minimum, no minimum above the maximum")
{
	static const uint64_t mid = 1048576 + 16384;	/* of a bucket */
	struct exits_series before = { 0 }, now = { 0 }, gain;
	struct trace_figures f;

	ASSERT_EQ(hist_middle(hist_index(mid)), mid);
	count_one(&now, mid + 5000);
	count_one(&now, mid + 6000);
	f = trace_figures(&now);
	EXPECT_EQ(f.p50, mid + 5000);
	EXPECT_EQ(f.p999, mid + 5000);
	/* All that was gained is a new minimum, or a new maximum. */
	before = (struct exits_series){ 0 };
	count_one(&before, 9 * mid);
	now = before;
	count_one(&now, mid + 5000);
	trace_series_since(&now, &before, &gain);
	f = trace_figures(&gain);
	EXPECT_EQ(f.min, mid + 5000);
	EXPECT_EQ(f.p50, mid + 5000);
	EXPECT_EQ(f.max, mid + 5000);
	before = (struct exits_series){ 0 };
	count_one(&before, 1000);
	now = before;
	count_one(&now, mid - 5000);
	trace_series_since(&now, &before, &gain);
	f = trace_figures(&gain);
	EXPECT_EQ(f.min, mid - 5000);
	EXPECT_EQ(f.p50, mid - 5000);
	EXPECT_EQ(f.max, mid - 5000);
	/* Nothing was gained. */
	trace_series_since(&now, &now, &gain);
	EXPECT_EQ(trace_figures(&gain).p50, 0);
}

TEST("slices: what was gained, and no less when there are many")
{
	struct trace_record *rec = calloc(1, sizeof(*rec));
	const struct trace_timeline *tl = &rec->tl;
	uint64_t state, heat = 0, count = 0;
	struct trace now;
	size_t i, k, band;
	unsigned int looks = 2 * TRACE_SLICES + 10;

	for (i = 1; i <= looks; i++) {
		sample_init(&now);
		state = 1;
		sample_book(&now.vm[0], 0, SAMPLE_IO, false, i, 5e3, &state);
		/* The first was read between the bucket and the count. */
		if (i == 1)
			now.vm[0].rows.row[0].by[0].timed = 0;
		now.seconds = i;
		ASSERT_EQ(trace_record_add(rec, &now), 0);
		trace_free(&now);
	}
	EXPECT(tl->n <= TRACE_SLICES, "%zu slices", tl->n);
	EXPECT_EQ(tl->slice[tl->n - 1].end, looks);
	for (i = 0; i < tl->n; i++) {
		EXPECT(!i || tl->slice[i].end > tl->slice[i - 1].end, "order");
		for (k = 0; k < tl->slice[i].n_cells; k++) {
			count += tl->slice[i].cell[k].count;
			for (band = 0; band < TRACE_HEAT; band++)
				heat += tl->slice[i].cell[k].heat[band];
		}
	}
	EXPECT_EQ(count, looks);
	EXPECT_EQ(heat, looks);
	trace_record_free(rec);
	free(rec);
}

TEST("of a KVM that reports exits nothing else is said before the first has ended")
{
	struct trace_return ret = { 0, 1 };
	struct trace_vcpu vcpu = { 0 };
	struct trace_vm vm = { .ret = &ret, .n_rets = 1, .vcpu = &vcpu };
	struct trace t = { .vm = &vm, .n_vms = 1 };

	EXPECT(strstr(trace_note(&t), "does not report exits"), "%s", trace_note(&t));
	vm.n_vcpus = 1;
	EXPECT(!trace_note(&t), "%s", trace_note(&t));
	vm.n_rets = 0;
	EXPECT(!trace_note(&t), "%s", trace_note(&t));
	vm.n_vcpus = 0;
	EXPECT(strstr(trace_note(&t), "no guest ran"), "%s", trace_note(&t));
}

/* Seconds that the label at the end of a heat map's axis says; 0: not fixed. */
static double axis_end(const char *page)
{
	static const struct { const char *name; double seconds; } units[] = {
		{ " s</text>\n", 1 }, { " min</text>\n", 60 }, { " h</text>\n", 3600 },
	};
	const char *s = strstr(page, "exits by latency and time");
	char *end;
	double v;
	size_t i;

	/* Along y, labels are of one word. */
	for (; s && (s = strstr(s, "text-anchor=\"end\">")); s++) {
		s = strchr(s, '>') + 1;
		v = strtod(s, &end);
		for (i = 0; i < 3; i++)
			if (!strncmp(end, units[i].name, strlen(units[i].name)))
				return memchr(s, 'e', end - s) ? 0 :
				       v * units[i].seconds;
	}
	return 0;
}

TEST("the axis of time says how long it was, in fixed notation")
{
	static const double lengths[] = {
		0.0004, 0.25, 6, 119, 121, 3600, 7199, 7200, 86400, 1e7, 123456789,
	};
	struct trace_record rec;
	char *text;
	double says;
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		sample_record(&rec, 4, lengths[i], 0.1, 42);
		text = print(&rec.t, &rec.tl, TRACE_HTML);
		says = axis_end(text);
		EXPECT(fabs(says - lengths[i]) < 0.01 * lengths[i],
		       "%g s: the axis ends at %g", lengths[i], says);
		free(text);
		trace_record_free(&rec);
	}
}
