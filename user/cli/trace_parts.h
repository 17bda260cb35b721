/* SPDX-License-Identifier: GPL-2.0-only */
/* What the time of exits was spent on. */
#ifndef KVASIR_TRACE_PARTS_H
#define KVASIR_TRACE_PARTS_H

#include <stdio.h>

#include "trace.h"

/* Of a series: what remains for KVM. */
uint64_t trace_kernel_ns(const struct exits_series *s);

/*
 * One line for the exits that were handled, one for halts, if there are any; @end
 * ends a line.
 */
void trace_parts_print(FILE *out, const struct trace_rows *rows, const char *end);

#endif
