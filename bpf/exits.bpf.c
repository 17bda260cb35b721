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
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "include/kvm_types.bpf.h"
#include "exits.h"

char _license[] SEC("license") = "GPL";

const volatile __u32 only_tgid;		/* 0: every VM of the machine */
const volatile __s32 only_vcpu = -1;	/* -1: all of them */
const volatile bool want_subs;		/* the tracepoints of on_pio() ... are on */
const volatile bool want_rips;
const volatile struct exits_where where[EXITS_ISAS];

bool thread_has_many;	/* vCPUs: then the last one is noted at every entry */
bool enabled;		/* set when all programs are attached: no torn start */
__u32 last_life;
__u32 n_series;
struct exits_lost lost;

/* The life that was seen last on each CPU: a hint. */
#define HERE 512
__u32 here[HERE];

/* vCPU's address -> its life */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_LIVES);
	__type(key, __u64);
	__type(value, __u32);
} vcpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXITS_LIVES);
	__type(key, __u32);
	__type(value, struct exits_vcpu);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXITS_LIVES);
	__type(key, __u32);
	__type(value, struct exits_life);
} lives SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXITS_SERIES);
	__type(key, __u32);
	__type(value, struct exits_slot);
} series SEC(".maps");

/* Where in "series" */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_SERIES);
	__type(key, struct exits_key);
	__type(value, __u32);
} series_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_RETURNS);
	__type(key, struct exits_return_key);
	__type(value, __u64);
} returns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_SUBKEYS);
	__type(key, struct exits_sub_key);
	__type(value, struct exits_sub_count);
} subs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_RIPS);
	__type(key, struct exits_rip_key);
	__type(value, __u64);
} rips SEC(".maps");

/* The life of the vCPU a thread ran last: not all tracepoints name it. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} running SEC(".maps");

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline bool wanted(__u32 tgid)
{
	return enabled && (!only_tgid || only_tgid == tgid);
}

static __always_inline __u32 this_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline __u64 kvm_own_count(__u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;

	return BPF_CORE_READ(vcpu, stat.exits);
}

/* ---- lives ---- */

static struct exits_vcpu *state_of(__u32 life)
{
	return bpf_map_lookup_elem(&states, &life);
}

/* The vCPU at @addr, if it was the last one seen on this CPU. */
static __always_inline struct exits_vcpu *state_here(__u64 addr)
{
	__u32 life = here[bpf_get_smp_processor_id() % HERE];
	struct exits_vcpu *v = bpf_map_lookup_elem(&states, &life);

	return v && v->addr == addr ? v : NULL;
}

static struct exits_vcpu *state_at(__u64 addr)
{
	__u32 *life = bpf_map_lookup_elem(&vcpus, &addr);
	struct exits_vcpu *v;

	if (!life)
		return NULL;
	v = state_of(*life);
	if (v)
		here[bpf_get_smp_processor_id() % HERE] = *life;
	return v;
}

/* Let tracepoints that do not name the vCPU find it by the thread. */
static void thread_runs(struct exits_vcpu *v, __u32 tid)
{
	struct exits_vcpu *before;
	__u32 *slot;

	slot = bpf_task_storage_get(&running, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	v->tid = tid;
	if (!slot) {
		count(&lost.returns_orphaned);
		return;
	}
	before = *slot == v->life ? NULL : state_of(*slot);
	if (before && before->addr && before->tid == tid)
		thread_has_many = true;
	*slot = v->life;
}

/* The state of the vCPU that @task ran last. */
static __always_inline struct exits_vcpu *task_vcpu(struct task_struct *task)
{
	__u32 *slot = bpf_task_storage_get(&running, (void *)task, NULL, 0);

	return slot ? state_of(*slot) : NULL;
}

static void book_untimed(struct exits_vcpu *v);

/* Who is it? For those who read the maps. */
static void life_describe(struct exits_life *life, __u64 addr, __u32 tgid)
{
	struct kvm_vcpu *vcpu = (void *)addr;
	struct task_struct *leader;

	life->kvm = (__u64)BPF_CORE_READ(vcpu, kvm);
	life->vcpu_id = BPF_CORE_READ(vcpu, vcpu_id);
	life->tgid = tgid;
	leader = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(),
			       group_leader);
	life->start_ns = BPF_CORE_READ(leader, start_boottime);
	BPF_CORE_READ_STR_INTO(&life->comm, leader, comm);
}

