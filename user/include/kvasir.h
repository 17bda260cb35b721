/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libkvasir: drive an in-kernel virtio backend.
 *
 * The library opens a backend's device node, hands it guest memory, queues
 * and eventfds, and starts and stops it; it reads what the module counts; it
 * loads and unloads the module. It speaks to /dev/kvasir-net and
 * /dev/kvasir-blk, and to any other node with the vhost-net ioctls.
 *
 * Every function that can fail returns a negative errno value; nothing is
 * printed. Detail in words goes to the log callback of the handle, if one was
 * given. Handles are opaque, independent of each other and not locked: one
 * thread at a time per handle. There is no global state.
 *
 * Structures whose first member is @sz grow at their end: set it to
 * sizeof(the structure) you were compiled with, zero the rest
 * (KVASIR_OPTS() does both). Longer than the library knows is accepted only
 * if the excess bytes are zero (-E2BIG otherwise).
 */
#ifndef KVASIR_H
#define KVASIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KVASIR_VERSION_MAJOR 0
#define KVASIR_VERSION_MINOR 1
#define KVASIR_VERSION_PATCH 0

/* struct kvasir_queue_opts KVASIR_OPTS(o, .index = 1); */
#define KVASIR_OPTS(name, ...) \
	name = { .sz = sizeof(name), __VA_ARGS__ }

/* "0.1.0" of the library in use */
const char *kvasir_version(void);

enum kvasir_type {
	KVASIR_NET = 1,
	KVASIR_BLK = 2,
};

enum kvasir_log_level { KVASIR_LOG_ERROR, KVASIR_LOG_INFO, KVASIR_LOG_DEBUG };

/* @msg: one line without newline, valid during the call */
typedef void (*kvasir_log_fn)(void *ctx, enum kvasir_log_level level,
			      const char *msg);

struct kvasir_dev;	/* one open backend device */

struct kvasir_open_opts {
	size_t sz;
	const char *path;	/* device node; NULL: /dev/kvasir-net, -blk */
	kvasir_log_fn log;
	void *log_ctx;
};

/**
 * kvasir_open() - open a backend and become its owner (VHOST_SET_OWNER)
 *
 * -ENOENT no such node (module not loaded), -EACCES no permission, -ENXIO
 * the node exists but nothing serves it, -ENOTTY it is not a vhost device.
 */
int kvasir_open(enum kvasir_type type, const struct kvasir_open_opts *opts,
		struct kvasir_dev **out);

/* Stops all queues, releases everything. NULL is fine. */
void kvasir_close(struct kvasir_dev *dev);

/* The descriptor behind the handle; stays the handle's. */
int kvasir_fd(const struct kvasir_dev *dev);

/* Feature bits (virtio numbering) the backend can take over from the guest. */
int kvasir_get_features(struct kvasir_dev *dev, uint64_t *features);
int kvasir_set_features(struct kvasir_dev *dev, uint64_t features);

struct kvasir_region {
	uint64_t gpa;		/* guest physical address */
	uint64_t size;		/* bytes */
	uint64_t hva;		/* address in this process */
};

/* Replace the memory table, also while queues run. @nr up to 512. */
int kvasir_set_memory(struct kvasir_dev *dev,
		      const struct kvasir_region *regions, unsigned int nr);

/*
 * Where a queue begins or goes on, as VHOST_SET_VRING_BASE has it. Split
 * rings: the next available entry, 0 for a fresh ring. Packed rings
 * (VIRTIO_F_RING_PACKED): the next available descriptor in the lower half and
 * the next used one in the upper half, each with its wrap counter in bit 15.
 */
#define KVASIR_PACKED_BASE 0x80008000U	/* of a fresh packed ring */

struct kvasir_queue_opts {
	size_t sz;
	uint32_t index;		/* queue of this device */
	uint32_t num;		/* ring entries */
	uint32_t base;		/* where to begin, see below */
	int32_t kick_fd;	/* eventfds; they stay the caller's. */
	int32_t call_fd;	/* -1: none */
	int32_t err_fd;		/* -1: none */
	uint64_t desc;		/* addresses in this process */
	uint64_t avail;
	uint64_t used;
	uint64_t used_gpa;	/* for the dirty log; used if .log is set */
	bool log;
};

/* Describe one stopped queue; it runs once a backend is set. */
int kvasir_queue_setup(struct kvasir_dev *dev,
		       const struct kvasir_queue_opts *opts);

/* Replace the call eventfd of a queue, running or not; -1: none. */
int kvasir_queue_set_call(struct kvasir_dev *dev, uint32_t index, int fd);

/*
 * A further thread for a device's queues, named by @worker, and which thread
 * serves a queue, running or not. Without them each queue of a blk device has a
 * thread of its own, and a net device one for both.
 */
int kvasir_worker_create(struct kvasir_dev *dev, uint32_t *worker);
int kvasir_queue_set_worker(struct kvasir_dev *dev, uint32_t index,
			    uint32_t worker);

