/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The smallest guest that leaves guest mode a known number of times.
 *
 * 54 bytes of real-mode code execute VMMCALL, CPUID, OUT, a store to an address
 * without memory, and HLT as often as registers say, then OUT to a last port.
 * There is no interrupt controller, so HLT goes to userspace instead of waiting
 * for ever. A vCPU can be loaded and run again. Included once, by the program.
 */
#ifndef KVT_TINY_VM_H
#define KVT_TINY_VM_H

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kvt.h"

#define TINY_VCPUS	48
#define TINY_MEM	0x10000
#define TINY_CODE	0x1000
#define TINY_MMIO	0xd0000
#define TINY_PORT	0x10
#define TINY_DONE	0x11

/* How often; each of them at most 65535. */
struct tiny_load {
	unsigned int cpuid, out, mmio, hlt;
	unsigned int hypercall;		/* an unknown one: returns at once */
};

struct tiny_vcpu {
	int fd;
	struct kvm_run *run;
	/* What KVM_RUN returned with, since creation. */
	unsigned int io, mmio, hlt, intr;
};

struct tiny_vm {
	int kvm, fd;
	void *mem;
	size_t run_size;
	struct tiny_vcpu vcpu[TINY_VCPUS];
	unsigned int n_vcpus;
};

/* KVM turns the first VMMCALL into VMCALL where the processor wants that. */
static const uint8_t tiny_code[] = {
	0x85, 0xc9,		/* 00	test cx, cx	*/
	0x74, 0x06,		/* 02	jz 0a		*/
	0x0f, 0x01, 0xd9,	/* 04	vmmcall		*/
	0x49,			/* 07	dec cx		*/
	0x75, 0xfa,		/* 08	jnz 04		*/
	0x85, 0xf6,		/* 0a	test si, si	*/
	0x74, 0x09,		/* 0c	jz 17		*/
	0x31, 0xc0,		/* 0e	xor ax, ax	*/
	0x31, 0xc9,		/* 10	xor cx, cx	*/
	0x0f, 0xa2,		/* 12	cpuid		*/
	0x4e,			/* 14	dec si		*/
	0x75, 0xf7,		/* 15	jnz 0e		*/
	0x85, 0xff,		/* 17	test di, di	*/
	0x74, 0x05,		/* 19	jz 20		*/
	0xe6, TINY_PORT,	/* 1b	out PORT, al	*/
	0x4f,			/* 1d	dec di		*/
	0x75, 0xfb,		/* 1e	jnz 1b		*/
	0x85, 0xed,		/* 20	test bp, bp	*/
	0x74, 0x07,		/* 22	jz 2b		*/
	0x31, 0xdb,		/* 24	xor bx, bx	*/
	0x88, 0x07,		/* 26	mov [bx], al	*/
	0x4d,			/* 28	dec bp		*/
	0x75, 0xfb,		/* 29	jnz 26		*/
	0x85, 0xe4,		/* 2b	test sp, sp	*/
	0x74, 0x04,		/* 2d	jz 33		*/
	0xf4,			/* 2f	hlt		*/
	0x4c,			/* 30	dec sp		*/
	0x75, 0xfc,		/* 31	jnz 2f		*/
	0xe6, TINY_DONE,	/* 33	out DONE, al	*/
	0xf4,			/* 35	hlt		*/
};

/*
 * How many hypercalls @load really makes: none on a KVM that emulates guest
 * code by itself, which would patch the instruction for ever.
 */
static inline unsigned int tiny_hypercalls(const struct tiny_load *load)
{
	if (access("/sys/module/kvm_amd", F_OK) &&
	    access("/sys/module/kvm_intel", F_OK))
		return 0;
	return load->hypercall;
}

