// SPDX-License-Identifier: GPL-2.0-only
/* Hand rings to a vhost node; see kvt_vhost.h. */
#include <fcntl.h>
#include <linux/virtio_config.h>

#include "kvt_vhost.h"

const char *kvt_net_node(void)
{
	return kvt_env("KVT_NET_NODE", "/dev/kvasir-net");
}

const char *kvt_blk_node(void)
{
	return kvt_env("KVT_BLK_NODE", "/dev/kvasir-blk");
}

bool kvt_ours(const char *node)
{
	return strstr(node, "kvasir") != NULL;
}

int kvt_node_open(const char *node)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		SKIP("no %s: load the module", node);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		SKIP("no permission for %s: run as root", node);
	ASSERT(fd >= 0, "open %s: %s", node, strerror(errno));
	return fd;
}

int kvt_set_mem(int fd, uint64_t gpa, uint64_t size, uint64_t hva)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region r[1];
	} t = {
		.head.nregions = 1,
		.r[0] = {
			.guest_phys_addr = gpa,
			.memory_size = size,
			.userspace_addr = hva,
		},
	};

	return ioctl(fd, VHOST_SET_MEM_TABLE, &t);
}

static bool kvt_iova(const struct kvt_dev *dev)
{
	return dev->features & KVT_F(VIRTIO_F_ACCESS_PLATFORM);
}

/* For people: the ring features by name, others by number. */
static void not_offered(const char *node, uint64_t missing)
{
	static const struct { unsigned int bit; const char *name; } known[] = {
		{ VIRTIO_RING_F_INDIRECT_DESC, "INDIRECT_DESC " },
		{ VIRTIO_RING_F_EVENT_IDX, "EVENT_IDX " },
		{ VIRTIO_F_RING_PACKED, "RING_PACKED " },
		{ VIRTIO_F_IN_ORDER, "IN_ORDER " },
		{ VIRTIO_F_RING_RESET, "RING_RESET " },
	};
	char text[128] = "";
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (missing & KVT_F(known[i].bit))
			strcat(text, known[i].name);
	SKIP("%s does not offer %s(0x%llx)", node, text,
	     (unsigned long long)missing);
}

void kvt_dev_init(struct kvt_dev *dev, const char *node, struct kvt_mem *mem,
		  uint64_t features)
{
	memset(dev, 0, sizeof(*dev));
	dev->mem = mem;
	dev->features = features;
	dev->fd = kvt_node_open(node);
	ASSERT_OK(ioctl(dev->fd, VHOST_SET_OWNER));
	ASSERT_OK(ioctl(dev->fd, VHOST_GET_FEATURES, &dev->offered));
	if (features & ~dev->offered)
		not_offered(node, features & ~dev->offered);
	ASSERT_OK(ioctl(dev->fd, VHOST_SET_FEATURES, &features));
	ASSERT_OK(kvt_set_mem(dev->fd, kvt_iova(dev) ? 0 : mem->gpa, mem->size,
			      (uint64_t)(uintptr_t)mem->base));
}

unsigned int kvt_ring_flags(uint64_t features)
{
	unsigned int flags = 0;

	if (features & KVT_F(VIRTIO_RING_F_EVENT_IDX))
		flags |= KVT_RING_EVENT_IDX;
	if (features & KVT_F(VIRTIO_RING_F_INDIRECT_DESC))
		flags |= KVT_RING_INDIRECT;
	if (!(features & KVT_F(VIRTIO_F_VERSION_1)))
		flags |= KVT_RING_LEGACY;
	if (features & KVT_F(VIRTIO_F_RING_PACKED))
		flags |= KVT_RING_PACKED;
	if (features & KVT_F(VIRTIO_F_IN_ORDER))
		flags |= KVT_RING_IN_ORDER;
	return flags;
}

int kvt_vring_num(int fd, unsigned int index, unsigned int num)
{
	struct vhost_vring_state s = { .index = index, .num = num };

	return ioctl(fd, VHOST_SET_VRING_NUM, &s);
}

int kvt_vring_base(int fd, unsigned int index, unsigned int base)
{
	struct vhost_vring_state s = { .index = index, .num = base };

	return ioctl(fd, VHOST_SET_VRING_BASE, &s);
}

int kvt_vring_addr(int fd, unsigned int index, const struct kvt_ring *ring)
{
	struct vhost_vring_addr a = {
		.index = index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
		.log_guest_addr = kvt_gpa(ring->mem, ring->used),
	};

	return ioctl(fd, VHOST_SET_VRING_ADDR, &a);
}

int kvt_vring_iova(int fd, unsigned int index, const struct kvt_ring *ring)
{
	struct vhost_vring_addr a = {
		.index = index,
		.desc_user_addr = kvt_gpa(ring->mem, ring->desc),
		.avail_user_addr = kvt_gpa(ring->mem, ring->avail),
		.used_user_addr = kvt_gpa(ring->mem, ring->used),
		.log_guest_addr = kvt_gpa(ring->mem, ring->used),
	};

	return ioctl(fd, VHOST_SET_VRING_ADDR, &a);
}

int kvt_vring_file(int fd, unsigned long request, unsigned int index, int file)
{
	struct vhost_vring_file f = { .index = index, .fd = file };

	return ioctl(fd, request, &f);
}

void kvt_vring_setup(struct kvt_dev *dev, unsigned int index,
		     const struct kvt_ring *ring)
{
	ASSERT_OK(kvt_vring_num(dev->fd, index, ring->num));
	ASSERT_OK(kvt_vring_base(dev->fd, index, kvt_ring_base(ring)));
	if (kvt_iova(dev))
		ASSERT_OK(kvt_vring_iova(dev->fd, index, ring));
	else
		ASSERT_OK(kvt_vring_addr(dev->fd, index, ring));
	ASSERT_OK(kvt_vring_file(dev->fd, VHOST_SET_VRING_KICK, index,
				 ring->kick));
	ASSERT_OK(kvt_vring_file(dev->fd, VHOST_SET_VRING_CALL, index,
				 ring->call));
	ASSERT_OK(kvt_vring_file(dev->fd, VHOST_SET_VRING_ERR, index,
				 ring->err));
}

int kvt_net_backend(const struct kvt_dev *dev, unsigned int index, int sock)
{
	return kvt_vring_file(dev->fd, VHOST_NET_SET_BACKEND, index, sock);
}
