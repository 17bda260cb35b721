/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records shared by exits*.bpf.c, which fill them, and `kvasir trace exits`,
 * which reads them.
 *
 * A vCPU's memory may be freed and become another vCPU while we look. What is
 * counted therefore belongs to a "life": one vCPU from the first event seen of
 * it to the last. Lives are numbered from 1 in order of appearance and never
 * reused during a trace.
 */
#ifndef KVASIR_EXITS_H
#define KVASIR_EXITS_H

#include <linux/types.h>
#include "include/hist.h"

#define EXITS_LIVES		4096	/* default; 16 times as many fit a key */
#define EXITS_SERIES		2048	/* default; 9 KiB of kernel memory each */
#define EXITS_RETURNS		1024

/* kvm_exit's isa argument; the last as in the PVM patches */
enum exits_isa {
	/*
	 * kvm_exit fired, but where its vendor module keeps the reason is not known.
	 * No reason could say so: SVM has codes of all 32 bits, down from -1.
	 */
	EXITS_ISA_UNREADABLE,
	EXITS_ISA_VMX,
	EXITS_ISA_SVM,
	EXITS_ISA_PVM,
	EXITS_ISAS,
};

/*
 * key of struct exits_return_key: KVM_RUN failed, with another errno than EINTR.
 * KVM's own reasons are small; the VMM could write this one into the memory that KVM
 * reports from, and would fool nobody but who looks at itself.
 */
#define EXITS_RUN_FAILED	0xffffffffU

/* Where a vendor module keeps the reason of the last exit, from struct kvm_vcpu on. */
struct exits_where {
	__u32 first;		/* offset in the vCPU */
	__u32 second;		/* offset in what the pointer at @first points to */
	__u8 known;
	__u8 deref;		/* @first holds a pointer; else the reason itself */
	__u8 pad[2];
};

/* Identity of a life; map "lives", by number. */
struct exits_life {
	__u64 kvm;		/* tells VMs of one process apart, nothing more */
	__u64 start_ns;		/* of the process, since boot */
	__u32 tgid;
	__u32 vcpu_id;
	char comm[16];		/* of the process: its bytes are not to be trusted */
};

#define EXITS_KNOWN_RETURNS 48	/* the others are in map "returns" */
#define EXITS_CACHE 16		/* series a vCPU finds without a search */

/* What an exit is about, beyond its reason. */
enum exits_sub {
	EXITS_SUB_NONE,
	EXITS_SUB_PORT_IN,
	EXITS_SUB_PORT_OUT,
	EXITS_SUB_MMIO_READ,
	EXITS_SUB_MMIO_WRITE,
	EXITS_SUB_MSR_READ,
	EXITS_SUB_MSR_WRITE,
	EXITS_SUB_CPUID,	/* leaf */
	EXITS_SUB_HYPERCALL,	/* number */
	EXITS_SUB_FAULT,	/* the processor's error code */
	EXITS_SUBS,
};

/* What a series is of. Eight bytes, compared as one number. */
struct exits_key {
	union {
		struct {
			__u32 reason;
			__u16 life;
			__u8 isa;
			__u8 user;	/* 1: userspace had to help */
		};
		__u64 all;
	};
};

/* Where a vCPU is. */
enum exits_at {
	EXITS_AT_GUEST,		/* as far as we know: no exit to be timed */
	EXITS_AT_KERNEL,	/* it left, for KVM */
	EXITS_AT_USER,		/* KVM_RUN has returned since */
};

/*
 * State of one vCPU; map "states", by its life. Written by its thread, and,
 * while that does not run, by the scheduler that switches to or from it.
 */
