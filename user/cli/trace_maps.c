// SPDX-License-Identifier: GPL-2.0-only
/* Reading BPF maps; see trace_maps.h. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "trace_maps.h"

/* Little enough to be in a CPU's cache when it is looked at. */
#define BATCH_BYTES	(256 << 10)

/* Entries as the kernel gives them: values, and keys behind them. */
struct batch {
	char *value, *key;
	uint32_t room, n;
};

static int batch_make(struct batch *b, const struct trace_map *map, uint32_t room)
{
	free(b->value);
	b->value = malloc(room * (map->value_size + map->key_size));
	if (!b->value)
		return -ENOMEM;
	b->key = b->value + room * map->value_size;
	b->room = room;
	return 0;
}

static int batch_each(const struct batch *b, const struct trace_map *map,
		      trace_map_fn fn, void *ctx)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < b->n && !err; i++)
		err = fn(ctx, b->key + i * map->key_size,
			 b->value + i * map->value_size);
	return err;
}

int trace_map_read(const struct trace_map *map, trace_map_fn fn, void *ctx)
{
	/* An even number: keys of eight bytes may be behind values of four. */
	uint32_t room = (BATCH_BYTES / (map->key_size + map->value_size) + 2) & ~1U;
	uint32_t at, left = map->n;
	struct batch b = { 0 };
	void *from = NULL;
	int err, end = 0;

	err = batch_make(&b, map, room);
	while (!err && !end && left) {
		b.n = left < b.room ? left : b.room;
		end = bpf_map_lookup_batch(map->fd, from, &at, b.key, b.value,
					   &b.n, NULL) ? -errno : 0;
		if (end == -ENOSPC) {
			/* A hash table's bucket is taken as a whole. */
			end = 0;
			err = batch_make(&b, map, 2 * b.room);
			continue;
		}
		if (!end || end == -ENOENT)
			err = batch_each(&b, map, fn, ctx);
		left -= b.n;
		from = &at;
	}
	free(b.value);
	return err ? err : end == -ENOENT ? 0 : end;
}
