/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is the difference of two samples more than chance? Plain arithmetic; what it
 * assumes is in Documentation/tracing.rst.
 */
#ifndef KVASIR_STAT_TEST_H
#define KVASIR_STAT_TEST_H

#include <stddef.h>
#include <stdint.h>

/* Two-sided probability of a normal deviate of at least |@z|. */
double stat_normal_p(double z);

/**
 * stat_rates_p() - probability that two rates differ so much by chance
 * @k1: events in the time @t1
 * @k2: events in the time @t2
 * @phi: variance of the counts over that of a Poisson process, at least 1
 *
 * Given the sum, @k1 is binomial: exact for up to 1000 events (of @phi each),
 * by the normal approximation beyond.
 */
double stat_rates_p(uint64_t k1, double t1, uint64_t k2, double t2, double phi);

/* Pooled midranks of two binned samples, from 0 to 1; ties share a bin. */
void stat_midranks(const uint64_t *a, const uint64_t *b, size_t bins,
		   double *score);

struct stat_mean {
	uint64_t n;
	double mean, var;	/* of the scores; variance with n */
};

/* Mean of a binned sample whose bin i scores @score[i]. */
struct stat_mean stat_mean(const double *score, const uint64_t *count,
			   size_t bins);

/**
 * stat_means_p() - probability that two means differ so much by chance
 * @deff_a: variance of @a's mean over that of independent values, at least 1
 *
 * With stat_midranks() as scores this is the Mann-Whitney test, corrected for
 * ties.
 */
double stat_means_p(struct stat_mean a, double deff_a, struct stat_mean b,
		    double deff_b);

/**
 * stat_holm() - correct for many comparisons (Holm, step-down)
 * @p: what is below 0 was not tested, and stays
 *
 * Return: 0 or -ENOMEM
 */
int stat_holm(double *p, size_t n);

/*
 * Blocks of a run that has bursts: how much more do their sums vary than they
 * would by chance? @n: counts; @expect: what they should be. At least 1, and
 * 1 for less than STAT_BLOCKS_MIN blocks.
 */
#define STAT_BLOCKS_MIN	8
double stat_dispersion(const double *n, const double *expect, size_t blocks);

/* The same for a mean: @n values per block, @sum of their scores. */
double stat_design_effect(const double *n, const double *sum, size_t blocks,
			  struct stat_mean all);

#endif /* KVASIR_STAT_TEST_H */
