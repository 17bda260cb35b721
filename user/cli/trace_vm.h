/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual machines, as seen from outside: processes that hold one. */
#ifndef KVASIR_TRACE_VM_H
#define KVASIR_TRACE_VM_H

#include <stddef.h>
#include <stdint.h>

/* 1 if process @pid holds a VM, 0 if not, -errno if that cannot be told. */
int trace_has_vm(uint32_t pid);

/**
 * trace_vm_name() - the name its user gave the VM of process @pid
 *
 * As its command line tells it: kvasir's --name, QEMU's -name. Somebody else's
 * bytes: escape before printing. Empty if there is none.
 */
void trace_vm_name(uint32_t pid, char *name, size_t size);

/* The name of process @pid, cut to @size. The same holds. */
void trace_vm_comm(uint32_t pid, char *comm, size_t size);

/*
 * When process @pid started, in clock ticks since the boot: with its number, this
 * tells it from all others. 0 if it is gone.
 */
uint64_t trace_vm_start(uint32_t pid);

/**
 * trace_find_vm() - the process whose VM is called @name
 *
 * Whose files the caller may not see counts if no other process does: tracing
 * needs fewer rights than looking for a VM among somebody else's files.
 *
 * Return: its number, -ENOENT if there is none, -EEXIST if there are several,
 * other -errno.
 */
int trace_find_vm(const char *name);

#endif
