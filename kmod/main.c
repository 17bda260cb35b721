// SPDX-License-Identifier: GPL-2.0-only
/* Module init and exit, undone in reverse; nothing else. */
#include <linux/init.h>
#include <linux/module.h>
#include <net/genetlink.h>

#include "kvasir.h"

static int __init kvs_init(void)
{
	int ret;

	ret = kvs_netlink_init();
	if (ret)
		return ret;
	ret = kvs_chardev_init();
	if (ret)
		kvs_netlink_exit();
	return ret;
}

static void __exit kvs_exit(void)
{
	kvs_chardev_exit();
	kvs_netlink_exit();
}

module_init(kvs_init);
module_exit(kvs_exit);

MODULE_DESCRIPTION("Kvasir: in-kernel virtio-net and virtio-blk backends");
MODULE_AUTHOR("The Kvasir developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS_GENL_FAMILY(KVASIR_GENL_NAME);
