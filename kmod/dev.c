// SPDX-License-Identifier: GPL-2.0-only
/*
 * One open device: owner, features, memory table, dirty log.
 *
 * The states, all under dev->lock: without owner -> owned (VHOST_SET_OWNER)
 * -> running (a backend is set) -> owned -> without owner (VHOST_RESET_OWNER
 * or release). An owned device holds a reference to the users of the owner's
 * address space, so guest memory outlives the process until release, which
 * comes when the last descriptor is closed.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kvasir.h"

static unsigned int max_user_devices = 1024;
module_param(max_user_devices, uint, 0644);
MODULE_PARM_DESC(max_user_devices,
		 "most devices that one user has open, of all kinds (0: no limit)");

/*
 * guards kvs_devs, which is in the order of ids, the backends' names, and what
 * users have
 */
DEFINE_MUTEX(kvs_devs_lock);
LIST_HEAD(kvs_devs);
static u32 kvs_next_id;

/* Give the device a number and a place in the list, if its user may have it. */
static int dev_register(struct kvs_dev *dev)
{
	u32 max = READ_ONCE(max_user_devices), n = 0;
	struct kvs_dev *other;
	int ret = 0;

	mutex_lock(&kvs_devs_lock);
	list_for_each_entry(other, &kvs_devs, node)
		n += uid_eq(other->opener, dev->opener);
	if (!max || n < max || capable(CAP_SYS_RESOURCE)) {
		dev->id = kvs_next_id++;
		list_add_tail(&dev->node, &kvs_devs);
	} else {
		ret = -EMFILE;
	}
	mutex_unlock(&kvs_devs_lock);
	return ret;
}

/**
 * kvs_dev_init() - begin a device's life
 * @dev: zeroed
 * @ops: its kind
 * @nr_vqs: its queues
 *
 * It is the user's who opens it, until it is closed, whoever uses it.
 *
 * Return: 0, -ENOMEM, or -EMFILE when the user has too many.
 */
int kvs_dev_init(struct kvs_dev *dev, const struct kvs_dev_ops *ops, u32 nr_vqs)
{
	int ret = -ENOMEM;
	u32 i;

	dev->ops = ops;
	mutex_init(&dev->lock);
	kvs_iotlb_init(&dev->iotlb);
	dev->vqs = kvcalloc(nr_vqs, sizeof(*dev->vqs), KVS_GFP);
	if (!dev->vqs)
		return -ENOMEM;
	dev->nr_vqs = nr_vqs;
	dev->workers = kcalloc(kvs_dev_max_workers(dev), sizeof(*dev->workers),
			       GFP_KERNEL_ACCOUNT);
	if (!dev->workers)
		goto err;
	for (i = 0; i < nr_vqs; i++)
		kvs_vq_init(&dev->vqs[i], dev, i);
	dev->opener = current_uid();
	ret = dev_register(dev);
	if (ret)
		goto err;
	return 0;

err:
	kfree(dev->workers);
	kvfree(dev->vqs);
	return ret;
}

/* Undoes kvs_dev_init(); the device has no owner. */
void kvs_dev_deinit(struct kvs_dev *dev)
{
	mutex_lock(&kvs_devs_lock);
	list_del(&dev->node);
	mutex_unlock(&kvs_devs_lock);
	kfree(dev->workers);
	kvfree(dev->vqs);
}

/**
 * kvs_dev_charge_worker() - may the owner have another worker?
 * @dev: owned
 *
 * A worker is a thread more that the system has for its owner's sake: no user
 * has more of them than the caller may have processes (RLIMIT_NPROC).
 *
 * Context: the owner's, under dev->lock. Return: 0 or -EAGAIN, as fork() does.
 */
int kvs_dev_charge_worker(struct kvs_dev *dev)
{
	kuid_t uid = current_uid();
	struct kvs_dev *other;
	unsigned long n = 0;
	int ret = -EAGAIN;

	mutex_lock(&kvs_devs_lock);
	list_for_each_entry(other, &kvs_devs, node)
		if (other->nr_workers && uid_eq(other->payer, uid))
			n += other->nr_workers;
	if (n < rlimit(RLIMIT_NPROC) || capable(CAP_SYS_RESOURCE)) {
		dev->payer = uid;
		dev->nr_workers++;
		ret = 0;
	}
	mutex_unlock(&kvs_devs_lock);
	return ret;
}

void kvs_dev_uncharge_worker(struct kvs_dev *dev)
{
	mutex_lock(&kvs_devs_lock);
	dev->nr_workers--;
	mutex_unlock(&kvs_devs_lock);
}

/* For people: what the device is attached to, "" for nothing. */
void kvs_dev_name_backend(struct kvs_dev *dev, const char *name)
{
	mutex_lock(&kvs_devs_lock);
	strscpy(dev->backend, name, sizeof(dev->backend));
	mutex_unlock(&kvs_devs_lock);
}

