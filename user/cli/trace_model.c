// SPDX-License-Identifier: GPL-2.0-only
/* Exits that were counted, as plain data; see trace.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exit_names.h"
#include "trace.h"
#include "trace_grow.h"
#include "trace_subs.h"

struct trace_vm *trace_vm_grow(struct trace *t)
{
	return trace_grow(&t->vm, &t->n_vms, &t->spare_vms, sizeof(*t->vm));
}

struct trace_vcpu *trace_vcpu_grow(struct trace_vm *vm)
{
	return trace_grow(&vm->vcpu, &vm->n_vcpus, &vm->spare_vcpus,
			  sizeof(*vm->vcpu));
}

static struct trace_row *row_get(struct trace_rows *rows, uint32_t isa,
				 uint32_t reason)
{
	struct trace_row *r;
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (rows->row[i].isa == isa && rows->row[i].reason == reason)
			return &rows->row[i];
	r = trace_grow(&rows->row, &rows->n, &rows->spare, sizeof(*r));
	if (r) {
		memset(r, 0, sizeof(*r));
		r->isa = isa;
		r->reason = reason;
	}
	return r;
}

static void series_add(struct exits_series *to, const struct exits_series *s)
{
	size_t i;

	if (s->timed && (!to->timed || s->min_ns < to->min_ns))
		to->min_ns = s->min_ns;
	to->timed += s->timed;
	to->untimed += s->untimed;
	to->total_ns += s->total_ns;
	if (s->max_ns > to->max_ns)
		to->max_ns = s->max_ns;
	to->user_ns += s->user_ns;
	to->ready_ns += s->ready_ns;
	to->blocked_ns += s->blocked_ns;
	to->poll_ns += s->poll_ns;
	for (i = 0; i < HIST_BUCKETS; i++)
		to->bucket[i] += s->bucket[i];
}

struct exits_series trace_both(const struct trace_row *row)
{
	struct exits_series s = row->by[0];

	series_add(&s, &row->by[1]);
	return s;
}

int trace_book(struct trace_vm *vm, struct trace_vcpu *vcpu, uint32_t isa,
	       uint32_t reason, bool user, const struct exits_series *s)
{
	struct trace_row *of_vm = row_get(&vm->rows, isa, reason);
	struct trace_row *of_vcpu = row_get(&vcpu->rows, isa, reason);

	if (!of_vm || !of_vcpu)
		return -ENOMEM;
	series_add(&of_vm->by[user], s);
	series_add(&of_vcpu->by[user], s);
	return 0;
}

int trace_return_add(struct trace_vm *vm, uint32_t reason, uint64_t count)
{
	struct trace_return *r;
	size_t i;

	for (i = 0; i < vm->n_rets; i++)
		if (vm->ret[i].reason == reason)
			break;
	if (i == vm->n_rets) {
		r = trace_grow(&vm->ret, &vm->n_rets, &vm->spare_rets, sizeof(*r));
		if (!r)
			return -ENOMEM;
		*r = (struct trace_return){ .reason = reason };
	}
	vm->ret[i].count += count;
	return 0;
}

static uint64_t row_ns(const struct trace_row *r)
{
	return r->by[0].total_ns + r->by[1].total_ns;
}

static uint64_t row_exits(const struct trace_row *r)
{
	return r->by[0].timed + r->by[0].untimed +
	       r->by[1].timed + r->by[1].untimed;
}

/* Idle last, then by time, by count, by code: the order never depends on luck. */
static int row_cmp(const void *a, const void *b)
{
	const struct trace_row *x = a, *y = b;
	bool xi = exit_is_idle(x->isa, x->reason);
	bool yi = exit_is_idle(y->isa, y->reason);

	if (xi != yi)
		return xi ? 1 : -1;
	if (row_ns(x) != row_ns(y))
		return row_ns(x) < row_ns(y) ? 1 : -1;
	if (row_exits(x) != row_exits(y))
		return row_exits(x) < row_exits(y) ? 1 : -1;
	return x->reason < y->reason ? -1 : x->reason > y->reason;
}

