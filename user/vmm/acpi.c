// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI tables: RSDP -> XSDT -> FADT (-> FACS, DSDT), MADT, MCFG.
 *
 * They tell the guest what there is (processors, IOAPIC, ECAM, a PCI root, a
 * serial port), what there is not (8042, RTC, VGA: flags that save it from
 * probing), and how to switch off and reset. Layouts by the ACPI
 * specification 6.4, chapter 5, and the PCI firmware specification 3.2 (MCFG).
 */
#include <errno.h>
#include <string.h>

#include "aml.h"
#include "boot.h"
#include "pm.h"

#define APIC_BASE	0xfee00000U
#define IOAPIC_BASE	0xfec00000U

/* FADT, 5.2.9 */
#define BOOT_NO_VGA	(1U << 2)
#define BOOT_NO_ASPM	(1U << 4)
#define BOOT_NO_RTC	(1U << 5)
#define FADT_WBINVD	(1U << 0)
#define FADT_SLP_BUTTON	(1U << 5)	/* no fixed sleep button */
#define FADT_RESET_REG	(1U << 10)

#define SPACE_IO	1

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t checksum_all;
	uint8_t reserved[3];
} __attribute__((packed));

struct address {
	uint8_t space;
	uint8_t bits;
	uint8_t offset;
	uint8_t access;		/* log2(bytes) + 1 */
	uint64_t at;
} __attribute__((packed));

struct fadt {
	struct header h;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt;
	uint32_t pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct address reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct address x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
	struct address x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct address sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));
_Static_assert(sizeof(struct fadt) == 276, "FADT of ACPI 6");

struct facs {
	char signature[4];
	uint32_t length;
	uint8_t rest[56];
} __attribute__((packed));

struct madt {
	struct header h;
	uint32_t apic;
	uint32_t flags;		/* 1: there is a PIC too */
} __attribute__((packed));

struct madt_cpu {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t at, gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

struct mcfg {
	struct header h;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t bus_first, bus_last;
	uint32_t reserved1;
} __attribute__((packed));

struct xsdt {
	struct header h;
	uint64_t tables[3];
} __attribute__((packed));

/* The area tables are written to, one after the other. */
struct area {
	struct vm *vm;
	uint64_t next;
};

static uint64_t left(const struct area *area)
{
	return BOOT_ACPI + BOOT_ACPI_SIZE - area->next;
}

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return -sum;
}

static void fill_header(struct header *h, const char *signature,
			uint8_t revision, uint32_t length)
{
	memcpy(h->signature, signature, 4);
	h->length = length;
	h->revision = revision;
	memcpy(h->oem_id, "KVASIR", 6);
	memcpy(h->oem_table_id, "KVASIRVM", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, "KVSR", 4);
	h->creator_revision = 1;
}

/* Append @len bytes at a 64-byte boundary; 0: no room. */
static uint64_t append(struct area *area, const void *data, size_t len)
{
	uint64_t at = (area->next + 63) & ~63ULL;

	area->next = at;
	if (at >= BOOT_ACPI + BOOT_ACPI_SIZE || len > left(area))
		return 0;
	memcpy(vm_hva(area->vm, at, len), data, len);
	area->next = at + len;
	return at;
}

static uint64_t append_table(struct area *area, struct header *h)
{
	h->checksum = 0;
	h->checksum = checksum(h, h->length);
	return append(area, h, h->length);
}

/* ---- DSDT ---- */

