// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace path` and `io` with more to count than they have room for (T-04),
 * and with devices that come and go (T-02).
 *
 * Proven, for every kind of room: what was counted and what was lost add up to what
 * was done; the loss is said in every form; what had room before is exact. A guest
 * that makes up types of requests takes no room from others.
 */
#include <linux/perf_event.h>

#include "kvt_dm.h"
#include "tracer.h"
#include "../../bpf/queues.h"

#define FEATURES (KVT_F(VIRTIO_F_VERSION_1) | KVT_F(VIRTIO_BLK_F_FLUSH))
#define MS	20000
#define SECTORS	8192u

/* Of --room 1. */
#define ROOM(usual) ((usual) / 100)

static void open_disk(struct kvt_disk *d, unsigned int queues, uint16_t num, int fd)
{
	kvt_disk_open(d, queues, num, FEATURES, 1u << 20);
	ASSERT(d->ours, "not the module's node");
	ASSERT_EQ(kvt_disk_backend(d, fd, 0, 512, "room"), 0);
}

static void reads(struct kvt_disk *d, unsigned int q, unsigned int n)
{
	static uint8_t buf[4096];

	while (n--)
		ASSERT_EQ(kvt_disk_io(d, q, VIRTIO_BLK_T_IN, 0, buf, sizeof(buf)),
			  VIRTIO_BLK_S_OK);
}

static struct json_object *queue_of(struct tracer *t, uint32_t dev, uint32_t index)
{
	struct json_object *list = get(t->json, "queues"), *q;
	size_t i;

	for (i = 0; (q = item(list, i)); i++)
		if (num(q, "dev") == dev && num(q, "index") == index)
			return q;
	return NULL;
}

/* ---- what the module's tracepoints tell somebody else ---- */

static const char *const all_events[] = {
	"kick", "ready", "service_begin", "service_end", "req_issue",
	"req_complete", "call", "bad_chain", "broken", NULL
};

static const char *const issues[] = { "req_issue", NULL };

#define COUNTERS 64

struct counters {
	int fd[COUNTERS];
	size_t n;
};

static uint64_t tracepoint(const char *name)
{
	char path[128], id[16];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/kvasir/kvasir_%s/id",
		 name);
	f = fopen(path, "re");
	ASSERT(f && fgets(id, sizeof(id), f), "%s: %s", path, strerror(errno));
	fclose(f);
	return strtoull(id, NULL, 10);
}

/* Count events of these names, from now on. */
static void count_begin(struct counters *c, const char *const *names)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr),
	};
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN), cpu, fd;

	for (c->n = 0; *names; names++) {
		attr.config = tracepoint(*names);
		for (cpu = 0; cpu < cpus; cpu++) {
			fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1,
					  PERF_FLAG_FD_CLOEXEC);
			ASSERT(fd >= 0, "perf_event_open: %s", strerror(errno));
			ASSERT(c->n < COUNTERS, "too many CPUs");
			c->fd[c->n++] = fd;
		}
	}
}

static uint64_t count_now(const struct counters *c)
{
	uint64_t sum = 0, n;
	size_t i;

	for (i = 0; i < c->n; i++) {
		ASSERT_EQ(read(c->fd[i], &n, sizeof(n)), sizeof(n));
		sum += n;
	}
	return sum;
}

/* ---- rooms ---- */

TEST("T-04 more queues than there is room for")
{
	const unsigned int room = ROOM(QUEUES_MAX), each = 20;
	int file = kvt_file(SECTORS * KVT_SECTOR);
	struct kvt_disk known, d;
	struct counters c;
	struct tracers t;
	unsigned int i;
	uint64_t lost;

	START_ALL(&t, "io", "-p", text_of(getpid()), "--room", "1");
	for (i = 0; i < room - 1; i++) {
		open_disk(&d, 1, 64, file);
		reads(&d, 0, each);
		kvt_disk_close(&d);
	}
	open_disk(&known, 1, 64, file);
	reads(&known, 0, each);
	/* Without its file it has nothing under way. */
	ASSERT_EQ(kvt_disk_backend(&known, -1, 0, 0, NULL), 0);
	count_begin(&c, all_events);
	open_disk(&d, 2, 64, file);
	reads(&d, 0, each);
	reads(&d, 1, each);
	kvt_disk_close(&d);
	lost = count_now(&c);
	ASSERT_EQ(kvt_disk_backend(&known, file, 0, 512, "room"), 0);
	reads(&known, 0, each);
	stop_all(&t);
	EXPECT(lost >= 2 * each * 4, "%lu events only", lost);
	expect_lost(&t, "queues_full", "events", lost);
	/* There is less room for histograms, too. */
	expect_no_loss(&t.json, " queues_full series_full ");
	EXPECT_EQ(json_object_array_length(get(t.json.json, "queues")), room);
	EXPECT_EQ(num(queue_of(&t.json, known.id, 0), "requests"), 2 * each);
	for (i = 0; i < room - 1; i++)
		EXPECT_EQ(num(item(get(t.json.json, "queues"), i), "requests"), each);
}

