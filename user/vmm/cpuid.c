// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's processor: what KVM supports, with our APIC ids and topology.
 *
 * One package, one thread per core, APIC id = vCPU number. KVM's own leaves
 * (0x40000000) stay: they give the guest kvmclock, so that it need not
 * calibrate its clocks.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vcpu.h"

#define MAX_ENTRIES	256
#define ROOM_FOR_OURS	8

#define LEVEL_SMT	1U
#define LEVEL_CORE	2U

#define EDX1_HTT		(1U << 28)
#define ECX1_TSC_DEADLINE	(1U << 24)
#define ECX1_HYPERVISOR		(1U << 31)
#define ECX8_1_CMP_LEGACY	(1U << 1)

/* Not more than MAX_ENTRIES of them. */
#define TABLE_SIZE	(sizeof(struct kvm_cpuid2) + \
			 MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2))

/* Bits an APIC id needs for @nr cores. */
static unsigned int id_bits(unsigned int nr)
{
	unsigned int bits = 0;

	while (1U << bits < nr)
		bits++;
	return bits;
}

static void add_level(struct kvm_cpuid2 *c, uint32_t leaf, uint32_t index,
		      unsigned int shift, unsigned int count,
		      unsigned int type, uint32_t apic_id)
{
	c->entries[c->nent++] = (struct kvm_cpuid_entry2) {
		.function = leaf,
		.index = index,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = shift,
		.ebx = count,
		.ecx = type << 8 | index,
		.edx = apic_id,
	};
}

/* Extended topology, leaf 0xb or 0x1f, written anew. */
static void set_topology(struct kvm_cpuid2 *c, uint32_t leaf, unsigned int id,
			 unsigned int nr)
{
	uint32_t i, kept = 0;

	if (c->entries[0].eax < leaf)
		return;
	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function != leaf)
			c->entries[kept++] = c->entries[i];
	c->nent = kept;
	add_level(c, leaf, 0, 0, 1, LEVEL_SMT, id);
	add_level(c, leaf, 1, id_bits(nr), nr, LEVEL_CORE, id);
	add_level(c, leaf, 2, 0, 0, 0, id);
}

static void set_entry(struct kvm_cpuid_entry2 *e, unsigned int id,
		      unsigned int nr, bool tsc_deadline)
{
	switch (e->function) {
	case 1:
		e->ebx = (e->ebx & 0x0000ffff) | nr << 16 | id << 24;
		e->ecx |= ECX1_HYPERVISOR;
		/* KVM's list leaves it out, though the in-kernel APIC has it */
		if (tsc_deadline)
			e->ecx |= ECX1_TSC_DEADLINE;
		e->edx &= ~EDX1_HTT;
		if (nr > 1)
			e->edx |= EDX1_HTT;
		break;
	case 4:
		/* cores per package; each cache but the last is a core's own */
		if (!(e->eax & 0x1f))
			break;
		e->eax = (e->eax & 0x00003fff) | (nr - 1) << 26;
		if ((e->eax >> 5 & 7) >= 3)
			e->eax |= (nr - 1) << 14;
		break;
	case 0x80000001:
		e->ecx &= ~ECX8_1_CMP_LEGACY;
		if (nr > 1)
			e->ecx |= ECX8_1_CMP_LEGACY;
		break;
	case 0x80000008:
		e->ecx = (e->ecx & ~0xf0ffU) | id_bits(nr) << 12 | (nr - 1);
		break;
	case 0x8000001d:
		/* AMD's leaf 4 */
		if (!(e->eax & 0x1f))
			break;
		e->eax &= 0x00003fff;
		if ((e->eax >> 5 & 7) >= 3)
			e->eax |= (nr - 1) << 14;
		break;
	case 0x8000001e:
		e->eax = id;
		e->ebx = id;
		e->ecx = 0;
		break;
	}
}

int cpuid_set(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool tsc_deadline = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION,
				  KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	struct kvm_cpuid2 *c = calloc(1, TABLE_SIZE);
	uint32_t i;
	int ret = 0;

	if (!c)
		return vmm_err(vm, -ENOMEM, "CPUID: out of memory");
	c->nent = MAX_ENTRIES - ROOM_FOR_OURS;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, c) < 0) {
		ret = vmm_err(vm, -errno, "KVM_GET_SUPPORTED_CPUID: %s",
			      strerror(errno));
		goto out;
	}
	for (i = 0; i < c->nent; i++)
		set_entry(&c->entries[i], vcpu->id, vm->nr_vcpus, tsc_deadline);
	set_topology(c, 0xb, vcpu->id, vm->nr_vcpus);
	set_topology(c, 0x1f, vcpu->id, vm->nr_vcpus);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, c) < 0)
		ret = vmm_err(vm, -errno, "vCPU %u: KVM_SET_CPUID2: %s",
			      vcpu->id, strerror(errno));
out:
	free(c);
	return ret;
}
