// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a disk offers beyond reading and writing: write-through, polled I/O,
 * limits of the backing, another size or another file behind a running guest,
 * a stop that does not wait for ever, and who pays (B-07, B-08, D-12).
 */
#include <endian.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kvt_dm.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define FLUSH	KVT_F(VIRTIO_BLK_F_FLUSH)
#define WCE	KVT_F(VIRTIO_BLK_F_CONFIG_WCE)
#define MS	20000

static int set_backend(struct kvt_disk *d, struct kvasir_blk_backend *b, int fd,
		       uint32_t flags)
{
	*b = (struct kvasir_blk_backend){ .size = sizeof(*b), .fd = fd,
					  .flags = flags };
	return ioctl(d->dev.fd, KVASIR_BLK_SET_BACKEND, b) ? -errno : 0;
}

static int wr(struct kvt_disk *d, uint64_t sector, uint8_t fill)
{
	uint8_t buf[4096];

	memset(buf, fill, sizeof(buf));
	return kvt_disk_io(d, 0, VIRTIO_BLK_T_OUT, sector, buf, sizeof(buf));
}

/* The first byte of a block, or a negative status. */
static int rd(struct kvt_disk *d, uint64_t sector)
{
	uint8_t buf[4096] = { 0 };
	int status = kvt_disk_io(d, 0, VIRTIO_BLK_T_IN, sector, buf,
				 sizeof(buf));

	return status ? -status : buf[0];
}

/* ---- limits ---- */

TEST("a caller of version 0 gets version 0, and nothing behind it")
{
	struct kvasir_blk_backend b = {
		.size = KVASIR_BLK_BACKEND_SIZE_VER0, .fd = kvt_file(1 << 20),
		.caps = 0xaaaa, .seg_max = 0x5555,
	};
	struct kvt_disk d;

	kvt_disk_open(&d, 1, 64, V1, 1 << 20);
	ASSERT_OK(ioctl(d.dev.fd, KVASIR_BLK_SET_BACKEND, &b));
	EXPECT_EQ(b.capacity, 2048);
	EXPECT_EQ(b.caps, 0xaaaa);
	EXPECT_EQ(b.seg_max, 0x5555);
	EXPECT_EQ(wr(&d, 0, 1), 0);
	kvt_disk_close(&d);
}

TEST("topology and limits are those of the block device")
{
	struct kvasir_blk_backend b;
	struct kvt_disk d;

	kvt_disk_open(&d, 1, 64, V1, 1 << 20);
	ASSERT_EQ(set_backend(&d, &b, kvt_nullblk("kvt4k", "blocksize=4096"),
			      0), 0);
	EXPECT_EQ(b.logical_block_size, 4096);
	EXPECT_EQ(b.physical_block_size, 4096);
	EXPECT_EQ(b.io_min, 4096);
	EXPECT_EQ(b.alignment_offset, 0);
	EXPECT_EQ(b.discard_align_sectors, 8);
	EXPECT(b.max_discard_sectors, "no discard");
	EXPECT_EQ(b.max_secure_erase_sectors, 0);
	EXPECT(b.seg_max >= 254, "seg_max %u", b.seg_max);
	EXPECT_EQ(b.reserved, 0);
	EXPECT(!(b.caps & KVASIR_BLK_C_POLLED), "polled without being asked");
	kvt_disk_close(&d);
}

TEST("secure erase is refused where the disk cannot")
{
	struct virtio_blk_discard_write_zeroes r = { 0, htole32(8), 0 };
	struct kvt_disk d;

	kvt_disk_open(&d, 1, 64, V1 | KVT_F(VIRTIO_BLK_F_SECURE_ERASE),
		      1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, kvt_file(1 << 20), 0, 0, NULL), 0);
	ASSERT_EQ(wr(&d, 0, 7), 0);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_SECURE_ERASE, 0, &r, 16),
		  VIRTIO_BLK_S_UNSUPP);
	EXPECT_EQ(rd(&d, 0), 7);
	kvt_disk_close(&d);
}

