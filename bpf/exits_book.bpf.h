/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where exits of VMs are counted: a histogram per vCPU, reason and class, and, on
 * demand, what exits were about and where the guest was. For exits.bpf.c only.
 *
 * A series is written by the thread that runs its vCPU: no locks, no atomics.
 */
#ifndef KVASIR_EXITS_BOOK_BPF_H
#define KVASIR_EXITS_BOOK_BPF_H

#include <bpf/bpf_core_read.h>
#include "exits_state.bpf.h"

const volatile bool want_rips;

__u32 n_series;

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

static __always_inline __u32 cached_at(const struct exits_key *key)
{
	return (key->reason * 2 + key->user) % EXITS_CACHE;
}

static struct exits_slot *slot_new(struct exits_vcpu *v)
{
	struct exits_key *key = &v->key;
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
	v->cache[cached_at(key)] = n + 1;
	return slot;
}

/* The series of the exit of @v. */
static __always_inline struct exits_series *series_get(struct exits_vcpu *v)
{
	__u32 n = v->cache[cached_at(&v->key)] - 1;
	struct exits_slot *slot = bpf_map_lookup_elem(&series, &n);

	if (!slot || slot->key.all != v->key.all)
		slot = slot_new(v);
	return slot ? &slot->s : NULL;
}

/* What the exit of @v, which took @ns, was about. */
static void book_sub(const struct exits_vcpu *v, __u64 ns)
{
	struct exits_sub_key key = {
		.exit = v->key,
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
	v->parts = 0;
	v->sub = EXITS_SUB_NONE;
	v->ready_ns = 0;
	v->blocked_ns = 0;
	v->poll_ns = 0;
	v->off_at_ret = 0;
}

/* So much of @part as is left. */
static __always_inline __u64 take(__u64 *left, __u64 part)
{
	if (part > *left)
		part = *left;
	*left -= part;
	return part;
}

/*
 * What the @left ns of the exit of @v, which ends @now, were spent on. Polling
 * comes last: who is preempted meanwhile is ready, and still polls for KVM.
 */
static void book_parts(struct exits_vcpu *v, struct exits_series *s, __u64 left,
		       __u64 now)
{
	__u64 off = v->ready_ns + v->blocked_ns + v->poll_ns, user, away;

	if (v->key.user) {
		user = now - v->ret_ns;
		away = off - v->off_at_ret;
		s->user_ns += take(&left, user > away ? user - away : 0);
	}
	if (off) {
		s->ready_ns += take(&left, v->ready_ns);
		s->blocked_ns += take(&left, v->blocked_ns);
		s->poll_ns += take(&left, v->poll_ns);
	}
	s->kernel_ns += left;
}

/* Close the open exit of @v, entered again at @now. */
static __always_inline void book_timed(struct exits_vcpu *v, __u64 now)
{
	struct exits_series *s = series_get(v);
	__u64 ns = now - v->exit_ns;
	__u32 i;

	v->at = EXITS_AT_GUEST;
	if (!s) {
		count(&lost.series_full);
		parts_reset(v);
		return;
	}
	if (!s->timed || ns < s->min_ns)
		s->min_ns = ns;
	s->timed++;
	if (ns > s->max_ns)
		s->max_ns = ns;
	i = hist_index(ns);
	/* What the compiler knows about @i the verifier has to see. */
	asm volatile("" : "+r"(i));
	if (i < HIST_BUCKETS)
		s->bucket[i]++;
	if (!v->parts) {
		s->kernel_ns += ns;
		return;
	}
	book_parts(v, s, ns, now);
	if (v->sub)
		book_sub(v, ns);
	parts_reset(v);
}

/* Close the open exit of @v, of which no end was seen. */
static void book_untimed(struct exits_vcpu *v)
{
	struct exits_series *s = series_get(v);

	v->at = EXITS_AT_GUEST;
	parts_reset(v);
	if (s)
		s->untimed++;
	else
		count(&lost.series_full);
}

/* Where in the guest is the vCPU at @addr? */
static void sample_rip(const struct exits_vcpu *v, __u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;
	struct exits_rip_key key = { .life = v->key.life,
				     .reason = v->key.reason };
	__u64 one = 1, *n;

	/* VMX leaves it in the processor until somebody asks. */
	if (v->key.isa != EXITS_ISA_SVM)
		return;
	key.rip = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RIP]);
	n = bpf_map_lookup_elem(&rips, &key);
	if (n)
		++*n;
	else if (bpf_map_update_elem(&rips, &key, &one, BPF_NOEXIST))
		count(&lost.rips_full);
}

#endif
