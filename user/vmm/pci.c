// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI bus 0: a host bridge in slot 0, devices behind it.
 *
 * Configuration space is reached by ECAM and by ports 0xcf8/0xcfc. A device's
 * registers are an image and a mask of the bits the guest may write; the few
 * writes with an effect (command, BARs, MSI-X control) are looked at after
 * the image has changed. One lock covers all configuration space; BARs are
 * accessed without it.
 *
 * There is no firmware: BARs get their addresses here, the guest may move
 * them within the windows for memory and for ports.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "pci_dev.h"
#include "pm.h"

#define NR_SLOTS	32
#define FIRST_CAP	0x40

/* 0x1b36 is Red Hat's, who sets 0x0008 aside for a generic PCI host bridge. */
#define HOST_VENDOR	0x1b36
#define HOST_DEVICE	0x0008

#define PORT_ADDRESS	0xcf8	/* and data, 0xcfc-0xcff */

struct pci_host {
	pthread_mutex_t lock;
	struct pci_dev *slots[NR_SLOTS];
	uint32_t address;		/* last written to 0xcf8 */
	uint64_t next_bar;		/* first MMIO address not given out */
	uint64_t next_port;		/* first port not given out */
	struct pci_dev *bridge;
};

static uint16_t get16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v;
	p[1] = v >> 8;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

/* ---- BARs ---- */

static bool is_ports(const struct pci_bar *bar)
{
	return bar->type & PCI_BASE_ADDRESS_SPACE_IO;
}

static struct bus *bar_bus(const struct pci_dev *dev, const struct pci_bar *bar)
{
	return is_ports(bar) ? dev->vm->pio : dev->vm->mmio;
}

/* The window of its kind: does it lie within? */
static bool bar_fits(const struct pci_bar *bar, uint64_t addr)
{
	uint64_t base = is_ports(bar) ? VM_PORTS_BASE : VM_MMIO_BASE;
	uint64_t size = is_ports(bar) ? VM_PORTS_SIZE : VM_MMIO_SIZE;

	return addr >= base && addr <= base + size - bar->size;
}

static uint64_t bar_address(const struct pci_dev *dev,
			    const struct pci_bar *bar)
{
	uint16_t decodes = is_ports(bar) ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	uint64_t addr = get32(dev->cfg + bar->reg) &
			(is_ports(bar) ? PCI_BASE_ADDRESS_IO_MASK :
					 PCI_BASE_ADDRESS_MEM_MASK);

	if (bar->type & PCI_BASE_ADDRESS_MEM_TYPE_64)
		addr |= (uint64_t)get32(dev->cfg + bar->reg + 4) << 32;
	if (!(get16(dev->cfg + PCI_COMMAND) & decodes))
		return 0;
	/* all ones while the guest sizes it, or nonsense: answer nowhere */
	return bar_fits(bar, addr) ? addr : 0;
}

/* Returns whether it moved. */
static bool bar_update(struct pci_dev *dev, struct pci_bar *bar)
{
	uint64_t addr = bar->size ? bar_address(dev, bar) : 0;
	struct bus *bus = bar_bus(dev, bar);

	if (addr == bar->mapped)
		return false;
	if (bar->mapped)
		bus_remove(bus, bar->mapped);
	/* on top of another device's BAR: the guest gets what it asked for */
	if (addr && bus_add(bus, addr, bar->size, bar->fn, bar->ctx))
		addr = 0;
	bar->mapped = addr;
	return true;
}

static void bars_update(struct pci_dev *dev)
{
	if (bar_update(dev, &dev->memory))
		dev->ops->bar_moved(dev->ctx, dev->memory.mapped);
	if (bar_update(dev, &dev->ports))
		dev->ops->ports_moved(dev->ctx, dev->ports.mapped);
	bar_update(dev, &dev->msix_bar);
}

