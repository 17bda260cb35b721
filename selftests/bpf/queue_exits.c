// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace path` and the exits that doorbells ring in.
 *
 * A guest of a few bytes rings the doorbell of a disk of the module; every other
 * request is served without anybody having rung, because the disk starts.
 *
 * Proven: the way of what was rung for begins with the exit, that of the rest with
 * its service and not with the exit of an earlier ring.
 */
#include <sys/eventfd.h>

#include "kvt_blk.h"
#include "tracer.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define MS	20000
#define ROUNDS	4u
#define GAP_MS	50		/* in which a disk would serve, but must not */

struct bed {
	struct tiny_vm vm;
	struct kvt_disk disk;
	struct kvt_bio bio;
	int file, kick;
};

/* The guest rings what the test does not any more. */
static void bed_open(struct bed *b)
{
	struct kvm_ioeventfd bell = { .addr = TINY_PORT, .len = 1,
				      .flags = KVM_IOEVENTFD_FLAG_PIO };
	struct kvt_ring *ring;

	tiny_create(&b->vm, 1);
	kvt_disk_open(&b->disk, 1, 64, V1, 4u << 20);
	ASSERT(b->disk.ours, "not the module's node");
	b->file = kvt_file(4 << 20);
	kvt_bio_init(&b->disk, &b->bio, 512);
	ring = &b->disk.q[0];
	b->kick = ring->kick;
	bell.fd = b->kick;
	ASSERT_OK(ioctl(b->vm.fd, KVM_IOEVENTFD, &bell));
	ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT(ring->kick >= 0, "eventfd: %s", strerror(errno));
}

static void answered(struct bed *b)
{
	ASSERT(kvt_bio_reap(&b->disk, 0, MS) == &b->bio, "no answer");
}

/* Served because the disk starts. */
static void unasked(struct bed *b)
{
	kvt_bio_submit(&b->disk, 0, &b->bio, VIRTIO_BLK_T_IN, 0, 512);
	kvt_sleep(GAP_MS);
	ASSERT_EQ(kvt_disk_backend(&b->disk, b->file, 0, 512, "bells"), 0);
	answered(b);
}

static void rung_for(struct bed *b)
{
	const struct tiny_load ring = { .out = 1 };

	/* Until the disk looks no more by itself. */
	kvt_disk_rests(&b->disk, 0);
	kvt_bio_submit(&b->disk, 0, &b->bio, VIRTIO_BLK_T_IN, 0, 512);
	kvt_sleep(GAP_MS);
	ASSERT(!kvt_ring_used(&b->disk.q[0]), "served before the ring");
	tiny_run(&b->vm, 0, &ring);
	answered(b);
	ASSERT_EQ(kvt_disk_backend(&b->disk, -1, 0, 0, NULL), 0);
}

/* One of the slowest: its hops, and whether the first is the doorbell's. */
static void expect_way(struct json_object *s, unsigned int *bells)
{
	static const char *const hops[] = {
		"doorbell", "wake", "backend", "device", "publish", NULL,
	};
	struct json_object *hop;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; hops[i]; i++)
		if (json_object_object_get_ex(s, hops[i], &hop))
			sum += json_object_get_uint64(hop);
	EXPECT_EQ(num(s, "total"), sum);
	if (json_object_object_get_ex(s, "doorbell", NULL))
		++*bells;
	else
		EXPECT(!json_object_object_get_ex(s, "wake", NULL), "woken unasked");
}

TEST("a service that nobody rang for has no exit")
{
	struct json_object *q, *hops, *slowest, *s;
	unsigned int i, bells = 0;
	struct tracer t;
	struct bed b;

	bed_open(&b);
	START_VERB(&t, "path", "-p", text_of(getpid()));
	for (i = 0; i < ROUNDS; i++) {
		unasked(&b);
		rung_for(&b);
	}
	stop(&t);
	q = item(get(t.json, "queues"), 0);
	ASSERT(q, "no queue");
	hops = get(q, "hops");
	slowest = get(q, "slowest");
	EXPECT_EQ(num(q, "requests"), 2 * ROUNDS);
	EXPECT_EQ(num(get(hops, "doorbell"), "count"), ROUNDS);
	EXPECT_EQ(num(get(hops, "wake"), "count"), ROUNDS);
	EXPECT_EQ(num(get(hops, "total"), "count"), 2 * ROUNDS);
	EXPECT(num(q, "unasked") >= ROUNDS, "%llu", (unsigned long long)num(q, "unasked"));
	for (i = 0; (s = item(slowest, i)); i++)
		expect_way(s, &bells);
	EXPECT_EQ(i, 2 * ROUNDS);
	EXPECT_EQ(bells, ROUNDS);
	expect_no_loss(&t, NULL);
	close(b.kick);
}
