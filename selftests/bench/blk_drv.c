// SPDX-License-Identifier: GPL-2.0-only
/*
 * One measurement of who serves a disk, printed as one line of JSON.
 *
 *	blk_drv [-n DOOR] [-w PID] [-d DISKS] [-q QUEUES] [-b DEPTH]
 *		[-s BYTES] [-c REQUESTS] [-R RATE] [-B US] [-S] [-r] [-p] [-P]
 *		read|write DEVICE
 *
 *	-n	a node of the module, or the socket of a vhost-user backend;
 *		%u in it is the number of the disk
 *	-w	process that serves the socket
 *	-b	requests in flight in each queue, always; at most, with -R
 *	-R	so many a second, one by one, at the same random distances in
 *		every run; of one queue
 *	-B	busy-poll limit of the module's queues, microseconds
 *	-S	one after the other; otherwise anywhere on the device
 *	-r	hand over the device read-only
 *	-p	poll for what is used; otherwise sleep until called
 *	-P	driver on CPU 0, who serves on CPU 1
 *
 * The driver is as lean as can be: a request is an indirect table written
 * once, only its sector is new each time. ns is the time of all requests
 * together; under -icount it is instructions.
 *
 * Exit status 4: the door lacks something, told on standard output.
 */
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <linux/kvasir.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "kvt_blk.h"
#include "vhost_user.h"
#include "workers.h"

#define MAX_LANES	64
#define ENTRIES		256	/* of a ring */
#define LIMIT_SECONDS	120
#define FEATURES	(KVT_F(VIRTIO_F_VERSION_1) |		\
			 KVT_F(VIRTIO_RING_F_EVENT_IDX) |	\
			 KVT_F(VIRTIO_RING_F_INDIRECT_DESC) |	\
			 KVT_F(VIRTIO_BLK_F_FLUSH))

struct opts {
	const char *door, *device;
	pid_t pid;
	unsigned int disks, queues;
	uint32_t depth, size, count, rate;
	long busy;		/* microseconds, below 0: whatever it is */
	bool write, sequential, readonly, poll, pin;
};

/* What the device sees of a request, besides its data. */
struct request {
	struct vring_desc table[3];
	struct virtio_blk_outhdr hdr;
	uint8_t status;
	uint8_t pad[63];
};

/* A queue of a disk. */
struct lane {
	struct drv_ring r;
	struct request *req;
	uint64_t *since;	/* by request: when it was offered */
	uint32_t taken;		/* of what is used, what was looked at */
	uint64_t next, random;	/* where to read or write */
	uint16_t spare[ENTRIES];	/* with a rate: what is not in flight */
	uint32_t nr_spare;
};

struct bench {
	const struct opts *o;
	struct kvt_mem mem;
	struct lane lane[MAX_LANES];
	struct kvt_disk disk[MAX_LANES];
	unsigned int nr;
	int call;		/* eventfd of all lanes */
	uint64_t units;		/* of opts.size on the device */
	uint32_t done;
	bool stop;		/* offer nothing more */
	uint32_t *latency;	/* ns, of the first opts.count */
	uint64_t due, seed;	/* with a rate: when the next one is offered */
};

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- requests ---- */

static void aim(struct bench *b, struct lane *l, uint16_t head)
{
	uint64_t unit = l->next++;

	if (!b->o->sequential)
		unit = kvt_rand(&l->random);
	l->req[head].hdr.sector =
		htole64(unit % b->units * (b->o->size / KVT_SECTOR));
}

static void offer(struct bench *b, struct lane *l, uint32_t at, uint16_t head,
		  uint64_t now)
{
	l->since[head] = now;
	aim(b, l, head);
	drv_aim(&l->r, at, head);
}

/* Look at what was used, offer it again. How many there were. */
static uint32_t turn(struct bench *b, struct lane *l)
{
	uint32_t n = l->r.done - l->taken, i;
	uint64_t now;

	if (!n)
		return 0;
	now = ns();
	for (i = 0; i < n; i++, l->taken++) {
		uint16_t head = (uint16_t)drv_used(&l->r, l->taken);

		ASSERT(!l->req[head].status, "status %u of sector %llu",
		       l->req[head].status,
		       (unsigned long long)l->req[head].hdr.sector);
		if (b->done < b->o->count)
			b->latency[b->done] = (uint32_t)(now - l->since[head]);
		b->done++;
		if (b->o->rate)
			l->spare[l->nr_spare++] = head;
		else
			offer(b, l, i, head, now);
	}
	if (!b->o->rate && !b->stop) {
		drv_offer(&l->r, n);
		drv_kick(&l->r);
	}
	return n;
}

