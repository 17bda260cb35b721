// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: made, shared, attached, moved during traffic and freed by their
 * owner (U-09), pinned by anybody who may, and without cost while idle.
 */
#include <pthread.h>
#include <sched.h>

#include "kvt_blk.h"
#include "kvt_module.h"
#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MS	10000
#define NET_WORKERS 3	/* one per queue, and one more */

static int new_worker(int fd, uint32_t *id)
{
	struct vhost_worker_state s = { .worker_id = UINT32_MAX };
	int ret = ioctl(fd, VHOST_NEW_WORKER, &s);

	*id = s.worker_id;
	return ret;
}

static int free_worker(int fd, uint32_t id)
{
	struct vhost_worker_state s = { .worker_id = id };

	return ioctl(fd, VHOST_FREE_WORKER, &s);
}

static int attach(int fd, uint32_t index, uint32_t id)
{
	struct vhost_vring_worker w = { .index = index, .worker_id = id };

	return ioctl(fd, VHOST_ATTACH_VRING_WORKER, &w);
}

/* The worker of a queue, or -1 with errno. */
static int worker_of(int fd, uint32_t index)
{
	struct vhost_vring_worker w = { .index = index };

	return ioctl(fd, VHOST_GET_VRING_WORKER, &w) ? -1 : (int)w.worker_id;
}

struct bed {
	struct kvt_nic nic;
	int wire;
};

static void bed_open(struct bed *b, uint64_t features)
{
	struct kvt_nic_opts o = { .features = features };

	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
	if (!b->nic.ours)
		SKIP("%s is not the module's", b->nic.o.node);
}

/* Threads that serve the device, in the end. */
static int threads_wait(struct bed *b, int want)
{
	return kvt_threads_wait("kvasir-net", (int)b->nic.id, want, MS);
}

static uint32_t pid_of(struct bed *b, uint32_t queue)
{
	struct kvt_queue_stat st;

	kvt_nl_queue(b->nic.id, queue, &st);
	return st.worker;
}

TEST("both queues of a net device share worker 0")
{
	struct bed b;

	bed_open(&b, V1 | EV);
	EXPECT_EQ(worker_of(b.nic.dev.fd, 0), 0);
	EXPECT_EQ(worker_of(b.nic.dev.fd, 1), 0);
	EXPECT(pid_of(&b, 0), "no pid is reported");
	EXPECT_EQ(pid_of(&b, 0), pid_of(&b, 1));
	EXPECT_EQ(kvt_threads("kvasir-net", (int)b.nic.id), 1);
	kvt_nic_close(&b.nic);
}

TEST("attached while stopped: each queue is served by its own thread")
{
	struct bed b;
	uint32_t id;

	bed_open(&b, V1 | EV);
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 1, -1));
	ASSERT_OK(new_worker(b.nic.dev.fd, &id));
	EXPECT_EQ(id, 1);
	ASSERT_OK(attach(b.nic.dev.fd, 1, id));
	EXPECT_EQ(worker_of(b.nic.dev.fd, 1), 1);
	kvt_nic_restart(&b.nic);
	EXPECT(pid_of(&b, 0) != pid_of(&b, 1), "one thread for both");
	EXPECT_EQ(kvt_threads("kvasir-net", (int)b.nic.id), 2);
	kvt_nic_exchange(&b.nic, b.wire, 900, 1);
	kvt_nic_close(&b.nic);
}

