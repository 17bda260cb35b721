// SPDX-License-Identifier: GPL-2.0-only
/* Two recordings compared; see trace_diff.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exit_names.h"
#include "stat_test.h"
#include "trace_diff.h"

/*
 * Slices are put together to blocks: long enough that what happens in one has
 * little to do with what happened in the one before.
 */
#define BLOCKS 24

/* One class of one reason of one VM over the blocks of a run. */
struct blocks {
	double seconds[BLOCKS];
	double exits[BLOCKS];
	double timed[BLOCKS];
	double sum[BLOCKS];	/* of the scores of the timed */
	size_t n;
};

/* @score: of each of the TRACE_HEAT bands, or NULL */
static void fill_blocks(struct blocks *b, const struct trace_timeline *tl,
			size_t vm, const struct diff_row *row, const double *score)
{
	const uint32_t key[TRACE_KEY] = {
		[TRACE_CELL_VM] = (uint32_t)vm,
		[TRACE_CELL_ISA] = row->isa,
		[TRACE_CELL_REASON] = row->reason,
		[TRACE_CELL_USER] = row->user,
	};
	size_t per = (tl->n + BLOCKS - 1) / BLOCKS, i, k, band, at;
	double before = 0;

	memset(b, 0, sizeof(*b));
	for (i = 0; i < tl->n; i++) {
		const struct trace_slice *s = &tl->slice[i];

		at = i / per;
		b->n = at + 1;
		b->seconds[at] += s->end - before;
		before = s->end;
		for (k = 0; k < s->n_cells; k++) {
			const struct trace_cell *c = &s->cell[k];

			if (memcmp(c->key, key, sizeof(key)))
				continue;
			b->exits[at] += c->count;
			for (band = 0; score && band < TRACE_HEAT; band++) {
				b->timed[at] += c->heat[band];
				b->sum[at] += c->heat[band] * score[band];
			}
		}
	}
}

static double dispersion(const struct blocks *b)
{
	double expect[BLOCKS], exits = 0, seconds = 0;
	size_t i;

	for (i = 0; i < b->n; i++) {
		exits += b->exits[i];
		seconds += b->seconds[i];
	}
	for (i = 0; i < b->n; i++)
		expect[i] = seconds > 0 ? exits * b->seconds[i] / seconds : 0;
	return stat_dispersion(b->exits, expect, b->n);
}

static uint64_t count_of(const struct exits_series *s)
{
	return s ? trace_exits(s) : 0;
}

static void test_rate(struct diff_row *row, const struct trace_record *const *rec,
		      const size_t *vm)
{
	double phi = 1, one;
	struct blocks b;
	int i;

	for (i = 0; i < 2; i++) {
		if (rec[i]->t.seconds > 0)
			row->rate[i] = count_of(row->s[i]) / rec[i]->t.seconds;
		fill_blocks(&b, &rec[i]->tl, vm[i], row, NULL);
		one = dispersion(&b);
		if (one > phi)
			phi = one;
	}
	row->p[DIFF_RATE] = stat_rates_p(count_of(row->s[0]), rec[0]->t.seconds,
					 count_of(row->s[1]), rec[1]->t.seconds,
					 phi);
}

/* Mean score of both runs; @score is by bucket. Return: probability */
static double test_scores(const struct diff_row *row,
			  const struct trace_record *const *rec, const size_t *vm,
			  const uint64_t (*count)[HIST_BUCKETS],
			  const double *score, double mean[2])
{
	double coarse[TRACE_HEAT] = { 0 }, deff[2];
	struct stat_mean m[2], banded;
	uint64_t heat[TRACE_HEAT];
	struct blocks b;
	uint32_t i;
	int run;

	for (i = 0; i < HIST_BUCKETS; i++)
		coarse[i / TRACE_HEAT_STEP] += score[i] / TRACE_HEAT_STEP;
	for (run = 0; run < 2; run++) {
		memset(heat, 0, sizeof(heat));
		for (i = 0; i < HIST_BUCKETS; i++)
			heat[i / TRACE_HEAT_STEP] += count[run][i];
		m[run] = stat_mean(score, count[run], HIST_BUCKETS);
		banded = stat_mean(coarse, heat, TRACE_HEAT);
		fill_blocks(&b, &rec[run]->tl, vm[run], row, coarse);
		deff[run] = stat_design_effect(b.timed, b.sum, b.n, banded);
		mean[run] = m[run].mean;
	}
	return stat_means_p(m[0], deff[0], m[1], deff[1]);
}

