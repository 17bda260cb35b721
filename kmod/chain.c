// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * H2: a descriptor chain, read once and checked (virtio 1.2, 2.7.5 and 2.8.5).
 *
 * Portable (env.h). What both ring layouts share: adding a buffer, walking an
 * indirect table. A chain that breaks the rules is refused as a whole
 * (chain->err) and concerns nobody but the driver that sent it.
 */
#include "chain.h"
#include "iotlb_table.h"

/* Descriptors of an indirect table fetched by one copy. */
#define DESC_BATCH 16

static bool refuse(struct kvs_chain *chain, enum kvs_chain_err why)
{
	chain->err = why;
	return false;
}

/* With an IOTLB: may the device use this range? Else the chain is refused. */
static bool chain_may(struct kvs_chain *chain, const struct kvs_mem *mem,
		      const struct kvs_desc *d, u8 access)
{
	int ret = kvs_iotlb_check(mem, d->addr, kvs_desc_len(d), access,
				  &chain->miss);

	if (!ret)
		return true;
	chain->miss_access = access;
	return refuse(chain, ret == -EAGAIN ? KVS_CHAIN_MISS :
			     ret == -EACCES ? KVS_CHAIN_ACCESS :
					      KVS_CHAIN_RANGE);
}

/* A buffer that is not in one region: any number of them, or none. */
static int chain_spread(struct kvs_chain *chain, const struct kvs_mem *mem,
			const struct kvs_desc *d, u32 iovs)
{
	int n = kvs_mem_iov(mem, d->addr, kvs_desc_len(d), &chain->iov[iovs],
			    KVS_CHAIN_MAX - iovs);

	if (n < 0)
		refuse(chain, n == -EFAULT ? KVS_CHAIN_RANGE :
					     KVS_CHAIN_TOO_LONG);
	return n;
}

bool kvs_chain_add(struct kvs_chain *chain, const struct kvs_mem *mem,
		   u32 *hint, const struct kvs_desc *d, u16 flags)
{
	bool in = flags & VRING_DESC_F_WRITE;
	u32 *total = in ? &chain->in_len : &chain->out_len;
	u32 segs = chain->nr_out + chain->nr_in;
	u32 iovs = chain->nr_iov_out + chain->nr_iov_in;
	u32 len = kvs_desc_len(d);
	void __user *hva;
	int n = 1;

	if (unlikely(!in && chain->nr_in))
		return refuse(chain, KVS_CHAIN_ORDER);
	if (unlikely(!len))
		return true;
	if (unlikely(check_add_overflow(*total, len, total)))
		return refuse(chain, KVS_CHAIN_LENGTH);
	if (unlikely(segs == KVS_CHAIN_MAX || iovs == KVS_CHAIN_MAX))
		return refuse(chain, KVS_CHAIN_TOO_LONG);

	if (unlikely(mem->attr) &&
	    !chain_may(chain, mem, d, in ? KVS_MEM_WRITE : KVS_MEM_READ))
		return false;
	hva = kvs_mem_hit(mem, hint, d->addr, len);
	if (likely(hva)) {
		chain->iov[iovs].iov_base = hva;
		chain->iov[iovs].iov_len = len;
	} else {
		n = chain_spread(chain, mem, d, iovs);
		if (n < 0)
			return false;
	}
	chain->seg[segs].gpa = d->addr;
	chain->seg[segs].len = len;
	if (in) {
		chain->nr_in++;
		chain->nr_iov_in += n;
	} else {
		chain->nr_out++;
		chain->nr_iov_out += n;
	}
	return true;
}

/* A table of descriptors in guest memory. */
struct table {
	const struct kvs_mem *mem;
	u64 gpa;
	u32 nr;
	u32 first;	/* of the entries held */
	u32 held;
	struct kvs_raw_desc raw[DESC_BATCH];
};

