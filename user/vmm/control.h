/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket, VMM_RUN_DIR/<name>.sock.
 *
 * A request is one JSON object on one line, at most CONTROL_MAX bytes with its
 * newline; so is the answer: {"ok":true,...} or {"ok":false,"error":"..."}.
 *
 *   {"cmd":"info"}     name, pid, kernel, cpus, mem, uptime_ms, devices
 *   {"cmd":"stop"}     press the power button; the guest decides
 *   {"cmd":"kill"}     end the guest now
 *   {"cmd":"resize"}   measure the disks anew: disks (name, bytes, changed)
 *   {"cmd":"console"}  after the answer the connection is the console
 *
 * A request that cannot be understood is answered and ends the connection, and
 * so does a console that cannot be had.
 */
#ifndef KVASIR_CONTROL_H
#define KVASIR_CONTROL_H

#include <json-c/json.h>

#include "janitor.h"
#include "loop.h"
#include "vm.h"

#define CONTROL_MAX	4096

struct control;

struct control_ops {
	/* Add the members of "info" to @reply. */
	void (*info)(void *ctx, struct json_object *reply);
	/* 0 or -errno */
	int (*stop)(void *ctx);
	void (*kill)(void *ctx);
	/* Add the members of "resize" to @reply. 0 or -errno. */
	int (*resize)(void *ctx, struct json_object *reply);
	/* Takes @fd over, after sending @greeting, if it returns 0. */
	int (*console)(void *ctx, int fd, const char *greeting);
};

/* @path: of the socket, 107 bytes at most; in a folder that exists. */
int control_create(struct vm *vm, struct loop *loop, const char *path,
		   struct janitor *janitor, const struct control_ops *ops,
		   void *ctx, struct control **out);
void control_destroy(struct control *ctl);

#endif /* KVASIR_CONTROL_H */
