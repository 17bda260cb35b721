/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults at an exact place: the n-th time that a thread allocates, or copies
 * from or to user memory, fails (/proc/TID/fail-nth of a kernel with fault
 * injection, see Documentation/fault-injection/ of the kernel).
 *
 * What has been set stays when the program ends, and has no effect: nothing
 * fails but what was armed.
 */
#ifndef KVT_FAULT_H
#define KVT_FAULT_H

#include <sys/types.h>

#include "kvt.h"

/**
 * kvt_fault_set() - what counts from now on
 * @copies: copies, too; allocations always
 *
 * Only what has the module among its callers. Skips the test on a kernel that
 * cannot do it.
 */
void kvt_fault_set(bool copies);

/* A descriptor for arming a thread. */
int kvt_fault_open(pid_t tid);
/* The thread's @n-th time from now fails; 0: none. */
void kvt_fault_arm(int fault, unsigned int n);
/* Disarm. Returns how many times were left; 0: it has failed. */
unsigned int kvt_fault_disarm(int fault);

#endif /* KVT_FAULT_H */
