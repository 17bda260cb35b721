// SPDX-License-Identifier: GPL-2.0-only
/* Names of processes, kept; see trace_names.h. */
#include <string.h>

#include "trace_grow.h"
#include "trace_names.h"
#include "trace_vm.h"

static struct trace_name *find(const struct trace_names *names, uint32_t pid,
			       uint64_t start)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (names->entry[i].pid == pid &&
		    (!start || names->entry[i].start == start))
			return &names->entry[i];
	return NULL;
}

const struct trace_name *trace_names_get(struct trace_names *names, uint32_t pid,
					 uint64_t start)
{
	struct trace_name *e = find(names, pid, start), got = { .pid = pid };

	trace_vm_name(pid, got.name, sizeof(got.name));
	if (!e)
		trace_vm_comm(pid, got.comm, sizeof(got.comm));
	/* Behind that: if it is there now, these were its names, not another's. */
	got.start = trace_vm_start(pid);
	if (!got.start || (start && start != got.start) ||
	    (e && e->start != got.start))
		return e;
	if (!e) {
		e = trace_grow(&names->entry, &names->n, &names->spare, sizeof(*e));
		if (!e)
			return NULL;
		*e = got;
	}
	/* One that has ended, and is still to be waited for, has no name any more. */
	if (*got.name)
		memcpy(e->name, got.name, sizeof(e->name));
	return e;
}