static int vcpu_cmp(const void *a, const void *b)
{
	const struct trace_vcpu *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int ret_cmp(const void *a, const void *b)
{
	const struct trace_return *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->reason < y->reason ? -1 : x->reason > y->reason;
}

/* qsort() wants an array even for nothing. */
static void sort(void *array, size_t n, size_t size,
		 int (*cmp)(const void *, const void *))
{
	if (n)
		qsort(array, n, size, cmp);
}

static void sort_vm(struct trace_vm *vm)
{
	size_t i;

	sort(vm->rows.row, vm->rows.n, sizeof(*vm->rows.row), row_cmp);
	for (i = 0; i < vm->n_vcpus; i++)
		sort(vm->vcpu[i].rows.row, vm->vcpu[i].rows.n,
		     sizeof(*vm->vcpu[i].rows.row), row_cmp);
	sort(vm->vcpu, vm->n_vcpus, sizeof(*vm->vcpu), vcpu_cmp);
	sort(vm->ret, vm->n_rets, sizeof(*vm->ret), ret_cmp);
	trace_subs_sort(vm);
}

void trace_sort(struct trace *t)
{
	size_t i;

	for (i = 0; i < t->n_vms; i++)
		sort_vm(&t->vm[i]);
}

struct trace_total trace_sum(const struct trace_rows *rows)
{
	struct trace_total sum = { 0 };
	size_t i;

	for (i = 0; i < rows->n; i++) {
		const struct trace_row *r = &rows->row[i];

		sum.exits += row_exits(r);
		sum.userspace += r->by[1].timed + r->by[1].untimed;
		if (exit_is_idle(r->isa, r->reason))
			sum.idle_ns += row_ns(r);
		else
			sum.busy_ns += row_ns(r);
	}
	return sum;
}

static struct trace_rows rows_clear(const struct trace_rows *r)
{
	return (struct trace_rows){ .row = r->row, .spare = r->n + r->spare };
}

static void vm_clear(struct trace_vm *vm)
{
	size_t i;

	for (i = 0; i < vm->n_vcpus; i++)
		vm->vcpu[i] = (struct trace_vcpu){
			.rows = rows_clear(&vm->vcpu[i].rows),
		};
	*vm = (struct trace_vm){
		.rows = rows_clear(&vm->rows),
		.vcpu = vm->vcpu, .spare_vcpus = vm->n_vcpus + vm->spare_vcpus,
		.ret = vm->ret, .spare_rets = vm->n_rets + vm->spare_rets,
		.sub = vm->sub, .spare_subs = vm->n_subs + vm->spare_subs,
		.rip = vm->rip, .spare_rips = vm->n_rips + vm->spare_rips,
	};
}

/* The only VM of the process that @t->vm[@i] stands for; NULL: there are more. */
static struct trace_vm *only_vm(struct trace *t, size_t i)
{
	struct trace_vm *only = NULL;
	size_t k;

	for (k = 0; k < t->n_vms; k++) {
		if (t->vm[k].pid != t->vm[i].pid || !t->vm[k].kvm)
			continue;
		if (only)
			return NULL;
		only = &t->vm[k];
	}
	return only;
}

int trace_join_returns(struct trace *t)
{
	struct trace_vm *only, empty;
	size_t i, k;
	int err = 0;

	/* If there was no room for some vCPUs, those we know may not be the only ones. */
	for (i = t->lost.vcpus_full ? 0 : t->n_vms; i-- > 0;) {
		only = t->vm[i].kvm ? NULL : only_vm(t, i);
		if (!only)
			continue;
		for (k = 0; k < t->vm[i].n_rets && !err; k++)
			err = trace_return_add(only, t->vm[i].ret[k].reason,
					       t->vm[i].ret[k].count);
		if (err)
			return err;
		vm_clear(&t->vm[i]);
		/* None that is behind it has cells: their indices may change. */
		empty = t->vm[i];
		t->n_vms--;
		t->spare_vms++;
		memmove(&t->vm[i], &t->vm[i + 1], (t->n_vms - i) * sizeof(empty));
		t->vm[t->n_vms] = empty;
	}
	return 0;
}

void trace_clear(struct trace *t)
{
	size_t i;

	for (i = 0; i < t->n_vms; i++)
		vm_clear(&t->vm[i]);
	*t = (struct trace){ .vm = t->vm, .spare_vms = t->n_vms + t->spare_vms };
}

void trace_free(struct trace *t)
{
	size_t i, k;

	for (k = 0; k < t->n_vms + t->spare_vms; k++) {
		struct trace_vm *vm = &t->vm[k];

		for (i = 0; i < vm->n_vcpus + vm->spare_vcpus; i++)
			free(vm->vcpu[i].rows.row);
		free(vm->vcpu);
		free(vm->rows.row);
		free(vm->ret);
		free(vm->sub);
		free(vm->rip);
	}
	free(t->vm);
	t->vm = NULL;
	t->n_vms = 0;
	t->spare_vms = 0;
}
