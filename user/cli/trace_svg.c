// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charts of a trace; see trace_svg.h. Both have latency on an axis that is cut
 * like the slices are, in four bands per power of two.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "exit_names.h"
#include "output.h"
#include "trace_fmt.h"
#include "trace_svg.h"

#define WIDTH	720
#define LEFT	56
#define RIGHT	12
#define TOP	14
#define PLOT	(WIDTH - LEFT - RIGHT)
#define BAR_H	130
#define HEAT_H	240
#define FOOT	22
/* Shades of the heat map: one path each, so that the page stays small. */
#define SHADES	8

/* The bands shown: from @first to @last, at least one. */
struct bands {
	uint32_t first, last;
};

static bool find_bands(const uint64_t *count, struct bands *b)
{
	uint32_t i;
	bool any = false;

	for (i = 0; i < TRACE_HEAT; i++) {
		if (!count[i])
			continue;
		if (!any)
			b->first = i;
		b->last = i;
		any = true;
	}
	if (!any)
		return false;
	/* Some air, so that a single value is no full-width bar. */
	b->first = b->first > 3 ? b->first - 3 : 0;
	b->last = b->last + 3 < TRACE_HEAT ? b->last + 3 : TRACE_HEAT - 1;
	return true;
}

static uint64_t band_from(uint32_t band)
{
	return band < TRACE_HEAT ? hist_lower(band * TRACE_HEAT_STEP) :
				   1ULL << HIST_BITS;
}

/* Where @ns lies on the axis: 0 to 1, in the middle of its bucket. */
static double place(const struct bands *b, uint64_t ns)
{
	double at = (hist_index(ns) + 0.5) / TRACE_HEAT_STEP;

	return (at - b->first) / (b->last + 1 - b->first);
}

/* "1us", "20us": of a value with one digit that counts. */
static void grid_label(char buf[16], uint64_t ns)
{
	static const char *const unit[] = { "ns", "us", "ms", "s" };
	int i;

	for (i = 0; i < 3 && ns >= 1000; i++)
		ns /= 1000;
	snprintf(buf, 16, "%" PRIu64 "%s", ns, unit[i]);
}

/* Powers of ten on the axis; @x: else along y. Drawn first, behind all else. */
static void latency_grid(FILE *out, const struct bands *b, int height, bool x)
{
	/* From 1 to 10, and so on; through 2 and 5 on less than two decades. */
	static const struct { uint64_t mul, div; } next[] = {
		{ 2, 1 }, { 5, 2 }, { 2, 1 },
	};
	bool fine = b->last - b->first < 27;
	char label[16];
	uint64_t ns, then;
	double at;
	int i = 0;

	for (ns = 1; ns < 1ULL << HIST_BITS; ns = then) {
		then = fine ? ns * next[i].mul / next[i].div : ns * 10;
		i = (i + 1) % 3;
		grid_label(label, ns);
		at = place(b, ns);
		if (at < 0.01 || at > 0.99)
			continue;
		if (x)
			fprintf(out, "<path class=\"g\" d=\"M%.1f %dv%d\"/>"
				"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
				LEFT + at * PLOT, TOP, height, LEFT + at * PLOT,
				TOP + height + 15, label);
		else
			fprintf(out, "<path class=\"g\" d=\"M%d %.1fh%d\"/>"
				"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
				LEFT, TOP + (1 - at) * height, PLOT, LEFT - 4,
				TOP + (1 - at) * height + 4, label);
	}
	fprintf(out, "<path class=\"g\" d=\"M%d %dv%dh%d\"/>\n", LEFT, TOP, height,
		PLOT);
}

static void open_svg(FILE *out, int height, const char *label)
{
	fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
		WIDTH, TOP + height + FOOT, label);
}

/* One bar from @base up; both counts of the highest bar, @top. */
static void bar(FILE *out, const struct bands *b, uint32_t band, char class,
		uint64_t base, uint64_t n, uint64_t top)
{
	double w = (double)PLOT / (b->last + 1 - b->first);
	double h = (double)n / top * BAR_H, y = (double)base / top * BAR_H;
	char from[TRACE_DURATION_MAX], to[TRACE_DURATION_MAX];

	fprintf(out, "<rect class=\"%c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
		"<title>%s to %s: %" PRIu64 "</title></rect>\n", class,
		LEFT + (band - b->first) * w, TOP + BAR_H - y - h, w - 0.5,
		h < 0.7 ? 0.7 : h, trace_duration(from, band_from(band)),
		trace_duration(to, band_from(band + 1)), n);
}

static void mark(FILE *out, const struct bands *b, const char *name,
		 uint64_t ns, bool left)
{
	double x = LEFT + place(b, ns) * PLOT;
	char text[TRACE_DURATION_MAX];

	fprintf(out, "<path class=\"m\" d=\"M%.1f %dv%d\"/>"
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s %s</text>\n",
		x, TOP - 4, BAR_H + 4, left ? x - 3 : x + 3, TOP - 4,
		left ? "end" : "start", name, trace_duration(text, ns));
}

