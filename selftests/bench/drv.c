// SPDX-License-Identifier: GPL-2.0-only
/* A lean network driver; see drv.h. */
#include <arpa/inet.h>
#include <endian.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/syscall.h>

#include "drv.h"

void drv_prepare(struct drv_nic *nic, const char *tap, uint16_t num,
		 uint32_t frame, uint64_t features)
{
	uint32_t i;

	memset(nic, 0, sizeof(*nic));
	nic->features = features;
	kvt_mem_init(&nic->mem, 2 * (size_t)num * (DRV_BUF_LEN + 64) +
		     (64 << 10), 1ull << 32);
	/* no page is touched for the first time while something is timed */
	memset(nic->mem.base, 0, nic->mem.size);
	nic->tap = kvt_tap(tap, 0, DRV_HDR_LEN, 0);
	nic->rx.flags = VRING_DESC_F_WRITE;
	nic->rx.len = DRV_BUF_LEN;
	nic->tx.len = DRV_HDR_LEN + frame;
	nic->rx.stride = DRV_BUF_LEN;
	nic->tx.stride = DRV_BUF_LEN;
	drv_ring_init(&nic->rx, &nic->mem, num, features, -1);
	drv_ring_init(&nic->tx, &nic->mem, num, features, -1);
	for (i = 0; i < num; i++)
		drv_frame(nic->tx.bufs + i * DRV_BUF_LEN + DRV_HDR_LEN, frame);
}

void drv_start(struct drv_nic *nic, const char *node)
{
	kvt_dev_init(&nic->dev, node, &nic->mem, nic->features);
	drv_ring_give(&nic->dev, 0, &nic->rx);
	drv_ring_give(&nic->dev, 1, &nic->tx);
	ASSERT_OK(kvt_net_backend(&nic->dev, 0, nic->tap));
	ASSERT_OK(kvt_net_backend(&nic->dev, 1, nic->tap));
}

void drv_close(struct drv_nic *nic)
{
	close(nic->dev.fd);
	close(nic->tap);
	close(nic->rx.kick);
	close(nic->rx.call);
	close(nic->tx.kick);
	close(nic->tx.call);
	kvt_mem_free(&nic->mem);
}

void drv_frame(void *frame, uint32_t len)
{
	static const uint8_t head[14] = {
		0x02, 0, 0, 0, 0, 1,  0x02, 0, 0, 0, 0, 2,
		KVT_ETHERTYPE >> 8, KVT_ETHERTYPE & 0xff,
	};

	memset(frame, 0x5a, len);
	memcpy(frame, head, sizeof(head));
}

void drv_check(const struct drv_ring *r, uint32_t frame)
{
	uint8_t want[DRV_BUF_LEN];
	uint32_t i, n = r->done < r->num ? r->done : r->num;

	drv_frame(want, frame);
	for (i = 0; i < n; i++)
		ASSERT(!memcmp(r->bufs + i * DRV_BUF_LEN + DRV_HDR_LEN, want,
			       frame), "buffer %u holds no frame", i);
	if (r->packed)
		return;
	for (i = 0; i < n; i++)
		ASSERT_EQ(le32toh(r->used->ring[i].id), i);
}

/* ---- a wire that drops ---- */

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

void drv_xdp_drop(const char *ifname)
{
	static const struct bpf_insn drop[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insn_cnt = sizeof(drop) / sizeof(drop[0]),
		.insns = (uintptr_t)drop,
		.license = (uintptr_t)"GPL",
	};
	union bpf_attr link = {
		.link_create = {
			.target_ifindex = if_nametoindex(ifname),
			.attach_type = BPF_XDP,
			.flags = XDP_FLAGS_DRV_MODE,
		},
	};

	link.link_create.prog_fd = (uint32_t)bpf(BPF_PROG_LOAD, &load);
	ASSERT((int)link.link_create.prog_fd >= 0, "BPF_PROG_LOAD: %s",
	       strerror(errno));
	/* attached for as long as this program runs */
	ASSERT_OK(bpf(BPF_LINK_CREATE, &link));
}
