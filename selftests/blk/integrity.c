// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is written is what is read, whatever the shape of the requests: random
 * operations against a shadow copy, many queues and requests in flight,
 * unaligned and scattered buffers, header and status split everywhere (D-10),
 * on a file, a RAM disk and a block device that completes later. Also what
 * the requests other than read and write do (B-04, B-05, B-09).
 */
#include <endian.h>
#include <fcntl.h>

#include "kvt_blk.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define FLUSH	KVT_F(VIRTIO_BLK_F_FLUSH)
#define ALL	(V1 | EV | IND | FLUSH | KVT_F(VIRTIO_BLK_F_DISCARD) | \
		 KVT_F(VIRTIO_BLK_F_WRITE_ZEROES))

#define MS	30000
#define SECTORS	4096u		/* of the part under test: 2 MiB */

enum backing { A_FILE, RAMDISK, NULLBLK };

static int backing(enum backing kind)
{
	switch (kind) {
	case RAMDISK:
		return kvt_blockdev(KVT_RAMDISK);
	case NULLBLK:
		return kvt_nullblk("kvtslow", "");
	default:
		return kvt_file(SECTORS * KVT_SECTOR);
	}
}

/* Disk with all set, its first SECTORS sectors zero. */
static int disk(struct kvt_disk *d, enum backing kind, unsigned int nr_queues,
		uint16_t num, uint64_t features)
{
	static const uint8_t zero[65536];
	int fd = backing(kind);
	off_t at;

	for (at = 0; at < (off_t)SECTORS * KVT_SECTOR; at += sizeof(zero))
		ASSERT_EQ(pwrite(fd, zero, sizeof(zero), at), sizeof(zero));
	ASSERT_OK(fsync(fd));
	kvt_disk_open(d, nr_queues, num, features, 32u << 20);
	ASSERT_EQ(kvt_disk_backend(d, fd, 0, 0, "kvt-serial"), 0);
	ASSERT(d->capacity >= SECTORS, "capacity %llu sectors",
	       (unsigned long long)d->capacity);
	return fd;
}

static void fill(void *buf, size_t len, uint64_t seed)
{
	uint64_t state = seed + 1, *p = buf;
	size_t i;

	for (i = 0; i < len / 8; i++)
		p[i] = kvt_rand(&state);
}

/* ---- random operations against a shadow copy ---- */

struct shadow {
	struct kvt_disk d;
	struct kvt_bio bio[64];
	unsigned int nr_bio, busy;
	uint8_t *copy;
	bool *locked;		/* by 4 KiB unit: an operation is in flight */
	uint64_t state;
};

struct op {
	uint32_t type;
	uint32_t sector, len;
};

static uint64_t pack(struct op o)
{
	return (uint64_t)o.type << 48 | (uint64_t)o.sector << 24 | o.len;
}

static struct op unpack(uint64_t tag)
{
	return (struct op){ (uint32_t)(tag >> 48),
			    (uint32_t)(tag >> 24) & 0xffffff,
			    (uint32_t)tag & 0xffffff };
}

static bool lock(struct shadow *s, struct op o, bool on)
{
	uint32_t first = o.sector / 8, i;
	uint32_t last = (o.sector + o.len / KVT_SECTOR - 1) / 8;

	for (i = first; on && i <= last; i++)
		if (s->locked[i])
			return false;
	for (i = first; i <= last; i++)
		s->locked[i] = on;
	return true;
}

static void finish(struct shadow *s, struct kvt_bio *bio)
{
	struct op o = unpack(bio->tag);

	ASSERT_EQ(*bio->status, VIRTIO_BLK_S_OK);
	EXPECT_EQ(bio->used, o.type == VIRTIO_BLK_T_IN ? o.len + 1 : 1);
	if (o.type == VIRTIO_BLK_T_IN)
		ASSERT(!memcmp(bio->data, s->copy + o.sector * KVT_SECTOR,
			       o.len), "sectors %u + %u read back changed",
		       o.sector, o.len / KVT_SECTOR);
	lock(s, o, false);
	s->busy--;
}

static void reap_some(struct shadow *s, unsigned int keep)
{
	struct kvt_bio *bio;

	while (s->busy > keep) {
		bio = kvt_disk_reap(&s->d, MS);
		ASSERT(bio, "no answer");
		finish(s, bio);
	}
}

/* Cut the data into pieces of random size, also odd ones. */
static unsigned int scatter(struct shadow *s, struct kvt_bio *bio, uint32_t len,
			    struct kvt_sg *sg)
{
	unsigned int n = 0;
	uint32_t at = 0, part;

