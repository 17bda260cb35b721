// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk with room for fewer requests than the driver sends: it holds up
 * neither the worker nor a stop, and nothing is lost, refused for good or done
 * before its turn.
 */
#include <fcntl.h>
#include <linux/kvasir.h>
#include <pthread.h>

#include "kvt_acked.h"
#include "kvt_dm.h"

#define ALL	(KVT_F(VIRTIO_F_VERSION_1) | KVT_F(VIRTIO_RING_F_EVENT_IDX) | \
		 KVT_F(VIRTIO_BLK_F_FLUSH))
#define BLOCKS	256u
#define MS	20000

/* A tag or two; a request takes a second. */
#define SLOW	"hw_queue_depth=1 submit_queues=1 completion_nsec=1000000000"
/* The same, faster. */
#define SMALL	"hw_queue_depth=1 submit_queues=1 completion_nsec=300000"

/* Requests sent to a slow disk, and those it has room for at the most. */
#define SENT	10u
#define ROOM	4u

static void one_worker(struct kvt_disk *d)
{
	struct vhost_vring_worker w = { 0 };
	struct vhost_worker_state s = { 0 };

	ASSERT_OK(ioctl(d->dev.fd, VHOST_NEW_WORKER, &s));
	w.worker_id = s.worker_id;
	for (w.index = 0; w.index < d->nr_queues; w.index++)
		ASSERT_OK(ioctl(d->dev.fd, VHOST_ATTACH_VRING_WORKER, &w));
}

/*
 * More reads than there is room for, none beside another, are sent to queue 0,
 * and the disk has refused one.
 */
static void fill(struct kvt_disk *d, struct kvt_bio *bio)
{
	unsigned int i;

	kvt_disk_open(d, 2, 64, ALL, 1u << 20);
	if (!d->ours)
		SKIP("%s is not the module's", kvt_blk_node());
	one_worker(d);
	ASSERT_EQ(kvt_disk_backend(d, kvt_nullblk("kvtfull", SLOW), 0, 0, NULL),
		  0);
	for (i = 0; i < SENT; i++) {
		kvt_bio_init(d, &bio[i], KVT_BLOCK);
		kvt_bio_submit(d, 0, &bio[i], VIRTIO_BLK_T_IN, 16 * i,
			       KVT_BLOCK);
	}
	ASSERT(kvt_nl_wait(d->id, 0, KVASIR_C_DISK_BUSY, 1, MS),
	       "it is not full");
}

/* The disk has not had the time for most of them. */
static void expect_full(const struct kvt_disk *d)
{
	EXPECT(kvt_ring_used(&d->q[0]) < SENT - ROOM,
	       "only after %u of %u requests to the disk",
	       kvt_ring_used(&d->q[0]), SENT);
}

static void answered(struct kvt_disk *d)
{
	struct kvt_bio *bio;
	unsigned int i;

	for (i = 0; i < SENT; i++) {
		bio = kvt_bio_reap(d, 0, MS);
		ASSERT(bio, "%u of %u answered", i, SENT);
		EXPECT_EQ(*bio->status, VIRTIO_BLK_S_OK);
	}
}

TEST("a full disk does not hold up a worker")
{
	struct kvt_bio bio[SENT];
	struct kvt_disk d;
	uint8_t id[20];

	fill(&d, bio);
	EXPECT_EQ(kvt_disk_io(&d, 1, VIRTIO_BLK_T_GET_ID, 0, id, sizeof(id)),
		  VIRTIO_BLK_S_OK);
	expect_full(&d);
	answered(&d);
	kvt_disk_close(&d);
}

TEST("the time limit of a stop holds for a full disk")
{
	struct kvasir_blk_backend b = { .size = sizeof(b), .fd = -1,
					.timeout_ms = 100 };
	struct kvt_bio bio[SENT];
	struct kvt_disk d;

	fill(&d, bio);
	EXPECT_ERR(ioctl(d.dev.fd, KVASIR_BLK_SET_BACKEND, &b), ETIMEDOUT);
	expect_full(&d);
	/* what has been taken is answered, the rest is for the next backend */
	b.timeout_ms = 0;
	ASSERT_OK(ioctl(d.dev.fd, KVASIR_BLK_SET_BACKEND, &b));
	EXPECT(kvt_ring_used(&d.q[0]) <= ROOM, "%u requests were taken",
	       kvt_ring_used(&d.q[0]));
	ASSERT_EQ(kvt_disk_backend(&d, kvt_file(1 << 20), 0, 0, NULL), 0);
	answered(&d);
	kvt_disk_close(&d);
}

/* ---- data ---- */