/* Start a life for the vCPU at @addr, ending the one its memory had before. */
static struct exits_vcpu *life_begin(__u64 addr, __u32 tgid)
{
	struct kvm_vcpu *vcpu = (void *)addr;
	struct exits_vcpu *v = state_at(addr);
	struct exits_life *life;
	__u32 n;

	if (v) {
		if (v->open)
			book_untimed(v);
		v->addr = 0;
	}
	if (last_life >= EXITS_LIVES - 1)
		goto full;
	n = __sync_fetch_and_add(&last_life, 1) + 1;
	v = state_of(n);
	life = bpf_map_lookup_elem(&lives, &n);
	if (!v || !life || bpf_map_update_elem(&vcpus, &addr, &n, BPF_ANY))
		goto full;
	v->unwanted = only_vcpu >= 0 &&
		      BPF_CORE_READ(vcpu, vcpu_id) != only_vcpu;
	if (!v->unwanted)
		life_describe(life, addr, tgid);
	v->life = n;
	v->tgid = tgid;
	v->addr = addr;
	here[bpf_get_smp_processor_id() % HERE] = n;
	thread_runs(v, bpf_get_current_pid_tgid());
	return v;
full:
	/* No room for this one: nor may it count for the one before. */
	bpf_map_delete_elem(&vcpus, &addr);
	return NULL;
}

/* ---- booking ---- */

static struct exits_slot *slot_new(struct exits_vcpu *v,
				   const struct exits_key *key)
{
	__u32 *known = bpf_map_lookup_elem(&series_index, key), n;
	struct exits_slot *slot;

	if (known) {
		n = *known;
		slot = bpf_map_lookup_elem(&series, &n);
	} else {
		n = __sync_fetch_and_add(&n_series, 1);
		slot = bpf_map_lookup_elem(&series, &n);
		if (!slot) {
			__sync_fetch_and_add(&n_series, -1);
			return NULL;
		}
		slot->key = *key;
		bpf_map_update_elem(&series_index, key, &n, BPF_ANY);
	}
	v->cache[(key->reason * 2 + key->user) % EXITS_CACHE] = n + 1;
	return slot;
}

/* The series of the exit of @v: of its class, and as the cache has it. */
static __always_inline struct exits_series *series_get(struct exits_vcpu *v)
{
	__u32 n = v->cache[(v->reason * 2 + v->user) % EXITS_CACHE];
	struct exits_key key = {
		.life = v->life,
		.reason = v->reason,
		.isa = v->isa,
		.user = v->user,
	};
	struct exits_slot *slot;

	n--;
	slot = bpf_map_lookup_elem(&series, &n);
	/* The cache is the life's own; the isa does not change meanwhile. */
	if (!slot || slot->key.reason != key.reason ||
	    slot->key.user != key.user || slot->key.life != key.life)
		slot = slot_new(v, &key);
	return slot ? &slot->s : NULL;
}

static void book_sub(const struct exits_vcpu *v, __u64 ns)
{
	struct exits_sub_key key = {
		.exit = {
			.life = v->life,
			.reason = v->reason,
			.isa = v->isa,
			.user = v->user,
		},
		.sub = v->sub,
		.value = v->sub_value,
	};
	struct exits_sub_count new = { 1, ns, ns }, *c;

	c = bpf_map_lookup_elem(&subs, &key);
	if (!c) {
		if (bpf_map_update_elem(&subs, &key, &new, BPF_NOEXIST))
			count(&lost.subs_full);
		return;
	}
	c->timed++;
	c->total_ns += ns;
	if (ns > c->max_ns)
		c->max_ns = ns;
}

