// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk in a file, and its file system frozen under it: writes wait and then
 * arrive, and after any number of them the file system can still be frozen
 * (each write takes and returns freeze protection exactly once).
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/wait.h>

#include "kvt_blk.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define FL	KVT_F(VIRTIO_BLK_F_FLUSH)
#define MS	20000
#define BYTES	(4u << 20)
#define BLOCK	4096u

/* FIFREEZE in a process of its own: without the fix it never returns. */
static bool freezes(int fs)
{
	pid_t pid = fork();
	int i, status;

	ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid)
		_exit(ioctl(fs, FIFREEZE, 0) ? 1 : 0);
	for (i = 0; i < 250; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) && !WEXITSTATUS(status);
		usleep(100000);
	}
	return false;
}

static void write_all(struct kvt_disk *d, struct kvt_bio *bio)
{
	uint64_t sector;

	for (sector = 0; sector < BYTES / KVT_SECTOR; sector += 64) {
		kvt_bio_submit(d, 0, bio, VIRTIO_BLK_T_OUT, sector, BLOCK);
		ASSERT(kvt_bio_reap(d, 0, MS) == bio, "no answer");
		ASSERT_EQ(*bio->status, VIRTIO_BLK_S_OK);
	}
}

TEST("a file system under a disk freezes after writes, holds them, goes on")
{
	static uint8_t back[BLOCK];
	struct kvt_disk d;
	struct kvt_bio bio;
	int fs = kvt_ext4("/tmp/kvt-freeze"), fd;

	fd = openat(fs, "disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT(fd >= 0, "open: %s", strerror(errno));
	ASSERT_OK(fallocate(fd, 0, 0, BYTES));
	kvt_disk_open(&d, 1, 64, V1 | EV | FL, 2u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	kvt_bio_init(&d, &bio, BLOCK);
	memset(bio.data, 1, BLOCK);
	write_all(&d, &bio);
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BOUNCED), 0);

	ASSERT(freezes(fs), "cannot freeze after asynchronous writes");
	memset(bio.data, 2, BLOCK);
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_OUT, 0, BLOCK);
	EXPECT(!kvt_bio_reap(&d, 0, 500), "written to a frozen file system");
	ASSERT_OK(ioctl(fs, FITHAW, 0));
	ASSERT(kvt_bio_reap(&d, 0, MS) == &bio, "lost in the frost");
	EXPECT_EQ(*bio.status, VIRTIO_BLK_S_OK);
	ASSERT_EQ(pread(fd, back, BLOCK, 0), BLOCK);
	EXPECT_EQ(memcmp(back, bio.data, BLOCK), 0);

	ASSERT(freezes(fs), "cannot freeze a second time");
	ASSERT_OK(ioctl(fs, FITHAW, 0));
	kvt_disk_close(&d);
}

TEST("zeroes of a block device are not undone by what the page cache holds")
{
	static uint8_t buf[BLOCK], odd[BLOCK + 1];
	struct virtio_blk_discard_write_zeroes *range;
	int fd = kvt_blockdev(KVT_RAMDISK);
	struct kvt_bio bio, zero;
	struct kvt_disk d;
	struct kvt_sg sg;

	kvt_disk_open(&d, 1, 64, V1 | EV | FL, 2u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	kvt_bio_init(&d, &bio, 2 * BLOCK);
	kvt_bio_init(&d, &zero, sizeof(*range));

	/* an odd address cannot be direct I/O: through the page cache */
	memset(bio.data, 0x77, 2 * BLOCK);
	sg = kvt_sg(&d.mem, bio.data + 1, BLOCK);
	kvt_bio_submit_sg(&d, 0, &bio, VIRTIO_BLK_T_OUT, 8, &sg, 1);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &bio, "no answer");
	ASSERT_EQ(*bio.status, VIRTIO_BLK_S_OK);
	ASSERT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BOUNCED), 1);

	range = (void *)zero.data;
	memset(range, 0, sizeof(*range));
	range->sector = 8;
	range->num_sectors = BLOCK / KVT_SECTOR;
	kvt_bio_submit(&d, 0, &zero, VIRTIO_BLK_T_WRITE_ZEROES, 0,
		       sizeof(*range));
	ASSERT(kvt_bio_reap(&d, 0, MS) == &zero, "no answer");
	ASSERT_EQ(*zero.status, VIRTIO_BLK_S_OK);

	ASSERT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
	ASSERT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_IN, 8, buf, BLOCK), 0);
	EXPECT_EQ(memcmp(buf, odd, BLOCK), 0);
	kvt_disk_close(&d);
}
