// SPDX-License-Identifier: GPL-2.0-only
/*
 * H3: frames of a tap or macvtap, received without the socket.
 *
 * A reader of the ring must do what recvmsg() of the tap would: make the
 * virtio-net header, insert the VLAN tag, copy, free, and, for a tap, keep the
 * interface's transmit statistics (a macvtap's are kept before the ring). It is
 * done here for plain frames: an skb without a VLAN tag, of any shape. XDP
 * frames, tagged ones, and all frames of a socket whose header is not ours
 * (VHOST_NET_F_VIRTIO_NET_HDR) go through recvmsg().
 *
 * Statistics are added when frames are taken out of the ring, for all of them
 * at once. skb->dev is safe to use only there, under RCU: whoever removes the
 * interface empties the ring before the last grace period that precedes the
 * freeing of the device. Later the skb may outlive it.
 */
#include <linux/if_vlan.h>
#include <linux/if_tun.h>
#include <linux/netdevice.h>
#include <linux/skb_array.h>
#include <linux/uaccess.h>
#include <linux/virtio_net.h>

#include "net_rx.h"

/*
 * Longest frame copied by words: one section of user access then covers header
 * and frame, and string instructions do not repay their start-up.
 */
#define RX_WORDS	2048

/* Is this the interface of a tap, with statistics to be kept by the reader? */
static bool rx_is_tap(const struct net_device *dev)
{
	return dev->rtnl_link_ops && dev->tstats &&
	       !strcmp(dev->rtnl_link_ops->kind, "tun");
}

static void rx_stats(struct net_device *dev, u32 packets, u32 bytes)
{
	if (!packets)
		return;
	preempt_disable();
	dev_sw_netstats_tx_add(dev, packets, bytes);
	preempt_enable();
}

/* Mark the plain ones of the frames just taken, and count them for the tap. */
static void rx_mark(struct kvs_net_rx *rx)
{
	struct net_device *dev = NULL;
	u32 i, packets = 0, bytes = 0;

	for (i = 0; i < rx->last; i++) {
		struct sk_buff *skb = rx->frames[i];

		if (tun_is_xdp_frame(skb) || skb_vlan_tag_present(skb))
			continue;
		if (rx->counted && skb->dev != dev) {
			if (!rx_is_tap(skb->dev))
				continue;
			rx_stats(dev, packets, bytes);
			dev = skb->dev;
			packets = 0;
			bytes = 0;
		}
		packets++;
		bytes += skb->len;
		rx->frames[i] = (void *)((unsigned long)skb | KVS_RX_PLAIN);
	}
	if (rx->counted)
		rx_stats(dev, packets, bytes);
}

/**
 * kvs_rx_refill() - take frames out of the tap's ring
 * @q: a queue with a ring; all frames taken before were received
 *
 * Return: whether there are any.
 */
bool kvs_rx_refill(struct kvs_netq *q)
{
	struct kvs_net_rx *rx = q->rx;

	kvs_rx_free_done(rx);
	rx->done = 0;
	rx->first = 0;
	rcu_read_lock();
	rx->last = ptr_ring_consume_batched(rx->ring, rx->frames,
					    KVS_NET_BATCH);
	if (q->sock_hlen)
		rx_mark(rx);
	rcu_read_unlock();
	return rx->last;
}

/*
 * Put frames that were taken and not received back. Who reads them next
 * counts them for the tap once more.
 */
void kvs_rx_unfill(struct kvs_net_rx *rx)
{
	u32 i;

	for (i = rx->first; i < rx->last; i++)
		rx->frames[i] = kvs_rx_frame(rx->frames[i]);
	if (rx->first != rx->last)
		ptr_ring_unconsume(rx->ring, rx->frames + rx->first,
				   rx->last - rx->first, kvs_net_frame_free);
	rx->last = rx->first;
}

/* Free the plain frames that were received. */
void kvs_rx_free_done(struct kvs_net_rx *rx)
{
	if (rx->done == rx->first)
		return;
	local_bh_disable();	/* frees in bulk then */
	for (; rx->done < rx->first; rx->done++)
		if (rx->frames[rx->done])
			napi_consume_skb(rx->frames[rx->done], 1);
	local_bh_enable();
}

/* A header as two words. */
union rx_header {
	struct virtio_net_hdr_mrg_rxbuf h;
	struct {
		__le64 head;
		__le32 tail;
	} __packed w;
};

/* A frame in one piece, to a buffer in one piece; at least a word of it. */
static bool rx_copy_words(struct kvs_netq *q, const union rx_header *hdr,
			  const struct sk_buff *skb)
{
	const void *from = skb->data, *end = from + skb->len - sizeof(u64);
	void __user *to = q->rx->iov->iov_base;

	if (!user_write_access_begin(to, q->hdr_len + skb->len))
		return false;
	unsafe_put_user(hdr->w.head, (__le64 __user *)to, fault);
	/* Without num_buffers the frame goes over it. */
	unsafe_put_user(hdr->w.tail, (__le32 __user *)(to + 8), fault);
	to += q->hdr_len;
#define RX_NEXT_WORD()							\
do {									\
	unsafe_put_user(*(const u64 *)from, (u64 __user *)to, fault);	\
	from += sizeof(u64);						\
	to += sizeof(u64);						\
} while (0)
	while (end - from >= 56) {
		RX_NEXT_WORD();
		RX_NEXT_WORD();
		RX_NEXT_WORD();
		RX_NEXT_WORD();
		RX_NEXT_WORD();
		RX_NEXT_WORD();
		RX_NEXT_WORD();
		RX_NEXT_WORD();
	}
	while (from < end)
		RX_NEXT_WORD();
	/* The last word, or the rest of it together with what is there. */
	to -= from - end;
	from = end;
	RX_NEXT_WORD();
#undef RX_NEXT_WORD
	user_write_access_end();
	return true;

fault:
	user_write_access_end();
	return false;
}

static bool rx_copy_iter(struct kvs_netq *q, const union rx_header *hdr,
			 const struct sk_buff *skb)
{
	struct kvs_net_rx *rx = q->rx;
	struct iov_iter iter;

	iov_iter_init(&iter, ITER_DEST, rx->iov, rx->nr_iov,
		      q->hdr_len + skb->len);
	return copy_to_iter(&hdr->h, q->hdr_len, &iter) == q->hdr_len &&
	       !skb_copy_datagram_iter(skb, 0, &iter, skb->len);
}

/**
 * kvs_rx_copy() - header and frame to the buffers collected
 * @q: its queue
 * @skb: a plain frame, which fits
 *
 * The header is the one a tap makes (virtio 1.2, 5.1.6.4), in the ring's byte
 * order, with the number of buffers.
 *
 * Return: whether all of it was written; not so for memory that is gone, or
 * a GSO type virtio has no name for.
 */
bool kvs_rx_copy(struct kvs_netq *q, const struct sk_buff *skb)
{
	struct kvs_net_rx *rx = q->rx;
	union rx_header hdr;

	if (virtio_net_hdr_from_skb(skb, (void *)&hdr.h, true, true, 0))
		return false;
	hdr.h.num_buffers = kvs_guest16(rx->nr_heads);
	if (likely(rx->nr_iov == 1 && !skb_is_nonlinear(skb) &&
		   skb->len >= sizeof(u64) && skb->len <= RX_WORDS))
		return rx_copy_words(q, &hdr, skb);
	return rx_copy_iter(q, &hdr, skb);
}
