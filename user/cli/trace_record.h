/* SPDX-License-Identifier: GPL-2.0-only */
/* What exits were looked at for: all of it, and what happened when. */
#ifndef KVASIR_TRACE_RECORD_H
#define KVASIR_TRACE_RECORD_H

#include "trace.h"
#include "trace_time.h"

/* The key of a cell: one class of one reason of one VM. */
enum trace_cell_key {
	TRACE_CELL_VM,		/* index into struct trace's vm[] */
	TRACE_CELL_ISA,
	TRACE_CELL_REASON,
	TRACE_CELL_USER,	/* the class, 0 or 1 */
};

struct trace_record {
	struct trace t;		/* the last look */
	struct trace_timeline tl;
};

/**
 * trace_record_add() - one more slice: from the last look to @now
 * @now: cumulative; changed for the last look
 *
 * A VM keeps its index from look to look, since VMs are only ever added.
 *
 * Return: 0 or -ENOMEM, and @now is unchanged; trace_free() it, or look into it
 * again
 */
int trace_record_add(struct trace_record *rec, struct trace *now);
void trace_record_free(struct trace_record *rec);

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

#endif /* KVASIR_TRACE_RECORD_H */
