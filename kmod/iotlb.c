// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's IOTLB: I/O virtual addresses of a guest with a virtual IOMMU.
 * Messages to and from the VMM, what the queues miss, and their rings, which
 * move with the mappings. Documentation/iotlb.rst.
 *
 * Three callers meet here: a worker that misses an address (vq->lock), the
 * VMM's thread that writes messages (dev->lock, then each vq->lock), and
 * whoever reads or polls (neither). iotlb.lock is inside all of them.
 */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sched/signal.h>

#include "kvasir.h"

static unsigned int max_iotlb_entries = 2048;
module_param(max_iotlb_entries, uint, 0444);
MODULE_PARM_DESC(max_iotlb_entries,
		 "entries of a device's IOTLB, 64 to 65536 (default 2048)");

/* A miss that was read and not answered is repeated no earlier than this. */
#define KVS_IOTLB_PATIENCE	(HZ / 10)

/* Both kinds of message have their content at the same place. */
static_assert(sizeof(struct vhost_msg) == sizeof(struct vhost_msg_v2));
static_assert(offsetof(struct vhost_msg, iotlb) ==
	      offsetof(struct vhost_msg_v2, iotlb));
static_assert(KVS_MEM_READ == VHOST_ACCESS_RO);
static_assert(KVS_MEM_WRITE == VHOST_ACCESS_WO);

void kvs_iotlb_init(struct kvs_iotlb *tlb)
{
	spin_lock_init(&tlb->lock);
	init_waitqueue_head(&tlb->wait);
}

/* Features have changed, or an owner come: begin with an empty one, or none. */
void kvs_iotlb_switch(struct kvs_dev *dev, u64 features)
{
	const struct kvs_mem *old = dev->iotlb.table;

	dev->iotlb.table = features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) ?
			   &kvs_iotlb_empty : NULL;
	kvs_dev_share_mem(dev);
	kvs_iotlb_free(old);
}

/* No queue uses it any more. */
void kvs_iotlb_off(struct kvs_iotlb *tlb)
{
	kvs_iotlb_free(tlb->table);
	tlb->table = NULL;
}

/* ---- rings ---- */

/* The queue has got another table: its ring may be elsewhere. */
void kvs_iotlb_changed(struct kvs_vq *vq)
{
	vq->iotlb.mapped = false;
}

/* Size and alignment, which I/O virtual addresses have, too. */
int kvs_iotlb_check_ring(const struct kvs_ring_cfg *cfg)
{
	struct kvs_ring_cfg low = *cfg;

	low.desc = offset_in_page(cfg->desc);
	low.avail = offset_in_page(cfg->avail);
	low.used = offset_in_page(cfg->used);
	return kvs_ring_check(&low);
}

/* Translate one area of the ring. Return: 0, -EAGAIN (a miss) or -EFAULT. */
static int map_area(struct kvs_vq *vq, u64 *addr, u64 len, u8 access)
{
	u64 miss;
	int ret;

	ret = kvs_iotlb_check(vq->mem, *addr, len, access, &miss);
	if (ret == -EAGAIN)
		kvs_iotlb_miss(vq, miss, access);
	else if (ret)
		ret = -EFAULT;
	else
		ret = kvs_iotlb_linear(vq->mem, *addr, len, addr);
	return ret;
}

/**
 * kvs_iotlb_map_ring() - begin to serve the ring, or follow it
 * @vq: configured, with an IOTLB
 *
 * Context: under vq->lock, in the owner's address space.
 * Return: 0, -EAGAIN when an address is missing (the miss is noted), -EFAULT
 * mapped in a way that cannot be used, or what kvs_ring_start() says.
 */
int kvs_iotlb_map_ring(struct kvs_vq *vq)
{
	struct kvs_ring_cfg cfg = vq->cfg;
	u32 desc, avail, used;
	int ret;

	kvs_ring_sizes(&cfg, &desc, &avail, &used);
	ret = map_area(vq, &cfg.desc, desc, cfg.packed ?
		       KVS_MEM_READ | KVS_MEM_WRITE : KVS_MEM_READ);
	if (!ret)
		ret = map_area(vq, &cfg.avail, avail, KVS_MEM_READ);
	if (!ret)
		ret = map_area(vq, &cfg.used, used, KVS_MEM_WRITE);
	if (ret)
		return ret;
	if (vq->ring_up)
		ret = kvs_ring_move(&vq->ring, &cfg);
	else
		ret = kvs_ring_start(&vq->ring, &cfg);
	if (ret)
		return ret;
	vq->ring_up = true;
	vq->iotlb.mapped = true;
	return 0;
}

/**
 * kvs_iotlb_ready() - a service begins: can the ring be used
 * @vq: running, with an IOTLB
 *
 * Context: the worker, under vq->lock.
 * Return: whether it can. If not, an update that brings what is missing has the
 * queue served, or the queue is broken.
 */
