/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which vCPU is at an address, and which thread runs it: lives, see exits.h. For
 * exits.bpf.c only.
 */
#ifndef KVASIR_EXITS_LIFE_BPF_H
#define KVASIR_EXITS_LIFE_BPF_H

#include "exits_book.bpf.h"

const volatile __s32 only_vcpu = -1;	/* -1: all of them */
const volatile __u32 room_lives = EXITS_LIVES;

bool thread_has_many;	/* vCPUs: then the last one is noted at every entry */
__u32 last_life;

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
	__type(value, struct exits_life);
} lives SEC(".maps");

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
	if (v->tid != tid) {
		v->tid = tid;
		/* It is the thread before that is off the CPU. */
		v->off_ns = 0;
	}
	if (!slot) {
		count(&lost.returns_orphaned);
		return;
	}
	before = *slot == v->key.life ? NULL : state_of(*slot);
	if (before && before->addr && before->tid == tid)
		thread_has_many = true;
	*slot = v->key.life;
}

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
		if (v->at)
			book_untimed(v);
		v->addr = 0;
	}
	if (last_life >= room_lives - 1)
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
	v->key.life = n;
	v->polled_ns = kvm_own_polling(addr);
	v->tgid = tgid;
	v->addr = addr;
	here[bpf_get_smp_processor_id() % HERE] = n;
	thread_runs(v, bpf_get_current_pid_tgid());
	return v;
full:
	/* No room for this one: nor may it count for one before, here or there. */
	bpf_map_delete_elem(&vcpus, &addr);
	bpf_task_storage_delete(&running, bpf_get_current_task_btf());
	thread_has_many = true;
	return NULL;
}

#endif