struct exits_vcpu {
	__u64 addr;
	__u64 exits;		/* KVM's own count, as far as we know */
	__u64 exit_ns;
	__u64 ret_ns;		/* KVM_RUN returned */
	struct exits_key key;	/* of the exit under way, or the last one */
	__u32 tgid;
	__u32 tid;		/* thread that ran it last */
	__u8 at;		/* enum exits_at */
	__u8 counted;		/* @exits is right */
	__u8 unwanted;		/* not one of those to be traced */
	__u8 off_ready;		/* off the CPU, but it could run */
	__u8 parts;		/* of what follows, something is not 0 */
	__u8 pad;
	/* Of the exit under way, all 0 if it had no such thing: */
	__u16 sub;		/* enum exits_sub */
	__u64 sub_value;
	__u64 off_ns;		/* off the CPU since; 0: on it */
	__u64 wake_ns;		/* woken since */
	__u64 ready_ns;		/* in all: could run, but did not */
	__u64 blocked_ns;	/* in all: waited for something */
	__u64 poll_ns;		/* in all: KVM polled for an interrupt */
	__u64 polled_ns;	/* KVM's own count of that, since the vCPU began */
	__u64 off_at_ret;	/* the sum of these three at @ret_ns */
	__u64 returns[EXITS_KNOWN_RETURNS];	/* of KVM_RUN, by reason */
	__u32 cache[EXITS_CACHE];/* index into series, + 1 */
};

struct exits_series {
	__u64 timed;		/* exits followed by an entry */
	__u64 untimed;		/* exits known not to be */
	/*
	 * In the map, KVM's handling, a part like those below: so they make up the
	 * whole whenever they are read. In what trace_collect() made of it, the
	 * whole, of @timed, from exit to entry.
	 */
	union {
		__u64 kernel_ns;
		__u64 total_ns;
	};
	__u64 max_ns;
	__u64 min_ns;
	/* Parts of the whole; the rest is KVM's handling: */
	__u64 user_ns;		/* from KVM_RUN's return on, on the CPU */
	__u64 ready_ns;		/* off the CPU, but ready to run */
	__u64 blocked_ns;	/* off the CPU, waiting */
	__u64 poll_ns;		/* halt polling */
	__u64 bucket[HIST_BUCKETS];
};

/* Map "series": in the order they came up. */
struct exits_slot {
	struct exits_key key;
	struct exits_series s;
};

/* Map "subs": what exits were about, on demand. */
struct exits_sub_key {
	struct exits_key exit;
	__u64 sub;		/* enum exits_sub */
	__u64 value;
};

struct exits_sub_count {
	__u64 timed;
	__u64 total_ns;
	__u64 max_ns;
};

/* Map "rips": where guests were, sampled on demand. */
struct exits_rip_key {
	__u32 life;
	__u32 reason;
	__u64 rip;
};

#define EXITS_SUBKEYS	8192
#define EXITS_RIPS	16384
#define EXITS_RIP_EVERY	16	/* exits of a vCPU per sample */

/*
 * Map "returns": how often KVM_RUN came back, and with what; only what is not
 * counted in the state of a vCPU.
 */
struct exits_return_key {
	__u32 tgid;
	__u32 life;		/* 0: no exit of this thread was seen before */
	__u32 reason;		/* KVM_EXIT_*, or EXITS_RUN_FAILED */
};

/* Everything that happened but is not in a series, or only half. */
struct exits_lost {
	__u64 vcpus_full;	/* exits of vCPUs that found no free life */
	__u64 series_full;	/* exits that found no free series */
	__u64 returns_full;
	__u64 subs_full;	/* exits whose address, MSR, ... found no room */
	__u64 rips_full;
	__u64 returns_orphaned;	/* no memory to remember which vCPU a thread runs */
	__u64 unmatched_exits;	/* followed by another exit: counted, not timed */
	__u64 unmatched_entries;/* entries that followed no exit */
	__u64 unseen_exits;	/* KVM counted them, kvm_exit was not seen */
	__u64 backward_clock;	/* entry before exit: counted, not timed */
	__u64 cut_at_start;	/* first event was an entry: its exit was before us */
};

#endif
