// SPDX-License-Identifier: GPL-2.0-only
/*
 * Folded stacks: one line per VM, vCPU, reason and class, with the time spent
 * in nanoseconds behind the last blank. Flame graph programs take them.
 */
#include <inttypes.h>

#include "exit_names.h"
#include "trace_fmt.h"

void trace_folded_frame(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == ';')
			fputs("\\x3b", out);
		else
			putc(*s, out);
	}
}

static void fold_rows(FILE *out, const char *vm, const struct trace_vcpu *vcpu)
{
	const struct trace_rows *rows = &vcpu->rows;
	char name[EXIT_NAME_MAX];
	uint64_t ns;
	size_t i;
	int by;

	for (i = 0; i < rows->n; i++) {
		const struct trace_row *r = &rows->row[i];

		for (by = 0; by < 2; by++) {
			ns = r->by[by].total_ns;
			if (!ns)
				continue;
			trace_folded_frame(out, vm);
			fprintf(out, ";vCPU %u;", vcpu->id);
			trace_folded_frame(out, exit_reason_name(r->isa, r->reason, name));
			fprintf(out, "%s;%s %" PRIu64 "\n",
				exit_is_idle(r->isa, r->reason) ? " (idle)" : "",
				trace_class_name[by], ns);
		}
	}
}

void trace_fmt_folded(FILE *out, const struct trace *t)
{
	char label[TRACE_LABEL_MAX];
	size_t i, k;

	for (i = 0; i < t->n_vms; i++) {
		trace_vm_label(label, &t->vm[i]);
		for (k = 0; k < t->vm[i].n_vcpus; k++)
			fold_rows(out, label, &t->vm[i].vcpu[k]);
	}
}
