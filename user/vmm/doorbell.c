// SPDX-License-Identifier: GPL-2.0-only
/*
 * H1: the doorbells (virtio 1.2, 4.1.4.4), one address per queue, each in memory
 * and as a port. Where processors do not decode memory accesses for KVM (AMD), it
 * serves a port in a fraction of the time. Both are ioeventfds, so that kicks do
 * not come through here unless KVM has no room for another one.
 */
#include "doorbell.h"
#include "virtio.h"

#define PORTS_MAX	256U	/* the most that a BAR may claim */

uint32_t doorbells_ports(unsigned int nr_queues)
{
	uint32_t size = DOORBELL_STRIDE;

	while (size < nr_queues * DOORBELL_STRIDE)
		size *= 2;
	return size <= PORTS_MAX ? size : 0;
}

/* Length 0: writes of any width ring (some drivers write 2, some 4 bytes). */
static int set(struct doorbells *d, const struct bus *bus, uint64_t first,
	       bool add)
{
	struct virtio_dev *dev = d->dev;
	unsigned int i;
	int ret;

	for (i = 0; i < dev->nr_queues; i++) {
		ret = vm_ioeventfd(dev->vm, bus, first + i * DOORBELL_STRIDE, 0,
				   dev->vqs[i].kick_fd, add);
		if (ret && add)
			return ret;
	}
	return 0;
}

static void move(struct doorbells *d, const struct bus *bus, uint64_t *at,
		 uint64_t to)
{
	if (to == *at)
		return;
	if (*at)
		set(d, bus, *at, false);
	*at = to;
	if (to && set(d, bus, to, true)) {
		set(d, bus, to, false);
		*at = 0;
	}
}

void doorbells_to_memory(struct doorbells *d, uint64_t gpa)
{
	move(d, d->dev->vm->mmio, &d->gpa, gpa);
}

void doorbells_to_ports(struct doorbells *d, uint64_t port)
{
	move(d, d->dev->vm->pio, &d->port, port);
}

void doorbells_ring(const struct doorbells *d, uint64_t offset)
{
	uint64_t queue = offset / DOORBELL_STRIDE;

	if (offset % DOORBELL_STRIDE == 0 && queue < d->dev->nr_queues)
		vm_signal(d->dev->vqs[queue].kick_fd);
}
