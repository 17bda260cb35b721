/* SPDX-License-Identifier: GPL-2.0-only */
/* What exits were about, and where the guest was: kvasir trace exits --by, --symbols. */
#ifndef KVASIR_TRACE_SUBS_H
#define KVASIR_TRACE_SUBS_H

#include "json_put.h"
#include "trace.h"

#define TRACE_SUB_MAX 64
#define TRACE_RIP_MAX 320
#define TRACE_SUBS_SHOWN 20	/* in tables; JSON has all */

/* "mmio-write", ... */
const char *trace_sub_kind(unsigned int sub);
/* "out 0x60", "write of absent memory (0x6)", ... */
void trace_sub_text(char buf[TRACE_SUB_MAX], const struct trace_sub *s);

/*
 * What a vCPU of @vm had, one by one. trace_subs_join() when all are there: several
 * vCPUs may have had the same. Return: 0 or -ENOMEM
 */
int trace_sub_add(struct trace_vm *vm, const struct exits_sub_key *key,
		  const struct exits_sub_count *c);
int trace_rip_add(struct trace_vm *vm, const struct exits_rip_key *key,
		  uint64_t count);
void trace_subs_join(struct trace_vm *vm);

/* Those that took longest, or were met most often, first. */
void trace_subs_sort(struct trace_vm *vm);

/* Ask the VM, if it is one of ours, what its addresses are. */
void trace_subs_name(struct trace_vm *vm);

/* "symbol+0x12", or the address; the symbol as it is in the file */
void trace_rip_text(char buf[TRACE_RIP_MAX], const struct trace *t,
		    const struct trace_rip *r);

struct json_object *trace_subs_json(struct json *j, const struct trace_vm *vm);
struct json_object *trace_rips_json(struct json *j, const struct trace *t,
				    const struct trace_vm *vm);

/* Tables below that of a VM. Return: exit status */
int trace_subs_print(const struct trace *t, const struct trace_vm *vm);

#endif
