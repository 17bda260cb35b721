// SPDX-License-Identifier: GPL-2.0-only
/* The module as a whole; see kvt_module.h. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kvt_module.h"

int kvt_module_users(void)
{
	FILE *f = fopen("/sys/module/kvasir/refcnt", "re");
	int n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

int kvt_module_wait(int want, unsigned int ms)
{
	uint64_t deadline = kvt_deadline(ms);
	int n;

	while ((n = kvt_module_users()) != want && kvt_left(deadline))
		kvt_sleep(5);
	return n;
}

/* Is this a line with the name of a thread of device @id (-1: of any)? */
static bool thread_of(const char *name, const char *kind, int id)
{
	char want[64];
	size_t len;

	if (id < 0)
		snprintf(want, sizeof(want), "%s-", kind);
	else
		snprintf(want, sizeof(want), "%s-%d", kind, id);
	len = strlen(want);
	if (strncmp(name, want, len))
		return false;
	return id < 0 || name[len] == '.' || name[len] == '\n';
}

int kvt_threads(const char *kind, int id)
{
	DIR *proc = opendir("/proc");
	char path[300], name[64];
	struct dirent *e;
	int n = 0;

	ASSERT(proc, "/proc: %s", strerror(errno));
	while ((e = readdir(proc))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f))
			n += thread_of(name, kind, id);
		fclose(f);
	}
	closedir(proc);
	return n;
}

int kvt_threads_wait(const char *kind, int id, int want, unsigned int ms)
{
	uint64_t deadline = kvt_deadline(ms);
	int n;

	while ((n = kvt_threads(kind, id)) != want && kvt_left(deadline))
		kvt_sleep(10);
	return n;
}

void kvt_ready(int ready)
{
	ASSERT_EQ(write(ready, "x", 1), 1);
}

void kvt_ready_forever(int ready)
{
	kvt_ready(ready);
	for (;;)
		pause();
}

void kvt_kill_when_ready(void (*victim)(int arg, int ready), int arg,
			 unsigned int linger)
{
	int users = kvt_module_users(), ready[2], status;
	int net = kvt_threads("kvasir-net", -1);
	int blk = kvt_threads("kvasir-blk", -1);
	pid_t pid;
	char c;

	if (users < 0)
		SKIP("the module is not loaded");
	ASSERT_OK(pipe(ready));
	fflush(stdout);
	pid = fork();
	ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		close(ready[0]);
		victim(arg, ready[1]);
		exit(1);
	}
	close(ready[1]);
	ASSERT(read(ready[0], &c, 1) == 1, "%d: it did not get ready", arg);
	kvt_sleep(linger);
	ASSERT_OK(kill(pid, SIGKILL));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT(WIFSIGNALED(status), "%d: status 0x%x", arg, status);
	EXPECT_EQ(kvt_module_wait(users, KVT_FREE_MS), users);
	EXPECT_EQ(kvt_threads_wait("kvasir-net", -1, net, KVT_FREE_MS), net);
	EXPECT_EQ(kvt_threads_wait("kvasir-blk", -1, blk, KVT_FREE_MS), blk);
	close(ready[0]);
}

static FILE *param_open(const char *name, const char *mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/kvasir/parameters/%s", name);
	f = fopen(path, mode);
	ASSERT(f, "%s: %s", path, strerror(errno));
	return f;
}

unsigned int kvt_param(const char *name)
{
	FILE *f = param_open(name, "re");
	unsigned int n = 0;

	ASSERT(fscanf(f, "%u", &n) == 1, "parameter %s is no number", name);
	fclose(f);
	return n;
}

static void param_write(const char *name, unsigned int value)
{
	FILE *f = param_open(name, "we");

	fprintf(f, "%u\n", value);
	ASSERT_EQ(fclose(f), 0);
}

/* What the parameters that were set have to be again. */
static struct {
	const char *name;
	unsigned int value;
} params[4];
static unsigned int nr_params;

static void params_restore(void)
{
	while (nr_params--)
		param_write(params[nr_params].name, params[nr_params].value);
}

void kvt_param_set(const char *name, unsigned int value)
{
	ASSERT(nr_params < sizeof(params) / sizeof(params[0]),
	       "too many parameters");
	params[nr_params].name = name;
	params[nr_params].value = kvt_param(name);
	if (!nr_params++)
		ASSERT_EQ(atexit(params_restore), 0);
	param_write(name, value);
	EXPECT_EQ(kvt_param(name), value);
}

int kvt_module_unload(void)
{
	return syscall(SYS_delete_module, "kvasir", O_NONBLOCK) ? -errno : 0;
}

int kvt_module_load(void)
{
	int fd = open(kvt_env("KVT_MODULE", ""), O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

void kvt_module_need(void)
{
	if (geteuid())
		SKIP("needs root");
	if (kvt_module_users() < 0)
		SKIP("the module is not loaded");
	if (!getenv("KVT_MODULE"))
		SKIP("KVT_MODULE does not name a kvasir.ko to load again");
}
