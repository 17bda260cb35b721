// SPDX-License-Identifier: GPL-2.0-only
/*
 * Busy polling: the limit is the owner's, the CPU time is bounded, kicks are
 * saved, none is lost, and stopping does not wait for a poll (L-05, L-06).
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "kvt_module.h"
#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define PACKED	KVT_F(VIRTIO_F_RING_PACKED)
#define MS	10000
#define PERCENT	"poll_cpu_percent"	/* most of a CPU for polling */
#define DEFAULT	"poll_us"
#define SAVED_NS 10000000ull	/* what a worker can save up, at most */

struct bed {
	struct kvt_nic nic;
	int wire;
};

static int poll_set(struct bed *b, uint32_t us)
{
	struct vhost_vring_state s = { .num = us };
	int ret = 0;

	for (s.index = 0; s.index < 2 && !ret; s.index++)
		ret = ioctl(b->nic.dev.fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
			    &s);
	return ret;
}

static void bed_open(struct bed *b, uint64_t features, uint32_t us)
{
	struct kvt_nic_opts o = { .features = features };

	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
	if (!b->nic.ours)
		SKIP("%s is not the module's", b->nic.o.node);
	ASSERT_OK(poll_set(b, us));
}

static uint64_t count(struct bed *b, uint32_t q, int counter)
{
	return kvt_nl_counter(b->nic.id, q, counter);
}

static uint64_t cpu_ns(struct bed *b, uint32_t queue)
{
	struct kvt_queue_stat st;
	unsigned long long ns;
	char path[64];
	FILE *f;

	kvt_nl_queue(b->nic.id, queue, &st);
	snprintf(path, sizeof(path), "/proc/%u/schedstat", st.worker);
	f = fopen(path, "re");
	if (!f)
		SKIP("%s: %s", path, strerror(errno));
	ASSERT_EQ(fscanf(f, "%llu", &ns), 1);
	fclose(f);
	return ns;
}

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t poll_get(int fd)
{
	struct vhost_vring_state s = { .num = 77 };

	ASSERT_OK(ioctl(fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s));
	return s.num;
}

TEST("the default is the module's, for devices opened from then on")
{
	int old, fd;

	old = kvt_node_open(kvt_net_node());
	if (!kvt_ours(kvt_net_node()))
		SKIP("%s is not the module's", kvt_net_node());
	ASSERT_OK(ioctl(old, VHOST_SET_OWNER));
	EXPECT_EQ(poll_get(old), kvt_param(DEFAULT));
	kvt_param_set(DEFAULT, kvt_param(DEFAULT) + 123);
	fd = kvt_node_open(kvt_net_node());
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	EXPECT_EQ(poll_get(fd), kvt_param(DEFAULT));
	EXPECT_EQ(poll_get(old), kvt_param(DEFAULT) - 123);
	ASSERT_OK(ioctl(old, VHOST_RESET_OWNER));
	ASSERT_OK(ioctl(old, VHOST_SET_OWNER));
	EXPECT_EQ(poll_get(old), kvt_param(DEFAULT));
}

TEST("0 is off; the limit is read back, and reset forgets it")
{
	struct vhost_vring_state s = { .num = UINT32_MAX };
	uint64_t tries;
	struct bed b;
	int fd;

	bed_open(&b, V1 | EV, 0);
	fd = b.nic.dev.fd;
	tries = count(&b, 0, KVASIR_C_POLL_TRIES);
	kvt_nic_exchange(&b.nic, b.wire, 100, 1);
	EXPECT_EQ(count(&b, 0, KVASIR_C_POLL_TRIES), tries);
	EXPECT_EQ(poll_get(fd), 0);
	EXPECT_OK(ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s));
	s.num = 0;
	EXPECT_OK(ioctl(fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s));
	EXPECT_EQ(s.num, UINT32_MAX);
	s.index = 2;
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s), ENOBUFS);
	EXPECT_ERR(ioctl(fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s), ENOBUFS);
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, NULL), EFAULT);
	EXPECT_ERR(ioctl(fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, NULL), EFAULT);
	ASSERT_OK(ioctl(fd, VHOST_RESET_OWNER));
	s.index = 0;
	EXPECT_ERR(ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s), EPERM);
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	EXPECT_EQ(poll_get(fd), kvt_param(DEFAULT));
	kvt_nic_close(&b.nic);
}