/*
 * Addresses in ioctls are looked up in the owner's address space, so only
 * a thread that lives there may name them: not a forked child, not a stranger
 * with a passed descriptor, not the owner after exec.
 */
int kvs_dev_check_owner(const struct kvs_dev *dev)
{
	struct mm_struct *mm = READ_ONCE(dev->mm);

	return mm && mm == current->mm ? 0 : -EPERM;
}

/*
 * Hand guest memory, or the IOTLB in front of it, to every queue. One that is
 * being served keeps the old table until it pauses; when this returns the old
 * one is out of use.
 */
void kvs_dev_share_mem(struct kvs_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct kvs_vq *vq = &dev->vqs[i];

		mutex_lock(&vq->lock);
		vq->umem = dev->mem;
		vq->mem = dev->iotlb.table ?: dev->mem;
		kvs_iotlb_changed(vq);
		mutex_unlock(&vq->lock);
	}
}

static long dev_set_owner(struct kvs_dev *dev)
{
	struct mm_struct *mm;
	struct kvs_mem *mem;
	u32 i;
	int ret;

	if (dev->mm)
		return -EBUSY;
	ret = kvs_mem_create(NULL, 0, &mem);
	if (ret)
		return ret;
	mm = get_task_mm(current);
	if (!mm) {
		kvs_mem_free(mem);
		return -ESRCH;
	}
	WRITE_ONCE(dev->mm, mm);
	dev->pid = task_tgid_nr(current);
	dev->mem = mem;
	kvs_iotlb_switch(dev, dev->features);
	for (i = 0; i < dev->nr_vqs; i++)
		dev->vqs[i].features = dev->features;
	ret = dev->ops->shared_worker ? kvs_dev_share_worker(dev) : 0;
	if (ret) {
		u64 features = dev->features, backend = dev->backend_features;

		kvs_dev_disown(dev);
		dev->features = features;
		dev->backend_features = backend;
	}
	return ret;
}

/**
 * kvs_dev_disown() - stop everything and forget the owner
 * @dev: with or without owner
 *
 * Context: under dev->lock; may wait for I/O in flight. Idempotent.
 */
void kvs_dev_disown(struct kvs_dev *dev)
{
	struct mm_struct *mm;
	u32 i;

	dev->ops->stop(dev);
	kvs_dev_free_workers(dev);
	for (i = 0; i < dev->nr_vqs; i++)
		kvs_vq_reset(&dev->vqs[i]);
	kvs_iotlb_off(&dev->iotlb);
	kvs_mem_free(dev->mem);
	dev->mem = NULL;
	WRITE_ONCE(dev->nr_regions, 0);
	if (dev->log_ctx)
		eventfd_ctx_put(dev->log_ctx);
	dev->log_ctx = NULL;
	dev->log_base = NULL;
	dev->features = 0;
	WRITE_ONCE(dev->backend_features, 0);
	dev->pid = 0;
	mm = dev->mm;
	WRITE_ONCE(dev->mm, NULL);
	wake_up_interruptible_all(&dev->iotlb.wait);
	if (mm)
		mmput(mm);
}

static bool dev_running(const struct kvs_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		if (dev->vqs[i].worker)
			return true;
	return false;
}

/* Frozen while running, but for the dirty log. */
static long dev_set_features(struct kvs_dev *dev, void __user *argp)
{
	u64 features;
	u32 i;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	if (features & ~dev->ops->features)
		return -EOPNOTSUPP;
	if ((features ^ dev->features) & ~BIT_ULL(VHOST_F_LOG_ALL) &&
	    dev_running(dev))
		return -EBUSY;

	dev->features = features;
	if (dev->mm && !dev_running(dev))
		kvs_iotlb_switch(dev, features);
	for (i = 0; i < dev->nr_vqs; i++) {
		struct kvs_vq *vq = &dev->vqs[i];

		mutex_lock(&vq->lock);
		vq->features = features;
		mutex_unlock(&vq->lock);
	}
	return 0;
}

