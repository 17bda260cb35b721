// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was acknowledged is there after the owner was killed at random points,
 * and all that it held is let go; what changes around a disk under load
 * (processors, frozen owner, another program in its place) loses nothing.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "kvt_acked.h"
#include "kvt_module.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	KVT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define FL	KVT_F(VIRTIO_BLK_F_FLUSH)
#define ALL	(V1 | EV | IND | FL)
#define BLOCKS	512u
#define ROUNDS	6

static struct kvt_acked acked;
static uint64_t seed;
static int backing;

/* A disk of two queues and somebody to write to it. */
static void open_writer(struct kvt_disk *d, struct kvt_writer *w, uint64_t s)
{
	kvt_disk_open(d, 2, 64, ALL, 4u << 20);
	ASSERT_EQ(kvt_disk_backend(d, backing, 0, 0, NULL), 0);
	kvt_writer_init(w, d, &acked, 32, s);
}

/* The first BLOCKS blocks of a device or file become zero. */
static void from_zero(int fd)
{
	static uint8_t zero[BLOCKS * KVT_BLOCK];

	backing = fd;
	ASSERT_EQ(pwrite(fd, zero, sizeof(zero), 0), sizeof(zero));
	ASSERT_OK(fsync(fd));
	kvt_acked_init(&acked, BLOCKS);
	seed = kvt_seed();
}

static void write_forever(int round, int ready)
{
	struct kvt_writer w;
	struct kvt_disk d;

	open_writer(&d, &w, seed + (unsigned int)round);
	kvt_writer_run(&w, 64);
	kvt_ready(ready);
	for (;;) {
		kvt_writer_run(&w, 50);
		EXPECT_EQ(kvt_writer_flush(&w), VIRTIO_BLK_S_OK);
	}
}

/* Kill it ROUNDS times, each time with what is on the disk going on. */
static void killed(int fd)
{
	uint64_t state;
	uint32_t n = 0;
	int round;

	if (!kvt_ours(kvt_blk_node()))
		SKIP("%s is not the module's", kvt_blk_node());
	from_zero(fd);
	state = seed;
	for (round = 0; round < ROUNDS; round++) {
		kvt_kill_when_ready(write_forever, round,
				    (unsigned int)(kvt_rand(&state) % 200));
		n = kvt_acked_check_fd(&acked, fd, "killed");
	}
	NOTE("%u blocks of %u acknowledged", n, BLOCKS);
	EXPECT(n > 60, "%u blocks", n);
	/* nobody holds it any more */
	if (kvt_env("KVT_MODULE", NULL)) {
		EXPECT_EQ(kvt_module_unload(), 0);
		EXPECT_EQ(kvt_module_load(), 0);
	}
}

TEST_SECONDS("B-07 L-01 owner killed at random points, disk in a file", 200)
{
	killed(kvt_file(BLOCKS * KVT_BLOCK));
}

TEST_SECONDS("B-07 L-01 owner killed at random points, RAM disk", 200)
{
	killed(kvt_blockdev(KVT_RAMDISK));
}

TEST_SECONDS("B-07 L-01 owner killed at random points, device that takes time",
	     200)
{
	killed(kvt_nullblk("kvtslow", ""));
}

TEST("B-07 L-01 the module is not unloaded under a load, nor does that hurt")
{
	struct kvt_writer w;
	struct kvt_disk d;
	int i;

	kvt_module_need();
	from_zero(kvt_nullblk("kvtslow", ""));
	open_writer(&d, &w, seed);
	for (i = 0; i < 50; i++) {
		kvt_writer_run(&w, 20);
		EXPECT_EQ(kvt_module_unload(), -EWOULDBLOCK);
	}
	kvt_writer_verify(&w, "unload was refused");
	EXPECT_EQ(w.failed, 0);
	kvt_disk_close(&d);
}

/* The descriptor of the device survives, the memory does not. */
static void write_and_exec(int arg, int ready)
{
	struct kvt_writer w;
	struct kvt_disk d;

	(void)arg;
	open_writer(&d, &w, seed);
	kvt_writer_run(&w, 200);
	ASSERT_OK(fcntl(d.dev.fd, F_SETFD, 0));
	kvt_ready(ready);
	execlp("sleep", "sleep", "1000", NULL);
	ASSERT(false, "exec: %s", strerror(errno));
}

TEST_SECONDS("L-02 the owner becomes another program with writes in flight", 100)
{
	if (!kvt_ours(kvt_blk_node()))
		SKIP("%s is not the module's", kvt_blk_node());
	from_zero(kvt_nullblk("kvtslow", ""));
	kvt_kill_when_ready(write_and_exec, 0, 500);
	EXPECT(kvt_acked_check_fd(&acked, backing, "after exec") > 50,
	       "hardly any writes");
}

/* ---- around it ---- */

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		SKIP("%s: %s", path, strerror(errno));
	close(fd);
}

TEST_SECONDS("L-04 processors come and go under a load", 200)
{
	static const char path[] = "/sys/devices/system/cpu/cpu1/online";
	struct kvt_writer w;
	struct kvt_disk d;
	int i;

	from_zero(kvt_nullblk("kvtslow", ""));
	open_writer(&d, &w, seed);
	for (i = 0; i < 6; i++) {
		kvt_writer_run(&w, 100);
		put_file(path, i & 1 ? "1" : "0");
	}
	kvt_writer_verify(&w, "after hotplug");
	EXPECT_EQ(w.failed, 0);
	kvt_disk_close(&d);
}