	while (at < len && n < 20) {
		part = (uint32_t)(kvt_rand(&s->state) % 6000) + 1;
		if (part > len - at || n == 19)
			part = len - at;
		sg[n++] = kvt_sg(&s->d.mem, bio->data + at, part);
		at += part;
	}
	return n;
}

static void submit(struct shadow *s, struct kvt_bio *bio)
{
	unsigned int q = (unsigned int)kvt_rand(&s->state) % s->d.nr_queues;
	uint64_t r = kvt_rand(&s->state);
	struct kvt_sg sg[32];
	unsigned int n;
	struct op o;

	do {
		o.type = kvt_rand(&s->state) & 1 ? VIRTIO_BLK_T_OUT :
						   VIRTIO_BLK_T_IN;
		o.len = (uint32_t)(kvt_rand(&s->state) % 64 + 1) * KVT_SECTOR;
		o.sector = (uint32_t)(kvt_rand(&s->state) %
				      (SECTORS - o.len / KVT_SECTOR));
	} while (!lock(s, o, true));
	bio->tag = pack(o);
	if (o.type == VIRTIO_BLK_T_OUT) {
		fill(bio->data, o.len, kvt_rand(&s->state));
		memcpy(s->copy + o.sector * KVT_SECTOR, bio->data, o.len);
	} else {
		memset(bio->data, 0xa5, o.len);
	}
	n = r & 1 ? scatter(s, bio, o.len, sg) : 1;
	if (!(r & 1))
		sg[0] = kvt_sg(&s->d.mem, bio->data, o.len);
	if (!kvt_ring_fits(&s->d.q[q], n + 2))
		n = 0;
	if (!n) {		/* no room on this ring: try again later */
		lock(s, o, false);
		reap_some(s, s->busy / 2);
		n = 1;
		sg[0] = kvt_sg(&s->d.mem, bio->data, o.len);
		ASSERT(lock(s, o, true), "range taken again");
	}
	kvt_bio_submit_sg(&s->d, q, bio, o.type, o.sector, sg, n);
	s->busy++;
}

static struct kvt_bio *idle_bio(struct shadow *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_bio; i++)
		if (s->bio[i].done)
			return &s->bio[i];
	ASSERT(false, "no idle request");
	return NULL;
}

static void random_ops(enum backing kind, unsigned int nr_queues, uint16_t num,
		       unsigned int depth, unsigned int ops, uint64_t features)
{
	static struct shadow s;
	uint8_t *all = malloc(SECTORS * KVT_SECTOR);
	unsigned int i;
	int fd;

	s.state = kvt_seed();
	fd = disk(&s.d, kind, nr_queues, num, features);
	s.copy = calloc(SECTORS, KVT_SECTOR);
	s.locked = calloc(SECTORS / 8 + 1, sizeof(bool));
	ASSERT(all && s.copy && s.locked, "out of memory");
	s.nr_bio = depth;
	for (i = 0; i < depth; i++) {
		kvt_bio_init(&s.d, &s.bio[i], 64 * KVT_SECTOR + 512);
		/* odd buffer addresses for a third of them */
		if (i % 3 == 2)
			s.bio[i].data += 512 / 3;
		s.bio[i].done = true;
	}
	for (i = 0; i < ops; i++) {
		if (s.busy == depth)
			reap_some(&s, depth - 1 -
				  (unsigned int)(kvt_rand(&s.state) % depth));
		submit(&s, idle_bio(&s));
	}
	reap_some(&s, 0);
	if (features & FLUSH)
		EXPECT_EQ(kvt_disk_io(&s.d, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0),
			  VIRTIO_BLK_S_OK);
	ASSERT_EQ(kvt_disk_backend(&s.d, -1, 0, 0, NULL), 0);
	/* what others see, through the page cache */
	ASSERT_EQ(pread(fd, all, SECTORS * KVT_SECTOR, 0),
		  SECTORS * KVT_SECTOR);
	EXPECT(!memcmp(all, s.copy, SECTORS * KVT_SECTOR),
	       "the disk differs from the shadow copy");
	kvt_disk_close(&s.d);
}

TEST_SECONDS("random operations on a file, one at a time", 120)
{
	random_ops(A_FILE, 1, 64, 1, 200, V1);
}

TEST_SECONDS("random operations on a file, 16 in flight on 4 queues", 120)
{
	random_ops(A_FILE, 4, 128, 16, 500, ALL);
}

