// SPDX-License-Identifier: GPL-2.0-only
/*
 * libkvasir without a module: size-first structures, what each ioctl is given,
 * what is undone when one fails, errors of nodes that are no backend.
 *
 * ioctl() is our own here: on FAKE_NODE it plays a backend that records what
 * it is asked and fails where the test says; elsewhere it is the kernel's.
 */
#include <ctype.h>
#include <fcntl.h>
#include <linux/kvasir.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "kvt.h"
#include "kvasir.h"

#define FAKE_NODE "/dev/zero"	/* any node that opens for writing */
#define MAX_CALLS 64

/* ---- the fake backend ---- */

struct call {
	unsigned long request;
	union {
		struct vhost_vring_state state;
		struct vhost_vring_file file;
		struct vhost_vring_addr addr;
		struct kvasir_blk_backend blk;
		__u64 bits;
		struct {
			struct vhost_memory head;
			struct vhost_memory_region regions[4];
		} mem;
	} arg;
};

static struct {
	bool on;
	unsigned long fail_request;
	int fail_errno;
	struct call calls[MAX_CALLS];
	unsigned int nr;
} fake;

static size_t arg_size(unsigned long request, const void *arg)
{
	const struct vhost_memory *mem = arg;

	switch (request) {
	case VHOST_SET_OWNER:
		return 0;
	case VHOST_SET_MEM_TABLE:
		return sizeof(*mem) + mem->nregions * sizeof(mem->regions[0]);
	default:
		return _IOC_SIZE(request);
	}
}

static int fake_ioctl(unsigned long request, void *arg)
{
	struct call *call = &fake.calls[fake.nr];
	struct kvasir_blk_backend *blk = arg;

	ASSERT(fake.nr < MAX_CALLS, "too many ioctls");
	ASSERT(arg_size(request, arg) <= sizeof(call->arg), "0x%lx", request);
	fake.nr++;
	call->request = request;
	if (arg_size(request, arg))
		memcpy(&call->arg, arg, arg_size(request, arg));
	if (request == fake.fail_request) {
		errno = fake.fail_errno;
		return -1;
	}
	if (request == VHOST_GET_FEATURES)
		*(__u64 *)arg = 0x123456789abcdef0;
	if (request == VHOST_GET_VRING_BASE)
		((struct vhost_vring_state *)arg)->num = 0xbeef;
	if (request == KVASIR_BLK_SET_BACKEND && blk->fd >= 0) {
		blk->capacity = 2048;
		blk->max_discard_sectors = 7;
		blk->max_write_zeroes_sectors = 9;
	}
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fake.on)
		return fake_ioctl(request, arg);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static struct kvasir_dev *fake_open(enum kvasir_type type)
{
	struct kvasir_open_opts KVASIR_OPTS(o, .path = FAKE_NODE);
	struct kvasir_dev *dev = NULL;

	fake.on = true;
	fake.fail_request = 0;
	fake.nr = 0;
	ASSERT_EQ(kvasir_open(type, &o, &dev), 0);
	ASSERT_EQ(fake.nr, 1);
	ASSERT_EQ(fake.calls[0].request, VHOST_SET_OWNER);
	fake.nr = 0;
	return dev;
}

static void fake_fail(unsigned long request, int err)
{
	fake.fail_request = request;
	fake.fail_errno = err;
	fake.nr = 0;
}

