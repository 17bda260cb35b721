// SPDX-License-Identifier: GPL-2.0-only
/* A network card as the guest sees it; see kvt_net.h. */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "kvt_net.h"

#define SEND_MS 20000
#define RECV_MS 20000

void kvt_netns(void)
{
	if (geteuid())
		SKIP("needs root (network namespace)");
	kvt_nl_init();
	ASSERT_OK(unshare(CLONE_NEWNET));
}

static void quiet(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path),
		 "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;		/* no IPv6 at all */
	EXPECT_EQ(write(fd, "1", 1), 1);
	close(fd);
}

void kvt_link_up(const char *name, int mtu)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	ASSERT(s >= 0, "socket: %s", strerror(errno));
	quiet(name);
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	if (mtu) {
		ifr.ifr_mtu = mtu;
		ASSERT_OK(ioctl(s, SIOCSIFMTU, &ifr));
	}
	ASSERT_OK(ioctl(s, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP;
	ASSERT_OK(ioctl(s, SIOCSIFFLAGS, &ifr));
	close(s);
}

int kvt_tap(const char *name, int flags, int hdr_len, unsigned int offloads)
{
	struct ifreq ifr = { 0 };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		SKIP("no /dev/net/tun: modprobe tun");
	ASSERT(fd >= 0, "open /dev/net/tun: %s", strerror(errno));
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags);
	ASSERT_OK(ioctl(fd, TUNSETIFF, &ifr));
	ASSERT_OK(ioctl(fd, TUNSETVNETHDRSZ, &hdr_len));
	ASSERT_OK(ioctl(fd, TUNSETOFFLOAD, offloads));
	kvt_link_up(name, 0);
	return fd;
}

int kvt_packet(const char *ifname, uint16_t proto, bool vnet_hdr)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(proto ? proto : ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int one = 1, size = 4 << 20;
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ASSERT(s >= 0, "packet socket: %s", strerror(errno));
	ASSERT(a.sll_ifindex, "no interface %s", ifname);
	if (vnet_hdr)
		ASSERT_OK(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one,
				     sizeof(one)));
	ASSERT_OK(setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size,
			     sizeof(size)));
	ASSERT_OK(bind(s, (struct sockaddr *)&a, sizeof(a)));
	return s;
}

ssize_t kvt_wire_recv(int sock, void *buf, size_t len, unsigned int ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, (int)ms) <= 0)
		return -ETIMEDOUT;
	n = read(sock, buf, len);
	return n < 0 ? -errno : n;
}

uint32_t kvt_hdr_len(uint64_t features)
{
	return features & (KVT_F(VIRTIO_F_VERSION_1) |
			   KVT_F(VIRTIO_NET_F_MRG_RXBUF)) ? 12 : 10;
}

static void rx_offer(struct kvt_nic *nic, uint8_t *buf)
{
	struct kvt_sg sg = kvt_sg(&nic->mem, buf, nic->o.rx_buf);

	kvt_ring_add(&nic->rx, &sg, 0, 1, buf);
}

static uint8_t **buf_array(struct kvt_nic *nic, unsigned int n, uint32_t size)
{
	uint8_t **bufs = calloc(n, sizeof(*bufs));
	unsigned int i;

	ASSERT(bufs, "out of memory");
	for (i = 0; i < n; i++)
		bufs[i] = kvt_mem_alloc(&nic->mem, size, 64);
	return bufs;
}

static void buffers(struct kvt_nic *nic)
{
	nic->nr_tx = nic->o.num < 64 ? nic->o.num : 64;
	nic->tx_bufs = buf_array(nic, nic->nr_tx, (nic->o.tx_buf + 63) & ~63u);
	nic->tx_free = calloc(nic->nr_tx, sizeof(*nic->tx_free));
	ASSERT(nic->tx_free, "out of memory");
	nic->nr_rx = nic->o.num < 256 ? nic->o.num : 256;
	nic->rx_bufs = buf_array(nic, nic->nr_rx, nic->o.rx_buf);
}

void kvt_nic_reset_rx(struct kvt_nic *nic)
{
	unsigned int i;

	kvt_ring_reset(&nic->rx);
	for (i = 0; i < nic->nr_rx; i++)
		rx_offer(nic, nic->rx_bufs[i]);
}