TEST_SECONDS("random operations on a RAM disk, 32 in flight on 2 queues", 120)
{
	random_ops(RAMDISK, 2, 256, 32, 800, ALL);
}

TEST_SECONDS("random operations on a slow block device, 64 in flight", 120)
{
	random_ops(NULLBLK, 4, 256, 64, 800, ALL);
}

TEST_SECONDS("random operations, legacy layout, small ring", 120)
{
	random_ops(RAMDISK, 1, 32, 4, 300, FLUSH);
}

/* ---- shapes of one request ---- */

/*
 * Header and data in one block of memory, data and status in another: every
 * way to cut them into two descriptors each.
 */
static void split(struct kvt_disk *d, bool write, uint32_t cut_out,
		  uint32_t cut_in)
{
	uint8_t *out = d->scratch, *in = d->scratch + 8192, *p;
	struct virtio_blk_outhdr *hdr = (void *)out;
	uint32_t out_len = 16 + (write ? 512 : 0);
	uint32_t in_len = (write ? 0 : 512) + 1, len;
	struct kvt_sg sg[4];
	unsigned int o = 0, i = 0;

	hdr->type = htole32(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	hdr->ioprio = 0;
	hdr->sector = htole64(3);
	if (write)
		fill(out + 16, 512, cut_out);
	memset(in, 0xee, in_len);
	if (cut_out)
		sg[o++] = kvt_sg(&d->mem, out, cut_out);
	if (cut_out < out_len)
		sg[o++] = kvt_sg(&d->mem, out + cut_out, out_len - cut_out);
	if (cut_in)
		sg[o + i++] = kvt_sg(&d->mem, in, cut_in);
	if (cut_in < in_len)
		sg[o + i++] = kvt_sg(&d->mem, in + cut_in, in_len - cut_in);
	kvt_ring_add(&d->q[0], sg, o, i, out);
	kvt_ring_kick(&d->q[0]);
	ASSERT_EQ(kvt_ring_wait(&d->q[0], 1, MS), 0);
	p = kvt_ring_get(&d->q[0], NULL, &len);
	ASSERT(p == out, "another request");
	ASSERT_EQ(in[in_len - 1], VIRTIO_BLK_S_OK);
	ASSERT_EQ(len, in_len);
}

TEST_SECONDS("D-10 header, data and status split at every byte", 200)
{
	uint8_t want[512], got[512];
	struct kvt_disk d;
	uint32_t cut;
	int fd;

	fd = disk(&d, A_FILE, 1, 64, V1);
	for (cut = 0; cut <= 16 + 512; cut += cut < 20 || cut > 500 ? 1 : 37) {
		split(&d, true, cut, cut & 1);
		fill(want, 512, cut);
		ASSERT_EQ(pread(fd, got, 512, 3 * 512), 512);
		ASSERT(!memcmp(want, got, 512), "cut at %u", cut);
	}
	for (cut = 0; cut <= 513; cut += cut < 4 || cut > 500 ? 1 : 37) {
		split(&d, false, cut % 17, cut);
		ASSERT(!memcmp(d.scratch + 8192, got, 512), "cut at %u", cut);
	}
	kvt_disk_close(&d);
}

TEST("D-10 a header of one byte per descriptor")
{
	struct virtio_blk_outhdr *hdr;
	struct kvt_sg sg[18];
	struct kvt_disk d;
	unsigned int i;

	disk(&d, RAMDISK, 1, 64, V1);
	hdr = (void *)d.scratch;
	memset(hdr, 0, 16);
	hdr->type = htole32(VIRTIO_BLK_T_IN);
	for (i = 0; i < 16; i++)
		sg[i] = kvt_sg(&d.mem, d.scratch + i, 1);
	sg[16] = kvt_sg(&d.mem, d.scratch + 4096, 1024);
	sg[17] = kvt_sg(&d.mem, d.scratch + 64, 1);
	d.scratch[64] = 0xee;
	kvt_ring_add(&d.q[0], sg, 16, 2, hdr);
	kvt_ring_kick(&d.q[0]);
	ASSERT_EQ(kvt_ring_wait(&d.q[0], 1, MS), 0);
	EXPECT_EQ(d.scratch[64], VIRTIO_BLK_S_OK);
	kvt_disk_close(&d);
}

TEST("large requests: 60 pieces of 4 KiB, and 2 MiB in one")
{
	struct kvt_sg sg[60];
	struct kvt_bio bio;
	struct kvt_disk d;
	unsigned int i;

	disk(&d, RAMDISK, 1, 64, ALL);
	kvt_bio_init(&d, &bio, 2u << 20);
	fill(bio.data, 2u << 20, 7);
	for (i = 0; i < 60; i++)	/* pieces apart in memory, last first */
		sg[i] = kvt_sg(&d.mem, bio.data + (59 - i) * 8192, 4096);
	kvt_bio_submit_sg(&d, 0, &bio, VIRTIO_BLK_T_OUT, 0, sg, 60);
	ASSERT(kvt_bio_reap(&d, 0, MS), "scattered write");
	EXPECT_EQ(*bio.status, VIRTIO_BLK_S_OK);
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_IN, 0, 60 * 4096);
	ASSERT(kvt_bio_reap(&d, 0, MS), "read");
	EXPECT_EQ(*bio.status, VIRTIO_BLK_S_OK);
	fill(bio.data + (1u << 20), 1u << 20, 7);
	for (i = 0; i < 60; i++)
		EXPECT(!memcmp(bio.data + i * 4096, bio.data + (1u << 20) +
			       (59 - i) * 8192, 4096), "piece %u", i);
	fill(bio.data, 2u << 20, 8);
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_OUT, 0, 2u << 20);
	ASSERT(kvt_bio_reap(&d, 0, MS), "large write");
	EXPECT_EQ(*bio.status, VIRTIO_BLK_S_OK);
	memset(bio.data, 0, 2u << 20);
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_IN, 0, 2u << 20);
	ASSERT(kvt_bio_reap(&d, 0, MS), "large read");
	EXPECT_EQ(*bio.status, VIRTIO_BLK_S_OK);
	kvt_disk_close(&d);
}

