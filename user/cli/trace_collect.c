// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the tracer's maps to virtual machines, vCPUs and exit reasons.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace.h"
#include "trace_maps.h"
#include "trace_names.h"
#include "trace_subs.h"

/* Where a life's counts go: indices, since the arrays move as they grow. */
struct place {
	size_t vm, vcpu;
	bool used;
};

/* One look, under way. */
struct look {
	struct trace *t;
	const struct trace_maps *maps;
	struct place *place;	/* of every life */
};

static bool has_vcpu(const struct trace_vm *vm, uint32_t id)
{
	size_t i;

	for (i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpu[i].id == id)
			return true;
	return false;
}

/* When the process of @life started, in clock ticks. */
static uint64_t life_start(const struct exits_life *life)
{
	return life->start_ns / (1000000000ULL / sysconf(_SC_CLK_TCK));
}

/*
 * The VM of @life. A VM never gets a vCPU number twice: a second life with the
 * same is another VM that was given the same memory.
 */
static struct trace_vm *vm_of(const struct look *look, const struct exits_life *life)
{
	const struct trace_name *called;
	struct trace *t = look->t;
	struct trace_vm *vm;
	size_t i;

	for (i = t->n_vms; i-- > 0;) {
		vm = &t->vm[i];
		if (vm->pid == life->tgid && vm->start_ns == life->start_ns &&
		    vm->kvm == life->kvm && !has_vcpu(vm, life->vcpu_id))
			return vm;
	}
	vm = trace_vm_grow(t);
	if (!vm)
		return NULL;
	vm->pid = life->tgid;
	vm->kvm = life->kvm;
	vm->start_ns = life->start_ns;
	memcpy(vm->comm, life->comm, sizeof(life->comm));
	called = trace_names_get(look->maps->names, vm->pid, life_start(life));
	if (called)
		memcpy(vm->name, called->name, sizeof(vm->name));
	return vm;
}

/* An entry of map "lives". */
static int add_life(void *ctx, const void *key, void *value)
{
	const struct exits_life *life = value;
	const uint32_t *number = key;
	struct look *look = ctx;
	struct trace_vcpu *vcpu;
	struct trace_vm *vm;

	if (!life->tgid)
		return 0;
	vm = vm_of(look, life);
	vcpu = vm ? trace_vcpu_grow(vm) : NULL;
	if (!vcpu)
		return -ENOMEM;
	vcpu->id = life->vcpu_id;
	look->place[*number] = (struct place){
		vm - look->t->vm, vm->n_vcpus - 1, true,
	};
	return 0;
}

/* The place of a life, or NULL. */
static const struct place *place_of(const struct look *look, uint32_t life)
{
	return life <= look->maps->last_life && look->place[life].used ?
	       &look->place[life] : NULL;
}

/* @s is of @key, in a life whose place is @p. */
static int book(struct trace *t, const struct place *p,
		const struct exits_key *key, const struct exits_series *s)
{
	struct trace_vm *vm = &t->vm[p->vm];

	return trace_book(vm, &vm->vcpu[p->vcpu], key->isa, key->reason,
			  key->user, s);
}

/*
 * Make a whole of what was read while it counts, each number at another moment:
 * times are the sum of their parts, exits of their buckets. So the parts never
 * exceed the whole, and nothing falls from one look to the next.
 */
static void series_settle(struct exits_series *s)
{
	size_t i;

	s->total_ns = s->kernel_ns + s->user_ns + s->ready_ns + s->blocked_ns +
		      s->poll_ns;
	for (s->timed = 0, i = 0; i < HIST_BUCKETS; i++)
		s->timed += s->bucket[i];
}

/* An entry of map "series". */
static int add_series(void *ctx, const void *key, void *value)
{
	const struct look *look = ctx;
	struct exits_slot *slot = value;
	const struct place *p = place_of(look, slot->key.life);

	(void)key;
	if (!p)
		return 0;
	series_settle(&slot->s);
	return book(look->t, p, &slot->key, &slot->s);
}

/*
 * The VM that stands for a process: for returns of threads of which no exit was
 * seen before. Which VM is theirs is not known. See also trace_join_returns().
 */
static struct trace_vm *vm_of_process(const struct look *look, uint32_t pid)
{
	const struct trace_name *called;
	struct trace *t = look->t;
	struct trace_vm *vm;
	size_t i;

