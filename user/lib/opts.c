// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Size-first structures: the one place where an old caller meets a new
 * library, or a new caller an old one.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static size_t opts_size(const void *opts)
{
	size_t sz;

	memcpy(&sz, opts, sizeof(sz));
	return sz;
}

int kvl_opts_check(const void *opts, size_t v0_size)
{
	return opts && opts_size(opts) >= v0_size ? 0 : -EINVAL;
}

int kvl_opts_get(void *full, size_t full_size, size_t v0_size,
		 const void *opts)
{
	const unsigned char *bytes = opts;
	size_t sz, i;
	int err;

	err = kvl_opts_check(opts, v0_size);
	if (err)
		return err;
	sz = opts_size(opts);
	for (i = full_size; i < sz; i++)
		if (bytes[i])
			return -E2BIG;
	memset(full, 0, full_size);
	memcpy(full, opts, sz < full_size ? sz : full_size);
	return 0;
}

int kvl_opts_put(void *opts, const void *full, size_t full_size,
		 size_t v0_size)
{
	size_t sz, known;
	int err;

	err = kvl_opts_check(opts, v0_size);
	if (err)
		return err;
	sz = opts_size(opts);
	known = sz < full_size ? sz : full_size;
	memset((char *)opts + known, 0, sz - known);
	memcpy((char *)opts + sizeof(sz), (const char *)full + sizeof(sz),
	       known - sizeof(sz));
	return 0;
}
