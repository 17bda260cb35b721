// SPDX-License-Identifier: GPL-2.0-only
/*
 * Network load between a guest and its host: one static program for both ends.
 *
 *	netload serve			in the guest, until it is killed
 *	netload CASE HOST [SECONDS]	prints one line of JSON
 *
 *	stream-tx	guest to host, TCP: Mbit/s
 *	stream-rx	host to guest, TCP: Mbit/s
 *	rr		one byte there and back: transactions/s
 *	rr-p99		the same: 99th percentile in us
 *	udp64, udp1500	guest to host: packets/s that arrived. Frames of this
 *			length; at most WINDOW are not yet confirmed by the
 *			receiver, so that a flood cannot starve it.
 *
 * The client connects, names what it wants in one struct request, and the
 * connection (for UDP: the port the server is told) carries the load.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PORT		5077
#define WINDOW		512
#define CONFIRM		64
#define HEADERS		(14 + 20 + 8)	/* Ethernet, IPv4, UDP */
#define CHUNK		(128 << 10)
#define MAX_SAMPLES	(1 << 20)
#define WAIT_MS		500

enum { STREAM_TX, STREAM_RX, RR, UDP };

struct request {
	uint32_t kind;
	uint32_t seconds;
	uint32_t payload;
	uint32_t port;
};

static char chunk[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "netload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool transfer(int s, void *buf, size_t len, bool out)
{
	ssize_t n;

	for (; len; len -= (size_t)n, buf = (char *)buf + n) {
		n = out ? send(s, buf, len, MSG_NOSIGNAL) : recv(s, buf, len, 0);
		if (n <= 0)
			return false;
	}
	return true;
}

/* Send for this long, then end the stream. */
static void source(int s, uint32_t seconds)
{
	uint64_t end = ns() + seconds * 1000000000ull;

	while (ns() < end)
		if (send(s, chunk, sizeof(chunk), MSG_NOSIGNAL) < 0)
			break;
	shutdown(s, SHUT_WR);
}

/* Take all until the end of the stream. */
static uint64_t sink(int s)
{
	uint64_t all = 0;
	ssize_t n;

	while ((n = recv(s, chunk, sizeof(chunk), 0)) > 0)
		all += (uint64_t)n;
	return all;
}

static void patience(int s)
{
	struct timeval tv = { .tv_usec = WAIT_MS * 1000 };

	if (setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)))
		die("SO_RCVTIMEO");
}

/* ---- in the guest ---- */

static void serve_udp(int s, const struct request *r)
{
	uint64_t end = ns() + r->seconds * 1000000000ull;
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	uint32_t sent = 0, got = 0;
	int u;

	u = socket(AF_INET, SOCK_DGRAM, 0);
	if (u < 0 || getpeername(s, (struct sockaddr *)&to, &len))
		die("udp");
	to.sin_port = htons((uint16_t)r->port);
	if (connect(u, (struct sockaddr *)&to, sizeof(to)))
		die("udp connect");
	patience(u);
	while (ns() < end) {
		if (sent - got < WINDOW) {
			if (send(u, chunk, r->payload, 0) > 0)
				sent++;
			continue;
		}
		/* what is not confirmed in time was lost */
		if (recv(u, &got, sizeof(got), 0) != sizeof(got))
			got = sent;
	}
	close(u);
}

static void serve_one(int s)
{
	struct request r;
	int one = 1;
	char byte;

	if (!transfer(s, &r, sizeof(r), false) || r.payload > sizeof(chunk))
		return;
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	switch (r.kind) {
	case STREAM_TX:
		source(s, r.seconds);
		break;
	case STREAM_RX: {
		uint64_t all = sink(s);

		transfer(s, &all, sizeof(all), true);
		break;
	}
	case RR:
		while (transfer(s, &byte, 1, false) &&
		       transfer(s, &byte, 1, true))
			;
		break;
	case UDP:
		serve_udp(s, &r);
		break;
	}
}

static int serve(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(PORT),
	};
	int l = socket(AF_INET, SOCK_STREAM, 0), s, one = 1;

	signal(SIGCHLD, SIG_IGN);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 8))
		die("listen");
	for (;;) {
		s = accept(l, NULL, NULL);
		if (s < 0)
			continue;
		if (!fork()) {
			serve_one(s);
			_exit(0);
		}
		close(s);
	}
}

