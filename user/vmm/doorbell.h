/* SPDX-License-Identifier: GPL-2.0-only */
/* The doorbells of a virtio device: where the driver writes to kick a queue. */
#ifndef KVASIR_DOORBELL_H
#define KVASIR_DOORBELL_H

#include <stdint.h>

#define DOORBELL_STRIDE	4U	/* bytes from one queue's to the next one's */

struct virtio_dev;

/* Addresses of the first one. 0: not there. */
struct doorbells {
	struct virtio_dev *dev;
	uint64_t gpa;
	uint64_t port;
};

/* The size of a BAR of ports for so many queues; 0 if none may be so large. */
uint32_t doorbells_ports(unsigned int nr_queues);

/* Move the first one, and the others with it, to @gpa or @port; 0: away. One
 * caller at a time.
 */
void doorbells_to_memory(struct doorbells *d, uint64_t gpa);
void doorbells_to_ports(struct doorbells *d, uint64_t port);

/* One was written that is no ioeventfd. Any thread. */
void doorbells_ring(const struct doorbells *d, uint64_t offset);

#endif /* KVASIR_DOORBELL_H */
