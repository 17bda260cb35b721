/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The charts of the report, as SVG to be put into a page. Colours come from
 * the classes of the page's style sheet, so that they follow light and dark:
 * k and u (bars), h (heat), g (grid), m (marks).
 */
#ifndef KVASIR_TRACE_SVG_H
#define KVASIR_TRACE_SVG_H

#include <stdio.h>

#include "trace_record.h"

/* How often a row took how long: kernel below, userspace stacked on it. */
void trace_svg_histogram(FILE *out, const struct trace_row *row);

/**
 * trace_svg_heat() - latency by time of one VM
 * @vm: its index
 * @idle: of the idle reasons; else of all others
 *
 * Return: false, and nothing written, if there is nothing to show
 */
bool trace_svg_heat(FILE *out, const struct trace_timeline *tl, uint32_t vm,
		    bool idle);

#endif /* KVASIR_TRACE_SVG_H */
