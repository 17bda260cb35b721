// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * H2: a descriptor chain, read once and checked (virtio 1.2, 2.7.5).
 *
 * Portable (env.h). No side effects: the ring is only read. A chain that
 * breaks the rules is refused as a whole (chain->err) and concerns nobody but
 * the driver that sent it; only an unreadable descriptor table is an error of
 * the ring.
 */
#include "ring.h"

/* A descriptor in our own memory and byte order. */
struct desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next;
};

/* Descriptors of an indirect table fetched by one copy. */
#define DESC_BATCH 16

static void desc_take(struct desc *d, const struct vring_desc *raw)
{
	d->addr = kvs_cpu64(raw->addr);
	d->len = kvs_cpu32(raw->len);
	d->flags = kvs_cpu16(raw->flags);
	d->next = kvs_cpu16(raw->next);
}

static int refuse(struct kvs_chain *chain, enum kvs_chain_err why)
{
	chain->err = why;
	return 0;
}

/* Append one checked descriptor. Returns false when the chain is refused. */
static bool chain_add(struct kvs_chain *chain, const struct kvs_mem *mem,
		      const struct desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	u32 *total = in ? &chain->in_len : &chain->out_len;
	u32 segs = chain->nr_out + chain->nr_in;
	u32 iovs = chain->nr_iov_out + chain->nr_iov_in;
	int n;

	if (!in && chain->nr_in) {
		chain->err = KVS_CHAIN_ORDER;
		return false;
	}
	if (!d->len)
		return true;
	if (check_add_overflow(*total, d->len, total)) {
		chain->err = KVS_CHAIN_LENGTH;
		return false;
	}
	n = kvs_mem_iov(mem, d->addr, d->len, &chain->iov[iovs],
			KVS_CHAIN_MAX - iovs);
	if (n < 0 || segs == KVS_CHAIN_MAX) {
		chain->err = n == -EFAULT ? KVS_CHAIN_RANGE :
					    KVS_CHAIN_TOO_LONG;
		return false;
	}
	chain->seg[segs].gpa = d->addr;
	chain->seg[segs].len = d->len;
	if (in) {
		chain->nr_in++;
		chain->nr_iov_in += n;
	} else {
		chain->nr_out++;
		chain->nr_iov_out += n;
	}
	return true;
}

/* A table of descriptors in guest memory (virtio 1.2, 2.7.5.3). */
struct table {
	const struct kvs_mem *mem;
	u64 gpa;
	u32 nr;
	u32 first;	/* of the entries held */
	u32 held;
	struct vring_desc raw[DESC_BATCH];
};

/* Entry @i of the table, fetched together with those that follow it. */
static bool table_get(struct table *t, u32 i, struct desc *d)
{
	if (i < t->first || i - t->first >= t->held) {
		t->first = i;
		t->held = min_t(u32, DESC_BATCH, t->nr - i);
		if (kvs_mem_load(t->mem, t->raw, t->gpa + i * sizeof(t->raw[0]),
				 t->held * sizeof(t->raw[0])))
			return false;
	}
	desc_take(d, &t->raw[i - t->first]);
	return true;
}

/* Returns false when the chain is refused. */
static bool chain_indirect(struct kvs_chain *chain, const struct kvs_mem *mem,
			   const struct desc *at)
{
	struct table t = {
		.mem = mem,
		.gpa = at->addr,
		.nr = at->len / sizeof(struct vring_desc),
	};
	struct desc d;
	u32 i = 0, steps;

	if (at->flags & VRING_DESC_F_NEXT || !t.nr ||
	    at->len % sizeof(struct vring_desc)) {
		chain->err = KVS_CHAIN_INDIRECT;
		return false;
	}
	if (t.nr > KVS_CHAIN_MAX) {
		chain->err = KVS_CHAIN_TOO_LONG;
		return false;
	}
	if (at->len > U64_MAX - at->addr) {
		chain->err = KVS_CHAIN_RANGE;
		return false;
	}

	for (steps = 0; steps < t.nr; steps++) {
		if (!table_get(&t, i, &d)) {
			chain->err = KVS_CHAIN_RANGE;
			return false;
		}
		if (d.flags & VRING_DESC_F_INDIRECT) {
			chain->err = KVS_CHAIN_INDIRECT;
			return false;
		}
		if (!chain_add(chain, mem, &d))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return true;
		if (d.next >= t.nr) {
			chain->err = KVS_CHAIN_NEXT;
			return false;
		}
		i = d.next;
	}
	chain->err = KVS_CHAIN_LOOP;
	return false;
}

int kvs_chain_read(const struct kvs_ring *ring, const struct kvs_mem *mem,
		   u16 head, struct kvs_chain *chain)
{
	struct vring_desc raw;
	struct desc d;
	u32 i = head, steps;

	chain->head = head;
	chain->err = KVS_CHAIN_OK;
	chain->nr_out = 0;
	chain->nr_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	chain->nr_iov_out = 0;
	chain->nr_iov_in = 0;

	for (steps = 0; steps < ring->num; steps++) {
		if (steps == KVS_CHAIN_MAX)
			return refuse(chain, KVS_CHAIN_TOO_LONG);
		if (kvs_load(&raw, &ring->desc[i], sizeof(raw)))
			return -EFAULT;
		desc_take(&d, &raw);

		if (d.flags & VRING_DESC_F_INDIRECT) {
			/* At most one table, and it ends the chain. */
			if (!ring->indirect)
				return refuse(chain, KVS_CHAIN_INDIRECT);
			chain_indirect(chain, mem, &d);
			return 0;
		}
		if (!chain_add(chain, mem, &d))
			return 0;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		if (d.next >= ring->num)
			return refuse(chain, KVS_CHAIN_NEXT);
		i = d.next;
	}
	return refuse(chain, KVS_CHAIN_LOOP);
}

int kvs_iov_take(struct iovec **iov, u32 *nr, void *dst, u32 len)
{
	while (len) {
		u32 part = min_t(size_t, len, (*iov)->iov_len);

		if (kvs_load(dst, (*iov)->iov_base, part))
			return -EFAULT;
		(*iov)->iov_base += part;
		(*iov)->iov_len -= part;
		if (!(*iov)->iov_len) {
			(*iov)++;
			(*nr)--;
		}
		dst += part;
		len -= part;
	}
	return 0;
}
