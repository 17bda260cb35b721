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
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "include/kvm_types.bpf.h"
#include "queues.h"

char _license[] SEC("license") = "GPL";

const volatile __u32 only_pid;		/* 0: the devices of every process */
const volatile __u32 only_type;		/* 0: net and blk */
const volatile bool want_path;		/* KVM's tracepoints are attached, too */
const volatile struct queues_where where;

bool enabled;
__u32 n_queues;
struct queues_lost lost;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u64);
	__type(value, struct queue_state);
} queues SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_SERIES);
	__type(key, struct queue_series_key);
	__type(value, struct queue_series);
} series SEC(".maps");

/* New ones are copies of these: they do not fit the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct queue_series);
} empty_series SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct queue_state);
} empty_queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u32);
	__type(value, struct queue_slow);
} slow SEC(".maps");

struct req_key {
	__u32 queue, head;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_REQS);
	__type(key, struct req_key);
	__type(value, struct queue_trip);
} reqs SEC(".maps");

/* A vCPU, by its process and number; written by the thread that runs it. */
struct vcpu_state {
	__u64 exit_ns;
	__u32 open;		/* outside the guest */
	__u32 injected;		/* vector + 1, to go in with the next entry */
	__u32 ever;		/* an injection was seen: no posted interrupts */
	__u32 waiting;		/* vector + 1 accepted last */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, QUEUES_VCPUS);
	__type(key, __u64);
	__type(value, struct vcpu_state);
} vcpus SEC(".maps");

/* An interrupt on its way into a guest. */
struct irq_key {
	__u64 vcpu;
	__u64 vector;
};

struct irq {
	struct queue_trip trip;
	__u64 dev_queue;	/* key of map "queues" */
	__u64 in_guest;		/* the vCPU was in guest mode when it came */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, QUEUES_VCPUS);
	__type(key, struct irq_key);
	__type(value, struct irq);
} irqs SEC(".maps");

/* What a thread is at: the vCPU it runs, or the call it makes. */
struct thread {
	__u64 vcpu;
	struct irq call;
	__u64 calling;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

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

/* Four bytes or a pointer of the kernel's; 0 if they cannot be read. */
static __always_inline __u32 read_u32(__u64 addr)
{
	__u32 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (void *)addr);
	return v;
}

static __always_inline __u64 read_ptr(__u64 addr)
{
	__u64 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (void *)addr);
	return v;
}

/* ---- queues ---- */

static struct queue_state *queue_add(__u64 dev, __u64 key)
{
	struct queue_state *q;
	__u32 zero = 0;

	q = bpf_map_lookup_elem(&empty_queue, &zero);
	if (!q || bpf_map_update_elem(&queues, &key, q, BPF_NOEXIST))
		return bpf_map_lookup_elem(&queues, &key);
	q = bpf_map_lookup_elem(&queues, &key);
	if (!q)
		return NULL;
	q->number = __sync_fetch_and_add(&n_queues, 1);
	q->pid = read_u32(dev + where.dev_pid);
	q->type = read_u32(read_ptr(dev + where.dev_ops) + where.ops_type);
	return q;
}

/* The state of the queue at @vq and its key, or NULL if it is not traced. */
static struct queue_state *queue_of(__u64 vq, __u64 *key)
{
	struct queue_state *q;
	__u64 dev;

	if (!enabled)
		return NULL;
	dev = read_ptr(vq + where.vq_dev);
	*key = (__u64)read_u32(dev + where.dev_id) << 32 |
	       read_u32(vq + where.vq_index);
	q = bpf_map_lookup_elem(&queues, key);
	if (!q) {
		q = queue_add(dev, *key);
		if (!q) {
			count(&lost.queues_full);
			return NULL;
		}
	}
	if (only_pid && q->pid != only_pid)
		return NULL;
	if (only_type && q->type != only_type)
		return NULL;
	return q;
}

static void book(__u32 queue, __u32 what, __u32 op, __u64 v)
{
	struct queue_series_key key = { queue, what, op };
	struct queue_series *s;
	__u32 zero = 0, i;

	s = bpf_map_lookup_elem(&series, &key);
	if (!s) {
		s = bpf_map_lookup_elem(&empty_series, &zero);
		if (s)
			bpf_map_update_elem(&series, &key, s, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&series, &key);
		if (!s) {
			count(&lost.series_full);
			return;
		}
	}
	count(&s->n);
	__sync_fetch_and_add(&s->sum, v);
	/* Two vCPUs may race for it; the buckets do not lie. */
	if (v > s->max)
		s->max = v;
	i = hist_index(v);
	/* What the compiler knows about @i the verifier has to see. */
	asm volatile("" : "+r"(i));
	if (i < HIST_BUCKETS)
		count(&s->bucket[i]);
}

