/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traces made up for the tests of what goes out: two VMs with hostile names,
 * counts that are known, and the like. Included once by each test.
 */
#ifndef KVT_TRACE_SAMPLE_H
#define KVT_TRACE_SAMPLE_H

#include <math.h>
#include <unistd.h>

#include "kvt.h"
#include "../../user/cli/trace_file.h"
#include "../../user/cli/trace_fmt.h"

#define SAMPLE_HLT	0x078
#define SAMPLE_IO	0x07b
#define SAMPLE_MSR	0x07c
#define SAMPLE_NPF	0x400
#define SAMPLE_UNKNOWN	0x7777

/* What a terminal, HTML, Prometheus and folded stacks each take amiss. */
#define HOSTILE_NAME	"a;b\"c\\d<script>&'\033[31m\n\x9b\xff \xe2\x82\xac"
#define HOSTILE_COMM	"\033]0;x\a</h2>\r"

/* @n values around @ns, some of them @spread times as long. */
static inline void sample_fill(struct exits_series *s, uint64_t n, double ns,
			       double spread, uint64_t *state)
{
	double u, v, x;
	uint64_t i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < n; i++) {
		u = (kvt_rand(state) >> 11) / 0x1p53;
		v = (kvt_rand(state) >> 11) / 0x1p53;
		x = ns * exp(spread * sqrt(-2 * log1p(-u)) * cos(2 * M_PI * v));
		s->bucket[hist_index((uint64_t)x)]++;
		s->total_ns += (uint64_t)x;
		if (!i || (uint64_t)x < s->min_ns)
			s->min_ns = (uint64_t)x;
		if ((uint64_t)x > s->max_ns)
			s->max_ns = (uint64_t)x;
	}
	s->timed = n;
	s->user_ns = s->total_ns / 2;
	s->ready_ns = s->total_ns / 8;
	s->blocked_ns = s->total_ns / 16;
	s->poll_ns = s->total_ns / 32;
}

static inline void sample_book(struct trace_vm *vm, size_t vcpu, uint32_t reason,
			       bool user, uint64_t n, double ns, uint64_t *state)
{
	struct exits_series s;

	sample_fill(&s, n, ns, 0.4, state);
	ASSERT_EQ(trace_book(vm, &vm->vcpu[vcpu], EXITS_ISA_SVM, reason, user,
			     &s), 0);
}

/* Into a trace that may hold something already. */
static inline void sample_add(struct trace *t, double load, uint64_t *state)
{
	struct trace_vm *vm = &t->vm[0];

	sample_book(vm, 0, SAMPLE_NPF, false, 400 * load, 8e3, state);
	sample_book(vm, 1, SAMPLE_NPF, false, 300 * load, 9e3, state);
	sample_book(vm, 0, SAMPLE_NPF, true, 50 * load, 120e3, state);
	sample_book(vm, 1, SAMPLE_MSR, false, 700 * load, 1.5e3, state);
	sample_book(vm, 0, SAMPLE_IO, true, 30 * load, 60e3, state);
	sample_book(vm, 0, SAMPLE_HLT, false, 100 * load, 4e6, state);
	sample_book(vm, 1, SAMPLE_UNKNOWN, false, 1, 700, state);
	sample_book(&t->vm[1], 0, SAMPLE_MSR, false, 10 * load, 1e3, state);
}

/* Two VMs without an exit yet. trace_free() frees them. */
static inline void sample_init(struct trace *t)
{
	static const struct trace_return rets[] = { { 2, 80 }, { 6, 50 } };
	size_t i;

	memset(t, 0, sizeof(*t));
	t->vm = calloc(2, sizeof(*t->vm));
	t->n_vms = 2;
	for (i = 0; i < 2; i++) {
		t->vm[i].kvm = i + 1;
		t->vm[i].pid = 1234 + i;
		t->vm[i].n_vcpus = i ? 1 : 2;
		t->vm[i].vcpu = calloc(2, sizeof(*t->vm[i].vcpu));
		t->vm[i].vcpu[1].id = 1;
	}
	strcpy(t->vm[0].comm, "qemu-system-x86");
	strcpy(t->vm[0].name, "web");
	strcpy(t->vm[1].comm, HOSTILE_COMM);
	strcpy(t->vm[1].name, HOSTILE_NAME);
	t->vm[0].ret = malloc(sizeof(rets));
	memcpy(t->vm[0].ret, rets, sizeof(rets));
	t->vm[0].n_rets = 2;
	strcpy(t->kernel, "6.1.0-test");
	t->began = 1700000000;
}

/* As if looked at @slices times in @seconds. */
static inline void sample_record(struct trace_record *rec, size_t slices,
				 double seconds, double load, uint64_t seed)
{
	struct trace now;
	uint64_t state;
	size_t i, done;

	memset(rec, 0, sizeof(*rec));
	for (i = 1; i <= slices; i++) {
		sample_init(&now);
		/* The same numbers as in the looks before, and some more. */
		state = seed | 1;
		for (done = 0; done < i; done++)
			sample_add(&now, load * (1 + (done % 4 == 3)), &state);
		now.seconds = seconds * i / slices;
		now.lost.unmatched_exits = 3;
		trace_sort(&now);
		ASSERT_EQ(trace_record_add(rec, &now), 0);
		trace_free(&now);
	}
}

/* Like the real limits: nothing may overflow, or be wider than planned. */
static inline void sample_huge(struct trace *t)
{
	struct exits_series s = {
		.timed = (1ULL << 48) - 2, .untimed = 1,
		.total_ns = 1ULL << 59, .max_ns = 1ULL << 50,
	};

	sample_init(t);
	s.bucket[0] = s.timed - 1;
	s.bucket[HIST_BUCKETS - 1] = 1;
	ASSERT_EQ(trace_book(&t->vm[1], &t->vm[1].vcpu[0], EXITS_ISA_VMX,
			     UINT32_MAX, true, &s), 0);
	t->seconds = 0.001;
	t->pid = INT32_MAX;
	t->lost.series_full = UINT64_MAX;
	trace_sort(t);
}

#endif /* KVT_TRACE_SAMPLE_H */
