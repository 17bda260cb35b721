/* SPDX-License-Identifier: GPL-2.0-only */
/* What a trace says of itself, whatever it is of. */
#ifndef KVASIR_TRACE_ABOUT_H
#define KVASIR_TRACE_ABOUT_H

#include <stdint.h>

struct trace_about {
	double seconds;			/* from attach to detach */
	uint64_t began;			/* seconds since 1970 */
	uint32_t pid;			/* the only process traced, or 0 */
	char kernel[65];		/* release of the traced kernel */
	uint64_t recursion_misses;	/* events while our program was busy */
	uint64_t cost_events, cost_ns;	/* of the tracer, where it was measured */
};

#endif
