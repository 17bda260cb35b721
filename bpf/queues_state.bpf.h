/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs of `kvasir trace path`, `io` and `net` share: what threads and
 * vCPUs are at, and the queues. Defined in queues.bpf.c.
 */
#ifndef KVASIR_QUEUES_STATE_BPF_H
#define KVASIR_QUEUES_STATE_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include "queues.h"

extern const volatile __u32 only_pid;	/* 0: the devices of every process */
extern bool enabled;
extern struct queues_lost lost;

struct queues_queues {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QUEUES_NUMBERS);
	__type(key, __u32);
	__type(value, struct queue_state);
};

/* An interrupt on its way into a guest. */
struct irq {
	struct queue_trip trip;
	__u32 vector;
	__u32 in_guest;		/* the vCPU was in guest mode when it came */
};

/*
 * A vCPU, by its process and number; written by the thread that runs it. Interrupts
 * come from any thread: it claims one of @irq by its bit in @claimed, and says by
 * that in @accepted that it is filled in. The vCPU's thread takes both back.
 */
struct vcpu_state {
	__u64 exit_ns;
	__u32 open;		/* outside the guest */
	__u32 injected;		/* vector + 1, to go in with the next entry */
	__u32 going;		/* @accepted then */
	__u32 ever;		/* an injection was seen: no posted interrupts */
	__u32 claimed;
	__u32 accepted;
	struct irq irq[QUEUES_IRQS];
};

struct queues_vcpus {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_VCPUS);
	__type(key, __u64);
	__type(value, struct vcpu_state);
};

/* What a thread is at: the vCPU it runs, or the call it makes. */
struct thread {
	__u64 vcpu;
	struct queue_trip call;
	__u64 calling;
};

struct queues_threads {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
};

extern struct queues_queues queues SEC(".maps");
extern struct queues_vcpus vcpus SEC(".maps");
extern struct queues_threads threads SEC(".maps");

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static struct thread *this_thread(__u64 flags)
{
	struct thread *t;

	t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL,
				 flags);
	if (!t && flags)
		count(&lost.storage);
	return t;
}

#endif
