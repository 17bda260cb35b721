// SPDX-License-Identifier: GPL-2.0-only
/* Writes that are remembered; see kvt_acked.h. */
#include <fcntl.h>
#include <sys/mman.h>

#include "kvt_acked.h"

#define MS	30000	/* for a request, under emulation */
#define SECTORS	(KVT_BLOCK / KVT_SECTOR)
#define WORDS	(KVT_SECTOR / sizeof(uint64_t))

/* ---- what a sector holds ---- */

static uint64_t stamp_of(uint32_t block, uint32_t gen, unsigned int sector)
{
	return (uint64_t)gen << 32 | (uint64_t)block << 4 | sector;
}

static void stamp(void *buf, uint32_t block, uint32_t gen)
{
	uint64_t *p = buf, state;
	unsigned int s, i;

	for (s = 0; s < SECTORS; s++) {
		state = stamp_of(block, gen, s);
		for (i = 0; i < WORDS; i++, p++)
			*p = i ? kvt_rand(&state) : state;
	}
}

/* The generation a sector is of; -1 when it is none of that block's. */
static int64_t gen_of(const uint64_t *p, uint32_t block, unsigned int sector)
{
	uint32_t gen = (uint32_t)(p[0] >> 32);
	uint64_t state = stamp_of(block, gen, sector);
	unsigned int i;

	for (i = 0; i < WORDS && !p[i]; i++)
		;
	if (i == WORDS)
		return 0;	/* never written */
	if (!gen || p[0] != state)
		return -1;
	for (i = 1; i < WORDS; i++)
		if (p[i] != kvt_rand(&state))
			return -1;
	return gen;
}

/* ---- what is known ---- */