void trace_svg_histogram(FILE *out, const struct trace_row *row)
{
	uint64_t count[2][TRACE_HEAT] = { { 0 } }, both[TRACE_HEAT], top = 1;
	struct exits_series sum = trace_both(row);
	struct trace_figures f = trace_figures(&sum);
	struct bands b;
	char text[8];
	uint32_t i;
	int by;

	for (by = 0; by < 2; by++)
		for (i = 0; i < HIST_BUCKETS; i++)
			count[by][i / TRACE_HEAT_STEP] += row->by[by].bucket[i];
	for (i = 0; i < TRACE_HEAT; i++) {
		both[i] = count[0][i] + count[1][i];
		if (both[i] > top)
			top = both[i];
	}
	if (!find_bands(both, &b))
		return;
	open_svg(out, BAR_H, "exits by latency");
	latency_grid(out, &b, BAR_H, true);
	for (i = b.first; i <= b.last; i++) {
		if (count[0][i])
			bar(out, &b, i, 'k', 0, count[0][i], top);
		if (count[1][i])
			bar(out, &b, i, 'u', count[0][i], count[1][i], top);
	}
	out_count(text, sizeof(text), top);
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">0</text>\n",
		LEFT - 4, TOP + 8, text, LEFT - 4, TOP + BAR_H);
	/* Where the two are near, one is written to each side. */
	mark(out, &b, "p50", f.p50, true);
	mark(out, &b, "p99", f.p99, false);
	fputs("</svg>\n", out);
}

/* Exits of one slice by band. */
static void slice_bands(const struct trace_slice *s, uint32_t vm, bool idle,
			uint64_t count[TRACE_HEAT])
{
	size_t i, k;

	memset(count, 0, TRACE_HEAT * sizeof(*count));
	for (i = 0; i < s->n_cells; i++) {
		const struct trace_cell *c = &s->cell[i];

		if (c->key[TRACE_CELL_VM] != vm ||
		    exit_is_idle(c->key[TRACE_CELL_ISA],
				 c->key[TRACE_CELL_REASON]) != idle)
			continue;
		for (k = 0; k < TRACE_HEAT; k++)
			count[k] += c->heat[k];
	}
}

static double slice_seconds(const struct trace_timeline *tl, size_t i)
{
	double s = tl->slice[i].end - (i ? tl->slice[i - 1].end : 0);

	return s > 1e-3 ? s : 1e-3;
}

/* From 1 to SHADES by the logarithm of the rate; 0 for none. */
static int shade(double rate, double top)
{
	int n;

	if (rate <= 0)
		return 0;
	n = 1 + (int)(SHADES * log1p(rate) / log1p(top));
	return n > SHADES ? SHADES : n;
}

/* All cells of one shade. */
static void heat_path(FILE *out, const struct trace_timeline *tl, uint32_t vm,
		      bool idle, const struct bands *b, int of, double top)
{
	double end = tl->slice[tl->n - 1].end, x, w;
	double h = (double)HEAT_H / (b->last + 1 - b->first);
	uint64_t count[TRACE_HEAT];
	bool any = false;
	uint32_t k;
	size_t i;

	for (i = 0; i < tl->n; i++) {
		slice_bands(&tl->slice[i], vm, idle, count);
		x = end > 0 ? (i ? tl->slice[i - 1].end : 0) / end * PLOT : 0;
		w = end > 0 ? tl->slice[i].end / end * PLOT - x : PLOT;
		for (k = b->first; k <= b->last; k++) {
			if (shade(count[k] / slice_seconds(tl, i), top) != of)
				continue;
			if (!any)
				fprintf(out, "<path class=\"h\" fill-opacity=\"%.2f\" d=\"",
					(double)of / SHADES);
			any = true;
			fprintf(out, "M%.1f %.1fh%.1fv%.1fh-%.1fz", LEFT + x,
				TOP + (b->last - k) * h, w, h, w);
		}
	}
	if (any)
		fputs("\"/>\n", out);
}

static void time_axis(FILE *out, double end)
{
	int i;

	for (i = 0; i <= 4; i++)
		fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.3g s</text>\n",
			LEFT + PLOT * i / 4, TOP + HEAT_H + 15,
			i == 4 ? "end" : i ? "middle" : "start", end * i / 4);
}

bool trace_svg_heat(FILE *out, const struct trace_timeline *tl, uint32_t vm,
		    bool idle)
{
	uint64_t count[TRACE_HEAT], sum[TRACE_HEAT] = { 0 };
	double top = 0, rate;
	struct bands b;
	char text[8];
	uint32_t k;
	size_t i;
	int n;

	for (i = 0; i < tl->n; i++) {
		slice_bands(&tl->slice[i], vm, idle, count);
		for (k = 0; k < TRACE_HEAT; k++) {
			sum[k] += count[k];
			rate = count[k] / slice_seconds(tl, i);
			if (rate > top)
				top = rate;
		}
	}
	if (!find_bands(sum, &b))
		return false;
	open_svg(out, HEAT_H, "exits by latency and time");
	latency_grid(out, &b, HEAT_H, false);
	for (n = 1; n <= SHADES; n++)
		heat_path(out, tl, vm, idle, &b, n, top);
	time_axis(out, tl->slice[tl->n - 1].end);
	out_count(text, sizeof(text), (uint64_t)ceil(top));
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">strongest: %s exits/s</text>\n</svg>\n",
		WIDTH - RIGHT, TOP - 4, text);
	return true;
}
