// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the tracer's maps to virtual machines, vCPUs and exit reasons.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "exit_names.h"
#include "trace.h"
#include "trace_subs.h"
#include "trace_vm.h"

/* Where a life's counts go: indices, since the arrays move as they grow. */
struct place {
	size_t vm, vcpu;
	bool used;
};

/* One more zeroed element at the end of the array *@array of *@n. */
static void *append(void *array, size_t *n, size_t size)
{
	void **p = array, *grown = realloc(*p, (*n + 1) * size);

	if (!grown)
		return NULL;
	*p = grown;
	return memset((char *)grown + (*n)++ * size, 0, size);
}

/* Is the process that has @vm's number now still the one that was traced? */
static bool same_process(const struct trace_vm *vm)
{
	unsigned long long ticks;
	char path[64], buf[1024], *s;
	bool same = false;
	size_t len;
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/proc/%u/stat", vm->pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	len = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[len] = 0;
	s = strrchr(buf, ')');
	/* Field 3 begins two bytes behind; 19 more blanks lead to field 22. */
	for (i = 0; s && i < 20; i++)
		s = strchr(s + 1, ' ');
	if (s) {
		ticks = strtoull(s, NULL, 10);
		same = ticks == vm->start_ns * sysconf(_SC_CLK_TCK) / 1000000000ULL;
	}
	return same;
}

static bool has_vcpu(const struct trace_vm *vm, uint32_t id)
{
	size_t i;

	for (i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpu[i].id == id)
			return true;
	return false;
}

/*
 * The VM of @life. A VM never gets a vCPU number twice: a second life with the
 * same is another VM that was given the same memory.
 */
static struct trace_vm *vm_of(struct trace *t, const struct exits_life *life)
{
	struct trace_vm *vm;
	size_t i;

	for (i = t->n_vms; i-- > 0;) {
		vm = &t->vm[i];
		if (vm->pid == life->tgid && vm->start_ns == life->start_ns &&
		    vm->kvm == life->kvm && !has_vcpu(vm, life->vcpu_id))
			return vm;
	}
	vm = append(&t->vm, &t->n_vms, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->pid = life->tgid;
	vm->kvm = life->kvm;
	vm->start_ns = life->start_ns;
	memcpy(vm->comm, life->comm, sizeof(life->comm));
	if (same_process(vm))
		trace_vm_name(vm->pid, vm->name, sizeof(vm->name));
	return vm;
}

static int collect_lives(struct trace *t, const struct trace_maps *maps,
			 struct place *place)
{
	struct trace_vcpu *vcpu;
	struct exits_life life;
	struct trace_vm *vm;
	uint32_t i;