static void parts_reset(struct exits_vcpu *v)
{
	v->ready_ns = 0;
	v->blocked_ns = 0;
	v->poll_ns = 0;
	v->off_at_ret = 0;
}

/* What of the exit of @v, which ends @now, was not KVM's handling. */
static void book_parts(struct exits_vcpu *v, struct exits_series *s, __u64 now)
{
	__u64 off = v->ready_ns + v->blocked_ns, user;

	if (v->user) {
		user = now - v->ret_ns;
		off -= v->off_at_ret;
		s->user_ns += user > off ? user - off : 0;
	}
	s->ready_ns += v->ready_ns;
	s->blocked_ns += v->blocked_ns;
	s->poll_ns += v->poll_ns;
	parts_reset(v);
}

/* Close the open exit of @v, entered again at @now. */
static __always_inline void book_timed(struct exits_vcpu *v, __u64 now)
{
	struct exits_series *s = series_get(v);
	__u64 ns = now - v->exit_ns;
	__u32 i;

	v->open = 0;
	if (!s) {
		count(&lost.series_full);
		return;
	}
	if (!s->timed || ns < s->min_ns)
		s->min_ns = ns;
	s->timed++;
	s->total_ns += ns;
	if (ns > s->max_ns)
		s->max_ns = ns;
	i = hist_index(ns);
	/* What the compiler knows about @i the verifier has to see. */
	asm volatile("" : "+r"(i));
	if (i < HIST_BUCKETS)
		s->bucket[i]++;
	if (v->user || v->ready_ns || v->blocked_ns || v->poll_ns)
		book_parts(v, s, now);
	if (want_subs && v->sub)
		book_sub(v, ns);
}

/* Close the open exit of @v, of which no end was seen. */
static void book_untimed(struct exits_vcpu *v)
{
	struct exits_series *s = series_get(v);

	v->open = 0;
	parts_reset(v);
	if (s)
		s->untimed++;
	else
		count(&lost.series_full);
}

/* ---- exit and entry ---- */

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

/*
 * The state of the vCPU at @addr, which was not seen on this CPU before, or of
 * which an entry is missing.
 */
static struct exits_vcpu *exit_slow(__u64 addr)
{
	struct exits_vcpu *v = state_at(addr);
	__u32 tgid = this_tgid();
	__u64 exits;

	if (!wanted(tgid))
		return NULL;
	if (v && v->tgid == tgid && !v->open)
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

static void sample_rip(const struct exits_vcpu *v, __u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;
	struct exits_rip_key key = { .life = v->life, .reason = v->reason };
	__u64 one = 1, *n;

	/* VMX leaves it in the processor until somebody asks. */
	if (v->isa != EXITS_ISA_SVM)
		return;
	key.rip = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RIP]);
	n = bpf_map_lookup_elem(&rips, &key);
	if (n)
		++*n;
	else if (bpf_map_update_elem(&rips, &key, &one, BPF_NOEXIST))
		count(&lost.rips_full);
}

