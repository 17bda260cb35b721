// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's half of a request's way: the exit the doorbell rings in, and the interrupt
 * from the call to the entry that goes in with it.
 */
#include "queues_book.bpf.h"
#include <bpf/bpf_core_read.h>
#include "include/kvm_types.bpf.h"

struct irq_key {
	__u64 vcpu;
	__u64 vector;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, QUEUES_VCPUS);
	__type(key, struct irq_key);
	__type(value, struct irq);
} irqs SEC(".maps");

static __always_inline __u64 vcpu_key(__u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;

	return bpf_get_current_pid_tgid() >> 32 << 32 |
	       (__u32)BPF_CORE_READ(vcpu, vcpu_id);
}

static __always_inline bool wanted(void)
{
	return enabled &&
	       (!only_pid || only_pid == bpf_get_current_pid_tgid() >> 32);
}

/* kvm_exit(struct kvm_vcpu *, u32 isa) */
SEC("raw_tp/kvm_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct vcpu_state *v, new = {};
	struct thread *t;
	__u64 key;

	if (!wanted())
		return 0;
	key = vcpu_key(ctx->args[0]);
	v = bpf_map_lookup_elem(&vcpus, &key);
	if (!v) {
		bpf_map_update_elem(&vcpus, &key, &new, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&vcpus, &key);
		if (!v) {
			count(&lost.vcpus_full);
			return 0;
		}
	}
	t = this_thread(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (t)
		t->vcpu = key;
	v->exit_ns = bpf_ktime_get_ns();
	v->open = 1;
	return 0;
}

/*
 * kvm_apic_accept_irq(u32 vcpu_id, u16 mode, u16 trigger, u8 vector): the call of
 * this thread has reached the vCPU's interrupt controller.
 */
SEC("raw_tp/kvm_apic_accept_irq")
int on_accept(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = enabled ? this_thread(0) : NULL;
	struct irq_key key = { .vector = (__u8)ctx->args[3] };
	struct vcpu_state *v;

	if (!t || !t->calling)
		return 0;
	key.vcpu = t->calling >> 32 << 32 | (__u32)ctx->args[0];
	t->calling = 0;
	t->call.trip.at[STAGE_IRQ] = bpf_ktime_get_ns();
	book_hop(&t->call.trip, STAGE_CALL, STAGE_IRQ, 0);
	v = bpf_map_lookup_elem(&vcpus, &key.vcpu);
	if (!v) {
		/* It has not left the guest since the trace began. */
		trip_end(&t->call.trip, STAGE_IRQ);
		return 0;
	}
	t->call.in_guest = !v->open;
	bpf_map_update_elem(&irqs, &key, &t->call, BPF_ANY);
	v->waiting = key.vector + 1;
	return 0;
}

/* kvm_inj_virq(u32 vector, ...) */
SEC("raw_tp/kvm_inj_virq")
int on_inject(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = enabled ? this_thread(0) : NULL;
	struct vcpu_state *v;

	if (!t || !t->vcpu)
		return 0;
	v = bpf_map_lookup_elem(&vcpus, &t->vcpu);
	if (!v)
		return 0;
	v->injected = (__u32)ctx->args[0] + 1;
	v->ever = 1;
	return 0;
}

static void posted(const struct irq *irq)
{
	struct queue_state *q;
	__u64 key = irq->dev_queue;

	q = bpf_map_lookup_elem(&queues, &key);
	if (q)
		count(&q->posted);
}

/* kvm_entry(struct kvm_vcpu *, ...) */
SEC("raw_tp/kvm_entry")
int on_entry(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct irq_key key = {};
	struct vcpu_state *v;
	struct irq *irq;
	__u32 vector;

	if (!wanted())
		return 0;
	key.vcpu = vcpu_key(ctx->args[0]);
	v = bpf_map_lookup_elem(&vcpus, &key.vcpu);
	if (!v)
		return 0;
	v->open = 0;
	/* Without injections, hardware delivers what was accepted. */
	vector = v->ever ? v->injected : v->waiting;
	if (!vector)
		return 0;
	v->injected = 0;
	v->waiting = 0;
	key.vector = vector - 1;
	irq = bpf_map_lookup_elem(&irqs, &key);
	if (!irq)
		return 0;
	if (!v->ever && irq->in_guest) {
		posted(irq);
	} else {
		irq->trip.at[STAGE_ENTRY] = now;
		book_hop(&irq->trip, STAGE_IRQ, STAGE_ENTRY, 0);
		trip_end(&irq->trip, STAGE_ENTRY);
	}
	bpf_map_delete_elem(&irqs, &key);
	return 0;
}
