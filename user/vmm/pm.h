/* SPDX-License-Identifier: GPL-2.0-only */
/* Power management: ACPI PM1 block, power button, the ways to reset. */
#ifndef KVASIR_PM_H
#define KVASIR_PM_H

#include "vm.h"

#define PM_BASE		0x600
#define PM1A_EVT	PM_BASE		/* status, enable: 2 bytes each */
#define PM1A_CNT	(PM_BASE + 4)
#define PM_SIZE		8
#define PM_SLP_TYP_S5	5

/* Reset control register; pci.c answers it. */
#define PM_RESET_PORT	0xcf9
#define PM_RESET_VALUE	0x06
#define PM_RESET_NOW	0x04

struct pm;

int pm_create(struct vm *vm, struct pm **out);
void pm_destroy(struct pm *pm);

/* Ask the guest to shut down; from any thread. */
int pm_power_button(struct pm *pm);

#endif /* KVASIR_PM_H */