	for (i = 0; i < t->n_vms; i++)
		if (t->vm[i].pid == pid && !t->vm[i].kvm)
			return &t->vm[i];
	vm = trace_vm_grow(t);
	if (!vm)
		return NULL;
	vm->pid = pid;
	called = trace_names_get(look->maps->names, pid, 0);
	if (called) {
		memcpy(vm->comm, called->comm, sizeof(vm->comm));
		memcpy(vm->name, called->name, sizeof(vm->name));
	}
	return vm;
}

/* An entry of map "states": returns, and perhaps an exit that is still open. */
static int add_state(void *ctx, const void *key, void *value)
{
	const struct exits_series one = { .untimed = 1 };
	const struct exits_vcpu *v = value;
	const struct look *look = ctx;
	const struct place *p = place_of(look, *(const uint32_t *)key);
	uint32_t i;
	int err = 0;

	if (!p)
		return 0;
	for (i = 0; i < EXITS_KNOWN_RETURNS && !err; i++)
		if (v->returns[i])
			err = trace_return_add(&look->t->vm[p->vm], i, v->returns[i]);
	if (look->maps->over && v->at != EXITS_AT_GUEST && !err)
		err = book(look->t, p, &v->key, &one);
	return err;
}

/* An entry of map "returns". */
static int add_return(void *ctx, const void *key, void *value)
{
	const struct exits_return_key *k = key;
	const struct look *look = ctx;
	const struct place *p = k->life ? place_of(look, k->life) : NULL;
	struct trace_vm *vm;

	vm = p ? &look->t->vm[p->vm] : vm_of_process(look, k->tgid);
	return vm ? trace_return_add(vm, k->reason, *(const uint64_t *)value) : -ENOMEM;
}

/* An entry of map "subs". */
static int add_sub(void *ctx, const void *key, void *value)
{
	const struct exits_sub_key *k = key;
	const struct look *look = ctx;
	const struct place *p = place_of(look, k->exit.life);

	return p ? trace_sub_add(&look->t->vm[p->vm], k, value) : 0;
}

/* An entry of map "rips". */
static int add_rip(void *ctx, const void *key, void *value)
{
	const struct exits_rip_key *k = key;
	const struct look *look = ctx;
	const struct place *p = place_of(look, k->life);

	return p ? trace_rip_add(&look->t->vm[p->vm], k,
				 *(const uint64_t *)value) : 0;
}

static int collect(struct look *look)
{
	const struct trace_maps *m = look->maps;
	const struct {
		struct trace_map map;
		trace_map_fn fn;
	} all[] = {
#define MAP(fd, key, value, n) { fd, sizeof(key), sizeof(value), n }
		/* Lives are numbered from 1. */
		{ MAP(m->lives, uint32_t, struct exits_life, m->last_life + 1),
		  add_life },
		{ MAP(m->series, uint32_t, struct exits_slot, m->n_series),
		  add_series },
		{ MAP(m->states, uint32_t, struct exits_vcpu, m->last_life + 1),
		  add_state },
		{ MAP(m->returns, struct exits_return_key, uint64_t, TRACE_MAP_ALL),
		  add_return },
		{ MAP(m->subs, struct exits_sub_key, struct exits_sub_count,
		      TRACE_MAP_ALL), add_sub },
		{ MAP(m->rips, struct exits_rip_key, uint64_t, TRACE_MAP_ALL),
		  add_rip },
#undef MAP
	};
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof(all) / sizeof(all[0]) && !err; i++)
		err = trace_map_read(&all[i].map, all[i].fn, look);
	return err;
}

int trace_collect(struct trace *t, const struct trace_maps *maps)
{
	struct look look = { .t = t, .maps = maps };
	size_t i;
	int err;

	look.place = calloc(maps->last_life + 1, sizeof(*look.place));
	if (!look.place)
		return -ENOMEM;
	err = collect(&look);
	free(look.place);
	for (i = 0; i < t->n_vms; i++)
		trace_subs_join(&t->vm[i]);
	return err;
}

void trace_ready(struct trace *t)
{
	size_t i;

	trace_sort(t);
	for (i = 0; i < t->n_vms; i++)
		trace_subs_name(&t->vm[i]);
}
