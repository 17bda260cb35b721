/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine: KVM virtual machine, guest memory, buses, interrupt routes.
 *
 * Everything hangs off struct vm, made by vm_create() and taken down by
 * vm_destroy(); there is no global state. Functions return 0 or -errno and
 * put one clear line into vm->err (vmm_err()); only the command prints it.
 */
#ifndef KVASIR_VM_H
#define KVASIR_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvasir.h"

/* Guest physical layout (x86-64). RAM fills [0, VM_LOW_END) and the rest
 * continues at 4 GiB.
 */
#define VM_LOW_END	0xb0000000ULL	/* ECAM, MMIO, APICs above */
#define VM_ECAM_BASE	0xb0000000ULL	/* 1 MiB: bus 0 */
#define VM_ECAM_SIZE	0x00100000ULL
#define VM_MMIO_BASE	0xc0000000ULL	/* PCI BARs, up to the IOAPIC */
#define VM_MMIO_SIZE	0x3ec00000ULL
#define VM_HIGH_BASE	0x100000000ULL
#define VM_PORTS_BASE	0x6000U		/* PCI BARs of ports */
#define VM_PORTS_SIZE	0x8000U

#define VM_MAX_VCPUS	64

/* GSIs: 0-15 ISA, 16-23 the rest of the IOAPIC, then MSI routes. */
#define VM_GSI_SERIAL	4
#define VM_GSI_SCI	9

struct bus;
struct pci_host;
struct irq_routes;
struct vcpu;

/* Why the guest no longer runs. */
enum vm_stop {
	VM_RUNNING,
	VM_OFF,			/* guest shut down */
	VM_RESET,		/* guest asked for a reset */
	VM_CRASH,		/* triple fault, KVM internal error */
	VM_ERROR,		/* the VMM cannot go on */
	VM_STOPPED,		/* control socket or Ctrl-A x */
	VM_SIGNAL,		/* SIGINT, SIGTERM, SIGHUP, SIGQUIT */
};

struct vm {
	int kvm_fd;
	int fd;				/* the VM */
	uint64_t mem_size;
	void *mem;			/* one mapping, low and high part */
	bool hugepages;
	unsigned int nr_regions;
	struct kvasir_region regions[2];	/* as handed to backends */
	unsigned int nr_vcpus;
	struct vcpu *vcpus;
	struct bus *pio;
	struct bus *mmio;
	struct pci_host *pci;
	struct irq_routes *routes;
	int stop_fd;			/* eventfd: vm_stop() was called */
	enum vm_stop why;		/* by vm_stop(), the first one counts */
	pthread_mutex_t err_lock;
	char err[512];			/* last error, for people */
	int err_class;			/* its exit code, EXIT_* of run.h */
};

#define VM_INIT { .kvm_fd = -1, .fd = -1, .stop_fd = -1, \
		  .err_lock = PTHREAD_MUTEX_INITIALIZER }

/**
 * vm_create() - KVM, the VM, its interrupt controllers and memory
 * @vm: as VM_INIT; to be destroyed also when this fails
 *
 * Also makes the buses and the interrupt routes. vCPUs: vcpu.h.
 */
int vm_create(struct vm *vm, uint64_t mem_size, bool hugepages);
/* Fine on a machine half made, or as VM_INIT. */
void vm_destroy(struct vm *vm);

/* End the guest's life; from any thread, returns at once. */
void vm_stop(struct vm *vm, enum vm_stop why);

/* Write the one clear line, of exit class EXIT_VMM; returns @code (negative
 * errno). From any thread; the last error before vm_stop() stays.
 */
int vmm_err(struct vm *vm, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, and the error belongs to exit class @class (EXIT_* of run.h). */
int vmm_err_class(struct vm *vm, int class, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * vm_hva() - host address of a guest physical range
 *
 * Return: NULL unless all @len bytes are guest RAM in one region.
 */
void *vm_hva(const struct vm *vm, uint64_t gpa, uint64_t len);

/* ---- bus.c: who answers a port or an address ---- */

int bus_create(struct bus **out);
void bus_destroy(struct bus *bus);

/* @data holds len (1, 2, 4, 8) bytes; a read must fill all of them. Called
 * from vCPU threads without any lock.
 */
typedef void (*bus_fn)(void *ctx, uint64_t offset, void *data,
		       unsigned int len, bool write);

/* Claim [base, base + size); -EEXIST when part of it is taken. Unclaimed
 * reads give all ones, unclaimed writes vanish.
 */
int bus_add(struct bus *bus, uint64_t base, uint64_t size, bus_fn fn,
	    void *ctx);
void bus_remove(struct bus *bus, uint64_t base);
void bus_access(struct bus *bus, uint64_t addr, void *data, unsigned int len,
		bool write);

/* ---- irq.c: eventfds towards and from the guest ---- */

int irq_create(struct vm *vm);
void irq_destroy(struct vm *vm);

/* Add one to the eventfd @fd, which does not block; any thread. */
void vm_signal(int fd);

/**
 * vm_ioeventfd() - let guest writes (any value) signal @fd in the kernel
 * @bus: which of the VM's two
 * @addr: GPA or port
 * @len: bytes; 0 for any
 * @add: false takes it back
 */
int vm_ioeventfd(struct vm *vm, const struct bus *bus, uint64_t addr,
		 unsigned int len, int fd, bool add);

/* An MSI route: writing @fd injects (addr, data) in the kernel. */
struct msi_route;
int msi_route_create(struct vm *vm, int fd, struct msi_route **out);
/* Change what it injects; also while attached. */
int msi_route_set(struct msi_route *r, uint64_t addr, uint32_t data);
/* irqfd on/off: masked vectors are detached so that events stay pending. */
int msi_route_attach(struct msi_route *r, bool attach);
void msi_route_destroy(struct msi_route *r);

/* A pin of the IOAPIC and, below 16, of the PIC. */
int vm_irq_set(struct vm *vm, unsigned int gsi, bool level);

#endif /* KVASIR_VM_H */
