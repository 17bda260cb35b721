// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * H3: a virtio-blk request, parsed and checked (virtio 1.2, 5.2.6).
 *
 * Portable (env.h). Nothing of the request is trusted after it was checked:
 * header and ranges are copied once and the copies are used. No assumption is
 * made on how the driver split header, data and status over descriptors
 * (VIRTIO_F_ANY_LAYOUT, virtio 1.2, 2.7.4).
 */
#include "blk_parse.h"

/* Cut the last byte off a window; returns its address. */
static u8 __user *iov_cut_last(struct iovec *iov, u32 *nr)
{
	struct iovec *last = &iov[*nr - 1];

	last->iov_len--;
	if (!last->iov_len)
		(*nr)--;
	return (u8 __user *)last->iov_base + last->iov_len;
}

static int done(struct kvs_blk_req *req, u8 status)
{
	req->op = KVS_BLK_DONE;
	req->status = status;
	return 0;
}

/* Are @nr sectors from @sector on the disk, in whole logical blocks? */
static bool range_ok(const struct kvs_blk_limits *lim, u64 sector, u64 nr)
{
	u32 mask = (lim->block_size >> KVS_SECTOR_SHIFT) - 1;
	u64 capacity = READ_ONCE(lim->capacity);

	return !(sector & mask) && !(nr & mask) &&
	       sector <= capacity && nr <= capacity - sector;
}

static int parse_rw(const struct kvs_blk_limits *lim, struct kvs_blk_req *req,
		    u32 len, bool write)
{
	if (write && lim->readonly)
		return done(req, VIRTIO_BLK_S_IOERR);
	if (len % KVS_SECTOR_SIZE ||
	    !range_ok(lim, req->sector, len >> KVS_SECTOR_SHIFT))
		return done(req, VIRTIO_BLK_S_IOERR);
	if (!len)
		return done(req, VIRTIO_BLK_S_OK);
	req->op = write ? KVS_BLK_WRITE : KVS_BLK_READ;
	req->len = len;
	return 0;
}

static int parse_get_id(const struct kvs_blk_limits *lim,
			struct kvs_blk_req *req)
{
	const u8 *src = lim->serial;
	u32 left = sizeof(lim->serial);
	u32 i;

	for (i = 0; i < req->nr_iov && left; i++) {
		u32 part = min_t(size_t, left, req->iov[i].iov_len);

		if (kvs_store(req->iov[i].iov_base, src, part)) {
			done(req, VIRTIO_BLK_S_IOERR);
			return -EFAULT;
		}
		src += part;
		left -= part;
		req->written += part;
	}
	return done(req, VIRTIO_BLK_S_OK);
}

/* Sectors one range may have, 0 when the disk cannot do it at all. */
static u32 range_max(const struct kvs_blk_limits *lim, enum kvs_blk_op op)
{
	switch (op) {
	case KVS_BLK_DISCARD:
		return lim->max_discard;
	case KVS_BLK_WRITE_ZEROES:
		return lim->max_write_zeroes;
	default:
		return lim->max_secure_erase;
	}
}

/* Does an erasure cover whole units of the disk? */
static bool erase_ok(const struct kvs_blk_limits *lim,
		     const struct kvs_blk_range *range)
{
	return !lim->erase_align || (!(range->nr % lim->erase_align) &&
				     !(range->sector % lim->erase_align));
}

/* One segment of a request of ranges. Returns a status. */
static u8 range_parse(const struct kvs_blk_limits *lim,
		      const struct kvs_blk_req *req,
		      const struct virtio_blk_discard_write_zeroes *raw,
		      struct kvs_blk_range *range)
{
	bool zero = req->op == KVS_BLK_WRITE_ZEROES;
	u32 flags = kvs_cpu32((__force __virtio32)raw->flags);

