/* SPDX-License-Identifier: GPL-2.0-only */
/* Prometheus' text exposition format, version 0.0.4: what all metrics share. */
#ifndef KVASIR_PROM_H
#define KVASIR_PROM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What stands between the braces; every value escaped. */
#define PROM_LABELS_MAX 4096
struct prom_labels {
	char text[PROM_LABELS_MAX];
	size_t len;
};

/* Add a label; those that find no room are left out. Start from len = 0. */
void prom_label(struct prom_labels *l, const char *key, const char *value);
void prom_label_number(struct prom_labels *l, const char *key, uint64_t value);

void prom_head(FILE *out, const char *name, const char *type, const char *help);

/* A histogram of bpf/include/hist.h. */
struct prom_histogram {
	const char *name;
	double unit;		/* of the metric, in those of the histogram */
	int first, last;	/* bounds: 2^first - 1 to 2^last - 1, then +Inf */
};

/*
 * Bounds are the last value below a power of two, where buckets of ours end too,
 * so that no value is counted on the wrong side.
 */
void prom_histogram(FILE *out, const struct prom_histogram *h, const char *labels,
		    const unsigned long long *bucket, uint64_t n, uint64_t sum);

#endif
