/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The members of kernel types that the programs read, and nothing else.
 *
 * Offsets are filled in at load time from the running kernel's BTF
 * (preserve_access_index), so the types need neither be complete nor in order,
 * and no generated header of one kernel is kept. Only types that are in the
 * BTF of vmlinux belong here: see user/cli/trace_layout.c for those that live
 * in KVM's vendor modules.
 */
#ifndef KVASIR_KVM_TYPES_BPF_H
#define KVASIR_KVM_TYPES_BPF_H

#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)

struct task_struct {
	unsigned int flags;
	int pid;
	struct task_struct *group_leader;
	__u64 start_boottime;
	char comm[16];
};

struct timespec64 {
	__s64 tv_sec;
};

struct kvm_vcpu_stat_generic {
	__u64 halt_poll_success_ns;
	__u64 halt_poll_fail_ns;
};

struct kvm_vcpu_stat {
	struct kvm_vcpu_stat_generic generic;
	__u64 exits;
};

struct kvm;

struct kvm_vcpu_arch {
	unsigned long regs[17];
};

struct kvm_vcpu {
	struct kvm *kvm;
	int vcpu_id;
	struct kvm_vcpu_arch arch;
	struct kvm_vcpu_stat stat;
};

#pragma clang attribute pop

#define TASK_KTHREAD	0x00200000	/* PF_KTHREAD in task_struct.flags */
#define VCPU_REGS_RIP	16

#endif
