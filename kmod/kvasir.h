/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal types of the module. Documentation/design.rst tells the story;
 * the rules in short:
 *
 * Locks, outermost first:
 *   dev->lock      one device's control path: every ioctl and release
 *   kvs_devs_lock  the list of devices and their names (dev.c)
 *   vq->lock       one queue: its ring, backend pointer and memory table.
 *                  The worker holds it while it serves the queue.
 * A worker takes vq->lock only, so that a control path may hold dev->lock,
 * but not vq->lock, while it waits for a worker.
 * RCU guards vq->target, so that a kick needs no lock.
 *
 * Life of a queue: configured by ioctls, started by a backend
 * (kvs_vq_start()), served by its worker, stopped by kvs_vq_quiesce() and
 * kvs_vq_stop(). Between start and stop its ring's addresses do not change.
 */
#ifndef KVS_KVASIR_H
#define KVS_KVASIR_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <uapi/linux/kvasir.h>

#include "compat/compat.h"
#include "iotlb.h"
#include "ring.h"

#define KVS_COMMON_FEATURES (BIT_ULL(VIRTIO_F_VERSION_1) |		\
			     BIT_ULL(VIRTIO_F_ANY_LAYOUT) |		\
			     BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |	\
			     BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |		\
			     BIT_ULL(VIRTIO_F_RING_PACKED) |		\
			     BIT_ULL(VHOST_F_LOG_ALL))

/* ---- worker.c: a kernel thread in the owner's address space ---- */

struct kvs_vq;
struct kvs_worker;
struct kvs_work;

typedef void (*kvs_work_fn)(struct kvs_work *work);

/**
 * struct kvs_work - something for a worker to do
 * @node: in the worker's list while queued
 * @queued: bit 0: in the list; cleared before @fn runs
 * @fn: runs in the worker, one work at a time
 */
struct kvs_work {
	struct llist_node node;
	unsigned long queued;
	kvs_work_fn fn;
};

struct kvs_worker *kvs_worker_create(struct mm_struct *mm, const char *name);
void kvs_worker_destroy(struct kvs_worker *worker);
void kvs_work_init(struct kvs_work *work, kvs_work_fn fn);
void kvs_work_queue(struct kvs_worker *worker, struct kvs_work *work);
void kvs_worker_flush(struct kvs_worker *worker);
void kvs_worker_leave(struct kvs_worker *worker, struct kvs_vq *vq);
struct kvs_chain *kvs_worker_chain(const struct kvs_worker *worker);
pid_t kvs_worker_pid(const struct kvs_worker *worker);

/* ---- doorbell.c (H1): a file that becomes ready queues work ---- */

/**
 * struct kvs_bell - waits on a file for a queue
 * @mask: events that ring
 * @wqh: where @wait hangs; NULL while detached
 * @vq: its service is queued when it rings
 * @muted: it does not ring now
 * @hold: NULL, or asked, under the wait queue's lock, whether not to ring for
 *	this event; who holds one back must see to it later
 * @rings: times it rang; written under the wait queue's lock
 */
struct kvs_bell {
	poll_table table;
	wait_queue_entry_t wait;
	wait_queue_head_t *wqh;
	__poll_t mask;
	struct kvs_vq *vq;
	bool muted;
	bool (*hold)(struct kvs_bell *bell);
	u64 rings;
};

int kvs_bell_attach(struct kvs_bell *bell, struct file *file, __poll_t mask,
		    struct kvs_vq *vq);
void kvs_bell_detach(struct kvs_bell *bell);

/* ---- poll.c: look for work a little longer before sleeping ---- */

/**
 * struct kvs_poll - a queue's busy polling
 * @node: in its worker's list while polled, empty otherwise; touched by the
 *	worker's thread only
 * @timeout: the limit in microseconds, 0: off
 * @wanted: it is the owner's, who asked for polling
 * @arm: kicks are not asked for yet: do so when the poll ends in vain
 * @window: how long the next poll lasts, in ns; adapts, up to @timeout
 * @since: when the last service ended, 0 after one that went on
 * @mark: the worker's polling time when the queue joined
 */
struct kvs_poll {
	struct list_head node;
	u32 timeout;
	bool wanted;
	bool arm;
	u64 window;
	u64 since;
	u64 mark;
};

void kvs_poll_set(struct kvs_vq *vq, u32 timeout);
void kvs_poll_reset(struct kvs_vq *vq);
bool kvs_poll_defer(struct kvs_vq *vq);
void kvs_poll_wait(struct kvs_vq *vq);
void kvs_poll_end(struct kvs_vq *vq);
void kvs_poll_leave(struct kvs_vq *vq);
void kvs_poll_run(struct kvs_worker *worker);

/* ---- vq.c: one virtqueue ---- */

struct kvs_dev;

