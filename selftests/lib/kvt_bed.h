/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Test bed for drivers that break the rules: a network device to be
 * mistreated, and a bystander that must notice nothing. Only for the module's
 * own node, whose states and counters can be asked for.
 */
#ifndef KVT_BED_H
#define KVT_BED_H

#include "kvt_net.h"

#define KVT_BED_MS 5000		/* for whatever must happen */

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

/* A frame each way, or the test ends. */
void kvt_nic_works(struct kvt_nic *nic, int wire, const char *who);

#endif /* KVT_BED_H */
