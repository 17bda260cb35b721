// SPDX-License-Identifier: GPL-2.0-only
/* Prometheus' text format; see prom.h. */
#include <inttypes.h>
#include <string.h>

#include "../../bpf/include/hist.h"
#include "output.h"
#include "prom.h"

/* What is not text is escaped as everywhere, then \ and ". */
void prom_label(struct prom_labels *l, const char *key, const char *value)
{
	char safe[4 * 128 + 1];
	const char *s;

	out_escape(safe, sizeof(safe), value);
	if (l->len + 2 * sizeof(safe) + strlen(key) > sizeof(l->text))
		return;
	l->len += sprintf(l->text + l->len, "%s%s=\"", l->len ? "," : "", key);
	for (s = safe; *s; s++) {
		if (*s == '\\' || *s == '"')
			l->text[l->len++] = '\\';
		l->text[l->len++] = *s;
	}
	strcpy(l->text + l->len, "\"");
	l->len++;
}

void prom_label_number(struct prom_labels *l, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	prom_label(l, key, text);
}

void prom_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prom_histogram(FILE *out, const struct prom_histogram *h, const char *labels,
		    const unsigned long long *bucket, uint64_t n, uint64_t sum)
{
	uint64_t below = 0;
	uint32_t i = 0;
	int bit;

	for (bit = h->first; bit <= h->last; bit++) {
		for (; i < HIST_BUCKETS && hist_lower(i) < 1ULL << bit; i++)
			below += bucket[i];
		fprintf(out, "%s_bucket{%s,le=\"%.12g\"} %" PRIu64 "\n", h->name,
			labels, ((1ULL << bit) - 1) / h->unit, below);
	}
	fprintf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", h->name, labels, n);
	fprintf(out, "%s_sum{%s} %.9f\n", h->name, labels, sum / h->unit);
	fprintf(out, "%s_count{%s} %" PRIu64 "\n", h->name, labels, n);
}
