// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sandbox of `kvasir run` (user/vmm/sandbox.c): a process in it can do
 * what a running machine does, and ends with one line and status 1 at
 * anything that leads out of it (V-08).
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kvt.h"
#include "../../user/vmm/run.h"
#include "../../user/vmm/sandbox.h"

/* Run @fn inside; its line on standard error goes to @line. Exit status. */
static int inside(void (*fn)(void), char *line, size_t size)
{
	struct vm vm = VM_INIT;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	ASSERT(!pipe(fds), "pipe: %s", strerror(errno));
	pid = fork();
	ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[1]);
		vm.kvm_fd = eventfd(0, 0);
		if (sandbox_enter(&vm)) {
			if (write(STDERR_FILENO, vm.err, strlen(vm.err)) < 0)
				_exit(99);
			_exit(98);
		}
		fn();
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], line, size - 1);
	line[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	ASSERT(waitpid(pid, &status, 0) == pid, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void allowed(const char *what, void (*fn)(void))
{
	char line[256];
	int status = inside(fn, line, sizeof(line));

	EXPECT(status == 0, "%s: status %d, %s", what, status, line);
}

static void forbidden(const char *what, void (*fn)(void))
{
	char line[256];
	int status = inside(fn, line, sizeof(line));

	EXPECT(status == EXIT_VMM && strstr(line, "forbidden system call"),
	       "%s: status %d, %s", what, status, line);
}

static void need(bool ok)
{
	if (!ok)
		_exit(97);
}

static void do_events(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t one = 1;

	need(write(fd, &one, sizeof(one)) == sizeof(one));
	need(poll(&p, 1, 0) == 1);
	need(fcntl(fd, F_GETFL) >= 0);
	need(!close(fd));
}

static void do_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED && !munmap(p, 4096));
}

static void do_own_signal(void)
{
	need(!syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), 0));
}

static void do_open(void) { open("/etc/passwd", O_RDONLY); }
static void do_socket(void) { socket(AF_INET, SOCK_STREAM, 0); }
static void do_exec(void) { execl("/bin/true", "true", (char *)NULL); }
static void do_fork(void) { syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }
static void do_ptrace(void) { syscall(SYS_ptrace, 0, 0, 0, 0); }

static void do_signal(void)
{
	syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static void do_setown(void)
{
	fcntl(0, F_SETOWN, getppid());
}

static void do_ring(void)
{
	struct io_uring_params p = { 0 };

	syscall(SYS_io_uring_setup, 4, &p);
}

static void do_exec_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	     -1, 0);
}

static void do_new_vm(void) { ioctl(0, KVM_CREATE_VM, 0); }
static void do_tty(void) { ioctl(0, TIOCSTI, "x"); }

TEST("V-08 what a running machine needs is allowed")
{
	allowed("events", do_events);
	allowed("memory", do_memory);
	allowed("signals among own threads", do_own_signal);
}

TEST("V-08 every way out ends the process, and says so")
{
	forbidden("opening a file", do_open);
	forbidden("a socket", do_socket);
	forbidden("another program", do_exec);
	forbidden("another process", do_fork);
	forbidden("ptrace", do_ptrace);
	forbidden("a signal to another process", do_signal);
	forbidden("a signal by file ownership", do_setown);
	forbidden("a new io_uring", do_ring);
	forbidden("executable memory", do_exec_memory);
	forbidden("another virtual machine", do_new_vm);
	forbidden("typing into the terminal", do_tty);
}
