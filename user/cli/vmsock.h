/* SPDX-License-Identifier: GPL-2.0-only */
/* The client end of a running guest's control socket. */
#ifndef KVASIR_VMSOCK_H
#define KVASIR_VMSOCK_H

#include <stdbool.h>

struct json_object;

/* May @name be a guest's name, and so part of a file name? */
bool vmsock_name_valid(const char *name);

/**
 * vmsock_connect() - connect to the guest called @name
 *
 * Return: a descriptor, or -errno: -ENOENT no such guest, -ECONNREFUSED its
 * process is gone and left the socket, -EACCES not permitted.
 */
int vmsock_connect(const char *name);

/**
 * vmsock_ask() - send {"cmd": @cmd}, take the reply of one line
 * @reply: the reply's object; the caller's to put. NULL: not wanted.
 *
 * Reads no further than the reply's newline.
 *
 * Return: 0 when the guest says ok, -EPROTO when it answers nonsense,
 * -EREMOTEIO when it refuses (@reply then tells), -ETIMEDOUT, other -errno.
 */
int vmsock_ask(int fd, const char *cmd, struct json_object **reply);

/* Why the guest refused, "" if it does not say; valid as long as @reply. */
const char *vmsock_why(struct json_object *reply);

#endif /* KVASIR_VMSOCK_H */