/* ---- the other requests ---- */

TEST("B-05 get-id: whole, cut short, one byte, with room to spare")
{
	char id[64];
	struct kvt_disk d;

	disk(&d, A_FILE, 1, 64, V1);
	memset(id, 'x', sizeof(id));
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_GET_ID, 0, id, 20), 0);
	EXPECT(!memcmp(id, "kvt-serial\0\0\0\0\0\0\0\0\0\0x", 21), "%.20s", id);
	memset(d.scratch + 4096, 'x', 64);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_GET_ID, 0, id, 1), 0);
	EXPECT(!memcmp(id, "k", 1), "first byte");
	memset(d.scratch + 4096, 'x', 64);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_GET_ID, 0, id, 64), 0);
	EXPECT(!memcmp(id + 20, "xxxxxxxx", 8), "written past 20 bytes");
	kvt_disk_close(&d);
}

TEST("B-09 flush, alone and with data attached")
{
	uint8_t buf[512] = { 0 };
	struct kvt_disk d;

	disk(&d, A_FILE, 1, 64, V1 | FLUSH);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_FLUSH, 0, buf, 512), 0);
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_FLUSHES), 2);
	kvt_disk_close(&d);
}

static int ranges(struct kvt_disk *d, uint32_t type, uint64_t sector,
		  uint32_t nr, uint32_t flags, unsigned int n)
{
	struct virtio_blk_discard_write_zeroes r[17];
	unsigned int i;

	for (i = 0; i < n; i++)
		r[i] = (struct virtio_blk_discard_write_zeroes){
			htole64(sector + i * nr), htole32(nr), htole32(flags) };
	return kvt_disk_io(d, 0, type, 0, r, n * 16);
}

static void zeroes(enum backing kind)
{
	uint8_t buf[8192], nul[8192] = { 0 };
	struct kvt_disk d;
	uint32_t flag;

	disk(&d, kind, 1, 64, ALL);
	if (!d.max_write_zeroes)
		SKIP("this disk cannot write zeroes");
	for (flag = 0; flag <= VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP; flag++) {
		memset(buf, 0x5a, sizeof(buf));
		EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_OUT, 8, buf, 8192),
			  0);
		EXPECT_EQ(ranges(&d, VIRTIO_BLK_T_WRITE_ZEROES, 10, 4, flag, 1),
			  0);
		EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_IN, 8, buf, 8192), 0);
		EXPECT(!memcmp(buf + 1024, nul, 2048), "not zero");
		EXPECT_EQ(buf[1023], 0x5a);
		EXPECT_EQ(buf[3072], 0x5a);
		EXPECT_EQ(ranges(&d, VIRTIO_BLK_T_WRITE_ZEROES, 8, 2, flag, 8),
			  0);
		EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_IN, 8, buf, 8192), 0);
		EXPECT(!memcmp(buf, nul, 8192), "not zero");
	}
	kvt_disk_close(&d);
}

