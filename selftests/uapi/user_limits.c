// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one user can have the host hold (U-12): a number of devices, as many
 * workers as processes, and memory that is the user's control group's. The
 * users here have no privileges but the group of the nodes.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/kvasir.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kvt_blk.h"
#include "kvt_module.h"

#define NODES_GID	4242
#define USER		4242
#define OTHER_USER	4243
#define MAX_FDS		512

#define NET	"/dev/kvasir-net"
#define BLK	"/dev/kvasir-blk"

static const char *const nodes[] = { NET, BLK };

/* The nodes belong to a group, as the udev rule has it, until the end. */
static void nodes_restore(void)
{
	size_t i;

	for (i = 0; i < 2; i++)
		if (chmod(nodes[i], 0600) || chown(nodes[i], 0, 0))
			NOTE("%s: %s", nodes[i], strerror(errno));
}

static void nodes_share(void)
{
	size_t i;

	kvt_module_need();
	ASSERT_EQ(atexit(nodes_restore), 0);
	for (i = 0; i < 2; i++) {
		ASSERT_OK(chown(nodes[i], 0, NODES_GID));
		ASSERT_OK(chmod(nodes[i], 0660));
	}
}

static void limit(int resource, rlim_t n)
{
	struct rlimit r = { .rlim_cur = n, .rlim_max = n };

	ASSERT_OK(setrlimit(resource, &r));
}

static void become(uid_t uid)
{
	gid_t group = NODES_GID;

	ASSERT_OK(setgroups(1, &group));
	ASSERT_OK(setgid(uid));
	ASSERT_OK(setuid(uid));
}

struct user {
	uid_t uid;
	void (*fn)(void);
};

static void be_user(const void *arg)
{
	const struct user *user = arg;

	become(user->uid);
	user->fn();
}

/* Run @fn as a user; its failures are the test's. */
static void as_user(uid_t uid, void (*fn)(void))
{
	kvt_in_child(be_user, &(struct user){ uid, fn });
}

static int node_open(const char *node)
{
	return open(node, O_RDWR | O_CLOEXEC);
}

/* ---- devices ---- */

static void two_devices(void)
{
	int a = node_open(NET), b = node_open(BLK);

	EXPECT(a >= 0 && b >= 0, "open: %s", strerror(errno));
}

static void three_devices(void)
{
	int fd[3], i;

	for (i = 0; i < 3; i++) {
		fd[i] = node_open(nodes[i % 2]);
		EXPECT(fd[i] >= 0, "device %d: %s", i, strerror(errno));
	}
	EXPECT_ERR(node_open(NET), EMFILE);
	EXPECT_ERR(node_open(BLK), EMFILE);
	EXPECT_OK(close(fd[1]));
	EXPECT_OK(node_open(NET));
	EXPECT_ERR(node_open(BLK), EMFILE);
}

static void no_device(const void *arg)
{
	(void)arg;
	EXPECT_ERR(node_open(NET), EMFILE);
}

static void beside_another(void)
{
	three_devices();
	/* a child of the same user has no more of its own */
	kvt_in_child(no_device, NULL);
}

TEST("U-12 one user's devices are limited, another's and root's are not")
{
	int users, fd[5], i;

	nodes_share();
	kvt_param_set("max_user_devices", 3);
	users = kvt_module_users();
	for (i = 0; i < 5; i++) {
		fd[i] = node_open(nodes[i % 2]);
		EXPECT(fd[i] >= 0, "root's device %d: %s", i, strerror(errno));
	}
	as_user(USER, three_devices);
	as_user(OTHER_USER, two_devices);
	as_user(USER, beside_another);
	for (i = 0; i < 5; i++)
		close(fd[i]);
	EXPECT_EQ(kvt_module_wait(users, KVT_FREE_MS), users);
}

static void until_it_ends(void)
{
	unsigned int n = 0, max = kvt_param("max_user_devices");

	while (n <= max && node_open(nodes[n % 2]) >= 0)
		n++;
	EXPECT_EQ(errno, EMFILE);
	EXPECT_EQ(n, max);
}

