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

/* The ring was written: into the dirty log with it. */
void kvs_vq_watch(struct kvs_ring *ring, enum kvs_ring_area area, u32 offset,
		  u32 len)
{
	struct kvs_vq *vq = container_of(ring, struct kvs_vq, ring);

	if (area == KVS_AREA_USED)
		kvs_log_write(vq, vq->log_addr + offset, len);
	else if (kvs_vq_has_iotlb(vq))
		kvs_log_write(vq, vq->cfg.desc + offset, len);
	else
		kvs_log_hva(vq, vq->cfg.desc + offset, len);
}

/**
 * kvs_vq_pop() - take the next chain into vq->chain
 * @vq: its queue
 *
 * Return: enum kvs_pop. A refused chain is counted here; the caller puts it
 * back with length 0 and charges its budget. KVS_POP_EMPTY also stands for a
 * queue that is broken, being stopped, or waiting for its IOTLB.
 */
int kvs_vq_pop(struct kvs_vq *vq)
{
	int ret;

	if (!kvs_ring_has_read(&vq->ring))
		cond_resched();
	if (unlikely(!vq->running || vq->iotlb.stalled))
		return KVS_POP_EMPTY;
	ret = kvs_ring_pop(&vq->ring, vq->mem, vq->chain);
	if (likely(ret == KVS_POP_CHAIN || ret == KVS_POP_EMPTY))
		return ret;
	if (ret < 0) {
		kvs_vq_broken(vq);
		return KVS_POP_EMPTY;
	}
	if (vq->chain->err == KVS_CHAIN_MISS) {
		kvs_ring_unpop(&vq->ring, vq->chain->head);
		kvs_iotlb_miss(vq, vq->chain->miss, vq->chain->miss_access);
		return KVS_POP_EMPTY;
	}
	kvs_count(vq, KVASIR_C_BAD_CHAIN, 1);
	trace_kvasir_bad_chain(vq, vq->chain->head, vq->chain->err);
	return ret;
}

/**
 * kvs_vq_put() - a chain is done; the driver learns at the next publish
 * @vq: its queue
 * @head: the chain
 * @len: bytes written for the driver
 *
 * With VIRTIO_F_IN_ORDER chains are put in the order they were popped.
 *
 * Return: 0, or -EIO when the queue is broken.
 */
int kvs_vq_put(struct kvs_vq *vq, u16 head, u32 len)
{
	if (likely(!kvs_ring_put(&vq->ring, head, len)))
		return 0;
	kvs_vq_broken(vq);
	return -EIO;
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
	if (!ret || !vq->call) {
		kvs_count(vq, KVASIR_C_CALLS_AVOIDED, 1);
		return;
	}
	kvs_count(vq, KVASIR_C_CALLS, 1);
	trace_kvasir_call(vq);
	kvs_eventfd_signal(vq->call);
}

/**
 * kvs_vq_arm() - before the service ends for want of chains: ask for a kick
 * @vq: the queue
 *
 * With busy polling the kick is asked for only after the poll.
 *
 * Return: true when there is work already, so go on. Work that waits for the
 * IOTLB does not count.
 */
bool kvs_vq_arm(struct kvs_vq *vq)
{
	return !kvs_poll_defer(vq) && kvs_vq_arm_now(vq);
}

/* The same without regard to polling. */
bool kvs_vq_arm_now(struct kvs_vq *vq)
{
	int ret;

	if (!vq->running)
		return false;
	ret = kvs_ring_arm(&vq->ring);
	if (ret < 0) {
		kvs_vq_broken(vq);
		return false;
	}
	return ret && !vq->iotlb.stalled;
}

void kvs_vq_disarm(struct kvs_vq *vq)
{
	if (kvs_ring_disarm(&vq->ring))
		kvs_vq_broken(vq);
}
