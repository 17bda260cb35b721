// SPDX-License-Identifier: GPL-2.0-only
/*
 * H1 and H5: eventfds between the guest and whoever serves its queues.
 *
 * Doorbells (ioeventfd) and interrupts (irqfd) are handled in the kernel; all
 * this file does is tell KVM which eventfd belongs to which address or
 * message. KVM takes the routing table as a whole, so the table is kept here
 * and grows by one entry per MSI route.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

#define PIC_PINS	16
#define IOAPIC_PINS	24
#define FIRST_MSI_GSI	IOAPIC_PINS

struct msi_route {
	struct vm *vm;
	struct msi_route *next;
	int fd;
	uint32_t gsi;
	bool attached;
	bool valid;		/* addr and data have been set */
	uint64_t addr;
	uint32_t data;
};

struct irq_routes {
	pthread_mutex_t lock;
	uint32_t next_gsi;
	struct msi_route *msi;
};

static void chip_entry(struct kvm_irq_routing *t, uint32_t gsi, uint32_t chip,
		       uint32_t pin)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static void msi_entry(struct kvm_irq_routing *t, const struct msi_route *r)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry) {
		.gsi = r->gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = (uint32_t)r->addr,
			.address_hi = r->addr >> 32,
			.data = r->data,
		},
	};
}

/* Called with the lock held. */
static int commit(struct vm *vm)
{
	struct irq_routes *routes = vm->routes;
	size_t n = PIC_PINS + IOAPIC_PINS;
	struct kvm_irq_routing *t;
	struct msi_route *r;
	uint32_t i;
	int ret = 0;

	for (r = routes->msi; r; r = r->next)
		n++;
	t = calloc(1, sizeof(*t) + n * sizeof(t->entries[0]));
	if (!t)
		return vmm_err(vm, -ENOMEM, "interrupt routes: out of memory");
	for (i = 0; i < PIC_PINS; i++)
		chip_entry(t, i, i < 8 ? KVM_IRQCHIP_PIC_MASTER :
			   KVM_IRQCHIP_PIC_SLAVE, i % 8);
	for (i = 0; i < IOAPIC_PINS; i++)
		chip_entry(t, i, KVM_IRQCHIP_IOAPIC, i);
	for (r = routes->msi; r; r = r->next)
		if (r->valid)
			msi_entry(t, r);
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, t) < 0)
		ret = vmm_err(vm, -errno, "KVM_SET_GSI_ROUTING, %u entries: %s",
			      t->nr, strerror(errno));
	free(t);
	return ret;
}

int irq_create(struct vm *vm)
{
	struct irq_routes *routes = calloc(1, sizeof(*routes));

	if (!routes)
		return vmm_err(vm, -ENOMEM, "interrupt routes: out of memory");
	pthread_mutex_init(&routes->lock, NULL);
	routes->next_gsi = FIRST_MSI_GSI;
	vm->routes = routes;
	return commit(vm);
}

void irq_destroy(struct vm *vm)
{
	if (!vm->routes)
		return;
	pthread_mutex_destroy(&vm->routes->lock);
	free(vm->routes);
	vm->routes = NULL;
}

void vm_signal(int fd)
{
	uint64_t one = 1;

	/* cannot fail: the counter would have to reach 2^64 */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

int vm_ioeventfd(struct vm *vm, const struct bus *bus, uint64_t addr,
		 unsigned int len, int fd, bool add)
{
	struct kvm_ioeventfd arg = {
		.addr = addr,
		.len = len,
		.fd = fd,
		.flags = (add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN) |
			 (bus == vm->pio ? KVM_IOEVENTFD_FLAG_PIO : 0),
	};

	if (ioctl(vm->fd, KVM_IOEVENTFD, &arg) < 0)
		return vmm_err(vm, -errno, "KVM_IOEVENTFD %s 0x%llx: %s",
			       add ? "at" : "off",
			       (unsigned long long)addr, strerror(errno));
	return 0;
}

int msi_route_create(struct vm *vm, int fd, struct msi_route **out)
{
	struct irq_routes *routes = vm->routes;
	struct msi_route *r = calloc(1, sizeof(*r));

	if (!r)
		return vmm_err(vm, -ENOMEM, "MSI route: out of memory");
	r->vm = vm;
	r->fd = fd;
	pthread_mutex_lock(&routes->lock);
	r->gsi = routes->next_gsi++;
	r->next = routes->msi;
	routes->msi = r;
	pthread_mutex_unlock(&routes->lock);
	*out = r;
	return 0;
}

int msi_route_set(struct msi_route *r, uint64_t addr, uint32_t data)
{
	struct irq_routes *routes = r->vm->routes;
	int ret = 0;

	pthread_mutex_lock(&routes->lock);
	/* KVM waits for all vCPUs' readers at each change: skip the idle ones */
	if (!r->valid || r->addr != addr || r->data != data) {
		r->addr = addr;
		r->data = data;
		r->valid = true;
		ret = commit(r->vm);
	}
	pthread_mutex_unlock(&routes->lock);
	return ret;
}

int msi_route_attach(struct msi_route *r, bool attach)
{
	struct kvm_irqfd arg = {
		.fd = r->fd,
		.gsi = r->gsi,
		.flags = attach ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (r->attached == attach)
		return 0;
	if (ioctl(r->vm->fd, KVM_IRQFD, &arg) < 0)
		return vmm_err(r->vm, -errno, "KVM_IRQFD, GSI %u: %s", r->gsi,
			       strerror(errno));
	r->attached = attach;
	return 0;
}

void msi_route_destroy(struct msi_route *r)
{
	struct msi_route **p;

	if (!r)
		return;
	msi_route_attach(r, false);
	pthread_mutex_lock(&r->vm->routes->lock);
	for (p = &r->vm->routes->msi; *p != r; p = &(*p)->next)
		;
	*p = r->next;
	/* the stale entry goes with the next change; its GSI is not reused */
	pthread_mutex_unlock(&r->vm->routes->lock);
	free(r);
}

int vm_irq_set(struct vm *vm, unsigned int gsi, bool level)
{
	struct kvm_irq_level arg = { .irq = gsi, .level = level };

	if (ioctl(vm->fd, KVM_IRQ_LINE, &arg) < 0)
		return vmm_err(vm, -errno, "KVM_IRQ_LINE, GSI %u: %s", gsi,
			       strerror(errno));
	return 0;
}
