// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel images as input (user/vmm/boot*.c): good ones land where their
 * headers say, and every truncated, lying or random one is refused with the
 * right exit class and one line, under the sanitizers (V-01).
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "boot.h"
#include "kvt.h"
#include "run.h"

#define MIB (1ull << 20)
#define KERNEL_AT (16 * MIB)

static char path[64], initrd[64];

static void vm_init(struct vm *vm, uint64_t size)
{
	static const struct vm init = VM_INIT;

	*vm = init;
	vm->mem_size = size;
	vm->mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(vm->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	vm->nr_regions = 1;
	vm->regions[0] = (struct kvasir_region){
		.size = size, .hva = (uintptr_t)vm->mem,
	};
	vm->nr_vcpus = 1;
}

static const char *file(char *name, const void *data, size_t len)
{
	int fd;

	if (!*name) {
		strcpy(name, "/tmp/kvt-boot-XXXXXX");
		close(mkstemp(name));
	}
	fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ASSERT(fd >= 0, "%s: %s", name, strerror(errno));
	ASSERT_EQ(write(fd, data, len), len);
	close(fd);
	return name;
}

static void forget(void)
{
	unlink(path);
	unlink(initrd);
}

/* Boot an image; on failure there must be a line, and only one. */
static int boot(struct vm *vm, const void *image, size_t len,
		struct boot_state *st)
{
	int ret;

	vm->err[0] = 0;
	vm->err_class = 0;
	ret = boot_kernel(vm, file(path, image, len), NULL, "console=ttyS0",
			  BOOT_ACPI, st);
	if (ret) {
		EXPECT(ret < 0 && vm->err[0], "%d without a message", ret);
		EXPECT(!strchr(vm->err, '\n'), "several lines: %s", vm->err);
	}
	return ret;
}

/* ---- bzImage ---- */

#define SETUP 4		/* sectors behind the first */
#define BODY 8192u

struct bz {
	uint8_t b[(256 + 1) * 512 + BODY];
	size_t len;
};

static struct setup_header *hdr(struct bz *z)
{
	return (void *)(z->b + 0x1f1);
}

static void bz_make(struct bz *z, unsigned int sects)
{
	struct setup_header *h = hdr(z);
	size_t at = ((sects ? sects : 4) + 1) * 512, i;

	memset(z, 0, sizeof(*z));
	for (i = 0; i < BODY; i++)
		z->b[at + i] = (uint8_t)(i * 7);
	memcpy(z->b + at + 1024, "\x1f\x8b\x08", 3);
	h->setup_sects = (uint8_t)sects;
	h->boot_flag = 0xaa55;
	h->jump = 0x66eb;
	h->header = 0x53726448;
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->syssize = BODY / 16;
	h->init_size = 1 * MIB;
	h->pref_address = KERNEL_AT;
	h->payload_offset = 1024;
	h->payload_length = 4096;
	h->initrd_addr_max = 0x7fffffff;
	h->cmdline_size = 2047;
	z->len = at + BODY;
}

TEST("a bzImage is loaded and described")
{
	struct boot_params *bp;
	struct boot_state st;
	struct bz z;
	struct vm vm;

	vm_init(&vm, 64 * MIB);
	bz_make(&z, SETUP);
	ASSERT_EQ(boot(&vm, z.b, z.len, &st), 0);
	EXPECT(st.long_mode, "not entered in 64-bit mode");
	EXPECT_EQ(st.rip, KERNEL_AT + 0x200);
	EXPECT(!memcmp((uint8_t *)vm.mem + KERNEL_AT, z.b + 5 * 512, BODY),
	       "the kernel's bytes");
	bp = (void *)((uint8_t *)vm.mem + st.rsi);
	EXPECT_EQ(bp->hdr.header, 0x53726448);
	EXPECT_EQ(bp->acpi_rsdp_addr, BOOT_ACPI);
	EXPECT(!strcmp((char *)vm.mem + bp->hdr.cmd_line_ptr, "console=ttyS0"),
	       "command line");
	EXPECT(bp->e820_entries >= 2 && bp->e820_entries <= BOOT_MAP_MAX,
	       "%u ranges", bp->e820_entries);
	forget();
}

TEST("V-01 bzImage: setup_sects 0 means 4, 255 is taken")
{
	static const unsigned int sects[] = { 0, 1, 255 };
	struct boot_state st;
	struct bz z;
	struct vm vm;
	size_t i;

	vm_init(&vm, 64 * MIB);
	for (i = 0; i < 3; i++) {
		bz_make(&z, sects[i]);
		EXPECT_EQ(boot(&vm, z.b, z.len, &st), 0);
		EXPECT(!memcmp((uint8_t *)vm.mem + KERNEL_AT, z.b + z.len -
			       BODY, BODY), "%u setup sectors", sects[i]);
	}
	/* 255 promised, 4 there */
	bz_make(&z, SETUP);
	hdr(&z)->setup_sects = 255;
	EXPECT(boot(&vm, z.b, z.len, &st) < 0, "accepted");
	EXPECT_EQ(vm.err_class, EXIT_BAD_KERNEL);
	forget();
}

TEST_SECONDS("V-01 bzImage cut at every 61st byte is refused", 120)
{
	struct boot_state st;
	struct bz z;
	struct vm vm;
	size_t len;

	vm_init(&vm, 64 * MIB);
	bz_make(&z, SETUP);
	for (len = 0; len < z.len; len += 61) {
		EXPECT(boot(&vm, z.b, len, &st) < 0, "%zu bytes accepted", len);
		EXPECT_EQ(vm.err_class, EXIT_BAD_KERNEL);
	}
	EXPECT(boot(&vm, z.b, z.len - 1, &st) < 0, "one byte short accepted");
	forget();
}

static void lie(const char *what, struct bz *z, int class)
{
	struct boot_state st;
	struct vm vm;

	vm_init(&vm, 64 * MIB);
	EXPECT(boot(&vm, z->b, z->len, &st) < 0, "accepted: %s", what);
	EXPECT(vm.err_class == class, "%s: class %d, expected %d (%s)", what,
	       vm.err_class, class, vm.err);
	munmap(vm.mem, 64 * MIB);
}

#define LIE(field, value, class) do {				\
	bz_make(&z, SETUP);					\
	hdr(&z)->field = value;					\
	lie(#field " = " #value, &z, class);			\
} while (0)

TEST("V-01 bzImage headers that lie")
{
	struct bz z;

	LIE(version, 0x0200, EXIT_BAD_KERNEL);
	LIE(loadflags, 0, EXIT_BAD_KERNEL);
	LIE(xloadflags, 0, EXIT_BAD_KERNEL);
	LIE(syssize, 0, EXIT_BAD_KERNEL);
	LIE(syssize, 0xffffffff, EXIT_BAD_KERNEL);
	LIE(init_size, 0, EXIT_BAD_KERNEL);
	LIE(init_size, 0xffffffff, EXIT_NO_MEMORY);
	LIE(pref_address, 0, EXIT_BAD_KERNEL);
	LIE(pref_address, 0xffff, EXIT_BAD_KERNEL);
	LIE(pref_address, ~0ull, EXIT_BAD_KERNEL);
	LIE(pref_address, ~0ull - 0x1000, EXIT_BAD_KERNEL);
	LIE(pref_address, 0xa0000000, EXIT_NO_MEMORY);
	LIE(payload_offset, 0xffffffff, EXIT_BAD_KERNEL);
	LIE(payload_length, 0xffffffff, EXIT_BAD_KERNEL);
	LIE(payload_length, 0, EXIT_BAD_KERNEL);
	LIE(header, 0, EXIT_BAD_KERNEL);
	LIE(boot_flag, 0, EXIT_BAD_KERNEL);
	LIE(cmdline_size, 3, EXIT_USAGE);
	forget();
}

/* Change random bytes of a good image: any answer, but no wrong access. */
static void mutate(uint8_t *b, size_t len, size_t head, int rounds)
{
	uint8_t *copy = malloc(len);
	uint64_t state = kvt_seed();
	struct boot_state st;
	int i, n, good = 0;
	struct vm vm;

	ASSERT(copy, "out of memory");
	vm_init(&vm, 64 * MIB);
	for (i = 0; i < rounds; i++) {
		size_t size = len;

		memcpy(copy, b, len);
		for (n = (int)(kvt_rand(&state) % 6) + 1; n; n--)
			copy[kvt_rand(&state) % head] =
				(uint8_t)kvt_rand(&state);
		if (!(kvt_rand(&state) % 4))
			size = kvt_rand(&state) % len;
		if (!boot(&vm, copy, size, &st)) {
			good++;
			EXPECT(vm_hva(&vm, st.rip, 1), "entry 0x%llx",
			       (unsigned long long)st.rip);
		}
	}
	NOTE("%d of %d were accepted", good, rounds);
	EXPECT(good < rounds, "none refused");
	free(copy);
	forget();
}

TEST_SECONDS("V-01 bzImage with random bytes in its header", 120)
{
	struct bz z;

	bz_make(&z, SETUP);
	mutate(z.b + 0, z.len, 0x268, 3000);
}

/* ---- ELF ---- */

struct elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];	/* two segments and the notes */
	struct {
		Elf64_Nhdr n;
		char name[4];
		uint64_t entry;
	} __attribute__((packed)) note;
	uint8_t body[8192];
};

