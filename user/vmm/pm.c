// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power management: the ACPI PM1 block (power button, soft off), and the
 * legacy ports a kernel uses to reset a PC.
 *
 * 0x60/0x64 and 0x70/0x71 are there to be answered, not to be used: an 8042
 * or RTC that reads all ones looks busy and is waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pm.h"

/* PM1 registers, ACPI 6.4, 4.8.3 */
#define PWRBTN		(1U << 8)	/* status and enable */
#define GLOBAL		(1U << 5)
#define CNT_SCI_EN	(1U << 0)
#define CNT_SLP_EN	(1U << 13)
#define CNT_SLP_TYP(x)	((x) >> 10 & 7)

#define PORT_KBD_DATA	0x60
#define PORT_KBD_CMD	0x64
#define KBD_RESET	0xfe
#define PORT_RTC	0x70
#define PORT_FAST_A20	0x92
#define FAST_RESET	0x01

struct pm {
	struct vm *vm;
	pthread_mutex_t lock;
	uint16_t status;
	uint16_t enable;
	uint16_t control;
};

/* Called with the lock held. */
static int update_sci(struct pm *pm)
{
	return vm_irq_set(pm->vm, VM_GSI_SCI, pm->status & pm->enable);
}

static void control_write(struct pm *pm, uint16_t val)
{
	pm->control = (val & ~CNT_SLP_EN) | CNT_SCI_EN;
	if (val & CNT_SLP_EN && CNT_SLP_TYP(val) == PM_SLP_TYP_S5)
		vm_stop(pm->vm, VM_OFF);
}

static void reg_write(struct pm *pm, uint64_t offset, uint16_t val)
{
	switch (offset) {
	case 0:
		pm->status &= ~val;	/* write one to clear */
		break;
	case 2:
		pm->enable = val & (PWRBTN | GLOBAL);
		break;
	case 4:
		control_write(pm, val);
		break;
	}
	if (update_sci(pm))
		vm_stop(pm->vm, VM_ERROR);
}

static uint16_t reg_read(const struct pm *pm, uint64_t offset)
{
	switch (offset) {
	case 0:
		return pm->status;
	case 2:
		return pm->enable;
	case 4:
		return pm->control;
	default:
		return 0;
	}
}

/* 16-bit registers; 32-bit accesses reach two of them. */
static void pm1(void *ctx, uint64_t offset, void *data, unsigned int len,
		bool write)
{
	struct pm *pm = ctx;
	unsigned int i;
	uint16_t val;

	if (!write)
		memset(data, 0, len);
	if (offset % 2 || len < 2)
		return;
	pthread_mutex_lock(&pm->lock);
	for (i = 0; i < len; i += 2) {
		if (write) {
			memcpy(&val, (char *)data + i, 2);
			reg_write(pm, offset + i, val);
		} else {
			val = reg_read(pm, offset + i);
			memcpy((char *)data + i, &val, 2);
		}
	}
	pthread_mutex_unlock(&pm->lock);
}

int pm_power_button(struct pm *pm)
{
	int ret;

	pthread_mutex_lock(&pm->lock);
	pm->status |= PWRBTN;
	ret = update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
	return ret;
}

static void kbd_command(void *ctx, uint64_t offset, void *data,
			unsigned int len, bool write)
{
	struct pm *pm = ctx;

	(void)offset;
	if (!write)
		memset(data, 0, len);
	else if (*(uint8_t *)data == KBD_RESET)
		vm_stop(pm->vm, VM_RESET);
}

static void fast_a20(void *ctx, uint64_t offset, void *data, unsigned int len,
		     bool write)
{
	struct pm *pm = ctx;

	(void)offset;
	if (!write)
		memset(data, 0, len);
	else if (*(uint8_t *)data & FAST_RESET)
		vm_stop(pm->vm, VM_RESET);
}

static void reads_zero(void *ctx, uint64_t offset, void *data,
		       unsigned int len, bool write)
{
	(void)ctx;
	(void)offset;
	if (!write)
		memset(data, 0, len);
}

int pm_create(struct vm *vm, struct pm **out)
{
	struct pm *pm = calloc(1, sizeof(*pm));
	int ret;

	if (!pm)
		return vmm_err(vm, -ENOMEM, "power management: out of memory");
	pm->vm = vm;
	pm->control = CNT_SCI_EN;
	pthread_mutex_init(&pm->lock, NULL);
	ret = bus_add(vm->pio, PM_BASE, PM_SIZE, pm1, pm);
	ret = ret ?: bus_add(vm->pio, PORT_KBD_DATA, 1, reads_zero, pm);
	ret = ret ?: bus_add(vm->pio, PORT_KBD_CMD, 1, kbd_command, pm);
	ret = ret ?: bus_add(vm->pio, PORT_RTC, 2, reads_zero, pm);
	ret = ret ?: bus_add(vm->pio, PORT_FAST_A20, 1, fast_a20, pm);
	if (ret) {
		pm_destroy(pm);
		return vmm_err(vm, ret, "power management: ports: %s",
			       strerror(-ret));
	}
	*out = pm;
	return 0;
}

/* vCPUs do not run (any more). */
void pm_destroy(struct pm *pm)
{
	if (!pm)
		return;
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}