void kvt_nic_reset_tx(struct kvt_nic *nic)
{
	kvt_ring_reset(&nic->tx);
	memcpy(nic->tx_free, nic->tx_bufs, nic->nr_tx * sizeof(*nic->tx_free));
	nic->nr_tx_free = nic->nr_tx;
}

static void start(struct kvt_nic *nic)
{
	kvt_vring_setup(&nic->dev, 0, &nic->rx);
	kvt_vring_setup(&nic->dev, 1, &nic->tx);
	ASSERT_OK(kvt_net_backend(&nic->dev, 0, nic->o.sock));
	ASSERT_OK(kvt_net_backend(&nic->dev, 1, nic->o.sock));
	kvt_ring_kick(&nic->rx);
}

void kvt_nic_open(struct kvt_nic *nic, const struct kvt_nic_opts *opts)
{
	unsigned int flags = kvt_ring_flags(opts->features);
	size_t rings;

	memset(nic, 0, sizeof(*nic));
	nic->o = *opts;
	nic->o.node = opts->node ? opts->node : kvt_net_node();
	nic->o.num = opts->num ? opts->num : 256;
	nic->o.rx_buf = opts->rx_buf ? opts->rx_buf : 2048;
	nic->o.tx_buf = opts->tx_buf ? opts->tx_buf : 2048;
	nic->o.pieces = opts->pieces ? opts->pieces : 1;
	nic->hdr_len = kvt_hdr_len(opts->features);
	rings = nic->o.num * (size_t)(16 * KVT_INDIRECT_MAX + 64) * 2 + 65536;
	kvt_mem_init(&nic->mem, rings + 256ul * nic->o.rx_buf +
		     64ul * (nic->o.tx_buf + 64) + (1 << 20), 1ull << 32);
	kvt_dev_init(&nic->dev, nic->o.node, &nic->mem, opts->features);
	nic->ours = kvt_ours(nic->o.node);
	if (nic->ours) {
		struct kvt_dev_stat st;

		ASSERT(kvt_nl_find(KVASIR_DEV_NET, getpid(), &st),
		       "the device is not listed by netlink");
		nic->id = st.id;
	}
	kvt_ring_init(&nic->rx, &nic->mem, nic->o.num, flags);
	kvt_ring_init(&nic->tx, &nic->mem, nic->o.num, flags);
	buffers(nic);
	kvt_nic_reset_rx(nic);
	kvt_nic_reset_tx(nic);
	start(nic);
}

int kvt_nic_open_tap(struct kvt_nic *nic, const struct kvt_nic_opts *opts,
		     unsigned int offloads)
{
	struct kvt_nic_opts o = *opts;
	int wire;

	kvt_netns();
	o.sock = kvt_tap("tap0", 0, (int)kvt_hdr_len(o.features), offloads);
	wire = kvt_packet("tap0", KVT_ETHERTYPE, false);
	kvt_nic_open(nic, &o);
	return wire;
}

void kvt_nic_close(struct kvt_nic *nic)
{
	close(nic->dev.fd);
	kvt_ring_free(&nic->rx);
	kvt_ring_free(&nic->tx);
	free(nic->rx_bufs);
	free(nic->tx_bufs);
	free(nic->tx_free);
	kvt_mem_free(&nic->mem);
}

void kvt_nic_restart(struct kvt_nic *nic)
{
	ASSERT_OK(kvt_net_backend(&nic->dev, 0, -1));
	ASSERT_OK(kvt_net_backend(&nic->dev, 1, -1));
	kvt_nic_reset_rx(nic);
	kvt_nic_reset_tx(nic);
	start(nic);
}

static void reap(struct kvt_nic *nic)
{
	uint32_t len;
	void *buf;

	while ((buf = kvt_ring_get(&nic->tx, NULL, &len))) {
		EXPECT_EQ(len, 0);	/* nothing is written to a sent frame */
		nic->tx_free[nic->nr_tx_free++] = buf;
	}
}

/* Cut @len bytes into @n pieces as even as they get. */
static unsigned int cut(struct kvt_sg *sg, struct kvt_sg all, unsigned int n)
{
	unsigned int i;

	if (n > all.len)
		n = all.len ? all.len : 1;
	for (i = 0; i < n; i++) {
		sg[i].gpa = all.gpa;
		sg[i].len = i + 1 < n ? all.len / (n - i) : all.len;
		all.gpa += sg[i].len;
		all.len -= sg[i].len;
	}
	return n;
}

