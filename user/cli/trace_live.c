// SPDX-License-Identifier: GPL-2.0-only
/*
 * The full-screen view on a terminal: keys in, pictures of trace_view.c out.
 *
 * The terminal is put back on every way out: at the end, by exit(), when
 * stopped by Ctrl-Z, and by a handler if this program crashes.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "output.h"
#include "run.h"
#include "trace_run.h"
#include "trace_view.h"

/* Alternate screen, no cursor; and back. */
#define ENTER	"\033[?1049h\033[?25l\033[2J"
#define LEAVE	"\033[m\033[?25h\033[?1049l"

struct live {
	struct trace_source *source;
	struct trace_view view;
	struct trace now, before;
	bool looked;		/* there is a @before */
	int sigfd;		/* window size, stop, hang-up */
};

static struct termios saved;
static volatile sig_atomic_t entered;

static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

/* Only what a signal handler may call. */
static void leave(void)
{
	ssize_t n;

	if (!entered)
		return;
	entered = false;
	n = write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1);
	(void)n;	/* nobody left to tell */
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

static void crash(int sig)
{
	leave();
	raise(sig);	/* SA_RESETHAND: this time for real */
}

static int enter(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved))
		return -errno;
	raw = saved;
	/* Keys at once and unseen; Ctrl-C and Ctrl-Z stay signals. */
	raw.c_lflag &= ~(ICANON | ECHO | IEXTEN);
	raw.c_iflag &= ~(IXON | ICRNL | ISTRIP);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	entered = true;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs(ENTER, stdout);
	return fflush(stdout) ? -errno : 0;
}

static void get_size(struct trace_view *v)
{
	struct winsize size;

	v->cols = 80;
	v->rows = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return;
	if (size.ws_col)
		v->cols = size.ws_col;
	if (size.ws_row)
		v->rows = size.ws_row;
}

/* A terminal that takes nothing (Ctrl-S on the way) misses pictures, no more. */
static int draw(struct live *l)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	int err;

	if (poll(&out, 1, 0) == 0)
		return 0;
	fputs("\033[H", stdout);
	err = trace_view_draw(stdout, &l->view, &l->now,
			      l->looked ? &l->before : NULL);
	return fflush(stdout) || ferror(stdout) ? -EIO : err;
}

static int look(struct live *l)
{
	struct trace last = l->now;

	/* The memory of the look before the last. */
	l->now = l->before;
	l->before = last;
	l->looked = last.seconds > 0;
	return trace_exits_now(l->source, &l->now) ? -EIO : 0;
}

/* The key at @s, and its length in @len. */
static int decode(const char *s, size_t n, size_t *len)
{
	static const struct { const char *seq; int key; } keys[] = {
		{ "\033[A", KEY_UP }, { "\033OA", KEY_UP },
		{ "\033[B", KEY_DOWN }, { "\033OB", KEY_DOWN },
		{ "\033[5~", KEY_PAGE_UP }, { "\033[6~", KEY_PAGE_DOWN },
		{ "\033[H", KEY_HOME }, { "\033OH", KEY_HOME },
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		*len = strlen(keys[i].seq);
		if (n >= *len && !memcmp(s, keys[i].seq, *len))
			return keys[i].key;
	}
	*len = 1;
	if (*s != '\033')
		return (unsigned char)*s;
	if (n == 1)
		return KEY_ESC;
	/* Some other key: all of its sequence means nothing. */
	*len = n;
	return 0;
}

/* Return: false to quit */
static bool read_keys(struct live *l)
{
	char buf[64];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	size_t len, i;
	int key;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	for (i = 0; i < (size_t)n; i += len) {
		key = decode(buf + i, (size_t)n - i, &len);
		if (!trace_view_key(&l->view, key))
			return false;
	}
	return true;
}

/* Return: false to quit */
static bool take_signal(struct live *l)
{
	struct signalfd_siginfo info;

	if (read(l->sigfd, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGTSTP) {
		leave();
		raise(SIGSTOP);
		/* Continued, perhaps on a screen of another size. */
		enter();
	}
	get_size(&l->view);
	return info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH;
}

/* Until the trace ends or somebody quits. Return: 0 or -errno */
static int show(struct live *l)
{
	struct pollfd fds[4];
	double next = 0;
	int err;

	for (;;) {
		if (!l->view.paused || !l->now.seconds) {
			if (trace_now() >= next) {
				err = look(l);
				if (err)
					return err;
				next = trace_now() + l->view.interval;
			}
		}
		err = draw(l);
		if (err)
			return err;
		fds[2] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
		fds[3] = (struct pollfd){ .fd = l->sigfd, .events = POLLIN };
		switch (trace_wait(l->source, l->view.paused ? 0 : next, fds, 4)) {
		case TRACE_FAILED:
			return -errno;
		case TRACE_END:
			return 0;
		case TRACE_FD:
			if (fds[2].revents && !read_keys(l))
				return 0;
			if (fds[3].revents && !take_signal(l))
				return 0;
			break;
		case TRACE_TIME:
			break;
		}
	}
}

static void catch_crashes(void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESETHAND };
	size_t i;

	for (i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &act, NULL);
}

int trace_live(struct trace_source *source, double interval)
{
	struct live l = { .source = source, .view.interval = interval };
	sigset_t set, old;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, &old);
	l.sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	atexit(leave);
	catch_crashes(crash);
	get_size(&l.view);
	err = l.sigfd < 0 ? -errno : enter();
	if (!err)
		err = show(&l);
	leave();
	catch_crashes(SIG_DFL);
	if (l.sigfd >= 0)
		close(l.sigfd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	trace_free(&l.now);
	trace_free(&l.before);
	return err ? out_error(EXIT_VMM, "the terminal: %s", strerror(-err)) : 0;
}
