/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk as the guest's driver sees it: request queues of a blk node, many
 * requests in flight, every piece of a request placed by the test.
 */
#ifndef KVT_BLK_H
#define KVT_BLK_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "kvt_nl.h"
#include "kvt_vhost.h"

#define KVT_DISK_QUEUES 4
#define KVT_SECTOR 512u

struct kvt_disk {
	struct kvt_mem mem;
	struct kvt_dev dev;
	unsigned int nr_queues;
	struct kvt_ring q[KVT_DISK_QUEUES];
	bool ours;		/* the node is the module's: .id is valid */
	uint32_t id;
	uint64_t capacity;	/* sectors, once a backend is set */
	uint32_t max_discard, max_write_zeroes;
	uint8_t *scratch;	/* for kvt_disk_io() */
};

/* One request; header and status byte live in guest memory. */
struct kvt_bio {
	struct virtio_blk_outhdr *hdr;
	uint8_t *status;
	uint8_t *data;
	uint32_t size;		/* of .data */
	uint32_t used;		/* length the device reported */
	bool done;
	uint64_t tag;		/* the test's own */
};

/* Device and rings, no backend yet. @mem_size is for buffers. */
void kvt_disk_open(struct kvt_disk *d, unsigned int nr_queues, uint16_t num,
		   uint64_t features, size_t mem_size);
void kvt_disk_close(struct kvt_disk *d);
/* Set up all rings afresh (stopped queues). */
void kvt_disk_rings(struct kvt_disk *d);
/* KVASIR_BLK_SET_BACKEND; returns 0 or -errno. @fd -1 takes it off. */
int kvt_disk_backend(struct kvt_disk *d, int fd, uint32_t flags,
		     uint32_t block_size, const char *serial);

void kvt_bio_init(struct kvt_disk *d, struct kvt_bio *bio, uint32_t size);
/* Offer header, @len bytes of data (out or in by @type) and status; publish. */
void kvt_bio_submit(struct kvt_disk *d, unsigned int q, struct kvt_bio *bio,
		    uint32_t type, uint64_t sector, uint32_t len);
/* The same with the test's own data pieces. */
void kvt_bio_submit_sg(struct kvt_disk *d, unsigned int q, struct kvt_bio *bio,
		       uint32_t type, uint64_t sector, const struct kvt_sg *sg,
		       unsigned int nr);
/* Whether @type sends data to the device. */
bool kvt_bio_out(uint32_t type);
/* Take one completed request of a queue; NULL after @ms. */
struct kvt_bio *kvt_bio_reap(struct kvt_disk *d, unsigned int q,
			     unsigned int ms);

/* The same of any queue with requests in flight. */
struct kvt_bio *kvt_disk_reap(struct kvt_disk *d, unsigned int ms);

#define KVT_NO_STATUS 0xee	/* the device never wrote one */

/* One request from start to end; its status, or KVT_NO_STATUS. @len to 128k. */
int kvt_disk_io(struct kvt_disk *d, unsigned int q, uint32_t type,
		uint64_t sector, void *buf, uint32_t len);

/*
 * Wait until the device has taken @n requests of a queue, which are in flight
 * then, and has handed them on.
 */
void kvt_disk_taken(struct kvt_disk *d, unsigned int q, unsigned int n);

/*
 * Wait until the device serves the queue no more, nor polls it, but has asked
 * for a kick: what is offered without one stays where it is. Of a split ring
 * without event index that was started for the first time, or has answered.
 */
void kvt_disk_rests(struct kvt_disk *d, unsigned int q);

/* A file in the test's temporary folder, unlinked; filled with @size zeroes. */
int kvt_file(off_t size);

/* A block device node, made by loading @module with its arguments if need be. */
int kvt_blockdev(const char *path, const char *module);

#define KVT_RAMDISK "/dev/ram0", "brd rd_nr=2 rd_size=16384"

/**
 * kvt_nullblk() - a block device that completes 200 us later, from a timer
 * @name: /dev/@name, made through configfs unless it is there already
 * @attrs: more attributes, "NAME=VALUE ...", or ""
 */
int kvt_nullblk(const char *name, const char *attrs);

/* A fresh ext4 on the first RAM disk, mounted at @dir for this test; its root. */
int kvt_ext4(const char *dir);

/* Run a command; whether it succeeded. What it says goes to the test's log. */
bool kvt_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* KVT_BLK_H */