bool kvt_nic_queue_raw(struct kvt_nic *nic, const void *bytes, uint32_t len)
{
	struct kvt_sg sg[KVT_INDIRECT_MAX];
	unsigned int n;
	uint8_t *buf;

	ASSERT(len <= nic->o.tx_buf, "frame of %u bytes", len);
	reap(nic);
	n = nic->o.pieces;
	while (!nic->nr_tx_free || !kvt_ring_fits(&nic->tx, n)) {
		kvt_ring_kick(&nic->tx);	/* what was queued */
		if (kvt_ring_wait(&nic->tx, 1, SEND_MS))
			return false;
		reap(nic);
	}
	buf = nic->tx_free[--nic->nr_tx_free];
	memcpy(buf, bytes, len);
	n = cut(sg, kvt_sg(&nic->mem, buf, len), n);
	kvt_ring_add(&nic->tx, sg, n, 0, buf);
	return true;
}

bool kvt_nic_send_raw(struct kvt_nic *nic, const void *bytes, uint32_t len)
{
	if (!kvt_nic_queue_raw(nic, bytes, len))
		return false;
	kvt_ring_kick(&nic->tx);
	return true;
}

bool kvt_nic_queue(struct kvt_nic *nic, const struct virtio_net_hdr *hdr,
		   const void *frame, uint32_t len)
{
	uint8_t bytes[KVT_HDR_MAX + 65536 + 64] = { 0 };

	ASSERT(len <= sizeof(bytes) - KVT_HDR_MAX, "frame of %u bytes", len);
	if (hdr)
		memcpy(bytes, hdr, sizeof(*hdr));
	memcpy(bytes + nic->hdr_len, frame, len);
	return kvt_nic_queue_raw(nic, bytes, nic->hdr_len + len);
}

bool kvt_nic_send(struct kvt_nic *nic, const struct virtio_net_hdr *hdr,
		  const void *frame, uint32_t len)
{
	if (!kvt_nic_queue(nic, hdr, frame, len))
		return false;
	kvt_ring_kick(&nic->tx);
	return true;
}

bool kvt_nic_drain(struct kvt_nic *nic, unsigned int ms)
{
	uint64_t deadline = kvt_deadline(ms);

	kvt_ring_kick(&nic->tx);
	for (;;) {
		reap(nic);
		if (nic->nr_tx_free == nic->nr_tx)
			return true;
		if (kvt_ring_wait(&nic->tx, 1,
				  (unsigned int)kvt_left(deadline)))
			return false;
	}
}

/*
 * Virtio 1 has the field also without mergeable buffers, and it must be 1
 * then (5.1.6.4.1); vhost-net before Linux 6.14 leaves it alone.
 */
static uint16_t num_buffers(const struct kvt_nic *nic, const uint8_t *hdr)
{
	bool mergeable = nic->o.features & KVT_F(VIRTIO_NET_F_MRG_RXBUF);
	uint16_t n;

	if (nic->hdr_len < 12)
		return 1;
	memcpy(&n, hdr + 10, sizeof(n));
	n = le16toh(n);
	if (!mergeable) {
		if (nic->ours)
			EXPECT_EQ(n, 1);
		return 1;
	}
	ASSERT(n >= 1 && n <= nic->o.num, "num_buffers %u", n);
	return n;
}

ssize_t kvt_nic_recv(struct kvt_nic *nic, struct virtio_net_hdr *hdr,
		     void *frame, size_t max, unsigned int ms)
{
	uint16_t left = 1, first = 1;
	uint32_t len, skip;
	size_t got = 0;
	uint8_t *buf;

	for (; left; left--, first = 0) {
		if (kvt_ring_wait(&nic->rx, 1, ms))
			return -ETIMEDOUT;
		buf = kvt_ring_get(&nic->rx, NULL, &len);
		ASSERT(len <= nic->o.rx_buf, "used length %u", len);
		skip = first ? nic->hdr_len : 0;
		ASSERT(len >= skip, "used length %u, shorter than header", len);
		if (first && hdr)
			memcpy(hdr, buf, sizeof(*hdr));
		if (first)
			left = num_buffers(nic, buf);
		ASSERT(got + len - skip <= max, "frame over %zu bytes", max);
		memcpy((uint8_t *)frame + got, buf + skip, len - skip);
		got += len - skip;
		rx_offer(nic, buf);
	}
	kvt_ring_kick(&nic->rx);
	return (ssize_t)got;
}

