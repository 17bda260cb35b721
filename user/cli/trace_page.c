// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all pages have in common. They are without scripts, links or anything to
 * fetch, and forbid the browser to load things too, should an escape ever be
 * missing.
 */
#include <inttypes.h>
#include <time.h>

#include "output.h"
#include "trace_page.h"

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
".key.u{background:var(--u)}\n";

void trace_page_text(FILE *out, const char *s)
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

void trace_page_begin(FILE *out, const char *title, const char *style)
{
	fprintf(out, "%s%s</style>\n</head>\n<body>\n<h1>%s</h1>\n", head, style,
		title);
}

void trace_page_when(FILE *out, uint64_t began, double seconds,
		     const char *kernel)
{
	char escaped[4 * TRACE_PAGE_KERNEL], when[64] = "";
	time_t at = (time_t)began;
	struct tm tm;

	if (gmtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	fprintf(out, "<p>%s, %.1f s, Linux ", when, seconds);
	trace_page_text(out, out_escape(escaped, sizeof(escaped), kernel));
	fputs("</p>\n", out);
}

void trace_page_loss(FILE *out, uint64_t count, const char *text)
{
	if (count)
		fprintf(out, "<p>lost: %" PRIu64 " %s</p>\n", count, text);
}

void trace_page_note(FILE *out, const char *note)
{
	if (!note)
		return;
	fputs("<p>note: ", out);
	trace_page_text(out, note);
	fputs("</p>\n", out);
}

void trace_page_end(FILE *out)
{
	fputs("</body>\n</html>\n", out);
}
