// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ACPI tables the VMM writes: every checksum and length holds, every
 * pointer leads to the table it promises, the processors are all there, and
 * the compiler of ACPI's own makers understands the DSDT.
 */
#include <sys/mman.h>

#include "boot.h"
#include "kvt.h"

#define MIB (1ull << 20)

struct head {
	char sig[4];
	uint32_t len;
	uint8_t rev, sum;
	char oem[6], table[8];
	uint32_t oem_rev;
	char creator[4];
	uint32_t creator_rev;
} __attribute__((packed));

static void vm_init(struct vm *vm, unsigned int cpus)
{
	static const struct vm init = VM_INIT;

	*vm = init;
	vm->mem_size = 32 * MIB;
	vm->mem = mmap(NULL, vm->mem_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(vm->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	vm->nr_regions = 1;
	vm->regions[0] = (struct kvasir_region){
		.size = vm->mem_size, .hva = (uintptr_t)vm->mem,
	};
	vm->nr_vcpus = cpus;
}

static bool sums_up(const void *p, uint32_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *b++);
	return !sum;
}

static uint32_t u32(const void *p, unsigned int at)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)p + at, 4);
	return v;
}

static uint64_t u64(const void *p, unsigned int at)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)p + at, 8);
	return v;
}

/* The table at @gpa: inside the reserved range, named @sig, its sum right. */
static const struct head *table(struct vm *vm, uint64_t gpa, const char *sig)
{
	const struct head *h = vm_hva(vm, gpa, sizeof(*h));

	ASSERT(gpa >= BOOT_ACPI && gpa < BOOT_ACPI + BOOT_ACPI_SIZE,
	       "%s at 0x%llx", sig, (unsigned long long)gpa);
	ASSERT(!memcmp(h->sig, sig, 4), "%.4s instead of %s", h->sig, sig);
	ASSERT(h->len >= 36 && gpa + h->len <= BOOT_ACPI + BOOT_ACPI_SIZE,
	       "%s of %u bytes", sig, h->len);
	EXPECT(sums_up(h, h->len), "checksum of %s", sig);
	return h;
}

static const struct head *find(struct vm *vm, uint64_t rsdp, const char *sig)
{
	const uint8_t *r = vm_hva(vm, rsdp, 36);
	const struct head *x;
	uint32_t i;

	ASSERT(r && !memcmp(r, "RSD PTR ", 8), "no RSDP");
	EXPECT(sums_up(r, 20), "checksum of the RSDP");
	EXPECT(sums_up(r, 36), "extended checksum of the RSDP");
	EXPECT_EQ(r[15], 2);
	x = table(vm, u64(r, 24), "XSDT");
	for (i = 36; i + 8 <= x->len; i += 8) {
		const struct head *h = vm_hva(vm, u64(x, i), sizeof(*h));

		ASSERT(h, "XSDT entry %u", (i - 36) / 8);
		if (!memcmp(h->sig, sig, 4))
			return table(vm, u64(x, i), sig);
	}
	ASSERT(false, "no %s", sig);
	return NULL;
}

static void processors(unsigned int cpus)
{
	unsigned int lapics = 0, ioapics = 0, i;
	const struct head *madt;
	const uint8_t *e;
	uint64_t rsdp = 0;
	struct vm vm;

	vm_init(&vm, cpus);
	ASSERT_EQ(acpi_create(&vm, true, &rsdp), 0);
	madt = find(&vm, rsdp, "APIC");
	EXPECT_EQ(u32(madt, 36), 0xfee00000);
	for (i = 44; i + 2 <= madt->len; i += e[1]) {
		e = (const uint8_t *)madt + i;
		ASSERT(e[1] >= 2 && i + e[1] <= madt->len, "entry of %u bytes",
		       e[1]);
		if (e[0] == 0 || e[0] == 9) {
			/* its id and the enabled flag */
			EXPECT_EQ(e[0] ? u32(e, 4) : e[3], lapics);
			EXPECT_EQ(u32(e, e[0] ? 8 : 4) & 1, 1);
			lapics++;
		}
		ioapics += e[0] == 1;
	}
	EXPECT_EQ(i, madt->len);
	EXPECT_EQ(lapics, cpus);
	EXPECT_EQ(ioapics, 1);
	munmap(vm.mem, vm.mem_size);
}

TEST("MADT: every processor once, for 1 to 64")
{
	unsigned int n;

	for (n = 1; n <= VM_MAX_VCPUS; n += n < 4 ? 1 : 15)
		processors(n);
	processors(VM_MAX_VCPUS);
}

TEST("FADT, FACS, DSDT and MCFG are where the pointers say")
{
	const struct head *fadt, *mcfg;
	uint64_t rsdp = 0, facs;
	struct vm vm;
	int serial;

	for (serial = 0; serial < 2; serial++) {
		vm_init(&vm, 2);
		ASSERT_EQ(acpi_create(&vm, serial, &rsdp), 0);
		fadt = find(&vm, rsdp, "FACP");
		table(&vm, fadt->len >= 148 && u64(fadt, 140) ?
		      u64(fadt, 140) : u32(fadt, 40), "DSDT");
		facs = u32(fadt, 36);
		if (facs)
			EXPECT(!memcmp(vm_hva(&vm, facs, 64), "FACS", 4) &&
			       !(facs & 63), "FACS at 0x%llx",
			       (unsigned long long)facs);
		mcfg = find(&vm, rsdp, "MCFG");
		ASSERT(mcfg->len >= 60, "MCFG of %u bytes", mcfg->len);
		EXPECT_EQ(u64(mcfg, 44), VM_ECAM_BASE);
		EXPECT_EQ(((const uint8_t *)mcfg)[54], 0);
		EXPECT_EQ(((const uint8_t *)mcfg)[55],
			  VM_ECAM_SIZE / MIB - 1);
		munmap(vm.mem, vm.mem_size);
	}
}

TEST("iasl disassembles the DSDT and compiles it without a warning")
{
	char dir[] = "/tmp/kvt-acpi-XXXXXX", cmd[512];
	const struct head *fadt, *dsdt;
	uint64_t rsdp = 0;
	struct vm vm;
	FILE *f;
	int ret;

	if (system("command -v iasl >/dev/null"))
		SKIP("no iasl (package acpica-tools)");
	vm_init(&vm, 4);
	ASSERT_EQ(acpi_create(&vm, true, &rsdp), 0);
	fadt = find(&vm, rsdp, "FACP");
	dsdt = table(&vm, u64(fadt, 140) ? u64(fadt, 140) : u32(fadt, 40),
		     "DSDT");
	ASSERT(mkdtemp(dir), "mkdtemp: %s", strerror(errno));
	snprintf(cmd, sizeof(cmd), "%s/dsdt.aml", dir);
	f = fopen(cmd, "we");
	ASSERT(f && fwrite(dsdt, dsdt->len, 1, f) == 1 && !fclose(f),
	       "cannot write %s", cmd);
	snprintf(cmd, sizeof(cmd),
		 "cd %s && { iasl -d dsdt.aml && iasl -we dsdt.dsl; } >log 2>&1"
		 "; r=$?; [ $r = 0 ] || sed 's/^/# /' log; rm -rf %s; exit $r",
		 dir, dir);
	fflush(stdout);
	ret = system(cmd);
	EXPECT_EQ(ret, 0);
}
