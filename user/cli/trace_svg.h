/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The charts of a page, as SVG. They know histograms and slices, not what these
 * are of. Colours come from the classes of the page's style sheet, so that they
 * follow light and dark: k and u (bars), h (heat), s0, s1, ... (spans), g (grid),
 * m (marks). Labels must be ASCII without markup.
 */
#ifndef KVASIR_TRACE_SVG_H
#define KVASIR_TRACE_SVG_H

#include <stdio.h>

#include "trace_fmt.h"
#include "trace_time.h"

struct trace_svg_histogram {
	const char *label;	/* for those who cannot see it */
	enum trace_unit unit;
	/* HIST_BUCKETS each; the second is stacked on the first, or NULL. */
	const __u64 *bucket[2];
	uint64_t p50, p99;	/* of both */
};

/* How often it was how much; nothing if nothing was counted. */
void trace_svg_histogram(FILE *out, const struct trace_svg_histogram *h);

/* Some of the cells of a slice: those that @takes() says. */
struct trace_pick {
	bool (*takes)(const struct trace_cell *cell, const void *ctx);
	const void *ctx;
};

struct trace_svg_heat {
	const char *label;
	const char *what;	/* is counted: "exits" */
	struct trace_pick pick;
};

/**
 * trace_svg_heat() - latency by time, of the cells that @heat picks
 *
 * Return: false, and nothing written, if there is nothing to show
 */
bool trace_svg_heat(FILE *out, const struct trace_timeline *tl,
		    const struct trace_svg_heat *heat);

/* What one thing was at, from then to then. */
struct trace_svg_span {
	uint64_t from, to;	/* nanoseconds since it began */
	unsigned int kind;	/* its class, and its name's index */
};

struct trace_svg_row {
	char label[32];
	uint64_t length;	/* nanoseconds, in all */
	const struct trace_svg_span *span;
	size_t n;
};

/* A bar of spans for each of @n rows, at least one, on one axis of time. */
void trace_svg_spans(FILE *out, const char *label, const struct trace_svg_row *row,
		     size_t n, const char *const *names);

#endif /* KVASIR_TRACE_SVG_H */
