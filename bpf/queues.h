/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records shared by queues.bpf.c, which fills them, and `kvasir trace path`,
 * `io` and `net`, which read them.
 *
 * A queue is known by its device's number, which the module never uses again,
 * and its index. In the maps it has a number of its own, given in order of
 * appearance. Of two CPUs that see a new queue at once each takes a number, and
 * one of the two is wasted; so there are more numbers than queues.
 */
#ifndef KVASIR_QUEUES_H
#define KVASIR_QUEUES_H

#include <linux/types.h>
#include "include/hist.h"

#define QUEUES_MAX	512
#define QUEUES_NUMBERS	(2 * QUEUES_MAX)
#define QUEUES_SERIES	2048	/* 9 KiB of kernel memory each */
#define QUEUES_REQS	32768	/* in flight, of all queues */
#define QUEUES_VCPUS	4096
#define QUEUES_IRQS	8	/* on their way into one vCPU */
#define QUEUES_IRQ_NS	5000000000ull	/* that it may take */
#define QUEUES_SLOWEST	8

/* Where a request is; the moments are kept in this order. */
enum queue_stage {
	STAGE_EXIT,		/* the guest left for its doorbell */
	STAGE_KICK,		/* H1 the doorbell rang, or a frame arrived */
	STAGE_BEGIN,		/* H2 the worker was there */
	STAGE_ISSUE,		/* H3 handed to the host device */
	STAGE_DONE,		/* H4 it came back */
	STAGE_CALL,		/* H5 the interrupt was asked for */
	STAGE_IRQ,		/* the interrupt controller has it */
	STAGE_ENTRY,		/* the vCPU entered the guest with it */
	STAGES,
};

/* What a series is of: a hop that ends with a stage (1 and up), or ... */
enum queue_what {
	WHAT_TOTAL = 0,		/* from the first to the last stage known */
	WHAT_SIZE = STAGES,	/* bytes */
	WHAT_DEPTH,		/* requests in flight when one is issued */
	WHAT_END,
};

/* One request's way. 0: a stage it did not pass. */
struct queue_trip {
	__u64 at[STAGES];
	__u64 total_ns;
	__u32 len;
	__u32 op;
	__u32 head;
	__u32 queue;		/* its number */
};

#define QUEUE_OP_OTHER	0xffff	/* every type that is no kind of request */

/* Map "series". */
struct queue_series_key {
	__u32 queue;
	__u16 what;
	__u16 op;		/* block devices: VIRTIO_BLK_T_*, where it matters */
};

struct queue_series {
	__u64 n;
	__u64 sum;
	__u64 max;
	__u64 bucket[HIST_BUCKETS];
};

/* Map "slow", by number: those that took longest. */
struct queue_slow {
	__u32 busy;		/* somebody is writing */
	__u32 pad;
	struct queue_trip trip[QUEUES_SLOWEST];
};

#define QUEUE_ERRORS 16		/* enum kvs_chain_err, and more */

/*
 * Map "queues", by number. Map "numbers" has the number for the device's << 32 |
 * index; it is entered there when the rest is known.
 */
struct queue_state {
	__u64 exit_ns, kick_ns;		/* of the first kick not served */
	__u64 kicker_exit, kicker;	/* the same, of the service under way */
	__u64 last_ns;			/* end of what the worker did before */
	struct queue_trip first;	/* done before the others, not signalled */
	__u64 issued, completed, failed;
	__u64 services, unasked;	/* of them, without a kick */
	__u64 calls, uncalled;		/* services that needed no call */
	__u64 elsewhere;		/* calls that are no interrupt of a vCPU */
	__u64 posted;			/* interrupts that need no entry */
	__u64 bad[QUEUE_ERRORS];	/* chains refused, by reason */
	__u64 broken;
	__u32 kicked;			/* somebody fills in the first kick */
	__u32 number;
	__u32 index;			/* in its device */
	__u32 pid;			/* of the device's owner */
	__u32 type;			/* 1 net, 2 blk */
	__u32 depth;
	char backend[64];		/* not to be trusted */
};

/* Where the module keeps what names a queue; offsets. */
struct queues_where {
	__u32 vq_dev, vq_index;
	__u32 dev_id, dev_pid, dev_backend, dev_ops;
	__u32 ops_type;
};

struct queues_lost {
	__u64 queues_full;
	__u64 series_full;
	__u64 reqs_full;	/* requests not followed: too many in flight */
	__u64 vcpus_full;
	__u64 irqs_full;	/* interrupts not followed into the guest */
	__u64 unmatched;	/* completions of requests not seen issued */
	__u64 slow_busy;	/* trips not compared with the slowest */
	__u64 storage;		/* no memory for a thread */
	__u64 backward_clock;
};

#endif
