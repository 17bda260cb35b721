// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace net` against a card whose frames and drops are known, driven from
 * here in place of a guest.
 *
 * Proven: frames and their sizes are counted exactly, both ways; drops come under
 * their reason, as many as were made, and no others; the same figures go out as
 * Prometheus' metrics, printed and served; a hundred cards that come and go are told
 * apart and cost the tracer no memory. The tracer starts first: it stays in the
 * network namespace that sees the module's counters, the card gets one of its own.
 */
#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>

#include "kvt_net.h"
#include "tracer.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define MS	20000
#define HDR	12
#define TOO_LARGE 5000

/* How many of each. */
enum { SENT = 40, RECEIVED = 30, SHORT = 25, REFUSED = 20, LARGE = 3, WILD = 7 };

struct bed {
	struct kvt_nic nic;
	int wire;
};

static void bed_open(struct bed *b)
{
	struct kvt_nic_opts o = { .features = V1, .rx_buf = 2048 };

	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
	ASSERT(b->nic.ours, "not the module's node");
	kvt_link_up("tap0", 9000);
}

static void drained(struct bed *b)
{
	ASSERT(kvt_nic_drain(&b->nic, MS), "transmit stuck");
}

static void good_frames(struct bed *b)
{
	uint8_t frame[2048];
	uint32_t i;

	for (i = 0; i < SENT; i++) {
		kvt_frame(frame, 700, i);
		ASSERT(kvt_nic_send(&b->nic, NULL, frame, 700), "cannot send");
		drained(b);
	}
	for (i = 0; i < RECEIVED; i++) {
		kvt_frame(frame, 321, i);
		ASSERT_EQ(write(b->wire, frame, 321), 321);
		ASSERT_EQ(kvt_nic_recv(&b->nic, NULL, frame, sizeof(frame), MS), 321);
	}
}

/* Larger than a receive buffer, and a good one behind to wait for. */
static void large_frames(struct bed *b)
{
	static uint8_t frame[TOO_LARGE];
	int i;

	for (i = 0; i < LARGE; i++) {
		kvt_frame(frame, TOO_LARGE, 1);
		ASSERT_EQ(write(b->wire, frame, TOO_LARGE), TOO_LARGE);
	}
	kvt_frame(frame, 321, 2);
	ASSERT_EQ(write(b->wire, frame, 321), 321);
	ASSERT_EQ(kvt_nic_recv(&b->nic, NULL, frame, sizeof(frame), MS), 321);
}

static void short_frames(struct bed *b)
{
	uint8_t bytes[HDR + 14] = { 0 };
	uint32_t len;

	for (len = 1; len <= SHORT; len++) {
		ASSERT(kvt_nic_send_raw(&b->nic, bytes, len), "cannot send");
		drained(b);
	}
}

/* A descriptor that is not guest memory, in place of a buffer of the driver's. */
static void wild_chains(struct bed *b)
{
	struct kvt_sg sg = { .gpa = b->nic.mem.gpa + b->nic.mem.size, .len = 100 };
	int i;

	for (i = 0; i < WILD; i++) {
		ASSERT(b->nic.nr_tx_free, "no buffer free");
		kvt_ring_add(&b->nic.tx, &sg, 1, 0,
			     b->nic.tx_free[--b->nic.nr_tx_free]);
		kvt_ring_kick(&b->nic.tx);
		drained(b);
	}
}

static void refused_frames(struct bed *b)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), i;
	struct ifreq ifr = { .ifr_name = "tap0" };
	uint8_t frame[100];

	ASSERT_OK(ioctl(s, SIOCSIFFLAGS, &ifr));
	close(s);
	kvt_frame(frame, sizeof(frame), 0);
	for (i = 0; i < REFUSED; i++) {
		ASSERT(kvt_nic_send(&b->nic, NULL, frame, sizeof(frame)), "stuck");
		drained(b);
	}
}

static void all_of_it(struct bed *b)
{
	good_frames(b);
	large_frames(b);
	short_frames(b);
	wild_chains(b);
	refused_frames(b);
}

static struct json_object *queue_named(struct tracer *t, const char *name)
{
	struct json_object *list = get(t->json, "queues"), *q;
	size_t i;

