// SPDX-License-Identifier: GPL-2.0-only
/* A trace in slices of time; see trace_time.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace_time.h"

const struct trace_row *trace_row_find(const struct trace_rows *rows,
				       uint32_t isa, uint32_t reason)
{
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (rows->row[i].isa == isa && rows->row[i].reason == reason)
			return &rows->row[i];
	return NULL;
}

/* Counters are read one after the other, while they count: never below 0. */
static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void trace_series_since(const struct exits_series *now,
			const struct exits_series *before,
			struct exits_series *out)
{
	uint32_t i, first = HIST_BUCKETS, last = 0;

	*out = *now;
	if (!before)
		return;
	out->timed = 0;
	out->untimed = since(now->untimed, before->untimed);
	out->total_ns = since(now->total_ns, before->total_ns);
	out->user_ns = since(now->user_ns, before->user_ns);
	out->ready_ns = since(now->ready_ns, before->ready_ns);
	out->blocked_ns = since(now->blocked_ns, before->blocked_ns);
	out->poll_ns = since(now->poll_ns, before->poll_ns);
	for (i = 0; i < HIST_BUCKETS; i++) {
		out->bucket[i] = since(now->bucket[i], before->bucket[i]);
		out->timed += out->bucket[i];
		if (out->bucket[i])
			last = i;
		if (out->bucket[i] && first > i)
			first = i;
	}
	if (now->min_ns == before->min_ns && first < HIST_BUCKETS &&
	    hist_middle(first) > now->min_ns)
		out->min_ns = hist_middle(first);
	if (now->max_ns == before->max_ns && hist_middle(last) < now->max_ns)
		out->max_ns = hist_middle(last);
}

/* The cell of @s that has the key of @key. */
static struct trace_cell *cell_get(struct trace_slice *s,
				   const struct trace_cell *key)
{
	struct trace_cell *cell;
	size_t i;

	for (i = 0; i < s->n_cells; i++) {
		cell = &s->cell[i];
		if (cell->vm == key->vm && cell->isa == key->isa &&
		    cell->reason == key->reason && cell->user == key->user)
			return cell;
	}
	cell = realloc(s->cell, (s->n_cells + 1) * sizeof(*cell));
	if (!cell)
		return NULL;
	s->cell = cell;
	cell += s->n_cells++;
	*cell = (struct trace_cell){ .vm = key->vm, .isa = key->isa,
				     .reason = key->reason, .user = key->user };
	return cell;
}

/* Add what @row gained since @old, NULL for all of it, to its cells. */
static int add_row(struct trace_slice *s, uint32_t vm,
		   const struct trace_row *row, const struct trace_row *old)
{
	struct trace_cell *cell, key = { .vm = vm, .isa = row->isa,
					 .reason = row->reason };
	struct exits_series gain;
	uint32_t i;
	int by;

	for (by = 0; by < 2; by++) {
		trace_series_since(&row->by[by], old ? &old->by[by] : NULL, &gain);
		if (!gain.timed && !gain.untimed)
			continue;
		key.user = by;
		cell = cell_get(s, &key);
		if (!cell)
			return -ENOMEM;
		cell->count += gain.timed + gain.untimed;
		cell->total_ns += gain.total_ns;
		for (i = 0; i < HIST_BUCKETS; i++)
			cell->heat[i / TRACE_HEAT_STEP] += gain.bucket[i];
	}
	return 0;
}

static int add_looks(struct trace_slice *s, const struct trace *now,
		     const struct trace *before)
{
	const struct trace_row *row, *old;
	size_t i, k;
	int err;

	for (i = 0; i < now->n_vms; i++) {
		for (k = 0; k < now->vm[i].rows.n; k++) {
			row = &now->vm[i].rows.row[k];
			old = i < before->n_vms ?
			      trace_row_find(&before->vm[i].rows, row->isa,
					     row->reason) : NULL;
			err = add_row(s, (uint32_t)i, row, old);
			if (err)
				return err;
		}
	}
	return 0;
}

/* Add the cells of @from to those of @to. */
static int merge(struct trace_slice *to, const struct trace_slice *from)
{
	struct trace_cell *cell;
	size_t i, k;

	for (i = 0; i < from->n_cells; i++) {
		const struct trace_cell *c = &from->cell[i];

		cell = cell_get(to, c);
		if (!cell)
			return -ENOMEM;
		cell->count += c->count;
		cell->total_ns += c->total_ns;
		for (k = 0; k < TRACE_HEAT; k++)
			cell->heat[k] += c->heat[k];
	}
	to->end = from->end;
	return 0;
}

/* Two neighbours become one, until the table is half empty. */
static int halve(struct trace_timeline *tl)
{
	size_t i;
	int err;

	for (i = 0; i < tl->n; i += 2) {
		err = merge(&tl->slice[i], &tl->slice[i + 1]);
		if (err)
			return err;
	}
	for (i = 0; i < tl->n; i += 2) {
		free(tl->slice[i + 1].cell);
		tl->slice[i / 2] = tl->slice[i];
	}
	tl->n /= 2;
	return 0;
}

int trace_timeline_add(struct trace_timeline *tl, struct trace *now)
{
	struct trace_slice s = { .end = now->seconds };
	int err;

	err = add_looks(&s, now, &tl->before);
	if (!err && tl->n == TRACE_SLICES)
		err = halve(tl);
	if (err) {
		free(s.cell);
		trace_free(now);
		return err;
	}
	tl->slice[tl->n++] = s;
	trace_free(&tl->before);
	tl->before = *now;
	memset(now, 0, sizeof(*now));
	return 0;
}

void trace_timeline_free(struct trace_timeline *tl)
{
	size_t i;

	for (i = 0; i < tl->n; i++)
		free(tl->slice[i].cell);
	tl->n = 0;
	trace_free(&tl->before);
}