#define GROUP "/sys/fs/cgroup/kvt-safety"

static void write_in_group(int round, int ready)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	put_file(GROUP "/cgroup.procs", pid);
	write_forever(round, ready);
}

/* Writes acknowledged so far. */
static uint64_t all_acked(void)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < BLOCKS; i++)
		n += __atomic_load_n(&acked.acked[i], __ATOMIC_RELAXED);
	return n;
}

TEST_SECONDS("L-04 the owner's control group is frozen and thawed", 100)
{
	uint64_t before, deadline;
	int ready[2], status, round;
	pid_t pid;
	char c;

	if (!kvt_run("[ -e /sys/fs/cgroup/cgroup.procs ] && mkdir -p " GROUP))
		SKIP("no cgroup2 at /sys/fs/cgroup");
	from_zero(kvt_nullblk("kvtslow", ""));
	ASSERT_OK(pipe(ready));
	pid = fork();
	ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		write_in_group(0, ready[1]);
		exit(1);
	}
	ASSERT_EQ(read(ready[0], &c, 1), 1);
	for (round = 0; round < 5; round++) {
		put_file(GROUP "/cgroup.freeze", "1");
		kvt_sleep(200);
		before = all_acked();
		put_file(GROUP "/cgroup.freeze", "0");
		deadline = kvt_deadline(15000);
		while (all_acked() == before && kvt_left(deadline))
			kvt_sleep(10);
		EXPECT(all_acked() > before, "no write after the thaw");
	}
	ASSERT_OK(kill(pid, SIGKILL));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(kvt_module_wait(0, KVT_FREE_MS), 0);
	kvt_acked_check_fd(&acked, backing, "frozen, thawed, killed");
	kvt_run("rmdir " GROUP);
}

TEST_SECONDS("L-05 kicks without requests, and calls that nobody takes", 100)
{
	struct kvt_writer w;
	struct kvt_disk d;
	unsigned int q;
	int i;

	from_zero(kvt_file(BLOCKS * KVT_BLOCK));
	open_writer(&d, &w, seed);
	for (i = 0; i < 20000; i++)
		kvt_ring_force_kick(&d.q[i & 1]);
	/* no counter can rise any more: a worker that waits would stay there */
	for (q = 0; q < 2; q++) {
		uint64_t full = ~1ull;

		ASSERT_EQ(write(d.q[q].call, &full, 8), 8);
	}
	kvt_writer_run(&w, 500);
	kvt_writer_verify(&w, "after a storm");
	EXPECT_EQ(w.failed, 0);
	kvt_disk_close(&d);
}

TEST_SECONDS("L-06 stopped and started in the middle of a poll, 20 times", 100)
{
	struct vhost_vring_state us = { .num = 10000 };
	struct kvt_writer w;
	struct kvt_disk d;
	int i;

	from_zero(kvt_file(BLOCKS * KVT_BLOCK));
	for (i = 0; i < 20; i++) {
		open_writer(&d, &w, seed + (unsigned int)i);
		for (us.index = 0; us.index < 2; us.index++)
			if (ioctl(d.dev.fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
				  &us))
				SKIP("no busy polling: %s", strerror(errno));
		kvt_writer_run(&w, 50);
		kvt_writer_drain(&w);
		EXPECT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
		kvt_disk_close(&d);
	}
	EXPECT(kvt_acked_check_fd(&acked, backing, "stopped often") > 100,
	       "hardly any writes");
}

/* ---- all of it, for long ---- */

/* A disk's life: set up, written to, then stopped, reset, closed or killed. */
static void one_life(struct kvt_disk *d, struct kvt_writer *w, uint64_t *state)
{
	open_writer(d, w, kvt_rand(state));
	kvt_writer_run(w, (uint32_t)(kvt_rand(state) % 300 + 1));
	switch (kvt_rand(state) % 4) {
	case 0:
		kvt_writer_verify(w, "while it ran");
		break;
	case 1:	/* with writes in flight */
		EXPECT_EQ(kvt_disk_backend(d, -1, 0, 0, NULL), 0);
		break;
	case 2:
		EXPECT_OK(ioctl(d->dev.fd, VHOST_RESET_OWNER));
		break;
	}
	kvt_disk_close(d);
	EXPECT_EQ(kvt_module_wait(0, KVT_FREE_MS), 0);
	EXPECT_EQ(w->failed, 0);
}

TEST_SECONDS("L-07 lives of all kinds on one disk, nothing lost or left", 90000)
{
	uint64_t end, state;
	struct kvt_writer w;
	struct kvt_disk d;
	uint32_t lives;

	if (!kvt_ours(kvt_blk_node()))
		SKIP("%s is not the module's", kvt_blk_node());
	from_zero(kvt_nullblk("kvtslow", ""));
	state = seed;
	end = kvt_deadline(1000u *
			   (unsigned int)atoi(kvt_env("KVT_SOAK_SECONDS", "5")));
	for (lives = 0; kvt_left(end); lives++) {
		if (kvt_rand(&state) % 4)
			one_life(&d, &w, &state);
		else
			kvt_kill_when_ready(write_forever, (int)lives,
					    (unsigned int)(kvt_rand(&state) % 50));
		kvt_acked_check_fd(&acked, backing, "after a life");
		ASSERT(!kvt_failures(), "after %u lives", lives);
	}
	NOTE("%u lives", lives);
}
