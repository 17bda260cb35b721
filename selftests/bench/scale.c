// SPDX-License-Identifier: GPL-2.0-only
/*
 * What many devices cost, printed as one line of JSON.
 *
 *	scale [-n NODE] [-d DEVICES] [-c PACKETS] [-b BURST]
 *
 *	one_busy	ns per packet sent through one device, the rest idle
 *	all_busy	the same with bursts through all devices at once
 *	threads		that serve them
 *	memory_kib	per device, of the kernel: what was free before it was
 *			set up and is not any more
 *	jain		(sum x)^2 / (n sum x^2) over packets x of each device,
 *			while all always have something to send
 */
#include <net/if.h>
#include <sys/resource.h>
#include <time.h>

#include "drv.h"
#include "workers.h"

#define MAX_DEVICES	64
#define ENTRIES		128
#define FRAME		64
#define FAIR_PACKETS	(ENTRIES * 8)	/* of each device: many turns */
#define LIMIT_SECONDS	120

static struct drv_nic nics[MAX_DEVICES];
static unsigned int nr;

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t free_kib(void)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	ASSERT(f, "/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %llu", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

/* Returns what the devices cost, without their taps and guest memory. */
static double open_all(const char *node)
{
	char name[32];	/* bounded by MAX_DEVICES, which gcc cannot see */
	uint64_t before;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "kvbench%u", i);
		drv_prepare(&nics[i], name, ENTRIES, FRAME, DRV_FEATURES);
		drv_xdp_drop(name);
	}
	before = free_kib();
	for (i = 0; i < nr; i++)
		drv_start(&nics[i], node);
	return ((double)before - (double)free_kib()) / nr;
}

/* Bursts through the first @busy devices, @count packets through each. */
static double cost(unsigned int busy, uint32_t count, uint32_t burst)
{
	uint64_t t = ns();
	uint32_t left;
	unsigned int i;

	for (left = count; left; left -= burst) {
		for (i = 0; i < busy; i++) {
			drv_offer(&nics[i].tx, burst);
			drv_kick(&nics[i].tx);
		}
		for (i = 0; i < busy; i++)
			drv_wait(&nics[i].tx, burst);
	}
	return (double)(ns() - t) / ((double)count * busy);
}

static void top_up(struct drv_ring *q)
{
	uint32_t n;

	drv_reap(q);
	drv_mute(q);
	n = q->num - drv_inflight(q);
	if (!n)
		return;
	drv_offer(q, n);
	drv_kick(q);
}

static double jain(uint32_t count)
{
	struct timespec pause = { .tv_nsec = 100000 };
	double sum = 0, squares = 0, x;
	uint32_t start[MAX_DEVICES] = { 0 };
	uint64_t all = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		start[i] = nics[i].tx.done;
	while (all < (uint64_t)count * nr) {
		for (i = 0, all = 0; i < nr; i++) {
			top_up(&nics[i].tx);
			all += nics[i].tx.done - start[i];
		}
		nanosleep(&pause, NULL);
	}
	for (i = 0; i < nr; i++) {
		x = nics[i].tx.done - start[i];
		sum += x;
		squares += x * x;
	}
	return sum * sum / (nr * squares);
}

static void measure(const char *node, uint32_t count, uint32_t burst)
{
	double memory, one, all, fair;
	struct workers w;

	memory = open_all(node);
	cost(nr, burst * 4, burst);	/* warm up */
	one = cost(1, count, burst);
	all = cost(nr, count / nr - count / nr % burst, burst);
	fair = jain(FAIR_PACKETS);
	workers_read(&w);
	printf("{\"node\":\"%s\",\"devices\":%u,\"one_busy\":%.2f,\"all_busy\":%.2f,\"threads\":%u,\"memory_kib\":%.1f,\"jain\":%.4f}\n",
	       node, nr, one, all, w.threads, memory, fair);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 4096, 4096 };
	uint32_t count = 16384, burst = 64;
	const char *node = kvt_net_node();
	int c;

	nr = 1;
	while ((c = getopt(argc, argv, "n:d:c:b:")) != -1) {
		switch (c) {
		case 'n':
			node = optarg;
			break;
		case 'd':
			nr = (unsigned int)atoi(optarg);
			break;
		case 'c':
			count = (uint32_t)atoi(optarg);
			break;
		case 'b':
			burst = (uint32_t)atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!nr || nr > MAX_DEVICES || !burst || burst > ENTRIES ||
	    count / burst < nr)
		return 2;
	count -= count % burst;
	alarm(LIMIT_SECONDS);
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &files));
	kvt_netns();
	measure(node, count, burst);
	return kvt_failures() ? 1 : 0;
}
