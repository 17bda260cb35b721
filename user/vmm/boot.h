/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct boot of a Linux kernel: what boot.c shares with its two loaders.
 *
 * Guest memory below 1 MiB while the kernel starts:
 *   0x06000  boot_gdt
 *   0x07000  boot_params or hvm_start_info
 *   0x09000  page tables, identity for 4 GiB (bzImage)
 *   0x20000  command line
 *   0xe0000  ACPI tables (reserved in the memory map)
 */
#ifndef KVASIR_BOOT_H
#define KVASIR_BOOT_H

#include "vcpu.h"

#define BOOT_GDT	0x06000ULL
#define BOOT_INFO	0x07000ULL
#define BOOT_TABLES	0x09000ULL
#define BOOT_CMDLINE	0x20000ULL
#define BOOT_CMDLINE_MAX 0xffffU
#define BOOT_ACPI	0xe0000ULL
#define BOOT_ACPI_SIZE	0x20000ULL
#define BOOT_KERNEL_MIN	0x100000ULL	/* nothing of a kernel lies below */

#define E820_RAM	1
#define E820_RESERVED	2
#define BOOT_MAP_MAX	8

struct boot_range {
	uint64_t base;
	uint64_t size;
	uint32_t type;		/* E820_* */
};

struct boot {
	struct vm *vm;
	const char *path;	/* of the kernel */
	int fd;
	uint64_t size;		/* of the file */

	/* by the loader's load() */
	uint64_t entry;
	uint64_t kernel_end;	/* first byte an initrd may use */
	uint64_t initrd_max;	/* last byte it may use */
	uint32_t cmdline_max;	/* without the terminating zero */

	/* before the loader's finish() */
	uint64_t rsdp;
	uint64_t initrd;
	uint64_t initrd_size;
	unsigned int nr_map;
	struct boot_range map[BOOT_MAP_MAX];
};

struct boot_loader {
	/* Is this the format? @head: the file's first bytes. */
	bool (*probe)(const uint8_t *head, size_t len);
	/* Check the image, copy it to guest memory. */
	int (*load)(struct boot *boot);
	/* Write what the kernel is to find at its entry. */
	int (*finish)(struct boot *boot, struct boot_state *state);
};

extern const struct boot_loader boot_bzimage;
extern const struct boot_loader boot_elf;

/* -errno of class EXIT_BAD_KERNEL with "<path>: <text>". */
int boot_bad(struct boot *boot, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Read exactly @len bytes of the kernel file. */
int boot_read(struct boot *boot, void *dst, uint64_t len, uint64_t offset);
/* Host address of guest RAM the kernel needs; the error is about memory. */
void *boot_room(struct boot *boot, uint64_t gpa, uint64_t len);

/**
 * boot_kernel() - load kernel, initrd and command line
 * @rsdp: guest address of the ACPI tables' root
 * @state: where the first CPU begins
 */
int boot_kernel(struct vm *vm, const char *kernel, const char *initrd,
		const char *cmdline, uint64_t rsdp, struct boot_state *state);

/* acpi.c: write the tables, return the root's guest address. */
int acpi_create(struct vm *vm, bool serial, uint64_t *rsdp);

#endif /* KVASIR_BOOT_H */
