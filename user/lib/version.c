// SPDX-License-Identifier: LGPL-2.1-or-later
/* The release of the library in use, as opposed to the one compiled against. */
#include "internal.h"

#define STR_(x) #x
#define STR(x) STR_(x)

const char *kvasir_version(void)
{
	return STR(KVASIR_VERSION_MAJOR) "." STR(KVASIR_VERSION_MINOR) "."
	       STR(KVASIR_VERSION_PATCH);
}
