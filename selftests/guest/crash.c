// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash - files that must outlive a guest.
 *
 *	crash write DIR		for ever; "acked N" is said when file N is safe
 *	crash check DIR N	are all files there that were said to be, whole?
 *
 * A file is written, synced, renamed, and the folder synced; the last KEEP are
 * kept. Runs in a guest without libraries to write, in its host to check.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP	40u
#define WORDS	3000u	/* of a file: no whole number of blocks */

static const char *dir;

static int fail(const char *what, unsigned int n)
{
	printf("crash: %s %u: %s\n", what, n, strerror(errno));
	return 1;
}

static void name(char *path, size_t size, const char *prefix, unsigned int n)
{
	snprintf(path, size, "%s/%s%u", dir, prefix, n);
}

static void fill(uint64_t *p, unsigned int n)
{
	uint64_t x = n * 0x9e3779b97f4a7c15ull;
	unsigned int i;

	for (i = 0; i < WORDS; i++, x += 0x9e3779b97f4a7c15ull)
		p[i] = x ^ x >> 29;
}

static int write_one(int folder, unsigned int n)
{
	char old[256], path[256];
	uint64_t data[WORDS];
	int fd;

	fill(data, n);
	name(old, sizeof(old), "new.", n);
	name(path, sizeof(path), "file.", n);
	fd = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data) ||
	    fsync(fd) || close(fd) || rename(old, path) || fsync(folder))
		return fail("write", n);
	printf("acked %u\n", n);
	fflush(stdout);
	if (n > KEEP) {
		name(old, sizeof(old), "file.", n - KEEP);
		if (unlink(old))
			return fail("unlink", n - KEEP);
	}
	return 0;
}

/* Whether file @n is there and whole. */
static bool whole(unsigned int n)
{
	uint64_t data[WORDS + 1], want[WORDS];
	char path[256];
	ssize_t got;
	int fd;

	name(path, sizeof(path), "file.", n);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fail("file", n);
		return false;
	}
	got = read(fd, data, sizeof(data));
	close(fd);
	fill(want, n);
	if (got == sizeof(want) && !memcmp(data, want, sizeof(want)))
		return true;
	printf("crash: file %u: %zd bytes, changed\n", n, got);
	return false;
}

static int check(unsigned int last)
{
	unsigned int n, bad = 0;
	char path[256];

	for (n = last >= KEEP ? last - KEEP + 1 : 1; n <= last; n++)
		bad += !whole(n);
	/* one more may have been finished, and not been told */
	name(path, sizeof(path), "file.", n);
	if (!access(path, F_OK))
		bad += !whole(n);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	unsigned int n;
	int folder;

	if (argc < 3)
		return 2;
	dir = argv[2];
	if (!strcmp(argv[1], "check") && argc == 4)
		return check((unsigned int)atoi(argv[3]));
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail("folder", 0);
	for (n = 1; !write_one(folder, n); n++)
		;
	return 1;
}
