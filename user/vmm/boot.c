// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct boot: find the image's format, place the initrd and the command
 * line, describe memory. A kernel image is as untrusted as any input: every
 * offset and length in it is checked against the file and guest memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "run.h"

#define PAGE		4096ULL
#define HEAD_SIZE	4096

#define LOW_RAM_END	0x9fc00ULL	/* where a BIOS keeps its data */
#define LEGACY_END	0x100000ULL

int boot_bad(struct boot *boot, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return vmm_err_class(boot->vm, EXIT_BAD_KERNEL, -ENOEXEC, "%s: %s",
			     boot->path, text);
}

static int read_all(int fd, void *dst, uint64_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pread(fd, dst, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		dst = (char *)dst + n;
		len -= n;
		offset += n;
	}
	return 0;
}

int boot_read(struct boot *boot, void *dst, uint64_t len, uint64_t offset)
{
	int ret = -ENODATA;

	if (len <= boot->size && offset <= boot->size - len)
		ret = read_all(boot->fd, dst, len, offset);
	if (ret == -ENODATA)
		return boot_bad(boot, "truncated: %llu bytes wanted at 0x%llx, the file has %llu",
				(unsigned long long)len,
				(unsigned long long)offset,
				(unsigned long long)boot->size);
	if (ret)
		return vmm_err_class(boot->vm, EXIT_NO_FILE, ret,
				     "%s: cannot read: %s", boot->path,
				     strerror(-ret));
	return 0;
}

void *boot_room(struct boot *boot, uint64_t gpa, uint64_t len)
{
	void *p = vm_hva(boot->vm, gpa, len);

	if (!p)
		vmm_err_class(boot->vm, EXIT_NO_MEMORY, -ENOMEM,
			"%s: the kernel needs memory from 0x%llx to 0x%llx, the guest has %llu MiB",
			boot->path, (unsigned long long)gpa,
			(unsigned long long)(gpa + len),
			(unsigned long long)boot->vm->mem_size >> 20);
	return p;
}

static int open_image(struct vm *vm, const char *what, const char *path,
		      uint64_t *size)
{
	struct stat st;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return vmm_err_class(vm, EXIT_NO_FILE, -errno, "%s %s: %s",
				     what, path, strerror(errno));
	if (fstat(fd, &st) < 0)
		ret = vmm_err_class(vm, EXIT_NO_FILE, -errno, "%s %s: %s",
				    what, path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ret = vmm_err_class(vm, EXIT_NO_FILE, -EINVAL,
				    "%s %s: not a regular file", what, path);
	else
		ret = 0;
	if (ret) {
		close(fd);
		return ret;
	}
	*size = st.st_size;
	return fd;
}

/* As high as possible, away from where the kernel unpacks itself. */
static int load_initrd(struct boot *boot, const char *path)
{
	struct vm *vm = boot->vm;
	uint64_t top = vm->regions[0].size, bottom, size = 0;
	int fd, ret;

	fd = open_image(vm, "initrd", path, &size);
	if (fd < 0)
		return fd;
	if (boot->initrd_max + 1 < top)
		top = boot->initrd_max + 1;
	bottom = (boot->kernel_end + PAGE - 1) & ~(PAGE - 1);
	if (!size) {
		ret = vmm_err_class(vm, EXIT_BAD_KERNEL, -ENODATA,
				    "initrd %s: empty", path);
		goto out;
	}
	if (top < bottom || size > top - bottom) {
		ret = vmm_err_class(vm, EXIT_NO_MEMORY, -ENOMEM,
			"initrd %s: %llu KiB do not fit, %llu KiB are left beside the kernel",
			path, (unsigned long long)(size + 1023) >> 10,
			(unsigned long long)(top > bottom ? top - bottom : 0)
			>> 10);
		goto out;
	}
	boot->initrd = (top - size) & ~(PAGE - 1);
	boot->initrd_size = size;
	ret = read_all(fd, vm_hva(vm, boot->initrd, size), size, 0);
	if (ret)
		ret = vmm_err_class(vm, EXIT_NO_FILE, ret,
				    "initrd %s: cannot read: %s", path,
				    strerror(-ret));
out:
	close(fd);
	return ret;
}

static int load_cmdline(struct boot *boot, const char *cmdline)
{
	size_t len = strlen(cmdline);

	if (len > boot->cmdline_max)
		return vmm_err_class(boot->vm, EXIT_USAGE, -E2BIG,
			"kernel command line: %zu bytes, this kernel takes %u",
			len, boot->cmdline_max);
	memcpy(vm_hva(boot->vm, BOOT_CMDLINE, len + 1), cmdline, len + 1);
	return 0;
}

static void add_range(struct boot *boot, uint64_t from, uint64_t to,
		      uint32_t type)
{
	boot->map[boot->nr_map++] = (struct boot_range) {
		.base = from, .size = to - from, .type = type,
	};
}

static void build_map(struct boot *boot)
{
	const struct vm *vm = boot->vm;

	add_range(boot, 0, LOW_RAM_END, E820_RAM);
	add_range(boot, LOW_RAM_END, LEGACY_END, E820_RESERVED);
	add_range(boot, LEGACY_END, vm->regions[0].size, E820_RAM);
	/* Linux trusts ECAM only where the memory map reserves it */
	add_range(boot, VM_ECAM_BASE, VM_ECAM_BASE + VM_ECAM_SIZE,
		  E820_RESERVED);
	if (vm->nr_regions > 1)
		add_range(boot, VM_HIGH_BASE, VM_HIGH_BASE +
			  vm->regions[1].size, E820_RAM);
}

/* Return: who knows the image's format, or NULL with the reason in *@ret. */
static const struct boot_loader *find_loader(struct boot *boot, int *ret)
{
	static const struct boot_loader *const loaders[] = {
		&boot_bzimage, &boot_elf,
	};
	uint64_t len = boot->size < HEAD_SIZE ? boot->size : HEAD_SIZE;
	uint8_t head[HEAD_SIZE];
	unsigned int i;

	*ret = boot_read(boot, head, len, 0);
	if (*ret)
		return NULL;
	for (i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++)
		if (loaders[i]->probe(head, len))
			return loaders[i];
	*ret = boot_bad(boot, "not a Linux kernel image (neither bzImage nor x86-64 ELF)");
	return NULL;
}

static int boot_file(struct boot *boot, const char *initrd,
		     const char *cmdline, struct boot_state *state)
{
	const struct boot_loader *loader;
	int ret;

	loader = find_loader(boot, &ret);
	if (!loader)
		return ret;
	ret = loader->load(boot);
	if (!ret && initrd)
		ret = load_initrd(boot, initrd);
	if (!ret)
		ret = load_cmdline(boot, cmdline);
	if (ret)
		return ret;
	build_map(boot);
	memcpy(vm_hva(boot->vm, BOOT_GDT, sizeof(boot_gdt)), boot_gdt,
	       sizeof(boot_gdt));
	state->gdt = BOOT_GDT;
	state->rip = boot->entry;
	return loader->finish(boot, state);
}

int boot_kernel(struct vm *vm, const char *kernel, const char *initrd,
		const char *cmdline, uint64_t rsdp, struct boot_state *state)
{
	struct boot boot = { .vm = vm, .path = kernel, .rsdp = rsdp };
	int ret;

	*state = (struct boot_state) { 0 };
	boot.fd = open_image(vm, "kernel", kernel, &boot.size);
	if (boot.fd < 0)
		return boot.fd;
	ret = boot_file(&boot, initrd, cmdline ? cmdline : "", state);
	close(boot.fd);
	return ret;
}
