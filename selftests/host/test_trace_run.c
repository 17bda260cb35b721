// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serving and recording, with counters made up.
 *
 * Proven: Prometheus gets its answer, everybody else an error, and clients that
 * stall harm nobody; a server without a free descriptor waits for one, and does
 * not spin; a recording has slices, and none is left of a trace that
 * fails.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "trace_fake.h"

/* ---- Prometheus ---- */

/* poll() refuses to look at more than may be open. */
#define FILES 32

struct serving {
	pid_t pid;
	unsigned short port;
	int err;		/* what it says, from the second line on */
	volatile unsigned int *waits;	/* how often it began to wait */
};

static volatile unsigned int *waits;

static double count_wait(struct trace_source *source)
{
	(void)source;
	++*waits;
	return HUGE_VAL;
}

/* Serve made-up counters; the port is in the line on stderr. */
static void serve(struct serving *s, bool fail)
{
	const struct trace_job job = { .listen = "0" };
	char buf[256] = "", *at;
	int err[2];
	struct fake f;
	ssize_t n;
	int i;

	ASSERT(!pipe(err), "pipe");
	waits = mmap(NULL, sizeof(*waits), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(waits != MAP_FAILED, "mmap: %s", strerror(errno));
	s->waits = waits;
	s->pid = fork();
	if (!s->pid) {
		dup2(err[1], STDERR_FILENO);
		/* Under FILES all are taken. */
		for (i = 0; i < FILES; i++)
			ASSERT(dup(STDERR_FILENO) >= 0, "dup");
		fake_init(&f, 0);
		f.source.tick = count_wait;
		f.fail = fail;
		_exit(trace_run(&f.source, &job) || f.stops != 1);
	}
	close(err[1]);
	n = read(err[0], buf, sizeof(buf) - 1);
	ASSERT(n > 0, "nothing said");
	at = strstr(buf, "http://127.0.0.1:");
	ASSERT(at && strstr(at, "/metrics"), "said: %s", buf);
	s->port = atoi(at + 17);
	/* Left open: complaints of the server must not kill it. */
	s->err = err[0];
}

static int dial(const struct serving *s)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ASSERT(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)), "connect: %s",
	       strerror(errno));
	return fd;
}

/* The answer to @request on @fd, all of it. To be freed */
static char *ask(int fd, const char *request)
{
	char *text = calloc(1, 1 << 20);
	size_t got = 0;
	ssize_t n;

	send(fd, request, strlen(request), MSG_NOSIGNAL);
	while ((n = read(fd, text + got, (1 << 20) - 1 - got)) > 0)
		got += n;
	close(fd);
	return text;
}

static char *fetch(const struct serving *s, const char *request)
{
	return ask(dial(s), request);
}

static void expect_answer(const struct serving *s, const char *request,
			  const char *want)
{
	char *text = fetch(s, request);

	EXPECT(!strncmp(text, want, strlen(want)), "to %.40s: %.200s", request,
	       text);
	free(text);
}

static void serve_end(struct serving *s)
{
	int status;

	kill(s->pid, SIGTERM);
	ASSERT_EQ(waitpid(s->pid, &status, 0), s->pid);
	EXPECT_EQ(status, 0);
}

