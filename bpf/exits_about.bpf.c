// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an exit is about: a port, an address, an MSR, ... Noted here in the state of
 * the vCPU, and booked when it enters the guest again.
 */
#include "exits_state.bpf.h"

static __always_inline int about(__u32 sub, __u64 value)
{
	struct exits_vcpu *v = NULL;

	if (enabled)
		v = task_vcpu(bpf_get_current_task_btf());
	/*
	 * The first one says it, what follows is a consequence; but a fault is
	 * only how an access to a device begins.
	 */
	if (v && v->at == EXITS_AT_KERNEL &&
	    (!v->sub || v->sub == EXITS_SUB_FAULT)) {
		v->sub = sub;
		v->sub_value = value;
		v->parts = 1;
	}
	return 0;
}

/* kvm_pio(unsigned int write, port, size, count, const void *) */
SEC("raw_tp/kvm_pio")
int on_pio(struct bpf_raw_tracepoint_args *ctx)
{
	return about(ctx->args[0] ? EXITS_SUB_PORT_OUT : EXITS_SUB_PORT_IN,
		     (__u16)ctx->args[1]);
}

/* kvm_mmio(int type, int len, u64 address, void *); type 2 is a write */
SEC("raw_tp/kvm_mmio")
int on_mmio(struct bpf_raw_tracepoint_args *ctx)
{
	return about((__u32)ctx->args[0] == 2 ? EXITS_SUB_MMIO_WRITE :
		     EXITS_SUB_MMIO_READ, ctx->args[2]);
}

/* kvm_fast_mmio(u64 address): a doorbell, on VMX */
SEC("raw_tp/kvm_fast_mmio")
int on_fast_mmio(struct bpf_raw_tracepoint_args *ctx)
{
	return about(EXITS_SUB_MMIO_WRITE, ctx->args[0]);
}

/* kvm_msr(unsigned int write, u32 msr, ...) */
SEC("raw_tp/kvm_msr")
int on_msr(struct bpf_raw_tracepoint_args *ctx)
{
	return about(ctx->args[0] ? EXITS_SUB_MSR_WRITE : EXITS_SUB_MSR_READ,
		     (__u32)ctx->args[1]);
}

/* kvm_cpuid(unsigned int leaf, ...) */
SEC("raw_tp/kvm_cpuid")
int on_cpuid(struct bpf_raw_tracepoint_args *ctx)
{
	return about(EXITS_SUB_CPUID, (__u32)ctx->args[0]);
}

/* kvm_hypercall(unsigned long number, ...) */
SEC("raw_tp/kvm_hypercall")
int on_hypercall(struct bpf_raw_tracepoint_args *ctx)
{
	return about(EXITS_SUB_HYPERCALL, ctx->args[0]);
}

/* kvm_page_fault(struct kvm_vcpu *, u64 address, u64 error) */
SEC("raw_tp/kvm_page_fault")
int on_page_fault(struct bpf_raw_tracepoint_args *ctx)
{
	return about(EXITS_SUB_FAULT, ctx->args[2]);
}
