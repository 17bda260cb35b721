// SPDX-License-Identifier: GPL-2.0-only
/* Recordings of exits; see trace_file.h. */
#include <string.h>

#include "exit_names.h"
#include "run.h"
#include "trace_file_json.h"
#include "trace_fmt.h"

static void put_cell(struct json *j, struct json_object *o,
		     const uint32_t key[TRACE_KEY], const void *trace)
{
	(void)trace;
	json_put_u64(j, o, "vm", key[TRACE_CELL_VM]);
	json_put_u64(j, o, "isa", key[TRACE_CELL_ISA]);
	json_put_u64(j, o, "code", key[TRACE_CELL_REASON]);
	json_put_bool(j, o, "user", key[TRACE_CELL_USER]);
}

static void get_cell(struct file_reader *r, struct json_object *o,
		     uint32_t key[TRACE_KEY], const void *trace)
{
	static const char why[] = "a bad cell of a slice";
	const struct trace *t = trace;

	if (!t->n_vms)
		file_refuse(r, why);
	key[TRACE_CELL_VM] = file_get_number(r, o, "vm", t->n_vms - 1, why);
	key[TRACE_CELL_ISA] = file_get_number(r, o, "isa", UINT16_MAX, why);
	key[TRACE_CELL_REASON] = file_get_number(r, o, "code", UINT32_MAX, why);
	key[TRACE_CELL_USER] = file_get_bool(r, o, "user", why);
}

static const struct file_cells cells = {
	.total = "total_ns", .put = put_cell, .get = get_cell,
};

/* ---- writing ---- */

static struct json_object *series(struct json *j, const struct exits_series *s)
{
	struct json_object *o = json_new(j);

	json_put_u64(j, o, "timed", s->timed);
	json_put_u64(j, o, "untimed", s->untimed);
	json_put_u64(j, o, "total_ns", s->total_ns);
	json_put_u64(j, o, "max_ns", s->max_ns);
	json_put_u64(j, o, "min_ns", s->min_ns);
	json_put_u64(j, o, "user_ns", s->user_ns);
	json_put_u64(j, o, "ready_ns", s->ready_ns);
	json_put_u64(j, o, "blocked_ns", s->blocked_ns);
	json_put_u64(j, o, "poll_ns", s->poll_ns);
	file_put_hist(j, o, s->bucket);
	return o;
}

static struct json_object *vcpu(struct json *j, const struct trace_vcpu *v)
{
	struct json_object *o = json_new(j), *list = json_new_list(j), *row;
	char name[EXIT_NAME_MAX];
	size_t i;
	int by;

	for (i = 0; i < v->rows.n && !j->failed; i++) {
		const struct trace_row *r = &v->rows.row[i];

		row = json_new(j);
		json_put_u64(j, row, "isa", r->isa);
		json_put_u64(j, row, "code", r->reason);
		json_put_str(j, row, "reason",
			     exit_reason_name(r->isa, r->reason, name));
		for (by = 0; by < 2; by++)
			if (r->by[by].timed || r->by[by].untimed)
				json_put(j, row, trace_class_name[by],
					 series(j, &r->by[by]));
		json_put_item(j, list, row);
	}
	json_put_u64(j, o, "id", v->id);
	json_put(j, o, "reasons", list);
	return o;
}

static struct json_object *vm(struct json *j, const struct trace_vm *vm)
{
	struct json_object *o = json_new(j), *vcpus = json_new_list(j);
	struct json_object *rets = json_new_list(j), *ret;
	char name[EXIT_NAME_MAX];
	size_t i;

	json_put_u64(j, o, "pid", vm->pid);
	file_put_bytes(j, o, "comm", vm->comm);
	file_put_bytes(j, o, "name", vm->name);
	json_put_bool(j, o, "known", vm->kvm);
	for (i = 0; i < vm->n_vcpus; i++)
		json_put_item(j, vcpus, vcpu(j, &vm->vcpu[i]));
	json_put(j, o, "vcpus", vcpus);
	for (i = 0; i < vm->n_rets; i++) {
		ret = json_new(j);
		json_put_u64(j, ret, "code", vm->ret[i].reason);
		json_put_str(j, ret, "reason",
			     run_exit_name(vm->ret[i].reason, name));
		json_put_u64(j, ret, "count", vm->ret[i].count);
		json_put_item(j, rets, ret);
	}
	json_put(j, o, "returns", rets);
	return o;
}

int trace_file_write(FILE *out, const struct trace_record *rec)
{
	const struct trace *t = &rec->t;
	struct trace_about about = {
		.seconds = t->seconds, .began = t->began, .pid = t->pid,
		.cost_events = t->cost_events, .cost_ns = t->cost_ns,
	};
	struct json j = { false };
	struct json_object *root = json_new(&j), *vms = json_new_list(&j);
	size_t i;

	memcpy(about.kernel, t->kernel, sizeof(about.kernel));
	file_put_head(&j, root, "exits", &about, trace_losses, t);
	for (i = 0; i < t->n_vms; i++)
		json_put_item(&j, vms, vm(&j, &t->vm[i]));
	json_put(&j, root, "vms", vms);
	file_put_slices(&j, root, &rec->tl, &cells, t);
	return file_emit(&j, root, out);
}

/* ---- reading ---- */

static uint64_t get_ns(struct file_reader *r, struct json_object *o,
		       const char *key, uint64_t max)
{
	return file_get_part(r, o, key, max, "a time that has no such part");
}