/* ---- write-through ---- */

#define TRACE "/sys/kernel/tracing/"

static int shell(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

/* How the block layer marks the write a disk makes: "WFS" with FUA. */
static bool writes_fua(struct kvt_disk *d, int fd)
{
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	if (shell("cd " TRACE "events/block/block_rq_issue 2>/dev/null && "
		  "echo >../../../trace && echo 1 >enable"))
		SKIP("no tracing of block requests");
	EXPECT_EQ(wr(d, 8, 1), 0);
	shell("echo 0 >" TRACE "events/block/block_rq_issue/enable");
	ASSERT(!shell("grep -q ' %u,%u W' " TRACE "trace", major(st.st_rdev),
		      minor(st.st_rdev)), "the write was not traced");
	return !shell("grep -q ' %u,%u WF' " TRACE "trace", major(st.st_rdev),
		      minor(st.st_rdev));
}

static void set_writeback(struct kvt_disk *d, uint32_t on)
{
	ASSERT_OK(ioctl(d->dev.fd, KVASIR_BLK_SET_WRITEBACK, &on));
}

TEST("write-through by flag, by ioctl, and for want of a flush: FUA")
{
	int fd = kvt_nullblk("kvtwc", "cache_size=4");
	uint32_t on = 2;
	struct kvasir_blk_backend b;
	struct kvt_disk d;

	kvt_disk_open(&d, 1, 64, V1 | FLUSH | WCE, 1 << 20);
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_SET_WRITEBACK, &on), EINVAL);
	on = 0;
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_SET_WRITEBACK, &on), ENXIO);
	ASSERT_EQ(set_backend(&d, &b, fd, 0), 0);
	EXPECT(b.caps & KVASIR_BLK_C_VOLATILE, "no cache");
	EXPECT(!writes_fua(&d, fd), "write-back writes with FUA");
	set_writeback(&d, 0);
	EXPECT(writes_fua(&d, fd), "write-through without FUA");
	set_writeback(&d, 1);
	EXPECT(!writes_fua(&d, fd), "write-back writes with FUA again");
	ASSERT_EQ(set_backend(&d, &b, -1, 0), 0);
	ASSERT_EQ(set_backend(&d, &b, fd, KVASIR_BLK_F_WRITETHROUGH), 0);
	EXPECT(writes_fua(&d, fd), "write-through by flag without FUA");
	kvt_disk_close(&d);

	kvt_disk_open(&d, 1, 64, V1, 1 << 20);
	ASSERT_EQ(set_backend(&d, &b, fd, 0), 0);
	EXPECT(writes_fua(&d, fd), "no flush negotiated, and no FUA");
	kvt_disk_close(&d);
}

/* ---- many requests at a time ---- */

static struct kvt_bio bios[64];

/* @n requests of @bytes in flight at a time, @rounds times; all succeed. */
static void rounds(struct kvt_disk *d, uint32_t type, unsigned int n,
		   uint32_t bytes, unsigned int times)
{
	unsigned int i, k;

	for (i = 0; i < n; i++)
		if (!bios[i].hdr)
			kvt_bio_init(d, &bios[i], bytes);
	for (k = 0; k < times; k++) {
		for (i = 0; i < n; i++) {
			memset(bios[i].data, (int)(type ? i + 1 : 0), bytes);
			kvt_bio_submit(d, 0, &bios[i], type,
				       i % 16 * (bytes / KVT_SECTOR), bytes);
		}
		for (i = 0; i < n; i++) {
			struct kvt_bio *bio = kvt_bio_reap(d, 0, MS);

			ASSERT(bio, "%u of %u answered", i, n);
			ASSERT_EQ(*bio->status, VIRTIO_BLK_S_OK);
		}
	}
}

