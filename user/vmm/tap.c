// SPDX-License-Identifier: GPL-2.0-only
/*
 * H4: tap interfaces: made or opened by /dev/net/tun, set up and attached to
 * a bridge by rtnetlink (libnl-route).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "run.h"
#include "tap.h"

#define BIT(n)	(1ULL << (n))
#define TUN	"/dev/net/tun"
#define FRESH	"kvasir%d"	/* the kernel fills in a free number */

/* Linux 6.2 */
#ifndef TUN_F_USO4
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4	54
#define VIRTIO_NET_F_GUEST_USO6	55
#define VIRTIO_NET_F_HOST_USO	56
#endif

#define TUN_TSO		(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define TUN_USO		(TUN_F_USO4 | TUN_F_USO6)

struct tap {
	struct vm *vm;
	const char *label;
	char name[IFNAMSIZ];
	unsigned int nr;
	unsigned int active;
	int fd[TAP_MAX_QUEUES];
	bool uso;
	unsigned int mtu;
};

static int tap_err(struct tap *tap, int code, const char *what)
{
	return vmm_err_class(tap->vm, EXIT_TAP, code, "%s: tap %s: %s",
			     tap->label, tap->name, what);
}

/* ---- rtnetlink ---- */

/* A link by name; NULL and *ret = 0 if there is none. */
static struct rtnl_link *link_get(struct nl_sock *sk, const char *name,
				  int *ret)
{
	struct rtnl_link *link = NULL;
	int err = rtnl_link_get_kernel(sk, 0, name, &link);

	*ret = !err || err == -NLE_NODEV || err == -NLE_OBJ_NOTFOUND ? 0 : -EIO;
	return err ? NULL : link;
}

static bool link_is(struct rtnl_link *link, const char *type)
{
	const char *have = rtnl_link_get_type(link);

	return have && !strcmp(have, type);
}

/* Index of the bridge to attach to. */
static int bridge_index(struct tap *tap, struct nl_sock *sk, const char *name)
{
	struct rtnl_link *link;
	int ret;

	link = link_get(sk, name, &ret);
	if (!link)
		return vmm_err_class(tap->vm, EXIT_TAP, ret ? ret : -ENODEV,
				     "%s: no bridge %s (make one: ip link add %s type bridge)",
				     tap->label, name, name);
	if (link_is(link, "bridge"))
		ret = rtnl_link_get_ifindex(link);
	else
		ret = vmm_err_class(tap->vm, EXIT_TAP, -EINVAL,
				    "%s: %s is not a bridge", tap->label, name);
	rtnl_link_put(link);
	return ret;
}

/* Up, and member of @master (0: leave as it is). Nothing to do needs no
 * privilege.
 */
static int link_bring_up(struct tap *tap, struct nl_sock *sk,
			 struct rtnl_link *link, int master)
{
	struct rtnl_link *change;
	int err;

	if (rtnl_link_get_flags(link) & IFF_UP &&
	    (!master || rtnl_link_get_master(link) == master))
		return 0;
	change = rtnl_link_alloc();
	if (!change)
		return tap_err(tap, -ENOMEM, "out of memory");
	rtnl_link_set_flags(change, IFF_UP);
	if (master)
		rtnl_link_set_master(change, master);
	err = rtnl_link_change(sk, link, change, 0);
	rtnl_link_put(change);
	if (err == -NLE_PERM)
		return tap_err(tap, -EPERM,
			       "cannot be set up without CAP_NET_ADMIN");
	if (err)
		return vmm_err_class(tap->vm, EXIT_TAP, -EIO,
				     "%s: tap %s: cannot be set up: %s",
				     tap->label, tap->name, nl_geterror(err));
	return 0;
}

/* ---- /dev/net/tun ---- */

static int tun_errno(struct tap *tap, const char *what)
{
	switch (errno) {
	case EBUSY:
		return tap_err(tap, -EBUSY, "in use by another program");
	case EPERM:
	case EACCES:
		return tap_err(tap, -EPERM,
			       "no permission (needs CAP_NET_ADMIN, or an existing tap that belongs to you)");
	default:
		return vmm_err_class(tap->vm, EXIT_TAP, -errno,
				     "%s: tap %s: %s: %s", tap->label,
				     tap->name, what, strerror(errno));
	}
}

/* One more descriptor on the tap; the first one makes it if need be. */
static int queue_open(struct tap *tap, bool multi)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
			     (multi ? IFF_MULTI_QUEUE : 0),
	};
	int fd, err;

	fd = open(TUN, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, tap->name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	memcpy(tap->name, ifr.ifr_name, IFNAMSIZ);
	tap->fd[tap->nr++] = fd;
	return 0;
}

static int queues_open(struct tap *tap, unsigned int nr)
{
	int ret;

	ret = queue_open(tap, nr > 1);
	/* an existing tap insists on its own kind; one queue suits both */
	if (ret == -EINVAL && nr == 1)
		ret = queue_open(tap, true);
	else if (ret == -EINVAL)
		return tap_err(tap, ret,
			       "exists with a single queue (make it with multi_queue, or ask for queues=1)");
	while (!ret && tap->nr < nr)
		ret = queue_open(tap, true);
	if (ret == -ENOENT || ret == -ENODEV)
		return tap_err(tap, ret, "no " TUN " (modprobe tun)");
	errno = -ret;
	return ret ? tun_errno(tap, "TUNSETIFF") : 0;
}

