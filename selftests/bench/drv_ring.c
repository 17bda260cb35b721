// SPDX-License-Identifier: GPL-2.0-only
/* A lean driver's rings; see drv_ring.h. */
#include <endian.h>
#include <sys/eventfd.h>

#include "drv_ring.h"

static uint16_t load16(const void *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE));
}

static void store16(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, htole16(v), __ATOMIC_RELEASE);
}

/* Position in a packed ring, with the wrap counter, as events name it. */
static uint16_t off_wrap(const struct drv_ring *r, uint32_t count)
{
	uint16_t wrap = !(count / r->num & 1);

	return (uint16_t)(count % r->num | wrap << 15);
}

static uint16_t split_ask(const struct drv_ring *r)
{
	return load16(&r->used->ring[r->num]);
}

static void split_event(struct drv_ring *r, uint32_t count)
{
	store16(&r->avail->ring[r->num], (uint16_t)count);
}

static void packed_event(struct drv_ring *r, uint16_t flags, uint16_t off)
{
	store16(&r->driver->off_wrap, off);
	store16(&r->driver->flags, flags);
}

static void packed_offer(struct drv_ring *r, uint32_t n)
{
	for (; n; n--, r->offered++) {
		uint16_t slot = (uint16_t)(r->offered % r->num);
		bool wrap = !(r->offered / r->num & 1);
		struct vring_packed_desc *d = &r->pdesc[slot];

		d->len = htole32(r->len);
		d->id = htole16(slot);
		store16(&d->flags, r->flags |
			1u << (wrap ? VRING_PACKED_DESC_F_AVAIL :
				      VRING_PACKED_DESC_F_USED));
	}
}

void drv_offer(struct drv_ring *r, uint32_t n)
{
	if (r->packed) {
		packed_offer(r, n);
		return;
	}
	r->offered += n;
	store16(&r->avail->idx, (uint16_t)r->offered);
}

static bool packed_asks(const struct drv_ring *r)
{
	uint16_t flags = load16(&r->device->flags) & 3;
	uint16_t off = load16(&r->device->off_wrap), pos, at;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
	/* the event's distance back from the next slot, in ring positions */
	pos = off & 0x7fff;
	at = (uint16_t)(r->offered % r->num);
	if ((off >> 15) != (off_wrap(r, r->offered) >> 15))
		at = (uint16_t)(at + r->num);
	return (uint16_t)(at - pos - 1) < (uint16_t)(r->offered - r->kicked);
}

static bool asks(const struct drv_ring *r)
{
	if (r->packed)
		return packed_asks(r);
	return vring_need_event(split_ask(r), (uint16_t)r->offered,
				(uint16_t)r->kicked);
}

void drv_kick(struct drv_ring *r)
{
	/* pairs with the device: it writes its wish, then reads the ring */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (asks(r)) {
		ASSERT_OK(eventfd_write(r->kick, 1));
		r->kicks++;
	}
	r->kicked = r->offered;
}

static uint32_t packed_reap(struct drv_ring *r)
{
	uint32_t was = r->done;

	while (r->done != r->offered) {
		uint16_t slot = (uint16_t)(r->done % r->num);
		bool wrap = !(r->done / r->num & 1);
		uint16_t flags = load16(&r->pdesc[slot].flags);
		uint16_t id;

		if (!!(flags & 1u << VRING_PACKED_DESC_F_USED) != wrap ||
		    !!(flags & 1u << VRING_PACKED_DESC_F_AVAIL) != wrap)
			break;
		/* in order, one entry may stand for all up to its own id */
		id = le16toh(r->pdesc[slot].id);
		ASSERT(id < r->num, "used id %u", id);
		r->done += (uint32_t)(id + r->num - slot) % r->num + 1;
	}
	return r->done - was;
}

uint32_t drv_reap(struct drv_ring *r)
{
	uint16_t n;

	if (r->packed)
		return packed_reap(r);
	n = (uint16_t)(load16(&r->used->idx) - (uint16_t)r->done);
	r->done += n;
	return n;
}

void drv_mute(struct drv_ring *r)
{
	if (r->packed)
		packed_event(r, VRING_PACKED_EVENT_FLAG_DISABLE, 0);
	else
		split_event(r, r->done + 0x8000);
}

