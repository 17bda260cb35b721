/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The portable sources' surroundings in the kernel; see env.h. */
#ifndef KVS_ENV_KERNEL_H
#define KVS_ENV_KERNEL_H

#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/virtio_byteorder.h>
#include <uapi/linux/virtio_ring.h>

#define kvs_cpu16(x)	__virtio16_to_cpu(true, (x))
#define kvs_cpu32(x)	__virtio32_to_cpu(true, (x))
#define kvs_cpu64(x)	__virtio64_to_cpu(true, (x))
#define kvs_guest16(x)	__cpu_to_virtio16(true, (x))
#define kvs_guest32(x)	__cpu_to_virtio32(true, (x))
#define kvs_guest64(x)	__cpu_to_virtio64(true, (x))

/*
 * A section of accesses: nothing but kvs_get*(), kvs_put*(), barriers and
 * inline arithmetic belongs between begin and end, since the CPU lets the
 * kernel touch user memory there. A fault goes to @label, still inside.
 */
#define kvs_access_begin(p, len)	user_access_begin(p, len)
#define kvs_access_end()		user_access_end()

#define kvs_get16(v, p, label)						\
do {									\
	__virtio16 kvs_x;						\
									\
	unsafe_get_user(kvs_x, p, label);				\
	(v) = kvs_cpu16(kvs_x);						\
} while (0)

#define kvs_get32(v, p, label)						\
do {									\
	__virtio32 kvs_x;						\
									\
	unsafe_get_user(kvs_x, p, label);				\
	(v) = kvs_cpu32(kvs_x);						\
} while (0)

#define kvs_get64(v, p, label)						\
do {									\
	__virtio64 kvs_x;						\
									\
	unsafe_get_user(kvs_x, p, label);				\
	(v) = kvs_cpu64(kvs_x);						\
} while (0)

#define kvs_put16(v, p, label)	unsafe_put_user(kvs_guest16(v), p, label)
#define kvs_put32(v, p, label)	unsafe_put_user(kvs_guest32(v), p, label)
#define kvs_put64(v, p, label)	unsafe_put_user(kvs_guest64(v), p, label)

/* 0 or -EFAULT; *v is undefined after a fault */
static inline int kvs_load16(u16 *v, const __virtio16 __user *p)
{
	__virtio16 x;

	if (__get_user(x, p))
		return -EFAULT;
	*v = kvs_cpu16(x);
	return 0;
}

static inline int kvs_store16(__virtio16 __user *p, u16 v)
{
	return __put_user(kvs_guest16(v), p) ? -EFAULT : 0;
}

/*
 * A short copy, word by word: below KVS_SHORT bytes the string instructions
 * of the generic copy cost more to start than this costs in all.
 */
#define KVS_SHORT	128

static inline int kvs_load_short(void *dst, const void __user *src, size_t len)
{
	size_t at = 0;
	u64 x8;
	u16 x2;
	u8 x1;

	if (!user_access_begin(src, len))
		return -EFAULT;
	for (; len - at >= 8; at += 8) {
		unsafe_get_user(x8, (const u64 __user *)(src + at), fault);
		memcpy(dst + at, &x8, sizeof(x8));
	}
	for (; len - at >= 2; at += 2) {
		unsafe_get_user(x2, (const u16 __user *)(src + at), fault);
		memcpy(dst + at, &x2, sizeof(x2));
	}
	if (at < len) {
		unsafe_get_user(x1, (const u8 __user *)(src + at), fault);
		*(u8 *)(dst + at) = x1;
	}
	user_access_end();
	return 0;

fault:
	user_access_end();
	return -EFAULT;
}

static inline int kvs_load(void *dst, const void __user *src, size_t len)
{
	if (len < KVS_SHORT)
		return kvs_load_short(dst, src, len);
	return __copy_from_user(dst, src, len) ? -EFAULT : 0;
}

static inline int kvs_store(void __user *dst, const void *src, size_t len)
{
	return __copy_to_user(dst, src, len) ? -EFAULT : 0;
}

static inline bool kvs_hva_ok(u64 hva, u64 len)
{
	return hva <= ULONG_MAX && len <= ULONG_MAX &&
	       access_ok((const void __user *)(unsigned long)hva, len);
}

static inline void __user *kvs_hva_ptr(u64 hva)
{
	return (void __user *)(unsigned long)hva;
}

/* @index, which is below @size, also for the CPU's speculation */
#define kvs_index(index, size)	array_index_nospec(index, size)

/*
 * For what may be large: vmalloc() prints a stack trace when it fails, and the
 * owner, or the drop counter, is told anyhow.
 */
#define KVS_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN)

static inline void *kvs_alloc(size_t n, size_t size)
{
	return kvcalloc(n, size, KVS_GFP);
}

static inline void kvs_free(const void *p)
{
	kvfree(p);
}

/* In long loops: let others run. */
static inline void kvs_relax(void)
{
	cond_resched();
}

#endif /* KVS_ENV_KERNEL_H */
