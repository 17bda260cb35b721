// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPU threads: a loop around KVM_RUN and one switch over exit reasons.
 *
 * To stop, the main thread sets immediate_exit and sends KICK_SIGNAL: a
 * thread inside KVM_RUN or a blocking system call is interrupted, one about
 * to enter the guest returns at once, so no kick is lost.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "run.h"
#include "vcpu.h"

#define KICK_SIGNAL	SIGRTMIN

#define SEL_CODE	0x10
#define SEL_DATA	0x18

#define CR0_PE		(1ULL << 0)
#define CR0_ET		(1ULL << 4)
#define CR0_PG		(1ULL << 31)
#define CR4_PAE		(1ULL << 5)
#define EFER_LME	(1ULL << 8)
#define EFER_LMA	(1ULL << 10)
#define RFLAGS_ONE	0x2

#define MSR_MISC_ENABLE		0x1a0
#define MISC_FAST_STRING	1
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ON_WRITE_BACK	0x806

/* Flat code and data at the selectors the 64-bit boot protocol wants. What a
 * CPU starts with is the hidden part that segment() sets; PVH, whose code is
 * 32-bit, wants no table and brings its own.
 */
const uint64_t boot_gdt[BOOT_GDT_ENTRIES] = {
	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff,
};

static void run_pio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i;

	for (i = 0; i < run->io.count; i++)
		bus_access(vcpu->vm->pio, run->io.port,
			   data + i * run->io.size, run->io.size,
			   run->io.direction == KVM_EXIT_IO_OUT);
}

static void run_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t addr = run->mmio.phys_addr;
	unsigned int i, len = run->mmio.len;

	if (!(len & (len - 1))) {
		bus_access(vcpu->vm->mmio, addr, run->mmio.data, len,
			   run->mmio.is_write);
		return;
	}
	/* the odd part of an access that crosses a page */
	for (i = 0; i < len; i++)
		bus_access(vcpu->vm->mmio, addr + i, run->mmio.data + i, 1,
			   run->mmio.is_write);
}

static uint64_t current_rip(struct vcpu *vcpu)
{
	struct kvm_regs regs = { 0 };

	return ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
}

static void crashed(struct vcpu *vcpu, const char *what, uint64_t detail)
{
	vmm_err_class(vcpu->vm, EXIT_CRASH, -EIO,
		      "guest crashed: vCPU %u, rip 0x%llx: %s (0x%llx)",
		      vcpu->id, (unsigned long long)current_rip(vcpu), what,
		      (unsigned long long)detail);
	vm_stop(vcpu->vm, VM_CRASH);
}

static void system_event(struct vcpu *vcpu)
{
	uint32_t type = vcpu->run->system_event.type;

	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_stop(vcpu->vm, VM_OFF);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_stop(vcpu->vm, VM_RESET);
		break;
	default:
		crashed(vcpu, "system event", type);
	}
}

/* KVM_RUN came back for something to do in userspace. */
static void handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		run_pio(vcpu);
		break;
	case KVM_EXIT_MMIO:
		run_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		crashed(vcpu, "triple fault", run->exit_reason);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		system_event(vcpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		crashed(vcpu, "KVM internal error", run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		crashed(vcpu, "VM entry failed",
			run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		crashed(vcpu, "unhandled VM exit", run->exit_reason);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	pthread_setname_np(pthread_self(), name);
	while (__atomic_load_n(&vm->why, __ATOMIC_RELAXED) == VM_RUNNING) {
		/* EAGAIN: a CPU waiting for SIPI saw an event */
		if (!ioctl(vcpu->fd, KVM_RUN, 0)) {
			handle_exit(vcpu);
		} else if (errno != EINTR && errno != EAGAIN) {
			vmm_err(vm, -errno, "vCPU %u: KVM_RUN: %s", vcpu->id,
				strerror(errno));
			vm_stop(vm, VM_ERROR);
		}
	}
	return NULL;
}

/* ---- creation ---- */

static int set_msrs(struct vcpu *vcpu)
{
	static const struct kvm_msr_entry values[] = {
		{ .index = MSR_MISC_ENABLE, .data = MISC_FAST_STRING },
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ON_WRITE_BACK },
	};
	const unsigned int nr = sizeof(values) / sizeof(values[0]);
	struct kvm_msrs *m = malloc(sizeof(*m) + sizeof(values));
	int ret = 0;

	if (!m)
		return vmm_err(vcpu->vm, -ENOMEM, "MSRs: out of memory");
	m->nmsrs = nr;
	memcpy(m->entries, values, sizeof(values));
	/* returns how many it took */
	if (ioctl(vcpu->fd, KVM_SET_MSRS, m) != (int)nr)
		ret = vmm_err(vcpu->vm, -EIO,
			      "vCPU %u: KVM_SET_MSRS: %s", vcpu->id,
			      strerror(errno));
	free(m);
	return ret;
}

static int vcpu_init(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int size;

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)vcpu->id);
	if (vcpu->fd < 0)
		return vmm_err(vm, -errno, "vCPU %u: KVM_CREATE_VCPU: %s",
			       vcpu->id, strerror(errno));
	size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*vcpu->run))
		return vmm_err(vm, -EIO, "KVM_GET_VCPU_MMAP_SIZE: %d", size);
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return vmm_err(vm, -errno, "vCPU %u: mapping kvm_run: %s",
			       vcpu->id, strerror(errno));
	}
	vcpu->run_size = size;
	return cpuid_set(vcpu) ?: set_msrs(vcpu);
}

