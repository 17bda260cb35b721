/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints along the way of a request. Each names the device and the
 * queue; times come from the tracer.
 *
 *   kvasir_kick            H1  the doorbell rang
 *   kvasir_ready           H1  the host device has something for the driver
 *   kvasir_service_begin   H2  the worker starts on a queue
 *   kvasir_req_issue       H3  a request or frame goes to the host device
 *   kvasir_req_refused     H4  ... which has no room for it now
 *   kvasir_req_complete    H4  ... and is done
 *   kvasir_call            H5  the driver is interrupted
 *   kvasir_service_end         the worker leaves the queue
 *   kvasir_bad_chain, kvasir_broken   what went wrong
 *
 * "head" is the chain's first descriptor (named id here: perf owns "head").
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvasir

#if !defined(KVS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KVS_TRACE_H

#include <linux/tracepoint.h>

#include "kvasir.h"

DECLARE_EVENT_CLASS(kvasir_queue,
	TP_PROTO(const struct kvs_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(u16, next_avail)
		__field(u16, used_idx)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->id;
		__entry->queue = vq->index;
		__entry->next_avail = vq->ring.next_avail;
		__entry->used_idx = vq->ring.used_idx;
	),
	TP_printk("dev=%u queue=%u avail=%u used=%u", __entry->dev,
		  __entry->queue, __entry->next_avail, __entry->used_idx)
);

DEFINE_EVENT(kvasir_queue, kvasir_kick,
	TP_PROTO(const struct kvs_vq *vq), TP_ARGS(vq));
DEFINE_EVENT(kvasir_queue, kvasir_ready,
	TP_PROTO(const struct kvs_vq *vq), TP_ARGS(vq));
DEFINE_EVENT(kvasir_queue, kvasir_service_begin,
	TP_PROTO(const struct kvs_vq *vq), TP_ARGS(vq));
DEFINE_EVENT(kvasir_queue, kvasir_service_end,
	TP_PROTO(const struct kvs_vq *vq), TP_ARGS(vq));
DEFINE_EVENT(kvasir_queue, kvasir_call,
	TP_PROTO(const struct kvs_vq *vq), TP_ARGS(vq));

TRACE_EVENT(kvasir_broken,
	TP_PROTO(const struct kvs_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(u8, err)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->id;
		__entry->queue = vq->index;
		__entry->err = vq->ring.err;
	),
	TP_printk("dev=%u queue=%u reason=%s", __entry->dev, __entry->queue,
		  __print_symbolic(__entry->err,
				   { KVS_RING_FAULT, "fault" },
				   { KVS_RING_AVAIL_JUMP, "avail-jump" },
				   { KVS_RING_BAD_HEAD, "bad-head" },
				   { KVS_RING_HEAD_BUSY, "head-busy" },
				   { KVS_RING_BAD_WRAP, "bad-wrap" }))
);

TRACE_EVENT(kvasir_bad_chain,
	TP_PROTO(const struct kvs_vq *vq, u16 id, u8 err),
	TP_ARGS(vq, id, err),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(u16, id)
		__field(u8, err)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->id;
		__entry->queue = vq->index;
		__entry->id = id;
		__entry->err = err;
	),
	TP_printk("dev=%u queue=%u head=%u reason=%s", __entry->dev,
		  __entry->queue, __entry->id,
		  __print_symbolic(__entry->err,
				   { KVS_CHAIN_LOOP, "loop" },
				   { KVS_CHAIN_NEXT, "next" },
				   { KVS_CHAIN_TOO_LONG, "too-long" },
				   { KVS_CHAIN_ORDER, "order" },
				   { KVS_CHAIN_INDIRECT, "indirect" },
				   { KVS_CHAIN_RANGE, "range" },
				   { KVS_CHAIN_LENGTH, "length" },
				   { KVS_CHAIN_ACCESS, "access" }))
);

/* @type: VIRTIO_BLK_T_*; @sector and @len as the driver asked */
TRACE_EVENT(kvasir_req_issue,
	TP_PROTO(const struct kvs_vq *vq, u16 id, u32 type, u64 sector,
		 u32 len),
	TP_ARGS(vq, id, type, sector, len),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(u16, id)
		__field(u32, type)
		__field(u64, sector)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->id;
		__entry->queue = vq->index;
		__entry->id = id;
		__entry->type = type;
		__entry->sector = sector;
		__entry->len = len;
	),
	TP_printk("dev=%u queue=%u head=%u type=%u sector=%llu len=%u",
		  __entry->dev, __entry->queue, __entry->id, __entry->type,
		  __entry->sector, __entry->len)
);

TRACE_EVENT(kvasir_req_refused,
	TP_PROTO(const struct kvs_vq *vq, u16 id),
	TP_ARGS(vq, id),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(u16, id)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->id;
		__entry->queue = vq->index;
		__entry->id = id;
	),
	TP_printk("dev=%u queue=%u head=%u", __entry->dev, __entry->queue,
		  __entry->id)
);

/* @result: bytes moved, or -errno */
TRACE_EVENT(kvasir_req_complete,
	TP_PROTO(const struct kvs_vq *vq, u16 id, s64 result),
	TP_ARGS(vq, id, result),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(u16, id)
		__field(s64, result)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->id;
		__entry->queue = vq->index;
		__entry->id = id;
		__entry->result = result;
	),
	TP_printk("dev=%u queue=%u head=%u result=%lld", __entry->dev,
		  __entry->queue, __entry->id, __entry->result)
);

#endif /* KVS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
