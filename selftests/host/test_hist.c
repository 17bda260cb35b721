// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracer's histogram arithmetic and its tables of names.
 *
 * Proven: every value falls into exactly one bucket, in order, whose middle is
 * within 1/64 of it; quantiles agree with those of the sorted values within 3 %;
 * every code has a name or is shown as a number.
 */
#include "kvt.h"
#include "../../bpf/include/hist.h"
#include "../../bpf/exits.h"
#include "../../user/cli/exit_names.h"

/* Values around every power of two, and random ones of every magnitude. */
static uint64_t sample(uint64_t *state, unsigned int i)
{
	unsigned int bit = i % HIST_BITS;

	switch (i / HIST_BITS % 4) {
	case 0:
		return (1ULL << bit) - 1;
	case 1:
		return 1ULL << bit;
	case 2:
		return (1ULL << bit) + 1;
	default:
		return kvt_rand(state) >> (64 - HIST_BITS) >> bit;
	}
}

TEST("a bucket's middle is within 1/64 of every value in it")
{
	uint64_t state = kvt_seed() | 1, v, mid;
	unsigned int i;
	double error;

	for (i = 0; i < 1000000; i++) {
		v = sample(&state, i);
		ASSERT(hist_index(v) < HIST_BUCKETS, "value %lu", v);
		mid = hist_middle(hist_index(v));
		error = v ? ((double)mid - v) / v : mid;
		ASSERT(error <= 1.0 / 64 && error >= -1.0 / 64,
		       "value %lu, middle %lu: error %f", v, mid, error);
	}
}

TEST("buckets cover all values, without gap or overlap, in order")
{
	uint32_t i;

	EXPECT_EQ(hist_lower(0), 0);
	for (i = 1; i < HIST_BUCKETS; i++) {
		ASSERT_EQ(hist_index(hist_lower(i)), i);
		ASSERT_EQ(hist_index(hist_lower(i) - 1), i - 1);
	}
	EXPECT_EQ(hist_index((1ULL << HIST_BITS) - 1), HIST_BUCKETS - 1);
	EXPECT_EQ(hist_index(1ULL << HIST_BITS), HIST_BUCKETS - 1);
	EXPECT_EQ(hist_index(UINT64_MAX), HIST_BUCKETS - 1);
}

static int cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

TEST("quantiles are within 3 % of the true ones")
{
	static const uint32_t permille[] = { 1, 10, 500, 900, 990, 999, 1000 };
	static uint64_t value[9973];
	static __u64 bucket[HIST_BUCKETS];
	const size_t n = sizeof(value) / sizeof(value[0]);
	uint64_t state = kvt_seed() | 1, got, want;
	unsigned int round;
	double error;
	size_t i, rank;

	for (round = 0; round < 20; round++) {
		memset(bucket, 0, sizeof(bucket));
		for (i = 0; i < n; i++) {
			value[i] = kvt_rand(&state) >> (25 + kvt_rand(&state) % 30);
			bucket[hist_index(value[i])]++;
		}
		qsort(value, n, sizeof(value[0]), cmp);
		for (i = 0; i < sizeof(permille) / sizeof(permille[0]); i++) {
			rank = (n * permille[i] + 999) / 1000;
			want = value[rank - 1];
			got = hist_quantile(bucket, n, permille[i], value[n - 1]);
			error = want ? ((double)got - want) / want : got;
			EXPECT(error <= 0.03 && error >= -0.03,
			       "p%u of round %u: %lu, should be %lu", permille[i],
			       round, got, want);
		}
	}
}

