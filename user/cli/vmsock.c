// SPDX-License-Identifier: GPL-2.0-only
/*
 * Talk to a running guest: one JSON object per line each way, over
 * VMM_RUN_DIR/<name>.sock. The other end is not trusted to be sane: replies
 * are bounded in size, depth and time.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "run.h"
#include "vmsock.h"

#define REPLY_MAX	65536
#define REPLY_DEPTH	16
#define REPLY_MS	3000

bool vmsock_name_valid(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-_.";
	size_t len = strlen(name);

	return len && len <= VMM_NAME_MAX && name[0] != '.' &&
	       strspn(name, allowed) == len;
}

int vmsock_connect(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (!vmsock_name_valid(name))
		return -EINVAL;
	snprintf(addr.sun_path, sizeof(addr.sun_path), VMM_RUN_DIR "/%s.sock",
		 name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Never waits: a full backlog is -EAGAIN. */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		err = errno;
		close(fd);
		return -err;
	}
	return fd;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, long long deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	long long left;
	int n;

	do {
		left = deadline - now_ms();
		n = poll(&pfd, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n ? 0 : -ETIMEDOUT;
}

static int send_line(int fd, const char *line, long long deadline)
{
	size_t len = strlen(line);
	ssize_t n;
	int err;

	while (len) {
		err = wait_for(fd, POLLOUT, deadline);
		if (err)
			return err;
		n = send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			line += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* What follows the newline (console output) stays in the socket. */
static int receive_line(int fd, char *buf, size_t size, long long deadline)
{
	size_t used = 0;
	char *end;
	ssize_t n;
	int err;

	for (;;) {
		err = wait_for(fd, POLLIN, deadline);
		if (err)
			return err;
		n = recv(fd, buf + used, size - used, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		end = memchr(buf + used, '\n', (size_t)n);
		if (end)
			n = end + 1 - (buf + used);
		n = recv(fd, buf + used, (size_t)n, MSG_DONTWAIT);
		if (n < 0)
			return -errno;
		used += (size_t)n;
		if (end) {
			*end = '\0';
			return 0;
		}
		if (used == size)
			return -EPROTO;
	}
}

static struct json_object *parse(const char *line)
{
	struct json_tokener *tok = json_tokener_new_ex(REPLY_DEPTH);
	struct json_object *obj;

	if (!tok)
		return NULL;
	obj = json_tokener_parse_ex(tok, line, (int)strlen(line) + 1);
	json_tokener_free(tok);
	if (obj && !json_object_is_type(obj, json_type_object)) {
		json_object_put(obj);
		obj = NULL;
	}
	return obj;
}

int vmsock_ask(int fd, const char *cmd, struct json_object **reply)
{
	long long deadline = now_ms() + REPLY_MS;
	struct json_object *obj, *ok;
	char request[64];
	char line[REPLY_MAX];
	int err;

	if (reply)
		*reply = NULL;
	snprintf(request, sizeof(request), "{\"cmd\":\"%s\"}\n", cmd);
	err = send_line(fd, request, deadline);
	if (!err)
		err = receive_line(fd, line, sizeof(line), deadline);
	if (err)
		return err;
	obj = parse(line);
	if (!obj)
		return -EPROTO;
	if (!json_object_object_get_ex(obj, "ok", &ok))
		err = -EPROTO;
	else if (!json_object_get_boolean(ok))
		err = -EREMOTEIO;
	if (reply)
		*reply = obj;
	else
		json_object_put(obj);
	return err;
}

const char *vmsock_why(struct json_object *reply)
{
	struct json_object *why;

	if (reply && json_object_object_get_ex(reply, "error", &why))
		return json_object_get_string(why);
	return "";
}
