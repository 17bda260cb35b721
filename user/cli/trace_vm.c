// SPDX-License-Identifier: GPL-2.0-only
/* Virtual machines by process and name; see trace_vm.h. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace_vm.h"

int trace_has_vm(uint32_t pid)
{
	char path[64], to[64];
	struct dirent *e;
	int found = 0;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	d = opendir(path);
	if (!d)
		return -errno;
	while (!found && (e = readdir(d))) {
		n = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = 0;
		found = !strcmp(to, "anon_inode:kvm-vm");
	}
	closedir(d);
	return found;
}

/* Is @program, the first word of a command line, our own command? */
static bool is_ours(const char *program)
{
	const char *slash = strrchr(program, '/');

	return !strcmp(slash ? slash + 1 : program, "kvasir");
}

/*
 * The value of a name option in @arg, with @next behind it; NULL if it is none.
 * @ours: -n is one, too
 */
static const char *name_option(const char *arg, const char *next, bool ours,
			       size_t *len)
{
	const char *s;

	if (!strncmp(arg, "--name=", 7))
		s = arg + 7;
	else if (!strcmp(arg, "--name") || !strcmp(arg, "-name") ||
		 (ours && !strcmp(arg, "-n")))
		s = next;
	else
		return NULL;
	if (!strncmp(s, "guest=", 6))
		s += 6;
	*len = strcspn(s, ",");
	return s;
}

/* File @name of process @pid, cut to @size, and a 0. Return: its length */
static size_t read_proc(uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	f = fopen(path, "re");
	if (f) {
		len = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	buf[len] = 0;
	return len;
}

void trace_vm_comm(uint32_t pid, char *comm, size_t size)
{
	size_t len = read_proc(pid, "comm", comm, size);

	/* A name may have line breaks of its own; the last one is not. */
	if (len && comm[len - 1] == '\n')
		comm[len - 1] = 0;
}

void trace_vm_name(uint32_t pid, char *name, size_t size)
{
	const char *arg, *next, *s;
	char buf[4096];
	size_t len;

	*name = 0;
	len = read_proc(pid, "cmdline", buf, sizeof(buf));
	for (arg = buf; arg < buf + len; arg = next) {
		size_t n;

		next = arg + strlen(arg) + 1;
		s = name_option(arg, next < buf + len ? next : "", is_ours(buf),
				&n);
		if (s) {
			snprintf(name, size, "%.*s", (int)n, s);
			break;
		}
	}
}

int trace_find_vm(const char *name)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char got[128];
	int found = -ENOENT;
	uint32_t pid;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		pid = strtoul(e->d_name, NULL, 10);
		if (!pid)
			continue;
		trace_vm_name(pid, got, sizeof(got));
		if (strcmp(got, name) || trace_has_vm(pid) <= 0)
			continue;
		if (found > 0) {
			found = -EEXIST;
			break;
		}
		found = pid;
	}
	closedir(d);
	return found;
}