/* Sleep until called, or until @due if there is a rate. */
static void rest(struct bench *b, uint64_t due)
{
	struct pollfd call = { .fd = b->call, .events = POLLIN };
	uint64_t now = ns(), left = due > now ? due - now : 0;
	struct timespec ts = { (time_t)(left / 1000000000u),
			       (long)(left % 1000000000u) };
	uint32_t late = 0;
	eventfd_t n;
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		late += drv_want(&b->lane[i].r, 1);
	if (late || (b->o->rate && !ppoll(&call, 1, &ts, NULL)))
		return;
	ASSERT_OK(eventfd_read(b->call, &n));
	b->lane[0].r.calls += n;
}

/* Go on until @count requests are done, all lanes always full. */
static void work(struct bench *b, uint32_t count)
{
	uint32_t any;
	unsigned int i;

	while (b->done < count) {
		for (i = 0, any = 0; i < b->nr; i++) {
			drv_reap(&b->lane[i].r);
			any += turn(b, &b->lane[i]);
		}
		if (!any && !b->o->poll)
			rest(b, 0);
	}
}

/* The same at a rate. A request that finds all in flight is late. */
static void pace(struct bench *b, uint32_t count)
{
	struct lane *l = &b->lane[0];

	while (b->done < count) {
		uint64_t now = ns();

		drv_reap(&l->r);
		turn(b, l);
		if (b->due > now || !l->nr_spare) {
			rest(b, l->nr_spare ? b->due : UINT64_MAX);
			continue;
		}
		offer(b, l, 0, l->spare[--l->nr_spare], now);
		drv_offer(&l->r, 1);
		drv_kick(&l->r);
		b->due += kvt_rand(&b->seed) % (2000000000u / b->o->rate);
	}
}

static void start(struct bench *b)
{
	uint64_t now = ns();
	unsigned int i;
	uint16_t head;

	b->due = now;
	for (i = 0; i < b->nr; i++) {
		struct lane *l = &b->lane[i];

		for (head = 0; head < b->o->depth; head++) {
			if (b->o->rate)
				l->spare[l->nr_spare++] = head;
			else
				offer(b, l, head, head, now);
		}
		if (b->o->rate)
			continue;
		drv_offer(&l->r, b->o->depth);
		drv_kick(&l->r);
	}
}

/* ---- setting up ---- */

static void prepare(struct bench *b, struct lane *l, unsigned int index)
{
	const struct opts *o = b->o;
	uint16_t data = o->write ? 0 : VRING_DESC_F_WRITE;
	uint32_t i;

	l->random = index + 1;
	l->next = b->units / b->nr * index;
	l->r.flags = VRING_DESC_F_INDIRECT;
	l->r.len = sizeof(l->req->table);
	l->r.stride = sizeof(*l->req);
	drv_ring_init(&l->r, &b->mem, ENTRIES, FEATURES, b->call);
	l->req = (void *)l->r.bufs;
	l->since = calloc(ENTRIES, sizeof(*l->since));
	ASSERT(l->since, "out of memory");
	for (i = 0; i < o->depth; i++) {
		struct request *q = &l->req[i];
		void *buf = kvt_mem_alloc(&b->mem, o->size, 4096);

		q->hdr.type = htole32(o->write ? VIRTIO_BLK_T_OUT :
						 VIRTIO_BLK_T_IN);
		q->table[0] = (struct vring_desc){
			htole64(kvt_gpa(&b->mem, &q->hdr)),
			htole32(sizeof(q->hdr)), htole16(VRING_DESC_F_NEXT),
			htole16(1) };
		q->table[1] = (struct vring_desc){
			htole64(kvt_gpa(&b->mem, buf)), htole32(o->size),
			htole16(VRING_DESC_F_NEXT | data), htole16(2) };
		q->table[2] = (struct vring_desc){
			htole64(kvt_gpa(&b->mem, &q->status)), htole32(1),
			htole16(VRING_DESC_F_WRITE), 0 };
	}
}

