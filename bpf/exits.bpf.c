// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM exits: how many, why, and how long until the guest ran again.
 *
 * Three raw tracepoints of KVM are paired, all hit by the thread that runs the
 * vCPU: kvm_exit opens an exit, kvm_userspace_exit marks it as one that the
 * kernel could not finish alone, kvm_entry closes it and books the time in a
 * histogram of its own (vCPU, reason, kernel or userspace). The scheduler's
 * tracepoints tell which part of it the thread did not run.
 *
 * Raw tracepoints cost the least and, unlike those with types, can be attached
 * with CAP_BPF and CAP_PERFMON while KVM is a module. Between exit and entry a
 * vCPU belongs to one thread (KVM's vcpu->mutex), so its state and its series
 * need neither locks nor atomics; counters shared by vCPUs are atomic.
 *
 * The way of an exit that the kernel handles is kept short. A vCPU's state is
 * found by the CPU it was seen on last. What could have changed - the vCPU was
 * freed and its memory is another one, or another thread runs it - can only
 * have changed after KVM_RUN returned; so everything is checked anew at the
 * entry behind that, and nothing at the others.
 *
 * The clock is read last in kvm_exit and first in kvm_entry: our own work is
 * not part of what we measure.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <bpf/bpf_helpers.h>
#include "exits_life.bpf.h"
#include "include/peek.bpf.h"

char _license[] SEC("license") = "GPL";

const volatile __u32 only_tgid;		/* 0: every VM of the machine */
const volatile struct exits_where where[EXITS_ISAS];

bool enabled;
struct exits_lost lost;
struct exits_states states SEC(".maps");
struct exits_running running SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_RETURNS);
	__type(key, struct exits_return_key);
	__type(value, __u64);
} returns SEC(".maps");

static __always_inline bool wanted(__u32 tgid)
{
	return enabled && (!only_tgid || only_tgid == tgid);
}

static __always_inline __u64 kvm_own_count(__u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;

	return peek((__u64)__builtin_preserve_access_index(&vcpu->stat.exits));
}

/* Why has the vCPU at @addr left the guest? *@as: set if it cannot be told. */
static __always_inline __u32 exit_reason(__u64 addr, __u32 isa, __u8 *as)
{
	__u32 reason;

	if (isa >= EXITS_ISAS || !where[isa].known)
		goto unreadable;
	addr += where[isa].first;
	if (where[isa].deref) {
		addr = peek(addr);
		if (!addr)
			goto unreadable;
		addr += where[isa].second;
	}
	reason = peek(addr);
	/* VMX: bits 16-30 say more about the same exit; 31 that entry failed. */
	return isa == EXITS_ISA_VMX ? reason & 0x8000ffff : reason;
unreadable:
	*as = EXITS_ISA_UNREADABLE;
	return 0;
}

/*
 * The state of the vCPU at @addr, which was not seen on this CPU before, or of
 * which an entry is missing.
 */
static struct exits_vcpu *exit_slow(__u64 addr)
{
	struct exits_vcpu *v = state_at(addr);
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 exits;

	if (!wanted(tgid))
		return NULL;
	if (v && v->tgid == tgid && !v->at)
		return v;
	exits = kvm_own_count(addr);
	if (v && v->tgid == tgid && v->exits <= exits) {
		count(&lost.unmatched_exits);
		book_untimed(v);
		return v;
	}
	v = life_begin(addr, tgid);
	if (!v)
		count(&lost.vcpus_full);
	return v;
}

/* kvm_exit(struct kvm_vcpu *, u32 isa) */
SEC("raw_tp/kvm_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 addr = ctx->args[0];
	struct exits_vcpu *v;
	__u32 isa;

	if (!enabled)
		return 0;
	v = state_here(addr);
	if (!v || v->at)
		v = exit_slow(addr);
	if (!v || v->unwanted)
		return 0;
	isa = ctx->args[1];
	v->exits++;
	v->key.isa = isa;
	v->key.reason = exit_reason(addr, isa, &v->key.isa);
	v->key.user = 0;
	v->at = EXITS_AT_KERNEL;
	if (want_rips && !(v->exits % EXITS_RIP_EVERY))
		sample_rip(v, addr);
	v->exit_ns = bpf_ktime_get_ns();
	return 0;
}

