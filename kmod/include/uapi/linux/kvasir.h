/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Kvasir: in-kernel virtio backends, user interface.
 *
 * Two character devices (misc, /dev/kvasir-net and /dev/kvasir-blk) take the
 * ioctls of <linux/vhost.h> with the numbers, structures and meaning they have
 * there. A program written for /dev/vhost-net drives /dev/kvasir-net as is.
 *
 *   open                     a device without owner
 *   VHOST_SET_OWNER          the caller's address space becomes guest memory
 *   VHOST_GET/SET_FEATURES   virtio feature bits plus VHOST_F_LOG_ALL
 *   VHOST_GET/SET_BACKEND_FEATURES  net: VHOST_BACKEND_F_IOTLB_MSG_V2
 *   VHOST_SET_MEM_TABLE      up to 512 regions, may be replaced while running
 *   VHOST_SET_LOG_BASE/_FD   dirty log
 *   VHOST_SET_VRING_NUM/_ADDR/_BASE/_ENDIAN/_KICK/_CALL/_ERR, _GET_VRING_BASE
 *   VHOST_SET/GET_VRING_BUSYLOOP_TIMEOUT   microseconds, 0: off
 *   VHOST_NEW/FREE_WORKER, VHOST_ATTACH/GET_VRING_WORKER   threads and queues
 *   VHOST_NET_SET_BACKEND    net: socket (tap, macvtap, packet) or -1, per queue
 *   KVASIR_BLK_SET_BACKEND   blk: disk, or -1, for all configured queues
 *   KVASIR_BLK_SET_WRITEBACK, KVASIR_BLK_GET_CAPACITY   blk: while it runs
 *   VHOST_RESET_OWNER        stop everything, forget the address space
 *
 * With VIRTIO_F_ACCESS_PLATFORM a net device takes and gives the IOTLB messages
 * of <linux/vhost_types.h> through write(), read() and poll().
 *
 * A net device has two queues (0 receive, 1 transmit); open one device per
 * queue pair. A blk device has up to KVASIR_BLK_MAX_QUEUES request queues.
 *
 * A queue whose ring is found broken (bad index, unmapped ring page) stops,
 * signals its error eventfd once and counts the reason; setting the backend
 * to -1 and then setting the queue up anew revives it.
 */
#ifndef _UAPI_LINUX_KVASIR_H
#define _UAPI_LINUX_KVASIR_H

#include <linux/types.h>
#include <linux/vhost.h>

/* <linux/vhost.h> has these since Linux 6.5. */
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15, \
				       struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER _IOWR(VHOST_VIRTIO, 0x16, \
				     struct vhost_vring_worker)
#endif

/* 'K' 0xa0-0xbf is not listed in Documentation/userspace-api/ioctl. */
#define KVASIR_IOCTL 'K'

#define KVASIR_BLK_MAX_QUEUES	64
#define KVASIR_BLK_SERIAL_LEN	20	/* VIRTIO_BLK_ID_BYTES */

/*
 * Longest read or write, and most segments of one discard or write-zeroes
 * request: offer the guest no more (size_max, seg_max, max_discard_seg,
 * max_write_zeroes_seg).
 */
#define KVASIR_BLK_MAX_BYTES	(32 * 1024 * 1024)
#define KVASIR_BLK_MAX_RANGES	16

/* The disk is read-only, whatever the descriptor would allow. */
#define KVASIR_BLK_F_READONLY	0x1
/* Begin as KVASIR_BLK_SET_WRITEBACK with 0 would have it. */
#define KVASIR_BLK_F_WRITETHROUGH 0x2
/*
 * Poll for reads and writes instead of waiting for the device's interrupt,
 * where it has queues for that (KVASIR_BLK_C_POLLED). The worker does not
 * sleep while any are in flight.
 */
#define KVASIR_BLK_F_POLLED	0x4

/* What the disk can: struct kvasir_blk_backend, @caps. */
#define KVASIR_BLK_C_VOLATILE	0x1	/* has a cache that a flush empties */
#define KVASIR_BLK_C_UNMAP	0x2	/* write-zeroes may deallocate */
#define KVASIR_BLK_C_POLLED	0x4	/* KVASIR_BLK_F_POLLED is in force */