TEST("U-12 devices without end")
{
	int users;

	nodes_share();
	users = kvt_module_users();
	limit(RLIMIT_NOFILE, 100000);
	as_user(USER, until_it_ends);
	EXPECT_EQ(kvt_module_wait(users, KVT_FREE_MS), users);
}

/* ---- workers ---- */

static int new_worker(int fd)
{
	struct vhost_worker_state s = { 0 };

	return ioctl(fd, VHOST_NEW_WORKER, &s);
}

static int owned(const char *node)
{
	int fd = node_open(node);

	ASSERT(fd >= 0, "%s: %s", node, strerror(errno));
	ASSERT_OK(ioctl(fd, VHOST_SET_OWNER));
	return fd;
}

static void five_workers(void)
{
	struct vhost_worker_state s = { 0 };
	int net, blk, i;

	limit(RLIMIT_NPROC, 5);
	blk = owned(BLK);
	net = owned(NET);		/* has one */
	for (i = 0; i < 4; i++)
		EXPECT_OK(new_worker(blk));
	EXPECT_ERR(new_worker(blk), EAGAIN);
	EXPECT_ERR(new_worker(net), EAGAIN);
	EXPECT_OK(ioctl(blk, VHOST_FREE_WORKER, &s));
	EXPECT_OK(new_worker(net));
	EXPECT_ERR(new_worker(net), EAGAIN);
	/* without any it is not owned, and can be later */
	i = node_open(NET);
	EXPECT_ERR(ioctl(i, VHOST_SET_OWNER), EAGAIN);
	EXPECT_OK(ioctl(net, VHOST_RESET_OWNER));
	EXPECT_OK(ioctl(i, VHOST_SET_OWNER));
}

TEST("U-12 workers are limited like processes")
{
	int blk, i;

	nodes_share();
	as_user(USER, five_workers);
	/* all were given back */
	as_user(USER, five_workers);
	limit(RLIMIT_NPROC, 5);
	blk = owned(BLK);
	for (i = 0; i < 10; i++)
		EXPECT_OK(new_worker(blk));
}

/* ---- memory ---- */

#define GROUP	"/sys/fs/cgroup/kvt-limits"
#define DEVICES	64u
#define LEAST	(32u << 10)	/* of memory, for a blk device */

static long current_bytes(void)
{
	FILE *f = fopen(GROUP "/memory.current", "re");
	long n = 0;

	ASSERT(f, GROUP "/memory.current: %s", strerror(errno));
	ASSERT_EQ(fscanf(f, "%ld", &n), 1);
	fclose(f);
	return n;
}

static void many_devices(void)
{
	long before = current_bytes(), after;
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		EXPECT(node_open(BLK) >= 0, "device %u: %s", i,
		       strerror(errno));
	after = current_bytes();
	NOTE("%ld bytes for a device", (after - before) / (long)DEVICES);
	EXPECT(after - before > (long)(DEVICES * LEAST),
	       "%u devices: %ld bytes were charged", DEVICES, after - before);
}

TEST("U-12 a device's memory is charged to who opens it")
{
	nodes_share();
	if (!kvt_run("cd /sys/fs/cgroup && echo +memory >cgroup.subtree_control && mkdir -p " GROUP
		     " && echo %d >" GROUP "/cgroup.procs", getpid()))
		SKIP("no memory controller of cgroup2 at /sys/fs/cgroup");
	as_user(USER, many_devices);
	kvt_run("cd /sys/fs/cgroup && echo %d >cgroup.procs && echo $$ >cgroup.procs && rmdir " GROUP,
		getpid());
}

TEST("U-12 without a right to locked memory, as any direct I/O")
{
	uint8_t buf[4096] = { 1 };
	struct kvt_disk d;

	kvt_disk_open(&d, 1, 64, KVT_F(VIRTIO_F_VERSION_1), 1u << 20);
	become(USER);
	limit(RLIMIT_MEMLOCK, 0);
	ASSERT_EQ(kvt_disk_backend(&d, kvt_file(1 << 20), 0, 0, NULL), 0);
	EXPECT_EQ(kvt_disk_io(&d, 0, VIRTIO_BLK_T_OUT, 8, buf, sizeof(buf)),
		  VIRTIO_BLK_S_OK);
	kvt_disk_close(&d);
}
