// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way of a request: from the guest's doorbell through the module's worker
 * and the host device to the interrupt and back into the guest.
 *
 * The module's own tracepoints tell H1 to H5 and name the queue. What KVM adds:
 * kvm_exit is the exit the doorbell rang in (the same thread rings it), and
 * kvm_apic_accept_irq follows a call in the thread that called, since an irqfd
 * delivers at once; kvm_inj_virq and kvm_entry then follow in the vCPU's.
 *
 * Stages up to STAGE_CALL of a queue are seen by one thread at a time (the
 * queue's lock is held), kicks by any. What may be written from two threads is
 * atomic; a kick that comes while another is booked is the same kick to us.
 *
 * Raw tracepoints only: see exits.bpf.c. The module's types are read by
 * offsets that the command looked up in the module's type information.
 */
#include <linux/virtio_blk.h>
#include "queues_book.bpf.h"
#include "include/peek.bpf.h"

char _license[] SEC("license") = "GPL";

const volatile __u32 only_pid;
const volatile __u32 only_type;		/* 0: net and blk */
const volatile bool want_path;		/* KVM's tracepoints are attached, too */
const volatile struct queues_where where;

bool enabled;
__u32 n_queues;
struct queues_lost lost;

struct queues_queues queues SEC(".maps");
struct queues_vcpus vcpus SEC(".maps");
struct queues_threads threads SEC(".maps");
struct queues_series series SEC(".maps");
struct queues_empty_series empty_series SEC(".maps");
struct queues_slow slow SEC(".maps");

/* Which number a queue has: entered last, so that who finds it finds all of it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u64);
	__type(value, __u32);
} numbers SEC(".maps");

struct req_key {
	__u32 queue, head;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_REQS);
	__type(key, struct req_key);
	__type(value, struct queue_trip);
} reqs SEC(".maps");

/* ---- queues ---- */

static __always_inline struct queue_state *queue_known(__u64 key)
{
	__u32 *n = bpf_map_lookup_elem(&numbers, &key);

	return n ? bpf_map_lookup_elem(&queues, n) : NULL;
}

static struct queue_state *queue_add(__u64 key, __u32 pid, __u32 type)
{
	__u32 n = __sync_fetch_and_add(&n_queues, 1);
	struct queue_state *q = bpf_map_lookup_elem(&queues, &n);

	if (!q) {
		__sync_fetch_and_add(&n_queues, -1);
		return NULL;
	}
	q->number = n;
	q->index = key;
	q->pid = pid;
	q->type = type;
	if (!bpf_map_update_elem(&numbers, &key, &n, BPF_NOEXIST))
		return q;
	/* Another CPU was faster, or all is full. The number is the next one's ... */
	__sync_val_compare_and_swap(&n_queues, n + 1, n);
	/* ... unless one behind it is in use. */
	return queue_known(key);
}

/* The queue of @dev that was not seen before, if it is wanted. */
static struct queue_state *queue_new(__u64 dev, __u64 key)
{
	__u32 type = peek(peek(dev + where.dev_ops) + where.ops_type);
	__u32 pid = peek(dev + where.dev_pid);
	struct queue_state *q;

	if ((only_pid && pid != only_pid) || (only_type && type != only_type))
		return NULL;
	q = queue_add(key, pid, type);
	if (!q)
		count(&lost.queues_full);
	return q;
}

/* The state of the queue at @vq, or NULL if it is not traced. */
static struct queue_state *queue_of(__u64 vq)
{
	struct queue_state *q;
	__u64 dev, key;

	if (!enabled)
		return NULL;
	dev = peek(vq + where.vq_dev);
	key = peek(dev + where.dev_id) << 32 | (__u32)peek(vq + where.vq_index);
	q = queue_known(key);
	return q ? q : queue_new(dev, key);
}

/* ---- the module ---- */

/* When this thread left the guest for what it does now; 0: it runs none of @pid. */
static __u64 left_guest(__u32 pid)
{
	struct thread *t = this_thread(0);
	struct vcpu_state *v;

	if (!t || t->vcpu >> 32 != pid)
		return 0;
	v = bpf_map_lookup_elem(&vcpus, &t->vcpu);
	return v && v->open ? v->exit_ns : 0;
}

/* A kick or a frame: what wakes the worker. */
static int woken(__u64 vq)
{
	__u64 now = bpf_ktime_get_ns();
	struct queue_state *q = queue_of(vq);

	if (!q || q->kicked || __sync_val_compare_and_swap(&q->kicked, 0, 1))
		return 0;
	q->exit_ns = want_path ? left_guest(q->pid) : 0;
	barrier();
	q->kick_ns = now;
	return 0;
}

SEC("raw_tp/kvasir_kick")
int on_kick(struct bpf_raw_tracepoint_args *ctx)
{
	return woken(ctx->args[0]);
}

SEC("raw_tp/kvasir_ready")
int on_ready(struct bpf_raw_tracepoint_args *ctx)
{
	return woken(ctx->args[0]);
}

SEC("raw_tp/kvasir_service_begin")
int on_begin(struct bpf_raw_tracepoint_args *ctx)
{
	struct queue_state *q = queue_of(ctx->args[0]);
	struct queue_trip t = {};
	__u64 now;

	if (!q)
		return 0;
	/* Until then there need not be one. */
	if (!q->backend[0])
		bpf_probe_read_kernel_str(q->backend, sizeof(q->backend),
					  (void *)(peek(ctx->args[0] + where.vq_dev) +
						   where.dev_backend));
	q->services++;
	q->kicker = q->kick_ns;
	/* Without a kick it is that of an earlier one. */
	q->kicker_exit = 0;
	barrier();
	/* Whose kick is seen took the time before: no hop ends before it began. */
	now = bpf_ktime_get_ns();
	q->last_ns = now;
	if (!q->kicker) {
		q->unasked++;
		return 0;
	}
	q->kicker_exit = q->exit_ns;
	/* From here a kick is a new one. */
	q->kick_ns = 0;
	barrier();
	q->kicked = 0;
	t.queue = q->number;
	t.at[STAGE_EXIT] = q->kicker_exit;
	t.at[STAGE_KICK] = q->kicker;
	t.at[STAGE_BEGIN] = now;
	book_hop(&t, STAGE_EXIT, STAGE_KICK, 0);
	book_hop(&t, STAGE_KICK, STAGE_BEGIN, 0);
	return 0;
}

/* The call of this thread went to nobody that KVM knows. */
static void call_end(struct queue_state *q, struct thread *t)
{
	if (!t || !t->calling)
		return;
	t->calling = 0;
	q->elsewhere++;
	trip_end(&t->call, STAGE_CALL);
}

/*
 * If nobody was called for what this service did, the driver did not want it.
 */
SEC("raw_tp/kvasir_service_end")
int on_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct queue_state *q = queue_of(ctx->args[0]);

	if (!q)
		return 0;
	if (q->first.at[STAGE_DONE]) {
		q->uncalled++;
		trip_end(&q->first, STAGE_DONE);
		q->first.at[STAGE_DONE] = 0;
	}
	call_end(q, want_path ? this_thread(0) : NULL);
	return 0;
}

