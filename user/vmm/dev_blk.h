/* SPDX-License-Identifier: GPL-2.0-only */
/* H3: what the parts of the virtio-blk device share. */
#ifndef KVASIR_DEV_BLK_H
#define KVASIR_DEV_BLK_H

#include <linux/virtio_blk.h>

#include "blk_parse.h"
#include "disk.h"
#include "link.h"
#include "soft.h"

#define BLK_QUEUE_MAX	256	/* ring entries */

struct blk_user;

struct blk_dev {
	struct virtio_dev v;
	struct virtio_blk_config config;
	char name[16];
	struct disk disk;
	struct kvs_blk_limits limits;
	bool writethrough;	/* how the device starts */
	bool poll;
	struct link *link;	/* a kernel backend */
	struct soft *watch;	/* of its errors */
	struct blk_user *user[VIRTIO_MAX_QUEUES];	/* or this process */
};

/* dev_blk_user.c: one queue served by io_uring */
int blk_user_create(struct blk_dev *blk, unsigned int queue,
		    struct blk_user **out);
void blk_user_destroy(struct blk_user *user);
int blk_user_start(struct blk_user *user);
void blk_user_stop(struct blk_user *user);

#endif /* KVASIR_DEV_BLK_H */
