// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that fail under a load (B-08): the driver sees an error status for
 * what failed and for nothing else, what was acknowledged is there, the queue
 * goes on, and the disk can be taken off.
 */
#include <fcntl.h>
#include <glob.h>

#include "kvt_acked.h"
#include "kvt_dm.h"

#define ALL	(KVT_F(VIRTIO_F_VERSION_1) | KVT_F(VIRTIO_RING_F_EVENT_IDX) | \
		 KVT_F(VIRTIO_BLK_F_FLUSH))
#define BLOCKS	512u
#define SECTORS	4096u	/* of as many blocks */

struct load {
	struct kvt_acked a;
	struct kvt_writer w;
	struct kvt_disk d;
};

/* A load on a disk whose first blocks are zero. */
static void load_open(struct load *l, int fd, uint32_t blocks)
{
	kvt_acked_init(&l->a, blocks);
	kvt_disk_open(&l->d, 2, 128, ALL, 4u << 20);
	ASSERT_EQ(kvt_disk_backend(&l->d, fd, 0, 0, NULL), 0);
	kvt_writer_init(&l->w, &l->d, &l->a, 32, kvt_seed());
}

/* The queues have not stopped, and stop when told to. */
static void load_close(struct load *l)
{
	uint64_t deadline = kvt_deadline(20000);
	unsigned int q;

	kvt_writer_drain(&l->w);
	for (q = 0; q < l->d.nr_queues && l->d.ours; q++)
		EXPECT_EQ(kvt_nl_counter(l->d.id, q, KVASIR_C_BROKEN), 0);
	EXPECT_EQ(kvt_disk_backend(&l->d, -1, 0, 0, NULL), 0);
	EXPECT(kvt_left(deadline), "taking the disk off took too long");
	kvt_disk_close(&l->d);
}

static int zeroed_ramdisk(void)
{
	static uint8_t zero[BLOCKS * KVT_BLOCK];
	int fd = kvt_blockdev(KVT_RAMDISK);

	ASSERT_EQ(pwrite(fd, zero, sizeof(zero), 0), sizeof(zero));
	ASSERT_OK(fsync(fd));
	return fd;
}

TEST("B-08 dm-error: a hole in the device fails, the rest does not")
{
	int ram = zeroed_ramdisk(), fd;
	struct load l;

	fd = kvt_dm("kvterr", "dm_mod", "0 2048 linear /dev/ram0 0\n"
		    "2048 1024 error\n3072 1024 linear /dev/ram0 3072");
	load_open(&l, fd, BLOCKS);
	kvt_writer_run(&l.w, 1500);
	NOTE("%u of %u writes failed", l.w.failed, l.w.done);
	EXPECT(l.w.failed > l.w.done / 8 && l.w.failed < l.w.done / 2,
	       "%u writes failed", l.w.failed);
	EXPECT_EQ(kvt_writer_flush(&l.w), VIRTIO_BLK_S_OK);
	load_close(&l);
	kvt_acked_check_fd(&l.a, ram, "beside a hole");
	close(fd);
	kvt_dm_remove("kvterr");
}

TEST("B-08 dm-flakey: a device that fails for a while, then works again")
{
	int ram = zeroed_ramdisk(), fd;
	uint64_t end;
	struct load l;
	uint32_t failed;

	fd = kvt_dm("kvtflaky", "dm-flakey",
		    "0 4096 flakey /dev/ram0 0 1 1");
	load_open(&l, fd, BLOCKS);
	for (end = kvt_deadline(20000); !l.w.failed && kvt_left(end);)
		kvt_writer_run(&l.w, 20);
	EXPECT(l.w.failed, "it never failed");
	kvt_dm_reload("kvtflaky", "0 4096 linear /dev/ram0 0");
	kvt_writer_drain(&l.w);
	failed = l.w.failed;
	kvt_writer_run(&l.w, 300);
	kvt_writer_verify(&l.w, "it works again");
	EXPECT_EQ(l.w.failed, failed);
	load_close(&l);
	kvt_acked_check_fd(&l.a, ram, "after failures");
	close(fd);
	kvt_dm_remove("kvtflaky");
}

TEST("B-08 a device grows and shrinks under a load")
{
	int ram = zeroed_ramdisk(), fd;
	struct load l;
	uint32_t failed;

	fd = kvt_dm("kvtsize", "dm_mod", "0 4096 linear /dev/ram0 0");
	load_open(&l, fd, BLOCKS);
	kvt_writer_run(&l.w, 200);
	kvt_dm_reload("kvtsize", "0 8192 linear /dev/ram0 0");
	kvt_writer_run(&l.w, 200);
	kvt_writer_drain(&l.w);
	EXPECT_EQ(l.w.failed, 0);
	kvt_dm_reload("kvtsize", "0 2048 linear /dev/ram0 0");
	kvt_writer_run(&l.w, 400);
	kvt_writer_drain(&l.w);
	failed = l.w.failed;
	EXPECT(failed > 100 && failed < 300, "%u of 400 failed", failed);
	kvt_dm_reload("kvtsize", "0 4096 linear /dev/ram0 0");
	kvt_writer_run(&l.w, 200);
	kvt_writer_verify(&l.w, "as large as it was");
	EXPECT_EQ(l.w.failed, failed);
	load_close(&l);
	kvt_acked_check_fd(&l.a, ram, "resized");
	close(fd);
	kvt_dm_remove("kvtsize");
}

