// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's side of a virtqueue; see kvt_ring.h. What only packed rings
 * have is in kvt_packed.c.
 */
#include <endian.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "kvt_packed.h"

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

void kvt_mem_poke(const struct kvt_mem *mem, void *p, const void *bytes,
		  size_t len)
{
	ASSERT_EQ(pwrite(mem->fd, bytes, len, (uint8_t *)p - mem->base),
		  (ssize_t)len);
}

struct kvt_sg kvt_sg(const struct kvt_mem *mem, const void *p, uint32_t len)
{
	return (struct kvt_sg){ kvt_gpa(mem, p), len };
}

static bool packed(const struct kvt_ring *ring)
{
	return ring->flags & KVT_RING_PACKED;
}

static bool in_order(const struct kvt_ring *ring)
{
	return ring->flags & KVT_RING_IN_ORDER;
}

uint32_t kvt_ring_base(const struct kvt_ring *ring)
{
	/* avail and used position in a half each: slot 0, wrap counter 1 */
	return packed(ring) ? 0x80008000u : 0;
}

void kvt_ring_reset(struct kvt_ring *ring)
{
	uint16_t i;

	memset(ring->desc, 0, 16u * ring->num);
	if (packed(ring)) {
		kvt_packed_reset(ring);
	} else {
		memset(ring->avail, 0, 6u + 2u * ring->num);
		memset(ring->used, 0, 6u + 8u * ring->num);
	}
	memset(ring->buf, 0, ring->num * sizeof(*ring->buf));
	ring->avail_idx = 0;
	ring->kicked_idx = 0;
	ring->last_used = 0;
	ring->next_desc = 0;
	ring->oldest = 0;
	ring->nr_inflight = 0;
	ring->batch = 0;
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

static void layout(struct kvt_ring *ring, struct kvt_mem *mem)
{
	size_t n = ring->num;

	if (ring->flags & KVT_RING_LEGACY) {
		uint8_t *p = kvt_mem_alloc(mem, vring_size(ring->num, 4096),
					   4096);

		ring->desc = (void *)p;
		ring->avail = (void *)(p + 16 * n);
		ring->used = (void *)(p + vring_size(ring->num, 4096) -
				      (6 + 8 * n));
		return;
	}
	ring->desc = kvt_mem_alloc(mem, 16 * n, 16);
	if (packed(ring)) {
		ring->driver = kvt_mem_alloc(mem, sizeof(*ring->driver), 4);
		ring->device = kvt_mem_alloc(mem, sizeof(*ring->device), 4);
	} else {
		ring->avail = kvt_mem_alloc(mem, 6 + 2 * n, 2);
		ring->used = kvt_mem_alloc(mem, 6 + 8 * n, 4);
	}
}

void kvt_ring_init(struct kvt_ring *ring, struct kvt_mem *mem, uint16_t num,
		   unsigned int flags)
{
	size_t n = num;

	memset(ring, 0, sizeof(*ring));
	ring->mem = mem;
	ring->num = num;
	ring->flags = flags;
	layout(ring, mem);
	if (flags & KVT_RING_INDIRECT)
		ring->indirect = kvt_mem_alloc(mem, n * KVT_INDIRECT_MAX * 16,
					       16);
	ring->free = calloc(n, sizeof(*ring->free));
	ring->next = calloc(n, sizeof(*ring->next));
	ring->order = calloc(n, sizeof(*ring->order));
	ring->buf = calloc(n, sizeof(*ring->buf));
	ASSERT(ring->free && ring->next && ring->order && ring->buf,
	       "out of memory");
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
	free(ring->order);
	free(ring->buf);
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

/*
 * Take a descriptor. Those of an in-order ring are used round and round
 * (2.7.4.2): .next of the one before it is always the next.
 */
static uint16_t take_desc(struct kvt_ring *ring)
{
	uint16_t d = ring->free[ring->nr_free - 1];

	if (in_order(ring)) {
		d = ring->next_desc;
		ring->next_desc = (uint16_t)((d + 1) % ring->num);
	}
	ring->nr_free--;
	return d;
}

static uint16_t peek_desc(const struct kvt_ring *ring)
{
	return in_order(ring) ? ring->next_desc : ring->free[ring->nr_free - 1];
}

static uint16_t add_indirect(struct kvt_ring *ring, const struct kvt_sg *sg,
			     unsigned int nr_out, unsigned int n)
{
	uint16_t head = take_desc(ring);
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
	uint16_t head = peek_desc(ring);
	unsigned int i;

	for (i = 0; i < n; i++) {
		bool more = i + 1 < n;
		uint16_t cur = take_desc(ring);
		uint16_t next = more ? peek_desc(ring) : 0;

		put_desc(&ring->desc[cur], &sg[i], i >= nr_out, more, next);
		ring->next[cur] = more ? next : NO_DESC;
	}
	return head;
}

static uint16_t split_add(struct kvt_ring *ring, const struct kvt_sg *sg,
			  unsigned int nr_out, unsigned int n)
{
	uint16_t head;

	head = ring->indirect && n > 1 ? add_indirect(ring, sg, nr_out, n) :
					 add_direct(ring, sg, nr_out, n);
	ring->avail->ring[ring->avail_idx % ring->num] = htole16(head);
	ring->avail_idx++;
	return head;
}

uint16_t kvt_ring_add(struct kvt_ring *ring, const struct kvt_sg *sg,
		      unsigned int nr_out, unsigned int nr_in, void *token)
{
	unsigned int i, n = nr_out + nr_in;
	struct kvt_buf *buf;
	uint16_t id, was;

	ASSERT(n && token, "an empty chain, or no token");
	ASSERT(kvt_ring_fits(ring, n), "ring of %u full", ring->num);
	was = ring->nr_free;
	id = packed(ring) ? kvt_packed_add(ring, sg, nr_out, n) :
			    split_add(ring, sg, nr_out, n);
	buf = &ring->buf[id];
	buf->token = token;
	buf->slots = (uint16_t)(was - ring->nr_free);
	buf->in_len = 0;
	for (i = nr_out; i < n; i++)
		buf->in_len += sg[i].len;
	ring->order[(ring->oldest + ring->nr_inflight++) % ring->num] = id;
	return id;
}

bool kvt_ring_publish(struct kvt_ring *ring)
{
	uint16_t old = ring->kicked_idx, new = ring->avail_idx;

	if (packed(ring))
		return kvt_packed_publish(ring);
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
	ring->kicks++;
}

void kvt_ring_kick(struct kvt_ring *ring)
{
	if (kvt_ring_publish(ring))
		kvt_ring_force_kick(ring);
}

uint16_t kvt_ring_used(const struct kvt_ring *ring)
{
	if (packed(ring))
		return kvt_packed_count(ring, ring->num, NULL);
	return (uint16_t)(load16(&ring->used->idx) - ring->last_used);
}

unsigned int kvt_batch(const struct kvt_ring *ring, uint32_t id,
		       unsigned int seen)
{
	unsigned int i;

	if (!in_order(ring))
		return 1;
	for (i = seen; i < ring->nr_inflight; i++)
		if (ring->order[(ring->oldest + i) % ring->num] == id)
			return i + 1 - seen;
	return 1;	/* not in flight: kvt_ring_get() tells */
}

/* The next used entry. Returns false when there is none. */
static bool split_peek(const struct kvt_ring *ring, uint32_t *id, uint32_t *len)
{
	const struct vring_used_elem *e;

	if (!kvt_ring_used(ring))
		return false;
	e = &ring->used->ring[ring->last_used % ring->num];
	*id = le32toh(e->id);
	*len = le32toh(e->len);
	return true;
}

/* Learn from the next used entry which chains are done. */
static bool begin_batch(struct kvt_ring *ring, uint32_t *id)
{
	uint32_t len;

	if (!(packed(ring) ? kvt_packed_peek(ring, id, &len) :
			     split_peek(ring, id, &len)))
		return false;
	ASSERT(*id < ring->num && ring->buf[*id].token,
	       "a used entry names chain %u, which is not in flight", *id);
	ring->batch = (uint16_t)kvt_batch(ring, *id, 0);
	ring->batch_len = len;
	ASSERT(packed(ring) || ring->batch <= kvt_ring_used(ring),
	       "used index is %u ahead, the entry stands for %u chains",
	       kvt_ring_used(ring), ring->batch);
	return true;
}

/* Its descriptors are free again. */
static void release(struct kvt_ring *ring, uint16_t id)
{
	uint16_t d;

	ring->nr_inflight--;
	ring->oldest = (uint16_t)((ring->oldest + 1) % ring->num);
	if (packed(ring)) {
		kvt_packed_release(ring, id);
		return;
	}
	ring->last_used++;
	if (in_order(ring)) {
		ring->nr_free += ring->buf[id].slots;
		return;
	}
	for (d = id; d != NO_DESC; d = ring->next[d])
		ring->free[ring->nr_free++] = d;
}

void *kvt_ring_get(struct kvt_ring *ring, uint16_t *head, uint32_t *len)
{
	struct kvt_buf *buf;
	void *token;
	uint32_t id;

	if (!ring->batch && !begin_batch(ring, &id))
		return NULL;
	if (in_order(ring))
		id = ring->order[ring->oldest];
	ring->batch--;
	buf = &ring->buf[id];
	token = buf->token;
	buf->token = NULL;
	if (head)
		*head = (uint16_t)id;
	if (len)
		*len = ring->batch ? buf->in_len : ring->batch_len;
	release(ring, (uint16_t)id);
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
	if (packed(ring))
		kvt_packed_want_call(ring, n);
	else if (ring->flags & KVT_RING_EVENT_IDX)
		store16(used_event(ring), (uint16_t)(ring->last_used + n - 1));
	else
		store16(&ring->avail->flags, 0);
	/* pairs with the device: it publishes, then reads the wish */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int kvt_ring_wait(struct kvt_ring *ring, uint16_t n, unsigned int ms)
{
	uint64_t deadline = kvt_deadline(ms), count;

	for (;;) {
		want_call(ring, n);
		if (kvt_ring_used(ring) >= n)
			return 0;
		if (!kvt_eventfd_wait(ring->call, (unsigned int)
				      kvt_left(deadline), &count))
			return -ETIMEDOUT;
		ring->calls += count;
	}
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