static unsigned int nr_fds(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- opening ---- */

static unsigned int nr_logged;

static void count_log(void *ctx, enum kvasir_log_level level, const char *msg)
{
	EXPECT(ctx == &nr_logged, "context %p", ctx);
	EXPECT_EQ(level, KVASIR_LOG_ERROR);
	EXPECT(*msg && !strchr(msg, '\n'), "\"%s\"", msg);
	nr_logged++;
}

static int open_path(const char *path)
{
	struct kvasir_open_opts KVASIR_OPTS(o, .path = path,
					    .log = count_log,
					    .log_ctx = &nr_logged);
	struct kvasir_dev *dev = NULL;
	unsigned int fds = nr_fds();
	int ret;

	nr_logged = 0;
	ret = kvasir_open(KVASIR_NET, &o, &dev);
	EXPECT(ret < 0 && !dev, "%s opened", path);
	EXPECT_EQ(nr_fds(), fds);
	EXPECT_EQ(nr_logged, 1);
	return ret;
}

TEST("nodes that are no backend: ENOENT, ENOTTY, EISDIR, ENXIO, EACCES")
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/kvt-lib-XXXXXX";
	char path[64];
	int fd;

	ASSERT(mkdtemp(dir), "mkdtemp");
	EXPECT_EQ(open_path("/dev/kvt-there-is-no-such-node"), -ENOENT);
	EXPECT_EQ(open_path("/dev/null"), -ENOTTY);
	EXPECT_EQ(open_path(dir), -EISDIR);

	snprintf(path, sizeof(path), "%s/sock", dir);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_OK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	EXPECT_EQ(open_path(path), -ENXIO);
	unlink(path);
	close(fd);

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0);
	close(fd);
	if (!getuid()) {
		ASSERT_OK(chmod(dir, 0755));
		ASSERT_OK(setegid(65534));
		ASSERT_OK(seteuid(65534));
	}
	EXPECT_EQ(open_path(path), -EACCES);
	if (!getuid())
		ASSERT_OK(seteuid(0));
	unlink(path);
	rmdir(dir);
}

TEST("bad arguments are EINVAL and touch nothing")
{
	struct kvasir_open_opts KVASIR_OPTS(o, .path = FAKE_NODE);
	struct kvasir_region region = { 0 };
	struct kvasir_dev *net, *blk, *dev = NULL;
	uint32_t base;

	EXPECT_EQ(kvasir_open(0, &o, &dev), -EINVAL);
	EXPECT_EQ(kvasir_open(3, &o, &dev), -EINVAL);
	EXPECT_EQ(kvasir_open(KVASIR_NET, &o, NULL), -EINVAL);
	EXPECT_EQ(kvasir_fd(NULL), -EINVAL);
	EXPECT_EQ(kvasir_get_features(NULL, NULL), -EINVAL);
	EXPECT_EQ(kvasir_set_features(NULL, 0), -EINVAL);
	EXPECT_EQ(kvasir_set_memory(NULL, &region, 1), -EINVAL);
	EXPECT_EQ(kvasir_queue_setup(NULL, NULL), -EINVAL);
	EXPECT_EQ(kvasir_net_start(NULL, 0, 0), -EINVAL);
	EXPECT_EQ(kvasir_blk_stop(NULL), -EINVAL);
	EXPECT_EQ(kvasir_list_devs(NULL, NULL), -EINVAL);
	EXPECT_EQ(kvasir_list_queues(UINT32_MAX, NULL, NULL), -EINVAL);
	EXPECT_EQ(kvasir_module_status(NULL), -EINVAL);
	kvasir_close(NULL);

	net = fake_open(KVASIR_NET);
	EXPECT_EQ(kvasir_get_features(net, NULL), -EINVAL);
	EXPECT_EQ(kvasir_set_memory(net, NULL, 1), -EINVAL);
	EXPECT_EQ(kvasir_set_memory(net, &region, 513), -EINVAL);
	EXPECT_EQ(kvasir_queue_setup(net, NULL), -EINVAL);
	EXPECT_EQ(kvasir_queue_set_call(net, 0, -2), -EINVAL);
	EXPECT_EQ(kvasir_queue_get_base(net, 0, NULL), -EINVAL);
	EXPECT_EQ(kvasir_net_start(net, 64, 0), -EINVAL);
	EXPECT_EQ(kvasir_net_start(net, 0, -1), -EBADF);
	EXPECT_EQ(kvasir_blk_start(net, NULL, NULL), -EINVAL);
	EXPECT_EQ(kvasir_blk_stop(net), -EINVAL);
	EXPECT_EQ(fake.nr, 0);
	kvasir_close(net);

	blk = fake_open(KVASIR_BLK);
	EXPECT_EQ(kvasir_net_start(blk, 0, 0), -EINVAL);
	EXPECT_EQ(kvasir_net_stop(blk, 0), -EINVAL);
	EXPECT_EQ(kvasir_blk_start(blk, NULL, NULL), -EINVAL);
	EXPECT_EQ(fake.nr, 0);
	EXPECT_EQ(kvasir_queue_get_base(blk, 0, &base), 0);
	EXPECT_EQ(base, 0xbeef);
	kvasir_close(blk);
}

