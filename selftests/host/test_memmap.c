// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest memory table: what is accepted, what a guest range translates to,
 * and that no byte outside the table is ever reached (U-03, R-06, D-05).
 */
#include "kvt.h"
#include "memmap.h"

#define P 4096ull

static struct kvs_mem *make(const struct kvs_region *r, u32 nr)
{
	struct kvs_mem *mem = NULL;

	ASSERT_EQ(kvs_mem_create(r, nr, &mem), 0);
	ASSERT(mem, "no table");
	return mem;
}

static int refused(u64 gpa, u64 size, u64 hva)
{
	struct kvs_region r = { .gpa = gpa, .size = size, .hva = hva };
	struct kvs_mem *mem;
	int ret = kvs_mem_create(&r, 1, &mem);

	if (!ret)
		kvs_mem_free(mem);
	return ret;
}

TEST("U-03 empty and wrapping regions are refused")
{
	EXPECT_EQ(refused(0, 0, P), -EINVAL);
	EXPECT_EQ(refused(~0ull, 1, P), -EINVAL);
	EXPECT_EQ(refused(~0ull - P + 1, P, P), -EINVAL);
	EXPECT_EQ(refused(~0ull - P, P, P), 0);
	EXPECT_EQ(refused(0, P, ~0ull), -EINVAL);
	EXPECT_EQ(refused(0, ~0ull, 0), 0);
	EXPECT_EQ(refused(1, ~0ull, 0), -EINVAL);
}

TEST("U-03 overlapping regions are refused in any order")
{
	struct kvs_region r[3] = {
		{ .gpa = 8 * P, .size = 2 * P, .hva = P },
		{ .gpa = 0, .size = 4 * P, .hva = 100 * P },
		{ .gpa = 4 * P, .size = 4 * P, .hva = 200 * P },
	};
	struct kvs_mem *mem;

	mem = make(r, 3);	/* they touch, but do not overlap */
	kvs_mem_free(mem);
	r[1].size++;
	EXPECT_EQ(kvs_mem_create(r, 3, &mem), -EINVAL);
	r[1].size--;
	r[2].size = ~0ull - r[2].gpa - r[2].hva;
	EXPECT_EQ(kvs_mem_create(r, 3, &mem), -EINVAL);
	r[2] = r[0];
	EXPECT_EQ(kvs_mem_create(r, 3, &mem), -EINVAL);
}

TEST("U-03 512 regions are accepted, 513 and 2^32 - 1 refused")
{
	struct kvs_region *r = calloc(513, sizeof(*r));
	struct kvs_mem *mem;
	struct iovec iov[2];
	u32 i;

	ASSERT(r, "out of memory");
	for (i = 0; i < 513; i++)	/* highest first: must be sorted */
		r[i] = (struct kvs_region){ .gpa = (512 - i) * 2 * P,
					    .size = P, .hva = (i + 1) * P };
	EXPECT_EQ(kvs_mem_create(r, 513, &mem), -E2BIG);
	EXPECT_EQ(kvs_mem_create(r, ~0u, &mem), -E2BIG);
	mem = make(r, 512);
	for (i = 0; i < 512; i++) {
		EXPECT_EQ(kvs_mem_iov(mem, r[i].gpa + 1, 10, iov, 2), 1);
		EXPECT_EQ((uintptr_t)iov[0].iov_base, r[i].hva + 1);
		EXPECT_EQ(kvs_mem_iov(mem, r[i].gpa + P, 1, iov, 2), -EFAULT);
	}
	kvs_mem_free(mem);
	free(r);
}

TEST("an empty table translates nothing")
{
	struct kvs_mem *mem = make(NULL, 0);
	struct iovec iov;

	EXPECT_EQ(kvs_mem_iov(mem, 0, 1, &iov, 1), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, 0, 0, &iov, 1), 0);
	kvs_mem_free(mem);
}