/* Frames one after the other, each soon after the last one came back. */
static void find_work(uint64_t features, uint32_t us)
{
	uint64_t end = kvt_deadline(40000), hits = 0, tries;
	struct bed b;
	uint32_t seq;

	kvt_param_set(PERCENT, 100);
	bed_open(&b, features, us);
	for (seq = 0; kvt_left(end) && (seq < 300 || hits < 20); seq++) {
		kvt_nic_exchange(&b.nic, b.wire, 60 + seq % 1400, seq);
		hits = count(&b, 1, KVASIR_C_POLL_HITS);
	}
	tries = count(&b, 1, KVASIR_C_POLL_TRIES);
	NOTE("%u frames each way, transmit: %llu polls, %llu hits, %llu kicks",
	     seq, (unsigned long long)tries, (unsigned long long)hits,
	     (unsigned long long)count(&b, 1, KVASIR_C_KICKS));
	EXPECT(hits >= 20 && hits <= tries, "the poll never finds work");
	/* a hit is a frame that came without kick */
	EXPECT(count(&b, 1, KVASIR_C_KICKS) <= seq - hits / 2,
	       "kicks are not saved");
	EXPECT(count(&b, 1, KVASIR_C_POLL_NS) > 0, "no time is counted");
	kvt_nic_close(&b.nic);
}

TEST("polling finds work and saves kicks, data verified")
{
	find_work(V1 | EV, 20000);
}

TEST("the same without event indices")
{
	find_work(V1, 20000);
}

TEST("the same with packed rings")
{
	find_work(V1 | EV | PACKED, 20000);
}

TEST("queues polled by workers of their own")
{
	struct vhost_vring_worker w = { .index = 1 };
	struct vhost_worker_state s;
	struct bed b;
	uint32_t seq;

	bed_open(&b, V1 | EV, 5000);
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_NEW_WORKER, &s));
	w.worker_id = s.worker_id;
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_ATTACH_VRING_WORKER, &w));
	for (seq = 0; seq < 300; seq++)
		kvt_nic_exchange(&b.nic, b.wire, 60 + seq % 1400, seq);
	EXPECT(count(&b, 0, KVASIR_C_POLL_TRIES) &&
	       count(&b, 1, KVASIR_C_POLL_TRIES), "not polled");
	kvt_nic_close(&b.nic);
}

TEST("L-05 no work: a worker that may poll for an hour soon sleeps")
{
	uint64_t cpu, polled;
	struct bed b;

	bed_open(&b, V1 | EV, 3600000000u);
	kvt_nic_exchange(&b.nic, b.wire, 100, 1);
	/* when the credit is used up */
	kvt_nl_asleep(b.nic.id, 1);
	kvt_sleep(500);
	cpu = cpu_ns(&b, 0);
	polled = count(&b, 1, KVASIR_C_POLL_NS);
	kvt_sleep(2000);
	EXPECT_EQ(cpu_ns(&b, 0) - cpu, 0);
	EXPECT_EQ(count(&b, 1, KVASIR_C_POLL_NS) - polled, 0);
	EXPECT(polled, "never polled");
	/* and it is woken all the same */
	kvt_nic_exchange(&b.nic, b.wire, 100, 2);
	kvt_nic_close(&b.nic);
}

TEST("L-05 a kick storm with nothing in the ring: polling keeps its budget")
{
	uint64_t t0, polled, spent, tries, end;
	unsigned int percent;
	struct bed b;
	int i;

	bed_open(&b, V1 | EV, 50000);
	percent = kvt_param(PERCENT);
	t0 = mono_ns();
	for (i = 0; i < 2000; i++) {
		kvt_ring_force_kick(&b.nic.tx);
		if (i % 4 == 0)
			kvt_sleep(1);
	}
	polled = count(&b, 1, KVASIR_C_POLL_NS);
	tries = count(&b, 1, KVASIR_C_POLL_TRIES);
	/*
	 * A poll takes longer than its budget when somebody else has the CPU in
	 * the middle of it. That is made up for before the next one begins.
	 */
	for (end = kvt_deadline(MS); kvt_left(end) &&
	     count(&b, 1, KVASIR_C_POLL_TRIES) == tries; kvt_sleep(1))
		kvt_ring_force_kick(&b.nic.tx);
	spent = mono_ns() - t0;
	NOTE("%llu ms of %llu ms polled",
	     (unsigned long long)polled / 1000000,
	     (unsigned long long)spent / 1000000);
	EXPECT(polled <= spent / 100 * percent + 2 * SAVED_NS,
	       "%llu ns of %llu ns polled, %u %% allowed",
	       (unsigned long long)polled, (unsigned long long)spent, percent);
	kvt_nic_exchange(&b.nic, b.wire, 100, 2);
	kvt_nic_close(&b.nic);
}

TEST("L-05 without permission there is no polling")
{
	struct bed b;
	uint32_t seq;

	kvt_param_set(PERCENT, 0);
	bed_open(&b, V1 | EV, 50000);
	for (seq = 0; seq < 20; seq++)
		kvt_nic_exchange(&b.nic, b.wire, 100, seq);
	EXPECT_EQ(count(&b, 0, KVASIR_C_POLL_NS), 0);
	EXPECT_EQ(count(&b, 1, KVASIR_C_POLL_NS), 0);
	kvt_nic_close(&b.nic);
}