static void test_latency(struct diff_row *row,
			 const struct trace_record *const *rec, const size_t *vm)
{
	uint64_t count[2][HIST_BUCKETS], timed = 0, seen = 0;
	double score[HIST_BUCKETS], mean[2];
	uint32_t i;
	int run;

	for (run = 0; run < 2; run++) {
		if (!row->s[run] || row->s[run]->timed < DIFF_TIMED_MIN)
			return;
		timed += row->s[run]->timed;
		for (i = 0; i < HIST_BUCKETS; i++)
			count[run][i] = row->s[run]->bucket[i];
	}
	stat_midranks(count[0], count[1], HIST_BUCKETS, score);
	row->p[DIFF_SHIFT] = test_scores(row, rec, vm, count, score, mean);
	row->slower = mean[1] - mean[0] + 0.5;
	for (i = 0; i < HIST_BUCKETS; i++) {
		/* What lies wholly beyond the 99 %. */
		score[i] = seen * 100.0 >= timed * 99.0;
		seen += count[0][i] + count[1][i];
	}
	row->p[DIFF_TAIL] = test_scores(row, rec, vm, count, score, row->tail);
}

static void test_row(struct diff_row *row, const struct trace_record *const *rec,
		     const size_t *vm)
{
	int i;

	for (i = 0; i < DIFF_TESTS; i++)
		row->p[i] = -1;
	row->slower = 0.5;
	test_rate(row, rec, vm);
	test_latency(row, rec, vm);
}

static bool much(double a, double b)
{
	double more = a > b ? a : b, less = a > b ? b : a;

	return more > less * (1 + DIFF_SIZE);
}

/*
 * Has one of the quartiles moved? Where all exits take much the same time, each
 * of B can be longer than each of A and still nobody would call it slower.
 */
static bool moved(const struct diff_row *row)
{
	const struct exits_series *a = row->s[0], *b = row->s[1];
	uint32_t permille;

	for (permille = 250; a && b && permille <= 750; permille += 250)
		if (much(hist_quantile(a->bucket, a->timed, permille, a->max_ns),
			 hist_quantile(b->bucket, b->timed, permille, b->max_ns)))
			return true;
	return false;
}

static void judge(struct diff_row *row)
{
	bool large[DIFF_TESTS] = {
		[DIFF_RATE] = much(row->rate[0], row->rate[1]),
		[DIFF_SHIFT] = fabs(row->slower - 0.5) >= DIFF_SIZE &&
			       moved(row),
		[DIFF_TAIL] = much(row->tail[0], row->tail[1]),
	};
	int i;

	for (i = 0; i < DIFF_TESTS; i++)
		row->changed[i] = large[i] && row->p[i] >= 0 &&
				  row->p[i] < DIFF_P;
}

/* All comparisons of all rows are one family. */
static int correct(struct trace_diff *d)
{
	size_t n = 0, i, k, m;
	double *p;
	int err;

	for (i = 0; i < d->n_vms; i++)
		n += d->vm[i].n_rows;
	p = calloc(n ? n : 1, DIFF_TESTS * sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (i = 0, m = 0; i < d->n_vms; i++)
		for (k = 0; k < d->vm[i].n_rows; k++, m++)
			memcpy(p + m * DIFF_TESTS, d->vm[i].row[k].p,
			       sizeof(d->vm[i].row[k].p));
	err = stat_holm(p, n * DIFF_TESTS);
	for (i = 0, m = 0; i < d->n_vms && !err; i++) {
		for (k = 0; k < d->vm[i].n_rows; k++, m++) {
			memcpy(d->vm[i].row[k].p, p + m * DIFF_TESTS,
			       sizeof(d->vm[i].row[k].p));
			judge(&d->vm[i].row[k]);
		}
	}
	free(p);
	return err;
}

/* The rows of both VMs, those of A first. Each reason once per class. */
static int add_rows(struct diff_vm *v, const struct trace_record *const *rec)
{
	const struct trace_row *row, *other;
	size_t vm[2] = { SIZE_MAX, SIZE_MAX }, room = 0, i;
	int run, by;

	for (run = 0; run < 2; run++) {
		if (!v->vm[run])
			continue;
		vm[run] = v->vm[run] - rec[run]->t.vm;
		room += 2 * v->vm[run]->rows.n;
	}
	v->row = calloc(room ? room : 1, sizeof(*v->row));
	if (!v->row)
		return -ENOMEM;
	for (run = 0; run < 2; run++) {
		for (i = 0; v->vm[run] && i < v->vm[run]->rows.n; i++) {
			row = &v->vm[run]->rows.row[i];
			other = v->vm[!run] ? trace_row_find(&v->vm[!run]->rows,
							     row->isa, row->reason) :
					      NULL;
			for (by = 0; by < 2; by++) {
				struct diff_row *r = &v->row[v->n_rows];
				bool both = other && count_of(&other->by[by]);

				if (!count_of(&row->by[by]) || (run && both))
					continue;
				r->isa = row->isa;
				r->reason = row->reason;
				r->user = by;
				r->s[run] = &row->by[by];
				r->s[!run] = both ? &other->by[by] : NULL;
				test_row(r, rec, vm);
				v->n_rows++;
			}
		}
	}
	return 0;
}

static bool same_name(const struct trace_vm *a, const struct trace_vm *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->comm, b->comm);
}

