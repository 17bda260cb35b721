// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that must fail, disks that fail, and drivers that break the rules
 * on a block device: the guest sees a status, the queue goes on or says that
 * it is broken, and everything can be taken down with requests in flight
 * (B-01 to B-03, B-05, B-07, B-08, B-10, D-11, R-04, R-07).
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kvt_dm.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define ALL	(V1 | EV | KVT_F(VIRTIO_BLK_F_FLUSH))
#define IOERR	VIRTIO_BLK_S_IOERR
#define UNSUPP	VIRTIO_BLK_S_UNSUPP
#define MS	20000
#define SECTORS	2048u
#define HELD	"kvttwice"

static int disk(struct kvt_disk *d, uint32_t flags, uint32_t block_size)
{
	int fd = kvt_file(SECTORS * KVT_SECTOR);

	kvt_disk_open(d, 1, 64, ALL, 8u << 20);
	ASSERT_EQ(kvt_disk_backend(d, fd, flags, block_size, NULL), 0);
	ASSERT_EQ(d->capacity, SECTORS);
	return fd;
}

static int rd(struct kvt_disk *d, uint64_t sector, uint32_t len)
{
	static uint8_t buf[65536];

	return kvt_disk_io(d, 0, VIRTIO_BLK_T_IN, sector, buf, len);
}

static int wr(struct kvt_disk *d, uint64_t sector, uint32_t len)
{
	static uint8_t buf[65536];

	return kvt_disk_io(d, 0, VIRTIO_BLK_T_OUT, sector, buf, len);
}

static void works(struct kvt_disk *d)
{
	EXPECT_EQ(rd(d, 0, 4096), VIRTIO_BLK_S_OK);
}

TEST("B-01 sectors beyond the disk, and sums that overflow")
{
	static const uint64_t sector[] = { SECTORS, SECTORS + 1, 1ull << 55,
		(1ull << 55) - 1, 1ull << 63, ~0ull, ~0ull - 7,
		(~0ull >> 9) - 1 };
	struct kvt_disk d;
	size_t i;

	disk(&d, 0, 0);
	EXPECT_EQ(rd(&d, SECTORS - 1, 512), 0);
	EXPECT_EQ(wr(&d, SECTORS - 1, 512), 0);
	EXPECT_EQ(rd(&d, SECTORS - 1, 1024), IOERR);
	EXPECT_EQ(wr(&d, SECTORS - 1, 1024), IOERR);
	for (i = 0; i < sizeof(sector) / sizeof(sector[0]); i++) {
		EXPECT_EQ(rd(&d, sector[i], 512), IOERR);
		EXPECT_EQ(wr(&d, sector[i], 512), IOERR);
		EXPECT_EQ(rd(&d, sector[i], 4096), IOERR);
	}
	works(&d);
	kvt_disk_close(&d);
}

TEST("B-02 lengths and sectors that are no whole blocks")
{
	struct kvt_disk d;

	disk(&d, 0, 0);
	EXPECT_EQ(rd(&d, 0, 1), IOERR);
	EXPECT_EQ(rd(&d, 0, 511), IOERR);
	EXPECT_EQ(wr(&d, 0, 513), IOERR);
	works(&d);
	kvt_disk_close(&d);
	disk(&d, 0, 4096);
	EXPECT_EQ(rd(&d, 0, 512), IOERR);
	EXPECT_EQ(rd(&d, 1, 4096), IOERR);
	EXPECT_EQ(rd(&d, 8, 4096), 0);
	EXPECT_EQ(wr(&d, 7, 4096), IOERR);
	kvt_disk_close(&d);
}

TEST("B-03 a read-only disk refuses every change and stays the same")
{
	struct virtio_blk_discard_write_zeroes r = { 0, htole32(8), 0 };
	uint8_t buf[512];
	struct kvt_disk d;
	int fd;

	fd = disk(&d, KVASIR_BLK_F_READONLY, 0);
	memset(buf, 0x11, sizeof(buf));
	ASSERT_EQ(pwrite(fd, buf, 512, 0), 512);
	EXPECT_EQ(wr(&d, 0, 512), IOERR);
	EXPECT(kvt_disk_io(&d, 0, VIRTIO_BLK_T_DISCARD, 0, &r, 16) != 0,
	       "discarded");
	EXPECT(kvt_disk_io(&d, 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, &r, 16) != 0,
	       "zeroed");
	EXPECT_EQ(rd(&d, 0, 512), 0);
	ASSERT_EQ(pread(fd, buf, 512, 0), 512);
	EXPECT_EQ(buf[0], 0x11);
	EXPECT_EQ(buf[511], 0x11);
	kvt_disk_close(&d);
}

TEST("B-05 unknown request types")
{
	static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 255,
					  0x80000000, 0xffffffff };
	uint8_t buf[512] = { 0 };
	struct kvt_disk d;
	size_t i;

	disk(&d, 0, 0);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		EXPECT_EQ(kvt_disk_io(&d, 0, types[i], 0, buf, 512), UNSUPP);
	works(&d);
	kvt_disk_close(&d);
}

