// SPDX-License-Identifier: GPL-2.0-only
/*
 * The report: one page without scripts, links or anything to fetch. It forbids
 * the browser to load things too, should an escape ever be missing.
 */
#include <inttypes.h>
#include <time.h>

#include "exit_names.h"
#include "output.h"
#include "trace_fmt.h"
#include "trace_parts.h"
#include "trace_svg.h"

static const char head[] =
"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
"<meta name=\"viewport\" content=\"width=device-width\">\n"
"<title>kvasir trace</title>\n<style>\n"
":root{color-scheme:light dark;--bg:#fff;--fg:#1c2430;--dim:#5c6673;--line:#d8dde4;"
"--k:#3568b0;--u:#cc6d14;--h:#8a1f5c}\n"
"@media(prefers-color-scheme:dark){:root{--bg:#15191f;--fg:#e4e8ee;--dim:#9aa4b2;"
"--line:#343c47;--k:#78a8ea;--u:#f0a052;--h:#ff8cc6}}\n"
"body{background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif;"
"max-width:62rem;margin:1.5rem auto;padding:0 1rem}\n"
"h1{font-size:1.4rem}h2{font-size:1.15rem;margin-top:2rem;border-top:1px solid var(--line);"
"padding-top:1rem;overflow-wrap:anywhere}h3{font-size:1rem;margin:1.2rem 0 .2rem}\n"
".t{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
"font-size:.87rem}th,td{padding:.15rem .5rem;text-align:right;white-space:nowrap;"
"border-bottom:1px solid var(--line)}\n"
"th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}\n"
"p,figcaption{color:var(--dim);margin:.3rem 0}figure{margin:.6rem 0}\n"
"svg{width:100%;height:auto;max-width:60rem;display:block}\n"
"svg text{font:11px system-ui,sans-serif;fill:var(--dim)}\n"
".k{fill:var(--k)}.u{fill:var(--u)}.h{fill:var(--h)}\n"
".g{stroke:var(--line);fill:none}.m{stroke:var(--fg);stroke-dasharray:3 3;fill:none}\n"
".key{display:inline-block;width:.8em;height:.8em}.key.k{background:var(--k)}"
".key.u{background:var(--u)}\n"
"</style>\n</head>\n<body>\n<h1>VM exits</h1>\n";

static const char heads[] =
"<tr><th>reason<th>by<th>exits<th>exit/s<th>time&nbsp;%<th>wall&nbsp;%<th>total"
"<th>min<th>mean<th>p50<th>p90<th>p99<th>p99.9<th>max</tr>\n";

/* Text into the page; bytes that are not text were escaped before. */
static void put_text(FILE *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			putc(*s, out);
		}
	}
}

static void put_name(FILE *out, const struct trace_row *r)
{
	char name[EXIT_NAME_MAX];

	put_text(out, exit_reason_name(r->isa, r->reason, name));
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

static void put_heat(FILE *out, const struct trace_timeline *tl, uint32_t vm,
		     bool idle)
{
	fputs("<figure>\n", out);
	if (trace_svg_heat(out, tl, vm, idle))
		fprintf(out, "<figcaption>%s by latency and time</figcaption>",
			idle ? "Idle exits (*)" : "Exits, without idle ones,");
	fputs("</figure>\n", out);
}

static void put_vm(FILE *out, const struct trace *t,
		   const struct trace_timeline *tl, size_t i)
{
	const struct trace_vm *vm = &t->vm[i];
	char label[TRACE_LABEL_MAX];
	size_t k;

	fputs("<h2>", out);
	put_text(out, trace_vm_label(label, vm));
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
		trace_svg_histogram(out, &vm->rows.row[k]);
	}
}

static void put_losses(FILE *out, const struct trace *t)
{
	const char *note = trace_note(t), *text;
	uint64_t count;
	size_t i;

	for (i = 0; trace_loss(t, i, &count, &text); i++)
		if (count)
			fprintf(out, "<p>lost: %" PRIu64 " %s</p>\n", count, text);
	if (note) {
		fputs("<p>note: ", out);
		put_text(out, note);
		fputs("</p>\n", out);
	}
}

void trace_fmt_html(FILE *out, const struct trace *t,
		    const struct trace_timeline *tl)
{
	char kernel[4 * sizeof(t->kernel)], when[64] = "";
	time_t began = (time_t)t->began;
	struct tm tm;
	size_t i;

	if (gmtime_r(&began, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	fputs(head, out);
	fprintf(out, "<p>%s, %.1f s, Linux ", when, t->seconds);
	put_text(out, out_escape(kernel, sizeof(kernel), t->kernel));
	fputs("</p>\n", out);
	put_losses(out, t);
	for (i = 0; i < t->n_vms; i++)
		put_vm(out, t, tl, i);
	fputs("</body>\n</html>\n", out);
}