/* The only VM of @t with exits, or NULL. */
static const struct trace_vm *only_vm(const struct trace *t)
{
	const struct trace_vm *only = NULL;
	size_t i;

	for (i = 0; i < t->n_vms; i++) {
		if (!t->vm[i].rows.n)
			continue;
		if (only)
			return NULL;
		only = &t->vm[i];
	}
	return only;
}

/* Is VM @b of B compared with one already? */
static bool taken(const struct trace_diff *d, const struct trace_vm *b)
{
	size_t i;

	for (i = 0; i < d->n_vms; i++)
		if (d->vm[i].vm[1] == b)
			return true;
	return false;
}

/* The VM of B that @a is compared with: of the same name, not yet taken. */
static const struct trace_vm *match(const struct trace_diff *d,
				    const struct trace_vm *a,
				    const struct trace_record *const *rec)
{
	const struct trace_vm *b;
	size_t i;

	/* One VM each: whatever they are called, they are meant. */
	if (only_vm(&rec[0]->t) == a && only_vm(&rec[1]->t))
		return only_vm(&rec[1]->t);
	for (i = 0; i < rec[1]->t.n_vms; i++) {
		b = &rec[1]->t.vm[i];
		if (b->rows.n && same_name(a, b) && !taken(d, b))
			return b;
	}
	return NULL;
}

static void pair_vms(struct trace_diff *d, const struct trace_record *const *rec)
{
	size_t i;

	for (i = 0; i < rec[0]->t.n_vms; i++) {
		const struct trace_vm *a = &rec[0]->t.vm[i];
		const struct trace_vm *b = a->rows.n ? match(d, a, rec) : NULL;

		if (a->rows.n)
			d->vm[d->n_vms++] = (struct diff_vm){ .vm = { a, b } };
	}
	for (i = 0; i < rec[1]->t.n_vms; i++) {
		const struct trace_vm *b = &rec[1]->t.vm[i];

		if (b->rows.n && !taken(d, b))
			d->vm[d->n_vms++] = (struct diff_vm){ .vm = { NULL, b } };
	}
}

int trace_diff(struct trace_diff *d, const struct trace_record *a,
	       const struct trace_record *b)
{
	const struct trace_record *const rec[2] = { a, b };
	size_t i;
	int err;

	*d = (struct trace_diff){
		.poisson = a->tl.n < STAT_BLOCKS_MIN || b->tl.n < STAT_BLOCKS_MIN,
	};
	d->vm = calloc(a->t.n_vms + b->t.n_vms + 1, sizeof(*d->vm));
	if (!d->vm)
		return -ENOMEM;
	pair_vms(d, rec);
	for (i = 0; i < d->n_vms; i++) {
		err = add_rows(&d->vm[i], rec);
		if (err)
			return err;
	}
	return correct(d);
}

void trace_diff_free(struct trace_diff *d)
{
	size_t i;

	for (i = 0; i < d->n_vms; i++)
		free(d->vm[i].row);
	free(d->vm);
	memset(d, 0, sizeof(*d));
}
