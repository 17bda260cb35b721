// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's console.
 *
 * Input of all viewers goes through one backlog, from which the device takes
 * what it has room for; while the backlog is full nobody is read from. Output
 * comes from a vCPU thread (serial port) or a socket (virtio-console) and goes
 * to the terminal, which may slow the guest down, and to the clients, which
 * may not: one that does not keep up is dropped.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "console.h"
#include "serial.h"

#define BACKLOG		4096
#define MAX_CLIENTS	4
#define CTRL_A		1

struct console_hub {
	struct vm *vm;
	struct loop *loop;
	struct serial *serial;
	int device;		/* our end of virtio-console's socket */
	int peer;		/* its end */
	int wake;		/* eventfd: the serial port has room */
	int in;
	bool tty;
	bool escape;		/* the last byte typed was Ctrl-A */
	bool paused;		/* inputs are not read */
	size_t used;
	uint8_t backlog[BACKLOG];

	int out;		/* terminal; -1: gone. Its writer's alone */
	pthread_mutex_t lock;	/* the rest */
	int clients[MAX_CLIENTS];	/* -1: free */
};

/* ---- output ---- */

/* Can the terminal take a chunk at once? One that is gone can, and says so. */
static bool terminal_ready(struct console_hub *con, int timeout_ms)
{
	struct pollfd p = { .fd = con->out, .events = POLLOUT };

	return poll(&p, 1, timeout_ms) > 0;
}

/*
 * Write to the terminal. Waits for a slow reader without holding the lock, and
 * not once the machine is to stop: then the rest is dropped.
 */
static void terminal_write(struct console_hub *con, const uint8_t *data,
			   size_t len)
{
	while (len && con->out >= 0) {
		ssize_t n;

		if (!terminal_ready(con, 100)) {
			if (__atomic_load_n(&con->vm->why, __ATOMIC_RELAXED) !=
			    VM_RUNNING)
				return;
			continue;
		}
		/* what a pipe that has room takes without blocking */
		n = write(con->out, data, len < PIPE_BUF ? len : PIPE_BUF);
		if (n >= 0) {
			data += n;
			len -= n;
		} else if (errno != EAGAIN && errno != EINTR) {
			/* nobody reads its other end any more: go on without */
			con->out = -1;
		}
	}
}

