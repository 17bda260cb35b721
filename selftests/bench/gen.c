// SPDX-License-Identifier: GPL-2.0-only
/* Frames out of an interface; see gen.h. */
#include <linux/if_packet.h>
#include <net/if.h>

#include "gen.h"

void gen_open(struct gen *g, const char *ifname, uint32_t size, uint32_t burst)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int one = 1;
	uint32_t i;

	/* no protocol: it sends only */
	g->sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ASSERT(g->sock >= 0, "packet socket: %s", strerror(errno));
	ASSERT_OK(setsockopt(g->sock, SOL_PACKET, PACKET_QDISC_BYPASS, &one,
			     sizeof(one)));
	ASSERT_OK(bind(g->sock, (struct sockaddr *)&a, sizeof(a)));
	drv_frame(g->frame, size);
	g->iov = (struct iovec){ g->frame, size };
	g->msgs = calloc(burst, sizeof(*g->msgs));
	ASSERT(g->msgs, "out of memory");
	for (i = 0; i < burst; i++) {
		g->msgs[i].msg_hdr.msg_iov = &g->iov;
		g->msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

void gen_send(struct gen *g, uint32_t n)
{
	ASSERT_EQ(sendmmsg(g->sock, g->msgs, n, 0), n);
}
