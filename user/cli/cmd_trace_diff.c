// SPDX-License-Identifier: GPL-2.0-only
/* kvasir trace diff: what changed between two recordings. */
#include <inttypes.h>
#include <string.h>

#include <json-c/json.h>

#include "cli.h"
#include "exit_names.h"
#include "json_put.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_diff.h"

static const char *const test_name[DIFF_TESTS] = { "rate", "shift", "tail" };

struct options {
	bool json, all, wide;
};

static int parse(int argc, char **argv, struct options *o, int *first)
{
	const struct opt opts[] = {
		{ .name = "json", .kind = OPT_FLAG, .dst = &o->json,
		  .help = "JSON instead of tables, with all reasons" },
		{ .name = "all", .letter = 'a', .kind = OPT_FLAG, .dst = &o->all,
		  .help = "also the reasons that did not change" },
		{ .name = "wide", .letter = 'w', .kind = OPT_FLAG,
		  .dst = &o->wide,
		  .help = "all columns, even if that is wider than the screen" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "trace diff",
		.operands = "A B",
		.min_operands = 2,
		.max_operands = 2,
		.about = "Compare two files of 'kvasir trace record', per VM and reason. A change is\n"
			 "shown if chance does not explain it (p < 0.01, corrected for the number of\n"
			 "comparisons) and it is larger than 5 %.",
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   4 no such file   5 no recording, or damaged\n",
	};

	return opts_parse(&usage, argc, argv, first);
}

/* One word or two for people: what became of this reason? */
static void put_verdict(struct table *table, const struct diff_row *r)
{
	const char *rate = "", *shift = "", *tail = "";

	if (r->changed[DIFF_RATE])
		rate = !r->s[0] ? "new" : !r->s[1] ? "gone" :
		       r->rate[1] > r->rate[0] ? "more" : "fewer";
	if (r->changed[DIFF_SHIFT])
		shift = r->slower > 0.5 ? "slower" : "faster";
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
	COL_REASON, COL_BY, COL_RATE_A, COL_RATE_B, COL_RATE, COL_P50_A,
	COL_P50_B, COL_P50, COL_P99_A, COL_P99_B, COL_P99, COL_WHAT, COLS,
};

static void put_row(struct table *table, const struct diff_row *r)
{
	struct trace_figures f[2] = { { 0 } };
	char name[EXIT_NAME_MAX], text[TRACE_DURATION_MAX];
	int run;

	for (run = 0; run < 2; run++)
		if (r->s[run])
			f[run] = trace_figures(r->s[run]);
	table_cell(table, "%s%s", exit_reason_name(r->isa, r->reason, name),
		   exit_is_idle(r->isa, r->reason) ? " *" : "");
	table_cell(table, "%s", trace_class_name[r->user]);
	for (run = 0; run < 2; run++) {
		out_count(text, sizeof(text), (uint64_t)r->rate[run]);
		table_cell(table, "%s", text);
	}
	put_change(table, r->rate[0], r->rate[1]);
	for (run = 0; run < 2; run++)
		table_cell(table, "%s", trace_duration(text, f[run].p50));
	put_change(table, f[0].p50, f[1].p50);
	for (run = 0; run < 2; run++)
		table_cell(table, "%s", trace_duration(text, f[run].p99));
	put_change(table, f[0].p99, f[1].p99);
	put_verdict(table, r);
}

static bool any_change(const struct diff_row *r)
{
	return r->changed[DIFF_RATE] || r->changed[DIFF_SHIFT] ||
	       r->changed[DIFF_TAIL];
}

static void print_head(const struct diff_vm *v)
{
	char label[TRACE_LABEL_MAX];

	printf("== %s", trace_vm_label(label, v->vm[0] ? v->vm[0] : v->vm[1]));
	if (v->vm[0] && v->vm[1])
		printf(" -> %s", trace_vm_label(label, v->vm[1]));
	else
		printf(": only in %c", v->vm[0] ? 'A' : 'B');
	putchar('\n');
}

static int print_vm(const struct diff_vm *v, const struct options *o)
{
	static const char *const heads[COLS] = {
		"REASON", "BY", ">A EXIT/S", ">B EXIT/S", ">RATE", ">A P50",
		">B P50", ">P50", ">A P99", ">B P99", ">P99", "B IS",
	};
	static const unsigned char expendable[] = {
		COL_P99_A, COL_P99_B, COL_P50_A, COL_P50_B, COL_RATE_A,
		COL_RATE_B,
	};
	size_t i, shown = 0;
	struct table *table;
	int ret = 0;

	print_head(v);
	for (i = 0; i < v->n_rows; i++)
		shown += o->all || any_change(&v->row[i]);
	if (shown) {
		table = table_create(COLS, heads);
		for (i = 0; i < v->n_rows; i++)
			if (o->all || any_change(&v->row[i]))
				put_row(table, &v->row[i]);
		if (!o->wide)
			table_fit(table, out_width(), expendable,
				  sizeof(expendable));
		ret = table_print(table);
	} else {
		printf("no change in %zu reasons\n", v->n_rows);
	}
	putchar('\n');
	return ret;
}

static int print_tables(const struct trace_diff *d, const struct options *o)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < d->n_vms && !ret; i++)
		ret = print_vm(&d->vm[i], o);
	if (!d->n_vms)
		printf("no exits in either\n");
	if (d->poisson)
		printf("note: too short to see bursts: exits are taken to be independent\n");
	return ret ? ret : out_done();
}

