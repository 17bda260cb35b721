/* SPDX-License-Identifier: GPL-2.0-only */
/* What kvasir doctor looks at; cmd_doctor.c prints it. */
#ifndef KVASIR_DOCTOR_H
#define KVASIR_DOCTOR_H

#include <stdbool.h>

struct finding {
	bool ok;
	char detail[256];	/* what was found */
	char mend[256];		/* a command, or what to change; "" if ok */
};

struct doctor_check {
	const char *name;
	bool needed;		/* without it no guest uses the module */
	void (*look)(struct finding *f);
	const char *use;	/* what is lost without it */
};

/* Ends with .name NULL. */
extern const struct doctor_check doctor_checks[];

#endif /* KVASIR_DOCTOR_H */
