/* SPDX-License-Identifier: GPL-2.0-only */
/* H3: what the parts of the virtio-net device share. */
#ifndef KVASIR_DEV_NET_H
#define KVASIR_DEV_NET_H

#include <linux/virtio_net.h>

#include "link.h"
#include "soft.h"
#include "tap.h"

#define NET_MAX_PAIRS	TAP_MAX_QUEUES
#define NET_RX(pair)	(2 * (pair))
#define NET_TX(pair)	(2 * (pair) + 1)

struct net_user;

struct net_dev {
	struct virtio_dev v;
	struct virtio_net_config config;
	char name[16];
	struct tap *tap;
	unsigned int pairs;
	struct link *link[NET_MAX_PAIRS];	/* by pair: a kernel backend */
	struct net_user *user[NET_MAX_PAIRS];	/* or one in this process */
	struct soft *ctrl;	/* control queue; kernel backends' errors */
	struct soft_queue *ctrl_q;
	struct vq no_vq;	/* stands for a control queue not negotiated */
};

/* dev_net_user.c: one queue pair served by readv() and writev() on the tap */
int net_user_create(struct net_dev *net, unsigned int pair,
		    struct net_user **out);
void net_user_destroy(struct net_user *user);
int net_user_start(struct net_user *user);
void net_user_stop(struct net_user *user);

/* dev_net_ctrl.c: the control queue */
int net_ctrl_create(struct net_dev *net);
int net_ctrl_start(struct net_dev *net);

#endif /* KVASIR_DEV_NET_H */