bool kvs_iotlb_ready(struct kvs_vq *vq)
{
	int ret;

	if (vq->state == KVASIR_QUEUE_BROKEN)
		return false;
	vq->iotlb.stalled = false;
	if (vq->iotlb.mapped)
		return true;
	ret = kvs_iotlb_map_ring(vq);
	if (ret && ret != -EAGAIN) {
		kvs_ring_break(&vq->ring, KVS_RING_FAULT);
		kvs_vq_broken(vq);
	}
	return !ret;
}

/* ---- misses ---- */

/**
 * kvs_iotlb_miss() - a queue needs an address that is not known
 * @vq: takes no further chain in this service
 * @iova: the address
 * @access: KVS_MEM_*, what for
 *
 * Context: under vq->lock. The VMM is asked, unless it has been.
 */
void kvs_iotlb_miss(struct kvs_vq *vq, u64 iova, u8 access)
{
	struct kvs_iotlb *tlb = &vq->dev->iotlb;
	struct kvs_vq_iotlb *m = &vq->iotlb;
	bool ask;

	m->stalled = true;
	spin_lock(&tlb->lock);
	ask = m->miss == KVS_MISS_NONE || m->iova != iova ||
	      m->access != access ||
	      (m->miss == KVS_MISS_TAKEN &&
	       time_after(jiffies, m->taken + KVS_IOTLB_PATIENCE));
	if (ask) {
		m->miss = KVS_MISS_ASKED;
		m->iova = iova;
		m->access = access;
	}
	spin_unlock(&tlb->lock);
	if (ask)
		wake_up_interruptible_poll(&tlb->wait, EPOLLIN | EPOLLRDNORM);
}

/* The queue stops: nobody needs an answer. */
void kvs_iotlb_forget(struct kvs_vq *vq)
{
	struct kvs_iotlb *tlb = &vq->dev->iotlb;

	spin_lock(&tlb->lock);
	vq->iotlb.miss = KVS_MISS_NONE;
	spin_unlock(&tlb->lock);
	vq->iotlb.mapped = false;
	vq->iotlb.stalled = false;
}

/* Does this entry answer what the queue waits for? Then it waits no more. */
static bool answered(struct kvs_vq *vq, const struct kvs_region *r)
{
	struct kvs_iotlb *tlb = &vq->dev->iotlb;
	struct kvs_vq_iotlb *m = &vq->iotlb;
	bool yes;

	spin_lock(&tlb->lock);
	yes = m->miss != KVS_MISS_NONE && m->iova >= r->gpa &&
	      m->iova - r->gpa < r->size;
	if (yes)
		m->miss = KVS_MISS_NONE;
	spin_unlock(&tlb->lock);
	return yes;
}

static bool any_asked(struct kvs_dev *dev)
{
	bool found = false;
	u32 i;

	spin_lock(&dev->iotlb.lock);
	for (i = 0; i < dev->nr_vqs && !found; i++)
		found = dev->vqs[i].iotlb.miss == KVS_MISS_ASKED;
	spin_unlock(&dev->iotlb.lock);
	return found;
}

/* Two queues that miss the same are told by one message. */
static void take_equal(struct kvs_dev *dev, const struct kvs_vq_iotlb *first)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		struct kvs_vq_iotlb *m = &dev->vqs[i].iotlb;

		if (m->miss != KVS_MISS_ASKED || m->iova != first->iova ||
		    m->access != first->access)
			continue;
		m->miss = KVS_MISS_TAKEN;
		m->taken = jiffies;
	}
}

/* The next miss to be told. Returns false when there is none. */
static bool take_miss(struct kvs_dev *dev, struct vhost_iotlb_msg *msg)
{
	struct kvs_iotlb *tlb = &dev->iotlb;
	bool found = false;
	u32 i;

	spin_lock(&tlb->lock);
	for (i = 0; i < dev->nr_vqs && !found; i++) {
		u32 n = (tlb->turn + i) % dev->nr_vqs;
		struct kvs_vq_iotlb *m = &dev->vqs[n].iotlb;

		if (m->miss != KVS_MISS_ASKED)
			continue;
		msg->type = VHOST_IOTLB_MISS;
		msg->iova = m->iova;
		msg->perm = m->access;
		take_equal(dev, m);
		tlb->turn = n + 1;
		found = true;
	}
	spin_unlock(&tlb->lock);
	return found;
}

/* It could not be handed over: tell it to the next who reads. */
static void untake_miss(struct kvs_dev *dev, const struct vhost_iotlb_msg *msg)
{
	u32 i;

	spin_lock(&dev->iotlb.lock);
	for (i = 0; i < dev->nr_vqs; i++) {
		struct kvs_vq_iotlb *m = &dev->vqs[i].iotlb;

		if (m->miss == KVS_MISS_TAKEN && m->iova == msg->iova &&
		    m->access == msg->perm)
			m->miss = KVS_MISS_ASKED;
	}
	spin_unlock(&dev->iotlb.lock);
}

