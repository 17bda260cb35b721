// SPDX-License-Identifier: GPL-2.0-only
/* H2: where a virtqueue's ring lies in this process. */
#include <errno.h>
#include <linux/virtio_config.h>

#include "ring.h"
#include "virtio.h"

#define BIT(n)	(1ULL << (n))

#define WRAP	0x8000U	/* a packed ring begins with both counters set */

/* The event index fields exist in memory whether negotiated or not. */
static uint64_t driver_area(const struct vq *vq, bool packed)
{
	return packed ? sizeof(struct vring_packed_desc_event) :
	       sizeof(struct vring_avail) + (vq->size + 1) * sizeof(__virtio16);
}

static uint64_t device_area(const struct vq *vq, bool packed)
{
	return packed ? sizeof(struct vring_packed_desc_event) :
	       sizeof(struct vring_used) + sizeof(__virtio16) +
	       vq->size * sizeof(struct vring_used_elem);
}

int vq_ring_cfg(const struct virtio_dev *dev, const struct vq *vq,
		struct kvs_ring_cfg *cfg)
{
	bool packed = dev->features & BIT(VIRTIO_F_RING_PACKED);
	void *desc = vm_hva(dev->vm, vq->desc,
			    vq->size * sizeof(struct vring_desc));
	void *avail = vm_hva(dev->vm, vq->avail, driver_area(vq, packed));
	void *used = vm_hva(dev->vm, vq->used, device_area(vq, packed));

	if (!desc || !avail || !used)
		return -EFAULT;
	*cfg = (struct kvs_ring_cfg) {
		.num = vq->size,
		.base = packed ? WRAP << 16 | WRAP : 0,
		.desc = (uintptr_t)desc,
		.avail = (uintptr_t)avail,
		.used = (uintptr_t)used,
		.packed = packed,
		.in_order = dev->features & BIT(VIRTIO_F_IN_ORDER),
		.event_idx = dev->features & BIT(VIRTIO_RING_F_EVENT_IDX),
		.indirect = dev->features & BIT(VIRTIO_RING_F_INDIRECT_DESC),
	};
	return kvs_ring_check(cfg);
}
