// SPDX-License-Identifier: GPL-2.0-only
/*
 * One queue of a pair is stopped in the middle of its traffic and started again
 * from index 0 while the other one goes on; the whole device is reset under
 * load (RING_RESET, VHOST_RESET_OWNER). Every frame carries its number, so what
 * was lost, repeated or changed shows:
 *
 * - A frame whose buffer came back from the transmit ring has left, in order; of
 *   those still in the ring none has.
 * - A frame the receive ring did not deliver is the next one after the restart:
 *   it stays in the tap, whose ring never overflows here.
 */
#include <pthread.h>

#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED	KVT_F(VIRTIO_F_RING_PACKED)
#define MS	10000
#define CYCLES	120
#define AHEAD	48	/* frames sent and not received yet */
#define RX_BUFS	256

struct load {
	struct kvt_nic nic;
	int wire;
	uint8_t **tx_bufs;	/* all transmit buffers */
	uint8_t *rx_bufs[RX_BUFS];	/* of the restarted receive ring */
	uint64_t rnd;
	uint32_t tx_seq;	/* number of the next frame sent */
	uint32_t rx_seq;	/* of the next frame to be received */
	uint32_t gen_seq;	/* of the next frame out to the tap */
	bool stop;
	pthread_t gen, other;
};

static bool going(struct load *l)
{
	return !__atomic_load_n(&l->stop, __ATOMIC_RELAXED);
}

static uint32_t frame_len(uint32_t seq)
{
	return 60 + seq * 37 % 1400;
}

static uint32_t numbered(uint8_t *frame, uint32_t seq)
{
	uint32_t len = frame_len(seq);

	kvt_frame(frame, len, seq);
	memcpy(frame + 14, &seq, sizeof(seq));
	return len;
}

/* Ends the test unless @frame is number @seq, byte for byte. */
static void check(const uint8_t *frame, ssize_t len, uint32_t seq,
		  const char *where)
{
	uint8_t want[2048];
	uint32_t got = 0;

	ASSERT(len >= 18, "%s: frame %u: %zd bytes", where, seq, len);
	memcpy(&got, frame + 14, sizeof(got));
	ASSERT(got == seq, "%s: frame %u instead of %u", where, got, seq);
	ASSERT_EQ(len, numbered(want, seq));
	ASSERT(!memcmp(frame, want, (size_t)len), "%s: frame %u changed",
	       where, seq);
}

/* Frames out to the tap, never far ahead of what has been received. */
static void *generator(void *arg)
{
	struct load *l = arg;
	uint8_t frame[2048];

	while (going(l)) {
		uint32_t seen = __atomic_load_n(&l->rx_seq, __ATOMIC_RELAXED);
		uint32_t len = numbered(frame, l->gen_seq);

		if (l->gen_seq - seen >= AHEAD) {
			kvt_sleep(1);
			continue;
		}
		ASSERT_EQ(write(l->wire, frame, len), len);
		l->gen_seq++;
	}
	return NULL;
}

/* Receive what is there within @ms; false: nothing was. */
static bool receive(struct load *l, unsigned int ms)
{
	uint8_t frame[2048];
	ssize_t len = kvt_nic_recv(&l->nic, NULL, frame, sizeof(frame), ms);

	if (len == -ETIMEDOUT)
		return false;
	check(frame, len, l->rx_seq, "receive");
	__atomic_store_n(&l->rx_seq, l->rx_seq + 1, __ATOMIC_RELAXED);
	return true;
}

static void *receiver(void *arg)
{
	struct load *l = arg;

	while (going(l))
		receive(l, 20);
	return NULL;
}

static void send_one(struct load *l)
{
	uint8_t frame[2048];
	uint32_t len = numbered(frame, l->tx_seq);

	ASSERT(kvt_nic_send(&l->nic, NULL, frame, len), "frame %u: no room",
	       l->tx_seq);
	__atomic_store_n(&l->tx_seq, l->tx_seq + 1, __ATOMIC_RELAXED);
}

