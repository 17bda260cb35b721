// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log: one bit per 4 KiB page of guest physical memory, in the
 * owner's address space, set after the page was written. All of it happens
 * under vq->lock, which is also what switches logging on and off, so no page
 * is logged to a bitmap that was taken away.
 */
#include <linux/bitops.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "kvasir.h"

#define KVS_LOG_SHIFT	12	/* VHOST_PAGE_SIZE is 4096 */

/* Can the bitmap at @base hold every page of @mem? */
bool kvs_log_ok(const struct kvs_mem *mem, u64 base)
{
	const struct kvs_region *last;
	u64 bytes;

	if (!mem->nr)
		return kvs_hva_ok(base, 0);
	last = &mem->r[mem->nr - 1];
	bytes = ((last->gpa + last->size - 1) >> KVS_LOG_SHIFT) / 8 + 1;
	return bytes <= U64_MAX - base && kvs_hva_ok(base, bytes);
}

static int log_page(struct kvs_vq *vq, u64 pfn)
{
	unsigned long addr = (unsigned long)vq->log_base + pfn / 8;
	struct page *page;
	void *map;

	if (addr < (unsigned long)vq->log_base ||
	    pin_user_pages_fast(addr, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	map = kmap_local_page(page);
	set_bit_le(offset_in_page(addr) * 8 + pfn % 8, map);
	kunmap_local(map);
	unpin_user_pages_dirty_lock(&page, 1, true);
	return 0;
}

/* Guest physical pages. Returns false when one cannot be logged. */
static bool log_gpa(struct kvs_vq *vq, u64 gpa, u64 len)
{
	u64 pfn, last = (gpa + len - 1) >> KVS_LOG_SHIFT;

	for (pfn = gpa >> KVS_LOG_SHIFT; pfn <= last; pfn++) {
		if (log_page(vq, pfn))
			return false;
		cond_resched();
	}
	return true;
}

/* What is at a host address, under every address the guest has for it. */
static bool log_hva(struct kvs_vq *vq, u64 hva, u64 len)
{
	const struct kvs_mem *mem = vq->umem;
	u64 found = 0;
	u32 i;

	for (i = 0; i < mem->nr; i++) {
		const struct kvs_region *r = &mem->r[i];
		u64 from = max(hva, r->hva);
		u64 to = min(hva + len, r->hva + r->size);

		if (from >= to)
			continue;
		if (!log_gpa(vq, r->gpa + (from - r->hva), to - from))
			return false;
		found += to - from;
	}
	return found >= len;
}

/* What is mapped at an I/O virtual address. */
static bool log_iova(struct kvs_vq *vq, u64 iova, u64 len)
{
	const struct kvs_mem *mem = vq->mem;

	while (len) {
		u32 i = kvs_mem_find(mem, iova);
		u64 off, part;

		if (i >= mem->nr)
			return false;
		off = kvs_index(iova - mem->r[i].gpa, mem->r[i].size);
		part = min(len, mem->r[i].size - off);
		if (!log_hva(vq, mem->r[i].hva + off, part))
			return false;
		iova += part;
		len -= part;
	}
	return true;
}

/* After logging: tell who waits for the log, or break the queue. */
static void log_done(struct kvs_vq *vq, bool logged)
{
	if (!logged) {
		kvs_ring_break(&vq->ring, KVS_RING_FAULT);
		kvs_vq_broken(vq);
	} else if (vq->log_ctx) {
		kvs_eventfd_signal(vq->log_ctx);
	}
}

/**
 * kvs_log_write() - the device has written guest memory
 * @vq: on whose behalf
 * @gpa: first byte, as the driver named it: with an IOTLB, I/O virtual
 * @len: bytes
 *
 * A page that cannot be logged breaks the queue: going on would lose data at
 * the end of a migration.
 */
void kvs_log_write(struct kvs_vq *vq, u64 gpa, u64 len)
{
	if (!kvs_logging(vq) || !len)
		return;
	log_done(vq, kvs_vq_has_iotlb(vq) ? log_iova(vq, gpa, len) :
					    log_gpa(vq, gpa, len));
}

/**
 * kvs_log_hva() - the same, for ring memory known by its host address
 * @vq: on whose behalf
 * @hva: first byte in the owner's address space
 * @len: bytes
 *
 * Every guest page that shows these bytes is logged. Bytes that are not guest
 * memory have no place in the log, and break the queue.
 */
void kvs_log_hva(struct kvs_vq *vq, u64 hva, u64 len)
{
	if (kvs_logging(vq))
		log_done(vq, log_hva(vq, hva, len));
}

/* The first @len bytes of a chain's writable segments were written. */
void kvs_log_segs(struct kvs_vq *vq, const struct kvs_seg *seg, u32 nr, u64 len)
{
	u32 i;

	for (i = 0; i < nr && len; i++) {
		u64 part = min_t(u64, len, seg[i].len);

		kvs_log_write(vq, seg[i].gpa, part);
		len -= part;
	}
}