static int device(const struct opts *o, uint64_t *bytes)
{
	int fd = open(o->device, (o->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);

	if (fd < 0)
		SKIP("open %s: %s", o->device, strerror(errno));
	ASSERT_OK(ioctl(fd, BLKGETSIZE64, bytes));
	return fd;
}

static void door_of(char *door, size_t size, const struct opts *o,
		    unsigned int disk)
{
	const char *number = strstr(o->door, "%u");

	if (number)
		snprintf(door, size, "%.*s%u%s", (int)(number - o->door),
			 o->door, disk, number + 2);
	else
		snprintf(door, size, "%s", o->door);
}

/* The lanes of one disk, through its door. */
static void hand_over(struct bench *b, unsigned int disk)
{
	const struct opts *o = b->o;
	struct lane *l = &b->lane[disk * o->queues];
	struct kvt_disk *d = &b->disk[disk];
	char door[128];
	struct stat st;
	uint64_t bytes;
	unsigned int i;
	int sock;

	door_of(door, sizeof(door), o, disk);
	if (!stat(door, &st) && S_ISSOCK(st.st_mode)) {
		sock = vu_open(door, &b->mem, FEATURES);
		for (i = 0; i < o->queues; i++)
			vu_ring(sock, i, &l[i].r);
		vu_sync(sock);
		/* it has made it so that reading it does not wait */
		ASSERT_OK(fcntl(b->call, F_SETFL, O_RDWR));
		return;
	}
	kvt_dev_init(&d->dev, door, &b->mem, FEATURES);
	for (i = 0; i < o->queues; i++) {
		struct vhost_vring_state busy = { i, (unsigned int)o->busy };

		drv_ring_give(&d->dev, i, &l[i].r);
		if (o->busy >= 0)
			ASSERT_OK(ioctl(d->dev.fd,
					VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
					&busy));
	}
	ASSERT_EQ(kvt_disk_backend(d, device(o, &bytes),
				   o->readonly ? KVASIR_BLK_F_READONLY : 0, 0,
				   NULL), 0);
}

static void open_all(struct bench *b)
{
	const struct opts *o = b->o;
	uint64_t bytes;
	unsigned int i;

	b->nr = o->disks * o->queues;
	close(device(o, &bytes));
	b->units = bytes / o->size;
	b->call = eventfd(0, EFD_CLOEXEC);
	b->latency = calloc(o->count, sizeof(*b->latency));
	ASSERT(b->call >= 0 && b->latency && b->units, "cannot set up");
	kvt_mem_init(&b->mem, b->nr * ((size_t)o->depth * (o->size + 4096) +
		     ENTRIES * (sizeof(struct request) + 64) + 65536),
		     1ull << 32);
	/* no page is touched for the first time while something is timed */
	memset(b->mem.base, 0, b->mem.size);
	for (i = 0; i < b->nr; i++)
		prepare(b, &b->lane[i], i);
	for (i = 0; i < o->disks; i++)
		hand_over(b, i);
}

static void pin(void)
{
	cpu_set_t set;

	workers_pin(1);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	ASSERT_OK(sched_setaffinity(0, sizeof(set), &set));
}

/* ---- what was found ---- */

/* Kicks, calls and what each disk has done, all lanes together. */
struct count {
	uint64_t kicks, calls;
	uint32_t disk[MAX_LANES];
};

static void count(const struct bench *b, struct count *c)
{
	unsigned int i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < b->nr; i++) {
		c->kicks += b->lane[i].r.kicks;
		c->calls += b->lane[i].r.calls;
		c->disk[i / b->o->queues] += b->lane[i].taken;
	}
}

