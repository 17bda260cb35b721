// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that wait for more, in both directions: the worker is woken for many
 * at once, the last one needs no other to follow it, none is lost when the
 * queue stops, moves or goes away meanwhile, and requests and answers are not
 * held. The longest wait is set to 10 ms, so that all traffic here is fast.
 */
#include "kvt_module.h"
#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED	KVT_F(VIRTIO_F_RING_PACKED)
#define MS	10000
#define HOLD_US	10000
#define LEN	200
#define STREAM	40
#define ROUNDS	50

struct bed {
	struct kvt_nic nic;
	int wire;
};

static void bed_open(struct bed *b, uint64_t features)
{
	struct kvt_nic_opts o = { .features = features };

	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
	if (!b->nic.ours)
		SKIP("%s is not the module's", b->nic.o.node);
	kvt_param_set("rx_hold_us", HOLD_US);
	kvt_param_set("tx_hold_us", HOLD_US);
}

static uint64_t count(struct bed *b, uint32_t q, int counter)
{
	return kvt_nl_counter(b->nic.id, q, counter);
}

static void send_one(struct bed *b, uint32_t seq)
{
	uint8_t frame[LEN];

	kvt_frame(frame, LEN, seq);
	ASSERT(kvt_nic_send(&b->nic, NULL, frame, LEN), "frame %u: no room",
	       seq);
}

static void leaves(struct bed *b, uint32_t seq)
{
	uint8_t got[LEN + 1];

	ASSERT_EQ(kvt_wire_recv(b->wire, got, sizeof(got), MS), LEN);
	ASSERT(kvt_frame_ok(got, LEN, seq), "sent: %u lost or changed", seq);
}

static void emit(struct bed *b, uint32_t seq)
{
	uint8_t frame[LEN];

	kvt_frame(frame, LEN, seq);
	ASSERT_EQ(write(b->wire, frame, LEN), LEN);
}

static void arrives(struct bed *b, uint32_t seq)
{
	uint8_t got[2048];

	ASSERT_EQ(kvt_nic_recv(&b->nic, NULL, got, sizeof(got), MS), LEN);
	ASSERT(kvt_frame_ok(got, LEN, seq), "received: %u lost or changed",
	       seq);
}

/* Streams after each other; each ends with a frame that nothing follows. */
static void streams(struct bed *b, void (*in)(struct bed *, uint32_t),
		    void (*out)(struct bed *, uint32_t))
{
	uint32_t i, seq, first = 0;

	for (i = 0; i < ROUNDS; i++, first += STREAM) {
		for (seq = first; seq < first + STREAM; seq++)
			in(b, seq);
		for (seq = first; seq < first + STREAM; seq++)
			out(b, seq);
	}
}

static void send_streams(uint64_t features)
{
	struct bed b;

	bed_open(&b, features);
	streams(&b, send_one, leaves);
	NOTE("%u frames, %llu kicks", STREAM * ROUNDS,
	     (unsigned long long)count(&b, 1, KVASIR_C_KICKS));
	EXPECT(count(&b, 1, KVASIR_C_KICKS) < STREAM * ROUNDS / 4,
	       "kicks are asked for all the same");
	kvt_nic_close(&b.nic);
}

TEST("transmit: kicks are saved, the last frame of a stream leaves")
{
	send_streams(V1 | EV);
}

TEST("the same without event indices")
{
	send_streams(V1);
}

TEST("the same with a packed ring")
{
	send_streams(V1 | EV | PACKED);
}

static void receive_streams(uint64_t features)
{
	struct bed b;

	bed_open(&b, features);
	streams(&b, emit, arrives);
	NOTE("%u frames, %llu wake-ups", STREAM * ROUNDS,
	     (unsigned long long)count(&b, 0, KVASIR_C_WAKEUPS));
	EXPECT(count(&b, 0, KVASIR_C_WAKEUPS) < STREAM * ROUNDS / 4,
	       "the worker is woken all the same");
	kvt_nic_close(&b.nic);
}

TEST("receive: wake-ups are saved, the last frame of a stream arrives")
{
	receive_streams(V1 | EV | MRG);
}

