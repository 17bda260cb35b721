/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the supported kernels (6.1 and 6.12), under one name.
 * No other file looks at the kernel's version. COMPAT_HAS_* come from probing
 * the headers (compat/Kbuild.include), since stable kernels take things over.
 *
 * Each entry says which kernel makes it unnecessary.
 */
#ifndef KVS_COMPAT_H
#define KVS_COMPAT_H

#include <linux/blkdev.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/version.h>
#include <net/genetlink.h>

/* 6.8: eventfd_signal() lost its count. */
static inline void kvs_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

/*
 * 6.9: a claim on a block device is a file. One that was taken is returned,
 * or an ERR_PTR (-EBUSY: mounted, or somebody else's).
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static inline void *kvs_bdev_claim(struct block_device *bdev, void *holder)
{
	return bdev_file_open_by_dev(bdev->bd_dev,
				     BLK_OPEN_READ | BLK_OPEN_WRITE, holder,
				     NULL);
}

static inline void kvs_bdev_unclaim(void *claim)
{
	bdev_fput(claim);	/* at once, not when the task returns */
}
#else
#define KVS_CLAIM_MODE (FMODE_READ | FMODE_WRITE | FMODE_EXCL)

static inline void *kvs_bdev_claim(struct block_device *bdev, void *holder)
{
	return blkdev_get_by_dev(bdev->bd_dev, KVS_CLAIM_MODE, holder);
}

static inline void kvs_bdev_unclaim(void *claim)
{
	blkdev_put(claim, KVS_CLAIM_MODE);
}
#endif

/* 6.11: having queues to poll became one of the queue's limits. */
static inline bool kvs_bdev_can_poll(struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	return bdev_get_queue(bdev)->limits.features & BLK_FEAT_POLL;
#else
	return test_bit(QUEUE_FLAG_POLL, &bdev_get_queue(bdev)->queue_flags);
#endif
}

/* 6.6: what a dump was asked with moved into struct genl_info. */
static inline struct nlattr **kvs_genl_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

/* 6.6, and stable kernels that took it: freeze protection of async writes. */
#ifndef COMPAT_HAS_KIOCB_START_WRITE
static inline void kiocb_start_write(struct kiocb *iocb)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	if (!S_ISREG(inode->i_mode))
		return;
	sb_start_write(inode->i_sb);
	/* lockdep: another thread will end it */
	__sb_writers_release(inode->i_sb, SB_FREEZE_WRITE);
}

static inline void kiocb_end_write(struct kiocb *iocb)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	if (!S_ISREG(inode->i_mode))
		return;
	__sb_writers_acquired(inode->i_sb, SB_FREEZE_WRITE);
	sb_end_write(inode->i_sb);
}
#endif

/*
 * 6.8: vfs_iocb_iter_write() takes the freeze protection, and keeps it when it
 * returns -EIOCBQUEUED: the completion ends it (kiocb_end_write()).
 */
static inline ssize_t kvs_iocb_write(struct kiocb *iocb, struct iov_iter *iter)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return vfs_iocb_iter_write(iocb->ki_filp, iocb, iter);
#else
	ssize_t ret;

	kiocb_start_write(iocb);
	ret = vfs_iocb_iter_write(iocb->ki_filp, iocb, iter);
	if (ret != -EIOCBQUEUED)
		kiocb_end_write(iocb);
	return ret;
#endif
}

/* 6.2: virtio_net_hdr_to_skb() knows UDP segmentation. */
#ifdef COMPAT_HAS_GSO_UDP_L4
#define KVS_LOWER_USO	BIT_ULL(VIRTIO_NET_F_HOST_USO)
#else
#define KVS_LOWER_USO	0
#endif

#endif /* KVS_COMPAT_H */
