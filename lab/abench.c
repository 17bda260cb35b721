// SPDX-License-Identifier: GPL-2.0-only
/*
 * abench - reads or writes by the kernel's asynchronous I/O.
 *
 *	abench [-j] [-S] [-s BYTES] read|write DEVICE DEPTH SECONDS
 *
 * BYTES (4096) at random places, with -S one after the other.
 * Keeps DEPTH direct requests in flight for SECONDS and prints one line,
 * "iops=N requests=N errors=N"; with -j as JSON, with the median and the 99th
 * percentile of the time of a request. Static and without a library of its own, so it
 * costs little beside the device it measures, even in a guest that is itself
 * emulated.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ALIGN		4096
#define MAX_DEPTH	1024
#define MAX_SIZE	(1 << 20)
/* Times of requests: SLOTS classes for each power of two of nanoseconds. */
#define SLOTS		32
#define POWERS		40

struct bench {
	int fd;
	bool write, sequential;
	unsigned int depth, size;
	double seconds;
	uint64_t blocks;
	uint64_t random, next;
	aio_context_t ctx;
	uint64_t done;
	uint64_t errors;
	bool json;
	double elapsed;
	double turn;			/* when what is in flight was sent */
	double since[MAX_DEPTH];
	uint64_t times[POWERS * SLOTS];
	struct iocb cb[MAX_DEPTH];
	struct iocb *submit[MAX_DEPTH];
	struct io_event events[MAX_DEPTH];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* xorshift64: cheap, and the same sequence in every run */
static uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static int submit(struct bench *b, unsigned int n)
{
	unsigned int sent = 0;
	long ret;

	while (sent < n) {
		ret = syscall(SYS_io_submit, b->ctx, n - sent,
			      b->submit + sent);
		if (ret < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (ret > 0)
			sent += ret;
	}
	return 0;
}

static void aim(struct bench *b, struct iocb *cb)
{
	uint64_t block = b->sequential ? b->next++ : next_random(b);

	cb->aio_offset = block % b->blocks * b->size;
}

static int prepare(struct bench *b)
{
	unsigned int i;
	char *buf;

	if (syscall(SYS_io_setup, b->depth, &b->ctx) < 0)
		return -errno;
	buf = aligned_alloc(ALIGN, (size_t)b->depth * b->size);
	if (!buf)
		return -ENOMEM;
	memset(buf, 0x5a, (size_t)b->depth * b->size);
	for (i = 0; i < b->depth; i++) {
		struct iocb *cb = &b->cb[i];

		cb->aio_fildes = b->fd;
		cb->aio_lio_opcode = b->write ? IOCB_CMD_PWRITE :
						IOCB_CMD_PREAD;
		cb->aio_buf = (uintptr_t)(buf + (size_t)i * b->size);
		cb->aio_nbytes = b->size;
		cb->aio_data = i;
		aim(b, cb);
		b->submit[i] = cb;
	}
	return 0;
}

static void count_time(struct bench *b, uint64_t ns)
{
	unsigned int power = 0;

	while (ns >> power >= 2 * SLOTS && power < POWERS - 2)
		power++;
	ns >>= power;
	if (ns >= 2 * SLOTS)
		ns = 2 * SLOTS - 1;
	/* below 2 * SLOTS ns each class is 1 ns; from there on by powers */
	b->times[power * SLOTS + ns]++;
}

/* The upper end of the class that the @percent-th percentile is in. */
static uint64_t percentile(const struct bench *b, unsigned int percent)
{
	uint64_t left = b->done * percent / 100, power;
	unsigned int i;

	for (i = 0; i < POWERS * SLOTS - 1 && left >= b->times[i]; i++)
		left -= b->times[i];
	if (i < 2 * SLOTS)
		return i;
	power = i / SLOTS - 1;
	return (i - power * SLOTS + 1) << power;
}

/* Wait for at least one completion, count all there are, aim each anew. */
static long reap(struct bench *b)
{
	long i, n;

	n = syscall(SYS_io_getevents, b->ctx, 1, b->depth, b->events, NULL);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	b->turn = now();
	for (i = 0; i < n; i++) {
		uint64_t id = b->events[i].data;
		struct iocb *cb = &b->cb[id];

		count_time(b, (b->turn - b->since[id]) * 1e9);
		b->since[id] = b->turn;

		b->done++;
		if (b->events[i].res != b->size)
			b->errors++;
		aim(b, cb);
		b->submit[i] = cb;
	}
	return n;
}

static void tell(const struct bench *b)
{
	if (b->json)
		printf("{\"ios\":%llu,\"ns\":%.0f,\"p50\":%llu,\"p99\":%llu}\n",
		       (unsigned long long)b->done, b->elapsed * 1e9,
		       (unsigned long long)percentile(b, 50),
		       (unsigned long long)percentile(b, 99));
	else
		printf("iops=%.0f requests=%llu errors=%llu\n",
		       b->done / b->elapsed, (unsigned long long)b->done,
		       (unsigned long long)b->errors);
}

static int run(struct bench *b)
{
	double start;
	long n;
	int ret;

	ret = prepare(b);
	if (ret)
		return ret;
	start = now();
	for (n = 0; n < b->depth; n++)
		b->since[n] = start;
	do {
		ret = submit(b, n);
		if (ret)
			return ret;
		n = reap(b);
		if (n < 0)
			return n;
		b->elapsed = b->turn - start;
	} while (b->elapsed < b->seconds);
	tell(b);
	return b->errors ? -EIO : 0;
}

static int open_device(struct bench *b, const char *path)
{
	uint64_t size;

	b->fd = open(path, O_DIRECT | (b->write ? O_RDWR : O_RDONLY));
	if (b->fd < 0 || ioctl(b->fd, BLKGETSIZE64, &size) < 0)
		return -errno;
	b->blocks = size / b->size;
	return b->blocks ? 0 : -ENOSPC;
}

static bool parse(int argc, char **argv, struct bench *b)
{
	int c;

	while ((c = getopt(argc, argv, "jSs:")) != -1) {
		switch (c) {
		case 'j':
			b->json = true;
			break;
		case 'S':
			b->sequential = true;
			break;
		case 's':
			b->size = strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	if (argc - optind != 4)
		return false;
	argv += optind;
	b->write = !strcmp(argv[0], "write");
	b->depth = strtoul(argv[2], NULL, 10);
	b->seconds = strtod(argv[3], NULL);
	return b->write || !strcmp(argv[0], "read");
}

int main(int argc, char **argv)
{
	static struct bench b = {
		.random = 0x9e3779b97f4a7c15, .size = ALIGN,
	};
	int ret;

	if (!parse(argc, argv, &b)) {
		fprintf(stderr, "usage: abench [-j] [-S] [-s BYTES] read|write DEVICE DEPTH SECONDS\n");
		return 2;
	}
	if (b.depth < 1 || b.depth > MAX_DEPTH || b.seconds <= 0 ||
	    !b.size || b.size % ALIGN || b.size > MAX_SIZE) {
		fprintf(stderr, "abench: depth 1 to %d, seconds above 0, BYTES a multiple of %d up to %d\n",
			MAX_DEPTH, ALIGN, MAX_SIZE);
		return 2;
	}
	ret = open_device(&b, argv[optind + 1]);
	if (!ret)
		ret = run(&b);
	if (ret)
		fprintf(stderr, "abench: %s: %s\n", argv[optind + 1],
			strerror(-ret));
	return ret ? 1 : 0;
}