/* A frame of our own comes behind all the others. */
void kvt_nic_empty(struct kvt_nic *nic, int wire)
{
	static uint8_t got[65536];
	uint8_t last[60];
	ssize_t len;

	kvt_frame(last, sizeof(last), UINT32_MAX);
	ASSERT_EQ(write(wire, last, sizeof(last)), sizeof(last));
	do {
		len = kvt_nic_recv(nic, NULL, got, sizeof(got), RECV_MS);
		ASSERT(len >= 0, "the last frame does not come");
	} while (len != sizeof(last) || memcmp(got, last, sizeof(last)));
	while (kvt_wire_recv(wire, got, sizeof(got), 0) > 0)
		;
}

void kvt_frame(void *frame, uint32_t len, uint32_t seq)
{
	static const uint8_t head[14] = {
		0x02, 0, 0, 0, 0, 1,  0x02, 0, 0, 0, 0, 2,
		KVT_ETHERTYPE >> 8, KVT_ETHERTYPE & 0xff,
	};
	uint8_t *p = frame;
	uint64_t state = seq + 1;
	uint32_t i;

	memcpy(p, head, len < 14 ? len : 14);
	for (i = 14; i < len; i++)
		p[i] = (uint8_t)(kvt_rand(&state) >> 56);
}

void kvt_tcp_frame(void *frame, uint32_t len, uint32_t seq)
{
	uint8_t *p = frame;
	uint32_t sum, i;

	kvt_frame(p, len, seq);
	p[12] = ETH_P_IP >> 8;
	p[13] = ETH_P_IP & 0xff;
	memset(p + 14, 0, 40);
	p[14] = 0x45;
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
	p[22] = 64;
	p[23] = 6;
	memcpy(p + 26, "\x0a\0\0\1\x0a\0\0\2", 8);
	for (sum = 0, i = 14; i < 34; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	p[24] = (uint8_t)(~sum >> 8);
	p[25] = (uint8_t)~sum;
	p[46] = 0x50;
	p[47] = 0x10;	/* ACK */
	p[48] = 0xff;
	sum = 0x0a00 + 1 + 0x0a00 + 2 + 6 + (len - 34);
	sum = (sum & 0xffff) + (sum >> 16);
	p[50] = (uint8_t)(sum >> 8);
	p[51] = (uint8_t)sum;
}

struct virtio_net_hdr kvt_tso_hdr(uint16_t mss)
{
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = mss ? VIRTIO_NET_HDR_GSO_TCPV4 :
				  VIRTIO_NET_HDR_GSO_NONE,
		.hdr_len = KVT_TCP_HDRS, .gso_size = mss,
		.csum_start = 34, .csum_offset = 16,
	};
}

bool kvt_frame_ok(const void *frame, uint32_t len, uint32_t seq)
{
	uint8_t *want = malloc(len);
	bool same;

	ASSERT(want, "out of memory");
	kvt_frame(want, len, seq);
	same = !memcmp(want, frame, len);
	free(want);
	return same;
}

void kvt_nic_exchange(struct kvt_nic *nic, int wire, uint32_t len,
		      uint32_t seq)
{
	size_t room = len + 1;	/* one more than right */
	uint8_t *frame = malloc(room);

	ASSERT(frame, "out of memory");
	kvt_frame(frame, len, seq);
	ASSERT(kvt_nic_send(nic, NULL, frame, len), "send %u bytes", len);
	ASSERT_EQ(kvt_wire_recv(wire, frame, room, RECV_MS), len);
	ASSERT(kvt_frame_ok(frame, len, seq), "sent %u bytes changed", len);
	kvt_frame(frame, len, seq);
	ASSERT_EQ(write(wire, frame, len), len);
	ASSERT_EQ(kvt_nic_recv(nic, NULL, frame, room, RECV_MS), len);
	ASSERT(kvt_frame_ok(frame, len, seq), "received %u bytes changed",
	       len);
	free(frame);
}
