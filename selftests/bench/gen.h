/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames out of an interface, as cheap as they come from userspace. */
#ifndef GEN_H
#define GEN_H

#include <sys/socket.h>

#include "drv.h"

struct gen {
	int sock;
	uint8_t frame[DRV_BUF_LEN];
	struct iovec iov;
	struct mmsghdr *msgs;
};

/* @burst: most frames of one gen_send() */
void gen_open(struct gen *g, const char *ifname, uint32_t size,
	      uint32_t burst);
void gen_send(struct gen *g, uint32_t n);

#endif /* GEN_H */
