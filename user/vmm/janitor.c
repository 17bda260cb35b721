// SPDX-License-Identifier: GPL-2.0-only
/* A process that tidies up behind the VMM, however the VMM ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "janitor.h"
#include "run.h"

/* Fixed places, so that everything else can be closed. */
#define FD_PIPE	0
#define FD_TTY	1

#define LOCK_TRIES	500	/* of ten milliseconds */

/*
 * What the pipe carries: which file the socket is. Its name may have passed to
 * the next machine before the janitor comes to it, and so may its inode number
 * on filesystems that reuse them at once; chmod and chown do not alter the time.
 */
struct socket_id {
	dev_t dev;
	ino_t ino;
	struct timespec made;
};

static int identify(const char *path, struct socket_id *id)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	*id = (struct socket_id) {
		.dev = st.st_dev, .ino = st.st_ino, .made = st.st_mtim,
	};
	return 0;
}

static bool same(const struct socket_id *a, const struct socket_id *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       a->made.tv_sec == b->made.tv_sec &&
	       a->made.tv_nsec == b->made.tv_nsec;
}

/* Whoever may read the folder can hold the lock, and our signals are blocked:
 * no waiting without end.
 */
int run_dir_lock(void)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int fd = open(VMM_RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int i;
	int ret;

	if (fd < 0)
		return -errno;
	for (i = 0; i < LOCK_TRIES; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		ret = -errno;
		if (ret != -EWOULDBLOCK && ret != -EINTR) {
			close(fd);
			return ret;
		}
		nanosleep(&pause, NULL);
	}
	close(fd);
	return -EBUSY;
}

/* Without the lock it stays; a later machine of its name clears it away. */
static void remove_socket(const char *path, const struct socket_id *own)
{
	int lock = run_dir_lock();
	struct socket_id now = { 0 };

	if (lock < 0)
		return;
	if (!identify(path, &now) && same(&now, own))
		unlink(path);
	close(lock);
}

static void __attribute__((noreturn))
janitor_main(const struct termios *saved, const char *path)
{
	struct socket_id id = { 0 };
	bool own_socket = false;
	ssize_t n;

	/* a session of its own: no Ctrl-C, no job control signals */
	setsid();
	prctl(PR_SET_NAME, "kvasir-janitor");
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	/* one message at most, and a pipe keeps one of this size whole */
	while ((n = read(FD_PIPE, &id, sizeof(id))) > 0 ||
	       (n < 0 && errno == EINTR))
		own_socket |= n == sizeof(id);
	if (saved)
		tcsetattr(FD_TTY, TCSANOW, saved);
	if (own_socket)
		remove_socket(path, &id);
	_exit(0);
}

/* Moves both to their places; either may sit in the other's. */
static bool take_places(int pipe_fd, int tty)
{
	int high_pipe = fcntl(pipe_fd, F_DUPFD, 3);
	int high_tty = tty >= 0 ? fcntl(tty, F_DUPFD, 3) : -1;

	if (high_pipe < 0 || dup2(high_pipe, FD_PIPE) < 0)
		return false;
	if (tty < 0)
		return !close_range(FD_TTY, ~0U, 0);
	if (high_tty < 0 || dup2(high_tty, FD_TTY) < 0)
		return false;
	return !close_range(FD_TTY + 1, ~0U, 0);
}

int janitor_start(struct janitor *j, int tty, const char *path)
{
	struct termios saved;
	bool has_tty;
	int fds[2];

	*j = (struct janitor) { .fd = -1 };
	if (tty < 0 && !path)
		return 0;
	/* before the caller makes it raw */
	has_tty = tty >= 0 && !tcgetattr(tty, &saved);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	j->pid = fork();
	if (j->pid < 0) {
		int ret = -errno;

		j->pid = 0;
		close(fds[0]);
		close(fds[1]);
		return ret;
	}
	if (!j->pid) {
		if (!take_places(fds[0], tty))
			_exit(1);
		janitor_main(has_tty ? &saved : NULL, path);
	}
	close(fds[0]);
	j->fd = fds[1];
	return 0;
}

int janitor_own_socket(struct janitor *j, const char *path)
{
	struct socket_id id;
	int ret = identify(path, &id);

	if (ret)
		return ret;
	return write(j->fd, &id, sizeof(id)) == sizeof(id) ? 0 : -errno;
}

void janitor_finish(struct janitor *j)
{
	if (!j->pid)
		return;
	close(j->fd);
	while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
		;
	j->pid = 0;
}
