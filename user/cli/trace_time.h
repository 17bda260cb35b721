/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trace in slices of time: what happened when. Made by looking at the
 * counters now and then; each slice is the difference of two looks.
 *
 * Memory is bounded: when TRACE_SLICES are full, neighbours are merged and
 * there is room for twice the time.
 */
#ifndef KVASIR_TRACE_TIME_H
#define KVASIR_TRACE_TIME_H

#include "trace.h"

#define TRACE_SLICES	240	/* even */
/* Coarser buckets for slices: four per power of two. */
#define TRACE_HEAT_STEP	(HIST_SUB / 4)
#define TRACE_HEAT	(HIST_BUCKETS / TRACE_HEAT_STEP)

/* What one class of one reason of one VM did in one slice. */
struct trace_cell {
	uint32_t vm;		/* index into struct trace's vm[] */
	uint32_t isa;
	uint32_t reason;
	bool user;
	uint64_t count;		/* timed or not */
	uint64_t total_ns;
	uint64_t heat[TRACE_HEAT];
};

struct trace_slice {
	double end;		/* seconds since the trace began */
	struct trace_cell *cell;
	size_t n_cells;
};

struct trace_timeline {
	struct trace_slice slice[TRACE_SLICES];
	size_t n;
	struct trace before;	/* the last look */
};

/**
 * trace_timeline_add() - one more slice: from the last look to @now
 * @now: cumulative; taken over, also on failure
 *
 * A VM keeps its index from look to look, since VMs are only ever added.
 *
 * Return: 0 or -ENOMEM, the slices are as before
 */
int trace_timeline_add(struct trace_timeline *tl, struct trace *now);
void trace_timeline_free(struct trace_timeline *tl);

/**
 * trace_series_since() - what a series gained
 * @now: cumulative
 * @before: an earlier look at it, or NULL for none
 * @out: the difference; its extremes are exact only if they are new
 */
void trace_series_since(const struct exits_series *now,
			const struct exits_series *before,
			struct exits_series *out);

/* The row of @reason, or NULL. */
const struct trace_row *trace_row_find(const struct trace_rows *rows,
				       uint32_t isa, uint32_t reason);

#endif /* KVASIR_TRACE_TIME_H */