TEST("U-09 unknown workers and queues, bad pointers, strangers")
{
	static const uint32_t bad[] = { 1, NET_WORKERS, 99, 1u << 31,
					UINT32_MAX };
	struct vhost_worker_state s = { 0 };
	struct vhost_vring_worker w = { 0 };
	struct bed b;
	size_t i;
	int fd;

	bed_open(&b, V1 | EV);
	fd = b.nic.dev.fd;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_ERR(free_worker(fd, bad[i]), ENODEV);
		EXPECT_ERR(attach(fd, 0, bad[i]), ENODEV);
		w.index = bad[i] < 2 ? 2 : bad[i];
		EXPECT_ERR(attach(fd, w.index, 0), ENOBUFS);
		EXPECT_ERR(ioctl(fd, VHOST_GET_VRING_WORKER, &w), ENOBUFS);
	}
	EXPECT_ERR(ioctl(fd, VHOST_NEW_WORKER, NULL), EFAULT);
	EXPECT_ERR(ioctl(fd, VHOST_FREE_WORKER, NULL), EFAULT);
	EXPECT_ERR(ioctl(fd, VHOST_ATTACH_VRING_WORKER, NULL), EFAULT);
	EXPECT_ERR(ioctl(fd, VHOST_GET_VRING_WORKER, NULL), EFAULT);
	/* the one that could not be told is gone again */
	EXPECT_EQ(threads_wait(&b, 1), 1);
	kvt_nic_exchange(&b.nic, b.wire, 900, 1);
	ASSERT_OK(ioctl(fd, VHOST_RESET_OWNER));
	EXPECT_ERR(ioctl(fd, VHOST_NEW_WORKER, &s), EPERM);
	EXPECT_ERR(ioctl(fd, VHOST_FREE_WORKER, &s), EPERM);
	EXPECT_ERR(attach(fd, 0, 0), EPERM);
	EXPECT_ERR(worker_of(fd, 0), EPERM);
	kvt_nic_close(&b.nic);
}

TEST("U-09 a worker with a queue cannot be freed, and afterwards can")
{
	struct bed b;
	uint32_t id;
	int fd;

	bed_open(&b, V1 | EV);
	fd = b.nic.dev.fd;
	EXPECT_ERR(free_worker(fd, 0), EBUSY);
	ASSERT_OK(new_worker(fd, &id));
	ASSERT_OK(attach(fd, 0, id));
	EXPECT_ERR(free_worker(fd, id), EBUSY);
	EXPECT_ERR(free_worker(fd, 0), EBUSY);
	ASSERT_OK(attach(fd, 1, id));
	EXPECT_OK(free_worker(fd, 0));
	EXPECT_ERR(free_worker(fd, 0), ENODEV);
	EXPECT_ERR(attach(fd, 0, 0), ENODEV);
	EXPECT_EQ(threads_wait(&b, 1), 1);
	kvt_nic_exchange(&b.nic, b.wire, 900, 1);
	/* also while its queues are stopped */
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 1, -1));
	EXPECT_ERR(free_worker(fd, id), EBUSY);
	kvt_nic_close(&b.nic);
}

TEST("U-09 workers up to the limit, reset frees them all, 10 times")
{
	struct bed b;
	uint32_t id;
	int i, n, fd;

	bed_open(&b, V1 | EV);
	fd = b.nic.dev.fd;
	for (n = 0; n < 10; n++) {
		for (i = 1; i < NET_WORKERS; i++)
			ASSERT_OK(new_worker(fd, &id));
		EXPECT_ERR(new_worker(fd, &id), ENOSPC);
		EXPECT_EQ(kvt_threads("kvasir-net", (int)b.nic.id),
			  NET_WORKERS);
		if (!n)
			kvt_nic_exchange(&b.nic, b.wire, 900, 1);
		EXPECT_OK(free_worker(fd, 1));
		EXPECT_OK(new_worker(fd, &id));
		EXPECT_EQ(id, 1);
		ASSERT_OK(ioctl(fd, VHOST_RESET_OWNER));
		EXPECT_EQ(threads_wait(&b, 0), 0);
		ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
		EXPECT_EQ(worker_of(fd, 1), 0);
	}
	kvt_nic_close(&b.nic);
}

struct mover {
	struct kvt_nic *nic;
	bool stop;
	int moves;
};