/* A chain of the test's own; returns the used length. */
static uint32_t chain(struct kvt_disk *d, const struct kvt_sg *sg,
		      unsigned int out, unsigned int in)
{
	uint32_t len = ~0u;

	kvt_ring_add(&d->q[0], sg, out, in, d);
	kvt_ring_kick(&d->q[0]);
	ASSERT_EQ(kvt_ring_wait(&d->q[0], 1, MS), 0);
	ASSERT(kvt_ring_get(&d->q[0], NULL, &len) == d, "another chain");
	return len;
}

TEST("D-11 no room for the status, or for the header")
{
	struct kvt_sg sg[3];
	struct kvt_disk d;

	disk(&d, 0, 0);
	memset(d.scratch, 0, 4096);
	sg[0] = kvt_sg(&d.mem, d.scratch, 16);
	sg[1] = kvt_sg(&d.mem, d.scratch + 64, 1);
	/* no status: given back empty */
	EXPECT_EQ(chain(&d, sg, 1, 0), 0);
	EXPECT_EQ(chain(&d, sg, 2, 0), 0);
	/* only a status, or half a header: an error status */
	d.scratch[64] = 0xee;
	EXPECT_EQ(chain(&d, sg + 1, 0, 1), 1);
	EXPECT_EQ(d.scratch[64], IOERR);
	d.scratch[64] = 0xee;
	sg[0].len = 15;
	EXPECT_EQ(chain(&d, sg, 1, 1), 1);
	EXPECT_EQ(d.scratch[64], IOERR);
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BROKEN), 0);
	works(&d);
	kvt_disk_close(&d);
}

TEST("D-05 data that is not guest memory refuses the request")
{
	struct kvt_sg sg[3];
	struct kvt_disk d;

	disk(&d, 0, 0);
	memset(d.scratch, 0, 128);
	sg[0] = kvt_sg(&d.mem, d.scratch, 16);
	sg[1] = (struct kvt_sg){ d.mem.gpa + d.mem.size - 256, 512 };
	sg[2] = kvt_sg(&d.mem, d.scratch + 64, 1);
	EXPECT_EQ(chain(&d, sg, 1, 2), 0);
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BAD_CHAIN), 1);
	works(&d);
	kvt_disk_close(&d);
}

TEST("B-06 data in memory that is gone, or cannot be written")
{
	struct kvt_bio bio;
	struct kvt_disk d;

	disk(&d, 0, 0);
	d.mem.next = (d.mem.next + 4095) & ~4095ul;
	kvt_bio_init(&d, &bio, 8192);
	bio.data = kvt_mem_alloc(&d.mem, 8192, 4096);
	kvt_mem_alloc(&d.mem, 4096, 4096);
	ASSERT_OK(mprotect(bio.data, 8192, PROT_READ));
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_IN, 0, 8192);
	ASSERT(kvt_bio_reap(&d, 0, MS), "read into read-only memory");
	EXPECT_EQ(*bio.status, IOERR);
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_OUT, 0, 8192);
	ASSERT(kvt_bio_reap(&d, 0, MS), "write from read-only memory");
	EXPECT_EQ(*bio.status, 0);
	ASSERT_OK(munmap(bio.data, 8192));
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_OUT, 0, 8192);
	ASSERT(kvt_bio_reap(&d, 0, MS), "write from unmapped memory");
	EXPECT_EQ(*bio.status, IOERR);
	works(&d);
}

TEST("B-08 the file shrinks under us")
{
	struct kvt_disk d;
	int fd;

	fd = disk(&d, 0, 0);
	EXPECT_EQ(wr(&d, SECTORS - 8, 4096), 0);
	ASSERT_OK(ftruncate(fd, SECTORS / 2 * KVT_SECTOR));
	EXPECT_EQ(rd(&d, SECTORS - 8, 4096), IOERR);
	EXPECT_EQ(rd(&d, SECTORS / 2 - 4, 4096), IOERR);
	works(&d);
	EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_BROKEN), 0);
	kvt_disk_close(&d);
}

