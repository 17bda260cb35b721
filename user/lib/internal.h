/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the library share; nothing here is exported. */
#ifndef KVASIR_LIB_INTERNAL_H
#define KVASIR_LIB_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Built with hidden visibility: what the public header declares is exported. */
#pragma GCC visibility push(default)
#include "kvasir.h"
#pragma GCC visibility pop

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- log.c ---- */

struct kvl_log {
	kvasir_log_fn fn;
	void *ctx;
};

void kvl_log(const struct kvl_log *log, enum kvasir_log_level level,
	     const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- opts.c ---- */

/**
 * kvl_opts_get() - take a caller's size-first structure
 * @full: the library's own, of @full_size bytes; overwritten
 * @v0_size: size of the structure in its first release, the least accepted
 * @opts: the caller's, of any later or earlier release
 *
 * Return: -EINVAL when shorter than @v0_size or NULL, -E2BIG when bytes
 * beyond @full_size are not zero.
 */
int kvl_opts_get(void *full, size_t full_size, size_t v0_size,
		 const void *opts);

/**
 * kvl_opts_put() - fill a caller's size-first structure
 *
 * Writes what fits, zeroes what the library does not know, leaves the
 * caller's size as it was. Errors as kvl_opts_check().
 */
int kvl_opts_put(void *opts, const void *full, size_t full_size,
		 size_t v0_size);

/* Could kvl_opts_put() fill @opts? Checked before anything is done. */
int kvl_opts_check(const void *opts, size_t v0_size);

/* ---- device.c ---- */

struct kvasir_dev {
	int fd;
	enum kvasir_type type;
	struct kvl_log log;
	uint64_t net_running;	/* bit per queue with a backend */
	bool blk_running;
};

/**
 * kvl_ioctl() - one ioctl on the device, failures logged by name
 *
 * Return: the ioctl's own result (>= 0) or -errno.
 */
int kvl_ioctl(struct kvasir_dev *dev, unsigned long request, void *arg,
	      const char *name);

#endif /* KVASIR_LIB_INTERNAL_H */