static void arrives(struct load *l, uint32_t seq)
{
	uint8_t frame[2048];

	check(frame, kvt_wire_recv(l->wire, frame, sizeof(frame), MS), seq,
	      "transmit");
}

static void *sender(void *arg)
{
	struct load *l = arg;

	while (going(l)) {
		send_one(l);
		arrives(l, l->tx_seq - 1);
	}
	return NULL;
}

static void load_start(struct load *l, uint64_t features,
		       void *(*other)(void *))
{
	struct kvt_nic_opts o = { .features = features, .num = RX_BUFS };
	unsigned int i;

	memset(l, 0, sizeof(*l));
	l->rnd = kvt_seed();
	l->wire = kvt_nic_open_tap(&l->nic, &o, 0);
	l->tx_bufs = calloc(l->nic.nr_tx, sizeof(*l->tx_bufs));
	ASSERT(l->tx_bufs, "out of memory");
	memcpy(l->tx_bufs, l->nic.tx_free, l->nic.nr_tx * sizeof(*l->tx_bufs));
	for (i = 0; i < RX_BUFS; i++)
		l->rx_bufs[i] = kvt_mem_alloc(&l->nic.mem, l->nic.o.rx_buf, 64);
	ASSERT_EQ(pthread_create(&l->gen, NULL, generator, l), 0);
	if (other)
		ASSERT_EQ(pthread_create(&l->other, NULL, other, l), 0);
}

static void load_end(struct load *l, void *(*other)(void *))
{
	__atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
	pthread_join(l->gen, NULL);
	if (other)
		pthread_join(l->other, NULL);
	NOTE("%u frames sent, %u received", l->tx_seq, l->rx_seq);
	EXPECT(l->rx_seq >= CYCLES, "hardly anything was received");
	EXPECT(l->tx_seq >= CYCLES, "hardly anything was sent");
	free(l->tx_bufs);
	kvt_nic_close(&l->nic);
}

/* The other queue goes on: its frames' numbers go beyond @before. */
static void goes_on(const uint32_t *seq, uint32_t before)
{
	uint64_t deadline = kvt_deadline(MS);

	while (__atomic_load_n(seq, __ATOMIC_RELAXED) == before) {
		ASSERT(kvt_left(deadline), "the other queue stands still");
		kvt_sleep(1);
	}
}

/* The transmit queue has stopped: what came back must have arrived. */
static void tx_account(struct load *l, uint32_t first)
{
	uint32_t seq, left;

	kvt_nic_drain(&l->nic, 0);	/* takes what has come back */
	left = l->nic.nr_tx - l->nic.nr_tx_free;
	for (seq = first; seq != l->tx_seq - left; seq++)
		arrives(l, seq);
}

/* Give the transmit ring a new start; the lost frames stay lost. */
static void tx_rewind(struct load *l)
{
	kvt_ring_reset(&l->nic.tx);
	memcpy(l->nic.tx_free, l->tx_bufs,
	       l->nic.nr_tx * sizeof(*l->tx_bufs));
	l->nic.nr_tx_free = l->nic.nr_tx;
	kvt_vring_setup(&l->nic.dev, 1, &l->nic.tx);
}

/* The same for the receive ring, all buffers offered again. */
static void rx_rewind(struct load *l)
{
	struct kvt_ring *rx = &l->nic.rx;
	unsigned int i;

	kvt_ring_reset(rx);
	for (i = 0; i < RX_BUFS; i++) {
		struct kvt_sg sg = kvt_sg(&l->nic.mem, l->rx_bufs[i],
					  l->nic.o.rx_buf);

		kvt_ring_add(rx, &sg, 0, 1, l->rx_bufs[i]);
	}
	kvt_ring_publish(rx);
	kvt_vring_setup(&l->nic.dev, 0, rx);
}

/* Send a handful without waiting for any of it. */
static uint32_t burst(struct load *l)
{
	uint32_t first = l->tx_seq, n = 1 + kvt_rand(&l->rnd) % 100;

	while (n--)
		send_one(l);
	return first;
}

