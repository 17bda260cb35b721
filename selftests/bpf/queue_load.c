// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace io` and `path` against a disk whose requests are known, driven
 * from here in place of a guest.
 *
 * Proven: requests, their sizes and how many were in flight are counted exactly,
 * and so in a recording;
 * the time of the host device is no shorter than the device takes and no longer
 * than its driver waits; calls that go to no guest are told from interrupts; a
 * trace shows the process it was asked for; two capabilities are enough, and
 * what needs another one is said.
 */
#include <time.h>

#include "kvt_blk.h"
#include "tracer.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define FL	KVT_F(VIRTIO_BLK_F_FLUSH)
#define MS	20000
#define SLOW_NS	5000000u	/* of the slow device */
#define BATCH	8

static void open_disk(struct kvt_disk *d, int fd)
{
	kvt_disk_open(d, 1, 64, V1 | FL, 4u << 20);
	ASSERT(d->ours, "not the module's node");
	ASSERT_EQ(kvt_disk_backend(d, fd, 0, 512, "traced"), 0);
}

static void many(struct kvt_disk *d, unsigned int n, uint32_t type,
		 uint32_t len)
{
	static uint8_t buf[65536];

	while (n--)
		ASSERT_EQ(kvt_disk_io(d, 0, type, n * 64, buf, len),
			  VIRTIO_BLK_S_OK);
}

/*
 * The last answer is seen before its call is made and the service ends; with
 * the disk off, it has.
 */
static void settle(struct kvt_disk *d)
{
	ASSERT_EQ(kvt_disk_backend(d, -1, 0, 0, NULL), 0);
}

/* The only queue of the trace. */
static struct json_object *queue_of(struct tracer *t)
{
	struct json_object *list = get(t->json, "queues");

	ASSERT(item(list, 0), "no queue");
	EXPECT(!item(list, 1), "a queue that was not used");
	return item(list, 0);
}

/* All @n values are @value. */
static void expect_all(struct json_object *series, uint64_t n, uint64_t value)
{
	struct json_object *bucket = item(get(series, "buckets"), 0);

	EXPECT_EQ(num(series, "count"), n);
	EXPECT_EQ(num(series, "sum"), n * value);
	EXPECT_EQ(num(series, "max"), value);
	EXPECT(!item(get(series, "buckets"), 1), "two values");
	EXPECT_EQ(json_object_get_uint64(item(bucket, 1)), n);
}

TEST("requests and sizes by kind, exactly")
{
	struct json_object *q, *ops;
	struct kvt_disk d;
	struct tracer t;

	open_disk(&d, kvt_file(4 << 20));
	START_VERB(&t, "io", "-p", text_of(getpid()));
	many(&d, 40, VIRTIO_BLK_T_IN, 4096);
	many(&d, 20, VIRTIO_BLK_T_OUT, 8192);
	many(&d, 3, VIRTIO_BLK_T_FLUSH, 0);
	stop(&t);
	q = queue_of(&t);
	EXPECT_EQ(num(q, "dev"), d.id);
	EXPECT_EQ(num(q, "requests"), 63);
	EXPECT_EQ(num(q, "failed"), 0);
	ops = get(q, "ops");
	expect_all(get(get(ops, "read"), "size"), 40, 4096);
	expect_all(get(get(ops, "write"), "size"), 20, 8192);
	EXPECT_EQ(num(get(get(ops, "flush"), "latency"), "count"), 3);
	/* One after the other. */
	expect_all(get(q, "depth"), 63, 1);
	expect_no_loss(&t, NULL);
}

/* What `kvasir trace report` says of the recording at @path. */
static void report(struct tracer *t, const char *path)
{
	SPAWN_VERB(t, "report", NULL, "--json", path);
	finish_json(t);
}

TEST("a recording says the same, of a trace that Ctrl-C ends, too")
{
	static const char *const kind[] = { "io", "path" };
	char path[2][32] = { "/tmp/kvt-io-XXXXXX", "/tmp/kvt-path-XXXXXX" };
	struct json_object *q, *hops;
	struct tracer t[2], live, said;
	struct kvt_disk d;
	int i;

	if (geteuid())
		SKIP("needs root");
	open_disk(&d, kvt_file(4 << 20));
	for (i = 0; i < 2; i++) {
		close(mkstemp(path[i]));
		SPAWN_VERB(&t[i], "record", NULL, kind[i], "-o", path[i], "-p",
			   text_of(getpid()));
		wait_ready(&t[i]);
	}
	START_VERB(&live, "io", "-p", text_of(getpid()));
	many(&d, 30, VIRTIO_BLK_T_IN, 4096);
	/* Long enough for a slice to begin. */
	sleep(2);
	many(&d, 12, VIRTIO_BLK_T_OUT, 8192);
	settle(&d);
	for (i = 0; i < 2; i++) {
		kill(t[i].pid, SIGINT);
		EXPECT_EQ(finish(&t[i]), 0);
	}
	stop(&live);
	report(&said, path[0]);
	q = queue_of(&said);
	/* All but the times: each tracer looks at the clock itself. */
	EXPECT_EQ(num(q, "requests"), 42);
	EXPECT(json_object_equal(get(q, "drops"), get(queue_of(&live), "drops")),
	       "drops differ");
	expect_all(get(get(get(q, "ops"), "read"), "size"), 30, 4096);
	expect_all(get(get(get(q, "ops"), "write"), "size"), 12, 8192);
	expect_all(get(q, "depth"), 42, 1);
	EXPECT(json_object_get_string_len(get(q, "comm")), "no name of the process");
	expect_no_loss(&said, NULL);
	report(&said, path[1]);
	q = queue_of(&said);
	hops = get(q, "hops");
	EXPECT_EQ(num(get(hops, "device"), "count"), 42);
	EXPECT_EQ(num(get(hops, "publish"), "count"), num(q, "calls"));
	EXPECT_EQ(num(item(get(q, "slowest"), 0), "total"),
		  num(get(hops, "total"), "max"));
	for (i = 0; i < 2; i++)
		unlink(path[i]);
}

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

