/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `kvasir trace exits` knows, from the maps to the page.
 *
 *	trace_layout.c	where the running KVM keeps exit reasons
 *	trace_collect.c	maps -> struct trace
 *	trace_maps.h	... by many entries at once
 *	trace_names.h	what processes are called, kept from look to look
 *	trace_model.c	struct trace itself; trace_grow.h: its arrays
 *	trace_exits.c	the command: options, attach
 *	trace_run.h	what goes on while it counts: wait, record, serve, show
 *	trace_fmt.h	struct trace -> table, JSON, ...
 *	trace_file.h	struct trace <-> file
 */
#ifndef KVASIR_TRACE_H
#define KVASIR_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/exits.h"

/* All arrays below are as trace_grow.h says. */

/* One exit reason, split by who handled it. */
struct trace_row {
	uint32_t isa;
	uint32_t reason;
	struct exits_series by[2];	/* 0: kernel, 1: userspace */
};

struct trace_rows {
	struct trace_row *row;
	size_t n, spare;
};

struct trace_vcpu {
	uint32_t id;
	struct trace_rows rows;
};

struct trace_return {
	uint32_t reason;
	uint64_t count;
};

/* What exits were about: --by addr. */
struct trace_sub {
	uint32_t isa, reason;
	uint32_t user;
	uint32_t sub;			/* enum exits_sub */
	uint64_t value;
	struct exits_sub_count count;
	char device[32];		/* whose address it is, where known */
};

/* Where a guest was when it left: samples. */
struct trace_rip {
	uint32_t isa, reason;
	uint64_t rip;
	uint64_t count;
};

/* One virtual machine. @kvm == 0: returns of a process whose VM is not known. */
struct trace_vm {
	uint64_t kvm;
	uint64_t start_ns;
	uint32_t pid;
	char comm[17];			/* of the process, as it stands: */
	char name[128];			/* escape before printing; may be empty */
	struct trace_rows rows;		/* of all vCPUs */
	struct trace_vcpu *vcpu;
	size_t n_vcpus, spare_vcpus;
	struct trace_return *ret;
	size_t n_rets, spare_rets;
	struct trace_sub *sub;		/* by time */
	size_t n_subs, spare_subs;
	struct trace_rip *rip;		/* by count */
	size_t n_rips, spare_rips;
};

struct trace_symbols;

struct trace {
	struct trace_vm *vm;
	const struct trace_symbols *symbols;	/* of the guests, or NULL */
	size_t n_vms, spare_vms;
	struct exits_lost lost;
	uint64_t recursion_misses;	/* events while our program was busy */
	uint64_t cost_events, cost_ns;	/* of the tracer, where it was measured */
	double seconds;			/* from attach to detach */
	uint32_t pid;			/* the only process traced, or 0 */
	uint64_t began;			/* seconds since 1970 */
	char kernel[65];		/* release of the traced kernel */
};

/* Sums over rows. */
struct trace_total {
	uint64_t exits;
	uint64_t userspace;
	uint64_t busy_ns;		/* without what exit_is_idle() says */
	uint64_t idle_ns;
};

struct trace_names;

struct trace_maps {
	int states, lives, series, returns, subs, rips;
	uint32_t last_life;
	uint32_t n_series;
	struct trace_names *names;	/* kept from look to look */
	bool over;			/* what is open now, nothing will close */
};

/**
 * trace_layout() - find where vendor modules keep the exit reason
 * @where: EXITS_ISAS entries, filled in; .known is 0 for a module that is not
 *	loaded or has no type information
 *
 * Return: how many are known, or a negative errno if the kernel's own type
 * information cannot be read.
 */
int trace_layout(struct exits_where *where);

/**
 * trace_collect() - read the maps into @t
 * @t: without VMs; trace_clear() makes an earlier look one
 *
 * Exits that are open (their vCPU has not been entered again) are counted,
 * without a time, when the trace is over: before, they would be counted once
 * more when they end, perhaps in another class. Nothing is in order but the VMs,
 * which come as they were first seen: trace_ready() is for what is to be shown.
 *
 * Return: 0 or a negative errno; trace_free() either way.
 */
int trace_collect(struct trace *t, const struct trace_maps *maps);

/* Empty @t; what its arrays occupy is kept for the next look. */
void trace_clear(struct trace *t);
void trace_free(struct trace *t);

/* One more VM, or vCPU of @vm; all 0, but perhaps with spare memory. Or NULL */
struct trace_vm *trace_vm_grow(struct trace *t);
struct trace_vcpu *trace_vcpu_grow(struct trace_vm *vm);

/**
 * trace_book() - add @s to a reason of a vCPU, and of its VM
 * @user: the class: false for kernel
 *
 * Return: 0 or -ENOMEM
 */
int trace_book(struct trace_vm *vm, struct trace_vcpu *vcpu, uint32_t isa,
	       uint32_t reason, bool user, const struct exits_series *s);

/* @count more returns of KVM_RUN with @reason. Return: 0 or -ENOMEM */
int trace_return_add(struct trace_vm *vm, uint32_t reason, uint64_t count);

/**
 * trace_join_returns() - returns of a process's threads are those of its only VM
 *
 * At the end of a trace: while it runs, another VM may appear any time, and what
 * was counted for one VM must not become another's.
 *
 * Return: 0 or -ENOMEM
 */
int trace_join_returns(struct trace *t);

/*
 * Rows by time spent, idle ones last; vCPUs by number; returns by count; what exits
 * were about by time; where guests were by count.
 */
void trace_sort(struct trace *t);

/* Before @t is shown: sort it, and find the devices that have the addresses. */
void trace_ready(struct trace *t);

/* Both classes of a row in one. */
struct exits_series trace_both(const struct trace_row *row);
struct trace_total trace_sum(const struct trace_rows *rows);

/**
 * trace_note() - what the reader must know about a reduced trace
 *
 * Return: one line, or NULL if nothing is lacking.
 */
const char *trace_note(const struct trace *t);

#endif
