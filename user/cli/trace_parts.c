// SPDX-License-Identifier: GPL-2.0-only
/* What the time of exits was spent on; see Documentation/tracing.rst. */
#include <stdio.h>

#include "exit_names.h"
#include "trace_fmt.h"
#include "trace_parts.h"

struct parts {
	uint64_t total, kernel, user, ready, blocked, poll;
};

uint64_t trace_kernel_ns(const struct exits_series *s)
{
	return s->total_ns - s->user_ns - s->ready_ns - s->blocked_ns -
	       s->poll_ns;
}

static void parts_add(struct parts *p, const struct exits_series *s)
{
	p->total += s->total_ns;
	p->kernel += trace_kernel_ns(s);
	p->user += s->user_ns;
	p->ready += s->ready_ns;
	p->blocked += s->blocked_ns;
	p->poll += s->poll_ns;
}

static void print_part(FILE *out, const char *name, uint64_t ns, uint64_t total)
{
	if (ns)
		fprintf(out, " %s %.1f%%", name, 100.0 * ns / total);
}

/* One line of 80 columns. */
static void print_parts(FILE *out, const char *of, const struct parts *p,
			const char *end)
{
	if (!p->total)
		return;
	fprintf(out, "%s:", of);
	print_part(out, "KVM", p->kernel, p->total);
	print_part(out, "userspace", p->user, p->total);
	print_part(out, "runnable", p->ready, p->total);
	print_part(out, "blocked", p->blocked, p->total);
	print_part(out, "polling", p->poll, p->total);
	fputs(end, out);
}

void trace_parts_print(FILE *out, const struct trace_rows *rows, const char *end)
{
	struct parts busy = { 0 }, idle = { 0 };
	size_t i;

	for (i = 0; i < rows->n; i++) {
		const struct trace_row *r = &rows->row[i];
		struct parts *p = exit_is_idle(r->isa, r->reason) ? &idle : &busy;

		parts_add(p, &r->by[0]);
		parts_add(p, &r->by[1]);
	}
	print_parts(out, "handling", &busy, end);
	print_parts(out, "idle", &idle, end);
}
