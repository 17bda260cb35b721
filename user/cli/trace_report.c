// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be said about a trace, for all formats; and JSON (described in
 * Documentation/tracing.rst).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "exit_names.h"
#include "json_put.h"
#include "output.h"
#include "run.h"
#include "trace_fmt.h"
#include "trace_parts.h"
#include "trace_subs.h"

const char *const trace_class_name[2] = { "kernel", "user" };

const struct trace_loss_key trace_losses[] = {
#define LOSS(member, text) \
	{ #member, offsetof(struct trace, lost.member), text }
	LOSS(vcpus_full, "exits not counted: too many vCPUs"),
	LOSS(series_full, "exits not counted: map full, see --series"),
	LOSS(returns_full, "returns to userspace not counted: map full"),
	LOSS(subs_full, "exits not told apart by address: map full"),
	LOSS(rips_full, "samples of the guest dropped: map full"),
	LOSS(returns_orphaned, "exits not told apart: no memory"),
	LOSS(unmatched_exits, "exits counted without time: no entry seen"),
	LOSS(unmatched_entries, "entries without an exit"),
	LOSS(unseen_exits, "exits that KVM counted but did not report"),
	LOSS(backward_clock, "exits counted without time: clock ran back"),
	LOSS(cut_at_start, "exits begun before the trace, left out"),
#undef LOSS
	{ "recursion_misses", offsetof(struct trace, recursion_misses),
	  "events missed while the tracer was busy" },
	{ NULL, 0, NULL },
};

const char *trace_loss(const struct trace *t, size_t i, uint64_t *count,
		       const char **text)
{
	const struct trace_loss_key *l = &trace_losses[i];

	if (!l->key)
		return NULL;
	*count = *trace_lost(l, t);
	*text = l->text;
	return l->key;
}

const char *trace_note(const struct trace *t)
{
	uint64_t returns = 0;
	size_t vcpus = 0, i, k;

	for (i = 0; i < t->n_vms; i++) {
		vcpus += t->vm[i].n_vcpus;
		for (k = 0; k < t->vm[i].n_rets; k++)
			returns += t->vm[i].ret[k].count;
		for (k = 0; k < t->vm[i].rows.n; k++)
			if (t->vm[i].rows.row[k].isa == EXITS_ISA_UNREADABLE)
				return "exit reasons are unreadable: the kernel has no type "
				       "information of this KVM's vendor module";
	}
	/* An event named it, though its first exit may still be under way. */
	if (vcpus)
		return NULL;
	if (returns)
		return "this KVM does not report exits (kvm_exit never fired): only "
		       "returns to userspace are counted, without times";
	return "no exits: no guest ran";
}

uint64_t trace_exits(const struct exits_series *s)
{
	return s->timed + s->untimed;
}

/* Between the extremes, which are known better than by their buckets. */
static uint64_t quantile(const struct exits_series *s, uint32_t permille)
{
	uint64_t ns = hist_quantile(s->bucket, s->timed, permille, s->max_ns);

	return s->timed && ns < s->min_ns ? s->min_ns : ns;
}

struct trace_figures trace_figures(const struct exits_series *s)
{
	return (struct trace_figures){
		.count = trace_exits(s),
		/* A file may lack it; the rank is at least the first. */
		.min = s->min_ns ? s->min_ns : quantile(s, 0),
		.mean = s->timed ? s->total_ns / s->timed : 0,
		.p50 = quantile(s, 500),
		.p90 = quantile(s, 900),
		.p99 = quantile(s, 990),
		.p999 = quantile(s, 999),
		.max = s->max_ns,
	};
}

const char *trace_duration(char buf[TRACE_DURATION_MAX], uint64_t ns)
{
	static const struct { const char *unit; double ns; } units[] = {
		{ "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 },
	};
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double v = ns / units[i].ns;

		if (v < 0.9995)
			continue;
		snprintf(buf, TRACE_DURATION_MAX, "%.*f%s",
			 v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[i].unit);
		return buf;
	}
	snprintf(buf, TRACE_DURATION_MAX, "%" PRIu64 "ns", ns);
	return buf;
}

static void bytes_text(char buf[TRACE_VALUE_MAX], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = bytes;
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]) - 1 && v >= 999.5; i++)
		v /= 1024;
	snprintf(buf, TRACE_VALUE_MAX, "%.3g%s", v, units[i]);
}

const char *trace_value(char buf[TRACE_VALUE_MAX], enum trace_unit unit,
			uint64_t value)
{
	if (unit == TRACE_UNIT_TIME)
		return trace_duration(buf, value);
	if (unit == TRACE_UNIT_BYTES)
		bytes_text(buf, value);
	else
		snprintf(buf, TRACE_VALUE_MAX, "%" PRIu64, value);
	return buf;
}

