// SPDX-License-Identifier: GPL-2.0-only
/* A trace in slices of time; see trace_time.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace_time.h"

/* The cell of @s that has this key; made if there is none. */
static struct trace_cell *cell_get(struct trace_slice *s,
				   const uint32_t key[TRACE_KEY])
{
	struct trace_cell *cell;
	size_t i;

	for (i = 0; i < s->n_cells; i++)
		if (!memcmp(s->cell[i].key, key, sizeof(s->cell[i].key)))
			return &s->cell[i];
	cell = realloc(s->cell, (s->n_cells + 1) * sizeof(*cell));
	if (!cell)
		return NULL;
	s->cell = cell;
	cell += s->n_cells++;
	memset(cell, 0, sizeof(*cell));
	memcpy(cell->key, key, sizeof(cell->key));
	return cell;
}

int trace_slice_add(struct trace_slice *s, const uint32_t key[TRACE_KEY],
		    uint64_t count, uint64_t total, const __u64 *gain)
{
	struct trace_cell *cell = cell_get(s, key);
	uint32_t i;

	if (!cell)
		return -ENOMEM;
	cell->count += count;
	cell->total += total;
	for (i = 0; i < HIST_BUCKETS; i++)
		cell->heat[i / TRACE_HEAT_STEP] += gain[i];
	return 0;
}

void trace_slice_free(struct trace_slice *s)
{
	free(s->cell);
	*s = (struct trace_slice){ .n_cells = 0 };
}

/* Add the cells of @from to those of @to. */
static int merge(struct trace_slice *to, const struct trace_slice *from)
{
	struct trace_cell *cell;
	size_t i, k;

	for (i = 0; i < from->n_cells; i++) {
		const struct trace_cell *c = &from->cell[i];

		cell = cell_get(to, c->key);
		if (!cell)
			return -ENOMEM;
		cell->count += c->count;
		cell->total += c->total;
		for (k = 0; k < TRACE_HEAT; k++)
			cell->heat[k] += c->heat[k];
	}
	to->end = from->end;
	return 0;
}

/* Two neighbours become one; of an odd number the last stays as it is. */
static int halve(struct trace_timeline *tl)
{
	size_t i;
	int err;

	for (i = 0; i + 1 < tl->n; i += 2) {
		err = merge(&tl->slice[i], &tl->slice[i + 1]);
		if (err)
			return err;
	}
	tl->n_cells = 0;
	for (i = 0; i < tl->n; i++) {
		if (i % 2) {
			trace_slice_free(&tl->slice[i]);
			continue;
		}
		tl->slice[i / 2] = tl->slice[i];
		tl->n_cells += tl->slice[i].n_cells;
	}
	tl->n = (tl->n + 1) / 2;
	return 0;
}

int trace_timeline_add(struct trace_timeline *tl, struct trace_slice *s, int err)
{
	while (!err && tl->n > 1 &&
	       (tl->n == TRACE_SLICES || tl->n_cells + s->n_cells > TRACE_CELLS))
		err = halve(tl);
	if (err) {
		trace_slice_free(s);
		return err;
	}
	tl->n_cells += s->n_cells;
	tl->slice[tl->n++] = *s;
	return 0;
}

void trace_timeline_free(struct trace_timeline *tl)
{
	size_t i;

	for (i = 0; i < tl->n; i++)
		trace_slice_free(&tl->slice[i]);
	tl->n = tl->n_cells = 0;
}