/* @bar has size, type, fn and ctx; it gets register @nr and an address. */
static int bar_init(struct pci_dev *dev, struct pci_bar *bar, unsigned int nr)
{
	struct pci_host *host = dev->vm->pci;
	uint64_t *next = is_ports(bar) ? &host->next_port : &host->next_bar;
	uint64_t addr = (*next + bar->size - 1) & ~(bar->size - 1);

	if (!bar_fits(bar, addr))
		return vmm_err(dev->vm, -ENOSPC,
			       "PCI: no room for another device's registers");
	*next = addr + bar->size;
	bar->reg = PCI_BASE_ADDRESS_0 + 4 * nr;
	put32(dev->cfg + bar->reg, addr | bar->type);
	put32(dev->wmask + bar->reg, ~(bar->size - 1));
	if (bar->type & PCI_BASE_ADDRESS_MEM_TYPE_64)
		put32(dev->wmask + bar->reg + 4, UINT32_MAX);
	return 0;
}

/* The device's own: memory, and ports if it wants some. */
static int own_bars(struct pci_dev *dev, const struct pci_dev_desc *desc)
{
	int ret = 0;

	dev->memory = (struct pci_bar) {
		.size = desc->bar_size, .type = PCI_BASE_ADDRESS_MEM_TYPE_64,
		.fn = desc->bar_size ? desc->ops->bar : NULL, .ctx = desc->ctx,
	};
	dev->ports = (struct pci_bar) {
		.size = desc->ports_size, .type = PCI_BASE_ADDRESS_SPACE_IO,
		.fn = desc->ports_size ? desc->ops->ports : NULL,
		.ctx = desc->ctx,
	};
	if (desc->bar_size)
		ret = bar_init(dev, &dev->memory, 0);
	if (!ret && desc->ports_size)
		ret = bar_init(dev, &dev->ports, PCI_PORTS_BAR);
	return ret;
}

/* ---- configuration space ---- */

static bool touches(unsigned int offset, unsigned int len, unsigned int at,
		    unsigned int size)
{
	return offset < at + size && at < offset + len;
}

static bool hooked(const struct pci_dev *dev, unsigned int offset,
		   unsigned int len)
{
	return dev->hook && offset >= dev->hook_at &&
	       offset + len <= dev->hook_at + dev->hook_len;
}

static void cfg_read(struct pci_dev *dev, unsigned int offset, void *data,
		     unsigned int len)
{
	memcpy(data, dev->cfg + offset, len);
	if (hooked(dev, offset, len))
		dev->hook(dev->ctx, offset - dev->hook_at, data, len, false);
}

static void cfg_write(struct pci_dev *dev, unsigned int offset, void *data,
		      unsigned int len)
{
	const uint8_t *from = data;
	unsigned int i;

	for (i = 0; i < len; i++) {
		uint8_t mask = dev->wmask[offset + i];

		dev->cfg[offset + i] = (dev->cfg[offset + i] & ~mask) |
				       (from[i] & mask);
	}
	if (touches(offset, len, PCI_COMMAND, 2) ||
	    touches(offset, len, PCI_BASE_ADDRESS_0, 24))
		bars_update(dev);
	if (dev->msix_cap && touches(offset, len, dev->msix_cap +
				     PCI_MSIX_FLAGS, 2))
		pci_msix_control(dev, get16(dev->cfg + dev->msix_cap +
					    PCI_MSIX_FLAGS));
	if (hooked(dev, offset, len))
		dev->hook(dev->ctx, offset - dev->hook_at, data, len, true);
}

/* @len 1, 2, 4 or 8; an access that leaves the space reads all ones. */
static void cfg_access(struct pci_host *host, unsigned int devfn,
		       unsigned int offset, void *data, unsigned int len,
		       bool write)
{
	struct pci_dev *dev = devfn % 8 ? NULL : host->slots[devfn / 8];

	if (!dev || offset + len > PCI_CFG_SIZE) {
		if (!write)
			memset(data, 0xff, len);
		return;
	}
	pthread_mutex_lock(&host->lock);
	if (write)
		cfg_write(dev, offset, data, len);
	else
		cfg_read(dev, offset, data, len);
	pthread_mutex_unlock(&host->lock);
}

