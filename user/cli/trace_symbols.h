/* SPDX-License-Identifier: GPL-2.0-only */
/* Names for addresses in a guest's kernel. */
#ifndef KVASIR_TRACE_SYMBOLS_H
#define KVASIR_TRACE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct trace_symbols;

/**
 * trace_symbols_load() - read a vmlinux, a System.map, or a copy of kallsyms
 *
 * The file may come from anywhere: nothing in it is trusted.
 *
 * Return: 0, -EINVAL if there are no symbols in it, other -errno.
 */
int trace_symbols_load(const char *path, struct trace_symbols **out);
void trace_symbols_free(struct trace_symbols *s);

/**
 * trace_symbols_find() - the symbol that @addr lies in
 * @offset: from its begin
 *
 * Return: its name, to be escaped before printing; NULL if there is none.
 */
const char *trace_symbols_find(const struct trace_symbols *s, uint64_t addr,
			       uint64_t *offset);

#endif
