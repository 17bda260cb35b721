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
static const char *name_option(const char *arg, const char *next, bool ours)
{
	if (!strncmp(arg, "--name=", 7))
		return arg + 7;
	if (!strcmp(arg, "--name") || !strcmp(arg, "-name") ||
	    (ours && !strcmp(arg, "-n")))
		return next;
	return NULL;
}

/* The part of @value up to its end or a comma; two commas stand for one. */
static const char *option_part(const char *value, char *part, size_t size)
{
	size_t n = 0;

	for (; *value; value++) {
		if (*value == ',' && *++value != ',')
			break;
		if (n + 1 < size)
			part[n++] = *value;
	}
	part[n] = 0;
	return value;
}

/*
 * What @value, QEMU's -name or kvmtool's --name, calls the guest: the part that
 * begins with guest=, wherever it is, else the first one if it has no key.
 */
static void guest_name(const char *value, char *name, size_t size)
{
	char part[256];
	bool first;

	for (first = true; *value; first = false) {
		value = option_part(value, part, sizeof(part));
		if (!strncmp(part, "guest=", 6))
			snprintf(name, size, "%s", part + 6);
		else if (first && !strchr(part, '='))
			snprintf(name, size, "%s", part);
	}
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

uint64_t trace_vm_start(uint32_t pid)
{
	char buf[1024], *s;
	int i;

	read_proc(pid, "stat", buf, sizeof(buf));
	s = strrchr(buf, ')');
	/* Field 3 begins two bytes behind; 19 more blanks lead to field 22. */
	for (i = 0; s && i < 20; i++)
		s = strchr(s + 1, ' ');
	return s ? strtoull(s, NULL, 10) : 0;
}

void trace_vm_name(uint32_t pid, char *name, size_t size)
{
	const char *arg, *next, *s;
	char buf[4096];
	size_t len;

	*name = 0;
	len = read_proc(pid, "cmdline", buf, sizeof(buf));
	for (arg = buf; arg < buf + len; arg = next) {
		next = arg + strlen(arg) + 1;
		s = name_option(arg, next < buf + len ? next : "", is_ours(buf));
		if (s && is_ours(buf))
			snprintf(name, size, "%s", s);
		else if (s)
			guest_name(s, name, size);
		if (s)
			break;
	}
}

int trace_find_vm(const char *name)
{
	int has, found = -ENOENT, untold = -ENOENT;
	DIR *d = opendir("/proc");
	struct dirent *e;
	char got[128];
	uint32_t pid;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		pid = strtoul(e->d_name, NULL, 10);
		if (!pid)
			continue;
		trace_vm_name(pid, got, sizeof(got));
		if (strcmp(got, name))
			continue;
		has = trace_has_vm(pid);
		if (has > 0)
			found = found > 0 ? -EEXIST : (int)pid;
		else if (has == -EACCES)
			untold = untold == -ENOENT ? (int)pid : -EEXIST;
		if (found == -EEXIST)
			break;
	}
	closedir(d);
	return found == -ENOENT ? untold : found;
}
