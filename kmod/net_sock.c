// SPDX-License-Identifier: GPL-2.0-only
/*
 * H4: the lower device of a net queue: a tap, a macvtap or a packet socket,
 * recognised by type and never by what the caller says.
 */
#include <linux/file.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/skb_array.h>
#include <net/sock.h>
#include <net/xdp.h>

#include "net.h"

static struct socket *packet_get(int fd)
{
	struct socket *sock;
	int err;

	sock = sockfd_lookup(fd, &err);
	if (!sock)
		return ERR_PTR(-ENOTSOCK);
	if (sock->sk->sk_type != SOCK_RAW || sock->sk->sk_family != AF_PACKET) {
		sockfd_put(sock);
		return ERR_PTR(-EPFNOSUPPORT);
	}
	return sock;
}

static struct socket *tap_get(int fd, const char **kind)
{
	struct file *file = fget(fd);
	struct socket *sock;

	if (!file)
		return ERR_PTR(-EBADF);
	*kind = "tap";
	sock = tun_get_socket(file);
	if (IS_ERR(sock)) {
		*kind = "macvtap";
		sock = tap_get_socket(file);
	}
	if (IS_ERR(sock))
		fput(file);
	return sock;
}

/**
 * kvs_net_sock_get() - take a lower device by its descriptor
 * @fd: of the calling process
 * @kind: out: what it is, for people
 *
 * Return: a socket whose file is referenced, -EBADF, -ENOTSOCK for other
 * files, -EPFNOSUPPORT for other sockets.
 */
struct socket *kvs_net_sock_get(int fd, const char **kind)
{
	struct socket *sock;

	*kind = "packet";
	sock = packet_get(fd);
	if (!IS_ERR(sock) || PTR_ERR(sock) == -EPFNOSUPPORT)
		return sock;
	sock = tap_get(fd, kind);
	if (!IS_ERR(sock) || PTR_ERR(sock) == -EBADF)
		return sock;
	return ERR_PTR(-ENOTSOCK);
}

void kvs_net_sock_put(struct socket *sock)
{
	fput(sock->file);
}

/* The queue of frames behind a tap or macvtap, NULL for a packet socket. */
struct ptr_ring *kvs_net_sock_ring(struct socket *sock)
{
	struct ptr_ring *ring;

	ring = tun_get_tx_ring(sock->file);
	if (!IS_ERR(ring))
		return ring;
	ring = tap_get_ptr_ring(sock->file);
	return IS_ERR(ring) ? NULL : ring;
}

/* Is it a tap, which leaves transmit statistics to the ring's reader? */
bool kvs_net_sock_is_tap(struct socket *sock)
{
	return !IS_ERR(tun_get_tx_ring(sock->file));
}

/* Bytes of a frame from such a queue, VLAN tag included. */
u32 kvs_net_frame_len(void *frame)
{
	if (tun_is_xdp_frame(frame))
		return tun_ptr_to_xdp(frame)->len;
	return __skb_array_len_with_tag(frame);
}

void kvs_net_frame_free(void *frame)
{
	tun_ptr_free(frame);
}