/* Begin a trip: the first one of a service inherits the kick. */
static void trip_init(struct queue_trip *t, struct queue_state *q, __u32 head)
{
	t->queue = q->number;
	t->head = head;
	t->at[STAGE_EXIT] = q->kicker_exit;
	t->at[STAGE_KICK] = q->kicker;
	t->at[STAGE_BEGIN] = q->last_ns;
	q->kicker_exit = 0;
	q->kicker = 0;
}

/*
 * The type is the guest's: unless it names a kind of request, it must neither pass
 * for one nor take room of its own.
 */
static __u32 op_of(__u32 type)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_SECURE_ERASE:
		return type;
	default:
		return QUEUE_OP_OTHER;
	}
}

/* kvasir_req_issue(vq, id, type, sector, len) */
SEC("raw_tp/kvasir_req_issue")
int on_issue(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct queue_state *q = queue_of(ctx->args[0]);
	struct queue_trip t = {};
	struct req_key rk = {};

	if (!q)
		return 0;
	trip_init(&t, q, (__u16)ctx->args[1]);
	t.op = op_of(ctx->args[2]);
	t.len = ctx->args[4];
	t.at[STAGE_ISSUE] = now;
	q->last_ns = now;
	q->issued++;
	rk.queue = q->number;
	rk.head = t.head;
	/* A frame that found no room is issued again: in flight, but once. */
	if (!bpf_map_update_elem(&reqs, &rk, &t, BPF_NOEXIST)) {
		__sync_fetch_and_add(&q->depth, 1);
	} else if (bpf_map_update_elem(&reqs, &rk, &t, BPF_EXIST)) {
		count(&lost.reqs_full);
		return 0;
	}
	book(q->number, WHAT_SIZE, t.op, t.len);
	book(q->number, WHAT_DEPTH, 0, q->depth);
	book_hop(&t, STAGE_BEGIN, STAGE_ISSUE, 0);
	return 0;
}

