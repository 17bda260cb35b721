// SPDX-License-Identifier: GPL-2.0-only
/* The page of a trace of exits: tables, heat maps, and a histogram per reason. */
#include <inttypes.h>

#include "exit_names.h"
#include "trace_fmt.h"
#include "trace_page.h"
#include "trace_parts.h"
#include "trace_svg.h"

static const char heads[] =
"<tr><th>reason<th>by<th>exits<th>exit/s<th>time&nbsp;%<th>wall&nbsp;%<th>total"
"<th>min<th>mean<th>p50<th>p90<th>p99<th>p99.9<th>max</tr>\n";

static void put_name(FILE *out, const struct trace_row *r)
{
	char name[EXIT_NAME_MAX];

	trace_page_text(out, exit_reason_name(r->isa, r->reason, name));
	if (exit_is_idle(r->isa, r->reason))
		fputs(" *", out);
}

static void put_share(FILE *out, double part, double whole)
{
	if (whole > 0)
		fprintf(out, "<td>%.1f", 100 * part / whole);
	else
		fputs("<td>-", out);
}

static void put_class(FILE *out, const struct trace *t, const struct trace_vm *vm,
		      const struct trace_row *r, int by, uint64_t busy_ns)
{
	const struct exits_series *s = &r->by[by];
	struct trace_figures f = trace_figures(s);
	uint64_t times[] = { s->total_ns, f.min, f.mean, f.p50, f.p90, f.p99,
			     f.p999, f.max };
	char text[TRACE_DURATION_MAX];
	size_t i;

	if (!f.count)
		return;
	fputs("<tr><td>", out);
	put_name(out, r);
	fprintf(out, "<td>%s<td>%" PRIu64 "<td>%.1f", trace_class_name[by],
		f.count, t->seconds > 0 ? f.count / t->seconds : 0);
	put_share(out, s->total_ns,
		  exit_is_idle(r->isa, r->reason) ? 0 : busy_ns);
	put_share(out, s->total_ns, trace_wall_ns(t, vm->n_vcpus));
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		fprintf(out, "<td>%s",
			s->timed ? trace_duration(text, times[i]) : "-");
	fputs("</tr>\n", out);
}

static void put_table(FILE *out, const struct trace *t, const struct trace_vm *vm)
{
	struct trace_total sum = trace_sum(&vm->rows);
	size_t i;
	int by;

	fprintf(out, "<div class=\"t\"><table>\n%s", heads);
	for (i = 0; i < vm->rows.n; i++)
		for (by = 0; by < 2; by++)
			put_class(out, t, vm, &vm->rows.row[i], by, sum.busy_ns);
	fputs("</table></div>\n<p>* mostly the guest's sleep, hence not in time&nbsp;%</p>\n",
	      out);
}

struct heat_of {
	uint32_t vm;
	bool idle;
};

static bool in_heat(const struct trace_cell *c, const void *ctx)
{
	const struct heat_of *of = ctx;

	return c->key[TRACE_CELL_VM] == of->vm &&
	       exit_is_idle(c->key[TRACE_CELL_ISA],
			    c->key[TRACE_CELL_REASON]) == of->idle;
}

static void put_heat(FILE *out, const struct trace_timeline *tl, uint32_t vm,
		     bool idle)
{
	const struct heat_of of = { vm, idle };
	const struct trace_svg_heat heat = {
		.label = "exits by latency and time",
		.what = "exits",
		.pick = { in_heat, &of },
	};

	fputs("<figure>\n", out);
	if (trace_svg_heat(out, tl, &heat))
		fprintf(out, "<figcaption>%s by latency and time</figcaption>",
			idle ? "Idle exits (*)" : "Exits, without idle ones,");
	fputs("</figure>\n", out);
}

static void put_histogram(FILE *out, const struct trace_row *row)
{
	struct exits_series sum = trace_both(row);
	struct trace_figures f = trace_figures(&sum);
	const struct trace_svg_histogram h = {
		.label = "exits by latency",
		.unit = TRACE_UNIT_TIME,
		.bucket = { row->by[0].bucket, row->by[1].bucket },
		.p50 = f.p50,
		.p99 = f.p99,
	};

	trace_svg_histogram(out, &h);
}

static void put_vm(FILE *out, const struct trace *t,
		   const struct trace_timeline *tl, size_t i)
{
	const struct trace_vm *vm = &t->vm[i];
	char label[TRACE_LABEL_MAX];
	size_t k;

	fputs("<h2>", out);
	trace_page_text(out, trace_vm_label(label, vm));
	fprintf(out, "</h2>\n<p>%zu vCPU%s</p>\n", vm->n_vcpus,
		vm->n_vcpus == 1 ? "" : "s");
	if (!vm->rows.n)
		return;
	put_table(out, t, vm);
	fputs("<p>", out);
	trace_parts_print(out, &vm->rows, "<br>\n");
	fputs("</p>\n", out);
	put_heat(out, tl, (uint32_t)i, false);
	put_heat(out, tl, (uint32_t)i, true);
	fputs("<p><span class=\"key k\"></span> kernel <span class=\"key u\"></span> "
	      "user(space) too; p50 and p99 are of both</p>\n", out);
	for (k = 0; k < vm->rows.n; k++) {
		fputs("<h3>", out);
		put_name(out, &vm->rows.row[k]);
		fputs("</h3>\n", out);
		put_histogram(out, &vm->rows.row[k]);
	}
}

static void put_losses(FILE *out, const struct trace *t)
{
	const char *text;
	uint64_t count;
	size_t i;

	for (i = 0; trace_loss(t, i, &count, &text); i++)
		trace_page_loss(out, count, text);
	trace_page_note(out, trace_note(t));
}

void trace_fmt_html(FILE *out, const struct trace *t,
		    const struct trace_timeline *tl)
{
	size_t i;

	trace_page_begin(out, "VM exits", "");
	trace_page_when(out, t->began, t->seconds, t->kernel);
	put_losses(out, t);
	for (i = 0; i < t->n_vms; i++)
		put_vm(out, t, tl, i);
	trace_page_end(out);
}
