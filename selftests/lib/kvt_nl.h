/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module says about its devices: the generic netlink family, read
 * with a plain socket so that the tests do not depend on the library.
 */
#ifndef KVT_NL_H
#define KVT_NL_H

#include <linux/kvasir.h>

#include "kvt.h"

struct kvt_dev_stat {
	uint32_t id, type, pid, queues, running, regions;
	uint64_t features;
	char backend[256];
};

struct kvt_queue_stat {
	uint32_t dev_id, index, state, size, worker, inflight;
	uint64_t c[KVASIR_C_MAX + 1];
};

/**
 * kvt_nl_init() - open the socket
 *
 * The family lives in the initial network namespace only: call it before
 * unshare() (kvt_netns() does). Later calls are free.
 */
void kvt_nl_init(void);

/* Both return how many there are, filling at most @max. */
int kvt_nl_devs(struct kvt_dev_stat *out, int max);
/* @dev_id: UINT32_MAX for all */
int kvt_nl_queues(uint32_t dev_id, struct kvt_queue_stat *out, int max);

/* Any command as a dump, on a fresh socket, with one attribute unless @len is
 * 0; the answer's errno, or 0. Some earlier call found the family.
 */
int kvt_nl_try(uint8_t cmd, uint16_t attr, const void *data, size_t len);

/* The newest device of @type that process @pid owns; false: there is none. */
bool kvt_nl_find(uint32_t type, pid_t pid, struct kvt_dev_stat *out);
/* One queue; ends the test when it is not listed. */
void kvt_nl_queue(uint32_t dev_id, uint32_t index, struct kvt_queue_stat *out);
uint64_t kvt_nl_counter(uint32_t dev_id, uint32_t index, int counter);
/**
 * kvt_nl_asleep() - wait until the worker of a queue has nothing to do
 *
 * Every service asked for before, of all queues it has, is over then: calls
 * are signalled, kicks asked for, counters up to date. A poll is over, too.
 */
void kvt_nl_asleep(uint32_t dev_id, uint32_t index);
/* Wait until the counter is at least @want; its last value. */
uint64_t kvt_nl_wait(uint32_t dev_id, uint32_t index, int counter,
		     uint64_t want, unsigned int ms);

#endif /* KVT_NL_H */
