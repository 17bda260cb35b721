/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records shared by exits.bpf.c, which fills them, and `kvasir trace exits`,
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

#define EXITS_LIVES		4096
#define EXITS_SERIES		2048	/* default; 9 KiB of kernel memory each */
#define EXITS_RETURNS		1024

/* kvm_exit's isa argument; the last as in the PVM patches */
enum exits_isa {
	EXITS_ISA_VMX = 1,
	EXITS_ISA_SVM = 2,
	EXITS_ISA_PVM = 3,
	EXITS_ISAS,
};

/* kvm_exit fired, but where its vendor module keeps the reason is not known */
#define EXITS_UNREADABLE	0xfffffffeU
/* key of struct exits_return_key: KVM_RUN failed, with another errno than EINTR */
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

/* State of one vCPU; map "vcpus", by its address. Touched by its thread only. */
struct exits_vcpu {
	__u64 exits;		/* KVM's own count at the last kvm_exit */
	__u64 exit_ns;
	__u32 life;
	__u32 tgid;
	__u32 tid;		/* thread that ran it last */
	__u32 reason;
	__u8 isa;
	__u8 open;		/* an exit without its entry yet */
	__u8 user;		/* ... that has been to userspace meanwhile */
	__u8 pad[5];
};

/* Map "series". */
struct exits_key {
	__u32 life;
	__u32 reason;
	__u16 isa;
	__u16 user;		/* 0: handled in the kernel, 1: userspace had to help */
};

struct exits_series {
	__u64 timed;		/* exits followed by an entry */
	__u64 untimed;		/* exits known not to be */
	__u64 total_ns;		/* of @timed, from exit to entry */
	__u64 max_ns;
	__u64 bucket[HIST_BUCKETS];
};

/* Map "returns": how often KVM_RUN came back, and with what. */
struct exits_return_key {
	__u32 tgid;
	__u32 life;		/* 0: no exit of this thread was seen before */
	__u32 reason;		/* KVM_EXIT_*, or EXITS_RUN_FAILED */
};

/* Everything that happened but is not in a series, or only half. */
struct exits_lost {
	__u64 vcpus_full;	/* exits of vCPUs beyond EXITS_LIVES */
	__u64 series_full;	/* exits that found no free series */
	__u64 returns_full;
	__u64 returns_orphaned;	/* no memory to remember which vCPU a thread runs */
	__u64 unmatched_exits;	/* followed by another exit: counted, not timed */
	__u64 unmatched_entries;/* entries that followed no exit */
	__u64 unseen_exits;	/* KVM counted them, kvm_exit was not seen */
	__u64 backward_clock;	/* entry before exit: counted, not timed */
	__u64 cut_at_start;	/* first event was an entry: its exit was before us */
};

#endif