/* KVM's count is right now: was there an exit that it did not report? */
static void compare_counts(struct exits_vcpu *v, __u64 exits)
{
	if (v->counted && !v->unwanted && exits > v->exits)
		__sync_fetch_and_add(&lost.unseen_exits, exits - v->exits);
	v->exits = exits;
	v->counted = 1;
}

/*
 * KVM_RUN has returned since, or this vCPU was not seen on this CPU before:
 * who is it? Return: NULL also for one that begins its life here.
 */
static struct exits_vcpu *entry_slow(__u64 addr, struct exits_vcpu *v)
{
	__u64 id = bpf_get_current_pid_tgid(), exits;
	__u32 tgid = id >> 32;

	if (!v) {
		if (!wanted(tgid))
			return NULL;
		v = state_at(addr);
	}
	exits = kvm_own_count(addr);
	/* A vCPU is entered for the first time only once. */
	if (v && v->tgid == tgid && v->exits <= exits + 1 &&
	    (exits || v->at)) {
		if (v->tid != (__u32)id || thread_has_many)
			thread_runs(v, id);
		compare_counts(v, exits);
		return v;
	}
	/* It was another process's. */
	if (!wanted(tgid))
		return NULL;
	v = life_begin(addr, tgid);
	if (!v)
		return NULL;
	if (exits)
		count(&lost.cut_at_start);
	compare_counts(v, exits);
	return NULL;
}

/* kvm_entry(struct kvm_vcpu *, ...) */
SEC("raw_tp/kvm_entry")
int on_entry(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns(), addr = ctx->args[0];
	struct exits_vcpu *v;

	if (!enabled)
		return 0;
	v = state_here(addr);
	if (!v || v->at != EXITS_AT_KERNEL)
		v = entry_slow(addr, v);
	if (!v || v->unwanted)
		return 0;
	if (!v->at) {
		count(&lost.unmatched_entries);
	} else if (now < v->exit_ns) {
		count(&lost.backward_clock);
		book_untimed(v);
	} else {
		book_timed(v, now);
	}
	return 0;
}

/*
 * The vCPU whose KVM_RUN is about to return in this thread. A thread is in one
 * at a time, so the last one of this CPU is it, if this thread entered it and
 * has not returned from it yet.
 */
static struct exits_vcpu *returning(__u64 id)
{
	struct exits_vcpu *v = state_of(here[bpf_get_smp_processor_id() % HERE]);

	if (v && v->addr && v->tid == (__u32)id && v->at != EXITS_AT_USER)
		return v;
	v = task_vcpu(bpf_get_current_task_btf());
	return v && v->tgid == id >> 32 ? v : NULL;
}

/* A return that no vCPU's state has a counter for. */
static void count_return(__u32 tgid, __u32 life, __u32 reason)
{
	struct exits_return_key key = {
		.tgid = tgid, .life = life, .reason = reason,
	};
	__u64 one = 1, *n;

	n = bpf_map_lookup_elem(&returns, &key);
	if (n) {
		count(n);
	} else if (bpf_map_update_elem(&returns, &key, &one, BPF_NOEXIST)) {
		/* Another thread may have made it since. */
		n = bpf_map_lookup_elem(&returns, &key);
		count(n ? n : &lost.returns_full);
	}
}

/* kvm_userspace_exit(u32 reason, int errno) */
SEC("raw_tp/kvm_userspace_exit")
int on_userspace(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 reason = ctx->args[0];
	int err = ctx->args[1];
	struct exits_vcpu *v;

	if (!wanted(id >> 32))
		return 0;
	if (err < 0)
		reason = err == -EINTR ? KVM_EXIT_INTR : EXITS_RUN_FAILED;
	v = returning(id);
	if (!v) {
		count_return(id >> 32, 0, reason);
		return 0;
	}
	if (v->unwanted)
		return 0;
	if (v->at == EXITS_AT_KERNEL) {
		v->at = EXITS_AT_USER;
		v->key.user = 1;
		v->parts = 1;
		v->ret_ns = bpf_ktime_get_ns();
		v->off_at_ret = v->ready_ns + v->blocked_ns + v->poll_ns;
	}
	if (reason < EXITS_KNOWN_RETURNS)
		v->returns[reason]++;
	else
		count_return(v->tgid, v->key.life, reason);
	return 0;
}
