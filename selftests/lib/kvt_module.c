// SPDX-License-Identifier: GPL-2.0-only
/* The module as a whole; see kvt_module.h. */
#include <fcntl.h>
#include <sys/syscall.h>

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
