/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs of `kvasir trace exits` share: the state of vCPUs, and who
 * runs them. Defined in exits.bpf.c.
 */
#ifndef KVASIR_EXITS_STATE_BPF_H
#define KVASIR_EXITS_STATE_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "include/kvm_types.bpf.h"
#include "exits.h"

extern bool enabled;	/* all programs are attached: no torn start */
extern struct exits_lost lost;

/* By life */
struct exits_states {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXITS_LIVES);
	__type(key, __u32);
	__type(value, struct exits_vcpu);
};

/* The life of the vCPU a thread ran last: not all tracepoints name it. */
struct exits_running {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
};

extern struct exits_states states SEC(".maps");
extern struct exits_running running SEC(".maps");

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline struct exits_vcpu *state_of(__u32 life)
{
	return bpf_map_lookup_elem(&states, &life);
}

/* For how long KVM has polled for interrupts of the vCPU at @addr, says KVM. */
static __always_inline __u64 kvm_own_polling(__u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;

	return BPF_CORE_READ(vcpu, stat.generic.halt_poll_success_ns) +
	       BPF_CORE_READ(vcpu, stat.generic.halt_poll_fail_ns);
}

/* The state of the vCPU that @task ran last, unless another thread took it over. */
static __always_inline struct exits_vcpu *task_vcpu(struct task_struct *task)
{
	__u32 *life = bpf_task_storage_get(&running, (void *)task, NULL, 0);
	struct exits_vcpu *v = life ? state_of(*life) : NULL;

	return v && v->tid == (__u32)task->pid ? v : NULL;
}

#endif
