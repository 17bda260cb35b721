/* SPDX-License-Identifier: GPL-2.0-only */
/* H3: a virtio-net queue pair. */
#ifndef KVS_NET_H
#define KVS_NET_H

#include <linux/net.h>
#include <linux/ptr_ring.h>
#include <linux/timer.h>
#include <net/xdp.h>

#include "kvasir.h"
#include "net_frag.h"
#include "net_hdr.h"
#include "net_hold.h"

enum { KVS_NET_RX, KVS_NET_TX, KVS_NET_QUEUES };

/* One service of a queue ends after this much; then others have their turn. */
#define KVS_NET_BUDGET_BYTES	0x80000
#define KVS_NET_BUDGET_CHAINS	256
/* Used entries published, and a call raised, at least this often. */
#define KVS_NET_BATCH		64
/*
 * Or after so many bytes received: the driver takes up a large frame while we
 * copy the next one.
 */
#define KVS_NET_SHOW_BYTES	0x8000
/* Receive buffers one frame may be spread over. */
#define KVS_NET_MAX_HEADS	128

/* Largest frame that sendmsg() copies; longer ones are sent from pinned pages. */
#define KVS_NET_COPY	PAGE_SIZE
/* Pieces of the longest frame: its pages, and two more per descriptor. */
#define KVS_NET_MAX_BVECS (KVS_NET_MAX_FRAME / PAGE_SIZE + 2 + 128)
/* A batch is handed over when it has so many bytes. */
#define KVS_NET_BATCH_BYTES	0x20000
/* Chunks that frames are copied to (net_frag.h): 32 and 128 KiB */
#define KVS_NET_FRAG_ORDER	3
#define KVS_NET_LARGE_ORDER	5
/* Longest wait before a frame is tried again, in jiffies. */
#define KVS_NET_MAX_BACKOFF	64

/**
 * struct kvs_net_tx - transmit side
 * @vq: the queue, for @retry
 * @hold: kicks are not asked for
 * @retry: serves the queue again after the lower device was out of memory
 * @backoff: jiffies until then, doubled each time nothing could be sent
 * @array: the lower device takes frames in batches
 * @batching: and does so during this service
 * @pad: bytes in front of a frame in its slice
 * @nr: frames in the batch
 * @bytes: of them
 * @heads: their chains, oldest first
 * @xdp: the batch
 * @frags: where they are copied to, those of up to a page
 * @large: where larger ones are copied to
 * @hdr: header of a long frame, in a page of its own
 * @copy: a short frame and its header, for sendmsg()
 * @bvec: a long frame; element 0 is the header
 */
struct kvs_net_tx {
	struct kvs_vq *vq;
	struct kvs_hold hold;
	struct timer_list retry;
	u32 backoff;
	bool array;
	bool batching;
	u32 pad;
	u32 nr;
	u32 bytes;
	u16 heads[KVS_NET_BATCH];
	struct xdp_buff xdp[KVS_NET_BATCH];
	struct kvs_frags frags;
	struct kvs_frags large;
	struct page *hdr;
	u8 copy[KVS_NET_COPY];
	struct bio_vec bvec[1 + KVS_NET_MAX_BVECS];
};

/**
 * struct kvs_netq - one queue of the pair
 * @vq: the virtqueue
 * @sock: lower device, referenced through its file; constant while running
 * @bell: rings when @sock can be read (RX), or written again (TX)
 * @hdr_len: bytes of virtio-net header in front of each frame in the ring
 * @sock_hlen: of them the socket's share: @hdr_len, or 0 when the socket
 *	knows no header and we make and take it
 * @rx, @tx: the side's own state, allocated while running
 */
struct kvs_netq {
	struct kvs_vq *vq;
	struct socket *sock;
	struct kvs_bell bell;
	u32 hdr_len;
	u32 sock_hlen;
	union {
		struct kvs_net_rx *rx;
		struct kvs_net_tx *tx;
	};
};

struct kvs_net {
	struct kvs_dev dev;
	struct kvs_netq q[KVS_NET_QUEUES];
};

static inline struct kvs_netq *kvs_netq(struct kvs_vq *vq)
{
	return &container_of(vq->dev, struct kvs_net, dev)->q[vq->index];
}

/* net_sock.c (H4) */
struct socket *kvs_net_sock_get(int fd, const char **kind);
void kvs_net_sock_put(struct socket *sock);
struct ptr_ring *kvs_net_sock_ring(struct socket *sock);
bool kvs_net_sock_is_tap(struct socket *sock);
u32 kvs_net_frame_len(void *frame);
void kvs_net_frame_free(void *frame);

/* net_tx.c, net_rx.c; the run functions under vq->lock, in the worker */
int kvs_net_tx_init(struct kvs_netq *q);
void kvs_net_tx_deinit(struct kvs_netq *q);
void kvs_net_tx_run(struct kvs_netq *q);
bool kvs_net_tx_hdr_ok(struct kvs_netq *q, struct virtio_net_hdr *hdr, u32 len);

/* net_batch.c: frames by the array; under vq->lock, in the worker */

/* What became of a frame, or of a batch. */
enum kvs_tx {
	KVS_TX_DONE,	/* it is with the lower device, its chain was put */
	KVS_TX_HELD,	/* it is in the batch */
	KVS_TX_DROP,	/* it must not be sent */
	KVS_TX_SLOW,	/* it has to go by sendmsg() */
	KVS_TX_AGAIN,	/* try later; the chains are back in the ring */
	KVS_TX_EMPTY,	/* there is none */
	KVS_TX_BROKEN,	/* the ring is broken */
};

void kvs_net_batch_begin(struct kvs_netq *q);
enum kvs_tx kvs_net_batch_add(struct kvs_netq *q);
enum kvs_tx kvs_net_batch_flush(struct kvs_netq *q, bool newer);

/* Errors that pass; every other one is for good. */
static inline bool kvs_net_again(int err)
{
	return err == -EAGAIN || err == -ENOMEM || err == -ENOBUFS;
}

int kvs_net_rx_init(struct kvs_netq *q);
void kvs_net_rx_deinit(struct kvs_netq *q);
void kvs_net_rx_run(struct kvs_netq *q);

#endif /* KVS_NET_H */
