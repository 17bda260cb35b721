// SPDX-License-Identifier: GPL-2.0-only
/*
 * ELF kernel (vmlinux), entered by PVH: 32-bit protected mode, no paging, at
 * the address its XEN_ELFNOTE_PHYS32_ENTRY note names. Nothing is unpacked in
 * the guest, which is what makes this the fast way to boot.
 * (Xen docs/misc/pvh.pandoc, xen/include/public/arch-x86/hvm/start_info.h)
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot.h"

#define MAX_PHDRS	64
#define MAX_NOTES	(64U << 10)
#define NOTE_PHYS32_ENTRY 18
#define CMDLINE_MAX	2047		/* x86 COMMAND_LINE_SIZE - 1 */

#define START_MAGIC	0x336ec578
#define START_VERSION	1

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memmap;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct start_module {
	uint64_t base;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct start_range {
	uint64_t base;
	uint64_t size;
	uint32_t type;		/* as E820 */
	uint32_t reserved;
};

/* All three lie in the page at BOOT_INFO. */
struct start_page {
	struct start_info info;
	struct start_module initrd;
	struct start_range map[BOOT_MAP_MAX];
};

static bool probe(const uint8_t *head, size_t len)
{
	return len >= sizeof(Elf64_Ehdr) && !memcmp(head, ELFMAG, SELFMAG);
}

static int check_header(struct boot *boot, const Elf64_Ehdr *eh)
{
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64)
		return boot_bad(boot, "ELF, but not for x86-64");
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return boot_bad(boot, "ELF, but not a kernel (type %u)",
				eh->e_type);
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum ||
	    eh->e_phnum > MAX_PHDRS)
		return boot_bad(boot, "ELF with %u program headers of %u bytes",
				eh->e_phnum, eh->e_phentsize);
	return 0;
}

static bool overlaps(const Elf64_Phdr *a, const Elf64_Phdr *b)
{
	return a->p_paddr < b->p_paddr + b->p_memsz &&
	       b->p_paddr < a->p_paddr + a->p_memsz;
}

/* Segment @i against the file, memory, and the segments before it. */
static int check_segment(struct boot *boot, const Elf64_Phdr *ph,
			 unsigned int i)
{
	const Elf64_Phdr *p = &ph[i];
	unsigned int k;

	if (p->p_filesz > p->p_memsz || p->p_offset > boot->size ||
	    p->p_filesz > boot->size - p->p_offset)
		return boot_bad(boot, "truncated: segment %u ends outside the file",
				i);
	if (p->p_paddr < BOOT_KERNEL_MIN || p->p_paddr >= VM_LOW_END ||
	    p->p_memsz > VM_LOW_END - p->p_paddr)
		return boot_bad(boot, "segment %u at 0x%llx, 0x%llx bytes: out of range",
				i, (unsigned long long)p->p_paddr,
				(unsigned long long)p->p_memsz);
	for (k = 0; k < i; k++)
		if (ph[k].p_type == PT_LOAD && overlaps(&ph[k], p))
			return boot_bad(boot, "segments %u and %u overlap", k,
					i);
	return 0;
}

static int load_segments(struct boot *boot, const Elf64_Phdr *ph,
			 unsigned int nr)
{
	unsigned int i;
	void *dst;
	int ret;

	for (i = 0; i < nr; i++) {
		if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
			continue;
		ret = check_segment(boot, ph, i);
		if (ret)
			return ret;
		dst = boot_room(boot, ph[i].p_paddr, ph[i].p_memsz);
		if (!dst)
			return -ENOMEM;
		/* what is beyond the file's part is still zero */
		ret = boot_read(boot, dst, ph[i].p_filesz, ph[i].p_offset);
		if (ret)
			return ret;
		if (ph[i].p_paddr + ph[i].p_memsz > boot->kernel_end)
			boot->kernel_end = ph[i].p_paddr + ph[i].p_memsz;
	}
	return 0;
}

