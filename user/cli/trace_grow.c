// SPDX-License-Identifier: GPL-2.0-only
/* Arrays that are kept; see trace_grow.h. */
#include <stdlib.h>
#include <string.h>

#include "trace_grow.h"

void *trace_grow(void *array, size_t *n, size_t *spare, size_t size)
{
	size_t more = *n / 4 + 1;
	char *old, *grown;

	memcpy(&old, array, sizeof(old));
	if (!*spare) {
		grown = reallocarray(old, *n + more, size);
		if (!grown)
			return NULL;
		memset(grown + *n * size, 0, more * size);
		memcpy(array, &grown, sizeof(grown));
		old = grown;
		*spare = more;
	}
	--*spare;
	return old + (*n)++ * size;
}
