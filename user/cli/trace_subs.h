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

/**
 * trace_subs_collect() - read the maps "subs" and "rips" into the VMs of @t
 * @vm_of: the VM of a life, or NULL
 *
 * Return: 0 or -errno
 */
int trace_subs_collect(struct trace *t, const struct trace_maps *maps,
		       struct trace_vm *(*vm_of)(void *ctx, uint32_t life),
		       void *ctx);

/* "symbol+0x12", or the address; the symbol as it is in the file */
void trace_rip_text(char buf[TRACE_RIP_MAX], const struct trace *t,
		    const struct trace_rip *r);

struct json_object *trace_subs_json(struct json *j, const struct trace_vm *vm);
struct json_object *trace_rips_json(struct json *j, const struct trace *t,
				    const struct trace_vm *vm);

/* Tables below that of a VM. Return: exit status */
int trace_subs_print(const struct trace *t, const struct trace_vm *vm);

#endif
