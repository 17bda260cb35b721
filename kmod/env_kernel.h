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

static inline int kvs_load(void *dst, const void __user *src, size_t len)
{
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

static inline void *kvs_alloc(size_t n, size_t size)
{
	return kvcalloc(n, size, GFP_KERNEL_ACCOUNT);
}

static inline void kvs_free(const void *p)
{
	kvfree(p);
}

#endif /* KVS_ENV_KERNEL_H */
