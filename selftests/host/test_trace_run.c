// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serving and recording, with counters made up.
 *
 * Proven: Prometheus gets its answer, everybody else an error, and clients that
 * stall harm nobody; a recording has slices, and none is left of a trace that
 * fails.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "trace_fake.h"

/* ---- Prometheus ---- */

struct serving {
	pid_t pid;
	unsigned short port;
};

/* Serve made-up counters; the port is in the line on stderr. */
static void serve(struct serving *s, bool fail)
{
	const struct trace_job job = { .listen = "0" };
	char buf[256] = "", *at;
	int err[2];
	struct fake f;
	ssize_t n;

	ASSERT(!pipe(err), "pipe");
	s->pid = fork();
	if (!s->pid) {
		dup2(err[1], STDERR_FILENO);
		fake_init(&f, 0);
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

/* The answer to @request, all of it. To be freed */
static char *fetch(const struct serving *s, const char *request)
{
	char *text = calloc(1, 1 << 20);
	size_t got = 0;
	int fd = dial(s);
	ssize_t n;

	send(fd, request, strlen(request), MSG_NOSIGNAL);
	while ((n = read(fd, text + got, (1 << 20) - 1 - got)) > 0)
		got += n;
	close(fd);
	return text;
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