TEST("polled I/O: read back what was written, flush, stop in flight")
{
	int fd = kvt_nullblk("kvtpoll", "irqmode=0 completion_nsec=0 poll_queues=1");
	struct kvasir_blk_backend b;
	struct kvt_disk d;
	unsigned int i;

	kvt_disk_open(&d, 1, 64, V1 | EV | FLUSH, 4 << 20);
	ASSERT_EQ(set_backend(&d, &b, fd, KVASIR_BLK_F_POLLED), 0);
	if (!(b.caps & KVASIR_BLK_C_POLLED))
		SKIP("null_blk has no queues to poll");
	rounds(&d, VIRTIO_BLK_T_OUT, 16, 8192, 50);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
	rounds(&d, VIRTIO_BLK_T_IN, 16, 8192, 50);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(bios[i].data[8191], (int)i + 1);
	for (i = 0; i < 16; i++)
		kvt_bio_submit(&d, 0, &bios[i], VIRTIO_BLK_T_IN, i, 4096);
	EXPECT_EQ(set_backend(&d, &b, -1, 0), 0);
	kvt_disk_close(&d);
}

TEST("D-12 more than a queue has memory for waits, and is done")
{
	struct kvt_disk d;

	kvt_disk_open(&d, 1, 256, V1 | EV, 65u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, kvt_blockdev(KVT_RAMDISK), 0, 0, NULL),
		  0);
	rounds(&d, VIRTIO_BLK_T_OUT, 64, 1 << 20, 3);
	rounds(&d, VIRTIO_BLK_T_IN, 64, 1 << 20, 2);
	kvt_disk_close(&d);
}

/* ---- another disk, another size, none ---- */

TEST("another file behind the same rings, between two requests")
{
	int a = kvt_file(1 << 20), b = kvt_file(1 << 20);
	struct kvt_disk d;
	int i;

	kvt_disk_open(&d, 1, 64, V1 | EV, 1 << 20);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(kvt_disk_backend(&d, i & 1 ? b : a, 0, 0, NULL), 0);
		EXPECT_EQ(rd(&d, 0), i < 2 ? 0 : i - 1);
		EXPECT_EQ(wr(&d, 0, (uint8_t)(i + 1)), 0);
		ASSERT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
	}
	kvt_disk_close(&d);
}

TEST("B-08 a disk that becomes larger, and smaller, while it runs")
{
	uint64_t sectors;
	struct kvt_disk d;
	int fd = kvt_file(1 << 20);

	kvt_disk_open(&d, 1, 64, V1 | EV, 1 << 20);
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_GET_CAPACITY, &sectors), ENXIO);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	ASSERT_OK(ftruncate(fd, (2 << 20) + 100));
	EXPECT_EQ(wr(&d, 2048, 1), VIRTIO_BLK_S_IOERR);
	ASSERT_OK(ioctl(d.dev.fd, KVASIR_BLK_GET_CAPACITY, &sectors));
	EXPECT_EQ(sectors, 4096);
	EXPECT_EQ(wr(&d, 4096 - 8, 9), 0);
	EXPECT_EQ(rd(&d, 4096 - 8), 9);
	EXPECT_EQ(wr(&d, 4096 - 7, 9), VIRTIO_BLK_S_IOERR);
	ASSERT_OK(ftruncate(fd, 1 << 20));
	ASSERT_OK(ioctl(d.dev.fd, KVASIR_BLK_GET_CAPACITY, &sectors));
	EXPECT_EQ(sectors, 2048);
	EXPECT_EQ(wr(&d, 2048, 1), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(wr(&d, 2040, 1), 0);
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_GET_CAPACITY, NULL), EFAULT);
	kvt_disk_close(&d);
}

