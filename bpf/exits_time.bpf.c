// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which part of an exit its thread did not run: preempted, waiting, or polling
 * for an interrupt in KVM's halt.
 */
#include "exits_state.bpf.h"
#include <bpf/bpf_tracing.h>

static __always_inline void switched_out(struct task_struct *task, bool ready)
{
	struct exits_vcpu *v = task_vcpu(task);

	if (!v || !v->at)
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
	/* Not of this exit: the thread before left the CPU as this one took over. */
	if (!v->at || v->off_ns < v->exit_ns) {
		v->off_ns = 0;
		return;
	}
	now = bpf_ktime_get_ns();
	/* Blocked until it was woken, then waiting for a CPU. */
	woken = v->off_ready ? v->off_ns : v->wake_ns ? v->wake_ns : now;
	v->blocked_ns += woken - v->off_ns;
	v->ready_ns += now - woken;
	v->off_ns = 0;
	v->parts = 1;
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

/*
 * kvm_vcpu_wakeup(u64 ns, bool waited, bool valid): a halt of @ns, polling and all
 *
 * There can be many in one exit, with sleep in any of them and between them. KVM
 * counts what it polled; nothing we see ourselves tells when a halt began.
 */
SEC("raw_tp/kvm_vcpu_wakeup")
int on_halt_end(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 halted = ctx->args[0], polled, ns;
	struct exits_vcpu *v = NULL;

	if (enabled)
		v = task_vcpu(bpf_get_current_task_btf());
	if (!v || !v->addr)
		return 0;
	polled = kvm_own_polling(v->addr);
	ns = polled - v->polled_ns;
	v->polled_ns = polled;
	if (!v->at || !ns)
		return 0;
	/* The count was reset, or a halt before this one was not seen. */
	if (ns > halted)
		ns = halted;
	v->poll_ns += ns;
	v->parts = 1;
	return 0;
}
