/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMM's side of a virtual IOMMU: messages to a vhost node, and a thread
 * that answers what the node misses.
 *
 * The driver's view is a kvt_mem whose .gpa is an I/O virtual address. Behind
 * it are two more mappings of the same memory ("views"), and the answers lead
 * to one of them, page by page. Pages from .linear on are in shuffled order
 * there, so that what is contiguous for the driver is not for the host.
 */
#ifndef KVT_IOTLB_H
#define KVT_IOTLB_H

#include <pthread.h>

#include "kvt_vhost.h"

#define KVT_IOTLB_PAGE 4096u

/* One message, of either kind; what write() returns. */
ssize_t kvt_iotlb_msg(int fd, bool v2, uint8_t type, uint64_t iova,
		      uint64_t size, uint64_t uaddr, uint8_t perm);

/* 0 or -1 with errno. */
int kvt_iotlb_update(int fd, uint64_t iova, uint64_t size, const void *p,
		     uint8_t perm);
int kvt_iotlb_invalidate(int fd, uint64_t iova, uint64_t size);

/**
 * kvt_iotlb_read() - the next miss
 *
 * Fails the test unless everything but iova and perm is as it must be, the
 * padding included. Returns false when there is none in time.
 */
bool kvt_iotlb_read(int fd, bool v2, unsigned int ms, uint64_t *iova,
		    uint8_t *perm);

struct kvt_vmm {
	int fd;			/* the node */
	bool v2;
	const struct kvt_mem *mem;
	size_t linear;
	uint8_t *view[2];
	uint32_t *place;	/* of each page in the views */

	pthread_mutex_t lock;	/* guards what follows */
	unsigned int now;	/* the view that answers lead to */
	unsigned long misses;
	bool stop;
	pthread_t thread;
};

/* @linear: bytes at the start of @mem that are in order (the rings) */
void kvt_vmm_init(struct kvt_vmm *vmm, int fd, bool v2,
		  const struct kvt_mem *mem, size_t linear);
/* Where the page of @iova is in view @view. */
uint8_t *kvt_vmm_page(const struct kvt_vmm *vmm, unsigned int view,
		      uint64_t iova);
/* Answer misses from a thread. */
void kvt_vmm_start(struct kvt_vmm *vmm);
void kvt_vmm_stop(struct kvt_vmm *vmm);
void kvt_vmm_free(struct kvt_vmm *vmm);
/*
 * Invalidate everything and make the view used so far inaccessible: whoever
 * still goes there, faults. Answers lead to the other one from now on.
 */
void kvt_vmm_flip(struct kvt_vmm *vmm);

#endif /* KVT_IOTLB_H */
