/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual CPUs: one thread each, from start to vm_stop(). */
#ifndef KVASIR_VCPU_H
#define KVASIR_VCPU_H

#include <linux/kvm.h>

#include "vm.h"

struct vcpu {
	struct vm *vm;
	unsigned int id;	/* also the APIC id */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	bool started;
};

/* Where the first CPU begins; boot.h fills it. */
struct boot_state {
	bool long_mode;		/* else 32-bit protected mode, no paging */
	uint64_t rip;
	uint64_t rsi;		/* bzImage: boot_params */
	uint64_t rbx;		/* PVH: hvm_start_info */
	uint64_t cr3;
	uint64_t gdt;		/* guest address of BOOT_GDT */
};

#define BOOT_GDT_ENTRIES	4
extern const uint64_t boot_gdt[BOOT_GDT_ENTRIES];

/**
 * vcpus_create() - make @nr vCPUs, the first ready to enter the kernel
 *
 * The others wait for the guest's INIT and SIPI.
 */
int vcpus_create(struct vm *vm, unsigned int nr);
int vcpus_set_boot(struct vm *vm, const struct boot_state *boot);
void vcpus_destroy(struct vm *vm);

int vcpus_start(struct vm *vm);
/* Kick every vCPU out of the guest and wait for its thread. */
void vcpus_join(struct vm *vm);

/* cpuid.c: what the guest sees of @vcpu's processor. */
int cpuid_set(struct vcpu *vcpu);

#endif /* KVASIR_VCPU_H */