TEST("B-08 no space left: an error status, then reads go on")
{
	static const char *dir = "/tmp/kvt-full";
	struct kvt_disk d;
	int fd, i, bad = 0;

	mkdir(dir, 0700);
	if (mount("kvt", dir, "tmpfs", 0, "size=256k"))
		SKIP("cannot mount a tmpfs: %s", strerror(errno));
	fd = open("/tmp/kvt-full/disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	umount2(dir, MNT_DETACH);
	ASSERT(fd >= 0, "open: %s", strerror(errno));
	ASSERT_OK(ftruncate(fd, 1 << 20));
	kvt_disk_open(&d, 1, 64, ALL, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	for (i = 0; i < 16; i++)
		bad += wr(&d, (uint64_t)i * 128, 65536) == IOERR;
	NOTE("%d of 16 writes failed", bad);
	EXPECT(bad > 0 && bad < 16, "%d writes failed", bad);
	works(&d);
	kvt_disk_close(&d);
}

TEST("B-08 a block device that fails: bad blocks answered with an error")
{
	struct kvt_disk d;
	int fd = kvt_nullblk("kvtbad", "badblocks=+100-107");

	kvt_disk_open(&d, 1, 64, ALL, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	EXPECT_EQ(rd(&d, 96, 512), 0);
	EXPECT_EQ(rd(&d, 104, 512), IOERR);
	EXPECT_EQ(wr(&d, 100, 4096), IOERR);
	EXPECT_EQ(wr(&d, 108, 4096), 0);
	EXPECT(kvt_nl_counter(d.id, 0, KVASIR_C_ERRORS) == 2, "errors counted");
	works(&d);
	kvt_disk_close(&d);
}

TEST("B-10 a block device is ours alone while a disk writes to it")
{
	int fd = kvt_blockdev(KVT_RAMDISK), excl;
	struct kvt_disk a, b;

	kvt_disk_open(&a, 1, 64, ALL, 1 << 20);
	kvt_disk_open(&b, 1, 64, ALL, 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&a, fd, 0, 0, NULL), 0);
	EXPECT_EQ(kvt_disk_backend(&b, fd, 0, 0, NULL), -EBUSY);
	EXPECT_ERR(open("/dev/ram0", O_RDWR | O_EXCL | O_CLOEXEC), EBUSY);
	ASSERT_EQ(kvt_disk_backend(&a, -1, 0, 0, NULL), 0);
	excl = open("/dev/ram0", O_RDWR | O_EXCL | O_CLOEXEC);
	ASSERT(excl >= 0, "still claimed: %s", strerror(errno));
	EXPECT_EQ(kvt_disk_backend(&b, fd, 0, 0, NULL), -EBUSY);
	close(excl);
	EXPECT_EQ(kvt_disk_backend(&b, fd, 0, 0, NULL), 0);
	kvt_disk_close(&a);
	kvt_disk_close(&b);
}

/* ---- queues that break, and go down, with requests in flight ---- */

static struct kvt_bio bios[64];

static void flood(struct kvt_disk *d, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		kvt_bio_init(d, &bios[i], 4096);
		kvt_bio_submit(d, 0, &bios[i], VIRTIO_BLK_T_OUT, i * 8, 4096);
	}
}

static void slow_disk(struct kvt_disk *d)
{
	kvt_disk_open(d, 1, 256, ALL, 8u << 20);
	ASSERT_EQ(kvt_disk_backend(d, kvt_nullblk("kvtslow", ""), 0, 0, NULL),
		  0);
}

TEST("B-07 stop, reset and close with 64 requests in flight")
{
	struct kvt_disk d;
	int i;

	for (i = 0; i < 3; i++) {
		slow_disk(&d);
		flood(&d, 64);
		if (i == 0) {
			EXPECT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
			/* every request taken has been answered */
			EXPECT_EQ(kvt_nl_counter(d.id, 0, KVASIR_C_REQUESTS),
				  kvt_ring_used(&d.q[0]));
		}
		if (i == 1)
			EXPECT_OK(ioctl(d.dev.fd, VHOST_RESET_OWNER));
		kvt_disk_close(&d);
	}
}

TEST("R-04 a head offered twice, the first still in flight: broken, not hung")
{
	struct kvt_queue_stat st;
	int fd = kvt_dm_held(HELD);
	struct kvt_disk d;
	uint64_t n = 0;

	kvt_disk_open(&d, 1, 256, ALL, 8u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	flood(&d, 8);
	/* the newest head once more, which the disk keeps */
	kvt_bio_init(&d, &bios[8], 4096);
	kvt_bio_submit(&d, 0, &bios[8], VIRTIO_BLK_T_OUT, 0, 4096);
	kvt_raw_avail(&d.q[0], le16toh(d.q[0].avail->ring[8]));
	kvt_ring_force_kick(&d.q[0]);
	EXPECT(kvt_eventfd_wait(d.q[0].err, MS, &n), "no error eventfd");
	EXPECT_EQ(n, 1);
	kvt_nl_queue(d.id, 0, &st);
	EXPECT_EQ(st.state, KVASIR_QUEUE_BROKEN);
	/* taken down and set up again it works */
	kvt_dm_hold(HELD, false);
	ASSERT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
	kvt_disk_rings(&d);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	works(&d);
	kvt_disk_close(&d);
	close(fd);
	kvt_dm_remove(HELD);
}

TEST("R-01 R-07 the ring breaks with requests in flight, stop and close end")
{
	struct kvt_disk d;
	int i;

	for (i = 0; i < 2; i++) {
		slow_disk(&d);
		flood(&d, 32);
		if (i)
			ASSERT_OK(mprotect(d.mem.base, d.mem.size, PROT_NONE));
		else
			d.q[0].avail->idx = htole16(0x7777);
		kvt_ring_force_kick(&d.q[0]);
		EXPECT(kvt_eventfd_wait(d.q[0].err, MS, NULL), "not broken");
		EXPECT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
		close(d.dev.fd);
	}
}
