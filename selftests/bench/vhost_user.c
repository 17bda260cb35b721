// SPDX-License-Identifier: GPL-2.0-only
/* vhost-user, as QEMU's docs/interop/vhost-user.rst has it; see vhost_user.h. */
#include <sys/socket.h>
#include <sys/un.h>

#include "vhost_user.h"

#define VERSION		1u
#define IS_REPLY	4u

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
};

struct vu_memory {
	uint32_t nregions, padding;
	uint64_t gpa, size, hva, offset;
};

struct vu_msg {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct vu_memory memory;
	};
} __attribute__((packed));

#define HEAD offsetof(struct vu_msg, u64)

/* @file: a descriptor that goes along, or -1 */
static void tell(int sock, uint32_t request, const void *body, uint32_t size,
		 int file)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct vu_msg m = { request, VERSION, size, { 0 } };
	struct iovec iov = { &m, HEAD + size };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (size)
		memcpy((char *)&m + HEAD, body, size);
	if (file >= 0) {
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &file, sizeof(file));
	}
	ASSERT_EQ(sendmsg(sock, &h, MSG_NOSIGNAL), HEAD + size);
}

static uint64_t get_features(int sock)
{
	struct vu_msg m;

	tell(sock, GET_FEATURES, NULL, 0, -1);
	ASSERT_EQ(recv(sock, &m, HEAD + 8, MSG_WAITALL), HEAD + 8);
	ASSERT(m.request == GET_FEATURES && m.flags & IS_REPLY && m.size == 8,
	       "reply %u to GET_FEATURES", m.request);
	return m.u64;
}

void vu_sync(int sock)
{
	get_features(sock);
}

int vu_open(const char *path, const struct kvt_mem *mem, uint64_t features)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct vu_memory t = {
		.nregions = 1,
		.gpa = mem->gpa,
		.size = mem->size,
		.hva = (uintptr_t)mem->base,
	};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t offered;

	ASSERT(strlen(path) < sizeof(a.sun_path), "%s: too long", path);
	strcpy(a.sun_path, path);
	if (connect(sock, (struct sockaddr *)&a, sizeof(a)))
		SKIP("connect to %s: %s", path, strerror(errno));
	offered = get_features(sock);
	if (features & ~offered)
		SKIP("%s does not offer feature bits 0x%llx", path,
		     (unsigned long long)(features & ~offered));
	tell(sock, SET_OWNER, NULL, 0, -1);
	tell(sock, SET_FEATURES, &features, sizeof(features), -1);
	tell(sock, SET_MEM_TABLE, &t, sizeof(t), mem->fd);
	return sock;
}

void vu_ring(int sock, unsigned int index, const struct drv_ring *r)
{
	struct vhost_vring_state num = { index, r->num }, base = { index, 0 };
	struct vhost_vring_addr addr = drv_ring_addr(r, index);
	uint64_t which = index;

	tell(sock, SET_VRING_NUM, &num, sizeof(num), -1);
	tell(sock, SET_VRING_BASE, &base, sizeof(base), -1);
	tell(sock, SET_VRING_ADDR, &addr, sizeof(addr), -1);
	tell(sock, SET_VRING_CALL, &which, sizeof(which), r->call);
	tell(sock, SET_VRING_KICK, &which, sizeof(which), r->kick);
}
