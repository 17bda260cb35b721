/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log-linear histogram of nanoseconds: bucket arithmetic.
 *
 * Compiled twice: into the BPF programs, which count, and into the command,
 * which reads. Every power of two is cut into HIST_SUB equal buckets, so a
 * bucket is never wider than 1/32 of the values in it and its middle is never
 * further than 1/64 (1.6 %) from any of them. Values below 2 * HIST_SUB have a
 * bucket each. Values of 2^HIST_BITS ns (18 minutes) and more share the last.
 */
#ifndef KVASIR_HIST_H
#define KVASIR_HIST_H

#include <linux/types.h>

#define HIST_SUB_BITS	5
#define HIST_SUB	(1U << HIST_SUB_BITS)
#define HIST_BITS	40
#define HIST_BUCKETS	((HIST_BITS - HIST_SUB_BITS + 1) * HIST_SUB)

/*
 * The bucket @v is counted in: always below HIST_BUCKETS. @v is shifted until it
 * fits 6 bits, by constants and only where needed: neither BPF nor what becomes
 * of it has a cheap shift by a register, or a search for the highest bit set.
 */
static inline __u32 hist_index(__u64 v)
{
	__u32 base = 0, step;

	if (v >> HIST_BITS)
		return HIST_BUCKETS - 1;
	for (step = 32; step; step /= 2) {
		if (v >> (HIST_SUB_BITS + step)) {
			v >>= step;
			base += step * HIST_SUB;
			/* Or compilers make a shift by 0 or step of it. */
			asm volatile("" : "+r"(v));
		}
	}
	return base + (__u32)v;
}

/* The smallest value of bucket @i. */
static inline __u64 hist_lower(__u32 i)
{
	__u32 shift;

	if (i < 2 * HIST_SUB)
		return i;
	shift = i / HIST_SUB - 1;
	return (__u64)(i - shift * HIST_SUB) << shift;
}

/* The value that stands for bucket @i: its middle. */
static inline __u64 hist_middle(__u32 i)
{
	if (i < 2 * HIST_SUB)
		return i;
	return hist_lower(i) + (1ULL << (i / HIST_SUB - 1)) / 2;
}

/*
 * hist_quantile - the value that @permille of 1000 counted values do not exceed
 * @bucket: HIST_BUCKETS counters, @n in all
 * @max: largest value counted, exact; caps the answer
 *
 * Return: the value within 1/64, 0 if nothing was counted.
 */
static inline __u64 hist_quantile(const __u64 *bucket, __u64 n,
				  __u32 permille, __u64 max)
{
	__u64 rank, seen = 0;
	__u32 i;

	if (!n)
		return 0;
	/* ceil(n * permille / 1000) without overflow */
	rank = n / 1000 * permille + (n % 1000 * permille + 999) / 1000;
	if (!rank)
		rank = 1;
	for (i = 0; i < HIST_BUCKETS - 1; i++) {
		seen += bucket[i];
		if (seen >= rank)
			return hist_middle(i) < max ? hist_middle(i) : max;
	}
	return max;
}

#endif
