// SPDX-License-Identifier: GPL-2.0-only
/* kvasir console: the guest's console on this terminal, until Ctrl-A x. */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"
#include "guest_verb.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "vmsock.h"

#define ESCAPE	0x01	/* Ctrl-A */

/* Why the session ended. */
enum end {
	END_NONE,
	END_DETACHED,
	END_GUEST,
	END_INPUT,
	END_SIGNAL,
	END_ERROR,
};

struct session {
	int sock;
	int signals;		/* signalfd */
	bool escaped;		/* last key was Ctrl-A */
	bool input;		/* stdin still open */
	char keys[256];		/* towards the guest */
	size_t nr_keys;
};

static bool write_all(const char *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(STDOUT_FILENO, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

static enum end from_guest(struct session *s)
{
	char buf[4096];
	ssize_t n = read(s->sock, buf, sizeof(buf));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? END_NONE :
							   END_GUEST;
	if (n == 0)
		return END_GUEST;
	return write_all(buf, (size_t)n) ? END_NONE : END_ERROR;
}

/* Reads no more keys than the buffer holds; poll() waits meanwhile. */
static enum end from_keys(struct session *s)
{
	char buf[sizeof(s->keys)];
	ssize_t n, i;

	n = read(STDIN_FILENO, buf, sizeof(buf));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? END_NONE : END_INPUT;
	if (n == 0)
		return END_INPUT;
	for (i = 0; i < n; i++) {
		if (s->escaped && (buf[i] == 'x' || buf[i] == 'X'))
			return END_DETACHED;
		if (!s->escaped && buf[i] == ESCAPE) {
			s->escaped = true;
			continue;
		}
		s->escaped = false;
		s->keys[s->nr_keys++] = buf[i];
	}
	return END_NONE;
}

static enum end to_guest(struct session *s)
{
	ssize_t n = write(s->sock, s->keys, s->nr_keys);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? END_NONE :
							   END_GUEST;
	s->nr_keys -= (size_t)n;
	memmove(s->keys, s->keys + n, s->nr_keys);
	return END_NONE;
}

static enum end serve(struct session *s)
{
	struct pollfd pfd[] = {
		{ .fd = s->sock },
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->input && !s->nr_keys ? STDIN_FILENO : -1,
		  .events = POLLIN },
	};
	enum end end = END_NONE;

	pfd[0].events = s->nr_keys ? POLLIN | POLLOUT : POLLIN;
	if (poll(pfd, 3, -1) < 0)
		return errno == EINTR ? END_NONE : END_ERROR;
	if (pfd[1].revents)
		return END_SIGNAL;
	if (pfd[0].revents & (POLLIN | POLLHUP | POLLERR))
		end = from_guest(s);
	if (!end && pfd[0].revents & POLLOUT)
		end = to_guest(s);
	if (!end && pfd[2].revents)
		end = from_keys(s);
	if (end == END_INPUT && !isatty(STDIN_FILENO)) {
		s->input = false;	/* a pipe that ended: keep listening */
		end = END_NONE;
	}
	return end;
}

/* Signals as a descriptor, so that the terminal is always put back. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static enum end attend(int sock, int signals)
{
	struct session s = { .sock = sock, .signals = signals, .input = true };
	struct termios saved, raw;
	bool tty = tcgetattr(STDIN_FILENO, &saved) == 0;
	enum end end;

	if (tty) {
		out_note("attached; Ctrl-A x detaches");
		raw = saved;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	do {
		end = serve(&s);
	} while (end == END_NONE);
	if (tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	return end;
}

static int attach(const char *name, int sock)
{
	struct json_object *reply;
	enum end end;
	int err, signals;

	err = vmsock_ask(sock, "console", &reply);
	if (err) {
		err = out_error(EXIT_VMM, "%s: %s", name,
				vmsock_why(reply)[0] ? vmsock_why(reply) :
						       strerror(-err));
		json_object_put(reply);
		return err;
	}
	json_object_put(reply);
	signals = block_signals();
	if (signals < 0)
		return out_error(EXIT_VMM, "signalfd: %s", strerror(errno));
	end = attend(sock, signals);
	close(signals);
	switch (end) {
	case END_GUEST:
		out_note("%s: ended", name);
		return 0;
	case END_ERROR:
		return out_error(EXIT_VMM, "cannot write the output: %s",
				 strerror(errno));
	default:
		return 0;
	}
}

int cmd_console(int argc, char **argv)
{
	static const struct opt opts[] = { { 0 } };
	const struct opt_usage usage = {
		.verb = "console",
		.operands = "NAME",
		.min_operands = 1,
		.max_operands = 1,
		.about = "Attach this terminal to the console of a running guest. Ctrl-A x detaches;\n"
			 "Ctrl-A Ctrl-A sends one Ctrl-A.",
		.opts = opts,
		.exits = "  0 detached, or the guest ended   1 failed   2 usage   4 no such guest\n",
	};
	const char *name;
	int ret, sock;

	sock = guest_verb_open(&usage, argc, argv, &name, &ret);
	if (sock < 0)
		return ret;
	ret = attach(name, sock);
	close(sock);
	return ret;
}