static void *mover(void *arg)
{
	struct mover *m = arg;
	int fd = m->nic->dev.fd;
	uint64_t rnd = kvt_seed();

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED)) {
		uint64_t r = kvt_rand(&rnd) >> 20;
		uint32_t id, q = r & 1, to = r / 2 % NET_WORKERS;

		if (r & 64) {
			if (free_worker(fd, to))
				EXPECT(errno == EBUSY || errno == ENODEV,
				       "free: %s", strerror(errno));
			if (new_worker(fd, &id))
				EXPECT_EQ(errno, ENOSPC);
		}
		if (attach(fd, q, to))
			EXPECT_EQ(errno, ENODEV);
		else
			__atomic_add_fetch(&m->moves, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

#define ENOUGH 20	/* of moves and of frames, however slow it goes */

static void moved_in_traffic(uint64_t features, uint32_t poll_us)
{
	struct vhost_vring_state s = { .num = poll_us };
	uint64_t end = kvt_deadline(4000);
	struct bed b;
	struct mover m = { .nic = &b.nic };
	uint32_t seq, id;
	pthread_t th;

	bed_open(&b, features);
	for (s.index = 0; s.index < 2; s.index++)
		ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
				&s));
	while (!new_worker(b.nic.dev.fd, &id))
		;
	ASSERT_EQ(pthread_create(&th, NULL, mover, &m), 0);
	for (seq = 0; kvt_left(end) || seq < ENOUGH ||
	     __atomic_load_n(&m.moves, __ATOMIC_RELAXED) < ENOUGH; seq++)
		kvt_nic_exchange(&b.nic, b.wire, 60 + seq % 1400, seq);
	__atomic_store_n(&m.stop, true, __ATOMIC_RELAXED);
	pthread_join(th, NULL);
	NOTE("%d moves, %u frames each way", m.moves, seq);
	EXPECT(kvt_nic_drain(&b.nic, MS), "transmit stuck");
	kvt_nic_close(&b.nic);
}

TEST("U-09 attach, free and create during traffic, no kick is lost")
{
	moved_in_traffic(V1 | EV, 0);
}

TEST("U-09 the same without event indices, and while polling")
{
	moved_in_traffic(V1, 2000);
}

static void *attach_storm(void *arg)
{
	struct kvt_disk *d = ((void **)arg)[0];
	bool *stop = ((void **)arg)[1];
	uint32_t n = 0;

	for (; !__atomic_load_n(stop, __ATOMIC_RELAXED); n++)
		EXPECT_OK(attach(d->dev.fd, n & 1, n / 2 & 1));
	return NULL;
}

TEST("U-09 queues of a disk change threads during I/O")
{
	uint64_t end = kvt_deadline(3000);
	static uint8_t out[8192], in[8192];
	struct kvt_disk d;
	bool stop = false;
	void *arg[] = { &d, &stop };
	uint64_t rnd = 1;
	uint32_t n, i, id;
	pthread_t th;

	if (!kvt_ours(kvt_blk_node()))
		SKIP("%s is not the module's", kvt_blk_node());
	kvt_disk_open(&d, 2, 64, V1 | EV, 8 << 20);
	EXPECT_ERR(worker_of(d.dev.fd, 0), ENODEV);
	ASSERT_EQ(kvt_disk_backend(&d, kvt_file(1 << 20), 0, 0, NULL), 0);
	EXPECT_EQ(worker_of(d.dev.fd, 0), 0);
	EXPECT_EQ(worker_of(d.dev.fd, 1), 1);
	ASSERT_EQ(pthread_create(&th, NULL, attach_storm, arg), 0);
	for (n = 0; kvt_left(end); n++) {
		uint64_t sector = n % 16 * 16;

		for (i = 0; i < sizeof(out); i++)
			out[i] = (uint8_t)(kvt_rand(&rnd) >> 56);
		ASSERT_EQ(kvt_disk_io(&d, n & 1, VIRTIO_BLK_T_OUT, sector, out,
				      sizeof(out)), VIRTIO_BLK_S_OK);
		ASSERT_EQ(kvt_disk_io(&d, ~n & 1, VIRTIO_BLK_T_IN, sector, in,
				      sizeof(in)), VIRTIO_BLK_S_OK);
		ASSERT(!memcmp(in, out, sizeof(in)), "block %u changed", n);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(th, NULL);
	NOTE("%u blocks", n);
	/* one thread for both is enough */
	ASSERT_OK(attach(d.dev.fd, 0, 0));
	ASSERT_OK(attach(d.dev.fd, 1, 0));
	EXPECT_OK(free_worker(d.dev.fd, 1));
	EXPECT_EQ(kvt_threads_wait("kvasir-blk", (int)d.id, 1, MS), 1);
	ASSERT_EQ(kvt_disk_io(&d, 1, VIRTIO_BLK_T_IN, 0, in, sizeof(in)),
		  VIRTIO_BLK_S_OK);
	/* the assignment outlives the backend */
	ASSERT_EQ(kvt_disk_backend(&d, -1, 0, 0, NULL), 0);
	EXPECT_EQ(worker_of(d.dev.fd, 1), 0);
	ASSERT_OK(new_worker(d.dev.fd, &id));
	EXPECT_EQ(id, 1);
	kvt_disk_close(&d);
}

/* The child's life: traffic under a mover until it is killed. */
static void victim(int round, int ready)
{
	struct bed b;
	struct mover m = { .nic = &b.nic };
	uint32_t seq, id;
	pthread_t th;

	(void)round;
	bed_open(&b, V1 | EV);
	while (!new_worker(b.nic.dev.fd, &id))
		;
	ASSERT_EQ(pthread_create(&th, NULL, mover, &m), 0);
	kvt_ready(ready);
	for (seq = 0;; seq++)
		kvt_nic_exchange(&b.nic, b.wire, 500, seq);
}

TEST("U-09 the owner is killed while its queues move, 10 times")
{
	int i;

	for (i = 0; i < 10; i++)
		kvt_kill_when_ready(victim, i, (unsigned int)(i * 13));
}

TEST("a worker runs on the CPU it is pinned to")
{
	cpu_set_t all, one;
	struct bed b;
	uint32_t id, seq = 0;
	char line[1024];
	int cpu;

	bed_open(&b, V1 | EV);
	ASSERT_OK(new_worker(b.nic.dev.fd, &id));
	ASSERT_OK(attach(b.nic.dev.fd, 1, id));
	ASSERT_OK(sched_getaffinity((pid_t)pid_of(&b, 0), sizeof(all), &all));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		ASSERT_OK(sched_setaffinity((pid_t)pid_of(&b, 1), sizeof(one),
					    &one));
		kvt_nic_exchange(&b.nic, b.wire, 900, seq++);
		EXPECT_EQ(atoi(kvt_stat_field(pid_of(&b, 1), 39, line)), cpu);
		/* the other one is free to go where it wants */
		ASSERT_OK(sched_getaffinity((pid_t)pid_of(&b, 0), sizeof(one),
					    &one));
		EXPECT(CPU_EQUAL(&one, &all), "worker 0 was pinned, too");
	}
	kvt_nic_close(&b.nic);
}

