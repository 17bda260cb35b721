// SPDX-License-Identifier: GPL-2.0-only
/*
 * One measurement of one node, printed as one line of JSON.
 *
 *	net_drv [-n NODE] [-s BYTES] [-c PACKETS] [-b BURST] [-q ENTRIES]
 *		[-r PPS] [-y USECS] [-f] [-p] [-o] CASE
 *
 *	tx	bursts: offer, kick, sleep until all were used; XDP drops them
 *	rx	bursts out of the tap's interface, sleep until all arrived
 *	gen	the bursts of rx into a tap that nobody serves
 *	self	the bursts of tx with this program as the device
 *	tx-run	driver and worker free-running, each on a CPU of its own
 *	rx-run	the tap's queue filled first, then driver and worker free-running
 *	tx-pace	single packets, exponential gaps of mean 1 / PPS
 *	rx-pace	the same out of the tap's interface, to a driver that sleeps
 *
 *	-y	busy polling (VHOST_SET_VRING_BUSYLOOP_TIMEOUT)
 *	-f	run ahead of the worker: a burst is complete before it begins
 *	-p	packed ring
 *	-o	in order
 *
 * ns is the time of all bursts together; under -icount it is instructions.
 * Exit status 4: the node lacks something, told on standard output.
 */
#include <getopt.h>
#include <math.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "drv.h"
#include "gen.h"
#include "workers.h"

#define TAP		"kvbench"
#define QUEUE_LEN	4000	/* frames a tap holds in rx-run */
#define LIMIT_SECONDS	100

struct opts {
	const char *node;
	uint64_t features;
	uint32_t size, count, burst, pps;
	uint16_t num;
	bool first;
	uint32_t poll_us;
};

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* What one measurement found; what does not apply stays 0. */
struct result {
	uint64_t packets, ns, kicks, calls;
	struct workers workers;
};

static void begin(struct result *r, const struct drv_ring *ring)
{
	workers_read(&r->workers);
	r->kicks = ring->kicks;
	r->calls = ring->calls;
	r->ns = ns();
}

static void end(struct result *r, const struct drv_ring *ring, uint64_t packets)
{
	struct workers now;

	r->ns = ns() - r->ns;
	workers_read(&now);
	r->kicks = ring->kicks - r->kicks;
	r->calls = ring->calls - r->calls;
	r->packets = packets;
	workers_sub(&r->workers, &now);
}

static void print(const char *name, const struct opts *o,
		  const struct result *r)
{
	printf("{\"run\":\"%s\",\"node\":\"%s\",\"size\":%u,\"packets\":%llu,\"ns\":%llu,\"kicks\":%llu,\"calls\":%llu,\"wakeups\":%llu,\"threads\":%u,\"worker_ns\":%llu}\n",
	       name, o->node, o->size, (unsigned long long)r->packets,
	       (unsigned long long)r->ns, (unsigned long long)r->kicks,
	       (unsigned long long)r->calls,
	       (unsigned long long)r->workers.wakeups, r->workers.threads,
	       (unsigned long long)r->workers.cpu_ns);
}

/* ---- bursts, one after the other ---- */

static void tx_bursts(struct drv_ring *r, const struct opts *o, uint32_t count)
{
	for (; count; count -= o->burst) {
		drv_offer(r, o->burst);
		drv_kick(r);
		drv_wait(r, o->burst);
	}
}

static void run_tx(const struct opts *o, struct drv_nic *nic, struct result *r)
{
	drv_xdp_drop(TAP);
	tx_bursts(&nic->tx, o, o->burst * 8);
	begin(r, &nic->tx);
	tx_bursts(&nic->tx, o, o->count);
	end(r, &nic->tx, o->count);
}

static void rx_bursts(struct drv_ring *r, struct gen *g, const struct opts *o,
		      uint32_t count)
{
	for (; count; count -= o->burst) {
		gen_send(g, o->burst);
		drv_offer(r, drv_wait(r, o->burst));
		drv_kick(r);
	}
}

