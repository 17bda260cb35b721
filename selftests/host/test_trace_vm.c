// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests' names on command lines, and who has one.
 *
 * Proven: QEMU's -name is understood however it is spelled, ours is taken as it
 * is; a process whose files may not be seen is found by its name.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvt.h"
#include "../../user/cli/trace_vm.h"

/* A process with @program, @option, @value in its command line, stopped. */
static pid_t pretend(const char *program, const char *option, const char *value)
{
	int ready[2];
	pid_t pid;
	char c;

	ASSERT_OK(pipe(ready));
	pid = fork();
	if (!pid) {
		dup2(ready[1], STDOUT_FILENO);
		close(ready[0]);
		execl("/bin/sh", program, "-c", "echo; kill -STOP $$", "x",
		      option, value, NULL);
		_exit(1);
	}
	close(ready[1]);
	ASSERT_EQ(read(ready[0], &c, 1), 1);	/* the shell runs */
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST("a guest's name, as its user gave it")
{
	static const struct {
		const char *program, *option, *value, *want;
	} names[] = {
		{ "qemu", "-name", "web1", "web1" },
		{ "qemu", "-name", "web1,debug-threads=on", "web1" },
		{ "qemu", "-name", "guest=web1,debug-threads=on", "web1" },
		{ "qemu", "-name", "debug-threads=on,guest=web1", "web1" },
		{ "qemu", "-name", "debug-threads=on", "" },
		{ "qemu", "-name", "guest=a,,b,process=c", "a,b" },
		{ "qemu", "-name", "", "" },
		{ "/usr/bin/kvasir", "--name", "a=b,c", "a=b,c" },
		{ "/usr/bin/kvasir", "-n", "x", "x" },
		{ "lkvm", "--name", "x", "x" },
		{ "lkvm", "--name=y", "z", "y" },
		{ "qemu", "-n", "x", "" },
	};
	char name[64];
	unsigned int i;
	pid_t pid;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pid = pretend(names[i].program, names[i].option, names[i].value);
		trace_vm_name(pid, name, sizeof(name));
		EXPECT(!strcmp(name, names[i].want), "%s %s: %s",
		       names[i].option, names[i].value, name);
		end(pid);
	}
}

/* As somebody who may not see the files of root's processes. */
static int found_by_nobody(const char *name)
{
	int pipes[2], found = 0;
	pid_t pid;

	ASSERT_OK(pipe(pipes));
	pid = fork();
	if (!pid) {
		if (setuid(65534))
			_exit(1);
		found = trace_find_vm(name);
		_exit(write(pipes[1], &found, sizeof(found)) != sizeof(found));
	}
	ASSERT_EQ(read(pipes[0], &found, sizeof(found)), sizeof(found));
	waitpid(pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
	return found;
}

TEST("a guest is found by name without the right to see its files")
{
	char name[64];
	pid_t a, b;

	if (geteuid())
		SKIP("needs root, to be somebody else");
	snprintf(name, sizeof(name), "kvt-vm-%d", getpid());
	a = pretend("qemu", "-name", name);
	EXPECT_EQ(found_by_nobody(name), a);
	EXPECT_EQ(trace_find_vm(name), -ENOENT);	/* who sees: no VM */
	b = pretend("qemu", "-name", name);
	EXPECT_EQ(found_by_nobody(name), -EEXIST);
	end(a);
	end(b);
}