static void ios(struct kvt_disk *d, uint32_t type, uint32_t len, unsigned int n)
{
	static uint8_t buf[4096];

	while (n--)
		ASSERT_EQ(kvt_disk_io(d, 0, type, 0, buf, len), VIRTIO_BLK_S_OK);
}

TEST("T-04 more histograms than there is room for")
{
	/* A disk that is read needs seven of twenty, each further kind two more. */
	const unsigned int n = 25, writes = 9, flushes = 4;
	int file = kvt_file(SECTORS * KVT_SECTOR);
	struct kvt_disk first, second;
	struct json_object *q;
	struct tracers t;

	open_disk(&first, 1, 64, file);
	open_disk(&second, 1, 64, file);
	START_ALL(&t, "io", "-p", text_of(getpid()), "--room", "1");
	/* Then the first request has to kick, which is one of the seven. */
	kvt_disk_rests(&first, 0);
	kvt_disk_rests(&second, 0);
	ios(&first, VIRTIO_BLK_T_IN, 4096, n);
	ios(&first, VIRTIO_BLK_T_OUT, 4096, n);
	ios(&first, VIRTIO_BLK_T_FLUSH, 0, n);
	ios(&first, VIRTIO_BLK_T_GET_ID, 20, n);
	/* Of the second there is room for the reads. */
	ios(&second, VIRTIO_BLK_T_IN, 4096, n);
	ios(&second, VIRTIO_BLK_T_OUT, 4096, writes);
	ios(&second, VIRTIO_BLK_T_FLUSH, 0, flushes);
	stop_all(&t);
	/* A size and a latency each */
	expect_lost(&t, "series_full", "values", 2 * (writes + flushes));
	expect_no_loss(&t.json, " series_full ");
	q = queue_of(&t.json, first.id, 0);
	EXPECT_EQ(num(q, "requests"), 4 * n);
	EXPECT_EQ(num(get(get(get(q, "ops"), "get-id"), "size"), "count"), n);
	q = queue_of(&t.json, second.id, 0);
	EXPECT_EQ(num(q, "requests"), n + writes + flushes);
	EXPECT_EQ(num(get(q, "depth"), "count"), n + writes + flushes);
	EXPECT_EQ(num(get(get(get(q, "ops"), "read"), "size"), "count"), n);
	EXPECT(!get(get(q, "ops"), "write"), "writes found room");
}

TEST("T-04 request types that a guest makes up: one kind, with the room of one")
{
	const unsigned int n = 50, good = 5;
	int file = kvt_file(SECTORS * KVT_SECTOR);
	static uint8_t buf[KVT_SECTOR];
	struct kvt_disk liar, other;
	struct json_object *ops;
	struct tracers t;
	unsigned int i;

	open_disk(&liar, 1, 64, file);
	open_disk(&other, 1, 64, file);
	START_ALL(&t, "io", "-p", text_of(getpid()), "--room", "1");
	/* Some are a read if but the lower half is looked at. */
	for (i = 0; i < 2 * n; i++)
		ASSERT_EQ(kvt_disk_io(&liar, 0, i % 2 ? 0x5000 + i : (i + 1) << 16,
				      0, buf, sizeof(buf)), VIRTIO_BLK_S_UNSUPP);
	reads(&other, 0, good);
	stop_all(&t);
	ops = get(queue_of(&t.json, liar.id, 0), "ops");
	EXPECT_EQ(json_object_object_length(ops), 1);
	EXPECT_EQ(num(get(get(ops, "other"), "size"), "count"), 2 * n);
	EXPECT_EQ(num(get(get(ops, "other"), "latency"), "count"), 2 * n);
	ops = get(queue_of(&t.json, other.id, 0), "ops");
	EXPECT_EQ(num(get(get(ops, "read"), "size"), "count"), good);
	expect_no_loss(&t.json, NULL);
}

#define IN_FLIGHT 100u	/* of a queue */
#define HELD "kvt_traced"

