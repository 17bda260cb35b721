/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opening BPF programs that are built twice, see bpf/include/peek.bpf.h: NAME_cast
 * is NAME with other code, for kernels that have bpf_rdonly_cast. Maps, variables
 * and programs are called the same, so the skeleton of NAME serves both.
 */
#ifndef KVASIR_TRACE_OPEN_H
#define KVASIR_TRACE_OPEN_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

/* Has the running kernel bpf_rdonly_cast? */
bool trace_can_cast(void);

/*
 * TRACE_OPENER() - static struct NAME_bpf *NAME_open(bool cast)
 *
 * That is NAME_bpf__open(), of NAME_cast if @cast. Return: NULL with errno set on
 * failure.
 */
#define TRACE_OPENER(name)						\
static struct name##_bpf *name##_open(bool cast)			\
{									\
	struct bpf_object_skeleton *skeleton;				\
	struct name##_bpf *s;						\
	int err;							\
									\
	if (!cast)							\
		return name##_bpf__open();				\
	s = calloc(1, sizeof(*s));					\
	if (!s)								\
		return NULL;						\
	err = name##_bpf__create_skeleton(s);				\
	if (!err) {							\
		skeleton = s->skeleton;					\
		skeleton->data = (void *)				\
			name##_cast_bpf__elf_bytes(&skeleton->data_sz);	\
		err = bpf_object__open_skeleton(skeleton, NULL);	\
	}								\
	if (!err)							\
		return s;						\
	name##_bpf__destroy(s);						\
	errno = -err;							\
	return NULL;							\
}

#endif