TEST("the device's time lies between what it takes and what its driver waits")
{
	struct json_object *read, *q;
	struct kvt_bio bio[BATCH];
	struct kvt_disk d;
	struct tracer t;
	uint64_t waited;
	unsigned int i;

	open_disk(&d, kvt_nullblk("kvtslow5ms", "completion_nsec=5000000"));
	for (i = 0; i < BATCH; i++)
		kvt_bio_init(&d, &bio[i], 4096);
	START_VERB(&t, "io", "-p", text_of(getpid()));
	waited = ns();
	for (i = 0; i < BATCH; i++)
		kvt_bio_submit(&d, 0, &bio[i], VIRTIO_BLK_T_IN, i * 8, 4096);
	for (i = 0; i < BATCH; i++)
		ASSERT(kvt_bio_reap(&d, 0, MS), "no answer");
	waited = ns() - waited;
	stop(&t);
	q = queue_of(&t);
	read = get(get(get(q, "ops"), "read"), "latency");
	EXPECT_EQ(num(read, "count"), BATCH);
	/* Quantiles are the middle of a bucket: within 1.6 %. */
	EXPECT(num(read, "p50") >= SLOW_NS - SLOW_NS / 60, "p50 %lu ns",
	       num(read, "p50"));
	EXPECT(num(read, "max") >= SLOW_NS && num(read, "max") <= waited,
	       "max %lu ns, waited %lu ns", num(read, "max"), waited);
	EXPECT(num(get(q, "depth"), "max") <= BATCH, "more in flight than sent");
	EXPECT_EQ(num(get(q, "depth"), "count"), BATCH);
}

TEST("a path that does not lead into a guest ends with the call")
{
	struct json_object *q, *hops, *slow;
	struct kvt_disk d;
	struct tracer t;

	open_disk(&d, kvt_file(4 << 20));
	START_VERB(&t, "path", "-p", text_of(getpid()));
	many(&d, 50, VIRTIO_BLK_T_IN, 4096);
	settle(&d);
	stop(&t);
	q = queue_of(&t);
	hops = get(q, "hops");
	EXPECT_EQ(num(q, "requests"), 50);
	EXPECT_EQ(num(get(hops, "doorbell"), "count"), 0);
	EXPECT_EQ(num(get(hops, "interrupt"), "count"), 0);
	EXPECT_EQ(num(get(hops, "entry"), "count"), 0);
	EXPECT_EQ(num(get(hops, "device"), "count"), 50);
	EXPECT(num(get(hops, "wake"), "count") > 0, "no kick was seen");
	EXPECT_EQ(num(q, "elsewhere"), num(q, "calls"));
	EXPECT_EQ(num(get(hops, "publish"), "count"), num(q, "calls"));
	slow = item(get(q, "slowest"), 0);
	ASSERT(slow, "no slowest request");
	EXPECT_EQ(num(slow, "total"), num(get(hops, "total"), "max"));
	expect_no_loss(&t, NULL);
}

TEST("another process's queues are not shown")
{
	const char *note;
	struct kvt_disk d;
	struct tracer t;

	open_disk(&d, kvt_file(4 << 20));
	START_VERB(&t, "io", "-p", text_of(getppid()));
	many(&d, 5, VIRTIO_BLK_T_IN, 4096);
	stop(&t);
	EXPECT(!item(get(t.json, "queues"), 0), "a queue is shown");
	note = json_object_get_string(get(t.json, "note"));
	EXPECT(note && strstr(note, "no requests"), "note: %s", note);
}

TEST("T-04 CAP_BPF and CAP_PERFMON are enough, and what is lacking is said")
{
	static char buf[1 << 20];
	const char *note;
	struct kvt_disk d;
	struct tracer t;

	if (geteuid())
		SKIP("needs root");
	open_disk(&d, kvt_file(4 << 20));
	SPAWN_VERB(&t, "io", two_caps, "--json", "-p", text_of(getpid()));
	wait_ready(&t);
	many(&d, 5, VIRTIO_BLK_T_IN, 4096);
	kill(t.pid, SIGINT);
	EXPECT_EQ(finish(&t), 0);
	output(&t, buf, sizeof(buf));
	t.json = json_tokener_parse(buf);
	ASSERT(t.json, "not JSON: %.200s", buf);
	EXPECT_EQ(num(queue_of(&t), "requests"), 5);
	note = json_object_get_string(get(t.json, "note"));
	EXPECT(note && strstr(note, "CAP_NET_ADMIN"), "note: %s", note);
}
