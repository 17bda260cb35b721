// SPDX-License-Identifier: GPL-2.0-only
/* The driver's side of a split virtqueue; see kvt_ring.h. */
#include <endian.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "kvt_ring.h"

#define NO_DESC 0xffff

static uint16_t load16(const __virtio16 *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static void store16(__virtio16 *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

static __virtio16 *used_event(const struct kvt_ring *ring)
{
	return &ring->avail->ring[ring->num];
}

static __virtio16 *avail_event(const struct kvt_ring *ring)
{
	return (__virtio16 *)&ring->used->ring[ring->num];
}

void kvt_mem_init(struct kvt_mem *mem, size_t size, uint64_t gpa)
{
	mem->fd = memfd_create("guest", MFD_CLOEXEC);
	ASSERT(mem->fd >= 0, "memfd_create: %s", strerror(errno));
	ASSERT_OK(ftruncate(mem->fd, (off_t)size));
	mem->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 mem->fd, 0);
	ASSERT(mem->base != MAP_FAILED, "mmap of %zu bytes: %s", size,
	       strerror(errno));
	mem->size = size;
	mem->gpa = gpa;
	mem->next = 0;
}

void kvt_mem_free(struct kvt_mem *mem)
{
	munmap(mem->base, mem->size);
	close(mem->fd);
}

void *kvt_mem_alloc(struct kvt_mem *mem, size_t size, size_t align)
{
	size_t at = (mem->next + align - 1) & ~(align - 1);

	ASSERT(at <= mem->size && size <= mem->size - at,
	       "%zu bytes of guest memory used up", mem->size);
	mem->next = at + size;
	return mem->base + at;
}

uint64_t kvt_gpa(const struct kvt_mem *mem, const void *p)
{
	return mem->gpa + (uint64_t)((const uint8_t *)p - mem->base);
}

struct kvt_sg kvt_sg(const struct kvt_mem *mem, const void *p, uint32_t len)
{
	return (struct kvt_sg){ kvt_gpa(mem, p), len };
}

void kvt_ring_reset(struct kvt_ring *ring)
{
	uint16_t i;

	memset(ring->desc, 0, 16u * ring->num);
	memset(ring->avail, 0, 6u + 2u * ring->num);
	memset(ring->used, 0, 6u + 8u * ring->num);
	memset(ring->token, 0, ring->num * sizeof(*ring->token));
	ring->avail_idx = 0;
	ring->kicked_idx = 0;
	ring->last_used = 0;
	ring->nr_free = ring->num;
	for (i = 0; i < ring->num; i++)
		ring->free[i] = (uint16_t)(ring->num - 1 - i);
}

static int event_create(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT(fd >= 0, "eventfd: %s", strerror(errno));
	return fd;
}

void kvt_ring_init(struct kvt_ring *ring, struct kvt_mem *mem, uint16_t num,
		   unsigned int flags)
{
	size_t n = num;

	memset(ring, 0, sizeof(*ring));
	ring->mem = mem;
	ring->num = num;
	ring->flags = flags;
	if (flags & KVT_RING_LEGACY) {
		uint8_t *p = kvt_mem_alloc(mem, vring_size(num, 4096), 4096);

		ring->desc = (void *)p;
		ring->avail = (void *)(p + 16 * n);
		ring->used = (void *)(p + vring_size(num, 4096) -
				      (6 + 8 * n));
	} else {
		ring->desc = kvt_mem_alloc(mem, 16 * n, 16);
		ring->avail = kvt_mem_alloc(mem, 6 + 2 * n, 2);
		ring->used = kvt_mem_alloc(mem, 6 + 8 * n, 4);
	}
	if (flags & KVT_RING_INDIRECT)
		ring->indirect = kvt_mem_alloc(mem, n * KVT_INDIRECT_MAX * 16,
					       16);
	ring->free = calloc(n, sizeof(*ring->free));
	ring->next = calloc(n, sizeof(*ring->next));
	ring->token = calloc(n, sizeof(*ring->token));
	ASSERT(ring->free && ring->next && ring->token, "out of memory");
	ring->kick = event_create();
	ring->call = event_create();
	ring->err = event_create();
	kvt_ring_reset(ring);
}

void kvt_ring_free(struct kvt_ring *ring)
{
	close(ring->kick);
	close(ring->call);
	close(ring->err);
	free(ring->free);
	free(ring->next);
	free(ring->token);
}

bool kvt_ring_fits(const struct kvt_ring *ring, unsigned int n)
{
	if (ring->indirect && n > 1)
		return n <= KVT_INDIRECT_MAX && ring->nr_free >= 1;
	return n <= ring->nr_free;
}

static void put_desc(struct vring_desc *d, const struct kvt_sg *sg, bool in,
		     bool more, uint16_t next)
{
	d->addr = htole64(sg->gpa);
	d->len = htole32(sg->len);
	d->flags = htole16((in ? VRING_DESC_F_WRITE : 0) |
			   (more ? VRING_DESC_F_NEXT : 0));
	d->next = htole16(next);
}

static uint16_t add_indirect(struct kvt_ring *ring, const struct kvt_sg *sg,
			     unsigned int nr_out, unsigned int n)
{
	uint16_t head = ring->free[--ring->nr_free];
	struct vring_desc *table = &ring->indirect[head * KVT_INDIRECT_MAX];
	struct vring_desc *d = &ring->desc[head];
	unsigned int i;

	for (i = 0; i < n; i++)
		put_desc(&table[i], &sg[i], i >= nr_out, i + 1 < n,
			 (uint16_t)(i + 1));
	d->addr = htole64(kvt_gpa(ring->mem, table));
	d->len = htole32(n * 16);
	d->flags = htole16(VRING_DESC_F_INDIRECT);
	d->next = 0;
	ring->next[head] = NO_DESC;
	return head;
}

static uint16_t add_direct(struct kvt_ring *ring, const struct kvt_sg *sg,
			   unsigned int nr_out, unsigned int n)
{
	uint16_t head = ring->free[ring->nr_free - 1], cur = head;
	unsigned int i;

	for (i = 0; i < n; i++) {
		bool more = i + 1 < n;
		uint16_t next = more ? ring->free[ring->nr_free - 2] : 0;

		put_desc(&ring->desc[cur], &sg[i], i >= nr_out, more, next);
		ring->next[cur] = more ? next : NO_DESC;
		ring->nr_free--;
		cur = next;
	}
	return head;
}

uint16_t kvt_ring_add(struct kvt_ring *ring, const struct kvt_sg *sg,
		      unsigned int nr_out, unsigned int nr_in, void *token)
{
	unsigned int n = nr_out + nr_in;
	uint16_t head;

	ASSERT(n && token, "an empty chain, or no token");
	ASSERT(kvt_ring_fits(ring, n), "ring of %u full", ring->num);
	head = ring->indirect && n > 1 ? add_indirect(ring, sg, nr_out, n) :
					 add_direct(ring, sg, nr_out, n);
	ring->token[head] = token;
	ring->avail->ring[ring->avail_idx % ring->num] = htole16(head);
	ring->avail_idx++;
	return head;
}

bool kvt_ring_publish(struct kvt_ring *ring)
{
	uint16_t old = ring->kicked_idx, new = ring->avail_idx;

	store16(&ring->avail->idx, new);
	ring->kicked_idx = new;
	/* pairs with the device: it writes its wish, then reads the index */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->flags & KVT_RING_EVENT_IDX)
		return vring_need_event(load16(avail_event(ring)), new, old);
	return !(load16(&ring->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void kvt_ring_force_kick(struct kvt_ring *ring)
{
	ASSERT_OK(eventfd_write(ring->kick, 1));
}

void kvt_ring_kick(struct kvt_ring *ring)
{
	if (kvt_ring_publish(ring))
		kvt_ring_force_kick(ring);
}

uint16_t kvt_ring_used(const struct kvt_ring *ring)
{
	return (uint16_t)(load16(&ring->used->idx) - ring->last_used);
}

void *kvt_ring_get(struct kvt_ring *ring, uint16_t *head, uint32_t *len)
{
	struct vring_used_elem *e;
	void *token;
	uint32_t id;
	uint16_t d;

	if (!kvt_ring_used(ring))
		return NULL;
	e = &ring->used->ring[ring->last_used % ring->num];
	id = le32toh(e->id);
	ASSERT(id < ring->num && ring->token[id],
	       "used entry %u names chain %u, which is not in flight",
	       ring->last_used, id);
	token = ring->token[id];
	ring->token[id] = NULL;
	if (head)
		*head = (uint16_t)id;
	if (len)
		*len = le32toh(e->len);
	for (d = (uint16_t)id; d != NO_DESC; d = ring->next[d])
		ring->free[ring->nr_free++] = d;
	ring->last_used++;
	return token;
}

bool kvt_eventfd_wait(int fd, unsigned int ms, uint64_t *count)
{
	uint64_t deadline = kvt_deadline(ms), n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		if (eventfd_read(fd, &n) == 0)
			break;
		if (poll(&p, 1, kvt_left(deadline)) == 0 &&
		    !kvt_left(deadline))
			return false;
	}
	if (count)
		*count = n;
	return true;
}

static void want_call(struct kvt_ring *ring, uint16_t n)
{
	if (ring->flags & KVT_RING_EVENT_IDX)
		store16(used_event(ring), (uint16_t)(ring->last_used + n - 1));
	else
		store16(&ring->avail->flags, 0);
	/* pairs with the device: it publishes, then reads the wish */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int kvt_ring_wait(struct kvt_ring *ring, uint16_t n, unsigned int ms)
{
	uint64_t deadline = kvt_deadline(ms), count;

	want_call(ring, n);
	while (kvt_ring_used(ring) < n) {
		if (!kvt_eventfd_wait(ring->call, (unsigned int)
				      kvt_left(deadline), &count))
			return -ETIMEDOUT;
		ring->calls += count;
	}
	return 0;
}

void kvt_raw_desc(struct kvt_ring *ring, uint16_t i, uint64_t gpa,
		  uint32_t len, uint16_t flags, uint16_t next)
{
	ring->desc[i] = (struct vring_desc){
		.addr = htole64(gpa), .len = htole32(len),
		.flags = htole16(flags), .next = htole16(next),
	};
}

void kvt_raw_avail(struct kvt_ring *ring, uint16_t head)
{
	ring->avail->ring[ring->avail_idx % ring->num] = htole16(head);
	ring->avail_idx++;
	kvt_ring_publish(ring);
}
