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

static int stop(const char *name, int sock, int pidfd, unsigned int seconds,
		bool force)
{
	struct json_object *reply = NULL;
	int err, ret;

	err = vmsock_ask(sock, "stop", &reply);
	/* It may end so fast that no answer comes. */
	if (!err || err == -ECONNRESET || err == -EPIPE)
		err = wait_end(pidfd, seconds);
	if (!err)
		ret = 0;
	else if (force)
		ret = end_by_force(name, sock, pidfd);
	else if (err == -ETIMEDOUT)
		ret = out_error(EXIT_VMM,
				"%s: still running after %u s (--kill ends it)",
				name, seconds);
	else
		ret = out_error(EXIT_VMM, "%s: %s %s", name, strerror(-err),
				vmsock_why(reply));
	json_object_put(reply);
	return ret;
}

int cmd_stop(int argc, char **argv)
{
	unsigned int seconds = 30;
	bool force = false;
	const struct opt opts[] = {
		{ .name = "time", .letter = 't', .kind = OPT_UINT,
		  .dst = &seconds, .max = 86400, .arg = "SEC",
		  .help = "wait so long for the end (default 30)" },
		{ .name = "kill", .letter = 'k', .kind = OPT_FLAG,
		  .dst = &force, .help = "then end it by force" },
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
	int first, ret, sock, pidfd;

	out_verb("stop");
	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	sock = vmsock_open(argv[first], &ret);
	if (sock < 0)
		return ret;
	pidfd = peer_pidfd(sock);
	if (pidfd == -ESRCH)	/* between our connect and now */
		ret = 0;
	else if (pidfd < 0)
		ret = out_error(EXIT_VMM, "%s: %s", argv[first],
				strerror(-pidfd));
	else
		ret = stop(argv[first], sock, pidfd, seconds, force);
	if (pidfd >= 0)
		close(pidfd);
	close(sock);
	return ret;
}
