// SPDX-License-Identifier: GPL-2.0-only
/*
 * H5: what goes back to the driver: used entries, the interrupt, and the
 * error eventfd of a queue that broke. Also the counting around H2.
 *
 * Backends call these instead of the bare ring, always under vq->lock.
 */
#include "kvasir.h"
#include "trace.h"

/* The ring failed: tell the owner, once. */
void kvs_vq_broken(struct kvs_vq *vq)
{
	if (vq->state == KVASIR_QUEUE_BROKEN)
		return;
	WRITE_ONCE(vq->state, KVASIR_QUEUE_BROKEN);
	kvs_count(vq, KVASIR_C_BROKEN, 1);
	trace_kvasir_broken(vq);
	if (vq->err)
		kvs_eventfd_signal(vq->err);
}

/**
 * kvs_vq_pop() - take the next chain into vq->chain
 * @vq: its queue
 *
 * Return: enum kvs_pop. A refused chain is counted here; the caller puts it
 * back with length 0 and charges its budget. KVS_POP_EMPTY also stands for a
 * queue that is broken or being stopped.
 */
int kvs_vq_pop(struct kvs_vq *vq)
{
	int ret;

	cond_resched();
	if (!vq->running)
		return KVS_POP_EMPTY;
	ret = kvs_ring_pop(&vq->ring, vq->mem, vq->chain);
	if (ret < 0) {
		kvs_vq_broken(vq);
		return KVS_POP_EMPTY;
	}
	if (ret == KVS_POP_REFUSED) {
		kvs_count(vq, KVASIR_C_BAD_CHAIN, 1);
		trace_kvasir_bad_chain(vq, vq->chain->head, vq->chain->err);
	}
	return ret;
}

/**
 * kvs_vq_put() - a chain is done; the driver learns at the next publish
 * @vq: its queue
 * @head: the chain
 * @len: bytes written for the driver
 *
 * Return: 0, or -EIO when the queue is broken.
 */
int kvs_vq_put(struct kvs_vq *vq, u16 head, u32 len)
{
	u16 entry = vq->ring.next_used;

	if (kvs_ring_put(&vq->ring, head, len)) {
		kvs_vq_broken(vq);
		return -EIO;
	}
	if (unlikely(vq->log_used))
		kvs_log_write(vq, vq->log_addr +
			      kvs_ring_used_offset(&vq->ring, entry),
			      sizeof(struct vring_used_elem));
	return 0;
}

/* Log a 16-bit field of the used ring: flags, index or event index. */
static void vq_log_field(struct kvs_vq *vq, u32 offset)
{
	if (unlikely(vq->log_used))
		kvs_log_write(vq, vq->log_addr + offset, sizeof(u16));
}

/* Show the driver what was put, and interrupt it if it asked for that. */
void kvs_vq_publish(struct kvs_vq *vq)
{
	u16 old = vq->ring.used_idx;
	int ret = kvs_ring_publish(&vq->ring);

	if (ret < 0) {
		kvs_vq_broken(vq);
		return;
	}
	if (old == vq->ring.used_idx)
		return;
	vq_log_field(vq, offsetof(struct vring_used, idx));
	if (!ret || !vq->call) {
		kvs_count(vq, KVASIR_C_CALLS_AVOIDED, 1);
		return;
	}
	kvs_count(vq, KVASIR_C_CALLS, 1);
	trace_kvasir_call(vq);
	kvs_eventfd_signal(vq->call);
}

/**
 * kvs_vq_arm() - before going to sleep: ask for a kick
 * @vq: the queue
 *
 * Return: true when there is work already, so do not sleep.
 */
bool kvs_vq_arm(struct kvs_vq *vq)
{
	int ret;

	if (!vq->running)
		return false;
	ret = kvs_ring_arm(&vq->ring);
	if (ret < 0) {
		kvs_vq_broken(vq);
		return false;
	}
	vq_log_field(vq, vq->ring.event_idx ?
			 kvs_ring_used_offset(&vq->ring, 0) + vq->ring.num *
			 sizeof(struct vring_used_elem) :
			 offsetof(struct vring_used, flags));
	return ret;
}

void kvs_vq_disarm(struct kvs_vq *vq)
{
	if (kvs_ring_disarm(&vq->ring))
		kvs_vq_broken(vq);
	else if (!vq->ring.event_idx)
		vq_log_field(vq, offsetof(struct vring_used, flags));
}
