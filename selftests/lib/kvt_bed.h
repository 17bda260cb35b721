/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Test bed for drivers that break the rules: a network device to be
 * mistreated, and a bystander that must notice nothing. Only for the module's
 * own node, whose states and counters can be asked for.
 */
#ifndef KVT_BED_H
#define KVT_BED_H

#include <pthread.h>

#include "kvt_net.h"

#define KVT_BED_MS 20000	/* for whatever must happen */

struct kvt_bed {
	struct kvt_nic bad, good;
	int wire_bad, wire_good;
	uint8_t *page;		/* 64 KiB of guest memory of .bad */
	uint64_t gpa;		/* where it is for the device */
};

/* Both devices run and have proved it; @num: entries of the bad one's rings */
void kvt_bed_open(struct kvt_bed *b, uint64_t features, uint16_t num);
/* Queue 0 or 1 of the bad device. */
struct kvt_ring *kvt_bed_queue(struct kvt_bed *b, int q);
/* It must be broken by now: told once, counted once, nobody else harmed. */
void kvt_bed_broken(struct kvt_bed *b, int q);
/* Set up anew it must work again. */
void kvt_bed_revived(struct kvt_bed *b, int q);

/* Access to all guest memory of the bad device, as mprotect() has it. */
void kvt_bed_protect(struct kvt_bed *b, int prot);
/* Its memory becomes inaccessible: transmit breaks, and can be revived. */
void kvt_bed_breaks_hidden(struct kvt_bed *b);
/* Its memory is unmapped: transmit breaks, for good. */
void kvt_bed_breaks_unmapped(struct kvt_bed *b);
/* Kick its transmit queue; true when a chain is used soon, call or no call. */
bool kvt_bed_comes_back(struct kvt_bed *b);
/* Its receive queue: stopped, set up anew, and without any buffers. */
void kvt_bed_only_raw_rx(struct kvt_bed *b);

/* A thread that scribbles over a ring, one step after the other. */
struct kvt_race {
	struct kvt_bed *b;
	void (*scribble)(struct kvt_bed *b, uint64_t *state);
	pthread_t thread;
	bool stop;
};

/* @scribble: one step; @state: for kvt_rand() */
void kvt_race_start(struct kvt_race *r, struct kvt_bed *b,
		    void (*scribble)(struct kvt_bed *b, uint64_t *state));
void kvt_race_stop(struct kvt_race *r);

/* A frame each way, or the test ends. */
void kvt_nic_works(struct kvt_nic *nic, int wire, const char *who);

#endif /* KVT_BED_H */
