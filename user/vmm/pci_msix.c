// SPDX-License-Identifier: GPL-2.0-only
/*
 * H5: MSI-X of a PCI device: table, pending bits, masks.
 *
 * Every vector has an eventfd for the device's life. Unmasked, it is an irqfd
 * and an event is an interrupt without a detour through this process. Masked,
 * the irqfd is off and events stay in the eventfd: that is the pending bit,
 * and attaching the irqfd again delivers it. (PCI 3.0, 6.8.2)
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pci_dev.h"

#define ENTRY_SIZE	PCI_MSIX_ENTRY_SIZE

int pci_msix_init(struct pci_dev *dev, unsigned int vectors)
{
	struct pci_msix *m = &dev->msix;
	int ret;

	pthread_mutex_init(&m->lock, NULL);
	for (m->nr = 0; m->nr < vectors; m->nr++) {
		struct pci_msix_vector *v = &m->v[m->nr];

		v->ctrl = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->fd < 0) {
			ret = vmm_err(dev->vm, -errno,
				      "interrupt vector: eventfd: %s",
				      strerror(errno));
			goto err;
		}
		ret = msi_route_create(dev->vm, v->fd, &v->route);
		if (ret) {
			close(v->fd);
			goto err;
		}
	}
	return 0;
err:
	pci_msix_deinit(dev);
	return ret;
}

void pci_msix_deinit(struct pci_dev *dev)
{
	struct pci_msix *m = &dev->msix;

	while (m->nr) {
		struct pci_msix_vector *v = &m->v[--m->nr];

		msi_route_destroy(v->route);
		close(v->fd);
	}
	pthread_mutex_destroy(&m->lock);
}

/* Called with the lock held, as are all below up to the entry points. */
static void update(struct pci_dev *dev, struct pci_msix_vector *v)
{
	const struct pci_msix *m = &dev->msix;
	bool on = m->enabled && !m->masked &&
		  !(v->ctrl & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	int ret = 0;

	if (on)
		ret = msi_route_set(v->route, (uint64_t)v->addr_hi << 32 |
				    v->addr_lo, v->data);
	if (!ret)
		ret = msi_route_attach(v->route, on);
	/* interrupts of a device are gone: the guest would only hang */
	if (ret)
		vm_stop(dev->vm, VM_ERROR);
}

static void update_all(struct pci_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->msix.nr; i++)
		update(dev, &dev->msix.v[i]);
}

static bool pending(const struct pci_msix_vector *v)
{
	struct pollfd p = { .fd = v->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

/* What was signalled while MSI-X was off belongs to a former driver. */
static void drain(struct pci_msix *m)
{
	uint64_t count;
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		while (read(m->v[i].fd, &count, sizeof(count)) > 0)
			;
}

static uint32_t *table_word(struct pci_msix *m, uint64_t offset)
{
	struct pci_msix_vector *v;

	if (offset / ENTRY_SIZE >= m->nr)
		return NULL;
	v = &m->v[offset / ENTRY_SIZE];
	switch (offset % ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return &v->addr_lo;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return &v->addr_hi;
	case PCI_MSIX_ENTRY_DATA:
		return &v->data;
	default:
		return &v->ctrl;
	}
}

static uint32_t pending_word(const struct pci_msix *m, uint64_t word)
{
	uint32_t bits = 0;
	unsigned int i;

	for (i = 0; i < 32 && word * 32 + i < m->nr; i++)
		if (pending(&m->v[word * 32 + i]))
			bits |= 1U << i;
	return bits;
}

static uint32_t read_word(struct pci_dev *dev, uint64_t offset)
{
	struct pci_msix *m = &dev->msix;
	const uint32_t *p;

	if (offset >= MSIX_PBA_AT)
		return pending_word(m, (offset - MSIX_PBA_AT) / 4);
	p = table_word(m, offset);
	return p ? *p : 0;
}

static void write_word(struct pci_dev *dev, uint64_t offset, uint32_t val)
{
	struct pci_msix *m = &dev->msix;
	uint32_t *p = offset < MSIX_PBA_AT ? table_word(m, offset) : NULL;

	if (!p)
		return;
	if (offset % ENTRY_SIZE == PCI_MSIX_ENTRY_VECTOR_CTRL)
		val &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	*p = val;
	update(dev, &m->v[offset / ENTRY_SIZE]);
}

void pci_msix_bar(void *ctx, uint64_t offset, void *data, unsigned int len,
		  bool write)
{
	struct pci_dev *dev = ctx;
	unsigned int i;
	uint32_t word;

	if (!write)
		memset(data, 0, len);
	if (len < 4 || offset % 4)
		return;
	pthread_mutex_lock(&dev->msix.lock);
	for (i = 0; i < len; i += 4) {
		if (write) {
			memcpy(&word, (char *)data + i, 4);
			write_word(dev, offset + i, word);
		} else {
			word = read_word(dev, offset + i);
			memcpy((char *)data + i, &word, 4);
		}
	}
	pthread_mutex_unlock(&dev->msix.lock);
}

void pci_msix_control(struct pci_dev *dev, uint16_t control)
{
	struct pci_msix *m = &dev->msix;
	bool enable = control & PCI_MSIX_FLAGS_ENABLE;

	pthread_mutex_lock(&m->lock);
	if (enable && !m->enabled)
		drain(m);
	__atomic_store_n(&m->enabled, enable, __ATOMIC_RELEASE);
	m->masked = control & PCI_MSIX_FLAGS_MASKALL;
	update_all(dev);
	pthread_mutex_unlock(&m->lock);
}

int pci_msix_fd(struct pci_dev *dev, unsigned int vector)
{
	return vector < dev->msix.nr ? dev->msix.v[vector].fd : -EINVAL;
}

bool pci_msix_enabled(const struct pci_dev *dev)
{
	return __atomic_load_n(&dev->msix.enabled, __ATOMIC_ACQUIRE);
}
