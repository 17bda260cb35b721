// SPDX-License-Identifier: GPL-2.0-only
/*
 * What exits were about - a port, an address, an MSR - and where the guest was
 * when it left; in words, where there are any.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "exit_names.h"
#include "output.h"
#include "trace_fmt.h"
#include "trace_grow.h"
#include "trace_subs.h"
#include "trace_symbols.h"
#include "vmsock.h"

static const struct {
	const char *key;	/* in JSON */
	const char *text;
} kinds[EXITS_SUBS] = {
	[EXITS_SUB_PORT_IN] = { "port-in", "in" },
	[EXITS_SUB_PORT_OUT] = { "port-out", "out" },
	[EXITS_SUB_MMIO_READ] = { "mmio-read", "read" },
	[EXITS_SUB_MMIO_WRITE] = { "mmio-write", "write" },
	[EXITS_SUB_MSR_READ] = { "msr-read", "rdmsr" },
	[EXITS_SUB_MSR_WRITE] = { "msr-write", "wrmsr" },
	[EXITS_SUB_CPUID] = { "cpuid", "leaf" },
	[EXITS_SUB_HYPERCALL] = { "hypercall", "call" },
	[EXITS_SUB_FAULT] = { "fault", "fault" },
};

const char *trace_sub_kind(unsigned int sub)
{
	return sub < EXITS_SUBS && kinds[sub].key ? kinds[sub].key : "?";
}

/* The processor's page-fault error code in words. */
static void describe_fault(char buf[TRACE_SUB_MAX], uint64_t code)
{
	snprintf(buf, TRACE_SUB_MAX, "%s of %s memory (0x%" PRIx64 ")",
		 code & 2 ? "write" : code & 16 ? "fetch" : "read",
		 code & 1 ? "present" : "absent", code);
}

void trace_sub_text(char buf[TRACE_SUB_MAX], const struct trace_sub *s)
{
	if (s->sub == EXITS_SUB_FAULT)
		describe_fault(buf, s->value);
	else
		snprintf(buf, TRACE_SUB_MAX, "%s 0x%" PRIx64,
			 s->sub < EXITS_SUBS && kinds[s->sub].text ?
			 kinds[s->sub].text : "?", s->value);
}

static bool is_port(const struct trace_sub *s)
{
	return s->sub == EXITS_SUB_PORT_IN || s->sub == EXITS_SUB_PORT_OUT;
}

