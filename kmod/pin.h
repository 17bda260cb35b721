/* SPDX-License-Identifier: GPL-2.0-only */
/* H3/H4: guest pages pinned for the host's own I/O. */
#ifndef KVS_PIN_H
#define KVS_PIN_H

#include <linux/bvec.h>
#include <linux/uio.h>

/* Elements that many bytes in @nr_iov pieces can need at most. */
static inline u32 kvs_pin_max(u32 nr_iov, u32 bytes)
{
	return bytes / PAGE_SIZE + 2 * nr_iov;
}

/**
 * kvs_pin_iov() - pin the pages under an iovec array
 * @iov: host addresses in the current address space
 * @nr_iov: elements
 * @write: the pages will be written (the device's "in" direction)
 * @bvec: result; physically adjacent pages share an element
 * @max: elements @bvec has
 *
 * Context: the worker's, may sleep.
 * Return: elements used, -EFAULT a page cannot be had, -E2BIG @max does not
 * suffice; nothing stays pinned after an error.
 */
int kvs_pin_iov(const struct iovec *iov, u32 nr_iov, bool write,
		struct bio_vec *bvec, u32 max);

/**
 * kvs_unpin() - release what kvs_pin_iov() took, exactly once
 * @dirty: the pages were written
 */
void kvs_unpin(struct bio_vec *bvec, u32 nr, bool dirty);

#endif /* KVS_PIN_H */
