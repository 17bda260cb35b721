// SPDX-License-Identifier: GPL-2.0-only
/*
 * resize IF ENTRIES - set the sizes of a network card's rings, in a guest
 *
 * With virtio-net this resets its queues one by one (VIRTIO_F_RING_RESET).
 * Static: it is handed to the guest on a disk, and finds no libraries there.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct ethtool_ringparam p = { .cmd = ETHTOOL_GRINGPARAM };
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = { .ifr_data = (void *)&p };

	if (argc != 3 || s < 0)
		return 2;
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", argv[1]);
	if (ioctl(s, SIOCETHTOOL, &ifr)) {
		printf("resize: get: %s\n", strerror(errno));
		return 1;
	}
	p.cmd = ETHTOOL_SRINGPARAM;
	p.rx_pending = (unsigned int)atoi(argv[2]);
	p.tx_pending = p.rx_pending;
	if (ioctl(s, SIOCETHTOOL, &ifr)) {
		printf("resize: %u of %u: %s\n", p.rx_pending,
		       p.rx_max_pending, strerror(errno));
		return 1;
	}
	p.cmd = ETHTOOL_GRINGPARAM;
	if (ioctl(s, SIOCETHTOOL, &ifr))
		return 1;
	printf("resize: rx %u tx %u\n", p.rx_pending, p.tx_pending);
	return 0;
}