/*
 * Until the worker is seen in a poll. It lasts a minute unless some other task
 * wants the CPU; then a frame starts the next one.
 */
static void wait_polling(struct bed *b)
{
	uint64_t end = kvt_deadline(MS), cpu;
	uint32_t seq = 0;

	while (kvt_left(end)) {
		kvt_nic_exchange(&b->nic, b->wire, 100, seq++);
		kvt_sleep(20);
		cpu = cpu_ns(b, 1);
		kvt_sleep(30);
		if (cpu_ns(b, 1) - cpu >= 5000000)
			return;
	}
	SKIP("the CPUs are too busy for a poll to last");
}

enum stop { STOP_BACKEND, STOP_MOVE, STOP_OFF, STOP_RESET, STOP_WAYS };

static void stop_by(struct bed *b, enum stop how)
{
	struct vhost_vring_worker w = { .index = 1 };
	struct vhost_worker_state s;
	int fd = b->nic.dev.fd;

	switch (how) {
	case STOP_BACKEND:
		ASSERT_OK(kvt_net_backend(&b->nic.dev, 1, -1));
		ASSERT_OK(kvt_net_backend(&b->nic.dev, 0, -1));
		break;
	case STOP_MOVE:
		ASSERT_OK(ioctl(fd, VHOST_NEW_WORKER, &s));
		w.worker_id = s.worker_id;
		ASSERT_OK(ioctl(fd, VHOST_ATTACH_VRING_WORKER, &w));
		break;
	case STOP_OFF:
		ASSERT_OK(poll_set(b, 0));
		break;
	default:
		ASSERT_OK(ioctl(fd, VHOST_RESET_OWNER));
		break;
	}
}

#define SOON 30000	/* well before the end of a poll of a minute */

TEST_SECONDS("L-06 stopped, moved, reset and closed in the middle of a poll",
	     300)
{
	struct bed b;
	uint64_t t0;
	int how;

	kvt_param_set(PERCENT, 100);
	bed_open(&b, V1 | EV, 60000000);
	for (how = 0; how < STOP_WAYS; how++) {
		wait_polling(&b);
		t0 = kvt_now();
		stop_by(&b, (enum stop)how);
		EXPECT(kvt_now() - t0 < SOON, "way %d took %llu ms", how,
		       (unsigned long long)(kvt_now() - t0));
		if (how == STOP_BACKEND)
			kvt_nic_restart(&b.nic);
		if (how == STOP_OFF)
			ASSERT_OK(poll_set(&b, 60000000));
	}
	kvt_nic_close(&b.nic);
	close(b.nic.o.sock);
	close(b.wire);
	bed_open(&b, V1 | EV, 60000000);
	wait_polling(&b);
	t0 = kvt_now();
	kvt_nic_close(&b.nic);
	EXPECT(kvt_now() - t0 < SOON, "close took %llu ms",
	       (unsigned long long)(kvt_now() - t0));
}

/* CPU time this thread gets in @ms while somebody else might want it. */
static uint64_t spin(unsigned int ms)
{
	uint64_t end = kvt_deadline(ms);
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	while (kvt_left(end))
		;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (uint64_t)(b.tv_sec - a.tv_sec) * 1000000000u +
	       (uint64_t)b.tv_nsec - (uint64_t)a.tv_nsec;
}

TEST("another task on the worker's CPU: the poll gives way")
{
	struct kvt_queue_stat st;
	uint64_t cpu = 0, mine = 0;
	struct bed b;
	cpu_set_t one;
	uint32_t i;

	kvt_param_set(PERCENT, 100);
	bed_open(&b, V1 | EV, 60000000);
	kvt_nl_queue(b.nic.id, 1, &st);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_OK(sched_setaffinity(0, sizeof(one), &one));
	ASSERT_OK(sched_setaffinity((pid_t)st.worker, sizeof(one), &one));
	/* A tick that comes late is charged to whoever runs: several tries. */
	for (i = 0; i < 5; i++) {
		kvt_nic_exchange(&b.nic, b.wire, 100, i);
		cpu = cpu_ns(&b, 1);
		mine = spin(1000);
		cpu = cpu_ns(&b, 1) - cpu;
		NOTE("%llu ms here, %llu ms there",
		     (unsigned long long)mine / 1000000,
		     (unsigned long long)cpu / 1000000);
		if (cpu < mine / 10)
			break;
	}
	EXPECT(cpu < mine / 10, "the worker polled on");
	kvt_nic_exchange(&b.nic, b.wire, 100, 2);
	kvt_nic_close(&b.nic);
}
