// SPDX-License-Identifier: GPL-2.0-only
/* Faults at an exact place; see kvt_fault.h. */
#include <fcntl.h>

#include "kvt_fault.h"

#define KNOBS "/sys/kernel/debug"

static void knob(const char *capability, const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), KNOBS "/%s/%s", capability, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		SKIP("no fault injection in this kernel (make check-debug has one)");
	if (fd < 0)
		SKIP("%s: %s", path, strerror(errno));
	ASSERT(write(fd, value, strlen(value)) == (ssize_t)strlen(value),
	       "%s: %s", path, strerror(errno));
	close(fd);
}

/* Where the module's code is; the end is rounded up to all it has in memory. */
static void module_text(unsigned long *start, unsigned long *end)
{
	unsigned long size;
	char line[512];
	FILE *f = fopen("/proc/modules", "re");

	ASSERT(f, "/proc/modules: %s", strerror(errno));
	*start = 0;
	while (!*start && fgets(line, sizeof(line), f))
		if (sscanf(line, "kvasir %lu %*s %*s %*s 0x%lx", &size,
			   start) == 2)
			*end = *start + size;
	fclose(f);
	if (!*start)
		SKIP("the module is not loaded");
}

/* Only with a caller between @start and @end. */
static void callers(const char *capability, unsigned long start,
		    unsigned long end)
{
	char text[32];

	knob(capability, "verbose", "0");
	snprintf(text, sizeof(text), "0x%lx", start);
	knob(capability, "require-start", text);
	snprintf(text, sizeof(text), "0x%lx", end);
	knob(capability, "require-end", text);
}

void kvt_fault_set(bool copies)
{
	unsigned long start, end;

	module_text(&start, &end);
	/* without these only what may not sleep, and large pages, would fail */
	knob("failslab", "ignore-gfp-wait", "N");
	knob("fail_page_alloc", "ignore-gfp-wait", "N");
	knob("fail_page_alloc", "ignore-gfp-highmem", "N");
	knob("fail_page_alloc", "min-order", "0");
	callers("failslab", start, end);
	callers("fail_page_alloc", start, end);
	callers("fail_usercopy", copies ? start : 1, copies ? end : 1);
}

int kvt_fault_open(pid_t tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

void kvt_fault_arm(int fault, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	ASSERT(pwrite(fault, text, (size_t)len, 0) == len, "fail-nth: %s",
	       strerror(errno));
}

unsigned int kvt_fault_disarm(int fault)
{
	char text[16] = "";

	ASSERT(pread(fault, text, sizeof(text) - 1, 0) > 0, "fail-nth: %s",
	       strerror(errno));
	kvt_fault_arm(fault, 0);
	return (unsigned int)strtoul(text, NULL, 10);
}
