// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words for what KVM reports as numbers: the reasons of VM exits on SVM, VMX
 * and PVM, and the codes KVM_RUN returns with.
 *
 * SVM's and VMX's tables are the kernel's own (asm/svm.h, asm/vmx.h), so the
 * names are those of its trace output. The headers of the building machine may
 * be older than the running kernel; what they miss is added below, what nobody
 * knows is shown as a number.
 */
#include <stdio.h>

#include <asm/svm.h>
#include <asm/vmx.h>
#include <linux/kvm.h>

#include "../../bpf/exits.h"
#include "exit_names.h"

#ifndef SVM_EXIT_BUS_LOCK
#define SVM_EXIT_BUS_LOCK	0x0a5
#endif
#ifndef SVM_EXIT_IDLE_HLT
#define SVM_EXIT_IDLE_HLT	0x0a6
#endif
#define SVM_EXIT_MWAIT_ARMED	0x08c	/* SVM_EXIT_MWAIT_COND, but everywhere */

struct exit_name {
	uint32_t code;
	const char *name;
};

static const struct exit_name svm_names[] = {
	SVM_EXIT_REASONS,
	{ SVM_EXIT_MWAIT_ARMED,	"mwait_cond" },
	{ SVM_EXIT_BUS_LOCK,	"buslock" },
	{ SVM_EXIT_IDLE_HLT,	"idle-halt" },
};

static const struct exit_name vmx_names[] = {
	VMX_EXIT_REASONS,
	{ 84, "MSR_READ_IMM" },
	{ 85, "MSR_WRITE_IMM" },
};

/*
 * PVM is not in the mainline kernel. Below are the codes on which all versions
 * of its patches agree: exception vectors, and what its switcher adds to them.
 */
#define PVM_SYNTHETIC(n)	((n) << 16)
#define PVM_FAILED_ENTRY	1025

static const struct exit_name pvm_names[] = {
	{ 0, "DE excp" }, { 1, "DB excp" }, { 2, "NMI excp" },
	{ 3, "BP excp" }, { 4, "OF excp" }, { 5, "BR excp" },
	{ 6, "UD excp" }, { 7, "NM excp" }, { 8, "DF excp" },
	{ 10, "TS excp" }, { 12, "SS excp" }, { 13, "GP excp" },
	{ 14, "PF excp" }, { 16, "MF excp" }, { 17, "AC excp" },
	{ 18, "MC excp" }, { 19, "XM excp" }, { 20, "VE excp" },
	{ PVM_SYNTHETIC(1), "SYSCALL" },
	{ PVM_SYNTHETIC(2), "HYPERCALL" },
	{ PVM_SYNTHETIC(3), "ERETU" },
	{ PVM_FAILED_ENTRY, "FAILED_VMENTRY" },
};

static const struct exit_name run_names[] = {
	{ KVM_EXIT_UNKNOWN, "UNKNOWN" },
	{ KVM_EXIT_EXCEPTION, "EXCEPTION" },
	{ KVM_EXIT_IO, "IO" },
	{ KVM_EXIT_HYPERCALL, "HYPERCALL" },
	{ KVM_EXIT_DEBUG, "DEBUG" },
	{ KVM_EXIT_HLT, "HLT" },
	{ KVM_EXIT_MMIO, "MMIO" },
	{ KVM_EXIT_IRQ_WINDOW_OPEN, "IRQ_WINDOW_OPEN" },
	{ KVM_EXIT_SHUTDOWN, "SHUTDOWN" },
	{ KVM_EXIT_FAIL_ENTRY, "FAIL_ENTRY" },
	{ KVM_EXIT_INTR, "INTR" },
	{ KVM_EXIT_SET_TPR, "SET_TPR" },
	{ KVM_EXIT_TPR_ACCESS, "TPR_ACCESS" },
	{ KVM_EXIT_NMI, "NMI" },
	{ KVM_EXIT_INTERNAL_ERROR, "INTERNAL_ERROR" },
	{ KVM_EXIT_SYSTEM_EVENT, "SYSTEM_EVENT" },
	{ KVM_EXIT_IOAPIC_EOI, "IOAPIC_EOI" },
	{ KVM_EXIT_HYPERV, "HYPERV" },
	{ KVM_EXIT_X86_RDMSR, "X86_RDMSR" },
	{ KVM_EXIT_X86_WRMSR, "X86_WRMSR" },
	{ KVM_EXIT_DIRTY_RING_FULL, "DIRTY_RING_FULL" },
	{ KVM_EXIT_AP_RESET_HOLD, "AP_RESET_HOLD" },
	{ KVM_EXIT_X86_BUS_LOCK, "X86_BUS_LOCK" },
	{ KVM_EXIT_XEN, "XEN" },
	{ KVM_EXIT_NOTIFY, "NOTIFY" },
	{ 39, "MEMORY_FAULT" },
	{ EXITS_RUN_FAILED, "failed" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	const struct exit_name *names;
	size_t n;
} isas[EXITS_ISAS] = {
	[EXITS_ISA_VMX] = { "VMX", vmx_names, COUNT(vmx_names) },
	[EXITS_ISA_SVM] = { "SVM", svm_names, COUNT(svm_names) },
	[EXITS_ISA_PVM] = { "PVM", pvm_names, COUNT(pvm_names) },
};

static const char *find(const struct exit_name *t, size_t n, uint32_t code)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (t[i].code == code)
			return t[i].name;
	return NULL;
}

const char *exit_isa_name(uint32_t isa)
{
	return isa < EXITS_ISAS && isas[isa].name ? isas[isa].name : "?";
}

const char *exit_reason_name(uint32_t isa, uint32_t reason,
			     char buf[EXIT_NAME_MAX])
{
	const char *name = NULL, *failed = "";

	if (isa == EXITS_ISA_UNREADABLE)
		return "unreadable";
	if (isa < EXITS_ISAS)
		name = find(isas[isa].names, isas[isa].n, reason);
	if (!name && isa == EXITS_ISA_VMX &&
	    (reason & VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		failed = "FAILED_VMENTRY ";
		reason &= ~VMX_EXIT_REASONS_FAILED_VMENTRY;
		name = find(vmx_names, COUNT(vmx_names), reason);
	}
	if (name && !*failed)
		return name;
	if (name)
		snprintf(buf, EXIT_NAME_MAX, "%s%s", failed, name);
	else
		snprintf(buf, EXIT_NAME_MAX, "%s0x%x", failed, reason);
	return buf;
}

bool exit_is_idle(uint32_t isa, uint32_t reason)
{
	switch (isa) {
	case EXITS_ISA_VMX:
		return reason == EXIT_REASON_HLT ||
		       reason == EXIT_REASON_MWAIT_INSTRUCTION;
	case EXITS_ISA_SVM:
		return reason == SVM_EXIT_HLT || reason == SVM_EXIT_IDLE_HLT ||
		       reason == SVM_EXIT_MWAIT ||
		       reason == SVM_EXIT_MWAIT_ARMED ||
		       reason == SVM_VMGEXIT_AP_HLT_LOOP;
	default:
		return false;
	}
}

const char *run_exit_name(uint32_t reason, char buf[EXIT_NAME_MAX])
{
	const char *name = find(run_names, COUNT(run_names), reason);

	if (name)
		return name;
	snprintf(buf, EXIT_NAME_MAX, "%u", reason);
	return buf;
}