	for (i = 0; (q = item(list, i)); i++)
		if (!strcmp(json_object_get_string(get(q, "queue")), name))
			return q;
	ASSERT(false, "no queue %s", name);
	return NULL;
}

static void expect_drops(struct json_object *q, const char *const names[],
			 const uint64_t n[])
{
	struct json_object *drops = get(q, "drops");
	size_t i, k = 0;

	for (i = 0; names[i]; i++)
		EXPECT_EQ(num(drops, names[i]), n[i]);
	json_object_object_foreach(drops, key, val) {
		for (k = 0; names[k] && strcmp(names[k], key); k++)
			;
		EXPECT(names[k] || !json_object_get_uint64(val), "%s: %s", key,
		       json_object_get_string(val));
	}
}

static uint64_t size_count(struct json_object *q, const char *op, uint64_t size)
{
	struct json_object *list, *b;
	size_t i;

	list = get(get(get(get(q, "ops"), op), "size"), "buckets");
	/* A bucket is known by its least value, within 1/32 of all in it. */
	for (i = 0; (b = item(list, i)); i++)
		if (json_object_get_uint64(item(b, 0)) <= size &&
		    json_object_get_uint64(item(b, 0)) > size - size / 32 - 1)
			return json_object_get_uint64(item(b, 1));
	return 0;
}

TEST("frames by size, and drops by reason, exactly")
{
	struct json_object *rx, *tx;
	struct tracer t;
	struct bed b;

	START_VERB(&t, "net", "-p", text_of(getpid()));
	bed_open(&b);
	all_of_it(&b);
	stop(&t);
	rx = queue_named(&t, "rx0");
	tx = queue_named(&t, "tx0");
	EXPECT_EQ(num(tx, "dev"), b.nic.id);
	/* Sizes are those of the chains: header and frame. */
	EXPECT_EQ(size_count(tx, "sent", HDR + 700), SENT);
	EXPECT_EQ(size_count(rx, "received", HDR + 321), RECEIVED + 1);
	EXPECT_EQ(num(tx, "failed"), SHORT + REFUSED);
	/* Each was waited for; what is dropped is in flight no more. */
	EXPECT_EQ(num(get(tx, "depth"), "max"), 1);
	EXPECT_EQ(num(get(tx, "depth"), "count"), SENT + SHORT + REFUSED);
	expect_drops(tx, (const char *[]){ "drop-header", "drop-lower", "bad-chain",
					   "bad-chain:range", NULL },
		     (uint64_t []){ SHORT, REFUSED, WILD, WILD });
	expect_drops(rx, (const char *[]){ "drop-nobuf", NULL },
		     (uint64_t []){ LARGE });
	expect_no_loss(&t, NULL);
}

#define CARDS 100u

static unsigned int frames_of(unsigned int card)
{
	return 1 + card % 6;
}

static void one_card(const struct kvt_nic_opts *o, unsigned int frames)
{
	uint8_t frame[300];
	struct kvt_nic nic;

	kvt_nic_open(&nic, o);
	kvt_frame(frame, sizeof(frame), 0);
	while (frames--)
		ASSERT(kvt_nic_send(&nic, NULL, frame, sizeof(frame)), "cannot send");
	ASSERT(kvt_nic_drain(&nic, MS), "transmit stuck");
	kvt_nic_close(&nic);
}

TEST("T-02 cards that come and go by the hundred")
{
	struct kvt_nic_opts o = { .features = V1, .rx_buf = 2048 };
	struct json_object *list, *q;
	unsigned int i, n = 0;
	uint64_t before;
	struct tracer t;

	START_VERB(&t, "net", "-p", text_of(getpid()));
	before = memory_of(&t);
	kvt_netns();
	o.sock = kvt_tap("tap0", 0, HDR, 0);
	for (i = 0; i < CARDS; i++)
		one_card(&o, frames_of(i));
	expect_memory(&t, before);
	stop(&t);
	list = get(t.json, "queues");
	/* By number, so in their order. */
	for (i = 0; (q = item(list, i)); i++) {
		if (strcmp(json_object_get_string(get(q, "queue")), "tx0"))
			continue;
		EXPECT_EQ(num(q, "requests"), frames_of(n));
		EXPECT_EQ(size_count(q, "sent", HDR + 300), frames_of(n));
		n++;
	}
	EXPECT_EQ(n, CARDS);
	expect_no_loss(&t, NULL);
}