/* @irqchip: interrupt controllers, and so HLT that waits in the kernel */
static inline void tiny_create_with(struct tiny_vm *vm, unsigned int vcpus,
				    bool irqchip)
{
	struct kvm_userspace_memory_region mem = { .memory_size = TINY_MEM };
	unsigned int i;

	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		SKIP("/dev/kvm: %s", strerror(errno));
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	ASSERT(vm->fd >= 0, "KVM_CREATE_VM: %s", strerror(errno));
	/* VMX without unrestricted guests needs them for real mode. */
	ASSERT_OK(ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL));
	if (irqchip)
		ASSERT_OK(ioctl(vm->fd, KVM_CREATE_IRQCHIP));
	vm->mem = mmap(NULL, TINY_MEM, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(vm->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	memcpy((char *)vm->mem + TINY_CODE, tiny_code, sizeof(tiny_code));
	mem.userspace_addr = (uintptr_t)vm->mem;
	ASSERT_OK(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &mem));
	vm->run_size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->n_vcpus = vcpus;
	for (i = 0; i < vcpus; i++) {
		struct tiny_vcpu *v = &vm->vcpu[i];

		memset(v, 0, sizeof(*v));
		v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, i);
		ASSERT(v->fd >= 0, "KVM_CREATE_VCPU: %s", strerror(errno));
		v->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, v->fd, 0);
		ASSERT(v->run != MAP_FAILED, "mmap: %s", strerror(errno));
	}
}

static inline void tiny_create(struct tiny_vm *vm, unsigned int vcpus)
{
	tiny_create_with(vm, vcpus, false);
}

/* Make the next runs of vCPU @i do @load. */
static inline void tiny_set(struct tiny_vm *vm, unsigned int i,
		     const struct tiny_load *load)
{
	struct tiny_vcpu *v = &vm->vcpu[i];
	struct kvm_regs regs = {
		.rip = TINY_CODE,
		.rflags = 2,
		.rcx = tiny_hypercalls(load),
		.rsi = load->cpuid,
		.rdi = load->out,
		.rbp = load->mmio,
		.rsp = load->hlt,
	};
	struct kvm_sregs sregs;

	/* Let KVM finish the OUT that ended the run before. */
	v->run->immediate_exit = 1;
	ASSERT(ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR,
	       "KVM_RUN with immediate_exit: %s", strerror(errno));
	v->run->immediate_exit = 0;
	v->intr++;
	ASSERT_OK(ioctl(v->fd, KVM_GET_SREGS, &sregs));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.ds.base = TINY_MMIO;
	sregs.ds.selector = TINY_MMIO >> 4;
	ASSERT_OK(ioctl(v->fd, KVM_SET_SREGS, &sregs));
	ASSERT_OK(ioctl(v->fd, KVM_SET_REGS, &regs));
}

/* Enter the guest once. Return: false when its load is done. */
static inline bool tiny_step(struct tiny_vcpu *v)
{
	if (ioctl(v->fd, KVM_RUN, 0) < 0) {
		ASSERT(errno == EINTR || errno == EAGAIN, "KVM_RUN: %s",
		       strerror(errno));
		v->intr++;
		return true;
	}
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		v->io++;
		return v->run->io.port != TINY_DONE;
	case KVM_EXIT_MMIO:
		v->mmio++;
		return true;
	case KVM_EXIT_HLT:
		v->hlt++;
		return true;
	default:
		ASSERT(false, "KVM_RUN returned with %u", v->run->exit_reason);
		return false;
	}
}

static inline void tiny_run(struct tiny_vm *vm, unsigned int i,
		     const struct tiny_load *load)
{
	tiny_set(vm, i, load);
	while (tiny_step(&vm->vcpu[i]))
		;
}

/* How many exits of the vCPU KVM itself has counted. */
static inline uint64_t tiny_exits(const struct tiny_vcpu *v)
{
	int fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	struct kvm_stats_desc *desc;
	uint64_t exits = 0;
	size_t size, i;

	ASSERT(fd >= 0, "KVM_GET_STATS_FD: %s", strerror(errno));
	ASSERT_EQ(read(fd, &head, sizeof(head)), sizeof(head));
	size = sizeof(*desc) + head.name_size;
	desc = malloc(size);
	ASSERT(desc, "out of memory");
	for (i = 0; i < head.num_desc; i++) {
		ASSERT_EQ(pread(fd, desc, size, (off_t)(head.desc_offset + i * size)),
			  size);
		if (!strcmp(desc->name, "exits"))
			ASSERT_EQ(pread(fd, &exits, sizeof(exits),
					(off_t)(head.data_offset + desc->offset)),
				  sizeof(exits));
	}
	free(desc);
	close(fd);
	return exits;
}

static inline void tiny_destroy(struct tiny_vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->n_vcpus; i++) {
		munmap(vm->vcpu[i].run, vm->run_size);
		close(vm->vcpu[i].fd);
	}
	close(vm->fd);
	close(vm->kvm);
	munmap(vm->mem, TINY_MEM);
}

#endif
