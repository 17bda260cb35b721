// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory of every kind under a disk's requests: pages of files, huge
 * pages, device memory, and memory that is taken away while the disk is at it
 * (B-06); and no byte of the host's where the guest asked for others (B-11).
 */
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>

#include "kvt_dm.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MS	20000
#define PAGE	4096u
#define HUGE	(2u << 20)
#define HELD	"kvttaken"

static struct kvt_bio bio;

/* A disk whose one request has its data in memory that a test may replace. */
static int disk(struct kvt_disk *d, int fd, size_t bytes, size_t align)
{
	kvt_disk_open(d, 1, 64, V1 | EV, 4 * HUGE);
	ASSERT_EQ(kvt_disk_backend(d, fd, 0, 0, NULL), 0);
	kvt_bio_init(d, &bio, PAGE);
	bio.size = (uint32_t)bytes;
	bio.data = kvt_mem_alloc(&d->mem, bytes, align);
	kvt_mem_alloc(&d->mem, 1, align);	/* nothing else in its last page */
	return fd;
}

static int io(struct kvt_disk *d, uint32_t type, uint32_t len)
{
	kvt_bio_submit(d, 0, &bio, type, 0, len);
	ASSERT(kvt_bio_reap(d, 0, MS) == &bio, "no answer");
	return *bio.status;
}

/* Put @fd, or anonymous memory, where the data is. */
static void replace(int fd, int flags, int prot)
{
	void *p = mmap(bio.data, bio.size, prot, flags | MAP_FIXED, fd, 0);

	ASSERT(p == bio.data, "mmap: %s", strerror(errno));
}

/* What is written from such memory, and read into it, is right. */
static void round_trip(struct kvt_disk *d, int disk_fd)
{
	static uint8_t got[HUGE];
	uint32_t len = bio.size < HUGE ? bio.size : HUGE;

	memset(bio.data, 0x3c, len);
	EXPECT_EQ(io(d, VIRTIO_BLK_T_OUT, len), VIRTIO_BLK_S_OK);
	ASSERT_EQ(pread(disk_fd, got, len, 0), (ssize_t)len);
	EXPECT(got[0] == 0x3c && got[len - 1] == 0x3c, "not written");
	memset(got, 0xc3, len);
	ASSERT_EQ(pwrite(disk_fd, got, len, 0), (ssize_t)len);
	EXPECT_EQ(io(d, VIRTIO_BLK_T_IN, len), VIRTIO_BLK_S_OK);
	EXPECT(!memcmp(bio.data, got, len), "not read");
}

TEST("B-06 data in pages of a file: the file has what was read")
{
	int fd = kvt_file(16 * PAGE), mem = kvt_file(16 * PAGE);
	uint8_t byte = 0;
	struct kvt_disk d;

	disk(&d, fd, 16 * PAGE, PAGE);
	replace(mem, MAP_SHARED, PROT_READ | PROT_WRITE);
	round_trip(&d, fd);
	ASSERT_EQ(pread(mem, &byte, 1, 16 * PAGE - 1), 1);
	EXPECT_EQ(byte, 0xc3);
	replace(mem, MAP_PRIVATE, PROT_READ | PROT_WRITE);
	round_trip(&d, fd);
	kvt_disk_close(&d);
}

TEST("B-06 data in a huge page")
{
	int fd = kvt_file(HUGE), mem;
	struct kvt_disk d;

	if (system("echo 4 >/proc/sys/vm/nr_hugepages"))
		SKIP("cannot reserve huge pages");
	mem = (int)memfd_create("kvt", MFD_HUGETLB | MFD_CLOEXEC);
	if (mem < 0 || ftruncate(mem, HUGE))
		SKIP("no huge pages: %s", strerror(errno));
	disk(&d, fd, 2 * HUGE, PAGE);
	bio.data += -(uintptr_t)bio.data % HUGE;
	bio.size = HUGE;
	if (mmap(bio.data, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 mem, 0) != bio.data)
		SKIP("no huge pages: %s", strerror(errno));
	round_trip(&d, fd);
	kvt_disk_close(&d);
}

