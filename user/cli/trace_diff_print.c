// SPDX-License-Identifier: GPL-2.0-only
/* What changed, as tables for people or as JSON; see trace_diff.h. */
#include <inttypes.h>

#include <json-c/json.h>

#include "output.h"
#include "trace_diff.h"

static const char *const test_name[DIFF_TESTS] = { "rate", "shift", "tail" };

/* Larger values of times are called slower. */
static const char *shift_word(const struct diff_row *r)
{
	if (r->unit == TRACE_UNIT_TIME)
		return r->slower > 0.5 ? "slower" : "faster";
	return r->slower > 0.5 ? "larger" : "smaller";
}

/* One word or two for people: what became of this row? */
static void put_verdict(struct table *table, const struct diff_row *r)
{
	const char *rate = "", *shift = "", *tail = "";

	if (r->changed[DIFF_RATE])
		rate = !r->s[0].count ? "new" : !r->s[1].count ? "gone" :
		       r->rate[1] > r->rate[0] ? "more" : "fewer";
	if (r->changed[DIFF_SHIFT])
		shift = shift_word(r);
	if (r->changed[DIFF_TAIL])
		tail = r->tail[1] > r->tail[0] ? "longer tail" : "shorter tail";
	if (!*rate && !*shift && !*tail)
		table_cell(table, "same");
	else
		table_cell(table, "%s%s%s%s%s", rate, *rate && *shift ? ", " : "",
			   shift, (*rate || *shift) && *tail ? ", " : "", tail);
}

static void put_change(struct table *table, double a, double b)
{
	if (!(a > 0))
		table_cell(table, "-");
	else if (b > 11 * a)
		table_cell(table, "x%.3g", b / a);
	else
		table_cell(table, "%+.1f%%", 100 * (b / a - 1));
}

enum column {
	COL_NAME, COL_BY, COL_RATE_A, COL_RATE_B, COL_RATE, COL_P50_A,
	COL_P50_B, COL_P50, COL_P99_A, COL_P99_B, COL_P99, COL_WHAT, COLS,
};

static uint64_t quantile(const struct diff_series *s, uint32_t permille)
{
	return s->bucket ? hist_quantile(s->bucket, s->values, permille, s->max) : 0;
}

/* Less than one per second counts; more than there can be fits, too. */
static void put_rate(struct table *table, double rate)
{
	char text[8];

	if (rate < 999.5 || rate > 1e18) {
		table_cell(table, "%.3g", rate);
		return;
	}
	out_count(text, sizeof(text), (uint64_t)rate);
	table_cell(table, "%s", text);
}

static void put_rates(struct table *table, const struct diff_row *r)
{
	int run;

	for (run = 0; run < 2; run++) {
		if (r->ask & 1U << DIFF_RATE)
			put_rate(table, r->rate[run]);
		else
			table_cell(table, "-");
	}
	put_change(table, r->rate[0], r->rate[1]);
}

static void put_quantile(struct table *table, const struct diff_row *r,
			 uint32_t permille)
{
	uint64_t v[2] = {
		quantile(&r->s[0], permille), quantile(&r->s[1], permille),
	};
	char text[TRACE_VALUE_MAX];
	int run;

	for (run = 0; run < 2; run++)
		table_cell(table, "%s", trace_value(text, r->unit, v[run]));
	put_change(table, v[0], v[1]);
}

static void put_row(struct table *table, const struct diff_row *r)
{
	table_cell(table, "%s%s", r->name, r->idle ? " *" : "");
	table_cell(table, "%s", *r->by ? r->by : "-");
	put_rates(table, r);
	put_quantile(table, r, 500);
	put_quantile(table, r, 990);
	put_verdict(table, r);
}

static bool any_change(const struct diff_row *r)
{
	return r->changed[DIFF_RATE] || r->changed[DIFF_SHIFT] ||
	       r->changed[DIFF_TAIL];
}

/* Has one of @n rows something to show? */
static bool any_shown(const struct diff_row *row, size_t n, bool all)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (all || any_change(&row[i]))
			return true;
	return false;
}

static size_t series_of(const struct diff_group *g)
{
	return g->n_rows - g->n_drops;
}

static const struct diff_row *drops_of(const struct diff_group *g)
{
	return g->row + series_of(g);
}

