/* SPDX-License-Identifier: GPL-2.0-only */
/* H4: the file or block device behind a virtio disk. */
#ifndef KVASIR_DISK_H
#define KVASIR_DISK_H

#include "virtio.h"

struct disk {
	int fd;
	bool readonly;
	bool direct;		/* O_DIRECT: buffers aligned to block_size */
	bool blockdev;
	uint64_t bytes;		/* as found */
	uint64_t capacity;	/* 512-byte sectors, whole logical blocks */
	uint32_t block_size;	/* logical */
	uint32_t phys_size;	/* physical, at least logical */
	uint32_t phys_offset;	/* of the first physical block, bytes */
	uint32_t io_min, io_opt;	/* bytes; 0: nothing known */
	uint32_t discard_align;	/* sectors */
	bool can_discard;	/* and deallocate zeroes */
};

/**
 * disk_open() - open and lock the disk of @opts
 * @label: who asks, for messages
 * @claim: also refuse a block device that is mounted or claimed. Not for a
 *	backend that claims it itself.
 *
 * The lock (open file description) is shared for a read-only disk, exclusive
 * else; it goes with the descriptor.
 */
int disk_open(struct vm *vm, const char *label, const struct disk_opts *opts,
	      bool claim, struct disk *disk);
/* Find the size anew. Return: 1 when it changed, 0, or -errno. */
int disk_measure(struct disk *disk);
void disk_close(struct disk *disk);

#endif /* KVASIR_DISK_H */
