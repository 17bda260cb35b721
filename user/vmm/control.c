// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket. Clients are served by the main loop, none of them can
 * hold up another: reads take what is there, an answer that does not fit into
 * the socket's buffer ends the connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "run.h"

#define MAX_CLIENTS	16
#define MAX_DEPTH	4
#define OK_LINE		"{\"ok\":true}\n"

struct client {
	int fd;			/* -1: free */
	size_t used;
	char buf[CONTROL_MAX];
};

struct control {
	struct vm *vm;
	struct loop *loop;
	const struct control_ops *ops;
	void *ctx;
	int listener;
	struct client clients[MAX_CLIENTS];
};

/* What becomes of the connection after a request. */
enum after { KEEP, CLOSE, GIVEN_AWAY };

static struct client *find_client(struct control *ctl, int fd)
{
	unsigned int i;

	for (i = 0; i < MAX_CLIENTS; i++)
		if (ctl->clients[i].fd == fd)
			return &ctl->clients[i];
	return NULL;
}

static void drop(struct control *ctl, struct client *c)
{
	loop_del(ctl->loop, c->fd);
	close(c->fd);
	c->fd = -1;
}

/* Takes @reply. Returns whether it went out. */
static bool send_reply(const struct client *c, struct json_object *reply)
{
	size_t len;
	const char *text;
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	bool sent;

	text = json_object_to_json_string_length(reply,
						 JSON_C_TO_STRING_PLAIN, &len);
	iov[0] = (struct iovec) { (void *)text, len };
	iov[1] = (struct iovec) { "\n", 1 };
	sent = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)len + 1;
	json_object_put(reply);
	return sent;
}

static bool reply_ok(const struct client *c)
{
	size_t len = strlen(OK_LINE);

	return send(c->fd, OK_LINE, len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)len;
}

static bool reply_error(const struct client *c, const char *error)
{
	struct json_object *reply = json_object_new_object();

	json_object_object_add(reply, "ok", json_object_new_boolean(false));
	json_object_object_add(reply, "error", json_object_new_string(error));
	return send_reply(c, reply);
}

static enum after do_info(struct control *ctl, struct client *c)
{
	struct json_object *reply = json_object_new_object();

	json_object_object_add(reply, "ok", json_object_new_boolean(true));
	ctl->ops->info(ctl->ctx, reply);
	return send_reply(c, reply) ? KEEP : CLOSE;
}

static enum after do_stop(struct control *ctl, struct client *c)
{
	int ret = ctl->ops->stop(ctl->ctx);

	return (ret ? reply_error(c, strerror(-ret)) : reply_ok(c)) ?
		KEEP : CLOSE;
}

static enum after do_kill(struct control *ctl, struct client *c)
{
	reply_ok(c);
	ctl->ops->kill(ctl->ctx);
	return CLOSE;
}

static enum after do_resize(struct control *ctl, struct client *c)
{
	struct json_object *reply = json_object_new_object();
	int ret;

	json_object_object_add(reply, "ok", json_object_new_boolean(true));
	ret = ctl->ops->resize(ctl->ctx, reply);
	if (!ret)
		return send_reply(c, reply) ? KEEP : CLOSE;
	json_object_put(reply);
	return reply_error(c, strerror(-ret)) ? KEEP : CLOSE;
}

/* The console sends the answer itself, between having room for the client and
 * the first output: what follows the answer belongs to the guest.
 */
static enum after do_console(struct control *ctl, struct client *c)
{
	int ret;

	loop_del(ctl->loop, c->fd);
	ret = ctl->ops->console(ctl->ctx, c->fd, OK_LINE);
	if (ret) {
		reply_error(c, ret == -EBUSY ?
			    "too many consoles are attached already" :
			    strerror(-ret));
		return CLOSE;
	}
	c->fd = -1;
	return GIVEN_AWAY;
}

static enum after dispatch(struct control *ctl, struct client *c,
			   const char *cmd)
{
	static const struct {
		const char *name;
		enum after (*fn)(struct control *ctl, struct client *c);
	} table[] = {
		{ "info", do_info },
		{ "stop", do_stop },
		{ "kill", do_kill },
		{ "resize", do_resize },
		{ "console", do_console },
	};
	unsigned int i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(cmd, table[i].name))
			return table[i].fn(ctl, c);
	reply_error(c, "unknown command");
	return CLOSE;
}

/* @line: @len bytes without the newline */
static enum after request(struct control *ctl, struct client *c,
			  const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *req, *cmd;
	enum after after = CLOSE;

	if (!tok)
		return CLOSE;
	req = json_tokener_parse_ex(tok, line, len);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    json_tokener_get_parse_end(tok) != len)
		reply_error(c, "not one JSON object");
	else if (!json_object_is_type(req, json_type_object) ||
		 !json_object_object_get_ex(req, "cmd", &cmd) ||
		 !json_object_is_type(cmd, json_type_string))
		reply_error(c, "no string \"cmd\"");
	else
		after = dispatch(ctl, c, json_object_get_string(cmd));
	json_object_put(req);
	json_tokener_free(tok);
	return after;
}