static uint32_t *shared(uint32_t n)
{
	void *p = mmap(NULL, n * sizeof(uint32_t), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

void kvt_acked_init(struct kvt_acked *a, uint32_t blocks)
{
	a->blocks = blocks;
	a->sent = shared(blocks);
	a->acked = shared(blocks);
	a->durable = shared(blocks);
}

void kvt_acked_free(struct kvt_acked *a)
{
	munmap(a->sent, a->blocks * sizeof(uint32_t));
	munmap(a->acked, a->blocks * sizeof(uint32_t));
	munmap(a->durable, a->blocks * sizeof(uint32_t));
}

void kvt_acked_copy(struct kvt_acked *to, const struct kvt_acked *from)
{
	kvt_acked_init(to, from->blocks);
	memcpy(to->sent, from->sent, from->blocks * sizeof(uint32_t));
	memcpy(to->acked, from->acked, from->blocks * sizeof(uint32_t));
	memcpy(to->durable, from->durable, from->blocks * sizeof(uint32_t));
}

/* One block; true when each of its sectors is of a time that may be. */
static bool check_block(const uint8_t *p, uint32_t block, uint32_t low,
			uint32_t high, const char *when)
{
	unsigned int s;
	int64_t gen;

	for (s = 0; s < SECTORS; s++, p += KVT_SECTOR) {
		gen = gen_of((const uint64_t *)p, block, s);
		EXPECT(gen >= low && gen <= high,
		       "%s: block %u, sector %u: generation %lld, not %u to %u",
		       when, block, s, (long long)gen, low, high);
		if (gen < low || gen > high)
			return false;
	}
	return true;
}

uint32_t kvt_acked_check(const struct kvt_acked *a, const uint8_t *image,
			 bool power_cut, const char *when)
{
	uint32_t i, bad = 0, written = 0;

	for (i = 0; i < a->blocks && bad < 10; i++) {
		uint32_t low = power_cut ? a->durable[i] : a->acked[i];

		written += !!low;
		bad += !check_block(image + (size_t)i * KVT_BLOCK, i, low,
				    a->sent[i], when);
	}
	return written;
}

uint32_t kvt_acked_check_fd(const struct kvt_acked *a, int fd,
			    const char *when)
{
	size_t size = (size_t)a->blocks * KVT_BLOCK;
	uint8_t *image = aligned_alloc(KVT_BLOCK, size);
	char path[64];
	uint32_t n;
	int direct;

	ASSERT(image, "out of memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	/* a file system that knows no direct I/O has one copy only */
	if (direct < 0)
		direct = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT(direct >= 0, "open %s: %s", path, strerror(errno));
	ASSERT_EQ(pread(direct, image, size, 0), size);
	close(direct);
	n = kvt_acked_check(a, image, false, when);
	free(image);
	return n;
}

/* ---- writing ---- */

void kvt_writer_init(struct kvt_writer *w, struct kvt_disk *d,
		     struct kvt_acked *a, unsigned int depth, uint64_t seed)
{
	unsigned int i;

	ASSERT(depth <= KVT_WRITER_BIOS, "%u in flight", depth);
	memset(w, 0, sizeof(*w));
	w->d = d;
	w->a = a;
	w->nr_bio = depth;
	w->state = seed | 1;
	w->snapshot = calloc(a->blocks, sizeof(*w->snapshot));
	ASSERT(w->snapshot, "out of memory");
	for (i = 0; i < depth; i++) {
		kvt_bio_init(d, &w->bio[i], KVT_BLOCK);
		w->bio[i].done = true;
	}
	kvt_bio_init(d, &w->flush, 0);
}

static bool in_flight(const struct kvt_writer *w, uint32_t block)
{
	unsigned int i;

	for (i = 0; i < w->nr_bio; i++)
		if (!w->bio[i].done && w->bio[i].tag == block)
			return true;
	return false;
}

static void submit(struct kvt_writer *w, struct kvt_bio *bio)
{
	unsigned int q = (unsigned int)kvt_rand(&w->state) % w->d->nr_queues;
	uint32_t block;

	do {
		block = (uint32_t)(kvt_rand(&w->state) % w->a->blocks);
	} while (in_flight(w, block));
	bio->tag = block;
	w->a->sent[block]++;
	stamp(bio->data, block, w->a->sent[block]);
	kvt_bio_submit(w->d, q, bio, VIRTIO_BLK_T_OUT,
		       (uint64_t)block * SECTORS, KVT_BLOCK);
	w->busy++;
}

/* One answer, to a write or to the flush. */
static void reap(struct kvt_writer *w)
{
	struct kvt_bio *bio = kvt_disk_reap(w->d, MS);
	uint32_t block;

	ASSERT(bio, "no answer in %u ms", MS);
	ASSERT(*bio->status != KVT_NO_STATUS, "no status");
	if (bio == &w->flush)
		return;
	block = (uint32_t)bio->tag;
	w->busy--;
	w->done++;
	if (*bio->status == VIRTIO_BLK_S_OK)
		w->a->acked[block] = w->a->sent[block];
	else
		w->failed++;
}

void kvt_writer_run(struct kvt_writer *w, uint32_t n)
{
	uint32_t target = w->done + n;
	unsigned int i;

	while (w->done < target) {
		for (i = 0; i < w->nr_bio; i++)
			if (w->bio[i].done)
				submit(w, &w->bio[i]);
		reap(w);
	}
}

void kvt_writer_drain(struct kvt_writer *w)
{
	while (w->busy)
		reap(w);
}

int kvt_writer_flush(struct kvt_writer *w)
{
	size_t size = w->a->blocks * sizeof(uint32_t);

	memcpy(w->snapshot, w->a->acked, size);
	kvt_bio_submit(w->d, 0, &w->flush, VIRTIO_BLK_T_FLUSH, 0, 0);
	while (!w->flush.done)
		reap(w);
	if (*w->flush.status == VIRTIO_BLK_S_OK)
		memcpy(w->a->durable, w->snapshot, size);
	return *w->flush.status;
}

void kvt_writer_verify(struct kvt_writer *w, const char *when)
{
	uint8_t *image = malloc((size_t)w->a->blocks * KVT_BLOCK);
	uint32_t i;

	ASSERT(image, "out of memory");
	kvt_writer_drain(w);
	for (i = 0; i < w->a->blocks; i++)
		ASSERT_EQ(kvt_disk_io(w->d, 0, VIRTIO_BLK_T_IN,
				      (uint64_t)i * SECTORS,
				      image + (size_t)i * KVT_BLOCK, KVT_BLOCK),
			  VIRTIO_BLK_S_OK);
	kvt_acked_check(w->a, image, false, when);
	free(image);
}