static void elf_make(struct elf *e)
{
	size_t i;

	memset(e, 0, sizeof(*e));
	memcpy(e->eh.e_ident, ELFMAG, SELFMAG);
	e->eh.e_ident[EI_CLASS] = ELFCLASS64;
	e->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	e->eh.e_ident[EI_VERSION] = EV_CURRENT;
	e->eh.e_type = ET_EXEC;
	e->eh.e_machine = EM_X86_64;
	e->eh.e_phoff = offsetof(struct elf, ph);
	e->eh.e_phentsize = sizeof(Elf64_Phdr);
	e->eh.e_phnum = 3;
	for (i = 0; i < 2; i++)
		e->ph[i] = (Elf64_Phdr){
			.p_type = PT_LOAD, .p_paddr = KERNEL_AT + i * MIB,
			.p_offset = offsetof(struct elf, body) + i * 4096,
			.p_filesz = 4096, .p_memsz = 65536,
		};
	e->ph[2] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = offsetof(struct elf, note),
		.p_filesz = sizeof(e->note),
	};
	e->note.n = (Elf64_Nhdr){ 4, 8, 18 };
	memcpy(e->note.name, "Xen", 4);
	e->note.entry = KERNEL_AT + 0x123;
	for (i = 0; i < sizeof(e->body); i++)
		e->body[i] = (uint8_t)(i * 13);
}

