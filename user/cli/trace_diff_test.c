// SPDX-License-Identifier: GPL-2.0-only
/* Series of two runs, tested for significance; see trace_diff.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stat_test.h"
#include "trace_diff.h"

/*
 * Slices are put together to blocks: long enough that what happens in one has
 * little to do with what happened in the one before.
 */
#define BLOCKS 24

/* One series over the blocks of a run. */
struct blocks {
	double seconds[BLOCKS];
	double events[BLOCKS];
	double values[BLOCKS];
	double sum[BLOCKS];	/* of the scores of the values */
	size_t n;
};

/* A row, and where to find it in the slices of one run. */
struct side {
	const struct diff_run *run;
	uint32_t key[TRACE_KEY];
};

static struct side side_of(const struct trace_diff *d, const struct diff_group *g,
			   const struct diff_row *row, int run)
{
	struct side s = { .run = &d->run[run] };

	memcpy(s.key, row->key, sizeof(s.key));
	s.key[0] = g->key[run];
	return s;
}

/* @score: of each of the TRACE_HEAT bands, or NULL */
static void fill_blocks(struct blocks *b, const struct side *side,
			const double *score)
{
	const struct trace_timeline *tl = side->run->tl;
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

			if (memcmp(c->key, side->key, sizeof(c->key)))
				continue;
			b->events[at] += c->count;
			for (band = 0; score && band < TRACE_HEAT; band++) {
				b->values[at] += c->heat[band];
				b->sum[at] += c->heat[band] * score[band];
			}
		}
	}
}

static double dispersion(const struct blocks *b)
{
	double expect[BLOCKS], events = 0, seconds = 0;
	size_t i;

	for (i = 0; i < b->n; i++) {
		events += b->events[i];
		seconds += b->seconds[i];
	}
	for (i = 0; i < b->n; i++)
		expect[i] = seconds > 0 ? events * b->seconds[i] / seconds : 0;
	return stat_dispersion(b->events, expect, b->n);
}

static void test_rate(struct diff_row *row, const struct side *side)
{
	double phi = 1, one, seconds[2];
	struct blocks b;
	int i;

	for (i = 0; i < 2; i++) {
		seconds[i] = side[i].run->seconds;
		if (seconds[i] > 0)
			row->rate[i] = row->s[i].count / seconds[i];
		fill_blocks(&b, &side[i], NULL);
		one = dispersion(&b);
		if (one > phi)
			phi = one;
	}
	row->p[DIFF_RATE] = stat_rates_p(row->s[0].count, seconds[0],
					 row->s[1].count, seconds[1], phi);
}

/* Mean score of both runs; @score is by bucket. Return: probability */
static double test_scores(const struct side *side,
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
		fill_blocks(&b, &side[run], coarse);
		deff[run] = stat_design_effect(b.values, b.sum, b.n, banded);
		mean[run] = m[run].mean;
	}
	return stat_means_p(m[0], deff[0], m[1], deff[1]);
}

static void test_values(struct diff_row *row, const struct side *side)
{
	uint64_t count[2][HIST_BUCKETS], values = 0, seen = 0;
	double score[HIST_BUCKETS], mean[2];
	uint32_t i;
	int run;

	for (run = 0; run < 2; run++) {
		if (row->s[run].values < DIFF_VALUES_MIN)
			return;
		values += row->s[run].values;
		for (i = 0; i < HIST_BUCKETS; i++)
			count[run][i] = row->s[run].bucket[i];
	}
	if (row->ask & 1U << DIFF_SHIFT) {
		stat_midranks(count[0], count[1], HIST_BUCKETS, score);
		row->p[DIFF_SHIFT] = test_scores(side, count, score, mean);
		row->slower = mean[1] - mean[0] + 0.5;
	}
	if (!(row->ask & 1U << DIFF_TAIL))
		return;
	for (i = 0; i < HIST_BUCKETS; i++) {
		/* What lies wholly beyond the 99 %. */
		score[i] = seen * 100.0 >= values * 99.0;
		seen += count[0][i] + count[1][i];
	}
	row->p[DIFF_TAIL] = test_scores(side, count, score, row->tail);
}

static void test_row(struct trace_diff *d, const struct diff_group *g,
		     struct diff_row *row)
{
	const struct side side[2] = {
		side_of(d, g, row, 0), side_of(d, g, row, 1),
	};
	int i;

	for (i = 0; i < DIFF_TESTS; i++)
		row->p[i] = -1;
	row->slower = 0.5;
	if (row->ask & 1U << DIFF_RATE)
		test_rate(row, side);
	test_values(row, side);
}

static bool much(double a, double b)
{
	double more = a > b ? a : b, less = a > b ? b : a;

	return more > less * (1 + DIFF_SIZE);
}

/*
 * Has one of the quartiles moved? Where all values are much the same, each of B
 * can be above each of A and still nobody would call it slower.
 */
static bool moved(const struct diff_row *row)
{
	const struct diff_series *a = &row->s[0], *b = &row->s[1];
	uint32_t permille;

	for (permille = 250; a->values && b->values && permille <= 750; permille += 250)
		if (much(hist_quantile(a->bucket, a->values, permille, a->max),
			 hist_quantile(b->bucket, b->values, permille, b->max)))
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

	for (i = 0; i < d->n; i++)
		n += d->group[i].n_rows;
	p = calloc(n ? n : 1, DIFF_TESTS * sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (i = 0, m = 0; i < d->n; i++)
		for (k = 0; k < d->group[i].n_rows; k++, m++)
			memcpy(p + m * DIFF_TESTS, d->group[i].row[k].p,
			       sizeof(d->group[i].row[k].p));
	err = stat_holm(p, n * DIFF_TESTS);
	for (i = 0, m = 0; i < d->n && !err; i++) {
		for (k = 0; k < d->group[i].n_rows; k++, m++) {
			memcpy(d->group[i].row[k].p, p + m * DIFF_TESTS,
			       sizeof(d->group[i].row[k].p));
			judge(&d->group[i].row[k]);
		}
	}
	free(p);
	return err;
}

int trace_diff_test(struct trace_diff *d)
{
	size_t i, k;

	d->poisson = d->run[0].tl->n < STAT_BLOCKS_MIN ||
		     d->run[1].tl->n < STAT_BLOCKS_MIN;
	for (i = 0; i < d->n; i++)
		for (k = 0; k < d->group[i].n_rows; k++)
			test_row(d, &d->group[i], &d->group[i].row[k]);
	return correct(d);
}

void trace_diff_free(struct trace_diff *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		free(d->group[i].row);
	free(d->group);
	memset(d, 0, sizeof(*d));
}
