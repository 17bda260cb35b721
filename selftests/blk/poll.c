// SPDX-License-Identifier: GPL-2.0-only
/*
 * Busy polling as block queues do it unless their owner says otherwise: for
 * the driver's next request, not while the disk has one.
 */
#include "kvt_dm.h"
#include "kvt_module.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MS	20000
#define BLOCK	4096u
#define DEFAULT	"blk_poll_us"
#define LONG_US	10000	/* a limit that a busy machine keeps, too */
#define HELD	"kvtpolled"

static uint32_t limit(const struct kvt_disk *d)
{
	struct vhost_vring_state s = { .num = 77 };

	ASSERT_OK(ioctl(d->dev.fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s));
	return s.num;
}

static void open_disk(struct kvt_disk *d, uint64_t features, int fd)
{
	kvt_disk_open(d, 1, 64, features, 1u << 20);
	if (!d->ours)
		SKIP("%s is not the module's", kvt_blk_node());
	ASSERT_EQ(kvt_disk_backend(d, fd, 0, 0, NULL), 0);
}

static uint64_t tries(const struct kvt_disk *d)
{
	return kvt_nl_counter(d->id, 0, KVASIR_C_POLL_TRIES);
}

/* There are @n, soon: a poll begins after the answer was seen. */
static void expect_tries(const struct kvt_disk *d, uint64_t n)
{
	EXPECT_EQ(kvt_nl_wait(d->id, 0, KVASIR_C_POLL_TRIES, n, MS), n);
}

TEST("the default is blk_poll_us, of devices opened from then on")
{
	unsigned int was = kvt_param(DEFAULT);
	struct kvt_disk a, b;

	kvt_disk_open(&a, 1, 64, V1 | EV, 1u << 20);
	if (!a.ours)
		SKIP("%s is not the module's", kvt_blk_node());
	EXPECT_EQ(limit(&a), was);
	kvt_param_set(DEFAULT, was + 123);
	kvt_disk_open(&b, 1, 64, V1 | EV, 1u << 20);
	EXPECT_EQ(limit(&b), was + 123);
	EXPECT_EQ(limit(&a), was);
	kvt_disk_close(&a);
	kvt_disk_close(&b);
}

TEST("one request after the other is waited for, and needs no kick")
{
	static uint8_t buf[BLOCK];
	struct kvt_disk d;
	int i;

	kvt_param_set(DEFAULT, LONG_US);
	open_disk(&d, V1 | EV,
		  kvt_nullblk("kvtsoon", "irqmode=0 completion_nsec=0"));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_IN, 0, buf, BLOCK),
			  0);
	EXPECT(kvt_nl_counter(d.id, 0, KVASIR_C_POLL_HITS),
	       "%llu polls, all in vain", (unsigned long long)tries(&d));
	kvt_disk_close(&d);
}

TEST("while the disk has a request only the owner's own limit polls")
{
	struct vhost_vring_state s = { .num = LONG_US };
	struct kvt_bio bio;
	struct kvt_disk d;
	int fd;

	kvt_param_set(DEFAULT, LONG_US);
	/* a worker that lost its CPU in a poll has no credit left otherwise */
	kvt_param_set("poll_cpu_percent", 100);
	fd = kvt_dm_held(HELD);
	open_disk(&d, V1, fd);
	kvt_bio_init(&d, &bio, BLOCK);
	kvt_disk_rests(&d, 0);
	EXPECT_EQ(tries(&d), 1);	/* that of the start */
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_IN, 0, BLOCK);
	kvt_disk_taken(&d, 0, 1);
	EXPECT_EQ(tries(&d), 1);
	kvt_dm_hold(HELD, false);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &bio, "no answer");
	expect_tries(&d, 2);

	kvt_disk_rests(&d, 0);
	ASSERT_OK(ioctl(d.dev.fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s));
	kvt_dm_hold(HELD, true);
	kvt_bio_submit(&d, 0, &bio, VIRTIO_BLK_T_IN, 0, BLOCK);
	expect_tries(&d, 3);
	kvt_dm_hold(HELD, false);
	ASSERT(kvt_bio_reap(&d, 0, MS) == &bio, "no answer");
	kvt_disk_close(&d);
	close(fd);
	kvt_dm_remove(HELD);
}