static long dev_set_mem(struct kvs_dev *dev, void __user *argp)
{
	struct vhost_memory __user *um = argp;
	struct vhost_memory_region *raw;
	struct kvs_region *regions;
	struct kvs_mem *mem, *old;
	struct vhost_memory m;
	long ret = -ENOMEM;
	u32 i;

	if (copy_from_user(&m, um, sizeof(m)))
		return -EFAULT;
	if (m.padding)
		return -EOPNOTSUPP;
	if (m.nregions > KVS_MEM_MAX_REGIONS)
		return -E2BIG;

	raw = kvmalloc_array(m.nregions, sizeof(*raw), KVS_GFP);
	regions = kvmalloc_array(m.nregions, sizeof(*regions), KVS_GFP);
	if (!raw || !regions)
		goto out;
	ret = -EFAULT;
	if (copy_from_user(raw, um->regions, m.nregions * sizeof(*raw)))
		goto out;
	ret = -EINVAL;
	for (i = 0; i < m.nregions; i++) {
		if (raw[i].flags_padding)
			goto out;
		regions[i].gpa = raw[i].guest_phys_addr;
		regions[i].size = raw[i].memory_size;
		regions[i].hva = raw[i].userspace_addr;
	}
	ret = kvs_mem_create(regions, m.nregions, &mem);
	if (ret)
		goto out;
	if (dev->log_base && !kvs_log_ok(mem, (unsigned long)dev->log_base)) {
		kvs_mem_free(mem);
		ret = -EFAULT;
		goto out;
	}

	old = dev->mem;
	dev->mem = mem;
	kvs_dev_share_mem(dev);
	kvs_mem_free(old);
	WRITE_ONCE(dev->nr_regions, mem->nr);
out:
	kvfree(regions);
	kvfree(raw);
	return ret;
}

/* Hand the dirty log's place and eventfd to every queue. */
static void dev_share_log(struct kvs_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct kvs_vq *vq = &dev->vqs[i];

		mutex_lock(&vq->lock);
		vq->log_base = dev->log_base;
		vq->log_ctx = dev->log_ctx;
		mutex_unlock(&vq->lock);
	}
}

static long dev_set_log_base(struct kvs_dev *dev, void __user *argp)
{
	u64 base;

	if (copy_from_user(&base, argp, sizeof(base)))
		return -EFAULT;
	if (!kvs_log_ok(dev->mem, base))
		return -EFAULT;
	dev->log_base = kvs_hva_ptr(base);
	dev_share_log(dev);
	return 0;
}

static long dev_set_log_fd(struct kvs_dev *dev, void __user *argp)
{
	struct eventfd_ctx *ctx = NULL;
	int fd;

	if (get_user(fd, (int __user *)argp))
		return -EFAULT;
	if (fd != VHOST_FILE_UNBIND) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	swap(ctx, dev->log_ctx);
	dev_share_log(dev);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

static long dev_put_u64(u64 value, void __user *argp)
{
	return copy_to_user(argp, &value, sizeof(value)) ? -EFAULT : 0;
}

static u64 dev_backend_features(const struct kvs_dev *dev)
{
	return dev->ops->features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) ?
	       BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2) : 0;
}

static long dev_set_backend_features(struct kvs_dev *dev, void __user *argp)
{
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	if (features & ~dev_backend_features(dev))
		return -EOPNOTSUPP;
	if (features != dev->backend_features && dev_running(dev))
		return -EBUSY;
	WRITE_ONCE(dev->backend_features, features);
	return 0;
}

/**
 * kvs_dev_ioctl() - the device ioctls of <linux/vhost.h>
 * @dev: the device
 * @cmd: the ioctl
 * @argp: its argument in the caller's memory
 *
 * Those before the owner check work on a device without owner, too, as in
 * the stock drivers.
 *
 * Context: under dev->lock.
 * Return: 0 or -errno; -ENOIOCTLCMD for other commands, -EPERM for a caller
 * who is not the owner.
 */
long kvs_dev_ioctl(struct kvs_dev *dev, unsigned int cmd, void __user *argp)
{
	switch (cmd) {
	case VHOST_GET_FEATURES:
		return dev_put_u64(dev->ops->features, argp);
	case VHOST_GET_BACKEND_FEATURES:
		return dev_put_u64(dev_backend_features(dev), argp);
	case VHOST_SET_OWNER:
		return dev_set_owner(dev);
	case VHOST_SET_FEATURES:
		if (!dev->mm)
			return dev_set_features(dev, argp);
		break;
	case VHOST_SET_BACKEND_FEATURES:
		if (!dev->mm)
			return dev_set_backend_features(dev, argp);
		break;
	}

	if (kvs_dev_check_owner(dev))
		return -EPERM;
	switch (cmd) {
	case VHOST_SET_FEATURES:
		return dev_set_features(dev, argp);
	case VHOST_SET_BACKEND_FEATURES:
		return dev_set_backend_features(dev, argp);
	case VHOST_RESET_OWNER:
		kvs_dev_disown(dev);
		return 0;
	case VHOST_SET_MEM_TABLE:
		return dev_set_mem(dev, argp);
	case VHOST_SET_LOG_BASE:
		return dev_set_log_base(dev, argp);
	case VHOST_SET_LOG_FD:
		return dev_set_log_fd(dev, argp);
	default:
		return kvs_dev_worker_ioctl(dev, cmd, argp);
	}
}
