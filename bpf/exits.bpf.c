// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM exits: how many, why, and how long until the guest ran again.
 *
 * Three raw tracepoints of KVM are paired, all hit by the thread that runs the
 * vCPU: kvm_exit opens an exit, kvm_userspace_exit marks it as one that the
 * kernel could not finish alone, kvm_entry closes it and books the time in a
 * histogram of its own (vCPU, reason, kernel or userspace).
 *
 * Raw tracepoints cost the least and, unlike those with types, can be attached
 * with CAP_BPF and CAP_PERFMON while KVM is a module. Between exit and entry a
 * vCPU belongs to one thread (KVM's vcpu->mutex), so its state and its series
 * need neither locks nor atomics; counters shared by vCPUs are atomic.
 *
 * The clock is read last in kvm_exit and first in kvm_entry: our own work is
 * not part of what we measure.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "include/kvm_types.bpf.h"
#include "exits.h"

char _license[] SEC("license") = "GPL";

const volatile __u32 only_tgid;		/* 0: every VM of the machine */
const volatile struct exits_where where[EXITS_ISAS];

bool enabled;		/* set when all programs are attached: no torn start */
__u32 last_life;
struct exits_lost lost;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_LIVES);
	__type(key, __u64);
	__type(value, struct exits_vcpu);
} vcpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXITS_LIVES);
	__type(key, __u32);
	__type(value, struct exits_life);
} lives SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_SERIES);
	__type(key, struct exits_key);
	__type(value, struct exits_series);
} series SEC(".maps");

/* A new series is a copy of this: it does not fit the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exits_series);
} empty SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_RETURNS);
	__type(key, struct exits_return_key);
	__type(value, __u64);
} returns SEC(".maps");

/* The vCPU a thread ran last: kvm_userspace_exit does not say. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} running SEC(".maps");

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline bool wanted(__u32 tgid)
{
	return enabled && (!only_tgid || only_tgid == tgid);
}

static __always_inline __u64 kvm_own_count(__u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;

	return BPF_CORE_READ(vcpu, stat.exits);
}

static struct exits_series *series_get(const struct exits_vcpu *v)
{
	struct exits_key key = {
		.life = v->life,
		.reason = v->reason,
		.isa = v->isa,
		.user = v->user,
	};
	struct exits_series *s;
	__u32 zero = 0;

	s = bpf_map_lookup_elem(&series, &key);
	if (s)
		return s;
	s = bpf_map_lookup_elem(&empty, &zero);
	if (s)
		bpf_map_update_elem(&series, &key, s, BPF_NOEXIST);
	return bpf_map_lookup_elem(&series, &key);
}

/* Close the open exit of @v with the time it took. */
static void book_timed(struct exits_vcpu *v, __u64 ns)
{
	struct exits_series *s = series_get(v);
	__u32 i;

	v->open = 0;
	if (!s) {
		count(&lost.series_full);
		return;
	}
	s->timed++;
	s->total_ns += ns;
	if (ns > s->max_ns)
		s->max_ns = ns;
	i = hist_index(ns);
	/* What the compiler knows about @i the verifier has to see. */
	asm volatile("" : "+r"(i));
	if (i < HIST_BUCKETS)
		s->bucket[i]++;
}

/* Close the open exit of @v, of which no end was seen. */
static void book_untimed(struct exits_vcpu *v)
{
	struct exits_series *s = series_get(v);

	v->open = 0;
	if (s)
		s->untimed++;
	else
		count(&lost.series_full);
}

/* Start a life for the vCPU at @addr, ending the one its memory had before. */
static struct exits_vcpu *life_begin(__u64 addr, __u32 tgid, __u64 exits)
{
	struct exits_vcpu *old, new = { .exits = exits, .tgid = tgid };
	struct kvm_vcpu *vcpu = (void *)addr;
	struct task_struct *leader;
	struct exits_life *life;

	old = bpf_map_lookup_elem(&vcpus, &addr);
	if (old && old->open)
		book_untimed(old);
	if (last_life >= EXITS_LIVES - 1)
		goto full;
	new.life = __sync_fetch_and_add(&last_life, 1) + 1;
	life = bpf_map_lookup_elem(&lives, &new.life);
	if (!life)
		goto full;
	life->kvm = (__u64)BPF_CORE_READ(vcpu, kvm);
	life->vcpu_id = BPF_CORE_READ(vcpu, vcpu_id);
	life->tgid = tgid;
	leader = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(),
			       group_leader);
	life->start_ns = BPF_CORE_READ(leader, start_boottime);
	BPF_CORE_READ_STR_INTO(&life->comm, leader, comm);
	bpf_map_update_elem(&vcpus, &addr, &new, BPF_ANY);
	return bpf_map_lookup_elem(&vcpus, &addr);
full:
	/* No room for this one: nor may it count for the one before. */
	bpf_map_delete_elem(&vcpus, &addr);
	return NULL;
}