static void run_rx(const struct opts *o, struct drv_nic *nic, struct result *r)
{
	struct gen g;

	gen_open(&g, TAP, o->size, o->burst);
	drv_offer(&nic->rx, nic->rx.num);
	drv_kick(&nic->rx);
	rx_bursts(&nic->rx, &g, o, o->burst * 8);
	begin(r, &nic->rx);
	rx_bursts(&nic->rx, &g, o, o->count);
	end(r, &nic->rx, o->count);
	drv_check(&nic->rx, o->size);
}

static void drain(int tap)
{
	uint8_t buf[DRV_BUF_LEN];

	while (read(tap, buf, sizeof(buf)) > 0)
		;
}

/* Only the sending is timed, the tap is emptied beside the clock. */
static void run_gen(const struct opts *o, struct result *r)
{
	uint32_t left = o->count + o->burst * 8;
	struct gen g;
	uint64_t t;
	int tap;

	tap = kvt_tap(TAP, 0, DRV_HDR_LEN, 0);
	gen_open(&g, TAP, o->size, o->burst);
	memset(r, 0, sizeof(*r));
	for (; left; left -= o->burst) {
		t = ns();
		gen_send(&g, o->burst);
		t = ns() - t;
		drain(tap);
		if (left <= o->count)
			r->ns += t;
	}
	r->packets = o->count;
}

/* The device's part in a burst, done by hand: what is left is the driver's. */
static void self_bursts(struct drv_ring *q, const struct opts *o,
			uint32_t count)
{
	eventfd_t n;

	for (; count; count -= o->burst) {
		q->used->ring[q->num].id = q->offered & 0xffff;
		drv_offer(q, o->burst);
		drv_kick(q);
		ASSERT_OK(eventfd_read(q->kick, &n));
		q->used->idx = (uint16_t)q->offered;
		ASSERT_OK(eventfd_write(q->call, 1));
		ASSERT_OK(eventfd_read(q->call, &n));
		drv_wait(q, o->burst);
	}
}

static void run_self(const struct opts *o, struct drv_nic *nic,
		     struct result *r)
{
	ASSERT_OK(kvt_net_backend(&nic->dev, 1, -1));
	self_bursts(&nic->tx, o, o->burst * 8);
	begin(r, &nic->tx);
	self_bursts(&nic->tx, o, o->count);
	end(r, &nic->tx, o->count);
}

/* ---- two CPUs ---- */

static void pin_self(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT_OK(sched_setaffinity(0, sizeof(set), &set));
}

/* Asked for once: the answer is read from a file each time. */
static bool one_cpu(void)
{
	static long cpus;

	if (!cpus)
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return cpus == 1;
}

/* The driver gets CPU 0, the workers CPU 1 if there is one. */
static void split_cpus(void)
{
	/* sleep as long as asked for, no longer */
	prctl(PR_SET_TIMERSLACK, 1);
	if (one_cpu())
		return;
	workers_pin(1);
	pin_self(0);
}

/* Keep the ring topped up until @count more came back; none is left over. */
static void free_run(struct drv_ring *q, uint32_t count)
{
	uint32_t target = q->done + count, n;

	while ((int32_t)(q->done - target) < 0) {
		n = q->num - drv_inflight(q);
		if (n > target - q->offered)
			n = target - q->offered;
		if (n) {
			drv_offer(q, n);
			drv_kick(q);
		}
		if (drv_reap(q))
			drv_mute(q);
	}
}

static void run_tx_run(const struct opts *o, struct drv_nic *nic,
		       struct result *r)
{
	drv_xdp_drop(TAP);
	split_cpus();
	free_run(&nic->tx, o->count / 8);
	begin(r, &nic->tx);
	free_run(&nic->tx, o->count);
	end(r, &nic->tx, o->count);
}

static void set_queue_len(int len)
{
	struct ifreq ifr = { .ifr_qlen = len };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, IFNAMSIZ, TAP);
	ASSERT_OK(ioctl(s, SIOCSIFTXQLEN, &ifr));
	close(s);
}