/* Entry @i of the table, fetched together with those that follow it. */
static bool table_get(struct table *t, u32 *hint, u32 i, struct kvs_desc *d)
{
	if (i < t->first || i - t->first >= t->held) {
		u64 gpa = t->gpa + i * sizeof(t->raw[0]);
		void __user *hva;
		u32 len;
		int ret;

		kvs_relax();
		t->first = i;
		t->held = min_t(u32, DESC_BATCH, t->nr - i);
		len = t->held * sizeof(t->raw[0]);
		hva = kvs_mem_hit(t->mem, hint, gpa, len);
		ret = hva ? kvs_load(t->raw, hva, len) :
			    kvs_mem_load(t->mem, t->raw, gpa, len);
		if (ret)
			return false;
	}
	d->addr = kvs_cpu64(t->raw[i - t->first].addr);
	d->word = kvs_cpu64(t->raw[i - t->first].word);
	return true;
}

/* The links of a split ring's table. */
static bool table_walk(struct kvs_chain *chain, struct table *t, u32 *hint)
{
	struct kvs_desc d;
	u32 i = 0, steps;

	for (steps = 0; steps < t->nr; steps++) {
		u16 flags;

		if (!table_get(t, hint, i, &d))
			return refuse(chain, KVS_CHAIN_RANGE);
		flags = kvs_split_flags(&d);
		if (flags & VRING_DESC_F_INDIRECT)
			return refuse(chain, KVS_CHAIN_INDIRECT);
		if (!kvs_chain_add(chain, t->mem, hint, &d, flags))
			return false;
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		i = kvs_split_next(&d);
		if (i >= t->nr)
			return refuse(chain, KVS_CHAIN_NEXT);
	}
	return refuse(chain, KVS_CHAIN_LOOP);
}

/* A packed ring's table: all entries, one after the other. */
static bool table_scan(struct kvs_chain *chain, struct table *t, u32 *hint)
{
	struct kvs_desc d;
	u32 i;

	for (i = 0; i < t->nr; i++) {
		u16 flags;

		if (!table_get(t, hint, i, &d))
			return refuse(chain, KVS_CHAIN_RANGE);
		flags = kvs_packed_flags(&d);
		if (flags & VRING_DESC_F_INDIRECT)
			return refuse(chain, KVS_CHAIN_INDIRECT);
		if (!kvs_chain_add(chain, t->mem, hint, &d, flags))
			return false;
	}
	return true;
}

bool kvs_chain_indirect(struct kvs_chain *chain, const struct kvs_mem *mem,
			u32 *hint, const struct kvs_desc *d, u16 flags,
			bool packed)
{
	u32 len = kvs_desc_len(d);
	struct table t;

	if (flags & VRING_DESC_F_NEXT || !len || len % sizeof(t.raw[0]))
		return refuse(chain, KVS_CHAIN_INDIRECT);
	t.mem = mem;
	t.gpa = d->addr;
	t.nr = len / sizeof(t.raw[0]);
	t.first = 0;
	t.held = 0;
	if (t.nr > KVS_CHAIN_MAX)
		return refuse(chain, KVS_CHAIN_TOO_LONG);
	if (len > U64_MAX - d->addr)
		return refuse(chain, KVS_CHAIN_RANGE);
	if (unlikely(mem->attr) && !chain_may(chain, mem, d, KVS_MEM_READ))
		return false;
	return packed ? table_scan(chain, &t, hint) :
			table_walk(chain, &t, hint);
}

int kvs_iov_take(struct iovec **iov, u32 *nr, void *dst, u32 len)
{
	while (len) {
		struct iovec *v = *iov;
		u32 part = min_t(size_t, len, v->iov_len);

		if (kvs_load(dst, v->iov_base, part))
			return -EFAULT;
		v->iov_base += part;
		v->iov_len -= part;
		if (!v->iov_len) {
			(*iov)++;
			(*nr)--;
		}
		dst += part;
		len -= part;
	}
	return 0;
}