	for (i = 1; i <= maps->last_life; i++) {
		if (bpf_map_lookup_elem(maps->lives, &i, &life))
			return -errno;
		if (!life.tgid)
			continue;
		vm = vm_of(t, &life);
		if (!vm)
			return -ENOMEM;
		vcpu = append(&vm->vcpu, &vm->n_vcpus, sizeof(*vcpu));
		if (!vcpu)
			return -ENOMEM;
		vcpu->id = life.vcpu_id;
		place[i] = (struct place){ vm - t->vm, vm->n_vcpus - 1, true };
	}
	return 0;
}

static struct trace_row *row_get(struct trace_rows *rows, uint32_t isa,
				 uint32_t reason)
{
	struct trace_row *r;
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (rows->row[i].isa == isa && rows->row[i].reason == reason)
			return &rows->row[i];
	r = append(&rows->row, &rows->n, sizeof(*r));
	if (r) {
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

/* @s is of @key, in a life whose place is @p. */
static int book(struct trace *t, const struct place *p,
		const struct exits_key *key, const struct exits_series *s)
{
	struct trace_vm *vm = &t->vm[p->vm];

	return trace_book(vm, &vm->vcpu[p->vcpu], key->isa, key->reason,
			  key->user, s);
}

static int collect_series(struct trace *t, const struct trace_maps *maps,
			  const struct place *place)
{
	struct exits_slot slot;
	uint32_t i;
	int err;

	for (i = 0; i < maps->n_series; i++) {
		if (bpf_map_lookup_elem(maps->series, &i, &slot))
			return -errno;
		if (slot.key.life > maps->last_life || !place[slot.key.life].used)
			continue;
		err = book(t, &place[slot.key.life], &slot.key, &slot.s);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The VM for returns of a process of which no exit was seen before: its only
 * VM, or else one that stands for the process. If there was no room for some
 * vCPUs, the one we know may not be the only one.
 */
static struct trace_vm *vm_of_process(struct trace *t, uint32_t pid)
{
	struct trace_vm *vm, *only = NULL;
	char path[64];
	size_t i, n = 0;
	FILE *f;

	for (i = 0; i < t->n_vms; i++) {
		if (t->vm[i].pid != pid)
			continue;
		if (!t->vm[i].kvm)
			return &t->vm[i];
		only = &t->vm[i];
		n++;
	}
	if (n == 1 && !t->lost.vcpus_full)
		return only;
	vm = append(&t->vm, &t->n_vms, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->pid = pid;
	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	f = fopen(path, "re");
	if (f) {
		n = fread(vm->comm, 1, sizeof(vm->comm) - 1, f);
		fclose(f);
		if (n && vm->comm[n - 1] == '\n')
			vm->comm[n - 1] = 0;
		trace_vm_name(vm->pid, vm->name, sizeof(vm->name));
	}
	return vm;
}

static int return_add(struct trace_vm *vm, uint32_t reason, uint64_t count)
{
	struct trace_return *r;
	size_t i;

	for (i = 0; i < vm->n_rets; i++)
		if (vm->ret[i].reason == reason)
			break;
	if (i == vm->n_rets) {
		r = append(&vm->ret, &vm->n_rets, sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->reason = reason;
	}
	vm->ret[i].count += count;
	return 0;
}

/* What is in the vCPUs' states: exits that are still open, and returns. */
static int collect_states(struct trace *t, const struct trace_maps *maps,
			  const struct place *place)
{
	const struct exits_series one = { .untimed = 1 };
	struct exits_vcpu v;
	uint32_t i, k;
	int err = 0;

	for (i = 1; i <= maps->last_life && !err; i++) {
		if (bpf_map_lookup_elem(maps->states, &i, &v))
			return -errno;
		if (!place[i].used)
			continue;
		for (k = 0; k < EXITS_KNOWN_RETURNS && !err; k++)
			if (v.returns[k])
				err = return_add(&t->vm[place[i].vm], k,
						 v.returns[k]);
		if (maps->over && v.at != EXITS_AT_GUEST && !err)
			err = book(t, &place[i], &v.key, &one);
	}
	return err;
}

static int collect_returns(struct trace *t, const struct trace_maps *maps,
			   const struct place *place)
{
	struct exits_return_key key, *last = NULL;
	struct trace_vm *vm;
	uint64_t count;
	int err;

	while (!bpf_map_get_next_key(maps->returns, last, &key)) {
		last = &key;
		if (bpf_map_lookup_elem(maps->returns, &key, &count))
			return -errno;
		if (key.life && key.life <= maps->last_life &&
		    place[key.life].used)
			vm = &t->vm[place[key.life].vm];
		else
			vm = vm_of_process(t, key.tgid);
		err = vm ? return_add(vm, key.reason, count) : -ENOMEM;
		if (err)
			return err;
	}
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

struct lives {
	struct trace *t;
	const struct place *place;
	uint32_t last;
};

static struct trace_vm *vm_of_life(void *ctx, uint32_t life)
{
	const struct lives *l = ctx;

	return life <= l->last && l->place[life].used ?
	       &l->t->vm[l->place[life].vm] : NULL;
}

int trace_collect(struct trace *t, const struct trace_maps *maps)
{
	struct place *place = calloc(maps->last_life + 1, sizeof(*place));
	int err;

	if (!place)
		return -ENOMEM;
	err = collect_lives(t, maps, place);
	if (!err)
		err = collect_series(t, maps, place);
	if (!err)
		err = collect_states(t, maps, place);
	if (!err)
		err = collect_returns(t, maps, place);
	if (!err)
		err = trace_subs_collect(t, maps, vm_of_life,
					 &(struct lives){ t, place, maps->last_life });
	trace_sort(t);
	free(place);
	return err;
}

void trace_free(struct trace *t)
{
	size_t i, k;

	for (i = 0; i < t->n_vms; i++) {
		for (k = 0; k < t->vm[i].n_vcpus; k++)
			free(t->vm[i].vcpu[k].rows.row);
		free(t->vm[i].vcpu);
		free(t->vm[i].rows.row);
		free(t->vm[i].ret);
		free(t->vm[i].sub);
		free(t->vm[i].rip);
	}
	free(t->vm);
	t->vm = NULL;
	t->n_vms = 0;
}