/* Nanoseconds the thread has run, and times it was put on a CPU. */
static void sched(uint32_t pid, uint64_t *ns, uint64_t *runs)
{
	unsigned long long a, b, c;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/schedstat", pid);
	f = fopen(path, "re");
	if (!f)
		SKIP("%s: %s", path, strerror(errno));
	ASSERT_EQ(fscanf(f, "%llu %llu %llu", &a, &b, &c), 3);
	fclose(f);
	*ns = a;
	*runs = c;
}

#define MANY 64

TEST("64 idle devices with queues running cost no CPU time")
{
	static struct kvt_nic nic[MANY];
	struct kvt_nic_opts o = { .features = V1 | EV, .num = 16 };
	uint64_t ns[MANY], runs[MANY], ns1, runs1;
	struct kvt_queue_stat st;
	struct kvt_dev_stat dev[MANY + 8];
	uint32_t pid[MANY];
	char name[16];
	int i, n;

	kvt_netns();
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "tap%d", i);
		o.sock = kvt_tap(name, 0, 12, 0);
		kvt_nic_open(&nic[i], &o);
	}
	if (!nic[0].ours)
		SKIP("%s is not the module's", nic[0].o.node);
	/* all ids are different: the newest is what each one found */
	n = kvt_nl_devs(dev, MANY + 8);
	EXPECT(n >= MANY, "%d devices", n);
	for (i = 0; i < MANY; i++)
		kvt_nl_asleep(nic[i].id, 0);
	kvt_sleep(500);
	for (i = 0; i < MANY; i++) {
		kvt_nl_queue(nic[i].id, 0, &st);
		pid[i] = st.worker;
		sched(pid[i], &ns[i], &runs[i]);
	}
	kvt_sleep(2000);
	for (i = 0; i < MANY; i++) {
		sched(pid[i], &ns1, &runs1);
		EXPECT_EQ(ns1 - ns[i], 0);
		EXPECT_EQ(runs1 - runs[i], 0);
	}
	for (i = 0; i < MANY; i++)
		kvt_nic_close(&nic[i]);
}
