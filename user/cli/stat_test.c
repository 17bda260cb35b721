// SPDX-License-Identifier: GPL-2.0-only
/* Tests of significance; see stat_test.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "stat_test.h"

/* Up to here the binomial distribution is summed up term by term. */
#define EXACT_MAX 1000

double stat_normal_p(double z)
{
	return erfc(fabs(z) / M_SQRT2);
}

/* Probability of exactly @k of @n. */
static double binomial(int k, int n, double share)
{
	return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) +
		   k * log(share) + (n - k) * log1p(-share));
}

double stat_rates_p(uint64_t k1, double t1, uint64_t k2, double t2, double phi)
{
	double n = ((double)k1 + k2) / phi, share = t1 / (t1 + t2);
	double k = k1 / phi, below = 0, above = 0, z, p;
	int i, whole, at;

	if (!(t1 > 0) || !(t2 > 0) || n <= 0)
		return 1;
	if (n > EXACT_MAX) {
		z = (k - n * share) / sqrt(n * share * (1 - share));
		return stat_normal_p(z);
	}
	whole = (int)lround(n);
	at = (int)lround(k);
	if (at > whole)
		at = whole;
	for (i = 0; i <= at; i++)
		below += binomial(i, whole, share);
	for (i = at; i <= whole; i++)
		above += binomial(i, whole, share);
	p = 2 * (below < above ? below : above);
	return p < 1 ? p : 1;
}

void stat_midranks(const uint64_t *a, const uint64_t *b, size_t bins,
		   double *score)
{
	double all = 0, seen = 0;
	size_t i;

	for (i = 0; i < bins; i++)
		all += (double)a[i] + b[i];
	for (i = 0; i < bins; i++) {
		double here = (double)a[i] + b[i];

		score[i] = all > 0 ? (seen + here / 2) / all : 0;
		seen += here;
	}
}

struct stat_mean stat_mean(const double *score, const uint64_t *count,
			   size_t bins)
{
	struct stat_mean m = { 0 };
	double sum = 0, square = 0;
	size_t i;

	for (i = 0; i < bins; i++) {
		m.n += count[i];
		sum += score[i] * count[i];
	}
	if (!m.n)
		return m;
	m.mean = sum / m.n;
	for (i = 0; i < bins; i++)
		square += count[i] * (score[i] - m.mean) * (score[i] - m.mean);
	m.var = square / m.n;
	return m;
}

double stat_means_p(struct stat_mean a, double deff_a, struct stat_mean b,
		    double deff_b)
{
	double n = (double)a.n + b.n, delta = a.mean - b.mean, var;

	if (!a.n || !b.n || n < 3)
		return 1;
	/* Variance of all scores together: without and with the difference. */
	var = (a.n * a.var + b.n * b.var + delta * delta * a.n / n * b.n) / (n - 1);
	if (var <= 0)
		return 1;	/* all values are the same */
	return stat_normal_p(delta / sqrt(var * (deff_a / a.n + deff_b / b.n)));
}

struct ranked {
	double p;
	size_t at;
};

static int by_p(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->p < y->p ? -1 : x->p > y->p;
}

int stat_holm(double *p, size_t n)
{
	struct ranked *r = calloc(n ? n : 1, sizeof(*r));
	double least = 0, adjusted;
	size_t i, m = 0;

	if (!r)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if (p[i] >= 0)
			r[m++] = (struct ranked){ p[i], i };
	qsort(r, m, sizeof(*r), by_p);
	for (i = 0; i < m; i++) {
		adjusted = r[i].p * (m - i);
		if (adjusted > least)
			least = adjusted < 1 ? adjusted : 1;
		p[r[i].at] = least;
	}
	free(r);
	return 0;
}

/*
 * A variance from few blocks is uncertain itself: Student's distribution has
 * a variance of df / (df - 2), so make it larger by that.
 */
static double uncertain(double ratio, size_t blocks)
{
	double df = blocks - 1.0;

	ratio *= df / (df - 2);
	return ratio > 1 ? ratio : 1;
}

double stat_dispersion(const double *n, const double *expect, size_t blocks)
{
	double sum = 0;
	size_t i, used = 0;

	for (i = 0; i < blocks; i++) {
		if (expect[i] <= 0)
			continue;
		sum += (n[i] - expect[i]) * (n[i] - expect[i]) / expect[i];
		used++;
	}
	return used < STAT_BLOCKS_MIN ? 1 : uncertain(sum / (used - 1.0), used);
}

double stat_design_effect(const double *n, const double *sum, size_t blocks,
			  struct stat_mean all)
{
	double square = 0, count = 0, mean = 0, off;
	size_t i, used = 0;

	for (i = 0; i < blocks; i++) {
		count += n[i];
		mean += sum[i];
		used += n[i] > 0;
	}
	if (used < STAT_BLOCKS_MIN || all.var <= 0)
		return 1;
	mean /= count;
	for (i = 0; i < blocks; i++) {
		off = sum[i] - mean * n[i];
		square += off * off;
	}
	/* Variance of the mean: by blocks, and of as many independent values. */
	square *= used / (used - 1.0) / count / count;
	return uncertain(square / (all.var / count), used);
}