static void print_head(const struct trace_diff *d, const struct diff_group *g)
{
	int first = g->at[0] == DIFF_NONE;
	char label[TRACE_LABEL_MAX];

	printf("== %s", d->kind->label(label, d->run[first].record, g->at[first]));
	if (!first && g->at[1] != DIFF_NONE)
		printf(" -> %s", d->kind->label(label, d->run[1].record, g->at[1]));
	else
		printf(": only in %c", first ? 'B' : 'A');
	putchar('\n');
}

static int print_rows(const struct trace_diff *d, const struct diff_group *g,
		      bool all, bool wide)
{
	char rate[2][16];
	const char *const heads[COLS] = {
		d->kind->heads[0], d->kind->heads[1], rate[0], rate[1], ">RATE",
		">A P50", ">B P50", ">P50", ">A P99", ">B P99", ">P99", "B IS",
	};
	static const unsigned char expendable[] = {
		COL_P99_A, COL_P99_B, COL_P50_A, COL_P50_B, COL_RATE_A,
		COL_RATE_B,
	};
	struct table *table;
	size_t i;

	for (i = 0; i < 2; i++)
		snprintf(rate[i], sizeof(rate[i]), ">%c %s", i ? 'B' : 'A',
			 d->kind->rate);
	table = table_create(COLS, heads);
	for (i = 0; i < series_of(g); i++)
		if (all || any_change(&g->row[i]))
			put_row(table, &g->row[i]);
	if (!wide)
		table_fit(table, out_width(), expendable, sizeof(expendable));
	return table_print(table);
}

static void put_drop(struct table *table, const struct diff_row *r)
{
	char text[8];
	int run;

	table_cell(table, "%s", r->name);
	for (run = 0; run < 2; run++) {
		out_count(text, sizeof(text), r->s[run].count);
		table_cell(table, "%s", text);
	}
	put_rates(table, r);
	put_verdict(table, r);
}

static int print_drops(const struct diff_group *g, bool all)
{
	static const char *const heads[] = {
		"DROP", ">A N", ">B N", ">A N/S", ">B N/S", ">RATE", "B IS",
	};
	struct table *table = table_create(sizeof(heads) / sizeof(heads[0]), heads);
	const struct diff_row *drop = drops_of(g);
	size_t i;

	for (i = 0; i < g->n_drops; i++)
		if (all || any_change(&drop[i]))
			put_drop(table, &drop[i]);
	return table_print(table);
}

static int print_group(const struct trace_diff *d, const struct diff_group *g,
		       bool all, bool wide)
{
	int ret = 0;

	print_head(d, g);
	if (any_shown(g->row, series_of(g), all))
		ret = print_rows(d, g, all, wide);
	else
		printf("no change in %zu %s\n", series_of(g), d->kind->rows);
	if (!ret && any_shown(drops_of(g), g->n_drops, all))
		ret = print_drops(g, all);
	else if (g->n_drops)
		printf("no change in drops\n");
	putchar('\n');
	return ret;
}

/* Which runs have something, for people. */
static const char *runs(const bool has[2])
{
	return has[0] && has[1] ? "A and B" : has[0] ? "A" : "B";
}

static void print_notes(const struct trace_diff *d)
{
	size_t drops = 0, i;

	for (i = 0; i < d->n; i++)
		drops += d->group[i].n_drops;
	if (d->poisson)
		printf("note: too short to see bursts: %s are taken to be independent\n",
		       d->kind->events);
	if (drops)
		printf("note: when each drop was is not recorded: they are taken to be independent\n");
	if (d->uncounted[0] || d->uncounted[1])
		printf("note: %s without the module's counters: of drops, only chains refused are compared\n",
		       runs(d->uncounted));
}

/* What each run did not see, and what follows for all of the above. */
static void print_losses(const struct trace_diff *d)
{
	const struct trace_loss_key *l;
	bool lost[2] = { false, false };
	uint64_t n;
	int run;

	for (run = 0; run < 2; run++) {
		for (l = d->run[run].losses; l->key; l++) {
			n = *trace_lost(l, d->run[run].trace);
			if (!n)
				continue;
			printf("lost in %c: %" PRIu64 " %s\n", "AB"[run], n, l->text);
			lost[run] = true;
		}
	}
	if (lost[0] || lost[1])
		printf("warning: counts or percentiles of %s miss what was lost\n",
		       runs(lost));
}

int trace_diff_table(const struct trace_diff *d, bool all, bool wide)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < d->n && !ret; i++)
		ret = print_group(d, &d->group[i], all, wide);
	if (!d->n)
		printf("no %s in either\n", d->kind->events);
	print_notes(d);
	print_losses(d);
	return ret ? ret : out_done();
}

