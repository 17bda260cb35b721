// SPDX-License-Identifier: GPL-2.0-only
/* Exits, looked at now and then; see trace_record.h. */
#include "trace_record.h"

const struct trace_row *trace_row_find(const struct trace_rows *rows,
				       uint32_t isa, uint32_t reason)
{
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (rows->row[i].isa == isa && rows->row[i].reason == reason)
			return &rows->row[i];
	return NULL;
}

void trace_series_since(const struct exits_series *now,
			const struct exits_series *before,
			struct exits_series *out)
{
	static const struct exits_series none;
	uint32_t i, first = HIST_BUCKETS, last = 0;

	if (!before)
		before = &none;
	*out = *now;
	/* Read while it counts, @timed may be of another moment than the buckets. */
	out->timed = 0;
	out->untimed = trace_since(now->untimed, before->untimed);
	out->total_ns = trace_since(now->total_ns, before->total_ns);
	out->user_ns = trace_since(now->user_ns, before->user_ns);
	out->ready_ns = trace_since(now->ready_ns, before->ready_ns);
	out->blocked_ns = trace_since(now->blocked_ns, before->blocked_ns);
	out->poll_ns = trace_since(now->poll_ns, before->poll_ns);
	for (i = 0; i < HIST_BUCKETS; i++) {
		out->bucket[i] = trace_since(now->bucket[i], before->bucket[i]);
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
	/* In one bucket the middle can be on the wrong side of what is exact. */
	if (out->min_ns > out->max_ns && now->max_ns == before->max_ns)
		out->max_ns = out->min_ns;
	else if (out->min_ns > out->max_ns)
		out->min_ns = out->max_ns;
}

/* Add what @row gained since @old, NULL for all of it, to its cells. */
static int add_row(struct trace_slice *s, uint32_t vm,
		   const struct trace_row *row, const struct trace_row *old)
{
	uint32_t key[TRACE_KEY] = {
		[TRACE_CELL_VM] = vm,
		[TRACE_CELL_ISA] = row->isa,
		[TRACE_CELL_REASON] = row->reason,
	};
	struct exits_series gain;
	int by, err = 0;

	for (by = 0; by < 2 && !err; by++) {
		trace_series_since(&row->by[by], old ? &old->by[by] : NULL, &gain);
		if (!gain.timed && !gain.untimed)
			continue;
		key[TRACE_CELL_USER] = by;
		err = trace_slice_add(s, key, gain.timed + gain.untimed,
				      gain.total_ns, gain.bucket);
	}
	return err;
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

int trace_record_add(struct trace_record *rec, struct trace *now)
{
	struct trace_slice s = { .end = now->seconds };
	struct trace before = rec->t;
	int err = add_looks(&s, now, &before);

	err = trace_timeline_add(&rec->tl, &s, err);
	if (!err) {
		rec->t = *now;
		*now = before;
	}
	return err;
}

void trace_record_free(struct trace_record *rec)
{
	trace_timeline_free(&rec->tl);
	trace_free(&rec->t);
}