/* Is it a doorbell of @dev? */
static bool name_doorbell(struct trace_sub *s, struct json_object *dev,
			  const char *name)
{
	struct json_object *bells;
	size_t i;

	if (!json_object_object_get_ex(dev, is_port(s) ? "doorbell_ports" :
				       "doorbells", &bells) ||
	    !json_object_is_type(bells, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(bells); i++) {
		if (json_object_get_uint64(json_object_array_get_idx(bells, i)) !=
		    s->value)
			continue;
		snprintf(s->device, sizeof(s->device), "%s queue %zu", name, i);
		return true;
	}
	return false;
}

/* Which queue or device of @devs is at the address or port? */
static void name_address(struct trace_sub *s, struct json_object *devs)
{
	struct json_object *dev, *name, *bar, *size;
	size_t i;

	for (i = 0; i < json_object_array_length(devs); i++) {
		dev = json_object_array_get_idx(devs, i);
		if (!json_object_object_get_ex(dev, "name", &name))
			continue;
		if (name_doorbell(s, dev, json_object_get_string(name)))
			return;
		if (is_port(s) ||
		    !json_object_object_get_ex(dev, "bar", &bar) ||
		    !json_object_object_get_ex(dev, "bar_size", &size))
			continue;
		if (s->value - json_object_get_uint64(bar) >=
		    json_object_get_uint64(size))
			continue;
		snprintf(s->device, sizeof(s->device), "%s",
			 json_object_get_string(name));
		return;
	}
}

void trace_subs_name(struct trace_vm *vm)
{
	struct json_object *reply = NULL, *devs;
	size_t i;
	int fd;

	if (!vm->n_subs || !vmsock_name_valid(vm->name))
		return;
	fd = vmsock_connect(vm->name);
	if (fd < 0)
		return;
	if (!vmsock_ask(fd, "info", &reply) &&
	    json_object_object_get_ex(reply, "devices", &devs) &&
	    json_object_is_type(devs, json_type_array))
		for (i = 0; i < vm->n_subs; i++)
			if (is_port(&vm->sub[i]) ||
			    vm->sub[i].sub == EXITS_SUB_MMIO_READ ||
			    vm->sub[i].sub == EXITS_SUB_MMIO_WRITE)
				name_address(&vm->sub[i], devs);
	json_object_put(reply);
	close(fd);
}

int trace_sub_add(struct trace_vm *vm, const struct exits_sub_key *key,
		  const struct exits_sub_count *c)
{
	struct trace_sub *s = trace_grow(&vm->sub, &vm->n_subs, &vm->spare_subs,
					 sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct trace_sub){
		.isa = key->exit.isa,
		.reason = key->exit.reason,
		.user = key->exit.user,
		.sub = key->sub,
		.value = key->value,
		.count = *c,
	};
	return 0;
}

int trace_rip_add(struct trace_vm *vm, const struct exits_rip_key *key,
		  uint64_t count)
{
	struct trace_rip *r = trace_grow(&vm->rip, &vm->n_rips, &vm->spare_rips,
					 sizeof(*r));

	if (!r)
		return -ENOMEM;
	/* So far they are sampled on SVM only. */
	*r = (struct trace_rip){ EXITS_ISA_SVM, key->reason, key->rip, count };
	return 0;
}

static int sub_key_cmp(const void *a, const void *b)
{
	const struct trace_sub *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	if (x->sub != y->sub)
		return x->sub < y->sub ? -1 : 1;
	if (x->reason != y->reason)
		return x->reason < y->reason ? -1 : 1;
	return (int)x->user - (int)y->user;
}

static int rip_key_cmp(const void *a, const void *b)
{
	const struct trace_rip *x = a, *y = b;

	if (x->rip != y->rip)
		return x->rip < y->rip ? -1 : 1;
	return x->reason < y->reason ? -1 : x->reason > y->reason;
}

static void sub_count_add(struct exits_sub_count *to,
			  const struct exits_sub_count *c)
{
	to->timed += c->timed;
	to->total_ns += c->total_ns;
	if (c->max_ns > to->max_ns)
		to->max_ns = c->max_ns;
}

static void join_subs(struct trace_vm *vm)
{
	size_t i, last = 0;

	qsort(vm->sub, vm->n_subs, sizeof(*vm->sub), sub_key_cmp);
	for (i = 1; i < vm->n_subs; i++) {
		if (!sub_key_cmp(&vm->sub[last], &vm->sub[i]))
			sub_count_add(&vm->sub[last].count, &vm->sub[i].count);
		else
			vm->sub[++last] = vm->sub[i];
	}
	vm->spare_subs += vm->n_subs - (last + 1);
	vm->n_subs = last + 1;
}

static void join_rips(struct trace_vm *vm)
{
	size_t i, last = 0;

	qsort(vm->rip, vm->n_rips, sizeof(*vm->rip), rip_key_cmp);
	for (i = 1; i < vm->n_rips; i++) {
		if (!rip_key_cmp(&vm->rip[last], &vm->rip[i]))
			vm->rip[last].count += vm->rip[i].count;
		else
			vm->rip[++last] = vm->rip[i];
	}
	vm->spare_rips += vm->n_rips - (last + 1);
	vm->n_rips = last + 1;
}

void trace_subs_join(struct trace_vm *vm)
{
	if (vm->n_subs)
		join_subs(vm);
	if (vm->n_rips)
		join_rips(vm);
}

static int sub_time_cmp(const void *a, const void *b)
{
	const struct trace_sub *x = a, *y = b;

	if (x->count.total_ns != y->count.total_ns)
		return x->count.total_ns < y->count.total_ns ? 1 : -1;
	return sub_key_cmp(x, y);
}

static int rip_count_cmp(const void *a, const void *b)
{
	const struct trace_rip *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return rip_key_cmp(x, y);
}

void trace_subs_sort(struct trace_vm *vm)
{
	if (vm->n_subs)
		qsort(vm->sub, vm->n_subs, sizeof(*vm->sub), sub_time_cmp);
	if (vm->n_rips)
		qsort(vm->rip, vm->n_rips, sizeof(*vm->rip), rip_count_cmp);
}

static int print_subs(const struct trace_vm *vm)
{
	static const char *const heads[] = {
		"REASON", "BY", "WHAT", ">EXITS", ">TOTAL", ">MEAN", ">MAX", "DEVICE",
	};
	char name[EXIT_NAME_MAX], what[TRACE_SUB_MAX];
	char buf[TRACE_DURATION_MAX];
	struct table *table;
	size_t i;

	if (!vm->n_subs)
		return 0;
	table = table_create(sizeof(heads) / sizeof(heads[0]), heads);
	for (i = 0; i < vm->n_subs && i < TRACE_SUBS_SHOWN; i++) {
		const struct trace_sub *s = &vm->sub[i];

		trace_sub_text(what, s);
		table_cell(table, "%s", exit_reason_name(s->isa, s->reason, name));
		table_cell(table, s->user ? "user" : "kernel");
		table_cell(table, "%s", what);
		table_cell(table, "%llu", s->count.timed);
		table_cell(table, "%s", trace_duration(buf, s->count.total_ns));
		table_cell(table, "%s", trace_duration(buf, s->count.total_ns /
						       s->count.timed));
		table_cell(table, "%s", trace_duration(buf, s->count.max_ns));
		table_cell(table, "%s", *s->device ? s->device : "-");
	}
	return table_print(table);
}

void trace_rip_text(char buf[TRACE_RIP_MAX], const struct trace *t,
		    const struct trace_rip *r)
{
	const char *symbol = NULL;
	uint64_t offset;

	if (t->symbols)
		symbol = trace_symbols_find(t->symbols, r->rip, &offset);
	if (!symbol) {
		snprintf(buf, TRACE_RIP_MAX, "0x%" PRIx64, r->rip);
		return;
	}
	snprintf(buf, TRACE_RIP_MAX, "%.*s+0x%" PRIx64, TRACE_RIP_MAX - 32, symbol,
		 offset);
}

static int print_rips(const struct trace *t, const struct trace_vm *vm)
{
	static const char *const heads[] = { "REASON", ">SAMPLES", "GUEST AT" };
	char name[EXIT_NAME_MAX], where[TRACE_RIP_MAX];
	struct table *table;
	size_t i;

	if (!vm->n_rips)
		return 0;
	table = table_create(3, heads);
	for (i = 0; i < vm->n_rips && i < TRACE_SUBS_SHOWN; i++) {
		const struct trace_rip *r = &vm->rip[i];

		trace_rip_text(where, t, r);
		table_cell(table, "%s", exit_reason_name(r->isa, r->reason, name));
		table_cell(table, "%" PRIu64, r->count);
		table_cell(table, "%s", where);
	}
	return table_print(table);
}

int trace_subs_print(const struct trace *t, const struct trace_vm *vm)
{
	int ret = print_subs(vm);

	return ret ? ret : print_rips(t, vm);
}

struct json_object *trace_subs_json(struct json *j, const struct trace_vm *vm)
{
	struct json_object *list = json_new_list(j), *o;
	char name[EXIT_NAME_MAX];
	size_t i;

	for (i = 0; i < vm->n_subs; i++) {
		const struct trace_sub *s = &vm->sub[i];

		o = json_new(j);
		json_put_str(j, o, "reason", exit_reason_name(s->isa, s->reason, name));
		json_put_bool(j, o, "user", s->user);
		json_put_str(j, o, "kind", trace_sub_kind(s->sub));
		json_put_u64(j, o, "value", s->value);
		if (*s->device)
			json_put_str(j, o, "device", s->device);
		json_put_u64(j, o, "count", s->count.timed);
		json_put_u64(j, o, "total_ns", s->count.total_ns);
		json_put_u64(j, o, "max_ns", s->count.max_ns);
		json_put_item(j, list, o);
	}
	return list;
}

struct json_object *trace_rips_json(struct json *j, const struct trace *t,
				    const struct trace_vm *vm)
{
	struct json_object *list = json_new_list(j), *o;
	char name[EXIT_NAME_MAX], where[TRACE_RIP_MAX];
	size_t i;

	for (i = 0; i < vm->n_rips; i++) {
		const struct trace_rip *r = &vm->rip[i];

		trace_rip_text(where, t, r);
		o = json_new(j);
		json_put_str(j, o, "reason", exit_reason_name(r->isa, r->reason, name));
		json_put_u64(j, o, "rip", r->rip);
		json_put_str(j, o, "symbol", where);
		json_put_u64(j, o, "samples", r->count);
		json_put_item(j, list, o);
	}
	return list;
}