TEST("quantiles of nothing, of one value, and of values beyond the range")
{
	static __u64 bucket[HIST_BUCKETS];
	const uint64_t huge = 1ULL << 50;

	EXPECT_EQ(hist_quantile(bucket, 0, 500, 0), 0);
	bucket[hist_index(1000)] = 1;
	EXPECT_EQ(hist_quantile(bucket, 1, 1, 1000), 1000);
	EXPECT_EQ(hist_quantile(bucket, 1, 1000, 1000), 1000);
	bucket[hist_index(huge)]++;
	EXPECT_EQ(hist_quantile(bucket, 2, 990, huge), huge);
	/* Counts near the end of 64 bits do not overflow. */
	bucket[hist_index(1000)] = UINT64_MAX - 1;
	EXPECT_EQ(hist_index(hist_quantile(bucket, UINT64_MAX, 500, huge)),
		  hist_index(1000));
}

static void expect_name(uint32_t isa, uint32_t code, const char *want)
{
	char buf[EXIT_NAME_MAX];
	const char *got = exit_reason_name(isa, code, buf);

	EXPECT(!strcmp(got, want), "isa %u code 0x%x: %s, expected %s", isa, code,
	       got, want);
}

TEST("known codes have KVM's names, unknown ones are numbers")
{
	char buf[EXIT_NAME_MAX];

	expect_name(EXITS_ISA_SVM, 0x072, "cpuid");
	expect_name(EXITS_ISA_SVM, 0x078, "hlt");
	expect_name(EXITS_ISA_SVM, 0x400, "npf");
	expect_name(EXITS_ISA_SVM, 0x80000001, "vmgexit_mmio_read");
	expect_name(EXITS_ISA_SVM, 0xffffffff, "invalid_guest_state");
	expect_name(EXITS_ISA_SVM, 0x0a6, "idle-halt");
	expect_name(EXITS_ISA_SVM, 0x7777, "0x7777");
	expect_name(EXITS_ISA_VMX, 10, "CPUID");
	expect_name(EXITS_ISA_VMX, 12, "HLT");
	expect_name(EXITS_ISA_VMX, 48, "EPT_VIOLATION");
	expect_name(EXITS_ISA_VMX, 0x80000021, "FAILED_VMENTRY INVALID_STATE");
	expect_name(EXITS_ISA_VMX, 0x80001234, "FAILED_VMENTRY 0x1234");
	expect_name(EXITS_ISA_VMX, 999, "0x3e7");
	expect_name(EXITS_ISA_PVM, 14, "PF excp");
	expect_name(EXITS_ISA_PVM, 2 << 16, "HYPERCALL");
	expect_name(EXITS_ISA_PVM, 9 << 16, "0x90000");
	expect_name(EXITS_ISAS, 1, "0x1");
	expect_name(UINT32_MAX, 1, "0x1");
	expect_name(EXITS_ISA_UNREADABLE, 0, "unreadable");
	/* Codes of the processor's own, down from -1: none of ours among them. */
	expect_name(EXITS_ISA_SVM, 0xfffffffe, "0xfffffffe");
	expect_name(EXITS_ISA_SVM, 0xfffffffd, "0xfffffffd");
	expect_name(EXITS_ISA_SVM, 0xfffffffc, "0xfffffffc");
	EXPECT(!strcmp(exit_isa_name(EXITS_ISA_SVM), "SVM"), "not SVM");
	EXPECT(!strcmp(exit_isa_name(UINT32_MAX), "?"), "not ?");
	EXPECT(!strcmp(run_exit_name(2, buf), "IO"), "not IO");
	EXPECT(!strcmp(run_exit_name(4242, buf), "4242"), "not 4242");
}

TEST("waiting exits are idle, others are not, codes are per instruction set")
{
	EXPECT(exit_is_idle(EXITS_ISA_SVM, 0x078), "SVM HLT");
	EXPECT(exit_is_idle(EXITS_ISA_VMX, 12), "VMX HLT");
	EXPECT(!exit_is_idle(EXITS_ISA_SVM, 12), "SVM 12");
	EXPECT(!exit_is_idle(EXITS_ISA_VMX, 0x078), "VMX 0x78");
	EXPECT(!exit_is_idle(EXITS_ISA_SVM, 0x400), "SVM NPF");
	EXPECT(!exit_is_idle(99, 12), "unknown instruction set");
}
