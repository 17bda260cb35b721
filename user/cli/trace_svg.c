// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charts of a trace; see trace_svg.h. Values lie on an axis that is cut into bands
 * of some buckets of the histograms each.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "output.h"
#include "trace_page.h"
#include "trace_svg.h"

#define WIDTH	720
#define LEFT	56
#define RIGHT	12
#define TOP	14
#define PLOT	(WIDTH - LEFT - RIGHT)
#define BAR_H	130
#define HEAT_H	240
#define FOOT	22
/* Labels of an axis are at least so far apart, of its length. */
#define LABEL_GAP	0.04
/* Of spans: room for what they are called, and how long they take. */
#define SPAN_LEFT	140
#define SPAN_RIGHT	64
#define SPAN_H		16
#define SPAN_STEP	22
/* Shades of the heat map: one path each, so that the page stays small. */
#define SHADES	8

/* What is shown: bands of @step buckets, from @first to @last. */
struct axis {
	enum trace_unit unit;
	uint32_t step;
	uint32_t first, last;
};

/* Choose the bands that count something. Return: false if there is none. */
static bool axis_fit(struct axis *a, const uint64_t *count)
{
	uint32_t i, bands = HIST_BUCKETS / a->step;
	bool any = false;

	for (i = 0; i < bands; i++) {
		if (!count[i])
			continue;
		if (!any)
			a->first = i;
		a->last = i;
		any = true;
	}
	if (!any)
		return false;
	/* Some air, so that a single value is no full-width bar. */
	a->first = a->first > 3 ? a->first - 3 : 0;
	a->last = a->last + 3 < bands ? a->last + 3 : bands - 1;
	return true;
}

static uint32_t axis_bands(const struct axis *a)
{
	return a->last + 1 - a->first;
}

static uint64_t band_from(const struct axis *a, uint32_t band)
{
	return band < HIST_BUCKETS / a->step ? hist_lower(band * a->step) :
					       1ULL << HIST_BITS;
}

/* Where @value lies on the axis: 0 to 1, in the middle of its bucket. */
static double place(const struct axis *a, uint64_t value)
{
	double at = (hist_index(value) + 0.5) / a->step;

	return (at - a->first) / axis_bands(a);
}

/* "1us", "20us": of a value with one digit that counts. */
static const char *grid_label(char buf[TRACE_VALUE_MAX], enum trace_unit unit,
			      uint64_t value)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	int i;

	if (unit != TRACE_UNIT_TIME)
		return trace_value(buf, unit, value);
	for (i = 0; i < 3 && value >= 1000; i++)
		value /= 1000;
	snprintf(buf, TRACE_VALUE_MAX, "%" PRIu64 "%s", value, units[i]);
	return buf;
}

/* The line of the grid after the one at @value, the @nth, counted from 0. */
static uint64_t grid_next(const struct axis *a, uint64_t value, int nth)
{
	/* From 1 to 10, and so on; through 2 and 5 on less than two decades. */
	static const struct { uint64_t mul, div; } decade[] = {
		{ 2, 1 }, { 5, 2 }, { 2, 1 },
	};
	bool fine = (axis_bands(a) - 1) * a->step < 27 * TRACE_HEAT_STEP;

	if (a->unit != TRACE_UNIT_TIME)
		return value * (fine ? 2 : 4);
	if (!fine)
		return value * 10;
	return value * decade[nth % 3].mul / decade[nth % 3].div;
}

/* Round values on the axis; @x: else along y. Drawn first, behind all else. */
static void grid(FILE *out, const struct axis *a, int height, bool x)
{
	double at, last = -LABEL_GAP;
	char label[TRACE_VALUE_MAX];
	uint64_t value;
	int i = 0;

	for (value = 1; value < 1ULL << HIST_BITS; value = grid_next(a, value, i++)) {
		at = place(a, value);
		if (at < 0.01 || at > 0.99 || at - last < LABEL_GAP)
			continue;
		last = at;
		grid_label(label, a->unit, value);
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
		WIDTH, height, label);
}

/* One bar from @base up; both counts of the highest bar, @top. */
static void bar(FILE *out, const struct axis *a, uint32_t band, char class,
		uint64_t base, uint64_t n, uint64_t top)
{
	double w = (double)PLOT / axis_bands(a);
	double h = (double)n / top * BAR_H, y = (double)base / top * BAR_H;
	uint64_t first = band_from(a, band), next = band_from(a, band + 1);
	char from[TRACE_VALUE_MAX], to[TRACE_VALUE_MAX];

	fprintf(out, "<rect class=\"%c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
		"<title>%s", class, LEFT + (band - a->first) * w,
		TOP + BAR_H - y - h, w - 0.5, h < 0.7 ? 0.7 : h,
		trace_value(from, a->unit, first));
	if (a->unit == TRACE_UNIT_TIME || next > first + 1)
		fprintf(out, " to %s", trace_value(to, a->unit, next));
	fprintf(out, ": %" PRIu64 "</title></rect>\n", n);
}