double trace_wall_ns(const struct trace *t, size_t n)
{
	return t->seconds > 0 ? t->seconds * 1e9 * n : 0;
}

const char *trace_owner_label(char buf[TRACE_LABEL_MAX], const char *name,
			      const char *comm, uint32_t pid)
{
	char comms[4 * sizeof(((struct trace_vm *)0)->comm)];
	char names[4 * sizeof(((struct trace_vm *)0)->name)];

	out_escape(comms, sizeof(comms), comm);
	out_escape(names, sizeof(names), name);
	if (*names)
		snprintf(buf, TRACE_LABEL_MAX, "%s (%s %u)", names, comms, pid);
	else
		snprintf(buf, TRACE_LABEL_MAX, "%s %u", comms, pid);
	return buf;
}

const char *trace_vm_label(char buf[TRACE_LABEL_MAX], const struct trace_vm *vm)
{
	return trace_owner_label(buf, vm->name, vm->comm, vm->pid);
}

int trace_take_format(void *dst, const char *value)
{
	static const char *const names[] = {
		[TRACE_TABLE] = "table", [TRACE_JSON] = "json",
		[TRACE_PROMETHEUS] = "prometheus", [TRACE_FOLDED] = "folded",
		[TRACE_HTML] = "html",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(value, names[i])) {
			*(enum trace_format *)dst = i;
			return 0;
		}
	}
	return out_error(EXIT_USAGE,
			 "--format %s: not table, json, prometheus, folded or html",
			 value);
}

int trace_check_style(const struct trace_style *style, enum trace_format format)
{
	if (format == TRACE_TABLE || (!style->per_vcpu && !style->wide))
		return 0;
	return out_error(EXIT_USAGE, "--%s is for tables only",
			 style->per_vcpu ? "vcpus" : "wide");
}

int trace_print(const struct trace *t, const struct trace_timeline *tl,
		const struct trace_style *style)
{
	switch (style->format) {
	case TRACE_JSON:
		return trace_print_json(t);
	case TRACE_PROMETHEUS:
		trace_fmt_prometheus(stdout, t);
		return out_done();
	case TRACE_FOLDED:
		trace_fmt_folded(stdout, t);
		return out_done();
	case TRACE_HTML:
		trace_fmt_html(stdout, t, tl);
		return out_done();
	default:
		return trace_print_table(t, style);
	}
}

/* @wall: time of all vCPUs concerned */
static void put_rates(struct json *j, struct json_object *o,
		      const struct exits_series *s, double seconds, double wall)
{
	json_put_double(j, o, "rate", seconds > 0 ? trace_exits(s) / seconds : 0);
	json_put_double(j, o, "wall", wall > 0 ? s->total_ns / wall : 0);
}

static void put_times(struct json *j, struct json_object *o,
		      const struct exits_series *s)
{
	struct trace_figures f = trace_figures(s);

	json_put_u64(j, o, "count", f.count);
	json_put_u64(j, o, "untimed", s->untimed);
	json_put_u64(j, o, "total_ns", s->total_ns);
	json_put_u64(j, o, "kernel_ns", trace_kernel_ns(s));
	json_put_u64(j, o, "user_ns", s->user_ns);
	json_put_u64(j, o, "ready_ns", s->ready_ns);
	json_put_u64(j, o, "blocked_ns", s->blocked_ns);
	json_put_u64(j, o, "poll_ns", s->poll_ns);
	json_put_u64(j, o, "min_ns", f.min);
	json_put_u64(j, o, "mean_ns", f.mean);
	json_put_u64(j, o, "p50_ns", f.p50);
	json_put_u64(j, o, "p90_ns", f.p90);
	json_put_u64(j, o, "p99_ns", f.p99);
	json_put_u64(j, o, "p999_ns", f.p999);
	json_put_u64(j, o, "max_ns", f.max);
}

static struct json_object *json_class(struct json *j,
				      const struct exits_series *s)
{
	struct json_object *o = json_new(j);

	put_times(j, o, s);
	return o;
}

