// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module cannot be unloaded while anything uses it, can be as soon as
 * nothing does, and comes back working (U-14).
 */
#include "kvt_blk.h"
#include "kvt_module.h"
#include "kvt_net.h"

/* Unload must be possible now; leaves the module loaded again. */
static void unload_and_load(void)
{
	EXPECT_EQ(kvt_module_wait(0, 10000), 0);
	EXPECT_EQ(kvt_module_unload(), 0);
	EXPECT(access("/dev/kvasir-net", F_OK), "the net node is still there");
	EXPECT(access("/dev/kvasir-blk", F_OK), "the blk node is still there");
	ASSERT_EQ(kvt_module_load(), 0);
	close(kvt_node_open("/dev/kvasir-net"));
	close(kvt_node_open("/dev/kvasir-blk"));
}

static void refused(void)
{
	int users = kvt_module_users();

	EXPECT(users > 0, "%d users", users);
	EXPECT_EQ(kvt_module_unload(), -EWOULDBLOCK);
	EXPECT_EQ(kvt_module_users(), users);
}

TEST("U-14 refused with an open device, owned or not")
{
	int fd;

	kvt_module_need();
	fd = kvt_node_open("/dev/kvasir-net");
	refused();
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	refused();
	close(fd);
	fd = kvt_node_open("/dev/kvasir-blk");
	refused();
	close(fd);
	unload_and_load();
}

TEST("U-14 refused with a running net device, fine after close")
{
	struct kvt_nic_opts o = { .node = "/dev/kvasir-net",
				  .features = KVT_F(VIRTIO_F_VERSION_1) };
	struct kvt_nic nic;

	kvt_module_need();
	kvt_netns();
	o.sock = kvt_tap("tap0", 0, 12, 0);
	kvt_nic_open(&nic, &o);
	refused();
	kvt_nic_close(&nic);
	unload_and_load();
}

TEST("U-14 refused with a running disk, fine after close")
{
	struct kvt_disk d;

	kvt_module_need();
	kvt_disk_open(&d, 2, 64, KVT_F(VIRTIO_F_VERSION_1), 1 << 20);
	ASSERT_EQ(kvt_disk_backend(&d, kvt_file(1 << 20), 0, 0, NULL), 0);
	refused();
	kvt_disk_close(&d);
	unload_and_load();
}

TEST("loaded and unloaded 10 times, with a device in between")
{
	int i, fd;

	kvt_module_need();
	for (i = 0; i < 10; i++) {
		fd = kvt_node_open("/dev/kvasir-blk");
		ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
		close(fd);
		unload_and_load();
	}
}