static void get_series(struct file_reader *r, struct json_object *o,
		       struct exits_series *s)
{
	static const char why[] = "a reason without its counts";
	uint64_t left;

	memset(s, 0, sizeof(*s));
	s->timed = file_get_number(r, o, "timed", COUNT_MAX, why);
	s->untimed = file_get_number(r, o, "untimed", COUNT_MAX, why);
	s->total_ns = file_get_sum(r, o, "total_ns", why);
	s->max_ns = file_get_number(r, o, "max_ns", TIME_MAX_NS, why);
	s->min_ns = get_ns(r, o, "min_ns", s->max_ns);
	left = s->total_ns;
	left -= s->user_ns = get_ns(r, o, "user_ns", left);
	left -= s->ready_ns = get_ns(r, o, "ready_ns", left);
	left -= s->blocked_ns = get_ns(r, o, "blocked_ns", left);
	s->poll_ns = get_ns(r, o, "poll_ns", left);
	file_get_hist(r, o, s->bucket, s->timed, s->max_ns);
}

static void get_reason(struct file_reader *r, struct json_object *o,
		       struct trace_vm *vm, struct trace_vcpu *vcpu)
{
	static const char why[] = "a bad exit reason";
	uint32_t isa = file_get_number(r, o, "isa", UINT16_MAX, why);
	uint32_t code = file_get_number(r, o, "code", UINT32_MAX, why);
	struct json_object *v;
	struct exits_series s;
	int by;

	if (++r->rows > TRACE_FILE_ROWS)
		file_refuse(r, "too many exit reasons");
	for (by = 0; by < 2 && !r->err; by++) {
		if (!json_object_object_get_ex(o, trace_class_name[by], &v))
			continue;
		get_series(r, v, &s);
		if (!r->err)
			r->err = trace_book(vm, vcpu, isa, code, by, &s);
	}
}

static void get_vcpu(struct file_reader *r, struct json_object *o,
		     struct trace_vm *vm, struct trace_vcpu *vcpu)
{
	static const char why[] = "a bad vCPU";
	struct json_object *list;
	size_t n, i;

	vcpu->id = file_get_number(r, o, "id", UINT32_MAX, why);
	n = file_get_list(r, o, "reasons", &list, why);
	for (i = 0; i < n && !r->err; i++)
		get_reason(r, json_object_array_get_idx(list, i), vm, vcpu);
}

static void get_returns(struct file_reader *r, struct json_object *o,
			struct trace_vm *vm)
{
	static const char why[] = "bad returns of KVM_RUN";
	struct json_object *list, *v;
	size_t n = file_get_list(r, o, "returns", &list, why), i;

	vm->ret = file_make(r, n, sizeof(*vm->ret));
	for (i = 0; i < n && !r->err; i++) {
		v = json_object_array_get_idx(list, i);
		vm->ret[i].reason = file_get_number(r, v, "code", UINT32_MAX, why);
		vm->ret[i].count = file_get_number(r, v, "count", COUNT_MAX, why);
		vm->n_rets = i + 1;
	}
}

static void get_vm(struct file_reader *r, struct json_object *o, struct trace_vm *vm)
{
	static const char why[] = "a bad virtual machine";
	struct json_object *list;
	size_t n, i;

	vm->pid = file_get_number(r, o, "pid", INT32_MAX, why);
	file_get_bytes(r, o, "comm", vm->comm, sizeof(vm->comm), why);
	file_get_bytes(r, o, "name", vm->name, sizeof(vm->name), why);
	vm->kvm = file_get_bool(r, o, "known", why);
	n = file_get_list(r, o, "vcpus", &list, why);
	if (n > TRACE_FILE_ROOM * EXITS_LIVES)
		file_refuse(r, "too many vCPUs");
	vm->vcpu = file_make(r, n, sizeof(*vm->vcpu));
	for (i = 0; i < n && !r->err; i++) {
		vm->n_vcpus = i + 1;
		get_vcpu(r, json_object_array_get_idx(list, i), vm, &vm->vcpu[i]);
	}
	get_returns(r, o, vm);
}

static void get_vms(struct file_reader *r, struct json_object *root, struct trace *t)
{
	struct json_object *list;
	size_t n = file_get_list(r, root, "vms", &list, "no virtual machines"), i;

	if (n > 2 * TRACE_FILE_ROOM * EXITS_LIVES)
		file_refuse(r, "too many virtual machines");
	t->vm = file_make(r, n, sizeof(*t->vm));
	for (i = 0; i < n && !r->err; i++) {
		t->n_vms = i + 1;
		get_vm(r, json_object_array_get_idx(list, i), &t->vm[i]);
	}
}

void file_get_exits(struct file_reader *r, struct json_object *root,
		    struct trace_record *rec)
{
	struct trace *t = &rec->t;
	struct trace_about about = { 0 };

	file_get_head(r, root, &about, trace_losses, t);
	t->seconds = about.seconds;
	t->began = about.began;
	t->pid = about.pid;
	t->cost_events = about.cost_events;
	t->cost_ns = about.cost_ns;
	memcpy(t->kernel, about.kernel, sizeof(t->kernel));
	get_vms(r, root, t);
	file_get_slices(r, root, &rec->tl, &cells, t);
	if (!r->err)
		trace_sort(t);
}
