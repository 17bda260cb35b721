// SPDX-License-Identifier: GPL-2.0-only
/* H2: where a virtqueue's ring lies in this process. */
#include <errno.h>

#include "ring.h"
#include "virtio.h"

#define BIT(n)	(1ULL << (n))

int vq_ring_cfg(const struct virtio_dev *dev, const struct vq *vq,
		struct kvs_ring_cfg *cfg)
{
	/* the event index fields exist in memory whether negotiated or not */
	uint64_t desc_len = vq->size * sizeof(struct vring_desc);
	uint64_t avail_len = sizeof(struct vring_avail) +
			     (vq->size + 1) * sizeof(__virtio16);
	uint64_t used_len = sizeof(struct vring_used) + sizeof(__virtio16) +
			    vq->size * sizeof(struct vring_used_elem);
	void *desc = vm_hva(dev->vm, vq->desc, desc_len);
	void *avail = vm_hva(dev->vm, vq->avail, avail_len);
	void *used = vm_hva(dev->vm, vq->used, used_len);

	if (!desc || !avail || !used)
		return -EFAULT;
	*cfg = (struct kvs_ring_cfg) {
		.num = vq->size,
		.desc = (uintptr_t)desc,
		.avail = (uintptr_t)avail,
		.used = (uintptr_t)used,
		.event_idx = dev->features & BIT(VIRTIO_RING_F_EVENT_IDX),
		.indirect = dev->features & BIT(VIRTIO_RING_F_INDIRECT_DESC),
	};
	return kvs_ring_check(cfg);
}
