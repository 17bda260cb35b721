// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was traced, as a table for people (up to 100 columns) or as JSON
 * (described in Documentation/tracing.rst).
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/utsname.h>

#include <json-c/json.h>

#include "exit_names.h"
#include "output.h"
#include "trace.h"

#define DURATION_MAX 16

/* Every loss: its key in JSON, and a line for people. */
static const struct loss {
	const char *key;
	size_t offset;
	const char *text;
} losses[] = {
#define LOSS(member, text) \
	{ #member, offsetof(struct trace, lost.member), text }
	LOSS(vcpus_full, "exits not counted: too many vCPUs"),
	LOSS(series_full, "exits not counted: map full, see --series"),
	LOSS(returns_full, "returns to userspace not counted: map full"),
	LOSS(returns_orphaned, "exits not told apart: no memory"),
	LOSS(unmatched_exits, "exits counted without time: no entry seen"),
	LOSS(unmatched_entries, "entries without an exit"),
	LOSS(unseen_exits, "exits that KVM counted but did not report"),
	LOSS(backward_clock, "exits counted without time: clock ran back"),
	LOSS(cut_at_start, "exits begun before the trace, left out"),
#undef LOSS
	{ "recursion_misses", offsetof(struct trace, recursion_misses),
	  "events missed while the tracer was busy" },
};

#define LOSSES (sizeof(losses) / sizeof(losses[0]))

static uint64_t loss_of(const struct trace *t, const struct loss *l)
{
	return *(const uint64_t *)((const char *)t + l->offset);
}

const char *trace_note(const struct trace *t)
{
	uint64_t exits = 0, returns = 0;
	size_t i, k;

	for (i = 0; i < t->n_vms; i++) {
		exits += trace_sum(&t->vm[i].rows).exits;
		for (k = 0; k < t->vm[i].n_rets; k++)
			returns += t->vm[i].ret[k].count;
		for (k = 0; k < t->vm[i].rows.n; k++)
			if (t->vm[i].rows.row[k].reason == EXITS_UNREADABLE)
				return "exit reasons are unreadable: the kernel has no type "
				       "information of this KVM's vendor module";
	}
	if (!exits && returns)
		return "this KVM does not report exits (kvm_exit never fired): only "
		       "returns to userspace are counted, without times";
	if (!exits)
		return "no exits: no guest ran";
	return NULL;
}

static uint64_t exits_of(const struct exits_series *s)
{
	return s->timed + s->untimed;
}

static uint64_t quantile(const struct exits_series *s, uint32_t permille)
{
	return hist_quantile(s->bucket, s->timed, permille, s->max_ns);
}

/* Three digits and a unit: at most 7 characters up to hours. */
static const char *duration(char buf[DURATION_MAX], uint64_t ns)
{
	static const struct { const char *unit; double ns; } units[] = {
		{ "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 },
	};
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double v = ns / units[i].ns;

		if (v < 0.9995)
			continue;
		snprintf(buf, DURATION_MAX, "%.*f %s",
			 v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[i].unit);
		return buf;
	}
	snprintf(buf, DURATION_MAX, "%" PRIu64 " ns", ns);
	return buf;
}

static void add_class(struct table *table, const struct trace_row *row,
		      bool user, uint64_t busy_ns)
{
	const struct exits_series *s = &row->by[user];
	bool idle = exit_is_idle(row->isa, row->reason);
	char name[EXIT_NAME_MAX], buf[DURATION_MAX];
	uint64_t times[] = {
		s->total_ns, quantile(s, 500), quantile(s, 900), quantile(s, 990),
		s->max_ns,
	};
	size_t i;

	if (!exits_of(s))
		return;
	table_cell(table, "%s%s", exit_reason_name(row->isa, row->reason, name),
		   idle ? " *" : "");
	table_cell(table, user ? "user" : "kernel");
	table_cell(table, "%" PRIu64, exits_of(s));
	if (idle || !busy_ns)
		table_cell(table, "-");
	else
		table_cell(table, "%.1f", 100.0 * s->total_ns / busy_ns);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		table_cell(table, "%s", s->timed ? duration(buf, times[i]) : "-");
}

/* A table with a line per reason and class. Return: exit status */
static int print_rows(const struct trace_rows *rows)
{
	static const char *const heads[] = {
		"REASON", "BY", ">EXITS", ">TIME%", ">TOTAL", ">P50", ">P90",
		">P99", ">MAX",
	};
	const unsigned int columns = sizeof(heads) / sizeof(heads[0]);
	struct trace_total sum = trace_sum(rows);
	struct table *table;
	size_t i;

	if (!rows->n)
		return 0;
	table = table_create(columns, heads);
	for (i = 0; i < rows->n; i++) {
		add_class(table, &rows->row[i], false, sum.busy_ns);
		add_class(table, &rows->row[i], true, sum.busy_ns);
	}
	return table_print(table);
}

static void print_sums(const char *of, const struct trace_rows *rows,
		       double seconds)
{
	struct trace_total sum = trace_sum(rows);
	char busy[DURATION_MAX], idle[DURATION_MAX];

	printf("%s: %" PRIu64 " exits (%.0f/s), %" PRIu64
	       " to userspace, handling %s, idle %s\n", of, sum.exits,
	       seconds > 0 ? sum.exits / seconds : 0, sum.userspace,
	       duration(busy, sum.busy_ns), duration(idle, sum.idle_ns));
}

static bool has_idle(const struct trace_rows *rows)
{
	/* Idle rows come last. */
	return rows->n && exit_is_idle(rows->row[rows->n - 1].isa,
				       rows->row[rows->n - 1].reason);
}

static void print_head(const struct trace_vm *vm, double seconds)
{
	char comm[4 * sizeof(vm->comm)], name[4 * sizeof(vm->name)];

	out_escape(comm, sizeof(comm), vm->comm);
	out_escape(name, sizeof(name), vm->name);
	printf("== %s%s%s, pid %u: ", name, *name ? ", " : "", comm, vm->pid);
	if (vm->kvm)
		printf("%zu vCPU%s in %.1f s\n", vm->n_vcpus,
		       vm->n_vcpus == 1 ? "" : "s", seconds);
	else
		printf("before the first exit of a vCPU\n");
}

static void print_returns(const struct trace_vm *vm)
{
	char name[EXIT_NAME_MAX];
	size_t i;

	if (!vm->n_rets)
		return;
	printf("KVM_RUN returned with:");
	for (i = 0; i < vm->n_rets; i++)
		printf("%s %s %" PRIu64, i ? "," : "",
		       run_exit_name(vm->ret[i].reason, name), vm->ret[i].count);
	putchar('\n');
}

static int print_vm(const struct trace_vm *vm, double seconds, bool per_vcpu)
{
	char of[32];
	size_t i;
	int ret;

	print_head(vm, seconds);
	ret = print_rows(&vm->rows);
	if (has_idle(&vm->rows))
		printf("* time asleep included, hence not in TIME%%\n");
	if (vm->rows.n)
		print_sums("all", &vm->rows, seconds);
	for (i = 0; i < vm->n_vcpus && !ret; i++) {
		snprintf(of, sizeof(of), "vCPU %u", vm->vcpu[i].id);
		print_sums(of, &vm->vcpu[i].rows, seconds);
		if (per_vcpu)
			ret = print_rows(&vm->vcpu[i].rows);
	}
	print_returns(vm);
	putchar('\n');
	return ret;
}

int trace_print_table(const struct trace *t, bool per_vcpu)
{
	const char *note = trace_note(t);
	int ret = 0;
	size_t i;

	for (i = 0; i < t->n_vms && !ret; i++)
		ret = print_vm(&t->vm[i], t->seconds, per_vcpu);
	for (i = 0; i < LOSSES; i++)
		if (loss_of(t, &losses[i]))
			printf("lost: %" PRIu64 " %s\n", loss_of(t, &losses[i]),
			       losses[i].text);
	if (note)
		printf("note: %s\n", note);
	return ret ? ret : out_done();
}

/*
 * JSON. A failed allocation anywhere shows as a NULL that is put nowhere; one
 * flag, checked at the end, is enough.
 */
struct json {
	bool failed;
};

static struct json_object *checked(struct json *j, struct json_object *o)
{
	if (!o)
		j->failed = true;
	return o;
}

static void put(struct json *j, struct json_object *to, const char *key,
		struct json_object *value)
{
	checked(j, value);
	if (j->failed || json_object_object_add(to, key, value)) {
		j->failed = true;
		json_object_put(value);
	}
}

static void put_item(struct json *j, struct json_object *to,
		     struct json_object *value)
{
	checked(j, value);
	if (j->failed || json_object_array_add(to, value)) {
		j->failed = true;
		json_object_put(value);
	}
}

static void put_u64(struct json *j, struct json_object *to, const char *key,
		    uint64_t v)
{
	put(j, to, key, json_object_new_uint64(v));
}

static void put_str(struct json *j, struct json_object *to, const char *key,
		    const char *s)
{
	put(j, to, key, out_json_string(s));
}

static void put_times(struct json *j, struct json_object *o,
		      const struct exits_series *s)
{
	put_u64(j, o, "count", exits_of(s));
	put_u64(j, o, "untimed", s->untimed);
	put_u64(j, o, "total_ns", s->total_ns);
	put_u64(j, o, "p50_ns", quantile(s, 500));
	put_u64(j, o, "p90_ns", quantile(s, 900));
	put_u64(j, o, "p99_ns", quantile(s, 990));
	put_u64(j, o, "max_ns", s->max_ns);
}

static struct json_object *json_class(struct json *j,
				      const struct exits_series *s)
{
	struct json_object *o = checked(j, json_object_new_object());

	put_times(j, o, s);
	return o;
}

static struct json_object *json_rows(struct json *j,
				     const struct trace_rows *rows)
{
	struct json_object *list = checked(j, json_object_new_array()), *o;
	char name[EXIT_NAME_MAX];
	struct exits_series both;
	size_t i;

	for (i = 0; i < rows->n && !j->failed; i++) {
		const struct trace_row *r = &rows->row[i];

		o = checked(j, json_object_new_object());
		both = trace_both(r);
		put_str(j, o, "reason", exit_reason_name(r->isa, r->reason, name));
		put_u64(j, o, "code", r->reason);
		put_str(j, o, "isa", exit_isa_name(r->isa));
		put(j, o, "idle", json_object_new_boolean(
			exit_is_idle(r->isa, r->reason)));
		put_times(j, o, &both);
		put_u64(j, o, "userspace", exits_of(&r->by[1]));
		put(j, o, "kernel", json_class(j, &r->by[0]));
		put(j, o, "user", json_class(j, &r->by[1]));
		put_item(j, list, o);
	}
	return list;
}

static void put_sums(struct json *j, struct json_object *o,
		     const struct trace_total *sum)
{
	put_u64(j, o, "exits", sum->exits);
	put_u64(j, o, "userspace", sum->userspace);
	put_u64(j, o, "handling_ns", sum->busy_ns);
	put_u64(j, o, "idle_ns", sum->idle_ns);
}

static struct json_object *json_vcpu(struct json *j,
				     const struct trace_vcpu *vcpu)
{
	struct json_object *o = checked(j, json_object_new_object());
	struct trace_total sum = trace_sum(&vcpu->rows);

	put_u64(j, o, "id", vcpu->id);
	put_sums(j, o, &sum);
	put(j, o, "reasons", json_rows(j, &vcpu->rows));
	return o;
}

static struct json_object *json_vm(struct json *j, const struct trace_vm *vm)
{
	struct json_object *o = checked(j, json_object_new_object());
	struct json_object *vcpus = checked(j, json_object_new_array());
	struct json_object *rets = checked(j, json_object_new_object());
	struct trace_total sum = trace_sum(&vm->rows);
	char name[EXIT_NAME_MAX];
	size_t i;

	put_u64(j, o, "pid", vm->pid);
	put_str(j, o, "comm", vm->comm);
	put_str(j, o, "name", vm->name);
	put_sums(j, o, &sum);
	put(j, o, "reasons", json_rows(j, &vm->rows));
	for (i = 0; i < vm->n_vcpus; i++)
		put_item(j, vcpus, json_vcpu(j, &vm->vcpu[i]));
	put(j, o, "vcpus", vcpus);
	for (i = 0; i < vm->n_rets; i++)
		put_u64(j, rets, run_exit_name(vm->ret[i].reason, name),
			vm->ret[i].count);
	put(j, o, "returns", rets);
	return o;
}

static struct json_object *json_totals(struct json *j, const struct trace *t)
{
	struct json_object *o = checked(j, json_object_new_object());
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
	struct json_object *root, *vms, *lost;
	const char *note = trace_note(t);
	struct json j = { false };
	struct utsname uts;
	size_t i;

	root = checked(&j, json_object_new_object());
	vms = checked(&j, json_object_new_array());
	lost = checked(&j, json_object_new_object());
	uname(&uts);
	put_str(&j, root, "kernel", uts.release);
	put(&j, root, "seconds", json_object_new_double(t->seconds));
	if (t->pid)
		put_u64(&j, root, "pid", t->pid);
	if (note)
		put_str(&j, root, "note", note);
	put(&j, root, "totals", json_totals(&j, t));
	for (i = 0; i < t->n_vms; i++)
		put_item(&j, vms, json_vm(&j, &t->vm[i]));
	put(&j, root, "vms", vms);
	for (i = 0; i < LOSSES; i++)
		put_u64(&j, lost, losses[i].key, loss_of(t, &losses[i]));
	put(&j, root, "losses", lost);
	if (j.failed) {
		json_object_put(root);
		root = NULL;	/* out_json() says what that means */
	}
	return out_json(root);
}