TEST("T-04 more requests in flight than there is room for")
{
	const unsigned int room = ROOM(QUEUES_REQS);
	const unsigned int made = IN_FLIGHT * KVT_DISK_QUEUES;
	static struct kvt_bio bio[IN_FLIGHT * KVT_DISK_QUEUES];
	uint64_t deadline, seen = 0, depth = 0;
	struct counters c;
	struct kvt_disk d;
	struct tracers t;
	unsigned int i;
	int held;

	held = kvt_dm_held(HELD);
	open_disk(&d, KVT_DISK_QUEUES, 512, held);
	for (i = 0; i < made; i++)
		kvt_bio_init(&d, &bio[i], 512);
	START_ALL(&t, "io", "-p", text_of(getpid()), "--room", "1");
	count_begin(&c, issues);
	for (i = 0; i < made; i++)
		kvt_bio_submit(&d, i / IN_FLIGHT, &bio[i], VIRTIO_BLK_T_IN, 0, 512);
	deadline = kvt_deadline(MS);
	while (count_now(&c) < made && kvt_left(deadline))
		kvt_sleep(10);
	EXPECT_EQ(count_now(&c), made);
	kvt_dm_hold(HELD, false);
	for (i = 0; i < made; i++)
		ASSERT(kvt_disk_reap(&d, MS), "no answer");
	reads(&d, 0, 5);
	stop_all(&t);
	kvt_disk_close(&d);
	close(held);
	kvt_dm_remove(HELD);
	for (i = 0; i < KVT_DISK_QUEUES; i++) {
		seen += num(queue_of(&t.json, d.id, i), "requests");
		depth += num(get(queue_of(&t.json, d.id, i), "depth"), "count");
	}
	EXPECT_EQ(seen, room + 5);
	EXPECT_EQ(depth, seen);
	expect_lost(&t, "reqs_full", "requests", made - room);
	/* When they are done, they are not known. */
	expect_lost(&t, "unmatched", "completions", made - room);
	expect_no_loss(&t.json, " reqs_full unmatched series_full ");
}

TEST("T-04 more vCPUs than there is room for")
{
	const struct tiny_load few = { .cpuid = 5, .out = 3 };
	const unsigned int room = ROOM(QUEUES_VCPUS);
	struct kvt_disk d;
	uint64_t lost = 0;
	struct tracers t;
	struct tiny_vm vm;
	unsigned int i;

	tiny_create(&vm, TINY_VCPUS);
	START_ALL(&t, "path", "-p", text_of(getpid()), "--room", "1");
	for (i = 0; i < TINY_VCPUS; i++)
		tiny_run(&vm, i, &few);
	tiny_run(&vm, 0, &few);
	open_disk(&d, 1, 64, kvt_file(SECTORS * KVT_SECTOR));
	reads(&d, 0, 5);
	kvt_disk_close(&d);
	stop_all(&t);
	for (i = room; i < TINY_VCPUS; i++)
		lost += tiny_exits(&vm.vcpu[i]);
	EXPECT(lost, "this KVM counts no exits");
	expect_lost(&t, "vcpus_full", "exits", lost);
	expect_no_loss(&t.json, " vcpus_full ");
	EXPECT_EQ(num(queue_of(&t.json, d.id, 0), "requests"), 5);
}

/* ---- devices that come and go ---- */

#define OWNERS	2
#define DISKS	100u	/* each */

/* Requests of the @i-th disk of owner @k. */
static unsigned int reads_of(unsigned int k, unsigned int i)
{
	return 1 + (3 * k + i) % 7;
}

static void own_disks(const void *arg)
{
	int file = kvt_file(SECTORS * KVT_SECTOR);
	const unsigned int *owner = arg;
	struct kvt_disk d;
	unsigned int i;

	for (i = 0; i < DISKS; i++) {
		open_disk(&d, 1, 16, file);
		reads(&d, 0, reads_of(*owner, i));
		kvt_disk_close(&d);
	}
}

TEST("T-02 disks that come and go by the hundred")
{
	struct json_object *list, *q;
	pid_t owner[OWNERS];
	struct tracer t;
	unsigned int k, n;
	uint64_t before;
	size_t i;

	START_VERB(&t, "io", NULL);
	before = memory_of(&t);
	for (k = 0; k < OWNERS; k++)
		owner[k] = kvt_child(own_disks, &k);
	for (k = 0; k < OWNERS; k++)
		kvt_child_end(owner[k]);
	expect_memory(&t, before);
	stop(&t);
	list = get(t.json, "queues");
	/* By number, so of each owner in its order. */
	for (k = 0; k < OWNERS; k++) {
		for (i = n = 0; (q = item(list, i)); i++) {
			if (num(q, "pid") != (uint64_t)owner[k])
				continue;
			EXPECT_EQ(num(q, "requests"), reads_of(k, n));
			EXPECT_EQ(num(get(get(get(q, "ops"), "read"), "size"), "sum"),
				  4096 * reads_of(k, n));
			n++;
		}
		EXPECT_EQ(n, DISKS);
	}
	EXPECT_EQ(json_object_array_length(list), OWNERS * DISKS);
	expect_no_loss(&t, NULL);
}
