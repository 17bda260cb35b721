// SPDX-License-Identifier: GPL-2.0-only
/*
 * A trace in Prometheus' text exposition format. Histograms are per VM, counters
 * per vCPU: that keeps the number of series low.
 */
#include <inttypes.h>

#include "exit_names.h"
#include "prom.h"
#include "trace_fmt.h"
#include "trace_parts.h"

/* From 255 ns to 68 s. */
static const struct prom_histogram exit_seconds = {
	.name = "kvasir_exit_seconds", .unit = 1e9, .first = 8, .last = 36,
};

static void vm_labels(struct prom_labels *l, const struct trace_vm *vm)
{
	l->len = 0;
	prom_label(l, "vm", vm->name);
	prom_label(l, "comm", vm->comm);
	prom_label_number(l, "pid", vm->pid);
}

static void row_labels(struct prom_labels *l, const struct trace_row *r, int by)
{
	char name[EXIT_NAME_MAX];

	prom_label(l, "reason", exit_reason_name(r->isa, r->reason, name));
	prom_label(l, "isa", exit_isa_name(r->isa));
	prom_label(l, "by", trace_class_name[by]);
}

/*
 * VMs of one process may share all labels. Nothing tells them apart from
 * outside; a number does, from the second on, that a VM keeps: it comes of those
 * that were seen before. What stands for the process comes and goes behind them,
 * has a label of its own, and is not counted.
 */
static void add_twin(struct prom_labels *l, const struct trace *t, size_t i)
{
	unsigned int nth = 0;
	size_t k;

	for (k = 0; k < i; k++)
		nth += t->vm[k].kvm && t->vm[k].pid == t->vm[i].pid;
	if (!t->vm[i].kvm)
		prom_label(l, "known", "false");
	else if (nth)
		prom_label_number(l, "nth", nth + 1);
}

static void one_histogram(FILE *out, const char *labels,
			  const struct exits_series *s)
{
	prom_histogram(out, &exit_seconds, labels, s->bucket, s->timed,
		       s->total_ns);
}

/* @one is called for every row and class with times. */
static void each_timed(FILE *out, const struct trace *t,
		       void (*one)(FILE *out, const char *labels,
				   const struct exits_series *s))
{
	struct prom_labels l;
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
	prom_head(out, exit_seconds.name, "histogram",
	     "Time from a VM exit to the next entry.");
	each_timed(out, t, one_histogram);
}

static void count_rows(FILE *out, const struct trace *t, size_t i,
		       const struct trace_vcpu *vcpu)
{
	struct prom_labels l;
	size_t k;
	int by;

	for (k = 0; k < 2 * vcpu->rows.n; k++) {
		const struct trace_row *r = &vcpu->rows.row[k / 2];

		by = k % 2;
		if (!trace_exits(&r->by[by]))
			continue;
		vm_labels(&l, &t->vm[i]);
		add_twin(&l, t, i);
		prom_label_number(&l, "vcpu", vcpu->id);
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
	prom_head(out, "kvasir_exit_part_seconds_total", "counter",
	     "Time of VM exits by what it was spent on.");
	each_timed(out, t, one_in_parts);
}

static void counters(FILE *out, const struct trace *t)
{
	char name[EXIT_NAME_MAX];
	struct prom_labels l;
	size_t i, k;

	prom_head(out, "kvasir_exits_total", "counter", "VM exits.");
	for (i = 0; i < t->n_vms; i++)
		for (k = 0; k < t->vm[i].n_vcpus; k++)
			count_rows(out, t, i, &t->vm[i].vcpu[k]);
	prom_head(out, "kvasir_run_returns_total", "counter",
	     "Returns of KVM_RUN to the VMM.");
	for (i = 0; i < t->n_vms; i++) {
		const struct trace_vm *vm = &t->vm[i];

		for (k = 0; k < vm->n_rets; k++) {
			vm_labels(&l, vm);
			add_twin(&l, t, i);
			prom_label(&l, "reason",
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
	prom_head(out, "kvasir_trace_lost_total", "counter",
	     "What the tracer knows it did not see, by kind.");
	for (i = 0; (key = trace_loss(t, i, &count, &text)); i++)
		fprintf(out, "kvasir_trace_lost_total{kind=\"%s\"} %" PRIu64 "\n",
			key, count);
	prom_head(out, "kvasir_trace_seconds", "gauge", "How long the trace has run.");
	fprintf(out, "kvasir_trace_seconds %.3f\n", t->seconds);
}
