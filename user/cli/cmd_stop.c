// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvasir stop: ask the guest to shut down, wait for its process to end, and
 * on demand end it by force.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"
#include "guest_verb.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "vmsock.h"

/* How long an order to end at once may take. */
#define KILL_SECONDS 5

/* A descriptor of the process at the other end, safe from reused ids. */
static int peer_pidfd(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	fd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	return fd < 0 ? -errno : fd;
}

/* 0: it ended; -ETIMEDOUT: it did not */
static int wait_end(int pidfd, unsigned int seconds)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	int n;

	do {
		n = poll(&pfd, 1, (int)(seconds * 1000));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n ? 0 : -ETIMEDOUT;
}

/* First its own way out, which removes taps; then the kernel's. */
static int end_by_force(const char *name, int sock, int pidfd)
{
	int err;

	err = vmsock_ask(sock, "kill", NULL);
	if (!err || err == -ECONNRESET || err == -EPIPE)
		err = wait_end(pidfd, KILL_SECONDS);
	if (!err)
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) &&
	    errno != ESRCH)
		return out_error(EXIT_VMM, "%s: cannot kill it: %s", name,
				 strerror(errno));
	if (wait_end(pidfd, KILL_SECONDS))
		return out_error(EXIT_VMM, "%s: does not die", name);
	return 0;
}

struct how {
	unsigned int seconds;	/* to wait */
	bool force;		/* afterwards */
	bool json;
};

static int stop(const char *name, int sock, int pidfd, const struct how *how)
{
	struct json_object *reply = NULL;
	int err, ret;

	err = vmsock_ask(sock, "stop", &reply);
	/* It may end so fast that no answer comes. */
	if (!err || err == -ECONNRESET || err == -EPIPE)
		err = wait_end(pidfd, how->seconds);
	if (!err)
		ret = 0;
	else if (how->force)
		ret = end_by_force(name, sock, pidfd);
	else if (err == -ETIMEDOUT)
		ret = out_error(EXIT_VMM,
				"%s: still running after %u s (--kill ends it)",
				name, how->seconds);
	else
		ret = out_error(EXIT_VMM, "%s: %s %s", name, strerror(-err),
				vmsock_why(reply));
	json_object_put(reply);
	return ret;
}

static int tell_ended(const char *name)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "name", json_object_new_string(name));
	json_object_object_add(obj, "ended", json_object_new_boolean(true));
	return out_json(obj);
}

int cmd_stop(int argc, char **argv)
{
	struct how how = { .seconds = 30 };
	const struct opt opts[] = {
		{ .name = "time", .letter = 't', .kind = OPT_UINT,
		  .dst = &how.seconds, .max = 86400, .arg = "SEC",
		  .help = "wait so long for the end (default 30)" },
		{ .name = "kill", .letter = 'k', .kind = OPT_FLAG,
		  .dst = &how.force, .help = "then end it by force" },
		{ .name = "json", .kind = OPT_FLAG, .dst = &how.json,
		  .help = "machine-readable output" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "stop",
		.operands = "NAME",
		.min_operands = 1,
		.max_operands = 1,
		.about = "Press the guest's power button and wait until its process has ended.",
		.opts = opts,
		.exits = "  0 ended   1 still running, or not permitted   2 usage   4 no such guest\n",
	};
	const char *name;
	int ret, sock, pidfd;

	sock = guest_verb_open(&usage, argc, argv, &name, &ret);
	if (sock < 0)
		return ret;
	pidfd = peer_pidfd(sock);
	if (pidfd == -ESRCH)	/* between our connect and now */
		ret = 0;
	else if (pidfd < 0)
		ret = out_error(EXIT_VMM, "%s: %s", name, strerror(-pidfd));
	else
		ret = stop(name, sock, pidfd, &how);
	if (!ret && how.json)
		ret = tell_ended(name);
	if (pidfd >= 0)
		close(pidfd);
	close(sock);
	return ret;
}
