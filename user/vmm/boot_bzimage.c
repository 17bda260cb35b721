// SPDX-License-Identifier: GPL-2.0-only
/*
 * bzImage: the kernel's own compressed image, entered in 64-bit mode.
 * (Linux Documentation/arch/x86/boot.rst, "64-bit boot protocol")
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "boot.h"

#define SECTOR		512ULL
#define BOOT_FLAG	0xaa55
#define HEADER_MAGIC	0x53726448	/* "HdrS" */
#define VERSION_MIN	0x020c		/* 64-bit entry, Linux 3.8 */
#define ENTRY_64	0x200
#define LOADER_OTHER	0xff

#define PTE_PRESENT_RW	0x3ULL
#define PTE_LARGE	0x80ULL
#define TABLE		0x1000ULL
#define LARGE_PAGE	0x200000ULL
#define GIB_MAPPED	4

/* The header starts where the boot sector's code ends. */
#define HEADER_AT	offsetof(struct boot_params, hdr)

static bool probe(const uint8_t *head, size_t len)
{
	struct setup_header h;

	if (len < HEADER_AT + sizeof(h))
		return false;
	memcpy(&h, head + HEADER_AT, sizeof(h));
	return h.boot_flag == BOOT_FLAG && h.header == HEADER_MAGIC;
}

/* Does the payload begin as a compressed kernel does? It does not when the
 * header's sizes lie.
 */
static bool known_payload(const uint8_t *p)
{
	static const struct {
		uint8_t len;
		uint8_t magic[4];
	} known[] = {
		{ 2, { 0x1f, 0x8b } },			/* gzip */
		{ 3, { 'B', 'Z', 'h' } },		/* bzip2 */
		{ 3, { 0x5d, 0x00, 0x00 } },		/* lzma */
		{ 4, { 0xfd, '7', 'z', 'X' } },		/* xz */
		{ 4, { 0x89, 'L', 'Z', 'O' } },
		{ 4, { 0x02, 0x21, 0x4c, 0x18 } },	/* lz4 */
		{ 4, { 0x28, 0xb5, 0x2f, 0xfd } },	/* zstd */
		{ 4, { 0x7f, 'E', 'L', 'F' } },
	};
	unsigned int i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!memcmp(p, known[i].magic, known[i].len))
			return true;
	return false;
}

static int check_header(struct boot *boot, const struct setup_header *h)
{
	if (h->version < VERSION_MIN)
		return boot_bad(boot, "boot protocol %u.%02u, 2.12 is needed",
				h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return boot_bad(boot, "zImage: only a bzImage can be booted");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return boot_bad(boot, "no 64-bit entry: a 32-bit kernel");
	if (!h->syssize || !h->init_size)
		return boot_bad(boot, "damaged header: sizes are 0");
	return 0;
}

/* Where the protected-mode part lies in the file, checked. */
static int find_payload(struct boot *boot, const struct setup_header *h,
			uint64_t *offset, uint64_t *size)
{
	uint64_t sects = h->setup_sects ? h->setup_sects : 4;
	uint8_t magic[4];
	int ret;

	*offset = (sects + 1) * SECTOR;
	*size = h->syssize * 16ULL;
	if (*offset + *size > boot->size)
		return boot_bad(boot, "truncated: the header tells %llu bytes, the file has %llu",
				(unsigned long long)(*offset + *size),
				(unsigned long long)boot->size);
	if (*size <= ENTRY_64 || *size > h->init_size ||
	    h->payload_length < sizeof(magic) ||
	    (uint64_t)h->payload_offset + h->payload_length > *size)
		return boot_bad(boot, "damaged header: sizes contradict each other");
	ret = boot_read(boot, magic, sizeof(magic),
			*offset + h->payload_offset);
	if (ret)
		return ret;
	if (!known_payload(magic))
		return boot_bad(boot, "damaged: no compressed kernel where the header (setup_sects %u) says",
				h->setup_sects);
	return 0;
}

static int load(struct boot *boot)
{
	struct setup_header h;
	uint64_t offset, size;
	void *dst;
	int ret;

	ret = boot_read(boot, &h, sizeof(h), HEADER_AT);
	if (!ret)
		ret = check_header(boot, &h);
	if (!ret)
		ret = find_payload(boot, &h, &offset, &size);
	if (ret)
		return ret;
	if (h.pref_address < BOOT_KERNEL_MIN ||
	    h.pref_address >= VM_LOW_END)
		return boot_bad(boot, "damaged header: load address 0x%llx",
				(unsigned long long)h.pref_address);
	/* where it is linked to run: it need not move itself first */
	dst = boot_room(boot, h.pref_address, h.init_size);
	if (!dst)
		return -ENOMEM;
	boot->entry = h.pref_address + ENTRY_64;
	boot->kernel_end = h.pref_address + h.init_size;
	boot->initrd_max = h.initrd_addr_max;
	boot->cmdline_max = h.cmdline_size;
	if (boot->cmdline_max > BOOT_CMDLINE_MAX)
		boot->cmdline_max = BOOT_CMDLINE_MAX;
	return boot_read(boot, dst, size, offset);
}

static void build_tables(struct boot *boot)
{
	uint64_t *pml4 = vm_hva(boot->vm, BOOT_TABLES, TABLE);
	uint64_t *pdpt = vm_hva(boot->vm, BOOT_TABLES + TABLE, TABLE);
	uint64_t *pd = vm_hva(boot->vm, BOOT_TABLES + 2 * TABLE,
			      GIB_MAPPED * TABLE);
	unsigned int i;

	pml4[0] = (BOOT_TABLES + TABLE) | PTE_PRESENT_RW;
	for (i = 0; i < GIB_MAPPED; i++)
		pdpt[i] = (BOOT_TABLES + (2 + i) * TABLE) | PTE_PRESENT_RW;
	for (i = 0; i < GIB_MAPPED * 512; i++)
		pd[i] = i * LARGE_PAGE | PTE_PRESENT_RW | PTE_LARGE;
}

static int finish(struct boot *boot, struct boot_state *state)
{
	struct boot_params *bp = vm_hva(boot->vm, BOOT_INFO, sizeof(*bp));
	uint8_t jump[2];
	unsigned int i, len;
	int ret;

	/* The header is as long as the jump over it. */
	ret = boot_read(boot, jump, sizeof(jump),
			offsetof(struct boot_params, hdr.jump));
	if (ret)
		return ret;
	len = offsetof(struct setup_header, header) + jump[1];
	if (len > sizeof(bp->hdr))
		len = sizeof(bp->hdr);
	ret = boot_read(boot, &bp->hdr, len, HEADER_AT);
	if (ret)
		return ret;
	bp->hdr.type_of_loader = LOADER_OTHER;
	bp->hdr.cmd_line_ptr = BOOT_CMDLINE;
	bp->hdr.ramdisk_image = boot->initrd;
	bp->hdr.ramdisk_size = boot->initrd_size;
	bp->acpi_rsdp_addr = boot->rsdp;
	for (i = 0; i < boot->nr_map; i++) {
		bp->e820_table[i].addr = boot->map[i].base;
		bp->e820_table[i].size = boot->map[i].size;
		bp->e820_table[i].type = boot->map[i].type;
	}
	bp->e820_entries = boot->nr_map;
	build_tables(boot);
	state->long_mode = true;
	state->cr3 = BOOT_TABLES;
	state->rsi = BOOT_INFO;
	return 0;
}

const struct boot_loader boot_bzimage = {
	.probe = probe,
	.load = load,
	.finish = finish,
};