/* All complete lines in the buffer. */
static void serve(struct control *ctl, struct client *c)
{
	enum after after = KEEP;
	char *end;

	while (after == KEEP && (end = memchr(c->buf, '\n', c->used))) {
		size_t len = end - c->buf;

		after = request(ctl, c, c->buf, len);
		c->used -= len + 1;
		memmove(c->buf, end + 1, c->used);
	}
	if (after == KEEP && c->used == sizeof(c->buf)) {
		reply_error(c, "request too long");
		after = CLOSE;
	}
	if (after == CLOSE)
		drop(ctl, c);
}

static void on_client(void *ctx, int fd, short revents)
{
	struct control *ctl = ctx;
	struct client *c = find_client(ctl, fd);
	ssize_t n;

	(void)revents;
	n = recv(fd, c->buf + c->used, sizeof(c->buf) - c->used, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(ctl, c);
		return;
	}
	c->used += n;
	serve(ctl, c);
}

static void on_listener(void *ctx, int fd, short revents)
{
	struct control *ctl = ctx;
	struct client *c = find_client(ctl, -1);
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)revents;
	if (conn < 0)
		return;
	if (!c || loop_add(ctl->loop, conn, POLLIN, on_client, ctl)) {
		close(conn);
		return;
	}
	c->fd = conn;
	c->used = 0;
}

/* ---- creation ---- */

static bool alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool ret;

	if (fd < 0)
		return true;
	ret = !connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
	      errno != ECONNREFUSED;
	close(fd);
	return ret;
}

/* Under run_dir_lock(), until the socket listens: before that it looks to the
 * next machine of its name as if left behind.
 */
static int bind_socket(struct control *ctl, const char *path,
		       struct janitor *janitor)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t old;
	int ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return vmm_err(ctl->vm, -ENAMETOOLONG,
			       "control socket %s: name too long", path);
	strcpy(addr.sun_path, path);
	/* left behind by a machine that ended with its janitor */
	if (!access(path, F_OK) && !alive(&addr))
		unlink(path);
	old = umask(0077);
	ret = bind(ctl->listener, (struct sockaddr *)&addr, sizeof(addr)) ?
	      -errno : 0;
	umask(old);
	if (ret == -EADDRINUSE)
		return vmm_err(ctl->vm, ret,
			"control socket %s: a machine of this name is running: choose another --name",
			path);
	if (!ret)
		ret = janitor_own_socket(janitor, path);
	if (!ret && listen(ctl->listener, MAX_CLIENTS) < 0)
		ret = -errno;
	if (ret)
		return vmm_err(ctl->vm, ret, "control socket %s: %s", path,
			       strerror(-ret));
	return 0;
}

static int start(struct control *ctl, const char *path,
		 struct janitor *janitor)
{
	int lock, ret;

	ctl->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
			       SOCK_NONBLOCK, 0);
	if (ctl->listener < 0)
		return vmm_err(ctl->vm, -errno, "control socket: %s",
			       strerror(errno));
	lock = run_dir_lock();
	if (lock < 0)
		return vmm_err(ctl->vm, lock, "%s: cannot lock it: %s",
			       VMM_RUN_DIR, strerror(-lock));
	ret = bind_socket(ctl, path, janitor);
	close(lock);
	if (ret)
		return ret;
	ret = loop_add(ctl->loop, ctl->listener, POLLIN, on_listener, ctl);
	if (ret)
		return vmm_err(ctl->vm, ret, "control socket %s: %s", path,
			       strerror(-ret));
	return 0;
}

int control_create(struct vm *vm, struct loop *loop, const char *path,
		   struct janitor *janitor, const struct control_ops *ops,
		   void *ctx, struct control **out)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	unsigned int i;
	int ret;

	if (!ctl)
		return vmm_err(vm, -ENOMEM, "control socket: out of memory");
	ctl->vm = vm;
	ctl->loop = loop;
	ctl->ops = ops;
	ctl->ctx = ctx;
	for (i = 0; i < MAX_CLIENTS; i++)
		ctl->clients[i].fd = -1;
	ret = start(ctl, path, janitor);
	if (ret) {
		control_destroy(ctl);
		return ret;
	}
	*out = ctl;
	return 0;
}

void control_destroy(struct control *ctl)
{
	unsigned int i;

	if (!ctl)
		return;
	for (i = 0; i < MAX_CLIENTS; i++)
		if (ctl->clients[i].fd >= 0)
			drop(ctl, &ctl->clients[i]);
	if (ctl->listener >= 0) {
		loop_del(ctl->loop, ctl->listener);
		close(ctl->listener);
	}
	free(ctl);
}
