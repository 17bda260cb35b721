/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BPF maps that a test makes up: the two calls of libbpf that read maps, answered
 * as the kernel does. Included once, by the test; its definitions go before the
 * library's.
 */
#ifndef KVT_FAKE_MAPS_H
#define KVT_FAKE_MAPS_H

#include <bpf/bpf.h>

#include "kvt.h"

#define FAKE_MAPS 8

/* Entry @i: @key_size bytes at @key + i * @key_size, and so on. */
struct fake_map {
	size_t key_size, value_size;
	char *key, *value;
	uint32_t n;
	uint32_t bucket;	/* so many are given together or not at all */
	unsigned int calls;
};

static struct fake_map fake_maps[FAKE_MAPS];

/* Descriptor @fd with room for @n entries, all 0; keys count up from 0. */
static inline struct fake_map *fake_map(int fd, size_t key_size, size_t value_size,
					uint32_t n)
{
	struct fake_map *m = &fake_maps[fd];
	uint32_t i;

	free(m->key);
	free(m->value);
	*m = (struct fake_map){
		.key_size = key_size, .value_size = value_size, .n = n, .bucket = 1,
		.key = calloc(n + 1, key_size), .value = calloc(n + 1, value_size),
	};
	ASSERT(m->key && m->value, "no memory");
	for (i = 0; i < n; i++)
		memcpy(m->key + i * key_size, &i, sizeof(i));
	return m;
}

int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values,
			 __u32 *count, const struct bpf_map_batch_opts *opts)
{
	struct fake_map *m = &fake_maps[fd];
	uint32_t at = in ? *(uint32_t *)in : 0, got = 0, n;

	(void)opts;
	m->calls++;
	for (; at < m->n; at += n, got += n) {
		n = m->n - at < m->bucket ? m->n - at : m->bucket;
		if (n > *count - got)
			break;
		memcpy((char *)keys + got * m->key_size, m->key + at * m->key_size,
		       n * m->key_size);
		memcpy((char *)values + got * m->value_size,
		       m->value + at * m->value_size, n * m->value_size);
	}
	errno = at == m->n ? ENOENT : !got ? ENOSPC : 0;
	*count = got;
	*(uint32_t *)out = at;
	return -errno;
}

/* Of an array. */
int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	const struct fake_map *m = &fake_maps[fd];
	uint32_t at = *(const uint32_t *)key;

	if (at >= m->n) {
		errno = ENOENT;
		return -errno;
	}
	memcpy(value, m->value + at * m->value_size, m->value_size);
	return 0;
}

#endif /* KVT_FAKE_MAPS_H */
