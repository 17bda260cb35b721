// SPDX-License-Identifier: LGPL-2.1-or-later
/* Words for the caller's log callback; without one they go nowhere. */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

void kvl_log(const struct kvl_log *log, enum kvasir_log_level level,
	     const char *fmt, ...)
{
	char msg[512];
	va_list ap;

	if (!log->fn)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	log->fn(log->ctx, level, msg);
}
