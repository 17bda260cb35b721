// SPDX-License-Identifier: GPL-2.0-only
/* A device to be mistreated and a bystander; see kvt_bed.h. */
#include <sched.h>
#include <sys/mman.h>

#include "kvt_bed.h"

#define PAGE_BYTES 65536

void kvt_nic_works(struct kvt_nic *nic, int wire, const char *who)
{
	uint8_t frame[256];

	kvt_frame(frame, 200, 1);
	ASSERT(kvt_nic_send(nic, NULL, frame, 200), "%s: cannot send", who);
	ASSERT(kvt_nic_drain(nic, KVT_BED_MS), "%s: transmit stuck", who);
	ASSERT_EQ(kvt_wire_recv(wire, frame, sizeof(frame), KVT_BED_MS), 200);
	ASSERT(kvt_frame_ok(frame, 200, 1), "%s: frame changed", who);
	kvt_frame(frame, 123, 2);
	ASSERT_EQ(write(wire, frame, 123), 123);
	ASSERT_EQ(kvt_nic_recv(nic, NULL, frame, sizeof(frame), KVT_BED_MS),
		  123);
	ASSERT(kvt_frame_ok(frame, 123, 2), "%s: frame changed", who);
}

void kvt_bed_open(struct kvt_bed *b, uint64_t features, uint16_t num)
{
	struct kvt_nic_opts o = { .features = features, .num = num };

	if (!kvt_ours(kvt_net_node()))
		SKIP("%s has no counters", kvt_net_node());
	kvt_netns();
	o.sock = kvt_tap("bad", 0, (int)kvt_hdr_len(features), 0);
	b->wire_bad = kvt_packet("bad", KVT_ETHERTYPE, false);
	kvt_nic_open(&b->bad, &o);
	o.num = 256;
	o.sock = kvt_tap("good", 0, (int)kvt_hdr_len(features), 0);
	b->wire_good = kvt_packet("good", KVT_ETHERTYPE, false);
	kvt_nic_open(&b->good, &o);
	b->page = kvt_mem_alloc(&b->bad.mem, PAGE_BYTES, 4096);
	b->gpa = kvt_gpa(&b->bad.mem, b->page);
	kvt_nic_works(&b->bad, b->wire_bad, "before");
	kvt_nic_works(&b->good, b->wire_good, "bystander before");
}

struct kvt_ring *kvt_bed_queue(struct kvt_bed *b, int q)
{
	return q ? &b->bad.tx : &b->bad.rx;
}

void kvt_bed_broken(struct kvt_bed *b, int q)
{
	struct kvt_ring *ring = kvt_bed_queue(b, q);
	struct kvt_queue_stat st;
	uint64_t n = 0;

	EXPECT(kvt_eventfd_wait(ring->err, KVT_BED_MS, &n), "no error eventfd");
	EXPECT_EQ(n, 1);
	kvt_ring_force_kick(ring);
	kvt_ring_force_kick(ring);
	EXPECT(!kvt_eventfd_wait(ring->err, 200, NULL), "a second error");
	kvt_nl_queue(b->bad.id, (uint32_t)q, &st);
	EXPECT_EQ(st.state, KVASIR_QUEUE_BROKEN);
	EXPECT_EQ(st.c[KVASIR_C_BROKEN], 1);
	kvt_nic_works(&b->good, b->wire_good, "bystander after");
}

void kvt_bed_revived(struct kvt_bed *b, int q)
{
	struct kvt_queue_stat st;

	kvt_nic_restart(&b->bad);
	kvt_nl_queue(b->bad.id, (uint32_t)q, &st);
	EXPECT_EQ(st.state, KVASIR_QUEUE_RUNNING);
	kvt_nic_works(&b->bad, b->wire_bad, "revived");
}

void kvt_bed_protect(struct kvt_bed *b, int prot)
{
	ASSERT_OK(mprotect(b->bad.mem.base, b->bad.mem.size, prot));
}

void kvt_bed_breaks_hidden(struct kvt_bed *b)
{
	kvt_bed_protect(b, PROT_NONE);
	kvt_ring_force_kick(&b->bad.tx);
	kvt_bed_broken(b, 1);
	kvt_bed_protect(b, PROT_READ | PROT_WRITE);
	kvt_bed_revived(b, 1);
}

void kvt_bed_breaks_unmapped(struct kvt_bed *b)
{
	struct kvt_mem *mem = &b->bad.mem;

	ASSERT(mmap(mem->base, mem->size, PROT_NONE, MAP_FIXED | MAP_PRIVATE |
		    MAP_ANONYMOUS, -1, 0) != MAP_FAILED,
	       "mmap: %s", strerror(errno));
	kvt_ring_force_kick(&b->bad.tx);
	kvt_bed_broken(b, 1);
	/* the queue can still be stopped, and the device closed */
	EXPECT_OK(kvt_net_backend(&b->bad.dev, 0, -1));
	EXPECT_OK(kvt_net_backend(&b->bad.dev, 1, -1));
	kvt_nic_works(&b->good, b->wire_good, "bystander");
}

bool kvt_bed_comes_back(struct kvt_bed *b)
{
	uint64_t deadline = kvt_deadline(KVT_BED_MS);

	kvt_ring_force_kick(&b->bad.tx);
	while (!kvt_ring_used(&b->bad.tx) && kvt_left(deadline))
		sched_yield();
	return kvt_ring_used(&b->bad.tx);
}

void kvt_bed_only_raw_rx(struct kvt_bed *b)
{
	ASSERT_OK(kvt_net_backend(&b->bad.dev, 0, -1));
	kvt_ring_reset(&b->bad.rx);
	kvt_vring_setup(&b->bad.dev, 0, &b->bad.rx);
}

static void *race(void *arg)
{
	struct kvt_race *r = arg;
	uint64_t state = 77;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		r->scribble(r->b, &state);
	return NULL;
}

void kvt_race_start(struct kvt_race *r, struct kvt_bed *b,
		    void (*scribble)(struct kvt_bed *b, uint64_t *state))
{
	*r = (struct kvt_race){ .b = b, .scribble = scribble };
	ASSERT_EQ(pthread_create(&r->thread, NULL, race, r), 0);
}

void kvt_race_stop(struct kvt_race *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	pthread_join(r->thread, NULL);
}
