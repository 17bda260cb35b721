// SPDX-License-Identifier: GPL-2.0-only
/*
 * H1: virtio over PCI, modern interface only (virtio 1.2, 4.1).
 *
 * BAR 0 holds four structures, a page each: common configuration, ISR, device
 * configuration, and the doorbells, one address per queue. BAR 4 has the
 * doorbells once more, as ports, and the driver is told of these first: where
 * memory accesses are decoded in software (AMD), KVM serves a port in a fraction
 * of the time. Doorbells are ioeventfds and each queue has an interrupt vector of
 * its own, so that no request comes through this file.
 *
 * Threads: every vCPU may call virtio_pci_bar() and the window of the PCI
 * configuration capability; all registers are under virtio_pci.lock, except
 * what device threads set (needs_reset, isr, generation, config_vector),
 * which is atomic. bar_moved() touches only what is constant between
 * create and destroy and is serialized by pci.c.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "doorbell.h"
#include "virtio.h"

#define BIT(n)		(1ULL << (n))

#define BAR_COMMON	0x0000U
#define BAR_ISR		0x1000U
#define BAR_DEVICE	0x2000U
#define BAR_NOTIFY	0x3000U
#define BAR_SIZE	0x4000U
#define BAR_PART	0x1000U

#define PCI_VENDOR_VIRTIO	0x1af4
#define PCI_DEVICE_VIRTIO	0x1040	/* + device id; 4.1.2 */
#define PCI_REVISION		1	/* 4.1.2.1: a modern device */

/* ISR bits (4.1.4.5): with MSI-X only ever read for curiosity. */
#define ISR_CONFIG	2

struct virtio_pci {
	struct virtio_dev *dev;
	struct pci_dev *pci;
	pthread_mutex_t lock;
	unsigned int vectors;
	int silent_fd;		/* call eventfd of queues without vector */
	uint64_t bar_gpa;	/* 0: nowhere */
	struct doorbells bells;

	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint64_t driver_features;
	uint16_t queue_select;
	uint8_t status;
	bool started;

	atomic_bool needs_reset;
	atomic_uchar isr;
	atomic_uchar generation;
	atomic_ushort config_vector;

	struct virtio_pci_cap window;	/* 4.1.4.9: bar, offset, length */
};

/* ---- interrupts ---- */

static void config_interrupt(struct virtio_pci *t)
{
	uint16_t vector = atomic_load(&t->config_vector);

	atomic_fetch_or(&t->isr, ISR_CONFIG);
	if (vector < t->vectors)
		vm_signal(pci_msix_fd(t->pci, vector));
}

void virtio_config_changed(struct virtio_dev *dev)
{
	atomic_fetch_add(&dev->pci->generation, 1);
	config_interrupt(dev->pci);
}

void virtio_needs_reset(struct virtio_dev *dev)
{
	if (!atomic_exchange(&dev->pci->needs_reset, true))
		config_interrupt(dev->pci);
}

/* 4.1.5.1.2.1: a vector that cannot be had reads back as none. */
static uint16_t vector_checked(const struct virtio_pci *t, uint16_t vector)
{
	return vector < t->vectors ? vector : VIRTIO_MSI_NO_VECTOR;
}

static int vector_fd(const struct virtio_pci *t, uint16_t vector)
{
	return vector < t->vectors ? pci_msix_fd(t->pci, vector) :
	       t->silent_fd;
}

/* ---- device status ---- */

static void queue_defaults(struct virtio_pci *t, struct vq *vq)
{
	vq->size = vq->max;
	vq->enabled = false;
	vq->vector = VIRTIO_MSI_NO_VECTOR;
	vq->call_fd = t->silent_fd;
	vq->desc = 0;
	vq->avail = 0;
	vq->used = 0;
}

static void device_stop(struct virtio_pci *t)
{
	if (t->started)
		t->dev->ops->stop(t->dev);
	t->started = false;
}

static void device_reset(struct virtio_pci *t)
{
	unsigned int i;

	device_stop(t);
	for (i = 0; i < t->dev->nr_queues; i++)
		queue_defaults(t, &t->dev->vqs[i]);
	t->dev->features = 0;
	t->device_feature_select = 0;
	t->driver_feature_select = 0;
	t->driver_features = 0;
	t->queue_select = 0;
	t->status = 0;
	atomic_store(&t->needs_reset, false);
	atomic_store(&t->isr, 0);
	atomic_store(&t->config_vector, VIRTIO_MSI_NO_VECTOR);
}