/* Book the hop from stage @from to @to, if both were passed. */
static void book_hop(const struct queue_trip *t, __u32 from, __u32 to, __u32 op)
{
	if (!t->at[from] || !t->at[to])
		return;
	if (t->at[to] < t->at[from])
		count(&lost.backward_clock);
	else
		book(t->queue, to, op, t->at[to] - t->at[from]);
}

static __always_inline __u64 trip_begin(const struct queue_trip *t)
{
	if (t->at[STAGE_EXIT])
		return t->at[STAGE_EXIT];
	if (t->at[STAGE_KICK])
		return t->at[STAGE_KICK];
	return t->at[STAGE_BEGIN];
}

/* Among the slowest of its queue, in place of the fastest of those? */
static void keep_slow(const struct queue_trip *t)
{
	__u32 queue = t->queue, i, least = 0;
	struct queue_slow *s;

	s = bpf_map_lookup_elem(&slow, &queue);
	if (!s)
		return;
	if (__sync_val_compare_and_swap(&s->busy, 0, 1)) {
		count(&lost.slow_busy);
		return;
	}
#pragma unroll
	for (i = 1; i < QUEUES_SLOWEST; i++)
		if (s->trip[i].total_ns < s->trip[least & 7].total_ns)
			least = i;
	if (s->trip[least & 7].total_ns < t->total_ns)
		s->trip[least & 7] = *t;
	s->busy = 0;
}

/* @t ends with stage @last. */
static void trip_end(struct queue_trip *t, __u32 last)
{
	__u64 begin = trip_begin(t);

	if (!begin || t->at[last] < begin)
		return;
	t->total_ns = t->at[last] - begin;
	book(t->queue, WHAT_TOTAL, 0, t->total_ns);
	keep_slow(t);
}

/* ---- the module ---- */

/* A kick or a frame: what wakes the worker. */
static int woken(__u64 vq)
{
	__u64 now = bpf_ktime_get_ns(), key;
	struct queue_state *q = queue_of(vq, &key);
	struct vcpu_state *v;
	struct thread *t;

	if (!q || q->kick_ns)
		return 0;
	q->exit_ns = 0;
	t = want_path ? this_thread(0) : NULL;
	if (t && t->vcpu >> 32 == q->pid) {
		v = bpf_map_lookup_elem(&vcpus, &t->vcpu);
		if (v && v->open)
			q->exit_ns = v->exit_ns;
	}
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
	__u64 now = bpf_ktime_get_ns(), key;
	struct queue_state *q = queue_of(ctx->args[0], &key);
	struct queue_trip t = {};

	if (!q)
		return 0;
	/* Until then there need not be one. */
	if (!q->backend[0])
		bpf_probe_read_kernel_str(q->backend, sizeof(q->backend),
					  (void *)(read_ptr(ctx->args[0] + where.vq_dev) +
						   where.dev_backend));
	q->services++;
	q->begin_ns = now;
	q->last_ns = now;
	q->kicker_exit = q->exit_ns;
	q->kicker = q->kick_ns;
	/* From here a kick is a new one. */
	q->kick_ns = 0;
	if (!q->kicker) {
		q->unasked++;
		return 0;
	}
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
	trip_end(&t->call.trip, STAGE_CALL);
}

/*
 * If nobody was called for what this service did, the driver did not want it.
 */
SEC("raw_tp/kvasir_service_end")
int on_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct queue_state *q;
	__u64 key;

	q = queue_of(ctx->args[0], &key);
	if (!q)
		return 0;
	if (q->first.at[STAGE_DONE]) {
		q->uncalled++;
		trip_end(&q->first, STAGE_DONE);
		q->first.at[STAGE_DONE] = 0;
	}
	call_end(q, want_path ? this_thread(0) : NULL);
	q->begin_ns = 0;
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

/* kvasir_req_issue(vq, id, type, sector, len) */
SEC("raw_tp/kvasir_req_issue")
int on_issue(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns(), vq = ctx->args[0], key;
	struct queue_state *q = queue_of(vq, &key);
	struct queue_trip t = {};
	struct req_key rk = {};

	if (!q)
		return 0;
	trip_init(&t, q, (__u16)ctx->args[1]);
	t.op = ctx->args[2];
	t.len = ctx->args[4];
	t.at[STAGE_ISSUE] = now;
	q->last_ns = now;
	q->issued++;
	rk.queue = q->number;
	rk.head = t.head;
	if (bpf_map_update_elem(&reqs, &rk, &t, BPF_ANY)) {
		count(&lost.reqs_full);
		return 0;
	}
	__sync_fetch_and_add(&q->depth, 1);
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
	__u64 now = bpf_ktime_get_ns(), vq = ctx->args[0], key;
	struct queue_state *q = queue_of(vq, &key);
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
	} else if (q->type == 1 && !(__u32)key) {
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
	__u64 now = bpf_ktime_get_ns(), key;
	struct queue_state *q = queue_of(ctx->args[0], &key);
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
		t->call.trip = q->first;
		t->call.dev_queue = key;
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
	struct queue_state *q;
	__u64 key;

	q = queue_of(ctx->args[0], &key);
	if (q && err < QUEUE_ERRORS)
		count(&q->bad[err]);
	return 0;
}