/* Rounds: fill the tap while no buffers are offered, then let it run. */
static void run_rx_run(const struct opts *o, struct drv_nic *nic,
		       struct result *r)
{
	uint32_t batch = QUEUE_LEN - QUEUE_LEN % o->burst, done, i;
	struct result round;
	struct gen g;

	set_queue_len(QUEUE_LEN);
	gen_open(&g, TAP, o->size, o->burst);
	split_cpus();
	memset(r, 0, sizeof(*r));
	for (done = 0; done < o->count + batch; done += batch) {
		for (i = 0; i < batch; i += o->burst)
			gen_send(&g, o->burst);
		begin(&round, &nic->rx);
		free_run(&nic->rx, batch);
		end(&round, &nic->rx, batch);
		if (!done)
			continue;	/* the first is to warm up */
		r->packets += batch;
		r->ns += round.ns;
		r->kicks += round.kicks;
		r->calls += round.calls;
		workers_add(&r->workers, &round.workers);
	}
	drv_check(&nic->rx, o->size);
}

/* ---- the same offered load for everybody ---- */

/* Gaps as of independent packets, the same ones in every run. */
static uint64_t gap(uint64_t *state, uint32_t pps)
{
	double u = (double)(kvt_rand(state) >> 11) / (double)(1ull << 53);

	return (uint64_t)(-log1p(-u) * 1e9 / pps);
}

/*
 * On one CPU the time until then is the worker's; what is too short to program
 * a timer for is spun away.
 */
#define SPIN_NS 5000

static void wait_until(uint64_t t)
{
	struct timespec ts = {
		.tv_sec = (time_t)(t / 1000000000u),
		.tv_nsec = (long)(t % 1000000000u),
	};

	if (one_cpu() && ns() + SPIN_NS < t)
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts,
				       NULL))
			;
	while (ns() < t)
		;
}

static void run_tx_pace(const struct opts *o, struct drv_nic *nic,
			struct result *r)
{
	uint64_t seed = 1, due;
	uint32_t i;

	drv_xdp_drop(TAP);
	split_cpus();
	begin(r, &nic->tx);
	for (i = 0, due = ns(); i < o->count; i++) {
		due += gap(&seed, o->pps);
		wait_until(due);
		if (drv_reap(&nic->tx))
			drv_mute(&nic->tx);
		/* a full ring: the guest waits for half of it, as Linux does */
		if (drv_inflight(&nic->tx) == nic->tx.num)
			drv_wait(&nic->tx, nic->tx.num / 2);
		drv_offer(&nic->tx, 1);
		drv_kick(&nic->tx);
	}
	drv_wait(&nic->tx, drv_inflight(&nic->tx));
	end(r, &nic->tx, o->count);
}

struct pace {
	const struct opts *o;
	struct gen gen;
};

static void *pace_thread(void *arg)
{
	struct pace *p = arg;
	uint64_t seed = 1, due = ns();
	uint32_t i;

	for (i = 0; i < p->o->count; i++) {
		due += gap(&seed, p->o->pps);
		wait_until(due);
		gen_send(&p->gen, 1);
	}
	return NULL;
}

/* The receiver sleeps between calls and takes all there is when called. */
static void run_rx_pace(const struct opts *o, struct drv_nic *nic,
			struct result *r)
{
	struct pace p = { .o = o };
	uint32_t got = 0;
	pthread_t t;

	set_queue_len(QUEUE_LEN);
	gen_open(&p.gen, TAP, o->size, 1);
	split_cpus();
	drv_offer(&nic->rx, nic->rx.num);
	drv_kick(&nic->rx);
	begin(r, &nic->rx);
	ASSERT_EQ(pthread_create(&t, NULL, pace_thread, &p), 0);
	while (got < o->count) {
		uint32_t n = drv_wait(&nic->rx, 1);

		do {
			drv_mute(&nic->rx);
			got += n;
			drv_offer(&nic->rx, n);
			drv_kick(&nic->rx);
			n = drv_reap(&nic->rx);
		} while (n);
	}
	end(r, &nic->rx, o->count);
	pthread_join(t, NULL);
	drv_check(&nic->rx, o->size);
}

