/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio devices of the VMM: transport (virtio_pci.c), device (dev_*.c) and
 * who serves the queues (link.c: a kernel backend, soft.c: this process).
 *
 * The transport owns registers, features, queue addresses and eventfds; the
 * device owns its configuration space and decides who serves a queue.
 */
#ifndef KVASIR_VIRTIO_H
#define KVASIR_VIRTIO_H

#include "pci.h"

#define VIRTIO_MAX_QUEUES	64
#define VIRTIO_QUEUE_MAX	1024	/* largest ring offered */

/* One virtqueue as the driver set it up (virtio 1.2, 4.1.4.3). */
struct doorbells;

struct vq {
	unsigned int index;
	uint16_t size;
	uint16_t max;
	bool enabled;
	uint16_t vector;	/* VIRTIO_MSI_NO_VECTOR: none */
	uint64_t desc, avail, used;	/* guest physical */
	int kick_fd;		/* ioeventfd; the transport's */
	int call_fd;		/* irqfd of .vector, or a silent one */
};

struct virtio_dev;

/* All but destroy() come under the transport's lock, one at a time.
 * call_changed and config_write may be NULL.
 */
struct virtio_ops {
	/* Driver wrote DRIVER_OK: queues enabled so far are complete, features
	 * are frozen. Start serving. On error the device needs a reset.
	 */
	int (*start)(struct virtio_dev *dev);
	/* Driver reset the device, or the machine goes down: nothing may touch
	 * the queues when this returns. Idempotent.
	 */
	void (*stop)(struct virtio_dev *dev);
	/* With VIRTIO_F_RING_RESET, while running: nothing may touch this
	 * queue when queue_stop() returns; queue_start() begins with a fresh
	 * ring. Needed to offer the feature.
	 */
	void (*queue_stop)(struct virtio_dev *dev, struct vq *vq);
	int (*queue_start)(struct virtio_dev *dev, struct vq *vq);
	/* A queue's interrupt vector changed while running. */
	void (*call_changed)(struct virtio_dev *dev, struct vq *vq);
	/* Configuration space, bounds already checked. */
	void (*config_write)(struct virtio_dev *dev, uint32_t offset,
			     const void *data, uint32_t len);
	/* Off the bus, stopped, freed. */
	void (*destroy)(struct virtio_dev *dev);
};

struct virtio_dev {
	struct vm *vm;
	const char *name;	/* "net0", "disk0" */
	uint32_t id;		/* VIRTIO_ID_* */
	uint64_t offered;	/* feature bits; the transport adds VERSION_1 */
	uint64_t features;	/* negotiated, valid from start() on */
	unsigned int nr_queues;
	struct vq vqs[VIRTIO_MAX_QUEUES];
	void *config;		/* little-endian image of config space */
	uint32_t config_len;
	const struct virtio_ops *ops;
	const char *backend;	/* see virtio_backend_name() */
	char detail[96];	/* for people: "tap vm0", "disk.img, 8 GiB" */
	struct virtio_pci *pci;
	struct virtio_dev *next;
};

/* Put @dev on the PCI bus. */
int virtio_pci_create(struct virtio_dev *dev);
void virtio_pci_destroy(struct virtio_dev *dev);
/* Where the guest has put the registers (0: nowhere), and the doorbells. */
uint64_t virtio_pci_bar_gpa(const struct virtio_dev *dev, uint64_t *size);
const struct doorbells *virtio_pci_doorbells(const struct virtio_dev *dev);
/* Bump the generation and raise the configuration interrupt; any thread. */
void virtio_config_changed(struct virtio_dev *dev);
/* Set DEVICE_NEEDS_RESET; from any thread. */
void virtio_needs_reset(struct virtio_dev *dev);

struct kvs_ring_cfg;
/**
 * vq_ring_cfg() - where a queue's ring lies in this process (vq.c)
 *
 * Return: 0, -EINVAL (not a ring), -EFAULT (not guest RAM).
 */
int vq_ring_cfg(const struct virtio_dev *dev, const struct vq *vq,
		struct kvs_ring_cfg *cfg);

/* What `kvasir run` was asked for; parsed by user/cli/cmd_run.c. */
enum backend { BACKEND_AUTO, BACKEND_KVASIR, BACKEND_VHOST, BACKEND_USER };

struct net_opts {
	char tap[16];		/* existing or to be created; "" with bridge */
	char bridge[16];	/* attach a fresh tap to it; "" without */
	uint8_t mac[6];		/* all zero: derived */
	enum backend backend;
	unsigned int queues;	/* pairs, 1-8 */
	bool packed;		/* offer packed rings */
};

struct disk_opts {
	const char *path;
	enum backend backend;
	unsigned int queues;	/* 0: one per vCPU */
	unsigned int workers;	/* threads for them; 0: one each */
	bool readonly;
	bool writethrough;	/* until the driver wants it otherwise */
	bool poll;		/* for completions, where the disk can */
	const char *serial;
};

int net_create(struct vm *vm, const struct net_opts *opts, unsigned int nr,
	       struct virtio_dev **out);
int blk_create(struct vm *vm, const struct disk_opts *opts, unsigned int nr,
	       struct virtio_dev **out);
/**
 * blk_resize() - the file or device may have another size: tell the driver
 * @dev: made by blk_create()
 * @bytes: what the driver sees of it now
 *
 * From any thread but one at a time. Return: 1 changed, 0 not, -errno.
 */
int blk_resize(struct virtio_dev *dev, uint64_t *bytes);
int rng_create(struct vm *vm, struct virtio_dev **out);
/* virtio-console on descriptors @in_fd (-1: no input) and @out_fd (-1: discard);
 * they stay the caller's.
 */
int vcon_create(struct vm *vm, int in_fd, int out_fd, struct virtio_dev **out);

/* Which backend serves the device, once created: "kvasir", "vhost", "user". */
const char *virtio_backend_name(const struct virtio_dev *dev);

#endif /* KVASIR_VIRTIO_H */