SEC("raw_tp/kvasir_broken")
int on_broken(struct bpf_raw_tracepoint_args *ctx)
{
	struct queue_state *q;
	__u64 key;

	q = queue_of(ctx->args[0], &key);
	if (q)
		count(&q->broken);
	return 0;
}

/* ---- KVM ---- */

static __always_inline __u64 vcpu_key(__u64 addr)
{
	struct kvm_vcpu *vcpu = (void *)addr;

	return bpf_get_current_pid_tgid() >> 32 << 32 |
	       (__u32)BPF_CORE_READ(vcpu, vcpu_id);
}

static __always_inline bool wanted(void)
{
	return enabled &&
	       (!only_pid || only_pid == bpf_get_current_pid_tgid() >> 32);
}

/* kvm_exit(struct kvm_vcpu *, u32 isa) */
SEC("raw_tp/kvm_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct vcpu_state *v, new = {};
	struct thread *t;
	__u64 key;

	if (!wanted())
		return 0;
	key = vcpu_key(ctx->args[0]);
	v = bpf_map_lookup_elem(&vcpus, &key);
	if (!v) {
		bpf_map_update_elem(&vcpus, &key, &new, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&vcpus, &key);
		if (!v) {
			count(&lost.vcpus_full);
			return 0;
		}
	}
	t = this_thread(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (t)
		t->vcpu = key;
	v->exit_ns = bpf_ktime_get_ns();
	v->open = 1;
	return 0;
}

/* The call of this thread has reached the vCPU's interrupt controller. */
/* kvm_apic_accept_irq(u32 vcpu_id, u16 mode, u16 trigger, u8 vector) */
SEC("raw_tp/kvm_apic_accept_irq")
int on_accept(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = enabled ? this_thread(0) : NULL;
	struct irq_key key = { .vector = (__u8)ctx->args[3] };
	struct vcpu_state *v;

	if (!t || !t->calling)
		return 0;
	key.vcpu = t->calling >> 32 << 32 | (__u32)ctx->args[0];
	t->calling = 0;
	t->call.trip.at[STAGE_IRQ] = bpf_ktime_get_ns();
	book_hop(&t->call.trip, STAGE_CALL, STAGE_IRQ, 0);
	v = bpf_map_lookup_elem(&vcpus, &key.vcpu);
	if (!v)
		return 0;
	t->call.in_guest = !v->open;
	bpf_map_update_elem(&irqs, &key, &t->call, BPF_ANY);
	v->waiting = key.vector + 1;
	return 0;
}

/* kvm_inj_virq(u32 vector, ...) */
SEC("raw_tp/kvm_inj_virq")
int on_inject(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = enabled ? this_thread(0) : NULL;
	struct vcpu_state *v;

	if (!t || !t->vcpu)
		return 0;
	v = bpf_map_lookup_elem(&vcpus, &t->vcpu);
	if (!v)
		return 0;
	v->injected = (__u32)ctx->args[0] + 1;
	v->ever = 1;
	return 0;
}

static void posted(const struct irq *irq)
{
	struct queue_state *q;
	__u64 key = irq->dev_queue;

	q = bpf_map_lookup_elem(&queues, &key);
	if (q)
		count(&q->posted);
}

/* kvm_entry(struct kvm_vcpu *, ...) */
SEC("raw_tp/kvm_entry")
int on_entry(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct irq_key key = {};
	struct vcpu_state *v;
	struct irq *irq;
	__u32 vector;

	if (!wanted())
		return 0;
	key.vcpu = vcpu_key(ctx->args[0]);
	v = bpf_map_lookup_elem(&vcpus, &key.vcpu);
	if (!v)
		return 0;
	v->open = 0;
	/* Without injections, hardware delivers what was accepted. */
	vector = v->ever ? v->injected : v->waiting;
	if (!vector)
		return 0;
	v->injected = 0;
	v->waiting = 0;
	key.vector = vector - 1;
	irq = bpf_map_lookup_elem(&irqs, &key);
	if (!irq)
		return 0;
	if (!v->ever && irq->in_guest) {
		posted(irq);
	} else {
		irq->trip.at[STAGE_ENTRY] = now;
		book_hop(&irq->trip, STAGE_IRQ, STAGE_ENTRY, 0);
		trip_end(&irq->trip, STAGE_ENTRY);
	}
	bpf_map_delete_elem(&irqs, &key);
	return 0;
}
