/* SPDX-License-Identifier: GPL-2.0-only */
/* COM1: a 16550A at port 0x3f8. */
#ifndef KVASIR_SERIAL_H
#define KVASIR_SERIAL_H

#include "vm.h"

struct serial;

struct serial_ops {
	/* The guest sent bytes; vCPU thread, under the port's lock. */
	void (*output)(void *ctx, const void *data, size_t len);
	/* serial_input() has room again; likewise. */
	void (*room)(void *ctx);
};

int serial_create(struct vm *vm, const struct serial_ops *ops, void *ctx,
		  struct serial **out);
void serial_destroy(struct serial *serial);

/**
 * serial_input() - bytes for the guest
 *
 * Return: how many the FIFO took. None while the guest does not listen
 * (receive interrupt off), so that what is typed early is not lost; then,
 * and when the FIFO was full, room() is called once it has room.
 */
size_t serial_input(struct serial *serial, const void *data, size_t len);

#endif /* KVASIR_SERIAL_H */