static void device_start(struct virtio_pci *t)
{
	t->started = true;
	if (t->dev->ops->start(t->dev)) {
		device_stop(t);
		virtio_needs_reset(t->dev);
	}
}

/* 3.1.1: FEATURES_OK stays clear when the choice does not suit us. */
static bool features_ok(struct virtio_pci *t)
{
	uint64_t want = t->driver_features;

	if (want & ~t->dev->offered || !(want & BIT(VIRTIO_F_VERSION_1)))
		return false;
	t->dev->features = want;
	return true;
}

static void status_write(struct virtio_pci *t, uint8_t val)
{
	uint8_t rising;

	if (!val) {
		device_reset(t);
		return;
	}
	/* 2.1.1: the driver clears nothing but by reset */
	rising = val & ~t->status;
	t->status |= rising & (VIRTIO_CONFIG_S_ACKNOWLEDGE |
			       VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FAILED);
	if (rising & VIRTIO_CONFIG_S_FEATURES_OK && features_ok(t))
		t->status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (rising & VIRTIO_CONFIG_S_DRIVER_OK &&
	    t->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		t->status |= VIRTIO_CONFIG_S_DRIVER_OK;
		device_start(t);
	}
}

static uint8_t status_read(struct virtio_pci *t)
{
	return t->status | (atomic_load(&t->needs_reset) ?
			    VIRTIO_CONFIG_S_NEEDS_RESET : 0);
}

/* ---- common configuration (4.1.4.3) ---- */

/* What virtio 1.2 added at the end. */
struct common_cfg {
	struct virtio_pci_common_cfg c;
	uint16_t queue_notify_data;
	uint16_t queue_reset;
};

#define COMMON_Q_RESET	offsetof(struct common_cfg, queue_reset)