int vcpus_create(struct vm *vm, unsigned int nr)
{
	unsigned int i;
	int ret;

	vm->vcpus = calloc(nr, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return vmm_err(vm, -ENOMEM, "vCPUs: out of memory");
	vm->nr_vcpus = nr;
	for (i = 0; i < nr; i++) {
		vm->vcpus[i].vm = vm;
		vm->vcpus[i].id = i;
		vm->vcpus[i].fd = -1;
	}
	for (i = 0; i < nr; i++) {
		ret = vcpu_init(&vm->vcpus[i]);
		if (ret)
			return ret;
	}
	return 0;
}

void vcpus_destroy(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		if (vcpu->run)
			munmap(vcpu->run, vcpu->run_size);
		if (vcpu->fd >= 0)
			close(vcpu->fd);
	}
	free(vm->vcpus);
	vm->vcpus = NULL;
	vm->nr_vcpus = 0;
}

static struct kvm_segment segment(uint16_t selector, uint8_t type,
				  bool long_mode)
{
	bool code = selector == SEL_CODE;

	return (struct kvm_segment) {
		.limit = 0xffffffff, .selector = selector, .type = type,
		.present = 1, .s = 1, .g = 1,
		.db = !(code && long_mode), .l = code && long_mode,
	};
}

int vcpus_set_boot(struct vm *vm, const struct boot_state *boot)
{
	struct vcpu *vcpu = &vm->vcpus[0];
	struct kvm_segment data = segment(SEL_DATA, 3, boot->long_mode);
	struct kvm_sregs s;
	struct kvm_regs regs = {
		.rip = boot->rip, .rsi = boot->rsi, .rbx = boot->rbx,
		.rflags = RFLAGS_ONE,
	};

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &s) < 0)
		return vmm_err(vm, -errno, "KVM_GET_SREGS: %s",
			       strerror(errno));
	s.cs = segment(SEL_CODE, 11, boot->long_mode);
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = boot->gdt;
	s.gdt.limit = sizeof(boot_gdt) - 1;
	s.idt.limit = 0;
	s.cr0 = CR0_PE | CR0_ET;
	if (boot->long_mode) {
		s.cr0 |= CR0_PG;
		s.cr3 = boot->cr3;
		s.cr4 |= CR4_PAE;
		s.efer |= EFER_LME | EFER_LMA;
	} else {
		/* an available 32-bit TSS, as PVH describes it */
		s.tr = (struct kvm_segment) {
			.limit = 0x67, .type = 11, .present = 1,
		};
	}
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &s) < 0)
		return vmm_err(vm, -errno, "KVM_SET_SREGS: %s",
			       strerror(errno));
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return vmm_err(vm, -errno, "KVM_SET_REGS: %s",
			       strerror(errno));
	return 0;
}

/* ---- start and stop ---- */

/* Being delivered is all the signal is for: system calls return EINTR. */
static void on_kick(int sig)
{
	(void)sig;
}

int vcpus_start(struct vm *vm)
{
	struct sigaction sa = { .sa_handler = on_kick };
	unsigned int i;
	int ret;

	sigaction(KICK_SIGNAL, &sa, NULL);
	for (i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		ret = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
		if (ret)
			return vmm_err(vm, -ret, "vCPU %u: no thread: %s", i,
				       strerror(ret));
		vcpu->started = true;
	}
	return 0;
}

static void kick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

/* KVM_RUN needs one kick; a handler that was about to block in a write to the
 * console may need another.
 */
static void join(struct vcpu *vcpu)
{
	struct timespec t;

	do {
		kick(vcpu);
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_sec++;
	} while (pthread_timedjoin_np(vcpu->thread, NULL, &t) == ETIMEDOUT);
	vcpu->started = false;
}

void vcpus_join(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i].started)
			kick(&vm->vcpus[i]);
	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i].started)
			join(&vm->vcpus[i]);
}