static void mark(FILE *out, const struct axis *a, const char *name,
		 uint64_t value, bool left)
{
	double x = LEFT + place(a, value) * PLOT;
	char text[TRACE_VALUE_MAX];

	fprintf(out, "<path class=\"m\" d=\"M%.1f %dv%d\"/>"
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s %s</text>\n",
		x, TOP - 4, BAR_H + 4, left ? x - 3 : x + 3, TOP - 4,
		left ? "end" : "start", name, trace_value(text, a->unit, value));
}

/* Buckets -> bands of both arrays and their sum. Return: the highest sum. */
static uint64_t sum_bands(const struct trace_svg_histogram *h, uint32_t step,
			  uint64_t (*count)[HIST_BUCKETS], uint64_t *both)
{
	uint64_t top = 1;
	uint32_t i;
	int part;

	for (part = 0; part < 2; part++)
		for (i = 0; h->bucket[part] && i < HIST_BUCKETS; i++)
			count[part][i / step] += h->bucket[part][i];
	for (i = 0; i < HIST_BUCKETS / step; i++) {
		both[i] = count[0][i] + count[1][i];
		if (both[i] > top)
			top = both[i];
	}
	return top;
}

void trace_svg_histogram(FILE *out, const struct trace_svg_histogram *h)
{
	uint64_t count[2][HIST_BUCKETS] = { { 0 } }, both[HIST_BUCKETS], top;
	struct axis a = {
		.unit = h->unit,
		/* Small numbers have a bucket, and thus a bar, each. */
		.step = h->unit == TRACE_UNIT_COUNT ? 1 : TRACE_HEAT_STEP,
	};
	char text[8];
	uint32_t i;

	top = sum_bands(h, a.step, count, both);
	if (!axis_fit(&a, both))
		return;
	open_svg(out, TOP + BAR_H + FOOT, h->label);
	grid(out, &a, BAR_H, true);
	for (i = a.first; i <= a.last; i++) {
		if (count[0][i])
			bar(out, &a, i, 'k', 0, count[0][i], top);
		if (count[1][i])
			bar(out, &a, i, 'u', count[0][i], count[1][i], top);
	}
	out_count(text, sizeof(text), top);
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">0</text>\n",
		LEFT - 4, TOP + 8, text, LEFT - 4, TOP + BAR_H);
	/* Where the two are near, one is written to each side. */
	mark(out, &a, "p50", h->p50, true);
	mark(out, &a, "p99", h->p99, false);
	fputs("</svg>\n", out);
}