/* Where a stopped queue would go on. */
int kvasir_queue_get_base(struct kvasir_dev *dev, uint32_t index,
			  uint32_t *base);

/* Attach queue @index of a net device to a tap, macvtap or packet socket. */
int kvasir_net_start(struct kvasir_dev *dev, uint32_t index, int sock_fd);
int kvasir_net_stop(struct kvasir_dev *dev, uint32_t index);

struct kvasir_blk_opts {
	size_t sz;
	int32_t fd;		/* regular file or block device */
	bool readonly;
	uint32_t logical_block_size;	/* 0: the device's own, or 512 */
	const char *serial;	/* up to 20 bytes, or NULL */
	bool writethrough;	/* begin so; see kvasir_blk_set_writeback() */
	bool polled;		/* poll for completions where the disk can */
};

struct kvasir_blk_info {
	size_t sz;
	uint64_t capacity;	/* 512-byte sectors */
	uint32_t max_discard_sectors;	/* 0: cannot */
	uint32_t max_write_zeroes_sectors;
	/* Later additions; 0 from a module that does not tell. */
	uint32_t physical_block_size;	/* bytes */
	uint32_t alignment_offset;	/* bytes to the first physical block */
	uint32_t io_min;	/* bytes */
	uint32_t io_opt;	/* bytes; 0: nothing known */
	uint32_t seg_max;	/* data segments of one request */
	uint32_t discard_align_sectors;
	uint32_t max_secure_erase_sectors;	/* 0: cannot */
	uint32_t secure_erase_align_sectors;
	bool unmap;		/* write-zeroes may deallocate */
	bool polled;		/* completions are polled for */
};

/* Start all configured queues of a blk device on a disk; @info may be NULL. */
int kvasir_blk_start(struct kvasir_dev *dev, const struct kvasir_blk_opts *opts,
		     struct kvasir_blk_info *info);
/* Waits for requests in flight. */
int kvasir_blk_stop(struct kvasir_dev *dev);
/*
 * Of a started disk: may completed writes wait in a cache for a flush? When it
 * is switched off (a call that lasts as long as a flush), what is complete is
 * durable, and so is every write taken later when it completes.
 */
int kvasir_blk_set_writeback(struct kvasir_dev *dev, bool on);
/* Of a started disk: find its size anew; 512-byte sectors. */
int kvasir_blk_get_capacity(struct kvasir_dev *dev, uint64_t *sectors);

/* ---- what the module knows (generic netlink; needs CAP_NET_ADMIN) ---- */

struct kvasir_dev_info {
	size_t sz;
	uint32_t id;
	uint32_t type;		/* enum kvasir_type */
	uint32_t pid;		/* owner; 0: none */
	uint32_t queues;
	uint32_t running;
	uint32_t regions;
	uint64_t features;
	char backend[256];	/* interface or file name, "" without */
};

/* Names as in the netlink spec: "kicks", "requests", "bytes-in", ... */
#define KVASIR_COUNTERS_MAX 64
struct kvasir_queue_info {
	size_t sz;
	uint32_t dev_id;
	uint32_t index;
	uint32_t state;		/* 0 stopped, 1 running, 2 broken */
	uint32_t size;		/* ring entries */
	uint32_t worker_pid;
	uint32_t inflight;
	uint64_t counters[KVASIR_COUNTERS_MAX];	/* by enum kvasir_counter */
};

/* Name of a counter (index into counters[], from 1), NULL past the last. */
const char *kvasir_counter_name(unsigned int counter);

/* Called once per object; non-zero ends the dump and is returned. */
typedef int (*kvasir_dev_fn)(const struct kvasir_dev_info *info, void *ctx);
typedef int (*kvasir_queue_fn)(const struct kvasir_queue_info *info, void *ctx);

/* -ENOENT: the module is not loaded; -EPERM: CAP_NET_ADMIN is missing. */
int kvasir_list_devs(kvasir_dev_fn fn, void *ctx);
/* @dev_id: of one device, or UINT32_MAX for all */
int kvasir_list_queues(uint32_t dev_id, kvasir_queue_fn fn, void *ctx);

/* ---- the module (libkmod; needs CAP_SYS_MODULE) ---- */

struct kvasir_module_opts {
	size_t sz;
	const char *path;	/* kvasir.ko; NULL: the installed one by name */
	const char *params;	/* "name=value ..." or NULL */
	kvasir_log_fn log;
	void *log_ctx;
};

struct kvasir_module_info {
	size_t sz;
	bool loaded;
	uint32_t refcount;
	char version[32];
	char srcversion[32];
};

/* Loads dependencies first (tun, tap). -EEXIST already loaded, -ENOENT no such
 * module, -ENOEXEC built for another kernel, -EPERM.
 */
int kvasir_module_load(const struct kvasir_module_opts *opts);
/* -EBUSY in use (nothing changes), -ENOENT not loaded, -EPERM. */
int kvasir_module_unload(const struct kvasir_module_opts *opts);
int kvasir_module_status(struct kvasir_module_info *info);

#ifdef __cplusplus
}
#endif

#endif /* KVASIR_H */
