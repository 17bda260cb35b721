// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace diff`: its arithmetic, and its verdicts.
 *
 * Proven: the tests give the textbook's probabilities; runs of one kind are
 * hardly ever called different, bursts or not; more, slower and longer-tailed
 * exits are found, each as what it is; new and gone ones too.
 */
#include "trace_sample.h"
#include "../../user/cli/stat_test.h"
#include "../../user/cli/trace_diff.h"

static void expect_near(double got, double want, double tolerance)
{
	EXPECT(fabs(got - want) <= tolerance, "%g, expected %g", got, want);
}

TEST("probabilities are those of the textbooks")
{
	const uint64_t a[] = { 3, 1, 0, 0 }, b[] = { 0, 1, 1, 2 };
	double score[4];

	expect_near(stat_normal_p(1.959964), 0.05, 1e-6);
	expect_near(stat_normal_p(-2.575829), 0.01, 1e-6);
	/* Binomial, 2 of 10 at 1/2: 2 * 56 / 1024; 5 of 10: 1 */
	expect_near(stat_rates_p(2, 1, 8, 1, 1), 112.0 / 1024, 1e-9);
	expect_near(stat_rates_p(5, 1, 5, 1, 1), 1, 1e-9);
	expect_near(stat_rates_p(0, 1, 0, 1, 1), 1, 0);
	/* Twice the time, twice the count: no difference */
	EXPECT(stat_rates_p(100, 1, 200, 2, 1) > 0.9, "rates");
	/* Large: (k - n/2) / sqrt(n/4) = 2 */
	expect_near(stat_rates_p(49900, 1, 50100, 1, 1), stat_normal_p(200 / sqrt(1e5)),
		    1e-6);
	/* Four times as bursty: half the deviation */
	expect_near(stat_rates_p(49900, 1, 50100, 1, 4),
		    stat_normal_p(100 / sqrt(1e5)), 1e-6);
	/* Mann-Whitney: U = 0.5 of 16, variance 11.142857 with the ties */
	stat_midranks(a, b, 4, score);
	expect_near(stat_means_p(stat_mean(score, a, 4), 1, stat_mean(score, b, 4), 1),
		    stat_normal_p(7.5 / sqrt(11.142857)), 1e-6);
}

TEST("Holm's correction")
{
	double p[] = { 0.01, 0.04, -1, 0.03, 0.005 };

	ASSERT_EQ(stat_holm(p, 5), 0);
	expect_near(p[4], 0.02, 1e-12);
	expect_near(p[0], 0.03, 1e-12);
	expect_near(p[3], 0.06, 1e-12);
	expect_near(p[1], 0.06, 1e-12);
	EXPECT_EQ(p[2], -1);
}

TEST("dispersion is 1 for chance, more for bursts, 1 for too few blocks")
{
	double n[24], expect[24];
	size_t i;

	for (i = 0; i < 24; i++) {
		expect[i] = 100;
		n[i] = i % 2 ? 110 : 90;	/* variance = mean */
	}
	expect_near(stat_dispersion(n, expect, 24), 24.0 / 23 * 23 / 21, 1e-9);
	for (i = 0; i < 24; i++)
		n[i] = i % 2 ? 150 : 50;
	EXPECT(stat_dispersion(n, expect, 24) > 20, "bursts");
	expect_near(stat_dispersion(n, expect, 4), 1, 0);
}