static void describe_pci(struct aml *a)
{
	size_t dev, crs;

	dev = aml_device(a, "PCI0");
	aml_name_eisaid(a, "_HID", "PNP0A03");
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_SEG", 0);
	aml_name_int(a, "_BBN", 0);
	crs = aml_crs(a);
	aml_res_bus_range(a, 0, 0);
	aml_res_io(a, 0xcf8, 8);
	aml_res_port_range(a, VM_PORTS_BASE, VM_PORTS_BASE + VM_PORTS_SIZE - 1);
	aml_res_memory_range(a, VM_MMIO_BASE, VM_MMIO_BASE + VM_MMIO_SIZE - 1);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

/* Ranges no driver may take: ECAM, power management. */
static void describe_board(struct aml *a)
{
	size_t dev, crs;

	dev = aml_device(a, "MBRD");
	aml_name_eisaid(a, "_HID", "PNP0C02");
	aml_name_int(a, "_UID", 0);
	crs = aml_crs(a);
	aml_res_memory32_fixed(a, VM_ECAM_BASE, VM_ECAM_SIZE);
	aml_res_io(a, PM_BASE, PM_SIZE);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

static void describe_serial(struct aml *a)
{
	size_t dev, crs;

	dev = aml_device(a, "COM1");
	aml_name_eisaid(a, "_HID", "PNP0501");
	aml_name_int(a, "_UID", 1);
	crs = aml_crs(a);
	aml_res_io(a, 0x3f8, 8);
	aml_res_irq(a, VM_GSI_SERIAL);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

static uint64_t write_dsdt(struct area *area, bool serial)
{
	static const uint8_t s5[] = { PM_SLP_TYP_S5, 0, 0, 0 };
	union {
		struct header h;
		uint8_t bytes[4096];
	} t = { .bytes = { 0 } };
	struct aml a = {
		.buf = t.bytes, .size = sizeof(t), .len = sizeof(t.h),
	};
	size_t scope;

	scope = aml_scope(&a, "\\_SB_");
	describe_pci(&a);
	describe_board(&a);
	if (serial)
		describe_serial(&a);
	aml_end(&a, scope);
	aml_name_bytes_package(&a, "\\_S5_", s5, sizeof(s5));
	if (a.overflow)
		return 0;
	fill_header(&t.h, "DSDT", 2, a.len);
	return append_table(area, &t.h);
}

/* ---- the others ---- */

static struct address io_reg(uint64_t port, uint8_t bits, uint8_t access)
{
	return (struct address) {
		.space = SPACE_IO, .bits = bits, .access = access, .at = port,
	};
}

static uint64_t write_fadt(struct area *area, uint64_t dsdt, uint64_t facs)
{
	struct fadt t = {
		.facs = facs, .dsdt = dsdt, .x_dsdt = dsdt,
		.sci_int = VM_GSI_SCI,
		.pm1a_evt = PM1A_EVT, .pm1_evt_len = 4,
		.pm1a_cnt = PM1A_CNT, .pm1_cnt_len = 2,
		.x_pm1a_evt = io_reg(PM1A_EVT, 32, 2),
		.x_pm1a_cnt = io_reg(PM1A_CNT, 16, 2),
		.c2_latency = UINT16_MAX, .c3_latency = UINT16_MAX,
		.boot_arch = BOOT_NO_VGA | BOOT_NO_ASPM | BOOT_NO_RTC,
		.flags = FADT_WBINVD | FADT_SLP_BUTTON | FADT_RESET_REG,
		.reset_reg = io_reg(PM_RESET_PORT, 8, 1),
		.reset_value = PM_RESET_VALUE,
		.minor = 3,
	};

	memcpy(&t.hypervisor, "KVASIR\0\0", 8);
	fill_header(&t.h, "FACP", 6, sizeof(t));
	return append_table(area, &t.h);
}

static size_t madt_cpus(uint8_t *to, unsigned int nr)
{
	struct madt_cpu cpu = { .length = sizeof(cpu), .flags = 1 };
	unsigned int i;

	for (i = 0; i < nr; i++) {
		cpu.uid = i;
		cpu.apic_id = i;
		memcpy(to + i * sizeof(cpu), &cpu, sizeof(cpu));
	}
	return nr * sizeof(cpu);
}

static uint64_t write_madt(struct area *area)
{
	static const struct madt_ioapic ioapic = {
		.type = 1, .length = sizeof(ioapic), .at = IOAPIC_BASE,
	};
	/* the SCI is level-triggered, active high; all else as ISA has it */
	static const struct madt_override sci = {
		.type = 2, .length = sizeof(sci), .irq = VM_GSI_SCI,
		.gsi = VM_GSI_SCI, .flags = 0xd,
	};
	static const struct madt_nmi nmi = {
		.type = 4, .length = sizeof(nmi), .uid = 0xff, .lint = 1,
	};
	union {
		struct madt t;
		uint8_t bytes[sizeof(struct madt) +
			      VM_MAX_VCPUS * sizeof(struct madt_cpu) +
			      sizeof(ioapic) + sizeof(sci) + sizeof(nmi)];
	} u = { .bytes = { 0 } };
	uint8_t *p = u.bytes + sizeof(u.t);

	u.t.apic = APIC_BASE;
	u.t.flags = 1;
	p += madt_cpus(p, area->vm->nr_vcpus);
	memcpy(p, &ioapic, sizeof(ioapic));
	p += sizeof(ioapic);
	memcpy(p, &sci, sizeof(sci));
	p += sizeof(sci);
	memcpy(p, &nmi, sizeof(nmi));
	p += sizeof(nmi);
	fill_header(&u.t.h, "APIC", 4, p - u.bytes);
	return append_table(area, &u.t.h);
}

static uint64_t write_mcfg(struct area *area)
{
	struct mcfg t = {
		.base = VM_ECAM_BASE,
		.bus_last = (VM_ECAM_SIZE >> 20) - 1,
	};

	fill_header(&t.h, "MCFG", 1, sizeof(t));
	return append_table(area, &t.h);
}

static uint64_t write_facs(struct area *area)
{
	struct facs t = { .signature = "FACS", .length = sizeof(t) };

	return append(area, &t, sizeof(t));
}

static uint64_t write_rsdp(struct area *area, uint64_t xsdt)
{
	struct rsdp t = {
		.signature = "RSD PTR ", .oem_id = "KVASIR", .revision = 2,
		.length = sizeof(t), .xsdt = xsdt,
	};

	t.checksum = checksum(&t, offsetof(struct rsdp, length));
	t.checksum_all = checksum(&t, sizeof(t));
	return append(area, &t, sizeof(t));
}

int acpi_create(struct vm *vm, bool serial, uint64_t *rsdp)
{
	struct area area = { .vm = vm, .next = BOOT_ACPI };
	struct xsdt x = { .tables = { 0 } };
	uint64_t dsdt, facs, xsdt;

	dsdt = write_dsdt(&area, serial);
	facs = write_facs(&area);
	x.tables[0] = write_fadt(&area, dsdt, facs);
	x.tables[1] = write_madt(&area);
	x.tables[2] = write_mcfg(&area);
	fill_header(&x.h, "XSDT", 1, sizeof(x));
	xsdt = append_table(&area, &x.h);
	*rsdp = write_rsdp(&area, xsdt);
	/* later tables lie behind earlier ones: if it fits, all do */
	if (!dsdt || !*rsdp)
		return vmm_err(vm, -ENOSPC, "ACPI tables do not fit");
	return 0;
}