/* Ahead of any worker that shares a CPU with this program. */
static void run_first(void)
{
	struct sched_param p = { .sched_priority = 1 };

	ASSERT_OK(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p));
}

/* ---- command line ---- */

typedef void (*run_fn)(const struct opts *o, struct drv_nic *nic,
		       struct result *r);

static const struct {
	const char *name;
	run_fn fn;
} runs[] = {
	{ "tx", run_tx },
	{ "rx", run_rx },
	{ "self", run_self },
	{ "tx-run", run_tx_run },
	{ "rx-run", run_rx_run },
	{ "tx-pace", run_tx_pace },
	{ "rx-pace", run_rx_pace },
};

/* Both queues may look for work this long before they sleep. */
static void busy_poll(const struct drv_nic *nic, uint32_t us)
{
	struct vhost_vring_state s = { .num = us };

	for (s.index = 0; s.index < 2; s.index++)
		if (ioctl(nic->dev.fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s))
			SKIP("no busy polling: %s", strerror(errno));
}

static struct drv_nic nic;

static void tell_ring(const char *name, const struct drv_ring *r)
{
	fprintf(stderr, "%s: %u offered, %u used, %llu kicks, %llu calls\n",
		name, r->offered, r->done, (unsigned long long)r->kicks,
		(unsigned long long)r->calls);
}

/* Whose turn it was when nothing went on any more. */
static void too_long(int sig)
{
	(void)sig;
	tell_ring("receive", &nic.rx);
	tell_ring("transmit", &nic.tx);
	fprintf(stderr, "net_drv: not done after %u s\n", LIMIT_SECONDS);
	_exit(1);
}

static void run(const char *name, const struct opts *o)
{
	struct result r = { 0 };
	unsigned int i;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		if (!strcmp(runs[i].name, name))
			break;
	if (!strcmp(name, "gen")) {
		run_gen(o, &r);
	} else {
		ASSERT(i < sizeof(runs) / sizeof(runs[0]), "no case %s", name);
		drv_prepare(&nic, TAP, o->num, o->size, o->features);
		drv_start(&nic, o->node);
		if (o->poll_us)
			busy_poll(&nic, o->poll_us);
		runs[i].fn(o, &nic, &r);
		drv_close(&nic);
	}
	print(name, o, &r);
}

int main(int argc, char **argv)
{
	struct opts o = {
		.node = kvt_net_node(), .features = DRV_FEATURES,
		.size = 64, .count = 16384, .burst = 128, .num = 256,
		.pps = 50000,
	};
	int c;

	while ((c = getopt(argc, argv, "n:s:c:b:q:r:y:pof")) != -1) {
		switch (c) {
		case 'n':
			o.node = optarg;
			break;
		case 's':
			o.size = (uint32_t)atoi(optarg);
			break;
		case 'c':
			o.count = (uint32_t)atoi(optarg);
			break;
		case 'b':
			o.burst = (uint32_t)atoi(optarg);
			break;
		case 'q':
			o.num = (uint16_t)atoi(optarg);
			break;
		case 'r':
			o.pps = (uint32_t)atoi(optarg);
			break;
		case 'y':
			o.poll_us = (uint32_t)atoi(optarg);
			break;
		case 'p':
			o.features |= KVT_F(VIRTIO_F_RING_PACKED);
			break;
		case 'o':
			o.features |= KVT_F(VIRTIO_F_IN_ORDER);
			break;
		case 'f':
			o.first = true;
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc || !o.burst || o.burst > o.num || !o.pps ||
	    o.size < 14 || o.size > DRV_BUF_LEN - DRV_HDR_LEN)
		return 2;
	o.count -= o.count % o.burst;
	signal(SIGALRM, too_long);
	alarm(LIMIT_SECONDS);
	if (o.first)
		run_first();
	kvt_netns();
	run(argv[optind], &o);
	return kvt_failures() ? 1 : 0;
}