/* One run of one VM: @slices of @n exits of @ns, @burst times so many in some. */
static void run_of(struct trace_record *rec, uint64_t *state, double ns, double n,
		   double burst, double tail)
{
	struct exits_series s, more;
	struct trace all, now;
	uint64_t count;
	size_t i, k;

	memset(rec, 0, sizeof(*rec));
	sample_init(&all);
	for (i = 1; i <= 60; i++) {
		count = n * (kvt_rand(state) % 4 ? 1 : burst);
		/* About Poisson: a sum of many rare ones */
		for (k = 0, count *= 16; k < 16; k++)
			count += kvt_rand(state) % 2 ? sqrt(count) : -sqrt(count);
		count /= 16;
		sample_fill(&s, count, ns, 0.3, state);
		ASSERT_EQ(trace_book(&all.vm[0], &all.vm[0].vcpu[0],
				     EXITS_ISA_SVM, SAMPLE_NPF, false, &s), 0);
		sample_fill(&more, (uint64_t)(count * tail), ns * 20, 0.3, state);
		ASSERT_EQ(trace_book(&all.vm[0], &all.vm[0].vcpu[0],
				     EXITS_ISA_SVM, SAMPLE_NPF, false, &more), 0);
		all.seconds = i * 0.5;
		sample_init(&now);
		now.seconds = all.seconds;
		for (k = 0; k < all.vm[0].rows.n; k++)
			ASSERT_EQ(trace_book(&now.vm[0], &now.vm[0].vcpu[0],
					     EXITS_ISA_SVM, SAMPLE_NPF, false,
					     &all.vm[0].rows.row[k].by[0]), 0);
		ASSERT_EQ(trace_record_add(rec, &now), 0);
		trace_free(&now);
	}
	trace_free(&all);
}

/* Changes found between two runs, as bits. */
static unsigned int changes(const struct trace_record *a,
			    const struct trace_record *b)
{
	struct trace_diff d;
	unsigned int bits = 0;
	int i;

	ASSERT_EQ(trace_diff(&d, a, b), 0);
	ASSERT_EQ(d.n, 1);
	ASSERT_EQ(d.group[0].n_rows, 1);
	for (i = 0; i < DIFF_TESTS; i++)
		bits |= (unsigned int)d.group[0].row[0].changed[i] << i;
	trace_diff_free(&d);
	return bits;
}

TEST("runs of one kind are the same, with bursts too")
{
	uint64_t state = kvt_seed() | 1;
	struct trace_record a, b;
	unsigned int wrong = 0, i;

	for (i = 0; i < 40; i++) {
		run_of(&a, &state, 8e3, 40, i % 2 ? 6 : 1, 0.01);
		run_of(&b, &state, 8e3, 40, i % 2 ? 6 : 1, 0.01);
		wrong += changes(&a, &b) != 0;
		trace_record_free(&a);
		trace_record_free(&b);
	}
	NOTE("%u of 40 called different", wrong);
	EXPECT(wrong <= 3, "%u of 40 called different", wrong);
}

TEST("more, slower and longer tails are told apart")
{
	static const struct {
		double ns, n, tail;
		unsigned int want;
	} cases[] = {
		{ 8e3, 60, 0.01, 1 << DIFF_RATE },
		{ 8e3, 26, 0.01, 1 << DIFF_RATE },
		{ 9e3, 40, 0.01, 1 << DIFF_SHIFT },
		{ 7e3, 40, 0.01, 1 << DIFF_SHIFT },
		{ 8e3, 40, 0.05, 1 << DIFF_TAIL },
	};
	uint64_t state = kvt_seed() | 1;
	struct trace_record a, b;
	unsigned int got;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_of(&a, &state, 8e3, 40, 1, 0.01);
		run_of(&b, &state, cases[i].ns, cases[i].n, 1, cases[i].tail);
		got = changes(&a, &b);
		EXPECT((got & cases[i].want) == cases[i].want,
		       "case %zu: changes 0x%x, expected 0x%x", i, got,
		       cases[i].want);
		trace_record_free(&a);
		trace_record_free(&b);
	}
}

/* The row of @reason, or NULL. */
static const struct diff_row *row_of(const struct diff_group *g, uint32_t reason,
				     bool user)
{
	size_t i;

	for (i = 0; i < g->n_rows; i++)
		if (g->row[i].key[TRACE_CELL_REASON] == reason &&
		    g->row[i].key[TRACE_CELL_USER] == user)
			return &g->row[i];
	return NULL;
}