/* What @h shows of one slice, by band. */
static void slice_bands(const struct trace_slice *s,
			const struct trace_svg_heat *h, uint64_t count[TRACE_HEAT])
{
	size_t i, k;

	memset(count, 0, TRACE_HEAT * sizeof(*count));
	for (i = 0; i < s->n_cells; i++) {
		const struct trace_cell *c = &s->cell[i];

		if (!h->pick.takes(c, h->pick.ctx))
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
static void heat_path(FILE *out, const struct trace_timeline *tl,
		      const struct trace_svg_heat *heat, const struct axis *a,
		      int of, double top)
{
	double end = tl->slice[tl->n - 1].end, x, w;
	double h = (double)HEAT_H / axis_bands(a);
	uint64_t count[TRACE_HEAT];
	bool any = false;
	uint32_t k;
	size_t i;

	for (i = 0; i < tl->n; i++) {
		slice_bands(&tl->slice[i], heat, count);
		x = end > 0 ? (i ? tl->slice[i - 1].end : 0) / end * PLOT : 0;
		w = end > 0 ? tl->slice[i].end / end * PLOT - x : PLOT;
		for (k = a->first; k <= a->last; k++) {
			if (shade(count[k] / slice_seconds(tl, i), top) != of)
				continue;
			if (!any)
				fprintf(out, "<path class=\"h\" fill-opacity=\"%.2f\" d=\"",
					(double)of / SHADES);
			any = true;
			fprintf(out, "M%.1f %.1fh%.1fv%.1fh-%.1fz", LEFT + x,
				TOP + (a->last - k) * h, w, h, w);
		}
	}
	if (any)
		fputs("\"/>\n", out);
}

/* What the labels of an axis of @end seconds are in; its quarter has three digits. */
static double axis_unit(double end, const char **name, int *digits)
{
	static const struct { double from, seconds; const char *name; } units[] = {
		{ 2 * 3600, 3600, "h" }, { 2 * 60, 60, "min" }, { 0, 1, "s" },
	};
	double quarter;
	size_t i = 0;

	while (end < units[i].from)
		i++;
	quarter = end / units[i].seconds / 4;
	for (*digits = 0; *digits < 9 && quarter > 0 && quarter < 99.95; ++*digits)
		quarter *= 10;
	*name = units[i].name;
	return units[i].seconds;
}

/* Fixed notation, without zeros that say nothing. */
static const char *fixed(char *buf, size_t size, double v, int digits)
{
	char *end;

	snprintf(buf, size, "%.*f", digits, v);
	if (!digits)
		return buf;
	end = buf + strlen(buf);
	while (end[-1] == '0')
		*--end = 0;
	if (end[-1] == '.')
		end[-1] = 0;
	return buf;
}

static void time_axis(FILE *out, double end)
{
	const char *name;
	int digits, i;
	double unit = axis_unit(end, &name, &digits);
	char text[32];

	for (i = 0; i <= 4; i++)
		fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s %s</text>\n",
			LEFT + PLOT * i / 4, TOP + HEAT_H + 15,
			i == 4 ? "end" : i ? "middle" : "start",
			fixed(text, sizeof(text), end / unit * i / 4, digits),
			name);
}

bool trace_svg_heat(FILE *out, const struct trace_timeline *tl,
		    const struct trace_svg_heat *heat)
{
	struct axis a = { .unit = TRACE_UNIT_TIME, .step = TRACE_HEAT_STEP };
	uint64_t count[TRACE_HEAT], sum[TRACE_HEAT] = { 0 };
	double top = 0, rate;
	char text[8];
	uint32_t k;
	size_t i;
	int n;

	for (i = 0; i < tl->n; i++) {
		slice_bands(&tl->slice[i], heat, count);
		for (k = 0; k < TRACE_HEAT; k++) {
			sum[k] += count[k];
			rate = count[k] / slice_seconds(tl, i);
			if (rate > top)
				top = rate;
		}
	}
	if (!axis_fit(&a, sum))
		return false;
	open_svg(out, TOP + HEAT_H + FOOT, heat->label);
	grid(out, &a, HEAT_H, false);
	for (n = 1; n <= SHADES; n++)
		heat_path(out, tl, heat, &a, n, top);
	time_axis(out, tl->slice[tl->n - 1].end);
	out_count(text, sizeof(text), (uint64_t)ceil(top));
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">strongest: %s %s/s</text>\n</svg>\n",
		WIDTH - RIGHT, TOP - 4, text, heat->what);
	return true;
}

/* A time axis from 0 to @end, behind @height of bars. */
static void span_grid(FILE *out, uint64_t end, int height, double plot)
{
	char text[TRACE_VALUE_MAX];
	int i;

	for (i = 0; i <= 4; i++)
		fprintf(out, "<path class=\"g\" d=\"M%.1f %dv%d\"/>"
			"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
			SPAN_LEFT + plot * i / 4, TOP, height,
			SPAN_LEFT + plot * i / 4, TOP + height + 15,
			i ? trace_duration(text, end / 4 * i + end % 4 * i / 4) : "0");
}

static void put_span(FILE *out, const struct trace_svg_span *s, int y,
		     double scale, const char *name)
{
	double width = (double)(s->to - s->from) * scale;
	char text[TRACE_VALUE_MAX];

	fprintf(out, "<rect class=\"s%u\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>",
		s->kind, SPAN_LEFT + s->from * scale, y,
		width < 0.7 ? 0.7 : width, SPAN_H);
	trace_page_text(out, name);
	fprintf(out, ": %s</title></rect>\n", trace_duration(text, s->to - s->from));
}

void trace_svg_spans(FILE *out, const char *label, const struct trace_svg_row *row,
		     size_t n, const char *const *names)
{
	const double plot = WIDTH - SPAN_LEFT - SPAN_RIGHT;
	int height = (int)n * SPAN_STEP, y = TOP;
	char text[TRACE_VALUE_MAX];
	uint64_t end = 1;
	size_t i, k;

	for (i = 0; i < n; i++)
		if (row[i].length > end)
			end = row[i].length;
	open_svg(out, TOP + height + FOOT, label);
	span_grid(out, end, height, plot);
	for (i = 0; i < n; i++, y += SPAN_STEP) {
		fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
			SPAN_LEFT - 6, y + SPAN_H - 2, row[i].label);
		for (k = 0; k < row[i].n; k++)
			put_span(out, &row[i].span[k], y + 2, plot / end,
				 names[row[i].span[k].kind]);
		fprintf(out, "<text x=\"%.1f\" y=\"%d\">%s</text>\n",
			SPAN_LEFT + row[i].length * (plot / end) + 4,
			y + SPAN_H - 2, trace_duration(text, row[i].length));
	}
	fputs("</svg>\n", out);
}