/**
 * struct kvasir_blk_backend - argument of KVASIR_BLK_SET_BACKEND
 * @size: sizeof(struct kvasir_blk_backend) the caller was built with. A
 *	kernel that knows a shorter structure refuses non-zero bytes beyond it
 *	(-E2BIG); one that knows a longer structure takes the rest as zero.
 * @flags: KVASIR_BLK_F_*; unknown bits are refused with -EINVAL.
 * @fd: a regular file or a block device opened for reading, and for writing
 *	unless KVASIR_BLK_F_READONLY is given; -1 stops all queues, waits for
 *	the requests in flight and releases the disk.
 * @logical_block_size: bytes, a power of two from 512 to 4096 and no smaller
 *	than the block device's own; 0 chooses (the device's, or 512).
 * @serial: answer to VIRTIO_BLK_T_GET_ID, padded with zero bytes.
 * @timeout_ms: with @fd -1: wait no longer than this for requests in flight;
 *	0: as long as they take. Zero with a disk.
 * @capacity: out: size of the disk in 512-byte sectors.
 * @max_discard_sectors: out: largest discard range, in sectors; 0 when the
 *	disk cannot discard.
 * @max_write_zeroes_sectors: out: the same for write-zeroes.
 * @physical_block_size: out: bytes; version 1 begins here.
 * @alignment_offset: out: bytes from the start of the disk to the first
 *	boundary of physical blocks.
 * @io_min: out: bytes; smaller requests are slow.
 * @io_opt: out: bytes; multiples of this are fastest, 0: nothing is known.
 * @seg_max: out: data segments of one request, at most.
 * @discard_align_sectors: out: ranges of whole multiples can be deallocated.
 * @max_secure_erase_sectors: out: largest range of a secure erase, 0: cannot.
 * @secure_erase_align_sectors: out: ranges must be multiples of this.
 * @caps: out: KVASIR_BLK_C_*.
 * @reserved: out: zero.
 *
 * Errors: -EBADF not open that way, or for appending; -ENOTBLK neither file
 * nor block device; -EROFS a read-only block device; -EBUSY it is mounted or
 * claimed, or a backend is already set; -ETXTBSY a swap file; -ENXIO no queue
 * is configured; -EINVAL unknown flags, @timeout_ms, @size or block size;
 * -E2BIG, -EFAULT the structure; -EFAULT, -EINVAL, -ENOMEM starting a queue;
 * -EPERM not the owner. -ETIMEDOUT, or -EINTR by a fatal signal: requests are
 * still in flight; no new ones are taken and the disk stays in use; -1 again
 * goes on waiting.
 */
struct kvasir_blk_backend {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 logical_block_size;
	__u8  serial[KVASIR_BLK_SERIAL_LEN];
	__u32 timeout_ms;
	__u64 capacity;
	__u32 max_discard_sectors;
	__u32 max_write_zeroes_sectors;
	__u32 physical_block_size;
	__u32 alignment_offset;
	__u32 io_min;
	__u32 io_opt;
	__u32 seg_max;
	__u32 discard_align_sectors;
	__u32 max_secure_erase_sectors;
	__u32 secure_erase_align_sectors;
	__u32 caps;
	__u32 reserved;
};

#define KVASIR_BLK_BACKEND_SIZE_VER0	56
#define KVASIR_BLK_BACKEND_SIZE_VER1	96

/* Size-first and extensible: the size in the number is that of version 0. */
#define KVASIR_BLK_SET_BACKEND \
	_IOC(_IOC_READ | _IOC_WRITE, KVASIR_IOCTL, 0xa0, \
	     KVASIR_BLK_BACKEND_SIZE_VER0)

/*
 * The argument is 1 for write-back, as it is from the start: a write is durable
 * when a later flush has completed; 0 for write-through: a write taken after
 * this call is durable when it completes, and what completed before the call is
 * when it returns. A driver that has not negotiated VIRTIO_BLK_F_FLUSH gets
 * write-through in any case. For VIRTIO_BLK_F_CONFIG_WCE.
 *
 * Errors: -ENXIO no backend; -EINVAL another value; -EFAULT; -EPERM not the
 * owner; what the flush says (write-through holds all the same).
 */
#define KVASIR_BLK_SET_WRITEBACK	_IOW(KVASIR_IOCTL, 0xa1, __u32)

/*
 * Look how large the file or device is by now, and go by that from here on.
 * The result is the capacity in 512-byte sectors. Requests in flight beyond a
 * new end fail.
 *
 * Errors: -ENXIO no backend; -EFAULT; -EPERM not the owner.
 */
#define KVASIR_BLK_GET_CAPACITY		_IOR(KVASIR_IOCTL, 0xa2, __u64)

/*
 * Generic netlink family "kvasir": what exists and what it has done. Both
 * commands are dumps and need CAP_NET_ADMIN in the initial network namespace.
 * The machine-readable form is Documentation/netlink/specs/kvasir.yaml.
 */
#define KVASIR_GENL_NAME	"kvasir"
#define KVASIR_GENL_VERSION	1