static void tx_resets(uint64_t features)
{
	uint32_t first, lost = 0, before;
	struct load l;
	int i;

	load_start(&l, features, receiver);
	for (i = 0; i < CYCLES; i++) {
		before = __atomic_load_n(&l.rx_seq, __ATOMIC_RELAXED);
		first = burst(&l);
		ASSERT_OK(kvt_net_backend(&l.nic.dev, 1, -1));
		tx_account(&l, first);
		lost += l.nic.nr_tx - l.nic.nr_tx_free;
		tx_rewind(&l);
		ASSERT_OK(kvt_net_backend(&l.nic.dev, 1, l.nic.o.sock));
		goes_on(&l.rx_seq, before);
	}
	NOTE("%u frames were still in the ring at %d stops", lost, i);
	first = l.tx_seq;
	send_one(&l);
	arrives(&l, first);
	load_end(&l, receiver);
}

static void rx_resets(uint64_t features)
{
	uint32_t before;
	struct load l;
	int i, n;

	load_start(&l, features, sender);
	for (i = 0; i < CYCLES; i++) {
		before = __atomic_load_n(&l.tx_seq, __ATOMIC_RELAXED);
		for (n = (int)(kvt_rand(&l.rnd) % 20); n >= 0; n--)
			ASSERT(receive(&l, MS), "cycle %d: nothing comes", i);
		ASSERT_OK(kvt_net_backend(&l.nic.dev, 0, -1));
		while (receive(&l, 0))
			;
		rx_rewind(&l);
		ASSERT_OK(kvt_net_backend(&l.nic.dev, 0, l.nic.o.sock));
		goes_on(&l.tx_seq, before);
	}
	ASSERT(receive(&l, MS), "nothing comes any more");
	load_end(&l, sender);
}

TEST("transmit stopped and restarted during traffic, receive goes on")
{
	tx_resets(V1 | EV);
}

TEST("the same without event indices")
{
	tx_resets(V1);
}

TEST("the same with a packed ring")
{
	tx_resets(V1 | EV | PACKED);
}

TEST("receive stopped and restarted during traffic, transmit goes on")
{
	rx_resets(V1 | EV);
}

TEST("the same without event indices, mergeable buffers")
{
	rx_resets(V1 | MRG);
}

TEST("the same with a packed ring")
{
	rx_resets(V1 | EV | MRG | PACKED);
}

static void own_again(struct load *l)
{
	struct kvt_dev *dev = &l->nic.dev;

	ASSERT_OK(ioctl(dev->fd, VHOST_SET_OWNER));
	ASSERT_OK(ioctl(dev->fd, VHOST_SET_FEATURES, &dev->features));
	ASSERT_OK(kvt_set_mem(dev->fd, dev->mem->gpa, dev->mem->size,
			      (uintptr_t)dev->mem->base));
}

static void device_resets(uint64_t features)
{
	uint32_t first;
	struct load l;
	int i, n;

	load_start(&l, features, NULL);
	for (i = 0; i < CYCLES; i++) {
		first = burst(&l);
		for (n = (int)(kvt_rand(&l.rnd) % 5); n > 0; n--)
			ASSERT(receive(&l, MS), "cycle %d: nothing comes", i);
		ASSERT_OK(ioctl(l.nic.dev.fd, VHOST_RESET_OWNER));
		tx_account(&l, first);
		while (receive(&l, 0))
			;
		own_again(&l);
		tx_rewind(&l);
		rx_rewind(&l);
		ASSERT_OK(kvt_net_backend(&l.nic.dev, 1, l.nic.o.sock));
		ASSERT_OK(kvt_net_backend(&l.nic.dev, 0, l.nic.o.sock));
	}
	ASSERT(receive(&l, MS), "nothing comes any more");
	first = l.tx_seq;
	send_one(&l);
	arrives(&l, first);
	load_end(&l, NULL);
}

TEST("the device reset during traffic both ways, and set up again")
{
	device_resets(V1 | EV);
}

TEST("the same with packed rings")
{
	device_resets(V1 | EV | PACKED);
}