	range->sector = kvs_cpu64((__force __virtio64)raw->sector);
	range->nr = kvs_cpu32((__force __virtio32)raw->num_sectors);
	range->unmap = zero && flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	/* 5.2.6.2: unknown flags, and unmap on others, are unsupported */
	if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0))
		return VIRTIO_BLK_S_UNSUPP;
	if (range->nr > range_max(lim, req->op) ||
	    !range_ok(lim, range->sector, range->nr) ||
	    (req->op == KVS_BLK_SECURE_ERASE && !erase_ok(lim, range)))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static int parse_ranges(const struct kvs_blk_limits *lim,
			struct kvs_blk_req *req, struct iovec *iov, u32 nr_iov,
			u32 len, enum kvs_blk_op op)
{
	struct virtio_blk_discard_write_zeroes raw;
	u32 i, nr = len / sizeof(raw);

	req->op = op;
	if (!range_max(lim, op))
		return done(req, VIRTIO_BLK_S_UNSUPP);
	if (lim->readonly || len % sizeof(raw) || !nr ||
	    nr > KVS_BLK_MAX_RANGES)
		return done(req, VIRTIO_BLK_S_IOERR);

	for (i = 0; i < nr; i++) {
		u8 status;

		if (kvs_iov_take(&iov, &nr_iov, &raw, sizeof(raw))) {
			done(req, VIRTIO_BLK_S_IOERR);
			return -EFAULT;
		}
		status = range_parse(lim, req, &raw, &req->range[i]);
		if (status != VIRTIO_BLK_S_OK)
			return done(req, status);
	}
	req->nr_range = nr;
	return 0;
}

int kvs_blk_parse(const struct kvs_blk_limits *lim, struct kvs_chain *chain,
		  struct kvs_blk_req *req)
{
	struct virtio_blk_outhdr hdr;
	struct iovec *out = chain->iov;
	struct iovec *in = chain->iov + chain->nr_iov_out;
	u32 nr_out = chain->nr_iov_out, nr_in = chain->nr_iov_in;
	u32 out_len, in_len;
	const struct kvs_seg *last;

	memset(req, 0, offsetof(struct kvs_blk_req, range));
	req->nr_range = 0;
	if (!chain->in_len)
		return done(req, VIRTIO_BLK_S_IOERR);
	last = &chain->seg[chain->nr_out + chain->nr_in - 1];
	req->status_gpa = last->gpa + last->len - 1;
	req->status_hva = iov_cut_last(in, &nr_in);
	in_len = chain->in_len - 1;

	if (chain->out_len < sizeof(hdr))
		return done(req, VIRTIO_BLK_S_IOERR);
	if (kvs_iov_take(&out, &nr_out, &hdr, sizeof(hdr))) {
		done(req, VIRTIO_BLK_S_IOERR);
		return -EFAULT;
	}
	out_len = chain->out_len - sizeof(hdr);
	req->type = kvs_cpu32(hdr.type);
	req->sector = kvs_cpu64(hdr.sector);

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		req->iov = in;
		req->nr_iov = nr_in;
		return parse_rw(lim, req, in_len, false);
	case VIRTIO_BLK_T_OUT:
		req->iov = out;
		req->nr_iov = nr_out;
		return parse_rw(lim, req, out_len, true);
	case VIRTIO_BLK_T_FLUSH:
		/* 5.2.6.1: sector is 0; data, if any, means nothing */
		req->op = KVS_BLK_FLUSH;
		return 0;
	case VIRTIO_BLK_T_GET_ID:
		req->iov = in;
		req->nr_iov = nr_in;
		return parse_get_id(lim, req);
	case VIRTIO_BLK_T_DISCARD:
		return parse_ranges(lim, req, out, nr_out, out_len,
				    KVS_BLK_DISCARD);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return parse_ranges(lim, req, out, nr_out, out_len,
				    KVS_BLK_WRITE_ZEROES);
	case VIRTIO_BLK_T_SECURE_ERASE:
		return parse_ranges(lim, req, out, nr_out, out_len,
				    KVS_BLK_SECURE_ERASE);
	default:
		return done(req, VIRTIO_BLK_S_UNSUPP);
	}
}