TEST("a failed VHOST_SET_OWNER leaves no descriptor")
{
	struct kvasir_open_opts KVASIR_OPTS(o, .path = FAKE_NODE);
	struct kvasir_dev *dev = NULL;
	unsigned int fds = nr_fds();

	fake.on = true;
	fake_fail(VHOST_SET_OWNER, EBUSY);
	EXPECT_EQ(kvasir_open(KVASIR_NET, &o, &dev), -EBUSY);
	EXPECT(!dev, "a handle");
	EXPECT_EQ(nr_fds(), fds);
}

/* ---- size-first structures ---- */

struct newer_opts {
	struct kvasir_open_opts o;
	char more[16];
};

TEST("a shorter structure is EINVAL, a longer one must end in zeroes")
{
	struct newer_opts new = { .o.sz = sizeof(new), .o.path = FAKE_NODE };
	struct kvasir_dev *dev = NULL;
	size_t sz;

	fake.on = true;
	for (sz = 0; sz < sizeof(new.o); sz++) {
		new.o.sz = sz;
		EXPECT_EQ(kvasir_open(KVASIR_NET, &new.o, &dev), -EINVAL);
	}
	new.o.sz = sizeof(new);
	for (sz = 0; sz < sizeof(new.more); sz++) {
		new.more[sz] = 1;
		EXPECT_EQ(kvasir_open(KVASIR_NET, &new.o, &dev), -E2BIG);
		new.more[sz] = 0;
	}
	ASSERT_EQ(kvasir_open(KVASIR_NET, &new.o, &dev), 0);
	kvasir_close(dev);
}

TEST("a longer result structure is zeroed behind what is known")
{
	struct {
		struct kvasir_module_info info;
		unsigned char more[16];
		unsigned char guard;
	} new;
	unsigned int i;

	memset(&new, 0xa5, sizeof(new));
	new.info.sz = sizeof(new.info) + sizeof(new.more);
	ASSERT_EQ(kvasir_module_status(&new.info), 0);
	EXPECT_EQ(new.info.sz, sizeof(new.info) + sizeof(new.more));
	for (i = 0; i < sizeof(new.more); i++)
		EXPECT_EQ(new.more[i], 0);
	EXPECT_EQ(new.guard, 0xa5);
	new.info.sz = sizeof(new.info) - 1;
	EXPECT_EQ(kvasir_module_status(&new.info), -EINVAL);
}

/* ---- what the ioctls are given ---- */

TEST("features and the memory table arrive as given")
{
	struct kvasir_region regions[2] = {
		{ .gpa = 0, .size = 0x1000, .hva = 0x10000 },
		{ .gpa = 0x100000000, .size = 0x2000, .hva = 0x20000 },
	};
	struct kvasir_dev *dev = fake_open(KVASIR_NET);
	struct vhost_memory_region *r = fake.calls[2].arg.mem.regions;
	uint64_t bits = 0;

	EXPECT_EQ(kvasir_get_features(dev, &bits), 0);
	EXPECT_EQ(bits, 0x123456789abcdef0);
	EXPECT_EQ(kvasir_set_features(dev, 0xf00000000000000f), 0);
	EXPECT_EQ(fake.calls[1].request, VHOST_SET_FEATURES);
	EXPECT_EQ(fake.calls[1].arg.bits, 0xf00000000000000f);
	EXPECT_EQ(kvasir_set_memory(dev, regions, 2), 0);
	EXPECT_EQ(fake.calls[2].request, VHOST_SET_MEM_TABLE);
	EXPECT_EQ(fake.calls[2].arg.mem.head.nregions, 2);
	EXPECT_EQ(r[1].guest_phys_addr, 0x100000000);
	EXPECT_EQ(r[1].memory_size, 0x2000);
	EXPECT_EQ(r[1].userspace_addr, 0x20000);
	EXPECT_EQ(r[1].flags_padding, 0);
	EXPECT_EQ(kvasir_set_memory(dev, NULL, 0), 0);
	EXPECT_EQ(fake.calls[3].arg.mem.head.nregions, 0);
	kvasir_close(dev);
}