static void ecam(void *ctx, uint64_t offset, void *data, unsigned int len,
		 bool write)
{
	struct vm *vm = ctx;

	cfg_access(vm->pci, offset >> 12 & 0xff, offset & 0xfff, data, len,
		   write);
}

static void address_port(struct vm *vm, void *data, bool write)
{
	uint32_t val;

	if (write) {
		memcpy(&val, data, 4);
		__atomic_store_n(&vm->pci->address, val, __ATOMIC_RELAXED);
	} else {
		val = __atomic_load_n(&vm->pci->address, __ATOMIC_RELAXED);
		memcpy(data, &val, 4);
	}
}

/* Mechanism #1, and the reset register that lies in its address port. */
static void ports(void *ctx, uint64_t offset, void *data, unsigned int len,
		  bool write)
{
	struct vm *vm = ctx;
	uint32_t addr;

	if (offset == 0 && len == 4) {
		address_port(vm, data, write);
		return;
	}
	if (!write)
		memset(data, 0xff, len);
	if (offset == PM_RESET_PORT - PORT_ADDRESS && len == 1) {
		if (write && *(uint8_t *)data & PM_RESET_NOW)
			vm_stop(vm, VM_RESET);
		else if (!write)
			*(uint8_t *)data = 0;
		return;
	}
	addr = __atomic_load_n(&vm->pci->address, __ATOMIC_RELAXED);
	/* enabled, bus 0 */
	if (offset < 4 || !(addr & 0x80000000) || addr & 0xff0000)
		return;
	cfg_access(vm->pci, addr >> 8 & 0xff, (addr & 0xfc) + (offset - 4),
		   data, len, write);
}

/* ---- devices ---- */

static int add_cap(struct pci_dev *dev, uint8_t id, const void *body,
		   unsigned int len)
{
	unsigned int at = dev->next_cap;

	if (at + 2 + len > PCI_CFG_SIZE)
		return vmm_err(dev->vm, -ENOSPC,
			       "PCI: no room for another capability");
	dev->cfg[at] = id;
	memcpy(dev->cfg + at + 2, body, len);
	dev->cfg[dev->last_cap] = at;
	dev->last_cap = at + 1;
	dev->next_cap = (at + 2 + len + 3) & ~3U;
	put16(dev->cfg + PCI_STATUS, PCI_STATUS_CAP_LIST);
	return at;
}

int pci_add_vendor_cap(struct pci_dev *dev, const void *body, unsigned int len)
{
	return add_cap(dev, PCI_CAP_ID_VNDR, body, len);
}

void pci_hook_cap(struct pci_dev *dev, unsigned int cap_offset,
		  unsigned int len, pci_cap_fn fn)
{
	dev->hook_at = cap_offset;
	dev->hook_len = len;
	dev->hook = fn;
}

