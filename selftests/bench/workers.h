/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The threads that serve queues, from outside: those of the kernel, ours or
 * vhost's, or those of a process. All are read from /proc in the same way.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdint.h>
#include <sys/types.h>

struct workers {
	unsigned int threads;
	uint64_t wakeups;	/* times one of them went to sleep and came back */
	uint64_t cpu_ns;
};

/* Before all else: they are the threads that @pid has now. */
void workers_of(pid_t pid);
/* All of this machine: bench one node at a time. */
void workers_read(struct workers *w);
void workers_pin(int cpu);
/* What happened from @w on until @now, into @w; threads are those of @now. */
void workers_sub(struct workers *w, const struct workers *now);
void workers_add(struct workers *w, const struct workers *more);

#endif /* WORKERS_H */
