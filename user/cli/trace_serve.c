// SPDX-License-Identifier: GPL-2.0-only
/*
 * A trace for Prometheus to fetch: just enough HTTP, in one thread.
 *
 * Clients are not trusted. Each has a deadline, a request of bounded size and
 * one answer; so many at a time, the others wait to be accepted. So does everybody
 * while there is no descriptor or memory for one more: the socket stays readable
 * then, and is left alone for a moment rather than asked again at once.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "output.h"
#include "run.h"
#include "trace_run.h"

#define CLIENTS		16
#define PATIENCE	5.0	/* seconds for the request, and for the answer */
#define REQUEST_MAX	4096
#define PAUSE		0.5	/* seconds until a failed accept() is tried again */

struct client {
	int fd;			/* -1: free */
	double deadline;
	char request[REQUEST_MAX];
	size_t got;
	char *answer;		/* NULL: still reading */
	size_t size, sent;
};

struct server {
	struct trace_source *source;
	int fd;
	double pause;		/* accept nobody until then; 0: nothing is amiss */
	struct client client[CLIENTS];
};

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT" in two. @buf: 128 bytes */
static bool split(const char *where, char *buf, const char **host,
		  const char **port)
{
	char *colon;
	size_t len;

	*host = "127.0.0.1";
	*port = where;
	if (strlen(where) >= 128)
		return false;
	strcpy(buf, where);
	colon = strrchr(buf, ':');
	if (colon) {
		*colon = 0;
		*port = colon + 1;
		*host = buf;
		len = strlen(buf);
		if (buf[0] == '[' && len > 2 && buf[len - 1] == ']') {
			buf[len - 1] = 0;
			*host = buf + 1;
		}
	}
	return **host && **port && strlen(*port) < 6 &&
	       strspn(*port, "0123456789") == strlen(*port) &&
	       atoi(*port) <= UINT16_MAX;
}

static int listen_at(const struct addrinfo *ai)
{
	int one = 1, err;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, CLIENTS))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The address @where means, or NULL. */
static struct addrinfo *address_of(const char *where)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	const char *host, *port;
	struct addrinfo *ai;
	char buf[128];

	if (!split(where, buf, &host, &port) ||
	    getaddrinfo(host, port, &hints, &ai))
		return NULL;
	return ai;
}

bool trace_serve_valid(const char *where)
{
	struct addrinfo *ai = address_of(where);

	if (ai)
		freeaddrinfo(ai);
	return ai;
}

/* Return: a descriptor, or minus the exit status after one line of complaint. */
static int open_port(const char *where)
{
	struct addrinfo *ai = address_of(where);
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char name[128], number[16];
	int fd;

	fd = ai ? listen_at(ai) : -EINVAL;
	if (ai)
		freeaddrinfo(ai);
	if (fd < 0)
		return -out_error(EXIT_VMM, "cannot listen at %s: %s", where,
				  strerror(-fd));
	if (!getsockname(fd, (struct sockaddr *)&addr, &len) &&
	    !getnameinfo((struct sockaddr *)&addr, len, name, sizeof(name),
			 number, sizeof(number), NI_NUMERICHOST | NI_NUMERICSERV))
		out_note("metrics at http://%s%s%s:%s/metrics",
			 strchr(name, ':') ? "[" : "", name,
			 strchr(name, ':') ? "]" : "", number);
	return fd;
}

static void drop(struct client *c)
{
	close(c->fd);
	free(c->answer);
	c->fd = -1;
	c->answer = NULL;
}

/* @body as the answer, with its head before it. */
static void answer(struct client *c, const char *status, const char *type,
		   const char *body, size_t len)
{
	int n;

	c->answer = malloc(len + 512);
	if (!c->answer) {
		drop(c);
		return;
	}
	n = snprintf(c->answer, 512,
		     "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		     "Connection: close\r\n\r\n", status, type, len);
	memcpy(c->answer + n, body, len);
	c->size = n + len;
	c->sent = 0;
	c->deadline = trace_now() + PATIENCE;
}

static void complain(struct client *c, const char *status)
{
	char body[64];
	int n = snprintf(body, sizeof(body), "%s\n", status);

	answer(c, status, "text/plain; charset=utf-8", body, n);
}

static void metrics(struct trace_source *source, struct client *c)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	out = open_memstream(&text, &len);
	if (!out || source->kind->metrics(source, out)) {
		if (out)
			fclose(out);
		free(text);
		complain(c, "500 Internal Server Error");
		return;
	}
	if (fclose(out))
		complain(c, "500 Internal Server Error");
	else
		answer(c, "200 OK", "text/plain; version=0.0.4; charset=utf-8",
		       text, len);
	free(text);
}