/* Look for the PVH entry in @len bytes of notes; 0: none. */
static uint64_t find_entry(const uint8_t *notes, uint64_t len)
{
	uint64_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		uint64_t name, desc, next, entry = 0;

		memcpy(&n, notes + at, sizeof(n));
		name = at + sizeof(n);
		desc = name + ((n.n_namesz + 3ULL) & ~3ULL);
		next = desc + ((n.n_descsz + 3ULL) & ~3ULL);
		if (desc + n.n_descsz > len)
			return 0;
		if (n.n_type == NOTE_PHYS32_ENTRY && n.n_namesz == 4 &&
		    !memcmp(notes + name, "Xen", 4) &&
		    (n.n_descsz == 4 || n.n_descsz == 8)) {
			memcpy(&entry, notes + desc, n.n_descsz);
			return entry;
		}
		if (next > len)
			return 0;
		at = next;
	}
	return 0;
}

static int read_notes(struct boot *boot, const Elf64_Phdr *p)
{
	uint8_t *notes;
	int ret;

	if (p->p_filesz > MAX_NOTES)
		return boot_bad(boot, "%llu bytes of ELF notes",
				(unsigned long long)p->p_filesz);
	notes = malloc(p->p_filesz + 1);
	if (!notes)
		return vmm_err(boot->vm, -ENOMEM, "%s: out of memory",
			       boot->path);
	ret = boot_read(boot, notes, p->p_filesz, p->p_offset);
	if (!ret)
		boot->entry = find_entry(notes, p->p_filesz);
	free(notes);
	return ret;
}

/* The entry must lie in what has been loaded. */
static int check_entry(struct boot *boot, const Elf64_Phdr *ph,
		       unsigned int nr)
{
	unsigned int i;

	if (!boot->entry)
		return boot_bad(boot, "ELF without PVH entry (CONFIG_PVH): boot its bzImage");
	for (i = 0; i < nr; i++)
		if (ph[i].p_type == PT_LOAD && boot->entry >= ph[i].p_paddr &&
		    boot->entry - ph[i].p_paddr < ph[i].p_filesz)
			return 0;
	return boot_bad(boot, "entry 0x%llx is outside the kernel",
			(unsigned long long)boot->entry);
}

static int load(struct boot *boot)
{
	Elf64_Phdr ph[MAX_PHDRS];
	Elf64_Ehdr eh;
	unsigned int i;
	int ret;

	ret = boot_read(boot, &eh, sizeof(eh), 0);
	if (!ret)
		ret = check_header(boot, &eh);
	if (!ret)
		ret = boot_read(boot, ph, eh.e_phnum * sizeof(ph[0]),
				eh.e_phoff);
	if (!ret)
		ret = load_segments(boot, ph, eh.e_phnum);
	for (i = 0; !ret && !boot->entry && i < eh.e_phnum; i++)
		if (ph[i].p_type == PT_NOTE)
			ret = read_notes(boot, &ph[i]);
	if (!ret)
		ret = check_entry(boot, ph, eh.e_phnum);
	boot->initrd_max = UINT32_MAX;
	boot->cmdline_max = CMDLINE_MAX;
	return ret;
}

static int finish(struct boot *boot, struct boot_state *state)
{
	struct start_page *page = vm_hva(boot->vm, BOOT_INFO, sizeof(*page));
	unsigned int i;

	page->info = (struct start_info) {
		.magic = START_MAGIC,
		.version = START_VERSION,
		.nr_modules = boot->initrd_size ? 1 : 0,
		.modules = BOOT_INFO + offsetof(struct start_page, initrd),
		.cmdline = BOOT_CMDLINE,
		.rsdp = boot->rsdp,
		.memmap = BOOT_INFO + offsetof(struct start_page, map),
		.memmap_entries = boot->nr_map,
	};
	page->initrd.base = boot->initrd;
	page->initrd.size = boot->initrd_size;
	for (i = 0; i < boot->nr_map; i++) {
		page->map[i].base = boot->map[i].base;
		page->map[i].size = boot->map[i].size;
		page->map[i].type = boot->map[i].type;
	}
	state->long_mode = false;
	state->rbx = BOOT_INFO;
	return 0;
}

const struct boot_loader boot_elf = {
	.probe = probe,
	.load = load,
	.finish = finish,
};