/* A frame was received: never issued, it was taken when it was there. */
static void received(struct queue_state *q, struct queue_trip *t, __u32 head,
		     __s64 result)
{
	trip_init(t, q, head);
	t->len = result > 0 ? result : 0;
	book(q->number, WHAT_SIZE, 0, t->len);
	book_hop(t, STAGE_BEGIN, STAGE_DONE, 0);
}

/* kvasir_req_complete(vq, id, result) */
SEC("raw_tp/kvasir_req_complete")
int on_complete(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct queue_state *q = queue_of(ctx->args[0]);
	__s64 result = ctx->args[2];
	struct queue_trip t = {}, *r;
	struct req_key rk = {};

	if (!q)
		return 0;
	rk.queue = q->number;
	rk.head = (__u16)ctx->args[1];
	t.at[STAGE_DONE] = now;
	r = bpf_map_lookup_elem(&reqs, &rk);
	if (r) {
		t = *r;
		t.at[STAGE_DONE] = now;
		bpf_map_delete_elem(&reqs, &rk);
		__sync_fetch_and_add(&q->depth, -1);
		book_hop(&t, STAGE_ISSUE, STAGE_DONE, t.op);
	} else if (q->type == 1 && !q->index) {
		received(q, &t, rk.head, result);
	} else {
		count(&lost.unmatched);
		return 0;
	}
	q->completed++;
	if (result < 0)
		q->failed++;
	q->last_ns = now;
	if (!q->first.at[STAGE_DONE])
		q->first = t;
	return 0;
}

SEC("raw_tp/kvasir_call")
int on_call(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct queue_state *q = queue_of(ctx->args[0]);
	struct thread *t;

	if (!q)
		return 0;
	q->calls++;
	q->last_ns = now;
	if (!q->first.at[STAGE_DONE])
		return 0;
	q->first.at[STAGE_CALL] = now;
	book_hop(&q->first, STAGE_DONE, STAGE_CALL, 0);
	t = want_path ? this_thread(BPF_LOCAL_STORAGE_GET_F_CREATE) : NULL;
	if (t) {
		call_end(q, t);
		t->call = q->first;
		t->calling = (__u64)q->pid << 32 | 1;
	} else {
		trip_end(&q->first, STAGE_CALL);
	}
	q->first.at[STAGE_CALL] = 0;
	q->first.at[STAGE_DONE] = 0;
	return 0;
}

/* kvasir_bad_chain(vq, id, err) */
SEC("raw_tp/kvasir_bad_chain")
int on_bad_chain(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 err = (__u8)ctx->args[2];
	struct queue_state *q = queue_of(ctx->args[0]);

	if (q && err < QUEUE_ERRORS)
		count(&q->bad[err]);
	return 0;
}

SEC("raw_tp/kvasir_broken")
int on_broken(struct bpf_raw_tracepoint_args *ctx)
{
	struct queue_state *q = queue_of(ctx->args[0]);

	if (q)
		count(&q->broken);
	return 0;
}
