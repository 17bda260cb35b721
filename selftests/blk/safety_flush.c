// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is durable when (B-09): a disk on dm-log-writes, which logs writes in
 * the order in which a flush makes them last. The log is then replayed from
 * the beginning, and at each mark the disk is what a power cut at that moment
 * could have left at worst.
 */
#include <endian.h>
#include <linux/fs.h>

#include "kvt_acked.h"
#include "kvt_dm.h"

#define ALL	(KVT_F(VIRTIO_F_VERSION_1) | KVT_F(VIRTIO_RING_F_EVENT_IDX))
#define FL	KVT_F(VIRTIO_BLK_F_FLUSH)
#define BLOCKS	256u
#define ROUNDS	12
#define NAME	"kvtlog"

/* Documentation/admin-guide/device-mapper/log-writes.rst, dm-log-writes.c */
#define LOG_MAGIC	0x6a736677736872ull
#define LOG_FLUSH	1u
#define LOG_DISCARD	4u
#define LOG_MARK	8u

struct log_super {
	uint64_t magic, version, nr_entries;
	uint32_t sectorsize;
};

/* A mark's text follows in the same sector; the data in the next ones. */
struct log_entry {
	uint64_t sector, nr_sectors, flags, data_len;
	char text[64];
};

/* Where it begins, all zero, and where the log goes. */
static int devices(int *log)
{
	static uint8_t zero[BLOCKS * KVT_BLOCK];
	int fd = kvt_blockdev(KVT_RAMDISK);

	*log = kvt_blockdev("/dev/ram1", "brd");
	ASSERT_EQ(pwrite(fd, zero, sizeof(zero), 0), sizeof(zero));
	ASSERT_OK(fsync(fd));
	/* buffers of it are older than what the mapper will write */
	ASSERT_OK(ioctl(fd, BLKFLSBUF, 0));
	close(fd);
	return kvt_dm(NAME, "dm-log-writes",
		      "0 32768 log-writes /dev/ram0 /dev/ram1");
}

static void sector(int log, uint64_t at, void *buf, size_t len)
{
	ASSERT_EQ(pread(log, buf, len, (off_t)(at * KVT_SECTOR)), len);
}

/* What the log holds, in order; @state by mark. How many flushes it has. */
static unsigned int replay(int log, const struct kvt_acked *state)
{
	static uint8_t image[16u << 20];
	unsigned int flushes = 0, marks = 0;
	struct log_super super;
	struct log_entry e;
	uint64_t i, at = 1;
	char when[32];

	ASSERT_OK(ioctl(log, BLKFLSBUF, 0));
	sector(log, 0, &super, sizeof(super));
	ASSERT(le64toh(super.magic) == LOG_MAGIC, "no log");
	ASSERT_EQ(le32toh(super.sectorsize), KVT_SECTOR);
	for (i = 0; i < le64toh(super.nr_entries); i++) {
		uint64_t len, flags;

		sector(log, at++, &e, sizeof(e));
		flags = le64toh(e.flags);
		len = le64toh(e.nr_sectors);
		flushes += !!(flags & LOG_FLUSH);
		if (flags & LOG_MARK && e.text[0] == 'k') {
			ASSERT_EQ(atoi(e.text + 1), marks);
			snprintf(when, sizeof(when), "cut at mark %u", marks);
			ASSERT(kvt_acked_check(&state[marks], image, true,
					       when) || !marks,
			       "mark %u: nothing durable", marks);
			marks++;
		}
		if (flags & LOG_DISCARD || !len)
			continue;
		ASSERT(le64toh(e.sector) + len <= sizeof(image) / KVT_SECTOR,
		       "entry %llu beyond the device", (unsigned long long)i);
		sector(log, at, image + le64toh(e.sector) * KVT_SECTOR,
		       len * KVT_SECTOR);
		at += len;
	}
	EXPECT_EQ(marks, ROUNDS);
	NOTE("%llu entries, %u flushes",
	     (unsigned long long)le64toh(super.nr_entries), flushes);
	return flushes;
}

static void cut(uint64_t features)
{
	static struct kvt_acked state[ROUNDS];
	size_t size = BLOCKS * sizeof(uint32_t);
	int log, fd = devices(&log), i;
	struct kvt_acked a;
	struct kvt_writer w;
	struct kvt_disk d;
	char mark[16];

	kvt_acked_init(&a, BLOCKS);
	kvt_disk_open(&d, 2, 64, ALL | features, 4u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	kvt_writer_init(&w, &d, &a, 16, kvt_seed());
	for (i = 0; i < ROUNDS; i++) {
		kvt_writer_run(&w, 40);
		/* without flushes, a write that is done is there to stay */
		if (features & FL)
			ASSERT_EQ(kvt_writer_flush(&w), VIRTIO_BLK_S_OK);
		else
			memcpy(a.durable, a.acked, size);
		kvt_acked_copy(&state[i], &a);
		snprintf(mark, sizeof(mark), "mark k%d", i);
		kvt_dm_message(NAME, mark);
	}
	kvt_writer_drain(&w);
	EXPECT_EQ(w.failed, 0);
	kvt_disk_close(&d);
	close(fd);
	kvt_dm_remove(NAME);
	if (features & FL)
		EXPECT(replay(log, state) >= ROUNDS, "flushes were lost");
	else
		replay(log, state);
}

TEST_SECONDS("B-09 power cut: what was written before a flush is there", 120)
{
	cut(FL);
}

TEST_SECONDS("B-09 power cut: a driver without flushes loses nothing", 120)
{
	cut(0);
}
