/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What processes are called. A trace goes on when a process has ended: what was
 * learnt of it by then is kept.
 */
#ifndef KVASIR_TRACE_NAMES_H
#define KVASIR_TRACE_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* Both as they stand: escape before printing. */
struct trace_name {
	uint32_t pid;
	uint64_t start;		/* as trace_vm_start() tells it */
	char comm[17];		/* when it was seen first */
	char name[128];		/* of its VM; may be empty */
};

/* All 0 at first; free @entry in the end. */
struct trace_names {
	struct trace_name *entry;
	size_t n, spare;	/* as trace_grow.h says */
};

/**
 * trace_names_get() - what process @pid is called, or was
 * @start: when it started; 0: the first with this number that was asked for
 *
 * Return: until the next call; NULL if it ended before it was asked for
 */
const struct trace_name *trace_names_get(struct trace_names *names, uint32_t pid,
					 uint64_t start);

#endif
