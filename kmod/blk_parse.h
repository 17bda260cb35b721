/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * H3: a virtio-blk request (virtio 1.2, 5.2.6): parsed and checked, not done.
 *
 * Portable (env.h): the module's and the VMM's disks take the same decisions.
 */
#ifndef KVS_BLK_PARSE_H
#define KVS_BLK_PARSE_H

#include "chain.h"
#include <linux/virtio_blk.h>

#define KVS_SECTOR_SHIFT	9
#define KVS_SECTOR_SIZE		512U
/* Segments of one discard or write-zeroes request (virtio 1.2, 5.2.4). */
#define KVS_BLK_MAX_RANGES	16

/**
 * struct kvs_blk_limits - what the disk is and may do
 * @capacity: in 512-byte sectors; may change at any time
 * @block_size: logical block size in bytes
 * @readonly: nothing that changes data is allowed
 * @max_discard: sectors of one discard range, 0 for unsupported
 * @max_write_zeroes: the same for write-zeroes
 * @max_secure_erase: the same for secure erase
 * @erase_align: sectors a range to be erased is a multiple of, if it is set
 * @serial: answer to GET_ID
 */
struct kvs_blk_limits {
	u64 capacity;
	u32 block_size;
	bool readonly;
	u32 max_discard;
	u32 max_write_zeroes;
	u32 max_secure_erase;
	u32 erase_align;
	u8 serial[VIRTIO_BLK_ID_BYTES];
};

enum kvs_blk_op {
	KVS_BLK_DONE,		/* decided already: answer with .status */
	KVS_BLK_READ,
	KVS_BLK_WRITE,
	KVS_BLK_FLUSH,
	KVS_BLK_DISCARD,
	KVS_BLK_WRITE_ZEROES,
	KVS_BLK_SECURE_ERASE,
};

struct kvs_blk_range {
	u64 sector;
	u32 nr;			/* sectors */
	bool unmap;		/* write-zeroes: may be deallocated */
};

/**
 * struct kvs_blk_req - one request
 * @op: what to do
 * @status: VIRTIO_BLK_S_* to answer with if @op is KVS_BLK_DONE
 * @type: as the driver wrote it (for tracing)
 * @sector: first 512-byte sector of a read or write
 * @len: bytes to read or write, a multiple of the block size
 * @written: bytes already put into the writable part (get-id)
 * @iov: the data in host addresses, a window into the chain's iovecs
 * @nr_iov: its elements
 * @status_hva: where the status byte goes, NULL if there is no room for one
 * @status_gpa: the same byte in guest terms
 * @range: what to discard or to zero
 * @nr_range: its elements
 */
struct kvs_blk_req {
	enum kvs_blk_op op;
	u8 status;
	u32 type;
	u64 sector;
	u32 len;
	u32 written;
	struct iovec *iov;
	u32 nr_iov;
	u8 __user *status_hva;
	u64 status_gpa;
	struct kvs_blk_range range[KVS_BLK_MAX_RANGES];
	u32 nr_range;
};

/**
 * kvs_blk_parse() - understand and check one request
 * @lim: the disk
 * @chain: not refused; its iovecs are trimmed to the data (header and status
 *	byte cut off, wherever they were split), so it is used up afterwards
 * @req: result
 *
 * Reads the header (and the ranges of a discard) once; answers GET_ID itself.
 * The status byte is the last device-writable byte. Bounds, alignment and
 * read-only are enforced here, so what comes out can be done as it stands.
 *
 * Context: as kvs_load(). Return: 0, or -EFAULT when guest memory that the
 * table promised cannot be read; @req then carries VIRTIO_BLK_S_IOERR.
 */
int kvs_blk_parse(const struct kvs_blk_limits *lim, struct kvs_chain *chain,
		  struct kvs_blk_req *req);

#endif /* KVS_BLK_PARSE_H */
