/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The portable sources' surroundings in userspace and fuzzers; see env.h. */
#ifndef KVS_ENV_USER_H
#define KVS_ENV_USER_H

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <linux/types.h>
#include <linux/virtio_ring.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#ifndef __force
#define __force
#endif
#ifndef __user
#define __user
#endif
#ifndef U64_MAX
#define U64_MAX		UINT64_MAX
#endif
#define likely(x)	__builtin_expect(!!(x), 1)
#define noinline	__attribute__((__noinline__))
#ifndef __always_inline
#define __always_inline	inline __attribute__((__always_inline__))
#endif
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define smp_mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()	__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()	__atomic_thread_fence(__ATOMIC_RELEASE)
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define min_t(t, a, b)	((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define BITS_PER_LONG	(8 * (int)sizeof(long))
#define BITS_TO_LONGS(n) (((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)

#define kvs_cpu16(x)	le16toh(x)
#define kvs_cpu32(x)	le32toh(x)
#define kvs_cpu64(x)	le64toh(x)
#define kvs_guest16(x)	htole16(x)
#define kvs_guest32(x)	htole32(x)
#define kvs_guest64(x)	htole64(x)

/* Sections of accesses: see env_kernel.h. Nothing faults here. */
#define kvs_access_begin(p, len)	((void)(p), (void)(len), true)
#define kvs_access_end()		((void)0)
#define kvs_get16(v, p, label)	KVS_ACCESS((v) = kvs_cpu16(READ_ONCE(*(p))), label)
#define kvs_get32(v, p, label)	KVS_ACCESS((v) = kvs_cpu32(READ_ONCE(*(p))), label)
#define kvs_get64(v, p, label)	KVS_ACCESS((v) = kvs_cpu64(READ_ONCE(*(p))), label)
#define kvs_put16(v, p, label)	KVS_ACCESS(WRITE_ONCE(*(p), kvs_guest16(v)), label)
#define kvs_put32(v, p, label)	KVS_ACCESS(WRITE_ONCE(*(p), kvs_guest32(v)), label)
#define kvs_put64(v, p, label)	KVS_ACCESS(WRITE_ONCE(*(p), kvs_guest64(v)), label)
#define KVS_ACCESS(x, label) do { if (0) goto label; x; } while (0)

static inline int kvs_load16(u16 *v, const __virtio16 *p)
{
	*v = kvs_cpu16(READ_ONCE(*p));
	return 0;
}

static inline int kvs_store16(__virtio16 *p, u16 v)
{
	WRITE_ONCE(*p, kvs_guest16(v));
	return 0;
}

static inline int kvs_load(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	/* the copy, not the source, is what later code looks at */
	__asm__ volatile("" ::: "memory");
	return 0;
}

static inline int kvs_store(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
}

static inline bool kvs_hva_ok(u64 hva, u64 len)
{
	return hva <= UINTPTR_MAX && len <= UINTPTR_MAX - hva;
}

static inline void *kvs_hva_ptr(u64 hva)
{
	return (void *)(uintptr_t)hva;
}

/* speculation is the kernel's worry */
#define kvs_index(index, size)	(index)

static inline void *kvs_alloc(size_t n, size_t size)
{
	return calloc(n, size);
}

static inline void kvs_free(const void *p)
{
	free((void *)p);
}

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline void __set_bit(unsigned int nr, unsigned long *p)
{
	p[nr / BITS_PER_LONG] |= 1UL << (nr % BITS_PER_LONG);
}

static inline void __clear_bit(unsigned int nr, unsigned long *p)
{
	p[nr / BITS_PER_LONG] &= ~(1UL << (nr % BITS_PER_LONG));
}

static inline bool test_bit(unsigned int nr, const unsigned long *p)
{
	return p[nr / BITS_PER_LONG] >> (nr % BITS_PER_LONG) & 1;
}

/* the kernel's sort() takes a swap function; ours never needs one */
static inline void sort(void *base, size_t num, size_t size,
			int (*cmp)(const void *, const void *), const void *swap)
{
	(void)swap;
	qsort(base, num, size, cmp);
}

static inline void kvs_relax(void)
{
}

#endif /* KVS_ENV_USER_H */