uint32_t drv_want(struct drv_ring *r, uint32_t n)
{
	uint32_t want = r->done + n;

	if (r->packed)
		packed_event(r, VRING_PACKED_EVENT_FLAG_DESC,
			     off_wrap(r, want - 1));
	else
		split_event(r, want - 1);
	/* pairs with the device: it publishes, then reads the wish */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return drv_reap(r);
}

uint32_t drv_wait(struct drv_ring *r, uint32_t n)
{
	uint32_t want = r->done + n, was = r->done;
	eventfd_t count;

	drv_want(r, n);
	while ((int32_t)(r->done - want) < 0) {
		ASSERT_OK(eventfd_read(r->call, &count));
		r->calls += count;
		drv_reap(r);
	}
	return r->done - was;
}

/* ---- setting up ---- */

static void ring_split(struct drv_ring *r, struct kvt_mem *mem)
{
	uint16_t i;

	r->desc = kvt_mem_alloc(mem, 16u * r->num, 64);
	r->avail = kvt_mem_alloc(mem, 6u + 2u * r->num, 64);
	r->used = kvt_mem_alloc(mem, 6u + 8u * r->num, 64);
	for (i = 0; i < r->num; i++) {
		r->desc[i].addr = htole64(r->gpa + i * (uint64_t)r->stride);
		r->desc[i].len = htole32(r->len);
		r->desc[i].flags = htole16(r->flags);
		r->avail->ring[i] = htole16(i);
	}
}

static void ring_packed(struct drv_ring *r, struct kvt_mem *mem)
{
	uint16_t i;

	r->pdesc = kvt_mem_alloc(mem, 16u * r->num, 64);
	r->driver = kvt_mem_alloc(mem, sizeof(*r->driver), 64);
	r->device = kvt_mem_alloc(mem, sizeof(*r->device), 64);
	for (i = 0; i < r->num; i++)
		r->pdesc[i].addr = htole64(r->gpa + i * (uint64_t)r->stride);
}

void drv_ring_init(struct drv_ring *r, struct kvt_mem *mem, uint16_t num,
		   uint64_t features, int call)
{
	r->packed = features & KVT_F(VIRTIO_F_RING_PACKED);
	r->num = num;
	r->bufs = kvt_mem_alloc(mem, (size_t)num * r->stride, 4096);
	r->gpa = kvt_gpa(mem, r->bufs);
	if (r->packed)
		ring_packed(r, mem);
	else
		ring_split(r, mem);
	r->kick = eventfd(0, EFD_CLOEXEC);
	r->call = call < 0 ? eventfd(0, EFD_CLOEXEC) : call;
	ASSERT(r->kick >= 0 && r->call >= 0, "eventfd: %s", strerror(errno));
	drv_mute(r);
}

struct vhost_vring_addr drv_ring_addr(const struct drv_ring *r,
				      unsigned int index)
{
	return (struct vhost_vring_addr){
		.index = index,
		.desc_user_addr = r->packed ? (uintptr_t)r->pdesc :
					      (uintptr_t)r->desc,
		.avail_user_addr = r->packed ? (uintptr_t)r->driver :
					       (uintptr_t)r->avail,
		.used_user_addr = r->packed ? (uintptr_t)r->device :
					      (uintptr_t)r->used,
	};
}

void drv_ring_give(const struct kvt_dev *dev, unsigned int index,
		   const struct drv_ring *r)
{
	struct vhost_vring_addr a = drv_ring_addr(r, index);
	/* where both indices of a packed ring begin: 0, wrap counters 1 */
	unsigned int base = r->packed ? 0x80008000u : 0;

	ASSERT_OK(kvt_vring_num(dev->fd, index, r->num));
	ASSERT_OK(kvt_vring_base(dev->fd, index, base));
	ASSERT_OK(ioctl(dev->fd, VHOST_SET_VRING_ADDR, &a));
	ASSERT_OK(kvt_vring_file(dev->fd, VHOST_SET_VRING_KICK, index,
				 r->kick));
	ASSERT_OK(kvt_vring_file(dev->fd, VHOST_SET_VRING_CALL, index,
				 r->call));
}