TEST("B-06 data in device memory is an error, and the queue goes on")
{
	int fd = kvt_file(PAGE), mem = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	struct kvt_disk d;

	if (mem < 0)
		SKIP("no /dev/mem");
	disk(&d, fd, PAGE, PAGE);
	if (mmap(bio.data, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, mem,
		 0xf0000) != bio.data)
		SKIP("cannot map the firmware: %s", strerror(errno));
	EXPECT_EQ(io(&d, VIRTIO_BLK_T_OUT, PAGE), VIRTIO_BLK_S_IOERR);
	replace(-1, MAP_PRIVATE | MAP_ANONYMOUS, PROT_READ | PROT_WRITE);
	round_trip(&d, fd);
	kvt_disk_close(&d);
}

TEST("B-06 memory unmapped while the disk writes it out, and reads into it")
{
	static uint8_t got[64 * PAGE], want[64 * PAGE];
	int fd = kvt_dm_held(HELD), i;
	struct kvt_disk d;

	disk(&d, fd, 64 * PAGE, PAGE);
	memset(bio.data, 0x44, 64 * PAGE);
	memset(want, 0x44, sizeof(want));
	for (i = 0; i < 2; i++) {
		kvt_bio_submit(&d, 0, &bio,
			       i ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 0,
			       64 * PAGE);
		kvt_disk_taken(&d, 0, 1);
		replace(-1, MAP_PRIVATE | MAP_ANONYMOUS,
			PROT_READ | PROT_WRITE);
		kvt_dm_hold(HELD, false);
		ASSERT(kvt_bio_reap(&d, 0, MS) == &bio, "no answer");
		EXPECT_EQ(*bio.status, VIRTIO_BLK_S_OK);
		kvt_dm_hold(HELD, !i);
	}
	/* the new pages are nobody's */
	memset(want, 0, sizeof(want));
	EXPECT(!memcmp(bio.data, want, sizeof(want)), "written after unmapping");
	memset(want, 0x44, sizeof(want));
	ASSERT_EQ(io(&d, VIRTIO_BLK_T_IN, 64 * PAGE), VIRTIO_BLK_S_OK);
	memcpy(got, bio.data, sizeof(got));
	EXPECT(!memcmp(got, want, sizeof(want)), "other bytes were written");
	kvt_disk_close(&d);
	close(fd);
	kvt_dm_remove(HELD);
}

TEST("B-11 nothing but the answer is written: get-id, and failed reads")
{
	struct kvt_disk d;
	unsigned int i;

	disk(&d, kvt_file(PAGE), PAGE, PAGE);
	memset(bio.data, 0xee, PAGE);
	EXPECT_EQ(io(&d, VIRTIO_BLK_T_GET_ID, PAGE), VIRTIO_BLK_S_OK);
	EXPECT_EQ(bio.used, VIRTIO_BLK_ID_BYTES + 1);
	for (i = 0; i < VIRTIO_BLK_ID_BYTES; i++)
		EXPECT_EQ(bio.data[i], 0);	/* there is no serial number */
	for (; i < PAGE; i++)
		ASSERT(bio.data[i] == 0xee, "byte %u", i);
	memset(bio.data, 0xee, PAGE);
	EXPECT_EQ(io(&d, 255, PAGE), VIRTIO_BLK_S_UNSUPP);
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_IN, 8, 512);
	ASSERT(kvt_bio_reap(&d, 0, MS), "no answer");
	EXPECT_EQ(*bio.status, VIRTIO_BLK_S_IOERR);
	EXPECT_EQ(bio.used, 1);
	for (i = 0; i < PAGE; i++)
		ASSERT(bio.data[i] == 0xee, "byte %u", i);
	kvt_disk_close(&d);
}