static const struct kvasir_queue_opts queue = {
	.sz = sizeof(queue), .index = 3, .num = 256, .base = 17,
	.kick_fd = 100, .call_fd = 101, .err_fd = -1,
	.desc = 0x1000, .avail = 0x2000, .used = 0x3000, .used_gpa = 0x4000,
};

TEST("a queue is set up in order, the kick last")
{
	static const unsigned long order[] = {
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE,
		VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ERR,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK,
	};
	struct kvasir_dev *dev = fake_open(KVASIR_NET);
	struct kvasir_queue_opts logged = queue;
	unsigned int i;

	ASSERT_EQ(kvasir_queue_setup(dev, &queue), 0);
	ASSERT_EQ(fake.nr, 6);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(fake.calls[i].request, order[i]);
		EXPECT_EQ(fake.calls[i].arg.state.index, 3);
	}
	EXPECT_EQ(fake.calls[0].arg.state.num, 256);
	EXPECT_EQ(fake.calls[1].arg.state.num, 17);
	EXPECT_EQ(fake.calls[2].arg.addr.flags, 0);
	EXPECT_EQ(fake.calls[2].arg.addr.desc_user_addr, 0x1000);
	EXPECT_EQ(fake.calls[2].arg.addr.avail_user_addr, 0x2000);
	EXPECT_EQ(fake.calls[2].arg.addr.used_user_addr, 0x3000);
	EXPECT_EQ(fake.calls[2].arg.addr.log_guest_addr, 0);
	EXPECT_EQ(fake.calls[3].arg.file.fd, -1);
	EXPECT_EQ(fake.calls[4].arg.file.fd, 101);
	EXPECT_EQ(fake.calls[5].arg.file.fd, 100);

	logged.log = true;
	fake.nr = 0;
	ASSERT_EQ(kvasir_queue_setup(dev, &logged), 0);
	EXPECT_EQ(fake.calls[2].arg.addr.flags, 1 << VHOST_VRING_F_LOG);
	EXPECT_EQ(fake.calls[2].arg.addr.log_guest_addr, 0x4000);
	kvasir_close(dev);
}

TEST("a queue that cannot be set up keeps no eventfd")
{
	struct kvasir_dev *dev = fake_open(KVASIR_NET);
	struct kvasir_queue_opts bad = queue;

	fake_fail(VHOST_SET_VRING_NUM, EBUSY);
	EXPECT_EQ(kvasir_queue_setup(dev, &queue), -EBUSY);
	EXPECT_EQ(fake.nr, 1);

	fake_fail(VHOST_SET_VRING_KICK, EINVAL);
	EXPECT_EQ(kvasir_queue_setup(dev, &queue), -EINVAL);
	ASSERT_EQ(fake.nr, 8);
	EXPECT_EQ(fake.calls[6].request, VHOST_SET_VRING_CALL);
	EXPECT_EQ(fake.calls[6].arg.file.fd, -1);
	EXPECT_EQ(fake.calls[7].request, VHOST_SET_VRING_ERR);
	EXPECT_EQ(fake.calls[7].arg.file.fd, -1);

	fake_fail(0, 0);
	bad.kick_fd = -1;
	EXPECT_EQ(kvasir_queue_setup(dev, &bad), -EINVAL);
	EXPECT_EQ(fake.nr, 0);
	kvasir_close(dev);
}

TEST("closing stops the queues that run, and only those")
{
	struct kvasir_dev *dev = fake_open(KVASIR_NET);

	EXPECT_EQ(kvasir_net_start(dev, 0, 5), 0);
	EXPECT_EQ(fake.calls[0].request, VHOST_NET_SET_BACKEND);
	EXPECT_EQ(fake.calls[0].arg.file.fd, 5);
	EXPECT_EQ(kvasir_net_start(dev, 1, 5), 0);
	EXPECT_EQ(kvasir_net_stop(dev, 0), 0);
	fake_fail(VHOST_NET_SET_BACKEND, EBUSY);
	EXPECT_EQ(kvasir_net_start(dev, 2, 5), -EBUSY);
	fake.nr = 0;
	kvasir_close(dev);	/* ends although stopping fails */
	ASSERT_EQ(fake.nr, 1);
	EXPECT_EQ(fake.calls[0].arg.file.index, 1);
	EXPECT_EQ(fake.calls[0].arg.file.fd, -1);
}