/* Writes and flushes by two queues of one worker; what was promised is there. */
static void load(int fd, uint32_t flags, uint32_t writes)
{
	struct kvt_acked a;
	struct kvt_writer w;
	struct kvt_disk d;
	uint64_t busy;
	int i;

	kvt_acked_init(&a, BLOCKS);
	kvt_disk_open(&d, 2, 128, ALL, 4u << 20);
	if (!d.ours)
		SKIP("%s is not the module's", kvt_blk_node());
	one_worker(&d);
	ASSERT_EQ(kvt_disk_backend(&d, fd, flags, 0, NULL), 0);
	kvt_writer_init(&w, &d, &a, 32, kvt_seed());
	for (i = 0; i < 4; i++) {
		kvt_writer_run(&w, writes / 4);
		EXPECT_EQ(kvt_writer_flush(&w), VIRTIO_BLK_S_OK);
	}
	kvt_writer_verify(&w, "a full disk");
	EXPECT_EQ(w.failed, 0);
	busy = kvt_nl_counter(d.id, 0, KVASIR_C_DISK_BUSY) +
	       kvt_nl_counter(d.id, 1, KVASIR_C_DISK_BUSY);
	NOTE("refused %llu times", (unsigned long long)busy);
	EXPECT(busy > 0, "it was never full");
	ASSERT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
	kvt_disk_close(&d);
	kvt_acked_check_fd(&a, fd, "a full disk, from the host");
	close(fd);
}

/* A device whose first blocks are zero. */
static int zeroed(int fd)
{
	static uint8_t zero[BLOCKS * KVT_BLOCK];

	ASSERT_EQ(pwrite(fd, zero, sizeof(zero), 0), sizeof(zero));
	ASSERT_OK(fsync(fd));
	return fd;
}

TEST("room for one request: nothing is lost")
{
	load(zeroed(kvt_nullblk("kvtsmall", SMALL)), 0, 1200);
}

TEST("room for one request, polled: nothing is lost")
{
	load(zeroed(kvt_nullblk("kvtsmallp", SMALL " poll_queues=1")),
	     KVASIR_BLK_F_POLLED, 1200);
}

static void *read_on(void *arg)
{
	void *buf = aligned_alloc(KVT_BLOCK, KVT_BLOCK);
	unsigned int i;

	ASSERT(buf, "out of memory");
	for (i = 0;; i++)
		ASSERT_EQ(pread(*(int *)arg, buf, KVT_BLOCK,
				(off_t)(i % BLOCKS) * KVT_BLOCK), KVT_BLOCK);
	return NULL;
}

TEST("full of others' requests: ours have their turn")
{
	int fd = zeroed(kvt_nullblk("kvtsmall", SMALL));
	int direct = open("/dev/kvtsmall", O_RDONLY | O_DIRECT | O_CLOEXEC);
	pthread_t thread;
	int i;

	ASSERT(direct >= 0, "open: %s", strerror(errno));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(pthread_create(&thread, NULL, read_on, &direct), 0);
	load(fd, 0, 400);
}

TEST("through the device mapper, some requests in two pieces")
{
	char table[1024] = "";
	unsigned int at, len = 0, part = 100;
	int fd = zeroed(kvt_nullblk("kvtsmall", SMALL));

	/* no whole number of blocks */
	for (at = 0; at < BLOCKS * 8; at += part)
		len += (unsigned int)snprintf(table + len, sizeof(table) - len,
				"%u %u linear /dev/kvtsmall %u\n", at, part, at);
	ASSERT(len < sizeof(table), "the table is too long");
	close(fd);
	load(kvt_dm("kvtsplit", "dm_mod", table), 0, 1200);
	kvt_dm_remove("kvtsplit");
}

TEST("requests larger than the device takes at once")
{
	static uint8_t out[64 << 10], in[sizeof(out)];
	int fd = zeroed(kvt_nullblk("kvtsmall", SMALL));
	struct kvt_disk d;
	uint64_t state = kvt_seed();
	size_t i;

	if (!kvt_run("echo 4 >/sys/block/kvtsmall/queue/max_sectors_kb"))
		SKIP("max_sectors_kb cannot be set");
	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)kvt_rand(&state);
	kvt_disk_open(&d, 1, 64, ALL, 1u << 20);
	ASSERT_EQ(kvt_disk_backend(&d, fd, 0, 0, NULL), 0);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_OUT, 3, out, sizeof(out)),
		  VIRTIO_BLK_S_OK);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_IN, 3, in, sizeof(in)),
		  VIRTIO_BLK_S_OK);
	EXPECT(!memcmp(in, out, sizeof(out)), "not what was written");
	kvt_disk_close(&d);
	close(fd);
	kvt_run("echo 1280 >/sys/block/kvtsmall/queue/max_sectors_kb");
}
