/* SPDX-License-Identifier: GPL-2.0-only */
/* Words for what KVM reports as numbers. */
#ifndef KVASIR_EXIT_NAMES_H
#define KVASIR_EXIT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_NAME_MAX 48

/**
 * exit_reason_name() - name of a VM exit reason
 * @isa: EXITS_ISA_*, as kvm_exit reports it
 * @reason: the code, as the processor (or PVM) gave it
 * @buf: used for what has no name of its own
 *
 * Return: KVM's own name, as in its trace output, or the code in hexadecimal.
 */
const char *exit_reason_name(uint32_t isa, uint32_t reason,
			     char buf[EXIT_NAME_MAX]);

/**
 * exit_is_idle() - does handling this exit mean waiting for an event?
 *
 * The time from such an exit to the next entry is mostly the guest's sleep.
 */
bool exit_is_idle(uint32_t isa, uint32_t reason);

/* "SVM", "VMX", "PVM", or "?" */
const char *exit_isa_name(uint32_t isa);

/**
 * run_exit_name() - name of a KVM_EXIT_* code, without the prefix
 * @reason: the code, or EXITS_RUN_FAILED
 * @buf: used for a code without a name
 */
const char *run_exit_name(uint32_t reason, char buf[EXIT_NAME_MAX]);

#endif
