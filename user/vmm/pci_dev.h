/* SPDX-License-Identifier: GPL-2.0-only */
/* What pci.c and pci_msix.c know of a device and nobody else does. */
#ifndef KVASIR_PCI_DEV_H
#define KVASIR_PCI_DEV_H

#include "pci.h"

#define PCI_CFG_SIZE	256
#define MSIX_BAR	2
#define MSIX_SIZE	0x1000	/* table at 0, PBA in the upper half */
#define MSIX_PBA_AT	0x0800

/* A BAR and where it answers now. */
struct pci_bar {
	uint64_t size;
	unsigned int reg;	/* offset of its register */
	uint32_t type;		/* the register's low bits */
	uint64_t mapped;	/* 0: nowhere */
	bus_fn fn;
	void *ctx;
};

struct pci_msix_vector {
	uint32_t addr_lo, addr_hi, data, ctrl;
	int fd;
	struct msi_route *route;
};

struct pci_msix {
	pthread_mutex_t lock;
	unsigned int nr;
	bool enabled;		/* read without the lock */
	bool masked;		/* function mask */
	struct pci_msix_vector v[PCI_MSIX_MAX];
};

struct pci_dev {
	struct vm *vm;
	unsigned int slot;
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t wmask[PCI_CFG_SIZE];	/* bits the guest may change */
	unsigned int next_cap;		/* first free byte */
	unsigned int last_cap;		/* its next pointer wants the new one */
	unsigned int msix_cap;		/* 0: none */
	unsigned int hook_at;
	unsigned int hook_len;
	pci_cap_fn hook;
	const struct pci_dev_ops *ops;
	void *ctx;
	struct pci_bar memory, msix_bar, ports;
	struct pci_msix msix;
};

/* Vectors' eventfds and routes; @dev->vm is set. */
int pci_msix_init(struct pci_dev *dev, unsigned int vectors);
void pci_msix_deinit(struct pci_dev *dev);
/* The guest wrote message control. */
void pci_msix_control(struct pci_dev *dev, uint16_t control);
/* Accesses to BAR 2; a bus_fn, @ctx is the struct pci_dev. */
void pci_msix_bar(void *ctx, uint64_t offset, void *data, unsigned int len,
		  bool write);

#endif /* KVASIR_PCI_DEV_H */