TEST("write-zeroes on a file") { zeroes(A_FILE); }
TEST("write-zeroes on a RAM disk") { zeroes(RAMDISK); }
TEST("write-zeroes on a block device") { zeroes(NULLBLK); }

static void discards(enum backing kind)
{
	uint8_t buf[4096];
	struct kvt_disk d;

	disk(&d, kind, 1, 64, ALL);
	memset(buf, 0x77, sizeof(buf));
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_OUT, 64, buf, 4096), 0);
	if (!d.max_discard) {
		EXPECT_EQ(ranges(&d, VIRTIO_BLK_T_DISCARD, 64, 8, 0, 1),
			  VIRTIO_BLK_S_UNSUPP);
		return;
	}
	EXPECT_EQ(ranges(&d, VIRTIO_BLK_T_DISCARD, 72, 8, 0, 1), 0);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_IN, 64, buf, 4096), 0);
	EXPECT_EQ(buf[0], 0x77);	/* the neighbour is untouched */
	EXPECT_EQ(buf[4095], 0x77);
	EXPECT_EQ(ranges(&d, VIRTIO_BLK_T_DISCARD, 64, 8, 0, 1), 0);
	kvt_disk_close(&d);
}

TEST("discard on a file") { discards(A_FILE); }
TEST("discard on a block device") { discards(NULLBLK); }

TEST("B-04 ranges that break the rules")
{
	uint32_t type;
	struct kvt_disk d;

	disk(&d, A_FILE, 1, 64, ALL);
	for (type = VIRTIO_BLK_T_DISCARD; type <= VIRTIO_BLK_T_WRITE_ZEROES;
	     type += 2) {
		EXPECT_EQ(ranges(&d, type, 0, 8, 0, 0), VIRTIO_BLK_S_IOERR);
		EXPECT_EQ(ranges(&d, type, 0, 8, 0, 17), VIRTIO_BLK_S_IOERR);
		EXPECT_EQ(ranges(&d, type, SECTORS - 7, 8, 0, 1),
			  VIRTIO_BLK_S_IOERR);
		EXPECT_EQ(ranges(&d, type, ~0ull, 8, 0, 1), VIRTIO_BLK_S_IOERR);
		EXPECT_EQ(ranges(&d, type, 0, 0xffffffff, 0, 1),
			  VIRTIO_BLK_S_IOERR);
		EXPECT_EQ(ranges(&d, type, 0, 8, 2, 1), VIRTIO_BLK_S_UNSUPP);
		EXPECT_EQ(ranges(&d, type, 0, 8, 0x80000000, 1),
			  VIRTIO_BLK_S_UNSUPP);
	}
	EXPECT_EQ(ranges(&d, VIRTIO_BLK_T_DISCARD, 0, 8, 1, 1),
		  VIRTIO_BLK_S_UNSUPP);
	kvt_disk_close(&d);
}

TEST("counters tell the requests and bytes")
{
	static uint8_t buf[65536];
	struct kvt_queue_stat st;
	struct kvt_disk d;

	disk(&d, A_FILE, 2, 64, ALL);
	EXPECT_EQ(kvt_disk_io(&d, 1, VIRTIO_BLK_T_OUT, 0, buf, 65536), 0);
	EXPECT_EQ(kvt_disk_io(&d, 1, VIRTIO_BLK_T_IN, 0, buf, 512), 0);
	EXPECT_EQ(kvt_disk_io(&d, 1, VIRTIO_BLK_T_IN, 0, buf, 1024), 0);
	EXPECT_EQ(kvt_disk_io(&d, 1, VIRTIO_BLK_T_IN, ~0ull, buf, 512),
		  VIRTIO_BLK_S_IOERR);
	kvt_nl_queue(d.id, 1, &st);
	EXPECT_EQ(st.c[KVASIR_C_REQUESTS], 4);
	EXPECT_EQ(st.c[KVASIR_C_READS], 2);
	EXPECT_EQ(st.c[KVASIR_C_WRITES], 1);
	EXPECT_EQ(st.c[KVASIR_C_BYTES_IN], 65536);
	EXPECT_EQ(st.c[KVASIR_C_BYTES_OUT], 1536);
	EXPECT_EQ(st.c[KVASIR_C_ERRORS], 1);
	EXPECT_EQ(st.inflight, 0);
	kvt_nl_queue(d.id, 0, &st);
	EXPECT_EQ(st.c[KVASIR_C_REQUESTS], 0);
	kvt_disk_close(&d);
}