static struct vq *selected(struct virtio_pci *t)
{
	return t->queue_select < t->dev->nr_queues ?
	       &t->dev->vqs[t->queue_select] : NULL;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static void common_read(struct virtio_pci *t, uint32_t off, void *data,
			unsigned int len)
{
	const struct vq *vq = selected(t);
	struct common_cfg cfg = { 0 };
	struct virtio_pci_common_cfg c = {
		.device_feature_select = t->device_feature_select,
		.device_feature = feature_word(t->dev->offered,
					       t->device_feature_select),
		.guest_feature_select = t->driver_feature_select,
		.guest_feature = feature_word(t->driver_features,
					      t->driver_feature_select),
		.msix_config = atomic_load(&t->config_vector),
		.num_queues = t->dev->nr_queues,
		.device_status = status_read(t),
		.config_generation = atomic_load(&t->generation),
		.queue_select = t->queue_select,
	};

	if (vq) {
		c.queue_size = vq->size;
		c.queue_msix_vector = vq->vector;
		c.queue_enable = vq->enabled;
		c.queue_notify_off = vq->index;
		c.queue_desc_lo = (uint32_t)vq->desc;
		c.queue_desc_hi = vq->desc >> 32;
		c.queue_avail_lo = (uint32_t)vq->avail;
		c.queue_avail_hi = vq->avail >> 32;
		c.queue_used_lo = (uint32_t)vq->used;
		c.queue_used_hi = vq->used >> 32;
	}
	/* a queue is reset before the write returns: queue_reset is 0 */
	cfg.c = c;
	if (off + len <= sizeof(cfg))
		memcpy(data, (char *)&cfg + off, len);
}

static void set_half(uint64_t *addr, uint32_t val, bool high)
{
	if (high)
		*addr = (uint64_t)val << 32 | (uint32_t)*addr;
	else
		*addr = (*addr & ~0xffffffffULL) | val;
}

static void queue_vector_write(struct virtio_pci *t, struct vq *vq,
			       uint16_t vector)
{
	vq->vector = vector_checked(t, vector);
	vq->call_fd = vector_fd(t, vq->vector);
	if (t->started && vq->enabled && t->dev->ops->call_changed)
		t->dev->ops->call_changed(t->dev, vq);
}

/* Before DRIVER_OK, or after a reset of this queue. */
static void queue_enable_write(struct virtio_pci *t, struct vq *vq,
			       uint32_t val)
{
	struct virtio_dev *dev = t->dev;

	if (val != 1 || !(t->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	if (!t->started) {
		vq->enabled = true;
		return;
	}
	if (!(dev->features & BIT(VIRTIO_F_RING_RESET)))
		return;
	vq->enabled = true;
	if (dev->ops->queue_start(dev, vq))
		virtio_needs_reset(dev);
}

/* 2.6.1: the queue is as it was after a reset of the device. */
static void queue_reset_write(struct virtio_pci *t, struct vq *vq, uint32_t val)
{
	struct virtio_dev *dev = t->dev;

	if (val != 1 || !vq->enabled ||
	    !(dev->features & BIT(VIRTIO_F_RING_RESET)))
		return;
	if (t->started)
		dev->ops->queue_stop(dev, vq);
	queue_defaults(t, vq);
}

/* 2.8.10.1: only a split ring's size is a power of two. */
static bool size_ok(const struct virtio_pci *t, const struct vq *vq,
		    uint32_t val)
{
	return val && val <= vq->max &&
	       (!(val & (val - 1)) ||
		t->driver_features & BIT(VIRTIO_F_RING_PACKED));
}

/* Fields of the selected queue. Frozen once it is enabled (4.1.4.3.2). */
static void queue_write(struct virtio_pci *t, struct vq *vq, uint32_t off,
			unsigned int len, uint32_t val)
{
	if (off == VIRTIO_PCI_COMMON_Q_MSIX && len == 2) {
		queue_vector_write(t, vq, val);
		return;
	}
	if (off == COMMON_Q_RESET && len == 2) {
		queue_reset_write(t, vq, val);
		return;
	}
	if (vq->enabled)
		return;

	switch (off << 4 | len) {
	case VIRTIO_PCI_COMMON_Q_SIZE << 4 | 2:
		if (size_ok(t, vq, val))
			vq->size = val;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE << 4 | 2:
		queue_enable_write(t, vq, val);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO << 4 | 4:
	case VIRTIO_PCI_COMMON_Q_DESCHI << 4 | 4:
		set_half(&vq->desc, val, off == VIRTIO_PCI_COMMON_Q_DESCHI);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO << 4 | 4:
	case VIRTIO_PCI_COMMON_Q_AVAILHI << 4 | 4:
		set_half(&vq->avail, val, off == VIRTIO_PCI_COMMON_Q_AVAILHI);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO << 4 | 4:
	case VIRTIO_PCI_COMMON_Q_USEDHI << 4 | 4:
		set_half(&vq->used, val, off == VIRTIO_PCI_COMMON_Q_USEDHI);
		break;
	}
}

/* 4.1.3.1: fields are written in their own width; the rest is ignored. */
static void common_write(struct virtio_pci *t, uint32_t off, const void *data,
			 unsigned int len)
{
	uint32_t val = 0;

	if (len > sizeof(val))
		return;
	memcpy(&val, data, len);

	switch (off << 4 | len) {
	case VIRTIO_PCI_COMMON_DFSELECT << 4 | 4:
		t->device_feature_select = val;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT << 4 | 4:
		t->driver_feature_select = val;
		break;
	case VIRTIO_PCI_COMMON_GF << 4 | 4:
		if (t->driver_feature_select < 2 &&
		    !(t->status & VIRTIO_CONFIG_S_FEATURES_OK))
			set_half(&t->driver_features, val,
				 t->driver_feature_select);
		break;
	case VIRTIO_PCI_COMMON_MSIX << 4 | 2:
		atomic_store(&t->config_vector, vector_checked(t, val));
		break;
	case VIRTIO_PCI_COMMON_STATUS << 4 | 1:
		status_write(t, val);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT << 4 | 2:
		t->queue_select = val;
		break;
	default:
		if (selected(t))
			queue_write(t, selected(t), off, len, val);
	}
}

/* ---- the other structures ---- */

static void device_config(struct virtio_pci *t, uint32_t off, void *data,
			  unsigned int len, bool write)
{
	struct virtio_dev *dev = t->dev;

	if (off >= dev->config_len || len > dev->config_len - off)
		return;
	if (!write)
		memcpy(data, (char *)dev->config + off, len);
	else if (dev->ops->config_write)
		dev->ops->config_write(dev, off, data, len);
}

static void virtio_pci_bar(void *ctx, uint64_t offset, void *data,
			   unsigned int len, bool write)
{
	struct virtio_pci *t = ctx;
	uint32_t part, off;

	if (!write)
		memset(data, 0, len);
	if (offset >= BAR_SIZE)
		return;
	part = offset & ~(BAR_PART - 1);
	off = offset & (BAR_PART - 1);

	pthread_mutex_lock(&t->lock);
	switch (part) {
	case BAR_COMMON:
		if (write)
			common_write(t, off, data, len);
		else
			common_read(t, off, data, len);
		break;
	case BAR_ISR:
		if (!write && !off)
			*(uint8_t *)data = atomic_exchange(&t->isr, 0);
		break;
	case BAR_DEVICE:
		device_config(t, off, data, len, write);
		break;
	case BAR_NOTIFY:
		if (write)
			doorbells_ring(&t->bells, off);
		break;
	}
	pthread_mutex_unlock(&t->lock);
}

static void virtio_pci_ports(void *ctx, uint64_t offset, void *data,
			     unsigned int len, bool write)
{
	struct virtio_pci *t = ctx;

	if (write)
		doorbells_ring(&t->bells, offset);
	else
		memset(data, 0, len);
}

static void virtio_pci_bar_moved(void *ctx, uint64_t gpa)
{
	struct virtio_pci *t = ctx;

	t->bar_gpa = gpa;
	doorbells_to_memory(&t->bells, gpa ? gpa + BAR_NOTIFY : 0);
}

static void virtio_pci_ports_moved(void *ctx, uint64_t port)
{
	struct virtio_pci *t = ctx;

	doorbells_to_ports(&t->bells, port);
}

uint64_t virtio_pci_bar_gpa(const struct virtio_dev *dev, uint64_t *size)
{
	*size = BAR_SIZE;
	return dev->pci ? dev->pci->bar_gpa : 0;
}

const struct doorbells *virtio_pci_doorbells(const struct virtio_dev *dev)
{
	return dev->pci ? &dev->pci->bells : NULL;
}

/* ---- capabilities ---- */

/*
 * 4.1.4.9: BAR accesses by configuration space. The capability's bar, offset
 * and length fields are the driver's; an access to its data field becomes
 * one to the BAR. What comes before them stays with pci.c.
 */
#define WINDOW_AT	offsetof(struct virtio_pci_cap, bar)

static void window_access(void *ctx, unsigned int off, void *data,
			  unsigned int len, bool write)
{
	const unsigned int data_off = sizeof(struct virtio_pci_cap);
	struct virtio_pci *t = ctx;
	struct virtio_pci_cap w;

	off += WINDOW_AT;
	pthread_mutex_lock(&t->lock);
	if (off < data_off && len <= data_off - off) {
		if (!write)
			memcpy(data, (char *)&t->window + off, len);
		else if (off == offsetof(struct virtio_pci_cap, bar) ||
			 off >= offsetof(struct virtio_pci_cap, offset))
			memcpy((char *)&t->window + off, data, len);
	}
	w = t->window;
	pthread_mutex_unlock(&t->lock);
	if (off < data_off)
		return;

	if (!write)
		memset(data, 0, len);
	if (off == data_off && !w.bar && w.length <= len &&
	    (w.length == 1 || w.length == 2 || w.length == 4) &&
	    !(w.offset % w.length))
		virtio_pci_bar(ctx, w.offset, data, w.length, write);
}

static int add_cap(struct virtio_pci *t, uint8_t type, uint8_t bar,
		   uint32_t offset, uint32_t length, unsigned int size,
		   uint32_t extra)
{
	struct {
		struct virtio_pci_cap cap;
		uint32_t extra;		/* multiplier, or data window */
	} c = {
		.cap = {
			.cap_len = size,
			.cfg_type = type,
			.bar = bar,
			.offset = offset,
			.length = length,
		},
		.extra = extra,
	};
	int ret;

	/* pci.c writes id and next pointer itself */
	ret = pci_add_vendor_cap(t->pci, &c.cap.cap_len,
				 size - offsetof(struct virtio_pci_cap,
						 cap_len));
	if (ret >= 0 && type == VIRTIO_PCI_CAP_PCI_CFG) {
		t->window = c.cap;
		pci_hook_cap(t->pci, ret + WINDOW_AT, size - WINDOW_AT,
			     window_access);
	}
	return ret;
}

/* 4.1.4: of several for one structure the first that suits the driver counts. */
static int add_notify_caps(struct virtio_pci *t, uint32_t ports_size)
{
	const unsigned int ext = sizeof(struct virtio_pci_notify_cap);
	uint32_t len = t->dev->nr_queues * DOORBELL_STRIDE;
	int ret = 0;

	if (ports_size)
		ret = add_cap(t, VIRTIO_PCI_CAP_NOTIFY_CFG, PCI_PORTS_BAR, 0, len,
			      ext, DOORBELL_STRIDE);
	if (ret >= 0)
		ret = add_cap(t, VIRTIO_PCI_CAP_NOTIFY_CFG, 0, BAR_NOTIFY, len,
			      ext, DOORBELL_STRIDE);
	return ret;
}

static int add_caps(struct virtio_pci *t, uint32_t ports_size)
{
	const unsigned int cap = sizeof(struct virtio_pci_cap);
	int ret;

	ret = add_cap(t, VIRTIO_PCI_CAP_COMMON_CFG, 0, BAR_COMMON,
		      sizeof(struct common_cfg), cap, 0);
	if (ret >= 0)
		ret = add_cap(t, VIRTIO_PCI_CAP_ISR_CFG, 0, BAR_ISR, 1, cap, 0);
	if (ret >= 0 && t->dev->config_len)
		ret = add_cap(t, VIRTIO_PCI_CAP_DEVICE_CFG, 0, BAR_DEVICE,
			      t->dev->config_len, cap, 0);
	if (ret >= 0)
		ret = add_notify_caps(t, ports_size);
	if (ret >= 0)
		ret = add_cap(t, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0,
			      sizeof(struct virtio_pci_cfg_cap), 0);
	return ret < 0 ? ret : 0;
}

/* ---- life ---- */

static uint32_t class_of(uint32_t id)
{
	switch (id) {
	case VIRTIO_ID_NET:
		return 0x020000;	/* Ethernet */
	case VIRTIO_ID_BLOCK:
		return 0x010000;	/* storage */
	case VIRTIO_ID_CONSOLE:
		return 0x078000;	/* communication, other */
	default:
		return 0x00ff00;	/* unclassified */
	}
}

static int make_eventfds(struct virtio_pci *t)
{
	struct virtio_dev *dev = t->dev;
	unsigned int i;

	t->silent_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->silent_fd < 0)
		return -errno;
	for (i = 0; i < dev->nr_queues; i++) {
		struct vq *vq = &dev->vqs[i];

		vq->index = i;
		vq->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vq->kick_fd < 0)
			return -errno;
	}
	return 0;
}

static const struct pci_dev_ops bar_ops = {
	.bar = virtio_pci_bar,
	.bar_moved = virtio_pci_bar_moved,
	.ports = virtio_pci_ports,
	.ports_moved = virtio_pci_ports_moved,
};

int virtio_pci_create(struct virtio_dev *dev)
{
	struct pci_dev_desc desc = {
		.name = dev->name,
		.vendor = PCI_VENDOR_VIRTIO,
		.device = PCI_DEVICE_VIRTIO + dev->id,
		.subvendor = PCI_VENDOR_VIRTIO,
		.subdevice = PCI_DEVICE_VIRTIO + dev->id,
		.class_rev = class_of(dev->id) << 8 | PCI_REVISION,
		.bar_size = BAR_SIZE,
		.ports_size = doorbells_ports(dev->nr_queues),
		.msix_vectors = dev->nr_queues + 1,
		.ops = &bar_ops,
	};
	struct virtio_pci *t;
	unsigned int i;
	int ret;

	t = calloc(1, sizeof(*t));
	if (!t)
		return vmm_err(dev->vm, -ENOMEM, "%s: out of memory",
			       dev->name);
	pthread_mutex_init(&t->lock, NULL);
	t->dev = dev;
	t->bells.dev = dev;
	t->vectors = desc.msix_vectors;
	t->silent_fd = -1;
	dev->pci = t;
	dev->offered |= BIT(VIRTIO_F_VERSION_1);
	for (i = 0; i < dev->nr_queues; i++)
		dev->vqs[i].kick_fd = -1;
	desc.ctx = t;

	ret = make_eventfds(t);
	if (ret) {
		vmm_err(dev->vm, ret, "%s: eventfd: %s", dev->name,
			strerror(-ret));
		goto err;
	}
	ret = pci_dev_create(dev->vm, &desc, &t->pci);
	if (ret)
		goto err;
	ret = add_caps(t, desc.ports_size);
	if (ret)
		goto err;
	device_reset(t);
	return 0;
err:
	virtio_pci_destroy(dev);
	return ret;
}

void virtio_pci_destroy(struct virtio_dev *dev)
{
	struct virtio_pci *t = dev->pci;
	unsigned int i;

	if (!t)
		return;
	device_stop(t);
	virtio_pci_bar_moved(t, 0);
	virtio_pci_ports_moved(t, 0);
	if (t->pci)
		pci_dev_destroy(t->pci);
	for (i = 0; i < dev->nr_queues; i++)
		if (dev->vqs[i].kick_fd >= 0)
			close(dev->vqs[i].kick_fd);
	if (t->silent_fd >= 0)
		close(t->silent_fd);
	pthread_mutex_destroy(&t->lock);
	free(t);
	dev->pci = NULL;
}

const char *virtio_backend_name(const struct virtio_dev *dev)
{
	return dev->backend;
}