/* The request is complete: its first line decides. */
static void respond(struct trace_source *source, struct client *c)
{
	static const char get[] = "GET /metrics";
	const char *r = c->request;

	if (strncmp(r, "GET ", 4))
		complain(c, "405 Method Not Allowed");
	else if (strncmp(r, get, sizeof(get) - 1) ||
		 !strchr(" ?", r[sizeof(get) - 1]))
		complain(c, "404 Not Found");
	else
		metrics(source, c);
}

static void read_request(struct trace_source *source, struct client *c)
{
	ssize_t n = recv(c->fd, c->request + c->got,
			 sizeof(c->request) - 1 - c->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->got += n;
	c->request[c->got] = 0;
	if (strlen(c->request) < c->got)
		complain(c, "400 Bad Request");
	else if (strstr(c->request, "\r\n\r\n") || strstr(c->request, "\n\n"))
		respond(source, c);
	else if (c->got == sizeof(c->request) - 1)
		complain(c, "431 Request Header Fields Too Large");
}

static void write_answer(struct client *c)
{
	ssize_t n = send(c->fd, c->answer + c->sent, c->size - c->sent,
			 MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->sent += n;
	if (n > 0 && c->sent < c->size)
		return;
	if (n > 0)
		shutdown(c->fd, SHUT_WR);
	drop(c);
}

/* Nobody was accepted: is the client gone again, or has the system run out? */
static void accept_failed(struct server *s)
{
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* One line each time it begins, not one for every try. */
	if (s->pause <= 0)
		out_note("cannot accept connections: %s; trying on",
			 strerror(errno));
	s->pause = trace_now() + PAUSE;
}

static void accept_one(struct server *s)
{
	struct client *c;

	for (c = s->client; c < s->client + CLIENTS; c++) {
		if (c->fd >= 0)
			continue;
		c->fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (c->fd < 0) {
			accept_failed(s);
			return;
		}
		s->pause = 0;
		c->got = 0;
		c->deadline = trace_now() + PATIENCE;
		return;
	}
}

static double sooner(double a, double b)
{
	return a <= 0 || b < a ? b : a;
}

/* What to wait for, and until when. Behind the two of trace_wait(). */
static double prepare(const struct server *s, struct pollfd *fds)
{
	bool room = false;
	double until = 0;
	int i;

	for (i = 0; i < CLIENTS; i++) {
		const struct client *c = &s->client[i];

		fds[3 + i] = (struct pollfd){
			.fd = c->fd, .events = c->answer ? POLLOUT : POLLIN,
		};
		if (c->fd < 0)
			room = true;
		else
			until = sooner(until, c->deadline);
	}
	if (room && s->pause > trace_now()) {
		room = false;
		until = sooner(until, s->pause);
	}
	fds[2] = (struct pollfd){ .fd = room ? s->fd : -1, .events = POLLIN };
	return until;
}

static void attend(struct server *s, const struct pollfd *fds)
{
	struct client *c;
	int i;

	for (i = 0; i < CLIENTS; i++) {
		c = &s->client[i];
		if (c->fd < 0)
			continue;
		if (fds[3 + i].revents && c->answer)
			write_answer(c);
		else if (fds[3 + i].revents)
			read_request(s->source, c);
		if (c->fd >= 0 && trace_now() >= c->deadline)
			drop(c);
	}
	/* Last, so that a new client is not taken for the one before it. */
	if (fds[2].revents)
		accept_one(s);
}

int trace_serve(struct trace_source *source, const char *where)
{
	struct server s = { .source = source };
	struct pollfd fds[3 + CLIENTS];
	enum trace_wait why;
	double until;
	int i;

	s.fd = open_port(where);
	if (s.fd < 0)
		return -s.fd;
	for (i = 0; i < CLIENTS; i++)
		s.client[i].fd = -1;
	do {
		until = prepare(&s, fds);
		why = trace_wait(source, until, fds, 3 + CLIENTS);
		if (why == TRACE_TIME)
			memset(fds, 0, sizeof(fds));
		if (why == TRACE_TIME || why == TRACE_FD)
			attend(&s, fds);
	} while (why == TRACE_TIME || why == TRACE_FD);
	for (i = 0; i < CLIENTS; i++)
		if (s.client[i].fd >= 0)
			drop(&s.client[i]);
	close(s.fd);
	source->stop(source);
	return why == TRACE_END ? 0 : out_error(EXIT_VMM, "poll: %s",
						strerror(errno));
}