enum kvasir_cmd {
	KVASIR_CMD_UNSPEC,
	KVASIR_CMD_DEV_GET,	/* dump: one message per open device */
	KVASIR_CMD_QUEUE_GET,	/* dump: one message per queue; KVASIR_A_DEV_ID filters */

	__KVASIR_CMD_MAX,
	KVASIR_CMD_MAX = __KVASIR_CMD_MAX - 1
};

enum kvasir_dev_type {
	KVASIR_DEV_NET = 1,
	KVASIR_DEV_BLK = 2,
};

enum kvasir_dev_attr {
	KVASIR_A_DEV_UNSPEC,
	KVASIR_A_DEV_ID,	/* u32: rising, not reused while the module is loaded */
	KVASIR_A_DEV_TYPE,	/* u32: enum kvasir_dev_type */
	KVASIR_A_DEV_PID,	/* u32: owner's process id, 0 without owner */
	KVASIR_A_DEV_FEATURES,	/* u64: negotiated */
	KVASIR_A_DEV_QUEUES,	/* u32: queues the device has */
	KVASIR_A_DEV_RUNNING,	/* u32: of them with a backend */
	KVASIR_A_DEV_BACKEND,	/* string: kind of socket, or the disk's name */
	KVASIR_A_DEV_REGIONS,	/* u32: memory regions */
	KVASIR_A_DEV_PAD,

	__KVASIR_A_DEV_MAX,
	KVASIR_A_DEV_MAX = __KVASIR_A_DEV_MAX - 1
};

enum kvasir_queue_state {
	KVASIR_QUEUE_STOPPED,
	KVASIR_QUEUE_RUNNING,
	KVASIR_QUEUE_BROKEN,
};

enum kvasir_queue_attr {
	KVASIR_A_QUEUE_UNSPEC,
	KVASIR_A_QUEUE_DEV_ID,		/* u32 */
	KVASIR_A_QUEUE_INDEX,		/* u32 */
	KVASIR_A_QUEUE_STATE,		/* u32: enum kvasir_queue_state */
	KVASIR_A_QUEUE_SIZE,		/* u32: ring entries */
	KVASIR_A_QUEUE_WORKER_PID,	/* u32 */
	KVASIR_A_QUEUE_INFLIGHT,	/* u32: chains taken, not yet used */
	KVASIR_A_QUEUE_COUNTERS,	/* nest of enum kvasir_counter: u64 each */
	KVASIR_A_QUEUE_PAD,

	__KVASIR_A_QUEUE_MAX,
	KVASIR_A_QUEUE_MAX = __KVASIR_A_QUEUE_MAX - 1
};

/* Counters of a queue; they rise for the life of the device. */
enum kvasir_counter {
	KVASIR_C_UNSPEC,
	KVASIR_C_KICKS,		/* doorbells taken */
	KVASIR_C_WAKEUPS,	/* times the worker began to serve the queue */
	KVASIR_C_CALLS,		/* interrupts raised */
	KVASIR_C_CALLS_AVOIDED,	/* publications the driver wanted no interrupt for */
	KVASIR_C_REQUESTS,	/* packets or block requests completed */
	KVASIR_C_BYTES_IN,	/* from the guest: sent or written */
	KVASIR_C_BYTES_OUT,	/* to the guest: received or read */
	KVASIR_C_READS,		/* blk */
	KVASIR_C_WRITES,	/* blk */
	KVASIR_C_FLUSHES,	/* blk */
	KVASIR_C_DISCARDS,	/* blk: discard and write-zeroes */
	KVASIR_C_ERRORS,	/* blk: requests answered with an error status */
	KVASIR_C_BOUNCED,	/* blk: requests that could not be direct I/O */
	KVASIR_C_DROP_HEADER,	/* net: frame or virtio-net header invalid */
	KVASIR_C_DROP_LOWER,	/* net: refused by the lower device */
	KVASIR_C_DROP_NOBUF,	/* net: larger than the receive buffers */
	KVASIR_C_BAD_CHAIN,	/* descriptor chains refused */
	KVASIR_C_BROKEN,	/* times the queue was declared broken */
	KVASIR_C_NO_BUFFERS,	/* net: receive stopped, the guest offered no buffer */
	KVASIR_C_BUDGET,	/* times a service ended for its budget */
	KVASIR_C_POLL_TRIES,	/* times the worker polled for work of the queue */
	KVASIR_C_POLL_HITS,	/* of them, those that found some */
	KVASIR_C_POLL_NS,	/* time spent so; queues polled together count it each */
	KVASIR_C_DISK_BUSY,	/* blk: times the disk had no room for a request */

	__KVASIR_C_MAX,
	KVASIR_C_MAX = __KVASIR_C_MAX - 1
};

#endif /* _UAPI_LINUX_KVASIR_H */