/* kvm_exit(struct kvm_vcpu *, u32 isa) */
SEC("raw_tp/kvm_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 addr = ctx->args[0];
	struct exits_vcpu *v;

	if (!enabled)
		return 0;
	v = state_here(addr);
	if (!v || v->open)
		v = exit_slow(addr);
	if (!v || v->unwanted)
		return 0;
	v->seen++;
	v->exits++;
	v->isa = ctx->args[1];
	v->reason = exit_reason(addr, ctx->args[1]);
	v->user = 0;
	v->open = 1;
	if (want_subs)
		v->sub = EXITS_SUB_NONE;
	if (want_rips && !(v->seen % EXITS_RIP_EVERY))
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

	if (!wanted(tgid))
		return NULL;
	if (!v)
		v = state_at(addr);
	exits = kvm_own_count(addr);
	/* A vCPU is entered for the first time only once. */
	if (v && v->tgid == tgid && v->exits <= exits + 1 &&
	    (exits || v->open)) {
		if (v->tid != (__u32)id || thread_has_many)
			thread_runs(v, id);
		compare_counts(v, exits);
		return v;
	}
	if (exits)
		count(&lost.cut_at_start);
	v = life_begin(addr, tgid);
	if (v)
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
	if (!v || v->user || !v->open)
		v = entry_slow(addr, v);
	if (!v || v->unwanted)
		return 0;
	if (!v->open) {
		count(&lost.unmatched_entries);
	} else if (now < v->exit_ns) {
		count(&lost.backward_clock);
		book_untimed(v);
	} else {
		book_timed(v, now);
	}
	v->user = 0;
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

	if (v && v->addr && v->tid == (__u32)id && !v->user)
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
	if (!v->user) {
		v->user = 1;
		v->ret_ns = bpf_ktime_get_ns();
		v->off_at_ret = v->ready_ns + v->blocked_ns;
	}
	if (reason < EXITS_KNOWN_RETURNS)
		v->returns[reason]++;
	else
		count_return(v->tgid, v->life, reason);
	return 0;
}

/* ---- where the time goes ---- */

static __always_inline void switched_out(struct task_struct *task, bool ready)
{
	struct exits_vcpu *v = task_vcpu(task);

	if (!v || !v->open)
		return;
	v->off_ready = ready;
	v->wake_ns = 0;
	v->off_ns = bpf_ktime_get_ns();
}

static __always_inline void switched_in(struct task_struct *task)
{
	struct exits_vcpu *v = task_vcpu(task);
	__u64 now, woken;

	if (!v || !v->off_ns)
		return;
	now = bpf_ktime_get_ns();
	/* Blocked until it was woken, then waiting for a CPU. */
	woken = v->off_ready ? v->off_ns : v->wake_ns ? v->wake_ns : now;
	v->blocked_ns += woken - v->off_ns;
	v->ready_ns += now - woken;
	v->off_ns = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev,
	     struct task_struct *next, unsigned int prev_state)
{
	if (!enabled)
		return 0;
	/* Kernel threads, the idle one above all, run no vCPU. */
	if (!(prev->flags & TASK_KTHREAD))
		switched_out(prev, preempt || !prev_state);
	if (!(next->flags & TASK_KTHREAD))
		switched_in(next);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	struct exits_vcpu *v;

	if (!enabled || task->flags & TASK_KTHREAD)
		return 0;
	v = task_vcpu(task);
	if (v && v->off_ns && !v->wake_ns)
		v->wake_ns = bpf_ktime_get_ns();
	return 0;
}

/* kvm_vcpu_wakeup(u64 ns, bool waited, bool valid): a halt, polling and all */
SEC("raw_tp/kvm_vcpu_wakeup")
int on_halt_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct exits_vcpu *v = NULL;
	__u64 ns = ctx->args[0], off;

	if (enabled)
		v = task_vcpu(bpf_get_current_task_btf());
	if (!v || !v->open)
		return 0;
	off = v->ready_ns + v->blocked_ns;
	if (ns > off)
		v->poll_ns += ns - off;
	return 0;
}

/* ---- what an exit is about ---- */

static __always_inline int about(__u32 sub, __u64 value)
{
	struct exits_vcpu *v = NULL;

	if (enabled)
		v = task_vcpu(bpf_get_current_task_btf());
	/*
	 * The first one says it, what follows is a consequence; but a fault is
	 * only how an access to a device begins.
	 */
	if (v && v->open && !v->user &&
	    (!v->sub || v->sub == EXITS_SUB_FAULT)) {
		v->sub = sub;
		v->sub_value = value;
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
