// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device nodes: open, release, ioctl; read, write and poll where there is an
 * IOTLB. Control path only.
 *
 * Who may open a node is the node's mode (0600, given to the kvm group by the
 * udev rule); who may use an open one is decided at each call by
 * kvs_dev_check_owner().
 */
#include <linux/compat.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "kvasir.h"

static int kvs_open(struct file *file, const struct kvs_dev_ops *ops)
{
	struct kvs_dev *dev = ops->create();

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	file->private_data = dev;
	return 0;
}

static int kvs_net_open(struct inode *inode, struct file *file)
{
	return kvs_open(file, &kvs_net_ops);
}

static int kvs_blk_open(struct inode *inode, struct file *file)
{
	return kvs_open(file, &kvs_blk_ops);
}

static int kvs_release(struct inode *inode, struct file *file)
{
	struct kvs_dev *dev = file->private_data;

	mutex_lock(&dev->lock);
	kvs_dev_disown(dev);
	mutex_unlock(&dev->lock);
	dev->ops->destroy(dev);
	return 0;
}

static long kvs_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct kvs_dev *dev = file->private_data;
	void __user *argp = (void __user *)arg;
	long ret;

	/* Another thread may be waiting for a slow disk in here. */
	if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	ret = kvs_dev_ioctl(dev, cmd, argp);
	if (ret == -ENOIOCTLCMD)
		ret = kvs_vq_ioctl(dev, cmd, argp);
	if (ret == -ENOIOCTLCMD)
		ret = dev->ops->ioctl(dev, cmd, argp);
	mutex_unlock(&dev->lock);
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}

/* IOTLB messages, see iotlb.c. */
static ssize_t kvs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	bool block = !(file->f_flags & O_NONBLOCK ||
		       iocb->ki_flags & IOCB_NOWAIT);

	return kvs_iotlb_read(file->private_data, to, block);
}

static ssize_t kvs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return kvs_iotlb_write(iocb->ki_filp->private_data, from);
}

static __poll_t kvs_poll(struct file *file, poll_table *table)
{
	return kvs_iotlb_poll(file->private_data, file, table);
}

static const struct file_operations kvs_net_fops = {
	.owner = THIS_MODULE,
	.open = kvs_net_open,
	.release = kvs_release,
	.read_iter = kvs_read_iter,
	.write_iter = kvs_write_iter,
	.poll = kvs_poll,
	.unlocked_ioctl = kvs_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static const struct file_operations kvs_blk_fops = {
	.owner = THIS_MODULE,
	.open = kvs_blk_open,
	.release = kvs_release,
	.unlocked_ioctl = kvs_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice kvs_net_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kvasir-net",
	.fops = &kvs_net_fops,
	.mode = 0600,
};

static struct miscdevice kvs_blk_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kvasir-blk",
	.fops = &kvs_blk_fops,
	.mode = 0600,
};

int kvs_chardev_init(void)
{
	int ret;

	ret = misc_register(&kvs_net_misc);
	if (ret)
		return ret;
	ret = misc_register(&kvs_blk_misc);
	if (ret)
		misc_deregister(&kvs_net_misc);
	return ret;
}

void kvs_chardev_exit(void)
{
	misc_deregister(&kvs_blk_misc);
	misc_deregister(&kvs_net_misc);
}
