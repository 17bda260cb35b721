/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading the maps of BPF programs, many entries by one system call. */
#ifndef KVASIR_TRACE_MAPS_H
#define KVASIR_TRACE_MAPS_H

#include <stddef.h>
#include <stdint.h>

/* An array, or a hash table from which nothing is removed meanwhile. */
struct trace_map {
	int fd;
	size_t key_size, value_size;
	uint32_t n;		/* read so many, from the first on */
};

#define TRACE_MAP_ALL UINT32_MAX

/* @value is a copy, to be changed at will. Return: 0, or what to end reading with. */
typedef int (*trace_map_fn)(void *ctx, const void *key, void *value);

/**
 * trace_map_read() - @fn for every entry of @map
 *
 * Entries that are added meanwhile may be left out; others come exactly once.
 *
 * Return: 0, a negative errno, or what @fn returned
 */
int trace_map_read(const struct trace_map *map, trace_map_fn fn, void *ctx);

#endif /* KVASIR_TRACE_MAPS_H */