static int add_msix(struct pci_dev *dev, unsigned int vectors)
{
	uint8_t body[PCI_CAP_MSIX_SIZEOF - 2];
	int ret;

	put16(body, vectors - 1);
	put32(body + PCI_MSIX_TABLE - 2, MSIX_BAR);
	put32(body + PCI_MSIX_PBA - 2, MSIX_PBA_AT | MSIX_BAR);
	dev->msix_bar = (struct pci_bar) {
		.size = MSIX_SIZE, .fn = pci_msix_bar, .ctx = dev,
	};
	ret = bar_init(dev, &dev->msix_bar, MSIX_BAR);
	if (ret)
		return ret;
	ret = add_cap(dev, PCI_CAP_ID_MSIX, body, sizeof(body));
	if (ret < 0)
		return ret;
	put16(dev->wmask + ret + PCI_MSIX_FLAGS,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	dev->msix_cap = ret;
	return 0;
}

static void fill_header(struct pci_dev *dev, const struct pci_dev_desc *desc)
{
	put16(dev->cfg + PCI_VENDOR_ID, desc->vendor);
	put16(dev->cfg + PCI_DEVICE_ID, desc->device);
	put32(dev->cfg + PCI_CLASS_REVISION, desc->class_rev);
	put16(dev->cfg + PCI_SUBSYSTEM_VENDOR_ID, desc->subvendor);
	put16(dev->cfg + PCI_SUBSYSTEM_ID, desc->subdevice);
	put16(dev->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
	      PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	dev->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

static int take_slot(struct pci_host *host, struct pci_dev *dev)
{
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++) {
		if (host->slots[i])
			continue;
		host->slots[i] = dev;
		dev->slot = i;
		return 0;
	}
	return -ENOSPC;
}

int pci_dev_create(struct vm *vm, const struct pci_dev_desc *desc,
		   struct pci_dev **out)
{
	struct pci_dev *dev = calloc(1, sizeof(*dev));
	int ret;

	if (!dev)
		return vmm_err(vm, -ENOMEM, "%s: out of memory", desc->name);
	dev->vm = vm;
	dev->ops = desc->ops;
	dev->ctx = desc->ctx;
	dev->next_cap = FIRST_CAP;
	dev->last_cap = PCI_CAPABILITY_LIST;
	fill_header(dev, desc);
	ret = pci_msix_init(dev, desc->msix_vectors);
	if (ret)
		goto err_free;
	ret = own_bars(dev, desc);
	if (!ret && desc->msix_vectors)
		ret = add_msix(dev, desc->msix_vectors);
	if (ret)
		goto err_msix;
	ret = take_slot(vm->pci, dev);
	if (ret) {
		vmm_err(vm, ret, "%s: all %d PCI slots are taken", desc->name,
			NR_SLOTS);
		goto err_msix;
	}
	*out = dev;
	return 0;
err_msix:
	pci_msix_deinit(dev);
err_free:
	free(dev);
	return ret;
}

/* vCPUs do not run (any more). */
void pci_dev_destroy(struct pci_dev *dev)
{
	if (!dev)
		return;
	if (dev->memory.mapped)
		bus_remove(dev->vm->mmio, dev->memory.mapped);
	if (dev->ports.mapped)
		bus_remove(dev->vm->pio, dev->ports.mapped);
	if (dev->msix_bar.mapped)
		bus_remove(dev->vm->mmio, dev->msix_bar.mapped);
	dev->vm->pci->slots[dev->slot] = NULL;
	pci_msix_deinit(dev);
	free(dev);
}

unsigned int pci_dev_slot(const struct pci_dev *dev)
{
	return dev->slot;
}

int pci_host_create(struct vm *vm)
{
	static const struct pci_dev_desc bridge = {
		.name = "host bridge",
		.vendor = HOST_VENDOR,
		.device = HOST_DEVICE,
		.class_rev = 0x060000 << 8,
	};
	struct pci_host *host = calloc(1, sizeof(*host));
	int ret;

	if (!host)
		return vmm_err(vm, -ENOMEM, "PCI: out of memory");
	pthread_mutex_init(&host->lock, NULL);
	host->next_bar = VM_MMIO_BASE;
	host->next_port = VM_PORTS_BASE;
	vm->pci = host;
	ret = pci_dev_create(vm, &bridge, &host->bridge);
	if (!ret)
		ret = bus_add(vm->mmio, VM_ECAM_BASE, VM_ECAM_SIZE, ecam, vm);
	if (!ret)
		ret = bus_add(vm->pio, PORT_ADDRESS, 8, ports, vm);
	return ret;
}

void pci_host_destroy(struct vm *vm)
{
	if (!vm->pci)
		return;
	pci_dev_destroy(vm->pci->bridge);
	pthread_mutex_destroy(&vm->pci->lock);
	free(vm->pci);
	vm->pci = NULL;
}
