/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trace in slices of time: what happened when. Made by looking at the
 * counters now and then; each slice is what they gained between two looks.
 *
 * It knows nothing of what is counted: a cell has a key that only its owner
 * understands (trace_record.h for exits, trace_queue_model.h for queues).
 *
 * Memory is bounded: when there are too many slices or cells, neighbours are
 * merged and there is room for twice the time.
 */
#ifndef KVASIR_TRACE_TIME_H
#define KVASIR_TRACE_TIME_H

#include <stddef.h>
#include <stdint.h>

#include "../../bpf/include/hist.h"

#define TRACE_SLICES	240	/* even */
#define TRACE_CELLS	65536	/* of all slices, if there are more than two */
/* Coarser buckets for slices: four per power of two. */
#define TRACE_HEAT_STEP	(HIST_SUB / 4)
#define TRACE_HEAT	(HIST_BUCKETS / TRACE_HEAT_STEP)
#define TRACE_KEY	4

/* What one of those counted did in one slice. */
struct trace_cell {
	uint32_t key[TRACE_KEY];
	uint64_t count;
	uint64_t total;		/* sum of the values in @heat */
	uint64_t heat[TRACE_HEAT];
};

struct trace_slice {
	double end;		/* seconds since the trace began */
	struct trace_cell *cell;	/* by key, once it is in a timeline */
	size_t n_cells, spare_cells;	/* as trace_grow.h says */
};

struct trace_timeline {
	struct trace_slice slice[TRACE_SLICES];
	size_t n;
	size_t n_cells;		/* of all slices */
};

/* Counters are read one after the other, while they count: never below 0. */
static inline uint64_t trace_since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/**
 * trace_slice_add() - what a histogram gained, as one more cell
 * @key: no cell of @s has it yet
 * @count: values it gained, and perhaps others that it does not hold
 * @total: their sum
 * @gain: HIST_BUCKETS counters
 *
 * Return: 0 or -ENOMEM
 */
int trace_slice_add(struct trace_slice *s, const uint32_t key[TRACE_KEY],
		    uint64_t count, uint64_t total, const __u64 *gain);
void trace_slice_free(struct trace_slice *s);

/**
 * trace_timeline_add() - one more slice
 * @s: taken over, also on failure
 * @err: 0, or what filling @s ended with: then it is not added
 *
 * Return: @err, 0 or -ENOMEM: then there is nothing more to do than to free them
 */
int trace_timeline_add(struct trace_timeline *tl, struct trace_slice *s, int err);
void trace_timeline_free(struct trace_timeline *tl);

#endif /* KVASIR_TRACE_TIME_H */
