// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames to the guest: every kind of frame a tap can have in its ring, buffers
 * in pieces or missing, and none lost, changed, reordered or left out of the
 * tap's statistics (N-03, N-04, N-08, N-10, D-10, R-07).
 *
 *	wire (packet socket) -> tap0 -> kvasir-net -> this process' ring
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kvt_net.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define EV	KVT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	KVT_F(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED	KVT_F(VIRTIO_F_RING_PACKED)
#define MS	10000
#define LEN	300

struct bed {
	struct kvt_nic nic;
	int wire;
};

static void bed_open(struct bed *b, uint64_t features, uint16_t num)
{
	struct kvt_nic_opts o = { .features = features, .num = num };

	b->wire = kvt_nic_open_tap(&b->nic, &o, 0);
}

static uint64_t count(struct bed *b, int counter)
{
	return b->nic.ours ? kvt_nl_counter(b->nic.id, 0, counter) : 0;
}

/* Frames first to first + n - 1 out of the tap's interface. */
static void emit(struct bed *b, uint32_t first, uint32_t n)
{
	uint8_t frame[LEN];
	uint32_t i;

	for (i = first; i < first + n; i++) {
		kvt_frame(frame, LEN, i);
		ASSERT_EQ(write(b->wire, frame, LEN), LEN);
	}
}

/* The same arrive in this order. */
static void absorb(struct bed *b, uint32_t first, uint32_t n)
{
	uint8_t got[2048];
	uint32_t i;

	for (i = first; i < first + n; i++) {
		ASSERT_EQ(kvt_nic_recv(&b->nic, NULL, got, sizeof(got), MS),
			  LEN);
		ASSERT(kvt_frame_ok(got, LEN, i), "frame %u lost or changed",
		       i);
	}
}

/* A receive ring without buffers. */
static void empty_ring(struct bed *b)
{
	ASSERT_OK(kvt_net_backend(&b->nic.dev, 0, -1));
	kvt_ring_reset(&b->nic.rx);
	kvt_vring_setup(&b->nic.dev, 0, &b->nic.rx);
	ASSERT_OK(kvt_net_backend(&b->nic.dev, 0, b->nic.o.sock));
}

/* Offer @n buffers of @pieces pieces each, the first ones tiny. */
static void offer(struct bed *b, unsigned int n, unsigned int pieces)
{
	struct kvt_sg sg[8];
	unsigned int i;

	while (n--) {
		uint8_t *buf = kvt_mem_alloc(&b->nic.mem, b->nic.o.rx_buf, 64);
		uint32_t at = 0;

		for (i = 0; i < pieces; i++) {
			uint32_t len = i + 1 < pieces ? 5 + i :
						       b->nic.o.rx_buf - at;

			sg[i] = kvt_sg(&b->nic.mem, buf + at, len);
			at += len;
		}
		kvt_ring_add(&b->nic.rx, sg, 0, pieces, buf);
	}
	kvt_ring_kick(&b->nic.rx);
}

static unsigned long long statistic(const char *name)
{
	unsigned long long n = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/tap0/statistics/%s", name);
	f = fopen(path, "re");
	ASSERT(f, "%s: %s", path, strerror(errno));
	ASSERT_EQ(fscanf(f, "%llu", &n), 1);
	fclose(f);
	return n;
}

/* sysfs of this network namespace */
static void own_sysfs(void)
{
	ASSERT_OK(unshare(CLONE_NEWNS));
	ASSERT_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_OK(mount("kvt", "/sys", "sysfs", 0, NULL));
}

TEST("the tap counts each frame that was received once")
{
	unsigned long long packets, bytes;
	struct bed b;
	uint32_t i;

	bed_open(&b, V1 | MRG | EV, 0);
	own_sysfs();
	packets = statistic("tx_packets");
	bytes = statistic("tx_bytes");
	for (i = 0; i < 20; i++) {
		emit(&b, i * 100, 100);
		absorb(&b, i * 100, 100);
	}
	EXPECT_EQ(statistic("tx_packets"), packets + 2000);
	EXPECT_EQ(statistic("tx_bytes"), bytes + 2000 * LEN);
	EXPECT_EQ(statistic("tx_dropped"), 0);
	EXPECT_EQ(count(&b, KVASIR_C_REQUESTS), b.nic.ours ? 2000 : 0);
	EXPECT_EQ(count(&b, KVASIR_C_BYTES_OUT), b.nic.ours ? 2000 * LEN : 0);
	kvt_nic_close(&b.nic);
}

TEST("bursts of every size after pauses: none waits for the next")
{
	struct bed b;
	uint32_t i, first = 0, n;
	uint64_t rnd = kvt_seed();

	bed_open(&b, V1 | MRG | EV, 0);
	for (i = 0; i < 300; i++) {
		n = 1 + (uint32_t)(kvt_rand(&rnd) >> 40) % 90;
		emit(&b, first, n);
		absorb(&b, first, n);
		first += n;
		if (i % 16 == 0)
			kvt_sleep(2);
	}
	for (i = 0; i < 300; i++) {
		emit(&b, first, 1);
		absorb(&b, first++, 1);
	}
	kvt_nic_close(&b.nic);
}

TEST("VLAN tags are inserted, in order with plain frames")
{
	uint8_t frame[LEN], got[2048];
	unsigned long long packets;
	struct bed b;
	uint32_t i;
	int tagged;

	bed_open(&b, V1 | MRG | EV, 0);
	if (system("ip link add link tap0 name tap0.5 type vlan id 5"))
		SKIP("cannot make a VLAN interface");
	kvt_link_up("tap0.5", 0);
	tagged = kvt_packet("tap0.5", KVT_ETHERTYPE, false);
	own_sysfs();
	packets = statistic("tx_packets");
	for (i = 0; i < 90; i += 3) {
		emit(&b, i, 2);
		kvt_frame(frame, LEN, i + 2);
		ASSERT_EQ(write(tagged, frame, LEN), LEN);
	}
	for (i = 0; i < 90; i += 3) {
		absorb(&b, i, 2);
		ASSERT_EQ(kvt_nic_recv(&b.nic, NULL, got, sizeof(got), MS),
			  LEN + 4);
		EXPECT(!memcmp(got + 12, "\x81\0\0\x05", 4), "no tag");
		memmove(got + 4, got, 12);
		EXPECT(kvt_frame_ok(got + 4, LEN, i + 2), "changed");
	}
	EXPECT_EQ(statistic("tx_packets"), packets + 90);
	close(tagged);
	kvt_nic_close(&b.nic);
}

TEST("D-10 header and frame over buffers in tiny pieces")
{
	struct bed b;
	unsigned int pieces;
	uint32_t first = 0;
	int i;

	bed_open(&b, V1 | EV, 256);
	empty_ring(&b);
	for (pieces = 1; pieces <= 8; pieces++) {
		uint8_t *buf;

		offer(&b, 16, pieces);
		emit(&b, first, 16);
		ASSERT_EQ(kvt_ring_wait(&b.nic.rx, 16, MS), 0);
		for (i = 0; i < 16; i++) {
			uint32_t len;

			buf = kvt_ring_get(&b.nic.rx, NULL, &len);
			ASSERT_EQ(len, LEN + 12);
			EXPECT(kvt_frame_ok(buf + 12, LEN, first++),
			       "%u pieces: changed", pieces);
		}
	}
	kvt_nic_close(&b.nic);
}

TEST("N-08 a backlog of hundreds, buffers a few at a time")
{
	struct bed b;
	uint32_t at, i;

	bed_open(&b, V1 | EV, 16);
	empty_ring(&b);
	emit(&b, 0, 400);
	for (at = 0; at < 400; at += 5) {
		offer(&b, 5, 1);
		ASSERT_EQ(kvt_ring_wait(&b.nic.rx, 5, MS), 0);
		for (i = at; i < at + 5; i++) {
			uint8_t *buf = kvt_ring_get(&b.nic.rx, NULL, NULL);

			ASSERT(kvt_frame_ok(buf + 12, LEN, i),
			       "frame %u lost or changed", i);
		}
	}
	EXPECT_EQ(count(&b, KVASIR_C_DROP_NOBUF), 0);
	kvt_nic_close(&b.nic);
}

/*
 * Chains of three pieces that fill a small ring but for one descriptor: there
 * are fewer of them than ring entries, and no more will come.
 */
static void ring_too_small(uint64_t features)
{
	struct kvt_nic_opts o = {
		.features = features, .num = 16, .rx_buf = 50,
	};
	uint8_t got[2048];
	struct bed b;

	b.wire = kvt_nic_open_tap(&b.nic, &o, 0);
	if (!b.nic.ours)
		SKIP("%s waits for ever", b.nic.o.node);
	empty_ring(&b);
	offer(&b, 5, 3);
	emit(&b, 0, 1);
	kvt_frame(got, 60, 1);
	ASSERT_EQ(write(b.wire, got, 60), 60);
	ASSERT_EQ(kvt_nic_recv(&b.nic, NULL, got, sizeof(got), MS), 60);
	ASSERT(kvt_frame_ok(got, 60, 1), "not the second frame");
	EXPECT_EQ(count(&b, KVASIR_C_DROP_NOBUF), 1);
	kvt_nic_close(&b.nic);
}

TEST("N-03 larger than all that fits into the ring, in chains of pieces")
{
	ring_too_small(V1 | EV | MRG);
}

TEST("the same with a packed ring")
{
	ring_too_small(V1 | EV | MRG | PACKED);
}

TEST("a backlog survives taking the backend off and on")
{
	struct bed b;
	uint32_t at = 0, i;

	bed_open(&b, V1 | EV, 64);
	emit(&b, 1000, 1);	/* the queue runs */
	absorb(&b, 1000, 1);
	empty_ring(&b);
	emit(&b, 0, 300);
	while (at < 300) {
		offer(&b, 10, 1);
		ASSERT_EQ(kvt_ring_wait(&b.nic.rx, 10, MS), 0);
		for (i = at; i < at + 10; i++)
			ASSERT(kvt_frame_ok(kvt_ring_get(&b.nic.rx, NULL, NULL)
					    + 12, LEN, i),
			       "frame %u lost or changed", i);
		at += 10;
		empty_ring(&b);
	}
	kvt_nic_close(&b.nic);
}

TEST("N-10 the tap is deleted under frames taken and not received")
{
	struct bed b;

	bed_open(&b, V1 | EV, 64);
	empty_ring(&b);
	emit(&b, 0, 200);
	kvt_sleep(50);
	if (system("ip link del tap0"))
		SKIP("no ip command");
	offer(&b, 32, 1);
	kvt_sleep(50);
	EXPECT(kvt_ring_used(&b.nic.rx) <= 32, "too many");
	ASSERT_OK(kvt_net_backend(&b.nic.dev, 0, -1));
	close(b.wire);
	close(b.nic.o.sock);
	kvt_nic_close(&b.nic);
}

TEST("R-07 buffers that went away lose frames, not the queue")
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct kvt_sg sg;
	struct bed b;
	uint8_t *buf;

	bed_open(&b, V1 | EV, 16);
	empty_ring(&b);
	buf = kvt_mem_alloc(&b.nic.mem, page, page);
	ASSERT_OK(mprotect(buf, page, PROT_NONE));
	sg = kvt_sg(&b.nic.mem, buf, 2048);
	kvt_ring_add(&b.nic.rx, &sg, 0, 1, buf);
	kvt_ring_kick(&b.nic.rx);
	emit(&b, 0, 70);
	if (b.nic.ours)
		EXPECT_EQ(kvt_nl_wait(b.nic.id, 0, KVASIR_C_DROP_LOWER, 70,
				      MS), 70);
	EXPECT_EQ(kvt_ring_used(&b.nic.rx), 0);
	ASSERT_OK(mprotect(buf, page, PROT_READ | PROT_WRITE));
	emit(&b, 70, 1);
	ASSERT_EQ(kvt_ring_wait(&b.nic.rx, 1, MS), 0);
	EXPECT(kvt_frame_ok(buf + 12, LEN, 70), "changed");
	kvt_nic_close(&b.nic);
}

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Whatever arrives at @from goes to @to as an XDP frame. Exits with us. */
static int redirect(const char *from, const char *to)
{
	const struct bpf_insn prog[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1,
		  .imm = (int)if_nametoindex(to) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insn_cnt = sizeof(prog) / sizeof(prog[0]),
		.insns = (uintptr_t)prog,
		.license = (uintptr_t)"GPL",
	};
	union bpf_attr link = {
		.link_create = {
			.target_ifindex = if_nametoindex(from),
			.attach_type = BPF_XDP,
			.flags = XDP_FLAGS_DRV_MODE,
		},
	};
	int fd = bpf(BPF_PROG_LOAD, &load);

	ASSERT(fd >= 0, "BPF_PROG_LOAD: %s", strerror(errno));
	link.link_create.prog_fd = (uint32_t)fd;
	return bpf(BPF_LINK_CREATE, &link);
}

TEST("XDP frames redirected to the tap, in order with plain ones")
{
	uint8_t frame[LEN], got[2048];
	struct bed b;
	uint32_t i;
	int far;

	bed_open(&b, V1 | MRG | EV, 0);
	if (system("ip link add v0 type veth peer name v1"))
		SKIP("cannot make a veth pair");
	kvt_link_up("v0", 0);
	kvt_link_up("v1", 0);
	if (redirect("v0", "tap0") < 0)
		SKIP("XDP on veth: %s", strerror(errno));
	far = kvt_packet("v1", KVT_ETHERTYPE, false);
	for (i = 0; i < 100; i++) {
		if (i % 2) {
			emit(&b, i, 1);
			absorb(&b, i, 1);
			continue;
		}
		kvt_frame(frame, LEN, i);
		ASSERT_EQ(write(far, frame, LEN), LEN);
		ASSERT_EQ(kvt_nic_recv(&b.nic, NULL, got, sizeof(got), MS),
			  LEN);
		ASSERT(kvt_frame_ok(got, LEN, i), "frame %u changed", i);
	}
	close(far);
	kvt_nic_close(&b.nic);
}
