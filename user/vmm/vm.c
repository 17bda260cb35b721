// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine's skeleton: KVM, guest memory, interrupt controllers, buses.
 *
 * Guest memory is one private anonymous mapping, so that KSM may merge it,
 * and so that a backend which adopts this address space finds every byte at
 * guest physical address + constant, per region.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "run.h"
#include "vm.h"

#define HUGE_PAGE	(2ULL << 20)

/* Three pages and one that VMX needs; below the BIOS area, no RAM there. */
#define TSS_ADDR	0xfffbd000ULL
#define IDENTITY_ADDR	0xfffbc000ULL

static void set_err(struct vm *vm, int class, const char *fmt, va_list ap)
{
	pthread_mutex_lock(&vm->err_lock);
	/* what ended the machine is not covered up by what follows from it */
	if (__atomic_load_n(&vm->why, __ATOMIC_ACQUIRE) == VM_RUNNING) {
		vm->err_class = class;
		vsnprintf(vm->err, sizeof(vm->err), fmt, ap);
	}
	pthread_mutex_unlock(&vm->err_lock);
}

int vmm_err(struct vm *vm, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_err(vm, EXIT_VMM, fmt, ap);
	va_end(ap);
	return code;
}

int vmm_err_class(struct vm *vm, int class, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_err(vm, class, fmt, ap);
	va_end(ap);
	return code;
}

void vm_stop(struct vm *vm, enum vm_stop why)
{
	enum vm_stop running = VM_RUNNING;
	uint64_t one = 1;

	if (!__atomic_compare_exchange_n(&vm->why, &running, why, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	/* cannot fail: the counter was 0 until this first and only write */
	if (write(vm->stop_fd, &one, sizeof(one)) < 0)
		abort();
}

void *vm_hva(const struct vm *vm, uint64_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < vm->nr_regions; i++) {
		const struct kvasir_region *r = &vm->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return len <= r->size - (gpa - r->gpa) ?
				(void *)(uintptr_t)(r->hva + gpa - r->gpa) :
				NULL;
	}
	return NULL;
}

static int open_kvm(struct vm *vm)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
		{ KVM_CAP_PIT2, "KVM_CAP_PIT2" },
		{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
		{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
		{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	};
	unsigned int i;
	int version;

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0 && errno == EACCES)
		return vmm_err_class(vm, EXIT_NO_KVM, -errno,
			"/dev/kvm: permission denied: join the group kvm, or run as root");
	if (vm->kvm_fd < 0)
		return vmm_err_class(vm, EXIT_NO_KVM, -errno,
			"/dev/kvm: %s: load kvm_amd or kvm_intel, and see that virtualization is enabled",
			strerror(errno));
	version = ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return vmm_err_class(vm, EXIT_NO_KVM, -ENODEV,
			"/dev/kvm: API version %d where %d is needed",
			version, KVM_API_VERSION);
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return vmm_err_class(vm, EXIT_NO_KVM, -ENODEV,
				"/dev/kvm: this kernel's KVM lacks %s",
				needed[i].name);
	return 0;
}

static int create_chips(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = IDENTITY_ADDR;

	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return vmm_err_class(vm, EXIT_NO_KVM, -errno,
				     "KVM_CREATE_VM: %s", strerror(errno));
	/* only VMX needs these two; elsewhere they do nothing */
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return vmm_err(vm, -errno, "KVM_SET_IDENTITY_MAP_ADDR: %s",
			       strerror(errno));
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)TSS_ADDR) < 0)
		return vmm_err(vm, -errno, "KVM_SET_TSS_ADDR: %s",
			       strerror(errno));
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return vmm_err(vm, -errno, "KVM_CREATE_IRQCHIP: %s",
			       strerror(errno));
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		return vmm_err(vm, -errno, "KVM_CREATE_PIT2: %s",
			       strerror(errno));
	return 0;
}

/* Reserve @size bytes at a 2 MiB boundary: transparent huge pages can then
 * back host and guest page tables alike.
 */
static void *map_aligned(uint64_t size)
{
	uint64_t head, room = size + HUGE_PAGE;
	char *p;

	p = mmap(NULL, room, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return MAP_FAILED;
	head = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + size, HUGE_PAGE - head);
	return p + head;
}