/* ---- a SCSI disk of the kernel's own ---- */

#define SCSI_DISKS "/sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*"

/* A fresh one; its name, as "sda", goes to @name. */
static int scsi_disk(const char *options, char *name, size_t size)
{
	uint64_t end = kvt_deadline(30000);
	char path[300];
	glob_t g;
	int fd = -1;

	kvt_run("modprobe -q -r scsi_debug");
	if (!kvt_run("modprobe -q -a scsi_mod sd_mod && modprobe -q scsi_debug dev_size_mb=8 %s",
		     options))
		SKIP("modprobe scsi_debug failed");
	do {
		kvt_sleep(100);
		if (glob(SCSI_DISKS, 0, NULL, &g))
			continue;
		snprintf(name, size, "%s", strrchr(g.gl_pathv[0], '/') + 1);
		snprintf(path, sizeof(path), "/dev/%s", name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		globfree(&g);
	} while (fd < 0 && kvt_left(end));
	ASSERT(fd >= 0, "no disk of scsi_debug came up");
	return fd;
}

/* It can be unloaded soon: nobody has the disk any more. */
static void scsi_gone(void)
{
	EXPECT(kvt_run("for i in $(seq 50); do modprobe -q -r scsi_debug && exit; sleep 0.2; done; exit 1"),
	       "scsi_debug is still in use");
}

TEST("B-08 scsi_debug: a sector that cannot be read")
{
	/* opts=2: unrecovered read error at sector 0x1234 and after */
	char name[32];
	int fd = scsi_disk("opts=2", name, sizeof(name));
	static uint8_t buf[KVT_BLOCK];
	struct kvt_disk d;
	uint64_t s;

	kvt_disk_open(&d, 1, 64, ALL, 4u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	for (s = 0x1234 - 16; s < 0x1234 + 16; s += 8) {
		bool bad = s + 8 > 0x1234 && s < 0x1234 + 10;

		EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_IN, s, buf,
				      KVT_BLOCK),
			  bad ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	}
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_OUT, 0, buf, KVT_BLOCK),
		  VIRTIO_BLK_S_OK);
	kvt_disk_close(&d);
	close(fd);
	scsi_gone();
}

/* @remove: what takes the device away; after it all writes fail, no more */
static void removed(int fd, const char *remove)
{
	struct load l;

	load_open(&l, fd, BLOCKS);
	kvt_writer_run(&l.w, 200);
	EXPECT_EQ(l.w.failed, 0);
	ASSERT(kvt_run("(sleep 0.1; %s) >/dev/null & :", remove), "%s", remove);
	while (!l.w.failed)
		kvt_writer_run(&l.w, 10);
	kvt_writer_run(&l.w, 100);
	EXPECT(l.w.failed > 60, "%u writes failed", l.w.failed);
	load_close(&l);
	close(fd);
}

TEST("B-08 scsi_debug: the device is removed under a load")
{
	char name[32], remove[96];
	int fd = scsi_disk("", name, sizeof(name));

	snprintf(remove, sizeof(remove), "echo 1 >/sys/block/%s/device/delete",
		 name);
	removed(fd, remove);
	scsi_gone();
}

TEST("B-08 null_blk: the device is removed under a load")
{
	removed(kvt_nullblk("kvtgone", ""),
		"echo 0 >/sys/kernel/config/nullb/kvtgone/power");
}

/* ---- no space ---- */

TEST_SECONDS("B-08 a sparse file without space: errors, then it goes on", 120)
{
	int fs = kvt_ext4("/tmp/kvt-sparse"), fd, ballast;
	struct load l;
	uint32_t failed;

	ballast = openat(fs, "ballast", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_OK(fallocate(ballast, 0, 0, 10 << 20));
	fd = openat(fs, "disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT(fd >= 0, "open: %s", strerror(errno));
	ASSERT_OK(ftruncate(fd, 32 << 20));
	load_open(&l, fd, (10u << 20) / KVT_BLOCK);
	while (!l.w.failed && l.w.done < 20000)
		kvt_writer_run(&l.w, 50);
	kvt_writer_drain(&l.w);
	NOTE("full after %u writes", l.w.done - l.w.failed);
	EXPECT(l.w.failed, "never full");
	kvt_acked_check_fd(&l.a, fd, "full");
	ASSERT_OK(ftruncate(ballast, 0));
	ASSERT_OK(fsync(ballast));
	failed = l.w.failed;
	kvt_writer_run(&l.w, 500);
	kvt_writer_drain(&l.w);
	EXPECT_EQ(l.w.failed, failed);
	EXPECT_EQ(kvt_writer_flush(&l.w), VIRTIO_BLK_S_OK);
	kvt_writer_verify(&l.w, "space again");
	load_close(&l);
	kvt_acked_check_fd(&l.a, fd, "closed");
}