TEST("a disk goes in, its size comes out")
{
	struct kvasir_dev *dev = fake_open(KVASIR_BLK);
	struct kvasir_blk_opts KVASIR_OPTS(o, .fd = 9, .readonly = true,
					   .logical_block_size = 4096,
					   .serial = "12345678901234567890");
	struct kvasir_blk_info KVASIR_OPTS(info);
	struct kvasir_blk_backend *arg = &fake.calls[0].arg.blk;

	ASSERT_EQ(kvasir_blk_start(dev, &o, &info), 0);
	EXPECT_EQ(arg->size, sizeof(*arg));
	EXPECT_EQ(arg->fd, 9);
	EXPECT_EQ(arg->flags, KVASIR_BLK_F_READONLY);
	EXPECT_EQ(arg->logical_block_size, 4096);
	EXPECT(!memcmp(arg->serial, o.serial, 20), "serial");
	EXPECT_EQ(arg->timeout_ms, 0);
	EXPECT_EQ(info.capacity, 2048);
	EXPECT_EQ(info.max_discard_sectors, 7);
	EXPECT_EQ(info.max_write_zeroes_sectors, 9);
	fake.nr = 0;
	kvasir_close(dev);
	ASSERT_EQ(fake.nr, 1);
	EXPECT_EQ(arg->fd, -1);

	dev = fake_open(KVASIR_BLK);
	o.serial = "123456789012345678901";
	EXPECT_EQ(kvasir_blk_start(dev, &o, NULL), -EINVAL);
	o.serial = NULL;
	o.fd = -1;
	EXPECT_EQ(kvasir_blk_start(dev, &o, NULL), -EBADF);
	info.sz = offsetof(struct kvasir_blk_info, physical_block_size) - 1;
	o.fd = 9;
	EXPECT_EQ(kvasir_blk_start(dev, &o, &info), -EINVAL);
	EXPECT_EQ(fake.nr, 0);
	kvasir_close(dev);
	EXPECT_EQ(fake.nr, 0);
}

/* ---- the rest ---- */

TEST("every counter has a name of its own")
{
	const char *name, *other;
	unsigned int c, d;
	const char *p;

	for (c = 1; c <= KVASIR_C_MAX; c++) {
		name = kvasir_counter_name(c);
		ASSERT(name && *name, "counter %u", c);
		for (p = name; *p; p++)
			EXPECT(islower(*p) || *p == '-', "\"%s\"", name);
		for (d = 1; d < c; d++) {
			other = kvasir_counter_name(d);
			EXPECT(strcmp(name, other), "\"%s\" twice", name);
		}
	}
	EXPECT(!kvasir_counter_name(0), "a name for 0");
	EXPECT(!kvasir_counter_name(KVASIR_C_MAX + 1), "a name past the last");
	EXPECT(!kvasir_counter_name(UINT32_MAX), "a name for UINT32_MAX");
}

TEST("the version is the header's")
{
	char want[32];

	snprintf(want, sizeof(want), "%d.%d.%d", KVASIR_VERSION_MAJOR,
		 KVASIR_VERSION_MINOR, KVASIR_VERSION_PATCH);
	EXPECT(!strcmp(kvasir_version(), want), "%s", kvasir_version());
}

static int no_dev(const struct kvasir_dev_info *info, void *ctx)
{
	(void)ctx;
	kvt_fail(false, __FILE__, __LINE__, "device", "%u", info->id);
	return 0;
}

TEST("without the module: lists and unload are ENOENT, load of no file too")
{
	struct kvasir_module_info KVASIR_OPTS(info);
	struct kvasir_module_opts KVASIR_OPTS(o, .path = "/nonexistent.ko");

	ASSERT_EQ(kvasir_module_status(&info), 0);
	if (info.loaded)
		SKIP("the module is loaded");
	EXPECT_EQ(kvasir_list_devs(no_dev, NULL), -ENOENT);
	EXPECT_EQ(kvasir_module_unload(NULL), -ENOENT);
	EXPECT_EQ(kvasir_module_load(&o), -ENOENT);
	o.sz = 1;
	EXPECT_EQ(kvasir_module_load(&o), -EINVAL);
}
