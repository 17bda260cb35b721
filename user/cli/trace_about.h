/* SPDX-License-Identifier: GPL-2.0-only */
/* What a trace says of itself, whatever it is of. */
#ifndef KVASIR_TRACE_ABOUT_H
#define KVASIR_TRACE_ABOUT_H

#include <stddef.h>
#include <stdint.h>

struct trace_about {
	double seconds;			/* from attach to detach */
	uint64_t began;			/* seconds since 1970 */
	uint32_t pid;			/* the only process traced, or 0 */
	char kernel[65];		/* release of the traced kernel */
	uint64_t recursion_misses;	/* events while our program was busy */
	uint64_t cost_events, cost_ns;	/* of the tracer, where it was measured */
};

/* What a trace did not see; a table of them ends with a key of NULL. */
struct trace_loss_key {
	const char *key;		/* in JSON */
	size_t offset;			/* of the count, a uint64_t in the model */
	const char *text;		/* for people */
};

/* The count of @l in @trace, the model that the table of @l is for. */
static inline uint64_t *trace_lost(const struct trace_loss_key *l,
				   const void *trace)
{
	return (uint64_t *)((const char *)trace + l->offset);
}

#endif
