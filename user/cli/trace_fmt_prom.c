// SPDX-License-Identifier: GPL-2.0-only
/*
 * A trace in Prometheus' text exposition format, version 0.0.4.
 *
 * Histograms are per VM, counters per vCPU: that keeps the number of series
 * low. Bounds are the last nanosecond below a power of two, where buckets of
 * ours end too, so that no value is counted on the wrong side.
 */
#include <inttypes.h>
#include <string.h>

#include "exit_names.h"
#include "output.h"
#include "trace_fmt.h"
#include "trace_parts.h"

/* Bounds from 2^8 ns (255 ns) to 2^36 ns (68 s); beyond is +Inf. */
#define FIRST_BIT	8
#define LAST_BIT	36

/* Labels of one row, between the braces; each escaped. */
#define LABELS_MAX 4096
struct labels {
	char text[LABELS_MAX];
	size_t len;
};

/* A label's value: what is not text is escaped as everywhere, then \ and ". */
static void add_label(struct labels *l, const char *key, const char *value)
{
	char safe[4 * 128 + 1];
	const char *s;

	out_escape(safe, sizeof(safe), value);
	if (l->len + 2 * sizeof(safe) + strlen(key) > sizeof(l->text))
		return;		/* cannot be: six labels fit */
	l->len += sprintf(l->text + l->len, "%s%s=\"", l->len ? "," : "", key);
	for (s = safe; *s; s++) {
		if (*s == '\\' || *s == '"')
			l->text[l->len++] = '\\';
		l->text[l->len++] = *s;
	}
	strcpy(l->text + l->len, "\"");
	l->len++;
}

static void vm_labels(struct labels *l, const struct trace_vm *vm)
{
	char pid[16];

	l->len = 0;
	snprintf(pid, sizeof(pid), "%u", vm->pid);
	add_label(l, "vm", vm->name);
	add_label(l, "comm", vm->comm);
	add_label(l, "pid", pid);
}

static void row_labels(struct labels *l, const struct trace_row *r, int by)
{
	char name[EXIT_NAME_MAX];

	add_label(l, "reason", exit_reason_name(r->isa, r->reason, name));
	add_label(l, "isa", exit_isa_name(r->isa));
	add_label(l, "by", trace_class_name[by]);
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/*
 * VMs of one process may share all labels. Nothing tells them apart from
 * outside; a number does, from the second on.
 */
static void add_twin(struct labels *l, const struct trace *t, size_t i)
{
	unsigned int nth = 0;
	char text[16];
	size_t k;

	for (k = 0; k < i; k++)
		nth += t->vm[k].pid == t->vm[i].pid;
	if (!nth)
		return;
	snprintf(text, sizeof(text), "%u", nth + 1);
	add_label(l, "nth", text);
}

static void one_histogram(FILE *out, const char *labels,
			  const struct exits_series *s)
{
	static const char name[] = "kvasir_exit_seconds";
	uint64_t sum = 0, all = s->timed;
	uint32_t i = 0;
	int bit;

	for (bit = FIRST_BIT; bit <= LAST_BIT; bit++) {
		for (; hist_lower(i) < 1ULL << bit; i++)
			sum += s->bucket[i];
		fprintf(out, "%s_bucket{%s,le=\"%.12g\"} %" PRIu64 "\n", name,
			labels, ((1ULL << bit) - 1) / 1e9, sum);
	}
	fprintf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, labels,
		all);
	fprintf(out, "%s_sum{%s} %.9f\n", name, labels, s->total_ns / 1e9);
	fprintf(out, "%s_count{%s} %" PRIu64 "\n", name, labels, all);
}

