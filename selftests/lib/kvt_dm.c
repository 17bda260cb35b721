// SPDX-License-Identifier: GPL-2.0-only
/* The device mapper by its command; see kvt_dm.h. */
#include <fcntl.h>

#include "kvt_dm.h"

/* The lab has no udev that would make the nodes. */
#define DMSETUP "DM_DISABLE_UDEV=1 dmsetup "

int kvt_dm(const char *name, const char *module, const char *table)
{
	char path[64];
	int fd;

	if (!kvt_run("command -v dmsetup >/dev/null"))
		SKIP("no dmsetup (package dmsetup)");
	if (!kvt_run("modprobe -a dm_mod %s", module))
		SKIP("modprobe %s failed", module);
	/* left by a test that failed */
	kvt_run(DMSETUP "remove --force %s >/dev/null", name);
	if (!kvt_run(DMSETUP "create %s --table '%s'", name, table))
		SKIP("dmsetup create %s failed", name);
	snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT(fd >= 0, "open %s: %s", path, strerror(errno));
	return fd;
}

void kvt_dm_reload(const char *name, const char *table)
{
	ASSERT(kvt_run(DMSETUP "load %s --table '%s'", name, table),
	       "%s: load", name);
	ASSERT(kvt_run(DMSETUP "suspend --nolockfs %s", name),
	       "%s: suspend", name);
	ASSERT(kvt_run(DMSETUP "resume %s", name), "%s: resume", name);
}

#define HELD	"0 8192 delay /dev/ram0 0 60000"
#define LET_GO	"0 8192 delay /dev/ram0 0 0"

int kvt_dm_held(const char *name)
{
	close(kvt_blockdev(KVT_RAMDISK));
	return kvt_dm(name, "dm-delay", HELD);
}

void kvt_dm_hold(const char *name, bool on)
{
	kvt_dm_reload(name, on ? HELD : LET_GO);
}

void kvt_dm_message(const char *name, const char *text)
{
	ASSERT(kvt_run(DMSETUP "message %s 0 %s", name, text),
	       "%s: message %s", name, text);
}

void kvt_dm_remove(const char *name)
{
	ASSERT(kvt_run(DMSETUP "remove --retry %s", name), "%s: remove", name);
}