/* Three regions: two that touch (apart in host memory), a hole, a third. */
static const struct kvs_region three[] = {
	{ .gpa = 0, .size = 2 * P, .hva = 50 * P },
	{ .gpa = 2 * P, .size = P, .hva = 10 * P },
	{ .gpa = 4 * P, .size = P, .hva = 20 * P },
};

TEST("R-06 a range over two regions becomes two elements")
{
	struct kvs_mem *mem = make(three, 3);
	struct iovec iov[2];

	ASSERT_EQ(kvs_mem_iov(mem, 2 * P - 7, 100, iov, 2), 2);
	EXPECT_EQ((uintptr_t)iov[0].iov_base, 52 * P - 7);
	EXPECT_EQ(iov[0].iov_len, 7);
	EXPECT_EQ((uintptr_t)iov[1].iov_base, 10 * P);
	EXPECT_EQ(iov[1].iov_len, 93);
	EXPECT_EQ(kvs_mem_iov(mem, 2 * P - 7, 100, iov, 1), -E2BIG);
	EXPECT_EQ(kvs_mem_iov(mem, 2 * P - 7, 100, iov, 0), -E2BIG);
	kvs_mem_free(mem);
}

TEST("D-05 holes, ends and wraps are refused to the byte")
{
	struct kvs_mem *mem = make(three, 3);
	struct iovec iov[4];

	EXPECT_EQ(kvs_mem_iov(mem, 0, 3 * P, iov, 4), 2);
	EXPECT_EQ(kvs_mem_iov(mem, 0, 3 * P + 1, iov, 4), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, 4 * P - 1, 2, iov, 4), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, 5 * P - 1, 1, iov, 4), 1);
	EXPECT_EQ(kvs_mem_iov(mem, 5 * P - 1, 2, iov, 4), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, 5 * P, 1, iov, 4), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, 4 * P, ~0ull, iov, 4), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, ~0ull, 1, iov, 4), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, ~0ull, ~0ull, iov, 4), -EFAULT);
	kvs_mem_free(mem);
}

TEST("R-06 a region that ends at the top of the address space")
{
	struct kvs_region r = { .gpa = ~0ull - P, .size = P, .hva = 3 * P };
	struct kvs_mem *mem = make(&r, 1);
	struct iovec iov[2];

	EXPECT_EQ(kvs_mem_iov(mem, ~0ull - 1, 1, iov, 2), 1);
	EXPECT_EQ((uintptr_t)iov[0].iov_base, 4 * P - 1);
	EXPECT_EQ(kvs_mem_iov(mem, ~0ull - 1, 2, iov, 2), -EFAULT);
	EXPECT_EQ(kvs_mem_iov(mem, ~0ull - P, P, iov, 2), 1);
	kvs_mem_free(mem);
}

TEST("copying out crosses regions and stops at a hole")
{
	u8 a[64], b[64], out[64];
	struct kvs_region r[] = {
		{ .gpa = 1000, .size = 64, .hva = (uintptr_t)a },
		{ .gpa = 1064, .size = 64, .hva = (uintptr_t)b },
	};
	struct kvs_mem *mem = make(r, 2);
	int i;

	for (i = 0; i < 64; i++) {
		a[i] = (u8)i;
		b[i] = (u8)(64 + i);
	}
	ASSERT_EQ(kvs_mem_load(mem, out, 1040, 64), 0);
	for (i = 0; i < 64; i++)
		EXPECT_EQ(out[i], 40 + i);
	EXPECT_EQ(kvs_mem_load(mem, out, 1127, 1), 0);
	EXPECT_EQ(out[0], 127);
	EXPECT_EQ(kvs_mem_load(mem, out, 1127, 2), -EFAULT);
	EXPECT_EQ(kvs_mem_load(mem, out, 999, 2), -EFAULT);
	EXPECT_EQ(kvs_mem_load(mem, out, 0, 0), 0);
	kvs_mem_free(mem);
}