static int queues_configure(struct tap *tap)
{
	int hdr = TAP_HDR_LEN;
	unsigned int i;

	for (i = 0; i < tap->nr; i++)
		if (ioctl(tap->fd[i], TUNSETVNETHDRSZ, &hdr) < 0)
			return tun_errno(tap, "TUNSETVNETHDRSZ");
	if (ioctl(tap->fd[0], TUNSETOFFLOAD, TUN_TSO) < 0)
		return tun_errno(tap, "TUNSETOFFLOAD");
	tap->uso = !ioctl(tap->fd[0], TUNSETOFFLOAD, TUN_TSO | TUN_USO);
	/* until a driver has said what it takes */
	tap->active = tap->nr;
	if (tap_set_offloads(tap, 0))
		return tun_errno(tap, "TUNSETOFFLOAD");
	if (tap_set_active(tap, 1))
		return tun_errno(tap, "TUNSETQUEUE");
	return 0;
}

/*
 * The interface named, should it exist, has to be a tap that nobody uses. The
 * kernel sees to the latter for single queues only: to a multi-queue tap in
 * use it would add ours. A tap has a carrier while somebody holds it.
 */
static int check_existing(struct tap *tap, struct nl_sock *sk)
{
	struct rtnl_link *link;
	int ret;

	link = link_get(sk, tap->name, &ret);
	if (!link)
		return ret ? tap_err(tap, ret, "cannot be looked up") : 0;
	if (!link_is(link, "tun"))
		ret = tap_err(tap, -EINVAL, "exists and is not a tap");
	else if (rtnl_link_get_carrier(link) == 1)
		ret = tap_err(tap, -EBUSY, "in use by another program");
	rtnl_link_put(link);
	return ret;
}

static int tap_setup(struct tap *tap, struct nl_sock *sk,
		     const struct net_opts *opts)
{
	struct rtnl_link *link;
	int master = 0, ret;

	if (opts->bridge[0]) {
		master = bridge_index(tap, sk, opts->bridge);
		if (master < 0)
			return master;
	}
	ret = opts->tap[0] ? check_existing(tap, sk) : 0;
	if (ret)
		return ret;
	ret = queues_open(tap, opts->queues);
	if (ret)
		return ret;
	ret = queues_configure(tap);
	if (ret)
		return ret;
	link = link_get(sk, tap->name, &ret);
	if (!link)
		return tap_err(tap, ret ? ret : -ENODEV, "vanished");
	tap->mtu = rtnl_link_get_mtu(link);
	ret = link_bring_up(tap, sk, link, master);
	rtnl_link_put(link);
	return ret;
}

int tap_open(struct vm *vm, const char *label, const struct net_opts *opts,
	     struct tap **out)
{
	struct nl_sock *sk;
	struct tap *tap;
	int ret;

	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return vmm_err(vm, -ENOMEM, "%s: out of memory", label);
	tap->vm = vm;
	tap->label = label;
	memcpy(tap->name, opts->tap[0] ? opts->tap : FRESH,
	       opts->tap[0] ? sizeof(opts->tap) : sizeof(FRESH));

	sk = nl_socket_alloc();
	if (!sk || nl_connect(sk, NETLINK_ROUTE))
		ret = tap_err(tap, -EIO, "cannot open a netlink socket");
	else
		ret = tap_setup(tap, sk, opts);
	nl_socket_free(sk);
	if (ret)
		tap_close(tap);
	else
		*out = tap;
	return ret;
}

void tap_close(struct tap *tap)
{
	if (!tap)
		return;
	while (tap->nr)
		close(tap->fd[--tap->nr]);
	free(tap);
}

const char *tap_name(const struct tap *tap)
{
	return tap->name;
}

int tap_fd(const struct tap *tap, unsigned int queue)
{
	return tap->fd[queue];
}

unsigned int tap_mtu(const struct tap *tap)
{
	return tap->mtu;
}

uint64_t tap_features(const struct tap *tap)
{
	uint64_t f = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
		     BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
		     BIT(VIRTIO_NET_F_GUEST_CSUM) |
		     BIT(VIRTIO_NET_F_GUEST_TSO4) |
		     BIT(VIRTIO_NET_F_GUEST_TSO6) |
		     BIT(VIRTIO_NET_F_GUEST_ECN);

	if (tap->uso)
		f |= BIT(VIRTIO_NET_F_HOST_USO) |
		     BIT(VIRTIO_NET_F_GUEST_USO4) |
		     BIT(VIRTIO_NET_F_GUEST_USO6);
	return f;
}

int tap_set_offloads(struct tap *tap, uint64_t f)
{
	const uint64_t uso = BIT(VIRTIO_NET_F_GUEST_USO4) |
			     BIT(VIRTIO_NET_F_GUEST_USO6);
	unsigned int flags = 0;

	/* all the others rest on the checksum (virtio 1.2, 5.1.3.1) */
	if (f & BIT(VIRTIO_NET_F_GUEST_CSUM)) {
		flags |= TUN_F_CSUM;
		if (f & BIT(VIRTIO_NET_F_GUEST_TSO4))
			flags |= TUN_F_TSO4;
		if (f & BIT(VIRTIO_NET_F_GUEST_TSO6))
			flags |= TUN_F_TSO6;
		if (flags & (TUN_F_TSO4 | TUN_F_TSO6) &&
		    f & BIT(VIRTIO_NET_F_GUEST_ECN))
			flags |= TUN_F_TSO_ECN;
		if ((f & uso) == uso)	/* tun knows both or none */
			flags |= TUN_USO;
	}
	return ioctl(tap->fd[0], TUNSETOFFLOAD, flags) < 0 ? -errno : 0;
}

int tap_set_active(struct tap *tap, unsigned int nr)
{
	struct ifreq ifr = { 0 };

	while (tap->active != nr) {
		bool attach = tap->active < nr;
		unsigned int i = attach ? tap->active : tap->active - 1;

		ifr.ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
		if (ioctl(tap->fd[i], TUNSETQUEUE, &ifr) < 0)
			return -errno;
		tap->active = attach ? i + 1 : i;
	}
	return 0;
}