static int map_memory(struct vm *vm)
{
	unsigned long long mib = vm->mem_size >> 20;
	struct sysinfo si;
	void *p;

	if (vm->hugepages) {
		if (vm->mem_size % HUGE_PAGE)
			return vmm_err_class(vm, EXIT_NO_MEMORY, -EINVAL,
				"guest memory: %llu MiB is no multiple of the 2 MiB hugepage", mib);
		p = mmap(NULL, vm->mem_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			 21 << MAP_HUGE_SHIFT, -1, 0);
		if (p == MAP_FAILED)
			return vmm_err_class(vm, EXIT_NO_MEMORY, -errno,
				"guest memory: no %llu MiB of hugepages (%s): sysctl vm.nr_hugepages=%llu",
				mib, strerror(errno), mib / 2);
	} else {
		/* memory may be overcommitted, but not beyond all there is */
		if (!sysinfo(&si) && vm->mem_size / si.mem_unit >
		    si.totalram + si.totalswap)
			return vmm_err_class(vm, EXIT_NO_MEMORY, -ENOMEM,
				"guest memory: %llu MiB is more than this machine's memory and swap (%llu MiB)",
				mib, (unsigned long long)(si.totalram + si.totalswap) *
				si.mem_unit >> 20);
		p = map_aligned(vm->mem_size);
		if (p == MAP_FAILED)
			return vmm_err_class(vm, EXIT_NO_MEMORY, -errno,
				"guest memory: cannot map %llu MiB: %s", mib,
				strerror(errno));
	}
	vm->mem = p;
	/* guest memory is neither this program's state nor a child's */
	madvise(p, vm->mem_size, MADV_DONTDUMP);
	madvise(p, vm->mem_size, MADV_DONTFORK);
	return 0;
}

static int add_region(struct vm *vm, uint64_t gpa, uint64_t offset,
		      uint64_t size)
{
	struct kvasir_region *r = &vm->regions[vm->nr_regions];
	struct kvm_userspace_memory_region slot;

	r->gpa = gpa;
	r->size = size;
	r->hva = (uintptr_t)vm->mem + offset;
	slot = (struct kvm_userspace_memory_region) {
		.slot = vm->nr_regions,
		.guest_phys_addr = r->gpa,
		.memory_size = r->size,
		.userspace_addr = r->hva,
	};
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return vmm_err_class(vm, EXIT_NO_MEMORY, -errno,
			"guest memory: KVM takes no %llu MiB at 0x%llx: %s",
			(unsigned long long)size >> 20,
			(unsigned long long)gpa, strerror(errno));
	vm->nr_regions++;
	return 0;
}

static int create_memory(struct vm *vm)
{
	uint64_t low = vm->mem_size < VM_LOW_END ? vm->mem_size : VM_LOW_END;
	int ret;

	ret = map_memory(vm);
	if (!ret)
		ret = add_region(vm, 0, 0, low);
	if (!ret && vm->mem_size > low)
		ret = add_region(vm, VM_HIGH_BASE, low, vm->mem_size - low);
	return ret;
}

int vm_create(struct vm *vm, uint64_t mem_size, bool hugepages)
{
	int ret;

	vm->mem_size = mem_size;
	vm->hugepages = hugepages;
	vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_fd < 0)
		return vmm_err(vm, -errno, "eventfd: %s", strerror(errno));
	ret = open_kvm(vm);
	if (!ret)
		ret = create_chips(vm);
	if (!ret)
		ret = create_memory(vm);
	if (!ret)
		ret = irq_create(vm);
	if (!ret && (bus_create(&vm->pio) || bus_create(&vm->mmio)))
		ret = vmm_err_class(vm, EXIT_NO_MEMORY, -ENOMEM,
				    "out of memory");
	return ret;
}

void vm_destroy(struct vm *vm)
{
	bus_destroy(vm->mmio);
	bus_destroy(vm->pio);
	irq_destroy(vm);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->mem)
		munmap(vm->mem, vm->mem_size);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
}
