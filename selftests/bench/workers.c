// SPDX-License-Identifier: GPL-2.0-only
/* The threads behind queues; see workers.h. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>

#include "kvt.h"
#include "workers.h"

/* Threads are looked for once: nothing may be opened later than that. */
#define MAX_WORKERS 256

static pid_t tids[MAX_WORKERS];
static unsigned int nr_tids;

static bool text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = 0;
	return true;
}

static bool is_worker(const char *comm)
{
	return !strncmp(comm, "vhost-", 6) ||
	       !strncmp(comm, "kvasir-net", 10) ||
	       !strncmp(comm, "kvasir-blk", 10);
}

/* Tasks of a folder: workers, or all there are. */
static void find_in(const char *dir, bool all)
{
	char path[288], comm[64];
	struct dirent *e;
	DIR *d = opendir(dir);

	ASSERT(d, "%s: %s", dir, strerror(errno));
	while ((e = readdir(d))) {
		pid_t tid = (pid_t)atoi(e->d_name);

		snprintf(path, sizeof(path), "/proc/%d/comm", tid);
		if (tid <= 0 || !text(path, comm, sizeof(comm)) ||
		    !(all || is_worker(comm)))
			continue;
		ASSERT(nr_tids < MAX_WORKERS, "too many workers");
		tids[nr_tids++] = tid;
	}
	closedir(d);
}

static void find(void)
{
	if (nr_tids)
		return;
	find_in("/proc", false);
	/* a vhost worker may be a thread of its owner */
	find_in("/proc/self/task", false);
	ASSERT(nr_tids, "no worker thread found");
}

void workers_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	find_in(path, true);
}

static void add_one(struct workers *w, pid_t tid)
{
	char path[64], buf[4096];
	unsigned long long cpu;
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	ASSERT(text(path, buf, sizeof(buf)), "worker %d is gone", tid);
	p = strstr(buf, "\nvoluntary_ctxt_switches:");
	ASSERT(p, "%s tells no context switches", path);
	w->wakeups += strtoull(p + 25, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%d/schedstat", tid);
	ASSERT(text(path, buf, sizeof(buf)), "no %s", path);
	ASSERT_EQ(sscanf(buf, "%llu", &cpu), 1);
	w->cpu_ns += cpu;
	w->threads++;
}

void workers_read(struct workers *w)
{
	unsigned int i;

	find();
	memset(w, 0, sizeof(*w));
	for (i = 0; i < nr_tids; i++)
		add_one(w, tids[i]);
}

void workers_pin(int cpu)
{
	cpu_set_t set;
	unsigned int i;

	find();
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	for (i = 0; i < nr_tids; i++)
		ASSERT_OK(sched_setaffinity(tids[i], sizeof(set), &set));
}

void workers_sub(struct workers *w, const struct workers *now)
{
	w->threads = now->threads;
	w->wakeups = now->wakeups - w->wakeups;
	w->cpu_ns = now->cpu_ns - w->cpu_ns;
}

void workers_add(struct workers *w, const struct workers *more)
{
	w->threads = more->threads;
	w->wakeups += more->wakeups;
	w->cpu_ns += more->cpu_ns;
}