/**
 * struct kvs_vq - one virtqueue
 * @dev: its device
 * @index: its number there
 * @lock: guards everything below that is not marked otherwise
 * @cfg: ring as configured; under dev->lock and @lock
 * @have_addr: VHOST_SET_VRING_ADDR was accepted
 * @log_addr: guest physical address of the used ring or device area
 * @running: between kvs_vq_start() and kvs_vq_quiesce()
 * @state: enum kvasir_queue_state, read without a lock for reports
 * @kick: eventfd of the doorbell, or NULL; under dev->lock
 * @bell: attached to @kick while running; under dev->lock
 * @call: eventfd of the interrupt, or NULL
 * @err: eventfd for errors, or NULL
 * @assigned: serves the queue when it is started; NULL: none yet. Under
 *	dev->lock
 * @worker: serves the queue, from start to stop; changed under dev->lock and
 *	@lock
 * @target: whom a kick wakes: @worker, or NULL while the queue is moved to
 *	another one, which is kicked afterwards; RCU
 * @worker_pid: of it, for reports, read without a lock
 * @service: queued whenever the queue may have something to do
 * @poll: busy polling
 * @ring_up: @ring was started; false while an IOTLB has yet to map it
 * @iotlb: what the queue has to do with an IOTLB
 * @mem: translates descriptors: guest memory or the IOTLB; replaced under @lock
 * @umem: guest memory, ditto
 * @features: the device's features, ditto
 * @log_base: dirty bitmap in the owner's address space, or NULL
 * @log_ctx: signalled when something was logged, or NULL
 * @chain: scratch for kvs_ring_pop(), the worker's: valid within one service
 * @count: by enum kvasir_counter; written under @lock, read without
 */
struct kvs_vq {
	struct kvs_dev *dev;
	u32 index;
	struct mutex lock;	/* the queue; see above */

	struct kvs_ring ring;
	struct kvs_ring_cfg cfg;
	bool have_addr;
	u64 log_addr;
	bool running;
	u8 state;

	struct file *kick;
	struct kvs_bell bell;
	struct eventfd_ctx *call;
	struct eventfd_ctx *err;

	struct kvs_worker *assigned;
	struct kvs_worker *worker;
	struct kvs_worker __rcu *target;
	pid_t worker_pid;
	struct kvs_work service;
	struct kvs_poll poll;

	bool ring_up;
	struct kvs_vq_iotlb iotlb;
	const struct kvs_mem *mem;
	const struct kvs_mem *umem;
	u64 features;
	void __user *log_base;
	struct eventfd_ctx *log_ctx;

	struct kvs_chain *chain;
	u64 count[KVASIR_C_MAX + 1];
};

static inline void kvs_count(struct kvs_vq *vq, enum kvasir_counter c, u64 n)
{
	WRITE_ONCE(vq->count[c], vq->count[c] + n);
}

/* Are the addresses in descriptors I/O virtual? */
static inline bool kvs_vq_has_iotlb(const struct kvs_vq *vq)
{
	return vq->mem->attr;
}

/*
 * At the beginning of a service: can the ring be used? If not, the queue is
 * served again when it can.
 */
static inline bool kvs_vq_ready(struct kvs_vq *vq)
{
	return likely(!kvs_vq_has_iotlb(vq)) || kvs_iotlb_ready(vq);
}

static inline bool kvs_vq_has(const struct kvs_vq *vq, unsigned int feature)
{
	return vq->features & BIT_ULL(feature);
}

void kvs_vq_init(struct kvs_vq *vq, struct kvs_dev *dev, u32 index);
void kvs_vq_reset(struct kvs_vq *vq);
long kvs_vq_ioctl(struct kvs_dev *dev, unsigned int cmd, void __user *argp);
bool kvs_vq_configured(const struct kvs_vq *vq);
int kvs_vq_start(struct kvs_vq *vq);
void kvs_vq_move(struct kvs_vq *vq, struct kvs_worker *worker);
void kvs_vq_quiesce(struct kvs_vq *vq);
void kvs_vq_stop(struct kvs_vq *vq);
void kvs_vq_kick(struct kvs_vq *vq);

/* ---- call.c (H5): used entries, interrupts, errors; under vq->lock ---- */

void kvs_vq_broken(struct kvs_vq *vq);
void kvs_vq_watch(struct kvs_ring *ring, enum kvs_ring_area area, u32 offset,
		  u32 len);
int kvs_vq_pop(struct kvs_vq *vq);
int kvs_vq_put(struct kvs_vq *vq, u16 head, u32 len);
void kvs_vq_publish(struct kvs_vq *vq);
bool kvs_vq_arm(struct kvs_vq *vq);
bool kvs_vq_arm_now(struct kvs_vq *vq);
void kvs_vq_disarm(struct kvs_vq *vq);

/* ---- log.c: the dirty log; under vq->lock ---- */

