// SPDX-License-Identifier: GPL-2.0-only
/*
 * H1: the doorbell. A file becomes ready (the kick eventfd, written by KVM's
 * ioeventfd or by the VMM; a socket) and a worker gets work.
 *
 * The wake function runs with interrupts off under the wait queue's lock of
 * the file. Detaching takes the same lock, so after kvs_bell_detach() it will
 * not run any more; work that it queued may still be pending.
 */
#include "kvasir.h"
#include "trace.h"

static int kvs_bell_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
			 void *key)
{
	struct kvs_bell *bell = container_of(wait, struct kvs_bell, wait);
	__poll_t events = key_to_poll(key);

	if (READ_ONCE(bell->muted) || (events && !(events & bell->mask)))
		return 0;
	if (bell->hold && bell->hold(bell))
		return 0;
	bell->rings++;
	if (bell == &bell->vq->bell)
		trace_kvasir_kick(bell->vq);
	else
		trace_kvasir_ready(bell->vq);
	kvs_vq_kick(bell->vq);
	return 0;
}

static void kvs_bell_hang(struct file *file, wait_queue_head_t *wqh,
			  poll_table *table)
{
	struct kvs_bell *bell = container_of(table, struct kvs_bell, table);

	/* A file with several wait queues: the first one is the readable side. */
	if (bell->wqh)
		return;
	bell->wqh = wqh;
	add_wait_queue(wqh, &bell->wait);
}

/**
 * kvs_bell_attach() - ring when a file becomes ready
 * @bell: detached
 * @file: stays referenced by the caller while attached
 * @mask: EPOLLIN, EPOLLOUT
 * @vq: has a worker; is served at once if the file is ready already
 *
 * Return: 0, or -EINVAL for a file that cannot be waited for.
 */
int kvs_bell_attach(struct kvs_bell *bell, struct file *file, __poll_t mask,
		    struct kvs_vq *vq)
{
	__poll_t events;

	init_waitqueue_func_entry(&bell->wait, kvs_bell_wake);
	init_poll_funcptr(&bell->table, kvs_bell_hang);
	bell->table._key = mask;
	bell->mask = mask;
	bell->vq = vq;
	bell->wqh = NULL;

	events = vfs_poll(file, &bell->table);
	/* An eventfd that is full says EPOLLERR, too, and is just ready. */
	if (!bell->wqh || (events & EPOLLERR && bell != &vq->bell)) {
		kvs_bell_detach(bell);
		return -EINVAL;
	}
	if (events & mask && !bell->muted)
		kvs_vq_kick(vq);
	return 0;
}

void kvs_bell_detach(struct kvs_bell *bell)
{
	if (!bell->wqh)
		return;
	remove_wait_queue(bell->wqh, &bell->wait);
	bell->wqh = NULL;
}