TEST("a PVH ELF kernel is loaded and entered where its note says")
{
	struct boot_state st;
	struct elf e;
	struct vm vm;

	vm_init(&vm, 64 * MIB);
	elf_make(&e);
	ASSERT_EQ(boot(&vm, &e, sizeof(e), &st), 0);
	EXPECT(!st.long_mode, "PVH begins in 32-bit mode");
	EXPECT_EQ(st.rip, KERNEL_AT + 0x123);
	EXPECT(!memcmp((uint8_t *)vm.mem + KERNEL_AT, e.body, 4096), "first");
	EXPECT(!memcmp((uint8_t *)vm.mem + KERNEL_AT + MIB, e.body + 4096,
		       4096), "second");
	EXPECT_EQ(((uint8_t *)vm.mem)[KERNEL_AT + 4096], 0);
	EXPECT_EQ(*(uint32_t *)((uint8_t *)vm.mem + st.rbx), 0x336ec578);
	forget();
}

#define ELF_LIE(field, value, class) do {				\
	struct boot_state st;						\
	struct vm vm;							\
									\
	vm_init(&vm, 64 * MIB);						\
	elf_make(&e);							\
	e.field = value;						\
	EXPECT(boot(&vm, &e, sizeof(e), &st) < 0, "accepted: " #field	\
	       " = " #value);						\
	EXPECT(vm.err_class == (class), #field " = " #value ": class %d"	\
	       ", %s", vm.err_class, vm.err);				\
	munmap(vm.mem, 64 * MIB);					\
} while (0)

TEST("V-01 ELF headers that lie")
{
	struct elf e;

	ELF_LIE(eh.e_machine, EM_AARCH64, EXIT_BAD_KERNEL);
	ELF_LIE(eh.e_ident[EI_CLASS], ELFCLASS32, EXIT_BAD_KERNEL);
	ELF_LIE(eh.e_type, ET_REL, EXIT_BAD_KERNEL);
	ELF_LIE(eh.e_phnum, 0, EXIT_BAD_KERNEL);
	ELF_LIE(eh.e_phnum, 0xffff, EXIT_BAD_KERNEL);
	ELF_LIE(eh.e_phentsize, 0, EXIT_BAD_KERNEL);
	ELF_LIE(eh.e_phoff, ~0ull, EXIT_BAD_KERNEL);
	ELF_LIE(eh.e_phoff, sizeof(e), EXIT_BAD_KERNEL);
	ELF_LIE(ph[0].p_offset, ~0ull, EXIT_BAD_KERNEL);
	ELF_LIE(ph[0].p_filesz, 65537, EXIT_BAD_KERNEL);
	ELF_LIE(ph[0].p_memsz, 4095, EXIT_BAD_KERNEL);
	ELF_LIE(ph[0].p_memsz, ~0ull, EXIT_BAD_KERNEL);
	ELF_LIE(ph[0].p_memsz, 128 * MIB, EXIT_NO_MEMORY);
	ELF_LIE(ph[0].p_paddr, 0, EXIT_BAD_KERNEL);
	ELF_LIE(ph[0].p_paddr, ~0ull - 4095, EXIT_BAD_KERNEL);
	ELF_LIE(ph[1].p_paddr, 0xa0000000, EXIT_NO_MEMORY);
	ELF_LIE(ph[1].p_paddr, KERNEL_AT + 4096, EXIT_BAD_KERNEL);
	ELF_LIE(ph[2].p_filesz, 1ull << 40, EXIT_BAD_KERNEL);
	ELF_LIE(ph[2].p_filesz, 10, EXIT_BAD_KERNEL);
	ELF_LIE(ph[2].p_type, PT_NULL, EXIT_BAD_KERNEL);
	ELF_LIE(note.entry, 0, EXIT_BAD_KERNEL);
	ELF_LIE(note.entry, KERNEL_AT - 1, EXIT_BAD_KERNEL);
	ELF_LIE(note.entry, ~0ull, EXIT_BAD_KERNEL);
	ELF_LIE(note.n.n_namesz, 0xffffffff, EXIT_BAD_KERNEL);
	ELF_LIE(note.n.n_descsz, 0xffffffff, EXIT_BAD_KERNEL);
	forget();
}

