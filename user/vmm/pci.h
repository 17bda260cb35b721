/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI bus 0: configuration space by ECAM and by 0xcf8/0xcfc, BARs, MSI-X. */
#ifndef KVASIR_PCI_H
#define KVASIR_PCI_H

#include "vm.h"

#define PCI_PORTS_BAR	4
#define PCI_MSIX_MAX	65	/* 64 queues and the configuration vector */

struct pci_dev;

struct pci_dev_ops {
	/* An access inside the device's one memory BAR (BAR 0), outside the
	 * MSI-X table, which pci.c serves itself.
	 */
	bus_fn bar;
	/* BAR 0 now answers at @gpa (0: not at all, memory decoding off). */
	void (*bar_moved)(void *ctx, uint64_t gpa);
	/* The same of its ports (BAR 4). */
	bus_fn ports;
	void (*ports_moved)(void *ctx, uint64_t port);
};

struct pci_dev_desc {
	const char *name;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_rev;	/* class code << 8 | revision */
	uint32_t bar_size;	/* of the device's own part, power of two */
	uint32_t ports_size;	/* power of two, 256 at the most; 0: none */
	unsigned int msix_vectors;
	const struct pci_dev_ops *ops;
	void *ctx;
};

int pci_host_create(struct vm *vm);
void pci_host_destroy(struct vm *vm);

/* Next free slot of bus 0; BAR 0 is 64-bit memory, BAR 2 the MSI-X table, BAR 4
 * ports.
 */
int pci_dev_create(struct vm *vm, const struct pci_dev_desc *desc,
		   struct pci_dev **out);
void pci_dev_destroy(struct pci_dev *dev);
unsigned int pci_dev_slot(const struct pci_dev *dev);

/* Append a vendor-specific capability; @body starts behind id/next, its first
 * byte is the length field (virtio 1.2, 4.1.4). Read-only to the guest.
 * Returns its offset or -errno.
 */
int pci_add_vendor_cap(struct pci_dev *dev, const void *body, unsigned int len);

/* Current offset window for VIRTIO_PCI_CAP_PCI_CFG style accesses is the
 * device's business: hook for accesses to one capability's bytes, @offset from
 * its start. A read comes with @data filled from the capability as it was
 * added; the hook replaces what differs. One hook per device.
 */
typedef void (*pci_cap_fn)(void *ctx, unsigned int offset, void *data,
			   unsigned int len, bool write);
void pci_hook_cap(struct pci_dev *dev, unsigned int cap_offset,
		  unsigned int len, pci_cap_fn fn);

/**
 * pci_msix_fd() - the eventfd that raises a vector
 *
 * Stays valid for the device's life; a signal while the vector is masked is
 * kept pending and delivered at unmask (PBA). Hand it to a backend as its
 * call eventfd: with the vector unmasked it is an irqfd.
 */
int pci_msix_fd(struct pci_dev *dev, unsigned int vector);
bool pci_msix_enabled(const struct pci_dev *dev);

#endif /* KVASIR_PCI_H */