static struct json_object *json_rows(struct json *j,
				     const struct trace_rows *rows,
				     double seconds, double wall)
{
	struct json_object *list = json_new_list(j), *o;
	char name[EXIT_NAME_MAX];
	struct exits_series both;
	size_t i;

	for (i = 0; i < rows->n && !j->failed; i++) {
		const struct trace_row *r = &rows->row[i];

		o = json_new(j);
		both = trace_both(r);
		json_put_str(j, o, "reason",
			     exit_reason_name(r->isa, r->reason, name));
		json_put_u64(j, o, "code", r->reason);
		json_put_str(j, o, "isa", exit_isa_name(r->isa));
		json_put_bool(j, o, "idle", exit_is_idle(r->isa, r->reason));
		put_times(j, o, &both);
		put_rates(j, o, &both, seconds, wall);
		json_put_u64(j, o, "userspace", trace_exits(&r->by[1]));
		json_put(j, o, "kernel", json_class(j, &r->by[0]));
		json_put(j, o, "user", json_class(j, &r->by[1]));
		json_put_item(j, list, o);
	}
	return list;
}

static void put_sums(struct json *j, struct json_object *o,
		     const struct trace_total *sum)
{
	json_put_u64(j, o, "exits", sum->exits);
	json_put_u64(j, o, "userspace", sum->userspace);
	json_put_u64(j, o, "handling_ns", sum->busy_ns);
	json_put_u64(j, o, "idle_ns", sum->idle_ns);
}

static struct json_object *json_vcpu(struct json *j,
				     const struct trace *t,
				     const struct trace_vcpu *vcpu)
{
	struct json_object *o = json_new(j);
	struct trace_total sum = trace_sum(&vcpu->rows);

	json_put_u64(j, o, "id", vcpu->id);
	put_sums(j, o, &sum);
	json_put(j, o, "reasons", json_rows(j, &vcpu->rows, t->seconds,
					    trace_wall_ns(t, 1)));
	return o;
}

static struct json_object *json_vm(struct json *j, const struct trace *t,
				   const struct trace_vm *vm)
{
	struct json_object *o = json_new(j);
	struct json_object *vcpus = json_new_list(j);
	struct json_object *rets = json_new(j);
	struct trace_total sum = trace_sum(&vm->rows);
	char name[EXIT_NAME_MAX];
	size_t i;

	json_put_u64(j, o, "pid", vm->pid);
	json_put_str(j, o, "comm", vm->comm);
	json_put_str(j, o, "name", vm->name);
	put_sums(j, o, &sum);
	json_put(j, o, "reasons", json_rows(j, &vm->rows, t->seconds,
					    trace_wall_ns(t, vm->n_vcpus)));
	for (i = 0; i < vm->n_vcpus; i++)
		json_put_item(j, vcpus, json_vcpu(j, t, &vm->vcpu[i]));
	json_put(j, o, "vcpus", vcpus);
	for (i = 0; i < vm->n_rets; i++)
		json_put_u64(j, rets, run_exit_name(vm->ret[i].reason, name),
			     vm->ret[i].count);
	json_put(j, o, "returns", rets);
	json_put(j, o, "by_address", trace_subs_json(j, vm));
	json_put(j, o, "samples", trace_rips_json(j, t, vm));
	return o;
}

static struct json_object *json_totals(struct json *j, const struct trace *t)
{
	struct json_object *o = json_new(j);
	struct trace_total all = { 0 }, sum;
	size_t i;

	for (i = 0; i < t->n_vms; i++) {
		sum = trace_sum(&t->vm[i].rows);
		all.exits += sum.exits;
		all.userspace += sum.userspace;
		all.busy_ns += sum.busy_ns;
		all.idle_ns += sum.idle_ns;
	}
	put_sums(j, o, &all);
	return o;
}

int trace_print_json(const struct trace *t)
{
	struct json_object *root, *vms, *lost, *cost;
	const char *note = trace_note(t), *key, *text;
	struct json j = { false };
	uint64_t n;
	size_t i;

	root = json_new(&j);
	vms = json_new_list(&j);
	lost = json_new(&j);
	json_put_str(&j, root, "kernel", t->kernel);
	json_put_double(&j, root, "seconds", t->seconds);
	if (t->pid)
		json_put_u64(&j, root, "pid", t->pid);
	if (note)
		json_put_str(&j, root, "note", note);
	json_put(&j, root, "totals", json_totals(&j, t));
	for (i = 0; i < t->n_vms; i++)
		json_put_item(&j, vms, json_vm(&j, t, &t->vm[i]));
	json_put(&j, root, "vms", vms);
	for (i = 0; (key = trace_loss(t, i, &n, &text)); i++)
		json_put_u64(&j, lost, key, n);
	json_put(&j, root, "losses", lost);
	cost = json_new(&j);
	json_put_u64(&j, cost, "events", t->cost_events);
	json_put_u64(&j, cost, "ns", t->cost_ns);
	json_put(&j, root, "cost", cost);
	return out_json(json_done(&j, root));
}