TEST("what is always a little longer is no change")
{
	struct trace_record a, b;
	struct exits_series s = { 0 };
	int run;

	for (run = 0; run < 2; run++) {
		struct trace_record *rec = run ? &b : &a;

		memset(rec, 0, sizeof(*rec));
		sample_init(&rec->t);
		rec->t.seconds = 1;
		memset(&s, 0, sizeof(s));
		s.timed = 1000;
		s.max_ns = run ? 10400 : 10000;
		s.total_ns = 1000 * s.max_ns;
		s.bucket[hist_index(s.max_ns)] = 1000;
		ASSERT(hist_index(10400) != hist_index(10000), "one bucket");
		ASSERT_EQ(trace_book(&rec->t.vm[0], &rec->t.vm[0].vcpu[0],
				     EXITS_ISA_SVM, SAMPLE_NPF, false, &s), 0);
	}
	EXPECT_EQ(changes(&a, &b), 0);
	trace_record_free(&a);
	trace_record_free(&b);
}

TEST("new and gone reasons, matched by name")
{
	struct trace_record a, b;
	const struct diff_row *r;
	uint64_t state = 5;
	struct trace_diff d;
	struct trace_vm swap;

	sample_record(&a, 12, 6, 0.5, 1);
	sample_record(&b, 12, 6, 0.5, 2);
	sample_book(&a.t.vm[0], 0, 0x72, false, 500, 1e3, &state);
	sample_book(&b.t.vm[0], 0, 0x81, true, 500, 1e3, &state);
	swap = b.t.vm[0];
	b.t.vm[0] = b.t.vm[1];
	b.t.vm[1] = swap;
	ASSERT_EQ(trace_diff(&d, &a, &b), 0);
	ASSERT_EQ(d.n, 2);
	EXPECT(d.group[0].at[0] == 0 && d.group[0].at[1] == 1,
	       "matched the wrong VM");
	EXPECT_EQ(d.group[1].at[1], 0);
	r = row_of(&d.group[0], 0x72, false);
	EXPECT(r && r->s[0].count && !r->s[1].count && r->changed[DIFF_RATE],
	       "gone");
	r = row_of(&d.group[0], 0x81, true);
	EXPECT(r && !r->s[0].count && r->s[1].count && r->changed[DIFF_RATE],
	       "new");
	EXPECT(r && !strcmp(r->name, "hypercall") && !strcmp(r->by, "user"),
	       "called %s", r ? r->name : "");
	trace_diff_free(&d);
	trace_record_free(&a);
	trace_record_free(&b);
}

#define ALIKE 16000

TEST("thousands of guests of one name are matched in order, and soon")
{
	struct trace_record a = { 0 }, b = { 0 };
	static struct trace_row row = { .isa = EXITS_ISA_SVM };
	struct trace_diff d;
	size_t i;

	row.by[0].untimed = 1;
	a.t.n_vms = ALIKE;
	b.t.n_vms = ALIKE;
	a.t.vm = calloc(ALIKE, sizeof(*a.t.vm));
	b.t.vm = calloc(ALIKE, sizeof(*b.t.vm));
	ASSERT(a.t.vm && b.t.vm, "out of memory");
	for (i = 0; i < ALIKE; i++)
		a.t.vm[i].rows = b.t.vm[i].rows = (struct trace_rows){
			.row = &row, .n = 1,
		};
	ASSERT_EQ(trace_diff(&d, &a, &b), 0);
	ASSERT_EQ(d.n, ALIKE);
	for (i = 0; i < ALIKE; i++)
		ASSERT(d.group[i].at[0] == i && d.group[i].at[1] == i,
		       "%zu is compared with %zu", i, d.group[i].at[1]);
	trace_diff_free(&d);
	free(a.t.vm);
	free(b.t.vm);
}

TEST("empty runs, and runs of the largest numbers")
{
	struct trace_record a = { 0 }, b = { 0 };
	struct trace_diff d;

	EXPECT_EQ(trace_diff(&d, &a, &b), 0);
	EXPECT_EQ(d.n, 0);
	trace_diff_free(&d);
	sample_huge(&b.t);
	EXPECT_EQ(trace_diff(&d, &a, &b), 0);
	EXPECT_EQ(d.n, 1);
	trace_diff_free(&d);
	sample_huge(&a.t);
	EXPECT_EQ(trace_diff(&d, &a, &b), 0);
	EXPECT(!d.group[0].row[0].changed[DIFF_RATE], "the same");
	trace_diff_free(&d);
	trace_record_free(&a);
	trace_record_free(&b);
}