static inline bool kvs_logging(const struct kvs_vq *vq)
{
	return kvs_vq_has(vq, VHOST_F_LOG_ALL) && vq->log_base;
}

bool kvs_log_ok(const struct kvs_mem *mem, u64 base);
void kvs_log_write(struct kvs_vq *vq, u64 gpa, u64 len);
void kvs_log_hva(struct kvs_vq *vq, u64 hva, u64 len);
void kvs_log_segs(struct kvs_vq *vq, const struct kvs_seg *seg, u32 nr,
		  u64 len);

/* ---- dev.c: one open device ---- */

/**
 * struct kvs_dev_ops - what a kind of device adds to the core
 * @type: enum kvasir_dev_type
 * @name: of the device node
 * @features: virtio features it can negotiate
 * @shared_worker: an owned device has one worker for all its queues; without,
 *	each queue gets one of its own when it is first started
 * @create: allocate; the core has been initialised by kvs_dev_init() then
 * @ioctl: commands the core does not know; -ENOIOCTLCMD for others.
 * @stop: detach all backends, wait for what is in flight. Idempotent.
 * @destroy: free; no other call follows
 *
 * All but @create run under dev->lock.
 */
struct kvs_dev_ops {
	u32 type;
	const char *name;
	u64 features;
	bool shared_worker;
	struct kvs_dev *(*create)(void);
	long (*ioctl)(struct kvs_dev *dev, unsigned int cmd, void __user *argp);
	void (*stop)(struct kvs_dev *dev);
	void (*destroy)(struct kvs_dev *dev);
};

/**
 * struct kvs_dev - one open device
 * @ops: its kind
 * @id: number in reports, rising and never used again
 * @node: in the list of devices
 * @lock: control path
 * @mm: owner's address space, referenced (mmget); NULL without owner
 * @pid: owner's process id, for reports
 * @opener: whose device it is, see kvs_dev_init()
 * @payer: the owner's user, whose the workers are; under kvs_devs_lock
 * @nr_workers: ditto
 * @features: negotiated
 * @backend_features: acknowledged
 * @mem: guest memory; never NULL while owned
 * @iotlb: for a guest with a virtual IOMMU
 * @nr_regions: of it, for reports
 * @log_base, @log_ctx: dirty log, copied to each queue
 * @backend: what it is attached to, for people; under kvs_devs_lock
 * @vqs: its queues
 * @nr_vqs: their number
 * @workers: by id; room for kvs_dev_max_workers()
 */
struct kvs_dev {
	const struct kvs_dev_ops *ops;
	u32 id;
	struct list_head node;
	struct mutex lock;	/* control path; outermost */
	struct mm_struct *mm;
	pid_t pid;
	kuid_t opener;
	kuid_t payer;
	u32 nr_workers;
	u64 features;
	u64 backend_features;
	struct kvs_mem *mem;
	struct kvs_iotlb iotlb;
	u32 nr_regions;
	void __user *log_base;
	struct eventfd_ctx *log_ctx;
	char backend[64];
	struct kvs_vq *vqs;
	u32 nr_vqs;
	struct kvs_worker **workers;
};

int kvs_dev_init(struct kvs_dev *dev, const struct kvs_dev_ops *ops,
		 u32 nr_vqs);
void kvs_dev_deinit(struct kvs_dev *dev);
int kvs_dev_charge_worker(struct kvs_dev *dev);
void kvs_dev_uncharge_worker(struct kvs_dev *dev);
void kvs_dev_name_backend(struct kvs_dev *dev, const char *name);
int kvs_dev_check_owner(const struct kvs_dev *dev);
long kvs_dev_ioctl(struct kvs_dev *dev, unsigned int cmd, void __user *argp);
void kvs_dev_disown(struct kvs_dev *dev);
void kvs_dev_share_mem(struct kvs_dev *dev);

/* ---- dev_worker.c: a device's workers and which queue is whose ---- */

/* One for each queue, and one to change places with. */
static inline u32 kvs_dev_max_workers(const struct kvs_dev *dev)
{
	return dev->nr_vqs + 1;
}

int kvs_dev_share_worker(struct kvs_dev *dev);
int kvs_dev_assign_worker(struct kvs_vq *vq);
void kvs_dev_free_workers(struct kvs_dev *dev);
long kvs_dev_worker_ioctl(struct kvs_dev *dev, unsigned int cmd,
			  void __user *argp);

extern struct mutex kvs_devs_lock;
extern struct list_head kvs_devs;

/* ---- subsystems, started and ended by main.c ---- */

extern const struct kvs_dev_ops kvs_net_ops;
extern const struct kvs_dev_ops kvs_blk_ops;

int kvs_chardev_init(void);
void kvs_chardev_exit(void);
int kvs_netlink_init(void);
void kvs_netlink_exit(void);

#endif /* KVS_KVASIR_H */