/* The value of the metric whose line begins with @name and has all of @labels. */
static uint64_t metric(const char *text, const char *name, const char *const labels[])
{
	const char *line, *end, *at;
	char copy[1024];
	size_t i;

	for (line = text; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		snprintf(copy, sizeof(copy), "%.*s", (int)(end - line), line);
		if (strncmp(copy, name, strlen(name)) || copy[strlen(name)] != '{')
			continue;
		for (i = 0; labels[i] && strstr(copy, labels[i]); i++)
			;
		at = strrchr(copy, ' ');
		if (!labels[i] && at)
			return strtoull(at, NULL, 10);
	}
	EXPECT(false, "no %s", name);
	return 0;
}

static void expect_metrics(const char *text)
{
#define METRIC(name, ...) metric(text, name, (const char *[]){ __VA_ARGS__, NULL })
	EXPECT_EQ(METRIC("kvasir_queue_dropped_total", "queue=\"tx0\"",
			 "reason=\"drop-header\""), SHORT);
	EXPECT_EQ(METRIC("kvasir_queue_dropped_total", "queue=\"tx0\"",
			 "reason=\"drop-lower\""), REFUSED);
	EXPECT_EQ(METRIC("kvasir_queue_dropped_total", "queue=\"rx0\"",
			 "reason=\"drop-nobuf\""), LARGE);
	EXPECT_EQ(METRIC("kvasir_queue_request_bytes_bucket", "op=\"received\"",
			 "le=\"511\""), RECEIVED + 1);
	EXPECT_EQ(METRIC("kvasir_queue_request_bytes_bucket", "op=\"received\"",
			 "le=\"255\""), 0);
	EXPECT_EQ(METRIC("kvasir_trace_lost_total", "series_full"), 0);
#undef METRIC
}

TEST("the same as metrics, once at the end")
{
	static char buf[1 << 20];
	struct tracer t;
	struct bed b;

	if (geteuid())
		SKIP("needs root");
	SPAWN_VERB(&t, "net", NULL, "-p", text_of(getpid()), "--prometheus", "-");
	wait_ready(&t);
	bed_open(&b);
	all_of_it(&b);
	kill(t.pid, SIGINT);
	EXPECT_EQ(finish(&t), 0);
	output(&t, buf, sizeof(buf));
	expect_metrics(buf);
}

/* GET /metrics from @port. */
static void fetch(unsigned int port, char *buf, size_t size)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	static const char ask[] = "GET /metrics HTTP/1.0\r\n\r\n";
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;
	ssize_t got;

	ASSERT_OK(connect(s, (struct sockaddr *)&to, sizeof(to)));
	ASSERT_EQ(write(s, ask, sizeof(ask) - 1), sizeof(ask) - 1);
	while (n < size - 1 && (got = read(s, buf + n, size - 1 - n)) > 0)
		n += (size_t)got;
	buf[n] = 0;
	close(s);
}

TEST("the same as metrics, served while it runs")
{
	static char buf[1 << 20];
	const char *at;
	struct tracer t;
	struct bed b;
	int host;

	if (geteuid())
		SKIP("needs root");
	host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ASSERT(host >= 0, "/proc/self/ns/net: %s", strerror(errno));
	SPAWN_VERB(&t, "net", NULL, "-p", text_of(getpid()), "--prometheus", "0");
	wait_ready(&t);
	ASSERT(read_err(&t, "/metrics"), "it said: %s", t.text);
	at = strstr(t.text, "127.0.0.1:");
	ASSERT(at, "it said: %s", t.text);
	bed_open(&b);
	all_of_it(&b);
	/* The tracer is where the test began. */
	ASSERT_OK(setns(host, CLONE_NEWNET));
	fetch((unsigned int)atoi(at + 10), buf, sizeof(buf));
	expect_metrics(buf);
	kill(t.pid, SIGINT);
	EXPECT_EQ(finish(&t), 0);
	fclose(t.out);
}