/* "p50_ns" of times; "p50" of all else. */
static void put_value(struct json *j, struct json_object *o,
		      const struct diff_row *r, const char *key, uint64_t v)
{
	char name[16];

	snprintf(name, sizeof(name), "%s%s", key,
		 r->unit == TRACE_UNIT_TIME ? "_ns" : "");
	json_put_u64(j, o, name, v);
}

static struct json_object *json_side(struct json *j, const struct diff_row *r,
				     int run)
{
	const struct diff_series *s = &r->s[run];
	struct json_object *o = json_new(j);

	json_put_u64(j, o, "count", s->count);
	json_put_double(j, o, "rate", r->rate[run]);
	put_value(j, o, r, "mean", s->values ? s->sum / s->values : 0);
	put_value(j, o, r, "p50", quantile(s, 500));
	put_value(j, o, r, "p90", quantile(s, 900));
	put_value(j, o, r, "p99", quantile(s, 990));
	put_value(j, o, r, "p999", quantile(s, 999));
	put_value(j, o, r, "max", s->max);
	json_put_double(j, o, "tail", r->tail[run]);
	return o;
}

/* What the tests say of a row. */
static void json_verdict(struct json *j, struct json_object *o,
			 const struct diff_row *r)
{
	struct json_object *p = json_new(j), *changed = json_new_list(j);
	int i;

	for (i = 0; i < DIFF_TESTS; i++) {
		if (r->p[i] >= 0)
			json_put_double(j, p, test_name[i], r->p[i]);
		if (r->changed[i])
			json_put_item(j, changed,
				      json_object_new_string(test_name[i]));
	}
	json_put(j, o, "p", p);
	json_put(j, o, "changed", changed);
}

static struct json_object *json_row(struct json *j, const struct trace_diff *d,
				    const struct diff_row *r)
{
	struct json_object *o = json_new(j);

	d->kind->json_row(j, o, r);
	json_put(j, o, "a", json_side(j, r, 0));
	json_put(j, o, "b", json_side(j, r, 1));
	json_put_double(j, o, "slower", r->slower);
	json_verdict(j, o, r);
	return o;
}

static struct json_object *json_drop(struct json *j, const struct diff_row *r)
{
	struct json_object *o = json_new(j), *side;
	int run;

	json_put_str(j, o, "reason", r->name);
	for (run = 0; run < 2; run++) {
		side = json_new(j);
		json_put_u64(j, side, "count", r->s[run].count);
		json_put_double(j, side, "rate", r->rate[run]);
		json_put(j, o, run ? "b" : "a", side);
	}
	json_verdict(j, o, r);
	return o;
}

static struct json_object *json_group(struct json *j, const struct trace_diff *d,
				      const struct diff_group *g)
{
	struct json_object *o = json_new(j), *list = json_new_list(j), *side;
	size_t series = series_of(g), i;
	int run;

	for (run = 0; run < 2; run++) {
		if (g->at[run] == DIFF_NONE)
			continue;
		side = json_new(j);
		d->kind->json_group(j, side, d->run[run].record, g->at[run]);
		json_put(j, o, run ? "b" : "a", side);
	}
	for (i = 0; i < series && !j->failed; i++)
		json_put_item(j, list, json_row(j, d, &g->row[i]));
	json_put(j, o, d->kind->rows, list);
	if (!d->drops)
		return o;
	list = json_new_list(j);
	for (i = series; i < g->n_rows && !j->failed; i++)
		json_put_item(j, list, json_drop(j, &g->row[i]));
	json_put(j, o, "drops", list);
	return o;
}

static struct json_object *json_losses(struct json *j, const struct trace_diff *d)
{
	struct json_object *o = json_new(j), *side;
	const struct trace_loss_key *l;
	int run;

	for (run = 0; run < 2; run++) {
		side = json_new(j);
		for (l = d->run[run].losses; l->key; l++)
			json_put_u64(j, side, l->key,
				     *trace_lost(l, d->run[run].trace));
		json_put(j, o, run ? "b" : "a", side);
	}
	return o;
}

int trace_diff_json(const struct trace_diff *d)
{
	struct json j = { false };
	struct json_object *root = json_new(&j), *list = json_new_list(&j);
	size_t i;

	json_put_bool(&j, root, "poisson", d->poisson);
	for (i = 0; i < d->n; i++)
		json_put_item(&j, list, json_group(&j, d, &d->group[i]));
	json_put(&j, root, d->kind->groups, list);
	json_put(&j, root, "losses", json_losses(&j, d));
	return out_json(json_done(&j, root));
}
