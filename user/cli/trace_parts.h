/* SPDX-License-Identifier: GPL-2.0-only */
/* What the time of exits was spent on. */
#ifndef KVASIR_TRACE_PARTS_H
#define KVASIR_TRACE_PARTS_H

#include "trace.h"

/* Of a series: what remains for KVM. */
uint64_t trace_kernel_ns(const struct exits_series *s);

/* One line for the exits that were handled, one for halts, if there are any. */
void trace_parts_print(const struct trace_rows *rows);

#endif
