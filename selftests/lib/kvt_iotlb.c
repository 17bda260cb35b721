// SPDX-License-Identifier: GPL-2.0-only
/* The VMM's side of a virtual IOMMU; see kvt_iotlb.h. */
#include <poll.h>
#include <sys/mman.h>

#include "kvt_iotlb.h"

#define PAGE KVT_IOTLB_PAGE

ssize_t kvt_iotlb_msg(int fd, bool v2, uint8_t type, uint64_t iova,
		      uint64_t size, uint64_t uaddr, uint8_t perm)
{
	struct vhost_msg_v2 m2 = { .type = VHOST_IOTLB_MSG_V2 };
	struct vhost_msg m1 = { .type = VHOST_IOTLB_MSG };

	m1.iotlb.type = type;
	m1.iotlb.iova = iova;
	m1.iotlb.size = size;
	m1.iotlb.uaddr = uaddr;
	m1.iotlb.perm = perm;
	m2.iotlb = m1.iotlb;
	return v2 ? write(fd, &m2, sizeof(m2)) : write(fd, &m1, sizeof(m1));
}

int kvt_iotlb_update(int fd, uint64_t iova, uint64_t size, const void *p,
		     uint8_t perm)
{
	ssize_t n = kvt_iotlb_msg(fd, true, VHOST_IOTLB_UPDATE, iova, size,
				  (uintptr_t)p, perm);

	return n == sizeof(struct vhost_msg_v2) ? 0 : -1;
}

int kvt_iotlb_invalidate(int fd, uint64_t iova, uint64_t size)
{
	ssize_t n = kvt_iotlb_msg(fd, true, VHOST_IOTLB_INVALIDATE, iova, size,
				  0, 0);

	return n == sizeof(struct vhost_msg_v2) ? 0 : -1;
}

bool kvt_iotlb_read(int fd, bool v2, unsigned int ms, uint64_t *iova,
		    uint8_t *perm)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t raw[sizeof(struct vhost_msg_v2) + 8], want[sizeof(raw)];
	struct vhost_msg_v2 *got = (void *)raw, *m = (void *)want;

	if (poll(&p, 1, (int)ms) <= 0)
		return false;
	memset(raw, 0xa5, sizeof(raw));
	ASSERT_EQ(read(fd, raw, sizeof(raw)), sizeof(*got));
	memset(want, 0xa5, sizeof(want));
	memset(want, 0, sizeof(*m));
	m->type = v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG;
	m->iotlb.type = VHOST_IOTLB_MISS;
	m->iotlb.iova = got->iotlb.iova;
	m->iotlb.perm = got->iotlb.perm;
	EXPECT(!memcmp(raw, want, sizeof(raw)), "a byte that must be zero");
	EXPECT(got->iotlb.perm == VHOST_ACCESS_RO ||
	       got->iotlb.perm == VHOST_ACCESS_WO, "perm %u",
	       got->iotlb.perm);
	*iova = got->iotlb.iova;
	*perm = got->iotlb.perm;
	return true;
}

static size_t pages(const struct kvt_mem *mem)
{
	return (mem->size + PAGE - 1) / PAGE;
}

static size_t view_size(const struct kvt_vmm *vmm)
{
	return pages(vmm->mem) * PAGE;
}

/* A mapping of the whole memory with its pages where place[] says. */
static uint8_t *view_create(const struct kvt_vmm *vmm)
{
	size_t i, n = pages(vmm->mem);
	uint8_t *view = mmap(NULL, view_size(vmm), PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT(view != MAP_FAILED, "mmap: %s", strerror(errno));
	for (i = 0; i < n; i++)
		ASSERT(mmap(view + vmm->place[i] * (size_t)PAGE, PAGE,
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			    vmm->mem->fd, (off_t)(i * PAGE)) != MAP_FAILED,
		       "mmap of page %zu: %s", i, strerror(errno));
	return view;
}

void kvt_vmm_init(struct kvt_vmm *vmm, int fd, bool v2,
		  const struct kvt_mem *mem, size_t linear)
{
	uint32_t i, j, t, n = (uint32_t)pages(mem);
	uint32_t first = (uint32_t)((linear + PAGE - 1) / PAGE);
	uint64_t state = kvt_seed();

	memset(vmm, 0, sizeof(*vmm));
	vmm->fd = fd;
	vmm->v2 = v2;
	vmm->mem = mem;
	vmm->linear = linear;
	vmm->place = calloc(n, sizeof(*vmm->place));
	ASSERT(vmm->place, "out of memory");
	for (i = 0; i < n; i++)
		vmm->place[i] = i;
	for (i = n - 1; i > first; i--) {
		j = first + (uint32_t)(kvt_rand(&state) % (i - first + 1));
		t = vmm->place[i];
		vmm->place[i] = vmm->place[j];
		vmm->place[j] = t;
	}
	vmm->view[0] = view_create(vmm);
	vmm->view[1] = view_create(vmm);
	pthread_mutex_init(&vmm->lock, NULL);
}

uint8_t *kvt_vmm_page(const struct kvt_vmm *vmm, unsigned int view,
		      uint64_t iova)
{
	uint64_t page = (iova - vmm->mem->gpa) / PAGE;

	ASSERT(page < pages(vmm->mem), "nothing at 0x%llx",
	       (unsigned long long)iova);
	return vmm->view[view] + vmm->place[page] * (size_t)PAGE;
}

static void *vmm_thread(void *arg)
{
	struct kvt_vmm *vmm = arg;
	bool stop = false;
	uint64_t iova;
	uint8_t perm;

	while (!stop) {
		bool miss = kvt_iotlb_read(vmm->fd, vmm->v2, 20, &iova, &perm);

		pthread_mutex_lock(&vmm->lock);
		if (miss) {
			vmm->misses++;
			iova &= ~(uint64_t)(PAGE - 1);
			EXPECT_OK(kvt_iotlb_update(vmm->fd, iova, PAGE,
						   kvt_vmm_page(vmm, vmm->now,
								iova),
						   VHOST_ACCESS_RW));
		}
		stop = vmm->stop;
		pthread_mutex_unlock(&vmm->lock);
	}
	return NULL;
}

void kvt_vmm_start(struct kvt_vmm *vmm)
{
	vmm->stop = false;
	ASSERT_EQ(pthread_create(&vmm->thread, NULL, vmm_thread, vmm), 0);
}

void kvt_vmm_stop(struct kvt_vmm *vmm)
{
	pthread_mutex_lock(&vmm->lock);
	vmm->stop = true;
	pthread_mutex_unlock(&vmm->lock);
	ASSERT_EQ(pthread_join(vmm->thread, NULL), 0);
}

void kvt_vmm_free(struct kvt_vmm *vmm)
{
	munmap(vmm->view[0], view_size(vmm));
	munmap(vmm->view[1], view_size(vmm));
	free(vmm->place);
}

void kvt_vmm_flip(struct kvt_vmm *vmm)
{
	unsigned int old;

	pthread_mutex_lock(&vmm->lock);
	old = vmm->now;
	vmm->now = !old;
	ASSERT_OK(mprotect(vmm->view[!old], view_size(vmm),
			   PROT_READ | PROT_WRITE));
	ASSERT_OK(kvt_iotlb_invalidate(vmm->fd, vmm->mem->gpa,
				       view_size(vmm)));
	ASSERT_OK(mprotect(vmm->view[old], view_size(vmm), PROT_NONE));
	pthread_mutex_unlock(&vmm->lock);
}
