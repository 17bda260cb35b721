/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's console: between a device (serial port or virtio-console) and
 * whoever looks at it (terminal, clients of the control socket).
 */
#ifndef KVASIR_CONSOLE_H
#define KVASIR_CONSOLE_H

#include "loop.h"
#include "run.h"

struct console_hub;

/**
 * console_create() - make the device for @opts->console and join the two
 * @vcon: the virtio-console, to be destroyed by the caller; NULL unless chosen
 *
 * A terminal at @opts->con_in is made raw; whoever called restores it. In it
 * Ctrl-A x stops the machine, Ctrl-A Ctrl-A sends one Ctrl-A.
 */
int console_create(struct vm *vm, struct loop *loop,
		   const struct run_opts *opts, struct virtio_dev **vcon,
		   struct console_hub **out);
void console_destroy(struct console_hub *con);

/**
 * console_attach() - another viewer
 * @greeting: sent to it before any output
 *
 * Return: 0, @fd is taken over; -EBUSY (too many), -EPIPE (it does not take the
 * greeting) or -ENOMEM, @fd stays the caller's.
 */
int console_attach(struct console_hub *con, int fd, const char *greeting);

#endif /* KVASIR_CONSOLE_H */