TEST_SECONDS("V-01 ELF cut at every 61st byte is refused", 120)
{
	struct boot_state st;
	struct elf e;
	struct vm vm;
	size_t len;

	vm_init(&vm, 64 * MIB);
	elf_make(&e);
	for (len = 0; len < sizeof(e); len += 61)
		EXPECT(boot(&vm, &e, len, &st) < 0, "%zu bytes accepted", len);
	forget();
}

TEST_SECONDS("V-01 ELF with random bytes in its headers", 120)
{
	struct elf e;

	elf_make(&e);
	mutate((uint8_t *)&e, sizeof(e), offsetof(struct elf, body), 3000);
}

/* ---- the rest ---- */

TEST("images that are no kernel")
{
	static uint8_t zero[65536];
	struct boot_state st;
	struct vm vm;

	vm_init(&vm, 64 * MIB);
	EXPECT(boot(&vm, "#!/bin/sh\n", 10, &st) < 0, "a script");
	EXPECT_EQ(vm.err_class, EXIT_BAD_KERNEL);
	EXPECT(boot(&vm, zero, sizeof(zero), &st) < 0, "zeroes");
	EXPECT_EQ(vm.err_class, EXIT_BAD_KERNEL);
	forget();
	EXPECT(boot_kernel(&vm, "/nonexistent/vmlinuz", NULL, "", 0, &st) < 0,
	       "a missing file");
	EXPECT_EQ(vm.err_class, EXIT_NO_FILE);
	EXPECT(boot_kernel(&vm, "/tmp", NULL, "", 0, &st) < 0, "a directory");
	EXPECT_EQ(vm.err_class, EXIT_NO_FILE);
	EXPECT(boot_kernel(&vm, "/dev/zero", NULL, "", 0, &st) < 0, "a device");
	EXPECT_EQ(vm.err_class, EXIT_NO_FILE);
}

static int boot_initrd(struct vm *vm, const struct bz *z, const char *rd)
{
	struct boot_state st;

	return boot_kernel(vm, file(path, z->b, z->len), rd, "", 0, &st);
}

TEST("V-01 initrd: fits, missing, empty, larger than memory")
{
	struct boot_params *bp;
	uint8_t data[5000];
	struct bz z;
	struct vm vm;

	memset(data, 0x3c, sizeof(data));
	vm_init(&vm, 64 * MIB);
	bz_make(&z, SETUP);
	ASSERT_EQ(boot_initrd(&vm, &z, file(initrd, data, 5000)), 0);
	bp = (void *)((uint8_t *)vm.mem + BOOT_INFO);
	EXPECT_EQ(bp->hdr.ramdisk_size, 5000);
	EXPECT(bp->hdr.ramdisk_image >= KERNEL_AT + MIB, "over the kernel");
	EXPECT(!memcmp((uint8_t *)vm.mem + bp->hdr.ramdisk_image, data, 5000),
	       "contents");
	EXPECT(boot_initrd(&vm, &z, file(initrd, data, 0)) < 0, "empty");
	EXPECT_EQ(vm.err_class, EXIT_BAD_KERNEL);
	ASSERT_OK(truncate(initrd, 64 * MIB));
	EXPECT(boot_initrd(&vm, &z, initrd) < 0, "too large");
	EXPECT_EQ(vm.err_class, EXIT_NO_MEMORY);
	EXPECT(boot_initrd(&vm, &z, "/nonexistent/initrd") < 0, "missing");
	EXPECT_EQ(vm.err_class, EXIT_NO_FILE);
	forget();
}