/* ---- messages ---- */

/*
 * Put a new table in the place of the old one. @update is the entry that is
 * new in it, or NULL.
 */
static void publish(struct kvs_dev *dev, const struct kvs_mem *table,
		    const struct kvs_region *update)
{
	const struct kvs_mem *old = dev->iotlb.table;
	u32 i;

	if (table == old)
		return;
	dev->iotlb.table = table;
	kvs_dev_share_mem(dev);
	kvs_iotlb_free(old);
	for (i = 0; update && i < dev->nr_vqs; i++) {
		struct kvs_vq *vq = &dev->vqs[i];

		if (answered(vq, update) && vq->worker)
			kvs_vq_kick(vq);
	}
}

static int handle(struct kvs_dev *dev, const struct vhost_iotlb_msg *msg)
{
	const struct kvs_region r = {
		.gpa = msg->iova, .size = msg->size, .hva = msg->uaddr,
	};
	u32 max = clamp(max_iotlb_entries, 64U, 65536U);
	const struct kvs_mem *table;
	int ret;

	switch (msg->type) {
	case VHOST_IOTLB_UPDATE:
		ret = kvs_iotlb_update(dev->iotlb.table, &r, msg->perm, max,
				       &table);
		if (ret)
			return ret;
		publish(dev, table, &r);
		return 0;
	case VHOST_IOTLB_INVALIDATE:
		/* The last byte of the address space is a byte, too. */
		if (!msg->size || msg->size - 1 > U64_MAX - msg->iova)
			return -EINVAL;
		table = kvs_iotlb_invalidate(dev->iotlb.table, msg->iova,
					     msg->iova + msg->size - 1);
		publish(dev, table, NULL);
		return 0;
	default:
		return -EINVAL;
	}
}

/**
 * kvs_iotlb_write() - one message from the VMM
 * @dev: the device
 * @from: struct vhost_msg or struct vhost_msg_v2
 *
 * Context: process context, no lock held. Waits for services that are under
 * way.
 * Return: the size of the message or -errno, see iotlb.rst.
 */
ssize_t kvs_iotlb_write(struct kvs_dev *dev, struct iov_iter *from)
{
	struct vhost_msg_v2 msg;
	int ret;

	if (iov_iter_count(from) < sizeof(msg))
		return kvs_dev_check_owner(dev) ?: -EINVAL;
	if (!copy_from_iter_full(&msg, sizeof(msg), from))
		return -EFAULT;
	if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	ret = kvs_dev_check_owner(dev);
	if (ret)
		goto out;
	ret = -EINVAL;
	if (msg.type != VHOST_IOTLB_MSG && msg.type != VHOST_IOTLB_MSG_V2)
		goto out;
	ret = -EFAULT;
	if (dev->iotlb.table)
		ret = handle(dev, &msg.iotlb);
out:
	mutex_unlock(&dev->lock);
	return ret ?: (ssize_t)sizeof(msg);
}

/**
 * kvs_iotlb_read() - one miss for the VMM
 * @dev: the device
 * @to: room for a message
 * @block: wait for one
 *
 * Context: process context, no lock held.
 * Return: the size of the message or -errno, see iotlb.rst.
 */
ssize_t kvs_iotlb_read(struct kvs_dev *dev, struct iov_iter *to, bool block)
{
	struct vhost_msg_v2 msg;
	int ret;

	if (kvs_dev_check_owner(dev))
		return -EPERM;
	if (iov_iter_count(to) < sizeof(msg))
		return -EINVAL;
	memset(&msg, 0, sizeof(msg));
	while (!take_miss(dev, &msg.iotlb)) {
		if (!block)
			return -EAGAIN;
		ret = wait_event_interruptible(dev->iotlb.wait,
					       any_asked(dev) ||
					       kvs_dev_check_owner(dev));
		if (ret)
			return ret;
		if (kvs_dev_check_owner(dev))
			return -EPERM;
	}
	msg.type = READ_ONCE(dev->backend_features) &
		   BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2) ?
		   VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG;
	if (copy_to_iter(&msg, sizeof(msg), to) == sizeof(msg))
		return sizeof(msg);
	untake_miss(dev, &msg.iotlb);
	return -EFAULT;
}

__poll_t kvs_iotlb_poll(struct kvs_dev *dev, struct file *file,
			poll_table *table)
{
	poll_wait(file, &dev->iotlb.wait, table);
	return any_asked(dev) ? EPOLLIN | EPOLLRDNORM : 0;
}