/* (sum x)^2 / (n sum x^2) over what each disk has done between two counts */
static double jain(const struct count *a, const struct count *z, unsigned int n)
{
	double sum = 0, squares = 0, x;
	unsigned int i;

	for (i = 0; i < n; i++) {
		x = z->disk[i] - a->disk[i];
		sum += x;
		squares += x * x;
	}
	return sum * sum / (n * squares);
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct bench *b)
{
	const struct opts *o = b->o;
	struct count before, after;
	struct workers w, now;
	void (*go)(struct bench *b, uint32_t count) = o->rate ? pace : work;
	uint64_t t;

	start(b);
	go(b, o->count / 8);	/* warms up */
	workers_read(&w);
	count(b, &before);
	b->done = 0;
	t = ns();
	go(b, o->count);
	t = ns() - t;
	workers_read(&now);
	count(b, &after);
	workers_sub(&w, &now);
	qsort(b->latency, o->count, sizeof(*b->latency), ascending);
	printf("{\"door\":\"%s\",\"ios\":%u,\"ns\":%llu,\"kicks\":%llu,\"calls\":%llu,\"wakeups\":%llu,\"threads\":%u,\"worker_ns\":%llu,\"p50\":%u,\"p99\":%u,\"jain\":%.4f}\n",
	       o->door, b->done, (unsigned long long)t,
	       (unsigned long long)(after.kicks - before.kicks),
	       (unsigned long long)(after.calls - before.calls),
	       (unsigned long long)w.wakeups, w.threads,
	       (unsigned long long)w.cpu_ns, b->latency[o->count / 2],
	       b->latency[o->count - 1 - o->count / 100],
	       jain(&before, &after, o->disks));
}

/* Nothing in flight any more: the next one finds the backend at rest. */
static void drain(struct bench *b)
{
	unsigned int i;

	b->stop = true;
	for (i = 0; i < b->nr; i++) {
		struct drv_ring *r = &b->lane[i].r;

		while (drv_inflight(r))
			if (!drv_reap(r))
				kvt_sleep(1);
	}
}

static bool parse(int argc, char **argv, struct opts *o)
{
	int c;

	while ((c = getopt(argc, argv, "n:w:d:q:b:s:c:R:B:SrpP")) != -1) {
		switch (c) {
		case 'n':
			o->door = optarg;
			break;
		case 'w':
			o->pid = (pid_t)atoi(optarg);
			break;
		case 'd':
			o->disks = (unsigned int)atoi(optarg);
			break;
		case 'q':
			o->queues = (unsigned int)atoi(optarg);
			break;
		case 'b':
			o->depth = (uint32_t)atoi(optarg);
			break;
		case 's':
			o->size = (uint32_t)atoi(optarg);
			break;
		case 'c':
			o->count = (uint32_t)atoi(optarg);
			break;
		case 'R':
			o->rate = (uint32_t)atoi(optarg);
			break;
		case 'B':
			o->busy = atol(optarg);
			break;
		case 'S':
			o->sequential = true;
			break;
		case 'r':
			o->readonly = true;
			break;
		case 'p':
			o->poll = true;
			break;
		case 'P':
			o->pin = true;
			break;
		default:
			return false;
		}
	}
	if (optind + 2 != argc)
		return false;
	o->write = !strcmp(argv[optind], "write");
	o->device = argv[optind + 1];
	return o->disks && o->queues && o->disks <= MAX_LANES &&
	       o->queues <= MAX_LANES && o->disks * o->queues <= MAX_LANES &&
	       o->depth && o->depth <= ENTRIES && o->count >= 100 &&
	       (!o->rate || (o->disks * o->queues == 1 && !o->poll)) &&
	       o->size >= KVT_SECTOR && o->size % KVT_SECTOR == 0 &&
	       (o->write || !strcmp(argv[optind], "read"));
}

int main(int argc, char **argv)
{
	struct opts o = { .door = kvt_blk_node(), .disks = 1, .queues = 1,
			  .depth = 32, .size = 4096, .count = 20000,
			  .busy = -1 };
	struct rlimit files = { 4096, 4096 };
	static struct bench b = { .seed = 1 };

	if (!parse(argc, argv, &o))
		return 2;
	b.o = &o;
	/* timers that are meant */
	ASSERT_OK(prctl(PR_SET_TIMERSLACK, 1));
	alarm(LIMIT_SECONDS);
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &files));
	if (o.pid)
		workers_of(o.pid);
	open_all(&b);
	if (o.pin)
		pin();
	measure(&b);
	drain(&b);
	return kvt_failures() ? 1 : 0;
}
