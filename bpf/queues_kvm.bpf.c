// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's half of a request's way: the exit the doorbell rings in, and the interrupt
 * from the call to the entry that goes in with it.
 */
#include "queues_book.bpf.h"
#include <bpf/bpf_core_read.h>
#include "include/kvm_types.bpf.h"

/* New ones are copies of it: they do not fit the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vcpu_state);
} empty_vcpu SEC(".maps");

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

static struct vcpu_state *vcpu_add(__u64 key)
{
	struct vcpu_state *v;
	__u32 zero = 0;

	v = bpf_map_lookup_elem(&empty_vcpu, &zero);
	if (v)
		bpf_map_update_elem(&vcpus, &key, v, BPF_NOEXIST);
	v = bpf_map_lookup_elem(&vcpus, &key);
	if (!v)
		count(&lost.vcpus_full);
	return v;
}

/* kvm_exit(struct kvm_vcpu *, u32 isa) */
SEC("raw_tp/kvm_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct vcpu_state *v;
	struct thread *t;
	__u64 key;

	if (!wanted())
		return 0;
	key = vcpu_key(ctx->args[0]);
	v = bpf_map_lookup_elem(&vcpus, &key);
	if (!v)
		v = vcpu_add(key);
	if (!v)
		return 0;
	t = this_thread(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (t)
		t->vcpu = key;
	v->exit_ns = bpf_ktime_get_ns();
	v->open = 1;
	return 0;
}

/* @trip is on its way into @v: see to it that the entry books it. */
static void irq_add(struct vcpu_state *v, const struct queue_trip *trip,
		    __u32 vector)
{
	struct irq *irq;
	__u32 i, bit;

	for (i = 0; i < QUEUES_IRQS; i++) {
		bit = 1U << i;
		if (v->claimed & bit || __sync_fetch_and_or(&v->claimed, bit) & bit)
			continue;
		irq = &v->irq[i];
		irq->trip = *trip;
		irq->vector = vector;
		irq->in_guest = !v->open;
		__sync_fetch_and_or(&v->accepted, bit);
		return;
	}
	count(&lost.irqs_full);
}

/*
 * kvm_apic_accept_irq(u32 vcpu_id, u16 mode, u16 trigger, u8 vector): the call of
 * this thread has reached the vCPU's interrupt controller.
 */
SEC("raw_tp/kvm_apic_accept_irq")
int on_accept(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = enabled ? this_thread(0) : NULL;
	struct vcpu_state *v;
	__u64 key;

	if (!t || !t->calling)
		return 0;
	key = t->calling >> 32 << 32 | (__u32)ctx->args[0];
	t->calling = 0;
	t->call.at[STAGE_IRQ] = bpf_ktime_get_ns();
	book_hop(&t->call, STAGE_CALL, STAGE_IRQ, 0);
	v = bpf_map_lookup_elem(&vcpus, &key);
	if (v)
		irq_add(v, &t->call, (__u8)ctx->args[3]);
	else	/* It has not left the guest since the trace began. */
		trip_end(&t->call, STAGE_IRQ);
	return 0;
}

/* kvm_inj_virq(u32 vector, bool soft, bool reinjected) */
SEC("raw_tp/kvm_inj_virq")
int on_inject(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = enabled ? this_thread(0) : NULL;
	struct vcpu_state *v;

	/* Once more the one before, which the guest could not take yet. */
	if (!t || !t->vcpu || (__u8)ctx->args[2])
		return 0;
	v = bpf_map_lookup_elem(&vcpus, &t->vcpu);
	if (!v)
		return 0;
	v->injected = (__u32)ctx->args[0] + 1;
	v->going = v->accepted;
	v->ever = 1;
	return 0;
}

/* @irq goes in with the entry of @v. Return: false if it waits for another one. */
static bool irq_goes_in(const struct vcpu_state *v, struct irq *irq, __u64 now)
{
	struct queue_state *q;

	if (v->ever && irq->vector + 1 != v->injected)
		return false;
	/* Of one that came after we looked at the clock the next entry is sure. */
	if (!v->ever && irq->trip.at[STAGE_IRQ] > now)
		return false;
	if (!v->ever && irq->in_guest) {
		q = bpf_map_lookup_elem(&queues, &irq->trip.queue);
		if (q)
			count(&q->posted);
		return true;
	}
	irq->trip.at[STAGE_ENTRY] = now;
	book_hop(&irq->trip, STAGE_IRQ, STAGE_ENTRY, 0);
	trip_end(&irq->trip, STAGE_ENTRY);
	return true;
}

struct entry {
	struct vcpu_state *v;
	__u64 now;
	__u32 waiting, going;	/* the latter are some of the former */
};

/* For bpf_loop(): the verifier looks at it once, not once for each of them. */
static long irq_take(__u32 i, struct entry *e)
{
	struct vcpu_state *v = e->v;
	struct irq *irq;
	__u32 bit;

	i %= QUEUES_IRQS;
	irq = &v->irq[i];
	bit = 1U << i;
	if (!(e->waiting & bit))
		return 0;
	if (!(e->going & bit) || !irq_goes_in(v, irq, e->now)) {
		/* A guest that was reset, say, forgets what waited. */
		if (e->now < irq->trip.at[STAGE_IRQ] + QUEUES_IRQ_NS)
			return 0;
		count(&lost.irqs_full);
	}
	__sync_fetch_and_and(&v->accepted, ~bit);
	__sync_fetch_and_and(&v->claimed, ~bit);
	return 0;
}

/* kvm_entry(struct kvm_vcpu *, ...) */
SEC("raw_tp/kvm_entry")
int on_entry(struct bpf_raw_tracepoint_args *ctx)
{
	struct entry e = { .now = bpf_ktime_get_ns() };
	struct vcpu_state *v;
	__u64 key;

	if (!wanted())
		return 0;
	key = vcpu_key(ctx->args[0]);
	v = bpf_map_lookup_elem(&vcpus, &key);
	if (!v)
		return 0;
	v->open = 0;
	/* Without injections, hardware delivers what was accepted. */
	e.waiting = v->accepted;
	e.going = v->ever ? v->going : e.waiting;
	e.v = v;
	if (e.waiting)
		bpf_loop(QUEUES_IRQS, irq_take, &e, 0);
	v->going = 0;
	v->injected = 0;
	return 0;
}
