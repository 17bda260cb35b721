// SPDX-License-Identifier: GPL-2.0-only
/* A trace as tables for people; see trace_fmt.h. */
#include <inttypes.h>

#include "exit_names.h"
#include "output.h"
#include "trace_fmt.h"
#include "trace_parts.h"
#include "trace_subs.h"

enum column {
	COL_REASON, COL_BY, COL_EXITS, COL_RATE, COL_TIME, COL_WALL, COL_TOTAL,
	COL_MIN, COL_MEAN, COL_P50, COL_P90, COL_P99, COL_P999, COL_MAX, COLS,
};

static const char *const heads[COLS] = {
	"REASON", "BY", ">EXITS", ">EXIT/S", ">TIME%", ">WALL%", ">TOTAL",
	">MIN", ">MEAN", ">P50", ">P90", ">P99", ">P99.9", ">MAX",
};

/* What goes first where there is no room. */
static const unsigned char expendable[] = {
	COL_MIN, COL_TOTAL, COL_P90, COL_RATE, COL_MEAN, COL_P999, COL_WALL,
	COL_TIME, COL_P50,
};

static void add_share(struct table *table, double part, double whole)
{
	if (whole > 0)
		table_cell(table, "%.1f", 100 * part / whole);
	else
		table_cell(table, "-");
}

static void add_class(struct table *table, const struct trace *t, size_t vcpus,
		      const struct trace_row *row, bool user, uint64_t busy_ns)
{
	const struct exits_series *s = &row->by[user];
	bool idle = exit_is_idle(row->isa, row->reason);
	char name[EXIT_NAME_MAX], buf[TRACE_DURATION_MAX];
	struct trace_figures f = trace_figures(s);
	uint64_t times[] = { s->total_ns, f.min, f.mean, f.p50, f.p90, f.p99,
			     f.p999, f.max };
	size_t i;

	if (!f.count)
		return;
	table_cell(table, "%s%s", exit_reason_name(row->isa, row->reason, name),
		   idle ? " *" : "");
	table_cell(table, "%s", trace_class_name[user]);
	table_cell(table, "%" PRIu64, f.count);
	out_count(buf, sizeof(buf), t->seconds > 0 ? f.count / t->seconds : 0);
	table_cell(table, "%s", buf);
	add_share(table, s->total_ns, idle ? 0 : busy_ns);
	add_share(table, s->total_ns, trace_wall_ns(t, vcpus));
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		table_cell(table, "%s",
			   s->timed ? trace_duration(buf, times[i]) : "-");
}

/* A table with a line per reason and class. Return: exit status */
static int print_rows(const struct trace *t, const struct trace_rows *rows,
		      size_t vcpus, const struct trace_style *style)
{
	struct trace_total sum = trace_sum(rows);
	struct table *table;
	size_t i;

	if (!rows->n)
		return 0;
	table = table_create(COLS, heads);
	for (i = 0; i < rows->n; i++) {
		add_class(table, t, vcpus, &rows->row[i], false, sum.busy_ns);
		add_class(table, t, vcpus, &rows->row[i], true, sum.busy_ns);
	}
	if (!style->wide)
		table_fit(table, out_width(), expendable, sizeof(expendable));
	return table_print(table);
}

static void print_sums(const char *of, const struct trace_rows *rows,
		       double seconds)
{
	struct trace_total sum = trace_sum(rows);
	char busy[TRACE_DURATION_MAX], idle[TRACE_DURATION_MAX];

	printf("%s: %" PRIu64 " exits (%.0f/s), %" PRIu64
	       " to userspace, handling %s, idle %s\n", of, sum.exits,
	       seconds > 0 ? sum.exits / seconds : 0, sum.userspace,
	       trace_duration(busy, sum.busy_ns),
	       trace_duration(idle, sum.idle_ns));
}

static bool has_idle(const struct trace_rows *rows)
{
	/* Idle rows come last. */
	return rows->n && exit_is_idle(rows->row[rows->n - 1].isa,
				       rows->row[rows->n - 1].reason);
}

static void print_head(const struct trace_vm *vm, double seconds)
{
	char label[TRACE_LABEL_MAX];

	printf("== %s: ", trace_vm_label(label, vm));
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

static int print_vm(const struct trace *t, const struct trace_vm *vm,
		    const struct trace_style *style)
{
	char of[32];
	size_t i;
	int ret;

	print_head(vm, t->seconds);
	ret = print_rows(t, &vm->rows, vm->n_vcpus, style);
	if (has_idle(&vm->rows))
		printf("* time asleep included, hence not in TIME%%\n");
	if (vm->rows.n) {
		print_sums("all", &vm->rows, t->seconds);
		trace_parts_print(stdout, &vm->rows, "\n");
	}
	for (i = 0; i < vm->n_vcpus && !ret; i++) {
		snprintf(of, sizeof(of), "vCPU %u", vm->vcpu[i].id);
		print_sums(of, &vm->vcpu[i].rows, t->seconds);
		if (style->per_vcpu)
			ret = print_rows(t, &vm->vcpu[i].rows, 1, style);
	}
	print_returns(vm);
	if (!ret)
		ret = trace_subs_print(t, vm);
	putchar('\n');
	return ret;
}

int trace_print_table(const struct trace *t, const struct trace_style *style)
{
	const char *note = trace_note(t), *text;
	char cost[TRACE_DURATION_MAX];
	uint64_t count;
	int ret = 0;
	size_t i;

	for (i = 0; i < t->n_vms && !ret; i++)
		ret = print_vm(t, &t->vm[i], style);
	for (i = 0; trace_loss(t, i, &count, &text); i++)
		if (count)
			printf("lost: %" PRIu64 " %s\n", count, text);
	if (t->cost_events)
		printf("cost: %s per event (measured on %" PRIu64 ")\n",
		       trace_duration(cost, t->cost_ns / t->cost_events),
		       t->cost_events);
	if (note)
		printf("note: %s\n", note);
	return ret ? ret : out_done();
}
