// SPDX-License-Identifier: GPL-2.0-only
/*
 * Folded stacks of queues: one line per VM, queue, operation where it is known,
 * and hop, with the sum of the times in nanoseconds behind the last blank. That is
 * where requests wait, not where a CPU is busy.
 */
#include <inttypes.h>

#include "trace_queues.h"

static void fold(FILE *out, const struct queue_trace_queue *q,
		 const struct queue_row *row)
{
	char label[TRACE_LABEL_MAX], name[32], op[16];

	trace_folded_frame(out, trace_owner_label(label, q->name, q->comm,
						  q->state.pid));
	fprintf(out, ";%s %u %s;", queue_type(q), q->dev, queue_name(q, name));
	if (row->key.what == STAGE_DONE) {
		trace_folded_frame(out, queue_op_name(q, row->key.op, op));
		putc(';', out);
	}
	fprintf(out, "%s %llu\n", queue_hop_text(row->key.what), row->s.sum);
}

void queue_fmt_folded(FILE *out, const struct queue_record *rec)
{
	size_t i, k;

	for (i = 0; i < rec->t.n; i++) {
		const struct queue_trace_queue *q = &rec->t.queue[i];

		for (k = 0; k < q->n_rows; k++)
			if (queue_is_hop(rec->view, q->row[k].key.what) &&
			    q->row[k].s.sum)
				fold(out, q, &q->row[k]);
	}
}
