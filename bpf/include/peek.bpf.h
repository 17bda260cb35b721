/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel memory that no argument of a program has a type for.
 *
 * A helper copies it (bpf_probe_read_kernel). Kernels from 6.2 on can be told that
 * an address is that of some type (bpf_rdonly_cast): then it is one load, without a
 * call, a tenth of the instructions. Either way an address that is none gives 0.
 *
 * The programs are built for both. One object that asks at run time would do, if the
 * BPF loader did not look for a function it does not find among those of all
 * modules, for which it needs CAP_SYS_ADMIN. Of the files linked to one object only
 * one may use this: bpftool 7.1 cannot link two that call a function of the kernel.
 */
#ifndef KVASIR_PEEK_BPF_H
#define KVASIR_PEEK_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "kvm_types.bpf.h"

#ifdef PEEK_CAST
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;

/* The eight bytes at @addr. */
static __always_inline __u64 peek(__u64 addr)
{
	/* Any type that begins with a number of this size will do. */
	const struct timespec64 *as =
		bpf_rdonly_cast((void *)addr,
				bpf_core_type_id_kernel(struct timespec64));

	return as->tv_sec;
}
#else
static __always_inline __u64 peek(__u64 addr)
{
	__u64 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (void *)addr);
	return v;
}
#endif

#endif
