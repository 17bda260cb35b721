/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hand rings to a vhost node: ours (/dev/kvasir-net, /dev/kvasir-blk) or the
 * stock /dev/vhost-net.
 */
#ifndef KVT_VHOST_H
#define KVT_VHOST_H

#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "kvt_ring.h"

/* $KVT_NET_NODE, $KVT_BLK_NODE: run the same tests against another node. */
const char *kvt_net_node(void);
const char *kvt_blk_node(void);
/* Whether @node is ours, so that counters and states can be asked for. */
bool kvt_ours(const char *node);

/* Open a node; a missing one skips the test and says what to do. */
int kvt_node_open(const char *node);

struct kvt_dev {
	int fd;
	struct kvt_mem *mem;
	uint64_t offered;
	uint64_t features;
};

#define KVT_F(bit) (1ULL << (bit))

/**
 * kvt_dev_init() - open, own, negotiate, hand over the memory table
 *
 * A feature the node does not offer skips the test. With ACCESS_PLATFORM
 * @mem->gpa is the I/O virtual address of the memory, and it lies at guest
 * physical address 0; see kvt_iotlb.h.
 */
void kvt_dev_init(struct kvt_dev *dev, const char *node, struct kvt_mem *mem,
		  uint64_t features);

/* VHOST_SET_MEM_TABLE with one region; returns what the ioctl returns. */
int kvt_set_mem(int fd, uint64_t gpa, uint64_t size, uint64_t hva);

/* Flags of kvt_ring_init() that fit negotiated features. */
unsigned int kvt_ring_flags(uint64_t features);

/* Everything but the backend. */
void kvt_vring_setup(struct kvt_dev *dev, unsigned int index,
		     const struct kvt_ring *ring);
/* One ioctl each; return what it returns. */
int kvt_vring_num(int fd, unsigned int index, unsigned int num);
int kvt_vring_base(int fd, unsigned int index, unsigned int base);
int kvt_vring_addr(int fd, unsigned int index, const struct kvt_ring *ring);
/* The same, with the ring's addresses as the device sees them. */
int kvt_vring_iova(int fd, unsigned int index, const struct kvt_ring *ring);
int kvt_vring_file(int fd, unsigned long request, unsigned int index, int file);

int kvt_net_backend(const struct kvt_dev *dev, unsigned int index, int sock);

#endif /* KVT_VHOST_H */
