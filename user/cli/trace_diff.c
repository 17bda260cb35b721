// SPDX-License-Identifier: GPL-2.0-only
/* Two recordings of exits compared; see trace_diff.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exit_names.h"
#include "trace_diff.h"

static const char *label(char buf[TRACE_LABEL_MAX], const void *record, size_t at)
{
	const struct trace_record *rec = record;

	return trace_vm_label(buf, &rec->t.vm[at]);
}

static void json_group(struct json *j, struct json_object *o, const void *record,
		       size_t at)
{
	const struct trace_record *rec = record;

	json_put_u64(j, o, "pid", rec->t.vm[at].pid);
	json_put_str(j, o, "comm", rec->t.vm[at].comm);
	json_put_str(j, o, "name", rec->t.vm[at].name);
}

static void json_row(struct json *j, struct json_object *o,
		     const struct diff_row *row)
{
	json_put_str(j, o, "reason", row->name);
	json_put_u64(j, o, "code", row->key[TRACE_CELL_REASON]);
	json_put_str(j, o, "isa", exit_isa_name(row->key[TRACE_CELL_ISA]));
	json_put_str(j, o, "by", row->by);
	json_put_bool(j, o, "idle", row->idle);
}

static const struct diff_kind exits = {
	.heads = { "REASON", "BY" },
	.rate = "EXIT/S",
	.rows = "reasons",
	.events = "exits",
	.groups = "vms",
	.label = label,
	.json_group = json_group,
	.json_row = json_row,
};

static struct diff_series series_of(const struct exits_series *s)
{
	return (struct diff_series){
		.count = trace_exits(s),
		.values = s->timed,
		.sum = s->total_ns,
		.max = s->max_ns,
		.bucket = s->bucket,
	};
}

static const struct trace_vm *vm_of(const struct trace_diff *d,
				    const struct diff_group *g, int run)
{
	const struct trace_record *rec = d->run[run].record;

	return g->at[run] == DIFF_NONE ? NULL : &rec->t.vm[g->at[run]];
}

/* A reason of run @run, and the same of the other one unless that is NULL. */
static void add_row(struct diff_group *g, int run, const struct trace_row *row,
		    const struct trace_row *other)
{
	char name[EXIT_NAME_MAX];
	int by;

	for (by = 0; by < 2; by++) {
		struct diff_row *r = &g->row[g->n_rows];
		bool both = other && trace_exits(&other->by[by]);

		/* Those of both runs come with A. */
		if (!trace_exits(&row->by[by]) || (run && both))
			continue;
		r->key[TRACE_CELL_ISA] = row->isa;
		r->key[TRACE_CELL_REASON] = row->reason;
		r->key[TRACE_CELL_USER] = by;
		snprintf(r->name, sizeof(r->name), "%s",
			 exit_reason_name(row->isa, row->reason, name));
		strcpy(r->by, trace_class_name[by]);
		r->idle = exit_is_idle(row->isa, row->reason);
		r->ask = DIFF_ALL;
		r->s[run] = series_of(&row->by[by]);
		if (both)
			r->s[!run] = series_of(&other->by[by]);
		g->n_rows++;
	}
}

/* The rows of both VMs, those of A first. Each reason once per class. */
static int add_rows(const struct trace_diff *d, struct diff_group *g)
{
	const struct trace_vm *vm[2] = { vm_of(d, g, 0), vm_of(d, g, 1) };
	size_t room = 0, i;
	int run;

	for (run = 0; run < 2; run++)
		room += vm[run] ? 2 * vm[run]->rows.n : 0;
	g->row = calloc(room ? room : 1, sizeof(*g->row));
	if (!g->row)
		return -ENOMEM;
	for (run = 0; run < 2; run++) {
		for (i = 0; vm[run] && i < vm[run]->rows.n; i++) {
			const struct trace_row *row = &vm[run]->rows.row[i];

			add_row(g, run, row, vm[!run] ?
				trace_row_find(&vm[!run]->rows, row->isa,
					       row->reason) : NULL);
		}
	}
	return 0;
}

static bool same_name(const struct trace_vm *a, const struct trace_vm *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->comm, b->comm);
}

/* The only VM of @t with exits, or DIFF_NONE. */
static size_t only_vm(const struct trace *t)
{
	size_t only = DIFF_NONE, i;

	for (i = 0; i < t->n_vms; i++) {
		if (!t->vm[i].rows.n)
			continue;
		if (only != DIFF_NONE)
			return DIFF_NONE;
		only = i;
	}
	return only;
}

/*
 * The VM of B that @a of A is compared with: of the same name, and not yet one of
 * those @taken.
 */
static size_t match(const bool *taken, const struct trace *ta, size_t a,
		    const struct trace *tb)
{
	size_t i;

	/* One VM each: whatever they are called, they are meant. */
	if (only_vm(ta) == a && only_vm(tb) != DIFF_NONE)
		return only_vm(tb);
	for (i = 0; i < tb->n_vms; i++)
		if (!taken[i] && tb->vm[i].rows.n &&
		    same_name(&ta->vm[a], &tb->vm[i]))
			return i;
	return DIFF_NONE;
}

static void add_pair(struct trace_diff *d, size_t a, size_t b)
{
	d->group[d->n++] = (struct diff_group){
		.at = { a, b },
		/* A VM that is not there has no cell, either. */
		.key = { (uint32_t)a, (uint32_t)b },
	};
}

static int pair_vms(struct trace_diff *d, const struct trace *a,
		    const struct trace *b)
{
	bool *taken = calloc(b->n_vms + 1, sizeof(*taken));
	size_t i, k;

	if (!taken)
		return -ENOMEM;
	for (i = 0; i < a->n_vms; i++) {
		if (!a->vm[i].rows.n)
			continue;
		k = match(taken, a, i, b);
		if (k != DIFF_NONE)
			taken[k] = true;
		add_pair(d, i, k);
	}
	for (i = 0; i < b->n_vms; i++)
		if (b->vm[i].rows.n && !taken[i])
			add_pair(d, DIFF_NONE, i);
	free(taken);
	return 0;
}

int trace_diff(struct trace_diff *d, const struct trace_record *a,
	       const struct trace_record *b)
{
	size_t i;
	int err;

	*d = (struct trace_diff){
		.kind = &exits,
		.run = { { a, &a->tl, a->t.seconds, trace_losses, &a->t },
			 { b, &b->tl, b->t.seconds, trace_losses, &b->t } },
	};
	d->group = calloc(a->t.n_vms + b->t.n_vms + 1, sizeof(*d->group));
	if (!d->group)
		return -ENOMEM;
	err = pair_vms(d, &a->t, &b->t);
	for (i = 0; !err && i < d->n; i++)
		err = add_rows(d, &d->group[i]);
	return err ? err : trace_diff_test(d);
}
