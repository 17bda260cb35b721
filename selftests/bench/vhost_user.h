/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's end of a vhost-user socket: the same rings as those of a vhost
 * node, handed to another process. No protocol features, so a queue runs from
 * its kick eventfd on.
 */
#ifndef VHOST_USER_H
#define VHOST_USER_H

#include "drv_ring.h"

/* Connect, negotiate exactly @features, share the memory; the socket. */
int vu_open(const char *path, const struct kvt_mem *mem, uint64_t features);
/* Hand over a ring; its queue runs. */
void vu_ring(int sock, unsigned int index, const struct drv_ring *r);
/* Wait until the other end has done all it was told. */
void vu_sync(int sock);

#endif /* VHOST_USER_H */