/* ---- on the host ---- */

static int ask(const char *host, const struct request *r)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(PORT),
	};
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1 ||
	    connect(s, (struct sockaddr *)&a, sizeof(a)))
		die(host);
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!transfer(s, (void *)r, sizeof(*r), true))
		die("request");
	return s;
}

static double mbit(uint64_t bytes, uint64_t since)
{
	return (double)bytes * 8e3 / (double)(ns() - since);
}

static double stream_tx(const char *host, struct request *r)
{
	int s = ask(host, r);
	uint64_t t = ns();

	return mbit(sink(s), t);
}

static double stream_rx(const char *host, struct request *r)
{
	int s = ask(host, r);
	uint64_t t = ns(), all = 0;

	source(s, r->seconds);
	if (!transfer(s, &all, sizeof(all), false))
		die("no word from the receiver");
	return mbit(all, t);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double rr(const char *host, struct request *r, bool p99)
{
	uint32_t *took = calloc(MAX_SAMPLES, sizeof(*took)), n = 0;
	uint64_t begin, end, t;
	int s = ask(host, r);
	char byte = 0;

	if (!took)
		die("memory");
	begin = ns();
	end = begin + r->seconds * 1000000000ull;
	for (t = begin; t < end && n < MAX_SAMPLES; n++) {
		uint64_t was = t;

		if (!transfer(s, &byte, 1, true) ||
		    !transfer(s, &byte, 1, false))
			die("rr");
		t = ns();
		took[n] = (uint32_t)(t - was);
	}
	qsort(took, n, sizeof(*took), by_value);
	return p99 ? took[(uint64_t)n * 99 / 100] / 1e3 :
		     n * 1e9 / (double)(t - begin);
}

/* Packets a second from the first to the last. */
static double udp(const char *host, struct request *r)
{
	int u = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20, s;
	struct sockaddr_in a = { .sin_family = AF_INET }, from;
	socklen_t len = sizeof(a), from_len = sizeof(from);
	uint64_t first = 0, last = 0;
	uint32_t n = 0;

	setsockopt(u, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (u < 0 || bind(u, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockname(u, (struct sockaddr *)&a, &len))
		die("udp");
	patience(u);
	r->port = ntohs(a.sin_port);
	s = ask(host, r);
	for (;;) {
		if (recvfrom(u, chunk, sizeof(chunk), 0,
			     (struct sockaddr *)&from, &from_len) < 0) {
			/* silence, and the sender is done */
			if (recv(s, chunk, 1, MSG_DONTWAIT) == 0)
				break;
			continue;
		}
		last = ns();
		if (!n++)
			first = last;
		if (n % CONFIRM == 0)
			sendto(u, &n, sizeof(n), 0, (struct sockaddr *)&from,
			       from_len);
	}
	return n > 1 ? (n - 1) * 1e9 / (double)(last - first) : 0;
}

int main(int argc, char **argv)
{
	struct request r = { .seconds = argc > 3 ? (uint32_t)atoi(argv[3]) : 2 };
	const char *name = argc > 1 ? argv[1] : "";
	double value;

	if (!strcmp(name, "serve"))
		return serve();
	if (argc < 3 || !r.seconds || r.seconds > 60)
		return 2;
	alarm(r.seconds + 20);
	if (!strcmp(name, "stream-tx")) {
		r.kind = STREAM_TX;
		value = stream_tx(argv[2], &r);
	} else if (!strcmp(name, "stream-rx")) {
		r.kind = STREAM_RX;
		value = stream_rx(argv[2], &r);
	} else if (!strncmp(name, "rr", 2)) {
		r.kind = RR;
		value = rr(argv[2], &r, !strcmp(name, "rr-p99"));
	} else if (!strncmp(name, "udp", 3) && atoi(name + 3) > HEADERS) {
		r.kind = UDP;
		r.payload = (uint32_t)atoi(name + 3) - HEADERS;
		value = udp(argv[2], &r);
	} else {
		return 2;
	}
	printf("{\"run\":\"%s\",\"value\":%.3f}\n", name, value);
	return value > 0 ? 0 : 1;
}
