// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who answers a port or a memory address.
 *
 * A handful of ranges in a sorted array. The lock covers the look-up only:
 * handlers run without it and may add and remove ranges themselves (a BAR
 * moves by a configuration write). An access under way to a range just
 * removed is as harmless as one a moment earlier; what a handler works on is
 * freed after all vCPUs have ended.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vm.h"

struct range {
	uint64_t base;
	uint64_t size;
	bus_fn fn;
	void *ctx;
};

struct bus {
	pthread_rwlock_t lock;
	unsigned int nr;
	unsigned int room;
	struct range *ranges;	/* by rising base */
};

int bus_create(struct bus **out)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return -ENOMEM;
	pthread_rwlock_init(&bus->lock, NULL);
	*out = bus;
	return 0;
}

void bus_destroy(struct bus *bus)
{
	if (!bus)
		return;
	pthread_rwlock_destroy(&bus->lock);
	free(bus->ranges);
	free(bus);
}

/* Index of the first range that ends behind @addr. */
static unsigned int lookup(const struct bus *bus, uint64_t addr)
{
	unsigned int lo = 0, hi = bus->nr;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;
		const struct range *r = &bus->ranges[mid];

		if (r->base + r->size - 1 < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int grow(struct bus *bus)
{
	unsigned int room = bus->room ? bus->room * 2 : 16;
	struct range *r;

	if (bus->nr < bus->room)
		return 0;
	r = reallocarray(bus->ranges, room, sizeof(*r));
	if (!r)
		return -ENOMEM;
	bus->ranges = r;
	bus->room = room;
	return 0;
}

int bus_add(struct bus *bus, uint64_t base, uint64_t size, bus_fn fn,
	    void *ctx)
{
	unsigned int i;
	int ret;

	if (!size || base + size - 1 < base)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	i = lookup(bus, base);
	ret = -EEXIST;
	if (i < bus->nr && bus->ranges[i].base <= base + size - 1)
		goto out;
	ret = grow(bus);
	if (ret)
		goto out;
	memmove(&bus->ranges[i + 1], &bus->ranges[i],
		(bus->nr - i) * sizeof(bus->ranges[0]));
	bus->ranges[i] = (struct range) { base, size, fn, ctx };
	bus->nr++;
out:
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

void bus_remove(struct bus *bus, uint64_t base)
{
	unsigned int i;

	pthread_rwlock_wrlock(&bus->lock);
	i = lookup(bus, base);
	if (i < bus->nr && bus->ranges[i].base == base) {
		bus->nr--;
		memmove(&bus->ranges[i], &bus->ranges[i + 1],
			(bus->nr - i) * sizeof(bus->ranges[0]));
	}
	pthread_rwlock_unlock(&bus->lock);
}

void bus_access(struct bus *bus, uint64_t addr, void *data, unsigned int len,
		bool write)
{
	struct range r = { .fn = NULL };
	unsigned int i;

	pthread_rwlock_rdlock(&bus->lock);
	i = lookup(bus, addr);
	/* an access that leaves its range is nobody's */
	if (i < bus->nr && bus->ranges[i].base <= addr &&
	    len <= bus->ranges[i].size - (addr - bus->ranges[i].base))
		r = bus->ranges[i];
	pthread_rwlock_unlock(&bus->lock);

	if (r.fn)
		r.fn(r.ctx, addr - r.base, data, len, write);
	else if (!write)
		memset(data, 0xff, len);
}