/*
 * Is @v still the vCPU that runs in @tgid and has left the guest @exits times?
 * A vCPU stays with its process, and its count only grows.
 */
static __always_inline bool same_life(const struct exits_vcpu *v, __u32 tgid,
				      __u64 exits)
{
	return v->tgid == tgid && v->exits <= exits;
}

static __always_inline __u32 exit_reason(__u64 addr, __u32 isa)
{
	__u32 reason = 0;

	if (isa >= EXITS_ISAS || !where[isa].known)
		return EXITS_UNREADABLE;
	addr += where[isa].first;
	if (where[isa].deref) {
		if (bpf_probe_read_kernel(&addr, sizeof(addr), (void *)addr))
			return EXITS_UNREADABLE;
		addr += where[isa].second;
	}
	if (bpf_probe_read_kernel(&reason, sizeof(reason), (void *)addr))
		return EXITS_UNREADABLE;
	/* VMX: bits 16-30 say more about the same exit; 31 that entry failed. */
	return isa == EXITS_ISA_VMX ? reason & 0x8000ffff : reason;
}

/* Let kvm_userspace_exit find the vCPU of this thread. */
static __always_inline void thread_runs(struct exits_vcpu *v, __u64 addr)
{
	__u64 *slot;

	slot = bpf_task_storage_get(&running, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (slot)
		*slot = addr;
	else
		count(&lost.returns_orphaned);
	v->tid = bpf_get_current_pid_tgid();
}

/* kvm_exit(struct kvm_vcpu *, u32 isa) */
SEC("raw_tp/kvm_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 addr = ctx->args[0], exits;
	struct exits_vcpu *v;

	if (!wanted(tgid))
		return 0;
	exits = kvm_own_count(addr);
	v = bpf_map_lookup_elem(&vcpus, &addr);
	if (!v || !same_life(v, tgid, exits))
		v = life_begin(addr, tgid, exits);
	if (!v) {
		count(&lost.vcpus_full);
		return 0;
	}
	if (v->open) {
		count(&lost.unmatched_exits);
		book_untimed(v);
	}
	if (exits > v->exits + 1)
		__sync_fetch_and_add(&lost.unseen_exits, exits - v->exits - 1);
	v->exits = exits;
	v->isa = ctx->args[1];
	v->reason = exit_reason(addr, ctx->args[1]);
	v->user = 0;
	v->open = 1;
	thread_runs(v, addr);
	v->exit_ns = bpf_ktime_get_ns();
	return 0;
}

/* kvm_entry(struct kvm_vcpu *, ...) */
SEC("raw_tp/kvm_entry")
int on_entry(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns(), addr = ctx->args[0], exits;
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct exits_vcpu *v;

	if (!wanted(tgid))
		return 0;
	exits = kvm_own_count(addr);
	v = bpf_map_lookup_elem(&vcpus, &addr);
	/* A vCPU is entered for the first time only once. */
	if (!v || !same_life(v, tgid, exits) || (!exits && !v->open)) {
		if (exits)
			count(&lost.cut_at_start);
		life_begin(addr, tgid, exits);
		return 0;
	}
	if (!v->open) {
		count(&lost.unmatched_entries);
	} else if (now < v->exit_ns) {
		count(&lost.backward_clock);
		book_untimed(v);
	} else {
		book_timed(v, now - v->exit_ns);
	}
	return 0;
}

/* The state of the vCPU that this thread ran last, if it is this process's. */
static struct exits_vcpu *thread_vcpu(__u32 tgid)
{
	struct exits_vcpu *v;
	__u64 *slot;

	slot = bpf_task_storage_get(&running, bpf_get_current_task_btf(), NULL,
				    0);
	if (!slot)
		return NULL;
	v = bpf_map_lookup_elem(&vcpus, slot);
	if (!v || v->tgid != tgid || v->tid != (__u32)bpf_get_current_pid_tgid())
		return NULL;
	return v;
}

/* kvm_userspace_exit(u32 reason, int errno) */
SEC("raw_tp/kvm_userspace_exit")
int on_userspace(struct bpf_raw_tracepoint_args *ctx)
{
	struct exits_return_key key = {};
	__u64 one = 1, *n;
	int err = ctx->args[1];
	struct exits_vcpu *v;

	key.tgid = bpf_get_current_pid_tgid() >> 32;
	if (!wanted(key.tgid))
		return 0;
	v = thread_vcpu(key.tgid);
	if (v) {
		key.life = v->life;
		v->user = 1;
	}
	if (err == -EINTR)
		key.reason = KVM_EXIT_INTR;
	else
		key.reason = err < 0 ? EXITS_RUN_FAILED : ctx->args[0];
	n = bpf_map_lookup_elem(&returns, &key);
	if (n) {
		count(n);
	} else if (bpf_map_update_elem(&returns, &key, &one, BPF_NOEXIST)) {
		/* Another thread may have made it since. */
		n = bpf_map_lookup_elem(&returns, &key);
		count(n ? n : &lost.returns_full);
	}
	return 0;
}
