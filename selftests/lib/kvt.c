// SPDX-License-Identifier: GPL-2.0-only
/* Test harness; see kvt.h. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "kvt.h"

enum { PASS = 0, FAIL = 1, SKIPPED = 4 };

/* One test program is one process tree: these are its test list and, in each
 * child, that test's failures.
 */
static struct kvt_test *tests, **tests_end = &tests;
static int failures;
static const void *test_arg;
static char *skip_reason;	/* shared with the parent */
#define SKIP_LEN 256

void kvt_register(struct kvt_test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

const void *kvt_arg(void)
{
	return test_arg;
}

void kvt_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
}

void kvt_fail(bool fatal, const char *file, int line, const char *what,
	      const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	va_list ap;

	failures++;
	va_start(ap, fmt);
	printf("# %s:%d: %s: ", base ? base + 1 : file, line, what);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
	if (fatal)
		exit(FAIL);
}

void kvt_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (skip_reason) {
		vsnprintf(skip_reason, SKIP_LEN, fmt, ap);
	} else {	/* a program that is no test, see main() */
		printf("# SKIP ");
		vprintf(fmt, ap);
		printf("\n");
	}
	va_end(ap);
	/* what already failed is not made good by skipping the rest */
	exit(failures ? FAIL : SKIPPED);
}

int kvt_failures(void)
{
	return failures;
}

pid_t kvt_child(void (*fn)(const void *arg), const void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (pid)
		return pid;
	failures = 0;
	fn(arg);
	fflush(stdout);
	_exit(failures ? FAIL : PASS);
}

void kvt_child_end(pid_t pid)
{
	int status;

	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == PASS,
	       "a child ended with status 0x%x", status);
}

void kvt_in_child(void (*fn)(const void *arg), const void *arg)
{
	kvt_child_end(kvt_child(fn, arg));
}

uint64_t kvt_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static const cpu_set_t *allowed_cpus(void)
{
	static cpu_set_t set;

	if (!CPU_COUNT(&set))
		ASSERT_OK(sched_getaffinity(0, sizeof(set), &set));
	return &set;
}

unsigned int kvt_cpus(void)
{
	return (unsigned int)CPU_COUNT(allowed_cpus());
}

unsigned int kvt_cpu(unsigned int n)
{
	unsigned int cpu = 0;

	for (n %= kvt_cpus(); !CPU_ISSET(cpu, allowed_cpus()) || n--; cpu++)
		;
	return cpu;
}

uint64_t kvt_deadline(unsigned int ms)
{
	return kvt_now() + ms;
}

int kvt_left(uint64_t deadline)
{
	uint64_t now = kvt_now();

	return deadline > now ? (int)(deadline - now) : 0;
}

void kvt_sleep(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

const char *kvt_stat_field(uint32_t pid, int n, char line[1024])
{
	char path[64], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	f = fopen(path, "re");
	ASSERT(f, "%s: %s", path, strerror(errno));
	ASSERT(fgets(line, 1024, f), "%s is empty", path);
	fclose(f);
	p = strrchr(line, ')');	/* the name may be anything */
	for (n -= 2; p && n > 0; n--)
		p = strchr(p + 1, ' ');
	ASSERT(p, "%s is short", path);
	return p + 1;
}

uint64_t kvt_seed(void)
{
	const char *s = getenv("KVT_SEED");
	struct timespec ts;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &ts);
	seed = s ? strtoull(s, NULL, 0) :
		(uint64_t)ts.tv_sec * 1000000007u + (uint64_t)ts.tv_nsec;
	if (!seed)
		seed = 1;
	kvt_note("KVT_SEED=%llu", (unsigned long long)seed);
	return seed;
}

uint64_t kvt_rand(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

const char *kvt_env(const char *name, const char *fallback)
{
	const char *v = getenv(name);

	return v && *v ? v : fallback;
}

/* How many times longer a test may take than on a plain kernel. */
static unsigned int slowness(void)
{
	int n = atoi(kvt_env("KVT_SLOW", "1"));

	return n > 1 ? (unsigned int)n : 1;
}

/* Wait for the child, at most @seconds; it is gone when this returns. */
static int wait_child(pid_t pid, unsigned int seconds, bool *late)
{
	uint64_t deadline = kvt_deadline(seconds * 1000);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int status, r;

	do {
		r = poll(&p, 1, kvt_left(deadline));
	} while (r < 0 && errno == EINTR);
	*late = r == 0;
	kill(-pid, SIGKILL);	/* and whatever the test left behind */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(pidfd);
	return status;
}

static int run_one(const struct kvt_test *test)
{
	unsigned int seconds = test->seconds * slowness();
	bool late;
	pid_t pid;
	int status;

	skip_reason[0] = 0;
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("# fork: %s\n", strerror(errno));
		return FAIL;
	}
	if (!pid) {
		setpgid(0, 0);
		test_arg = test->arg;
		test->fn();
		exit(failures ? FAIL : PASS);
	}
	setpgid(pid, pid);
	status = wait_child(pid, seconds, &late);
	if (late) {
		printf("# not done after %u s, killed\n", seconds);
		return FAIL;
	}
	if (WIFSIGNALED(status)) {
		printf("# killed by signal %d (%s)\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
		return FAIL;
	}
	switch (WEXITSTATUS(status)) {
	case PASS:
		return PASS;
	case SKIPPED:
		return skip_reason[0] ? SKIPPED : FAIL;
	default:
		return FAIL;
	}
}

static bool wanted(const struct kvt_test *test, const char *filter)
{
	return !filter || strstr(test->name, filter);
}

static int run_all(const char *filter)
{
	unsigned int nr = 0, passed = 0, failed = 0, skipped = 0;
	const struct kvt_test *t;

	for (t = tests; t; t = t->next)
		nr += wanted(t, filter);
	printf("TAP version 13\n1..%u\n", nr);
	nr = 0;
	for (t = tests; t; t = t->next) {
		if (!wanted(t, filter))
			continue;
		nr++;
		switch (run_one(t)) {
		case PASS:
			passed++;
			printf("ok %u %s\n", nr, t->name);
			break;
		case SKIPPED:
			skipped++;
			printf("ok %u %s # SKIP %s\n", nr, t->name,
			       skip_reason);
			break;
		default:
			failed++;
			printf("not ok %u %s\n", nr, t->name);
		}
	}
	printf("# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:%u error:0\n",
	       passed, failed, skipped);
	if (failed || !nr)
		return FAIL;
	return passed ? PASS : SKIPPED;
}

/* Benchmarks use the library with a main() of their own. */
__attribute__((weak)) int main(int argc, char **argv)
{
	const char *filter = NULL;
	struct kvt_test *t;
	int c;

	while ((c = getopt(argc, argv, "lf:")) != -1) {
		switch (c) {
		case 'l':
			for (t = tests; t; t = t->next)
				printf("%s\n", t->name);
			return 0;
		case 'f':
			filter = optarg;
			break;
		default:
			fprintf(stderr, "usage: %s [-l] [-f TEXT]\n", argv[0]);
			return 2;
		}
	}
	skip_reason = mmap(NULL, SKIP_LEN, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (skip_reason == MAP_FAILED) {
		fprintf(stderr, "mmap: %s\n", strerror(errno));
		return FAIL;
	}
	signal(SIGPIPE, SIG_IGN);
	return run_all(filter);
}