static void output(void *ctx, const void *data, size_t len)
{
	struct console_hub *con = ctx;
	unsigned int i;

	terminal_write(con, data, len);
	pthread_mutex_lock(&con->lock);
	for (i = 0; i < MAX_CLIENTS; i++)
		if (con->clients[i] >= 0 &&
		    send(con->clients[i], data, len,
			 MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
			shutdown(con->clients[i], SHUT_RDWR);
	pthread_mutex_unlock(&con->lock);
}

static void on_device(void *ctx, int fd, short revents);

/* The terminal has caught up: listen to the device again. */
static void on_terminal(void *ctx, int fd, short revents)
{
	struct console_hub *con = ctx;

	(void)revents;
	loop_del(con->loop, fd);
	loop_del(con->loop, con->device);
	loop_add(con->loop, con->device, POLLIN, on_device, con);
}

/* The loop's thread: a slow terminal must not keep it from signals. */
static void on_device(void *ctx, int fd, short revents)
{
	struct console_hub *con = ctx;
	uint8_t buf[1024];
	ssize_t n;

	(void)revents;
	if (con->out >= 0 && !terminal_ready(con, 0)) {
		loop_del(con->loop, fd);
		loop_add(con->loop, con->out, POLLOUT, on_terminal, con);
		return;
	}
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0)
		output(con, buf, n);
	else if (!n || errno != EAGAIN)
		loop_del(con->loop, fd);
}

/* ---- input ---- */

static void on_input(void *ctx, int fd, short revents);
static void on_client(void *ctx, int fd, short revents);

/* While paused a client is told from a dead one (POLLHUP) all the same. */
static int watch_client(struct console_hub *con, int fd)
{
	return loop_add(con->loop, fd, con->paused ? 0 : POLLIN, on_client,
			con);
}

static void rewatch_clients(struct console_hub *con)
{
	unsigned int i;

	for (i = 0; i < MAX_CLIENTS; i++)
		if (con->clients[i] >= 0) {
			loop_del(con->loop, con->clients[i]);
			watch_client(con, con->clients[i]);
		}
}

static void watch_inputs(struct console_hub *con)
{
	con->paused = false;
	if (con->in >= 0)
		loop_add(con->loop, con->in, POLLIN, on_input, con);
	rewatch_clients(con);
}

static void pause_inputs(struct console_hub *con)
{
	con->paused = true;
	if (con->in >= 0)
		loop_del(con->loop, con->in);
	rewatch_clients(con);
}

static size_t give(struct console_hub *con)
{
	ssize_t n;

	if (con->serial)
		return serial_input(con->serial, con->backlog, con->used);
	n = send(con->device, con->backlog, con->used,
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? 0 : n;
}

static void on_room(void *ctx, int fd, short revents);

/* Hand the device what it takes, and be called when it takes more. */
static void flush(struct console_hub *con)
{
	size_t n = con->used ? give(con) : 0;

	con->used -= n;
	memmove(con->backlog, con->backlog + n, con->used);
	if (con->device >= 0) {
		loop_del(con->loop, con->device);
		loop_add(con->loop, con->device, con->used ? POLLIN | POLLOUT :
			 POLLIN, con->used ? on_room : on_device, con);
	}
	if (con->used == BACKLOG && !con->paused)
		pause_inputs(con);
	else if (con->used < BACKLOG && con->paused)
		watch_inputs(con);
}

/* virtio-console's socket, or the serial port's wake-up. */
static void on_room(void *ctx, int fd, short revents)
{
	struct console_hub *con = ctx;
	uint64_t count;

	if (fd == con->device && revents & ~POLLOUT)
		on_device(con, fd, revents);
	if (fd == con->wake && read(fd, &count, sizeof(count)) < 0)
		return;
	flush(con);
}

/* vCPU thread: only tell the loop. */
static void serial_room(void *ctx)
{
	struct console_hub *con = ctx;
	uint64_t one = 1;
	ssize_t n = write(con->wake, &one, sizeof(one));

	(void)n;	/* full means told already */
}

/* Take out the escape sequences of a terminal. */
static size_t typed(struct console_hub *con, uint8_t *data, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (con->escape) {
			con->escape = false;
			if (data[i] == 'x')
				vm_stop(con->vm, VM_STOPPED);
			else if (data[i] == CTRL_A)
				data[n++] = CTRL_A;
		} else if (data[i] == CTRL_A) {
			con->escape = true;
		} else {
			data[n++] = data[i];
		}
	}
	return n;
}

/* Bytes read into the backlog, 0 at the end, -EAGAIN. */
static ssize_t take_input(struct console_hub *con, int fd, bool tty)
{
	uint8_t *to = con->backlog + con->used;
	ssize_t n = read(fd, to, BACKLOG - con->used);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
	if (n > 0) {
		con->used += tty ? typed(con, to, n) : (size_t)n;
		flush(con);
	}
	return n;
}

static void on_input(void *ctx, int fd, short revents)
{
	struct console_hub *con = ctx;

	(void)revents;
	if (con->paused || take_input(con, fd, con->tty))
		return;
	loop_del(con->loop, fd);
	con->in = -1;
}

static void drop_client(struct console_hub *con, unsigned int i)
{
	loop_del(con->loop, con->clients[i]);
	pthread_mutex_lock(&con->lock);
	close(con->clients[i]);
	con->clients[i] = -1;
	pthread_mutex_unlock(&con->lock);
}

static void on_client(void *ctx, int fd, short revents)
{
	struct console_hub *con = ctx;
	unsigned int i;

	(void)revents;
	/* paused: called because it hung up; its last keys have no reader */
	if (!con->paused && take_input(con, fd, false))
		return;
	for (i = 0; i < MAX_CLIENTS; i++)
		if (con->clients[i] == fd)
			drop_client(con, i);
}

int console_attach(struct console_hub *con, int fd, const char *greeting)
{
	size_t len = strlen(greeting);
	unsigned int i;
	int ret;

	for (i = 0; i < MAX_CLIENTS && con->clients[i] >= 0; i++)
		;
	if (i == MAX_CLIENTS)
		return -EBUSY;
	ret = watch_client(con, fd);
	if (ret)
		return ret;
	/* the lock keeps output from overtaking the greeting */
	pthread_mutex_lock(&con->lock);
	if (send(fd, greeting, len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	    (ssize_t)len)
		con->clients[i] = fd;
	else
		ret = -EPIPE;
	pthread_mutex_unlock(&con->lock);
	if (ret)
		loop_del(con->loop, fd);
	return ret;
}

/* ---- creation ---- */

static int make_raw(struct vm *vm, int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return vmm_err(vm, -errno, "terminal: %s", strerror(errno));
	cfmakeraw(&t);
	/* the guest sends its own carriage returns; our messages do not */
	t.c_oflag |= OPOST;
	if (tcsetattr(fd, TCSADRAIN, &t) < 0)
		return vmm_err(vm, -errno, "terminal: cannot make it raw: %s",
			       strerror(errno));
	return 0;
}

static int make_serial(struct console_hub *con)
{
	static const struct serial_ops ops = {
		.output = output, .room = serial_room,
	};

	con->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (con->wake < 0)
		return vmm_err(con->vm, -errno, "console: eventfd: %s",
			       strerror(errno));
	return serial_create(con->vm, &ops, con, &con->serial) ?:
	       loop_add(con->loop, con->wake, POLLIN, on_room, con);
}

static int make_virtio(struct console_hub *con, struct virtio_dev **vcon)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return vmm_err(con->vm, -errno, "console: socketpair: %s",
			       strerror(errno));
	con->device = fds[0];
	con->peer = fds[1];
	return vcon_create(con->vm, con->peer, con->peer, vcon) ?:
	       loop_add(con->loop, con->device, POLLIN, on_device, con);
}

int console_create(struct vm *vm, struct loop *loop,
		   const struct run_opts *opts, struct virtio_dev **vcon,
		   struct console_hub **out)
{
	struct console_hub *con = calloc(1, sizeof(*con));
	unsigned int i;
	int ret = 0;

	if (!con)
		return vmm_err(vm, -ENOMEM, "console: out of memory");
	con->vm = vm;
	con->loop = loop;
	con->in = opts->con_in;
	con->out = opts->con_out;
	con->device = con->peer = con->wake = -1;
	for (i = 0; i < MAX_CLIENTS; i++)
		con->clients[i] = -1;
	pthread_mutex_init(&con->lock, NULL);
	*out = con;
	*vcon = NULL;
	if (opts->console == CONSOLE_SERIAL)
		ret = make_serial(con);
	else
		ret = make_virtio(con, vcon);
	if (!ret && con->in >= 0 && isatty(con->in)) {
		con->tty = true;
		ret = make_raw(vm, con->in);
	}
	if (!ret)
		watch_inputs(con);
	return ret;
}

/* vCPUs do not run (any more); virtio-console is gone. */
void console_destroy(struct console_hub *con)
{
	unsigned int i;

	if (!con)
		return;
	if (con->tty)
		tcdrain(con->in);
	for (i = 0; i < MAX_CLIENTS; i++)
		if (con->clients[i] >= 0)
			drop_client(con, i);
	serial_destroy(con->serial);
	if (con->device >= 0)
		close(con->device);
	if (con->peer >= 0)
		close(con->peer);
	if (con->wake >= 0)
		close(con->wake);
	pthread_mutex_destroy(&con->lock);
	free(con);
}