static struct json_object *json_side(struct json *j, const struct diff_row *r,
				     int run)
{
	struct json_object *o = json_new(j);
	struct trace_figures f = { 0 };

	if (r->s[run])
		f = trace_figures(r->s[run]);
	json_put_u64(j, o, "count", f.count);
	json_put_double(j, o, "rate", r->rate[run]);
	json_put_u64(j, o, "mean_ns", f.mean);
	json_put_u64(j, o, "p50_ns", f.p50);
	json_put_u64(j, o, "p90_ns", f.p90);
	json_put_u64(j, o, "p99_ns", f.p99);
	json_put_u64(j, o, "p999_ns", f.p999);
	json_put_u64(j, o, "max_ns", f.max);
	json_put_double(j, o, "tail", r->tail[run]);
	return o;
}

static struct json_object *json_row(struct json *j, const struct diff_row *r)
{
	struct json_object *o = json_new(j), *p = json_new(j);
	struct json_object *changed = json_new_list(j);
	char name[EXIT_NAME_MAX];
	int i;

	json_put_str(j, o, "reason", exit_reason_name(r->isa, r->reason, name));
	json_put_u64(j, o, "code", r->reason);
	json_put_str(j, o, "isa", exit_isa_name(r->isa));
	json_put_str(j, o, "by", trace_class_name[r->user]);
	json_put_bool(j, o, "idle", exit_is_idle(r->isa, r->reason));
	json_put(j, o, "a", json_side(j, r, 0));
	json_put(j, o, "b", json_side(j, r, 1));
	json_put_double(j, o, "slower", r->slower);
	for (i = 0; i < DIFF_TESTS; i++) {
		if (r->p[i] >= 0)
			json_put_double(j, p, test_name[i], r->p[i]);
		if (r->changed[i])
			json_put_item(j, changed,
				      json_object_new_string(test_name[i]));
	}
	json_put(j, o, "p", p);
	json_put(j, o, "changed", changed);
	return o;
}

static struct json_object *json_vm(struct json *j, const struct diff_vm *v)
{
	struct json_object *o = json_new(j), *list = json_new_list(j), *side;
	size_t i;
	int run;

	for (run = 0; run < 2; run++) {
		if (!v->vm[run])
			continue;
		side = json_new(j);
		json_put_u64(j, side, "pid", v->vm[run]->pid);
		json_put_str(j, side, "comm", v->vm[run]->comm);
		json_put_str(j, side, "name", v->vm[run]->name);
		json_put(j, o, run ? "b" : "a", side);
	}
	for (i = 0; i < v->n_rows && !j->failed; i++)
		json_put_item(j, list, json_row(j, &v->row[i]));
	json_put(j, o, "reasons", list);
	return o;
}

static int print_json(const struct trace_diff *d)
{
	struct json j = { false };
	struct json_object *root = json_new(&j), *vms = json_new_list(&j);
	size_t i;

	json_put_bool(&j, root, "poisson", d->poisson);
	for (i = 0; i < d->n_vms; i++)
		json_put_item(&j, vms, json_vm(&j, &d->vm[i]));
	json_put(&j, root, "vms", vms);
	return out_json(json_done(&j, root));
}

int cmd_trace_diff(int argc, char **argv)
{
	struct trace_recording a, b = { 0 };
	struct options o = { 0 };
	struct trace_diff d = { 0 };
	int ret, first;

	out_verb("trace diff");
	ret = parse(argc, argv, &o, &first);
	if (ret != OPTS_GO)
		return ret;
	ret = trace_file_read(argv[first], &a);
	if (!ret)
		ret = trace_file_read(argv[first + 1], &b);
	if (!ret && (a.of_queues || b.of_queues))
		ret = out_error(EXIT_USAGE, "only recordings of exits can be compared");
	if (!ret && trace_diff(&d, &a.exits, &b.exits))
		ret = out_error(EXIT_VMM, "out of memory");
	if (!ret)
		ret = o.json ? print_json(&d) : print_tables(&d, &o);
	trace_diff_free(&d);
	trace_recording_free(&b);
	trace_recording_free(&a);
	return ret;
}