TEST("B-03 a block device made read-only under a guest: errors, no writes")
{
	int fd = kvt_nullblk("kvtro", ""), on = 1, off = 0;
	struct kvt_disk d;

	kvt_disk_open(&d, 1, 64, V1 | EV | FLUSH, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	EXPECT_EQ(wr(&d, 8, 1), 0);
	ASSERT_OK(ioctl(fd, BLKROSET, &on));
	EXPECT_EQ(wr(&d, 8, 2), VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(rd(&d, 8), 1);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
	ASSERT_OK(ioctl(fd, BLKROSET, &off));
	EXPECT_EQ(wr(&d, 8, 3), 0);
	EXPECT_EQ(rd(&d, 8), 3);
	kvt_disk_close(&d);
}

#define HUNG "kvthang"

/* The hanging disk goes on, a little later. */
static void wake_up(const void *arg)
{
	(void)arg;
	kvt_sleep(100);
	kvt_dm_hold(HUNG, false);
}

TEST("B-07 a disk that hangs: stopping gives up in time, later it succeeds")
{
	int fd = kvt_dm_held(HUNG);
	struct kvasir_blk_backend b = { .size = sizeof(b), .fd = -1,
					.timeout_ms = 100 };
	struct kvt_disk d;
	pid_t helper;

	kvt_disk_open(&d, 1, 64, V1 | EV, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	kvt_bio_init(&d, &bios[0], 4096);
	kvt_bio_submit(&d, 0, &bios[0], VIRTIO_BLK_T_OUT, 0, 4096);
	kvt_disk_taken(&d, 0, 1);
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_SET_BACKEND, &b), ETIMEDOUT);
	/* the disk is still in use, and no disk can take its place */
	EXPECT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), -EBUSY);
	helper = kvt_child(wake_up, NULL);
	EXPECT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
	kvt_child_end(helper);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &bios[0], "not answered");
	EXPECT_EQ(*bios[0].status, VIRTIO_BLK_S_OK);
	ASSERT_EQ(kvt_disk_backend(&d, kvt_file(1 << 20), 0, 0, NULL), 0);
	EXPECT_EQ(wr(&d, 0, 1), 0);
	b.fd = kvt_file(4096);
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_SET_BACKEND, &b), EINVAL);
	kvt_disk_close(&d);
	close(fd);
	kvt_dm_remove(HUNG);
}

/* ---- who pays ---- */

#define GROUP "/sys/fs/cgroup/kvt-blk"

/* What our group wrote to a block device, by its io.stat. */
static long long charged(const struct stat *st)
{
	unsigned int maj, min;
	long long bytes = 0;
	char line[512], *w;
	FILE *f = fopen(GROUP "/io.stat", "r");

	ASSERT(f, "no io.stat: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		w = strstr(line, "wbytes=");
		if (sscanf(line, "%u:%u", &maj, &min) == 2 && w &&
		    maj == major(st->st_rdev) && min == minor(st->st_rdev))
			bytes = atoll(w + 7);
	}
	fclose(f);
	return bytes;
}

TEST("the owner's control group pays, also for bounced requests")
{
	int fd = kvt_nullblk("kvtslow", "");
	struct kvt_bio bio;
	struct kvt_disk d;
	struct kvt_sg sg;
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	if (shell("echo +io >/sys/fs/cgroup/cgroup.subtree_control && "
		  "mkdir -p " GROUP " && echo %d >" GROUP "/cgroup.procs",
		  getpid()))
		SKIP("no control groups with an io controller");
	kvt_disk_open(&d, 1, 64, V1 | EV, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	EXPECT_EQ(wr(&d, 0, 1), 0);
	EXPECT_EQ(charged(&st), 4096);
	kvt_bio_init(&d, &bio, 8192);
	sg = kvt_sg(&d.mem, bio.data + 1, 4096);
	kvt_bio_submit_sg(&d, 0, &bio, VIRTIO_BLK_T_OUT, 8, &sg, 1);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &bio, "no answer");
	EXPECT_EQ(*bio.status, VIRTIO_BLK_S_OK);
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BOUNCED), 1);
	EXPECT_EQ(charged(&st), 8192);
	kvt_disk_close(&d);
	/* the shell itself is in there, too */
	shell("cd /sys/fs/cgroup && echo %d >cgroup.procs && "
	      "echo $$ >cgroup.procs && rmdir kvt-blk", getpid());
}
