/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk that remembers what it was promised: writes of 4 KiB blocks, each
 * sector stamped with its place and a generation, many in flight, at most one
 * of a block. What was acknowledged must be there afterwards, whatever
 * happened to driver, module or device in between.
 */
#ifndef KVT_ACKED_H
#define KVT_ACKED_H

#include "kvt_blk.h"

#define KVT_BLOCK 4096u

/*
 * What is known of each block: it may hold any generation from .acked (or, if
 * the power was cut, .durable) to .sent. In memory that a killed child shares
 * with its parent.
 */
struct kvt_acked {
	uint32_t blocks;
	uint32_t *sent, *acked, *durable;
};

void kvt_acked_init(struct kvt_acked *a, uint32_t blocks);
void kvt_acked_free(struct kvt_acked *a);
/* As it is now, for a later kvt_acked_check(). */
void kvt_acked_copy(struct kvt_acked *to, const struct kvt_acked *from);

/**
 * kvt_acked_check() - is everything there that must be?
 * @image: the first .blocks blocks of the disk
 * @power_cut: of what was not flushed, nothing need be there
 *
 * Fails the test for every block that is not; returns how many were written.
 */
uint32_t kvt_acked_check(const struct kvt_acked *a, const uint8_t *image,
			 bool power_cut, const char *when);
/* The same of a file or block device, read beside any cache. */
uint32_t kvt_acked_check_fd(const struct kvt_acked *a, int fd,
			    const char *when);

#define KVT_WRITER_BIOS 32

struct kvt_writer {
	struct kvt_disk *d;
	struct kvt_acked *a;
	struct kvt_bio bio[KVT_WRITER_BIOS], flush;
	unsigned int nr_bio, busy;
	uint64_t state;		/* of kvt_rand() */
	uint32_t *snapshot;	/* of .acked, when the flush was sent */
	uint32_t done, failed;	/* writes */
};

/* @depth: writes in flight; room for them in the disk's memory is taken */
void kvt_writer_init(struct kvt_writer *w, struct kvt_disk *d,
		     struct kvt_acked *a, unsigned int depth, uint64_t seed);
/* Answer @n more writes, in flight as many as may be; @n 0: none is left. */
void kvt_writer_run(struct kvt_writer *w, uint32_t n);
void kvt_writer_drain(struct kvt_writer *w);
/* A flush, beside the writes in flight; returns its status. */
int kvt_writer_flush(struct kvt_writer *w);
/* Read all of it back by requests, which must not fail, and check it. */
void kvt_writer_verify(struct kvt_writer *w, const char *when);

#endif /* KVT_ACKED_H */