/* @one is called for every row and class with times. */
static void each_timed(FILE *out, const struct trace *t,
		       void (*one)(FILE *out, const char *labels,
				   const struct exits_series *s))
{
	struct labels l;
	size_t i, k;
	int by;

	for (i = 0; i < t->n_vms; i++) {
		const struct trace_rows *rows = &t->vm[i].rows;

		for (k = 0; k < 2 * rows->n; k++) {
			by = k % 2;
			if (!rows->row[k / 2].by[by].timed)
				continue;
			vm_labels(&l, &t->vm[i]);
			add_twin(&l, t, i);
			row_labels(&l, &rows->row[k / 2], by);
			one(out, l.text, &rows->row[k / 2].by[by]);
		}
	}
}

static void histograms(FILE *out, const struct trace *t)
{
	head(out, "kvasir_exit_seconds", "histogram",
	     "Time from a VM exit to the next entry.");
	each_timed(out, t, one_histogram);
}

static void count_rows(FILE *out, const struct trace *t, size_t i,
		       const struct trace_vcpu *vcpu)
{
	struct labels l;
	char id[16];
	size_t k;
	int by;

	snprintf(id, sizeof(id), "%u", vcpu->id);
	for (k = 0; k < 2 * vcpu->rows.n; k++) {
		const struct trace_row *r = &vcpu->rows.row[k / 2];

		by = k % 2;
		if (!trace_exits(&r->by[by]))
			continue;
		vm_labels(&l, &t->vm[i]);
		add_twin(&l, t, i);
		add_label(&l, "vcpu", id);
		row_labels(&l, r, by);
		fprintf(out, "kvasir_exits_total{%s} %" PRIu64 "\n", l.text,
			trace_exits(&r->by[by]));
	}
}

static void one_in_parts(FILE *out, const char *labels,
			 const struct exits_series *s)
{
	const struct { const char *name; uint64_t ns; } part[] = {
		{ "kernel", trace_kernel_ns(s) }, { "user", s->user_ns },
		{ "ready", s->ready_ns }, { "blocked", s->blocked_ns },
		{ "poll", s->poll_ns },
	};
	size_t i;

	for (i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		fprintf(out, "kvasir_exit_part_seconds_total{%s,part=\"%s\"} %.9f\n",
			labels, part[i].name, part[i].ns / 1e9);
}

/* Where the time went: the sums of kvasir_exit_seconds, in parts. */
static void parts(FILE *out, const struct trace *t)
{
	head(out, "kvasir_exit_part_seconds_total", "counter",
	     "Time of VM exits by what it was spent on.");
	each_timed(out, t, one_in_parts);
}

static void counters(FILE *out, const struct trace *t)
{
	char name[EXIT_NAME_MAX];
	struct labels l;
	size_t i, k;

	head(out, "kvasir_exits_total", "counter", "VM exits.");
	for (i = 0; i < t->n_vms; i++)
		for (k = 0; k < t->vm[i].n_vcpus; k++)
			count_rows(out, t, i, &t->vm[i].vcpu[k]);
	head(out, "kvasir_run_returns_total", "counter",
	     "Returns of KVM_RUN to the VMM.");
	for (i = 0; i < t->n_vms; i++) {
		const struct trace_vm *vm = &t->vm[i];

		for (k = 0; k < vm->n_rets; k++) {
			vm_labels(&l, vm);
			add_twin(&l, t, i);
			add_label(&l, "reason",
				  run_exit_name(vm->ret[k].reason, name));
			fprintf(out, "kvasir_run_returns_total{%s} %" PRIu64 "\n",
				l.text, vm->ret[k].count);
		}
	}
}

void trace_fmt_prometheus(FILE *out, const struct trace *t)
{
	const char *key, *text;
	uint64_t count;
	size_t i;

	histograms(out, t);
	parts(out, t);
	counters(out, t);
	head(out, "kvasir_trace_lost_total", "counter",
	     "What the tracer knows it did not see, by kind.");
	for (i = 0; (key = trace_loss(t, i, &count, &text)); i++)
		fprintf(out, "kvasir_trace_lost_total{kind=\"%s\"} %" PRIu64 "\n",
			key, count);
	head(out, "kvasir_trace_seconds", "gauge", "How long the trace has run.");
	fprintf(out, "kvasir_trace_seconds %.3f\n", t->seconds);
}
