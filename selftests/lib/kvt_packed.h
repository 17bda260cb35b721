/* SPDX-License-Identifier: GPL-2.0-only */
/* What kvt_ring.c and kvt_packed.c have of each other; see kvt_ring.h. */
#ifndef KVT_PACKED_H
#define KVT_PACKED_H

#include "kvt_ring.h"

/* kvt_ring.c: chains a used entry for @id stands for, @seen already counted */
unsigned int kvt_batch(const struct kvt_ring *ring, uint32_t id,
		       unsigned int seen);

/* kvt_packed.c */
void kvt_packed_reset(struct kvt_ring *ring);
uint16_t kvt_packed_add(struct kvt_ring *ring, const struct kvt_sg *sg,
			unsigned int nr_out, unsigned int n);
bool kvt_packed_publish(struct kvt_ring *ring);
bool kvt_packed_peek(const struct kvt_ring *ring, uint32_t *id, uint32_t *len);
/* Used chains, counted up to @max; @end: where the next one comes back. */
uint16_t kvt_packed_count(const struct kvt_ring *ring, uint16_t max,
			  struct kvt_pos *end);
void kvt_packed_release(struct kvt_ring *ring, uint16_t id);
void kvt_packed_want_call(struct kvt_ring *ring, uint16_t n);

#endif /* KVT_PACKED_H */