TEST("Prometheus gets its metrics, others an error")
{
	struct serving s;
	char *text, *body;
	char longer[6000];

	serve(&s, false);
	text = fetch(&s, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	EXPECT(!strncmp(text, "HTTP/1.1 200 OK\r\n", 17), "%.100s", text);
	EXPECT(strstr(text, "Content-Type: text/plain; version=0.0.4"), "type");
	body = strstr(text, "\r\n\r\n");
	ASSERT(body, "no body");
	EXPECT(strstr(body, "\nkvasir_exits_total{"), "%.300s", body);
	EXPECT_EQ(atoi(strstr(text, "Content-Length: ") + 16), strlen(body + 4));
	free(text);
	expect_answer(&s, "GET /metrics?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ");
	expect_answer(&s, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ");
	expect_answer(&s, "GET /metricsx HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ");
	expect_answer(&s, "GET /../etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ");
	expect_answer(&s, "POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ");
	expect_answer(&s, "\026\003\001\r\n\r\n", "HTTP/1.1 405 ");
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "GET ", 4);
	longer[4095] = 0;
	expect_answer(&s, longer, "HTTP/1.1 431 ");
	serve_end(&s);
}

TEST("counters that cannot be read: 500, and the server stays")
{
	struct serving s;

	serve(&s, true);
	expect_answer(&s, "GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 500 ");
	expect_answer(&s, "GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 500 ");
	serve_end(&s);
}

TEST("clients that stall or vanish do not keep others out")
{
	struct serving s;
	int fds[40], i;
	char byte;

	serve(&s, false);
	for (i = 0; i < 40; i++) {
		fds[i] = dial(&s);
		if (i % 2)
			send(fds[i], "GET /metr", 9, MSG_NOSIGNAL);
		if (i % 5 == 0) {
			close(fds[i]);
			fds[i] = -1;
		}
	}
	expect_answer(&s, "GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ");
	/* The stalled ones were shown the door. */
	EXPECT_EQ(recv(fds[1], &byte, 1, 0), 0);
	for (i = 0; i < 40; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	serve_end(&s);
}

static unsigned int lines(int fd)
{
	unsigned int n = 0;
	char c;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (read(fd, &c, 1) == 1)
		n += c == '\n';
	return n;
}

TEST("without a descriptor for one more client it waits, and does not spin")
{
	static const char request[] = "GET /metrics HTTP/1.1\r\n\r\n";
	struct rlimit none, before;
	struct serving s;
	unsigned int from;
	char *text;
	double begin;
	int early, late;

	serve(&s, false);
	expect_answer(&s, request, "HTTP/1.1 200 ");
	early = dial(&s);
	/* Accepted in order: this one is, when the next has its answer. */
	expect_answer(&s, request, "HTTP/1.1 200 ");
	ASSERT_OK(prlimit(s.pid, RLIMIT_NOFILE, NULL, &before));
	none = before;
	none.rlim_cur = FILES;
	ASSERT_OK(prlimit(s.pid, RLIMIT_NOFILE, &none, NULL));
	late = dial(&s);
	/* Until it knows, and says so: then count. */
	poll(&(struct pollfd){ .fd = s.err, .events = POLLIN }, 1, 3000);
	begin = trace_now();
	from = *s.waits;
	usleep(1500000);
	EXPECT(*s.waits - from < 10 + 10 * (trace_now() - begin),
	       "waited %u times in %.1f s", *s.waits - from, trace_now() - begin);
	EXPECT_EQ(lines(s.err), 1);
	/* Who is in is served. */
	text = ask(early, request);
	EXPECT(!strncmp(text, "HTTP/1.1 200 ", 13), "%.100s", text);
	free(text);
	ASSERT_OK(prlimit(s.pid, RLIMIT_NOFILE, &before, NULL));
	text = ask(late, request);
	EXPECT(!strncmp(text, "HTTP/1.1 200 ", 13), "%.100s", text);
	free(text);
	serve_end(&s);
}

TEST("addresses: what is one, and what is none")
{
	static const char *const good[] = {
		"0", "9100", "65535", "127.0.0.1:9100", "0.0.0.0:1", "[::1]:9100",
	};
	static const char *const bad[] = {
		"", "x", "-1", "65536", "123456", ":9100", "localhost:9100", "1:",
		"127.0.0.1:", "127.0.0.1:x", "[]:1", "9100 ", "1.2.3.4.5:1",
	};
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		EXPECT(trace_serve_valid(good[i]), "%s", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT(!trace_serve_valid(bad[i]), "%s", bad[i]);
}

/* ---- recordings ---- */

TEST("a recording has slices, and ends where the trace ends")
{
	char path[] = "/tmp/kvt-record-XXXXXX";
	const struct trace_job job = { .file = path };
	struct trace_recording rec;
	struct fake f;
	int fd = mkstemp(path);

	close(fd);
	fake_init(&f, 1.0);
	ASSERT_EQ(trace_run(&f.source, &job), 0);
	EXPECT_EQ(f.stops, 1);
	fake_exit(&f);
	ASSERT_EQ(trace_file_read(path, &rec), 0);
	/* How many looks there was time for is the machine's affair. */
	EXPECT_EQ(rec.exits.tl.n, f.looks);
	EXPECT(rec.exits.tl.n > 1 && rec.exits.tl.n <= 12, "%zu slices",
	       rec.exits.tl.n);
	EXPECT(rec.exits.t.seconds >= 1.0, "%f s", rec.exits.t.seconds);
	EXPECT_EQ(rec.exits.tl.slice[rec.exits.tl.n - 1].end * 1000, rec.exits.t.seconds * 1000);
	trace_recording_free(&rec);
	unlink(path);
}

TEST("a trace that fails leaves no recording")
{
	char dir[] = "/tmp/kvt-record-XXXXXX", path[64];
	const struct trace_job job = { .file = path };
	struct fake f;

	ASSERT(mkdtemp(dir), "mkdtemp");
	sprintf(path, "%s/file", dir);
	fake_init(&f, 0.2);
	f.fail = true;
	EXPECT_EQ(trace_run(&f.source, &job), 1);
	fake_exit(&f);
	EXPECT_OK(rmdir(dir));
}