TEST("the same with a packed ring")
{
	receive_streams(V1 | EV | MRG | PACKED);
}

TEST("requests and answers are not held for long")
{
	uint32_t seq, n = 1000;
	struct bed b;

	bed_open(&b, V1 | EV);
	for (seq = 0; seq < n; seq++)
		kvt_nic_exchange(&b.nic, b.wire, LEN, seq);
	NOTE("%u frames each way, %llu kicks", n,
	     (unsigned long long)count(&b, 1, KVASIR_C_KICKS));
	/* a frame that was held needed none */
	EXPECT(count(&b, 1, KVASIR_C_KICKS) >= n * 9 / 10,
	       "single frames are held");
	kvt_nic_close(&b.nic);
}

TEST("an owner who polls is not held")
{
	struct vhost_vring_state s = { .num = 50 };
	uint64_t found, services;
	struct bed b;

	bed_open(&b, V1 | EV);
	for (s.index = 0; s.index < 2; s.index++)
		ASSERT_OK(ioctl(b.nic.dev.fd,
				VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s));
	streams(&b, send_one, leaves);
	found = count(&b, 1, KVASIR_C_KICKS) + count(&b, 1, KVASIR_C_POLL_HITS);
	services = count(&b, 1, KVASIR_C_WAKEUPS);
	NOTE("%llu services, %llu kicks and hits",
	     (unsigned long long)services, (unsigned long long)found);
	/* What begins a service is one of these, unless a timer does. */
	EXPECT(found >= services / 2, "frames are held");
	kvt_nic_close(&b.nic);
}

/* Both directions held, @n frames waiting in each. */
static void held(struct bed *b, uint32_t first, uint32_t n)
{
	uint32_t seq;

	for (seq = first; seq < first + n; seq++) {
		send_one(b, seq);
		emit(b, seq);
	}
}

static void released(struct bed *b, uint32_t first, uint32_t n)
{
	uint32_t seq;

	for (seq = first; seq < first + n; seq++) {
		leaves(b, seq);
		arrives(b, seq);
	}
}

static void stop_and_go(struct bed *b)
{
	uint32_t i;

	for (i = 0; i < 2; i++)
		ASSERT_OK(kvt_net_backend(&b->nic.dev, i, -1));
	for (i = 0; i < 2; i++)
		ASSERT_OK(kvt_net_backend(&b->nic.dev, i, b->nic.o.sock));
}

TEST("stopped and started again while frames wait, none is lost")
{
	uint32_t i, first = 0;
	struct bed b;

	bed_open(&b, V1 | EV | MRG);
	for (i = 0; i < ROUNDS; i++, first += STREAM) {
		held(&b, first, STREAM);
		stop_and_go(&b);
		released(&b, first, STREAM);
	}
	kvt_nic_close(&b.nic);
}

TEST("moved to another worker while frames wait, none is lost")
{
	struct vhost_vring_worker w = { 0 };
	struct vhost_worker_state s;
	uint32_t i, first = 0;
	struct bed b;

	bed_open(&b, V1 | EV | MRG);
	ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_NEW_WORKER, &s));
	for (i = 0; i < ROUNDS; i++, first += STREAM) {
		held(&b, first, STREAM);
		w.worker_id = i % 2 ? 0 : s.worker_id;
		for (w.index = 0; w.index < 2; w.index++)
			ASSERT_OK(ioctl(b.nic.dev.fd,
					VHOST_ATTACH_VRING_WORKER, &w));
		released(&b, first, STREAM);
	}
	kvt_nic_close(&b.nic);
}

TEST("closed and reset while frames wait")
{
	struct bed b;
	int i;

	bed_open(&b, V1 | EV | MRG);
	for (i = 0; i < ROUNDS; i++) {
		held(&b, 0, STREAM);
		if (i % 2)
			ASSERT_OK(ioctl(b.nic.dev.fd, VHOST_RESET_OWNER));
		kvt_nic_close(&b.nic);
		close(b.wire);
		close(b.nic.o.sock);
		b.wire = kvt_nic_open_tap(&b.nic, &b.nic.o, 0);
	}
	kvt_nic_exchange(&b.nic, b.wire, LEN, 1);
	kvt_nic_close(&b.nic);
}
