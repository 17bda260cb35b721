// SPDX-License-Identifier: GPL-2.0-only
/* A trace in slices of time; see trace_time.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace_grow.h"
#include "trace_time.h"

int trace_slice_add(struct trace_slice *s, const uint32_t key[TRACE_KEY],
		    uint64_t count, uint64_t total, const __u64 *gain)
{
	struct trace_cell *cell = trace_grow(&s->cell, &s->n_cells,
					     &s->spare_cells, sizeof(*cell));
	uint32_t i;

	if (!cell)
		return -ENOMEM;
	memset(cell, 0, sizeof(*cell));
	memcpy(cell->key, key, sizeof(cell->key));
	cell->count = count;
	cell->total = total;
	for (i = 0; i < HIST_BUCKETS; i++)
		cell->heat[i / TRACE_HEAT_STEP] += gain[i];
	return 0;
}

static int key_cmp(const void *a, const void *b)
{
	const struct trace_cell *x = a, *y = b;
	int i;

	for (i = 0; i < TRACE_KEY; i++)
		if (x->key[i] != y->key[i])
			return x->key[i] < y->key[i] ? -1 : 1;
	return 0;
}

/* Cells by key, and no more memory than they take: they stay until the end. */
static void settle(struct trace_slice *s)
{
	size_t n = s->n_cells;
	struct trace_cell *fit;

	if (!n)
		return;
	qsort(s->cell, n, sizeof(*s->cell), key_cmp);
	fit = reallocarray(s->cell, n, sizeof(*fit));
	if (fit) {
		s->cell = fit;
		s->spare_cells = 0;
	}
}

void trace_slice_free(struct trace_slice *s)
{
	free(s->cell);
	*s = (struct trace_slice){ .n_cells = 0 };
}

static void cell_add(struct trace_cell *to, const struct trace_cell *c)
{
	size_t i;

	to->count += c->count;
	to->total += c->total;
	for (i = 0; i < TRACE_HEAT; i++)
		to->heat[i] += c->heat[i];
}

/* Add the cells of @from to those of @to. Both are by key. */
static int merge(struct trace_slice *to, const struct trace_slice *from)
{
	size_t n = to->n_cells, i, k = 0;
	struct trace_cell *cell;

	for (i = 0; i < from->n_cells; i++) {
		const struct trace_cell *c = &from->cell[i];

		while (k < n && key_cmp(&to->cell[k], c) < 0)
			k++;
		if (k < n && !key_cmp(&to->cell[k], c)) {
			cell_add(&to->cell[k], c);
			continue;
		}
		cell = trace_grow(&to->cell, &to->n_cells, &to->spare_cells,
				  sizeof(*cell));
		if (!cell)
			return -ENOMEM;
		*cell = *c;
	}
	to->end = from->end;
	settle(to);
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
		trace_slice_free(&tl->slice[i + 1]);
	}
	tl->n_cells = 0;
	for (i = 0; i < tl->n; i += 2) {
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
	settle(s);
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
