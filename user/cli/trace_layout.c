// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the running KVM keeps the reason of a vCPU's last exit.
 *
 * kvm_exit hands BPF programs the vCPU and the instruction set, not the
 * reason: that is a member of a type of kvm-amd, kvm-intel or kvm-pvm. The
 * BPF loader can relocate accesses to types of modules, but finds their type
 * information by number, for which kernels ask CAP_SYS_ADMIN. The same
 * information can be read by everybody from /sys/kernel/btf; so the two
 * offsets are looked up here and given to the program as constants.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "trace.h"
#include "trace_open.h"
#include "trace_queues.h"

/* Member paths; those of newer kernels first. */
static const struct layout {
	uint32_t isa;
	const char *module;
	const char *type, *member;	/* from the vCPU */
	const char *to_type, *to_member;/* behind the pointer, if it is one */
} layouts[] = {
	{ EXITS_ISA_SVM, "kvm_amd", "vcpu_svm", "vmcb",
	  "vmcb", "control.exit_code" },
	{ EXITS_ISA_VMX, "kvm_intel", "vcpu_vmx", "vt.exit_reason",
	  NULL, NULL },
	{ EXITS_ISA_VMX, "kvm_intel", "vcpu_vmx", "exit_reason", NULL, NULL },
	{ EXITS_ISA_PVM, "kvm_pvm", "vcpu_pvm", "exit_reason", NULL, NULL },
	{ EXITS_ISA_PVM, "kvm_pvm", "vcpu_pvm", "exit_vector", NULL, NULL },
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

/* Find the member called by the first @len bytes of @name; anonymous structs count. */
static const struct btf_member *find_member(const struct btf *btf, int type,
					    const char *name, size_t len,
					    uint32_t *bits)
{
	const struct btf_type *t = btf__type_by_id(btf, type);
	const struct btf_member *m, *in;
	const char *s;
	int i;

	if (!t || !btf_is_composite(t))
		return NULL;
	for (i = 0, m = btf_members(t); i < btf_vlen(t); i++, m++) {
		*bits = btf_member_bit_offset(t, i);
		s = btf__name_by_offset(btf, m->name_off);
		if (s && strlen(s) == len && !memcmp(s, name, len))
			return m;
		if (s && !*s) {
			uint32_t base = *bits;

			in = find_member(btf, m->type, name, len, bits);
			if (in) {
				*bits += base;
				return in;
			}
		}
	}
	return NULL;
}

/* Byte offset of @path ("a.b") in struct @type, or -ENOENT. */
static int offset_of(const struct btf *btf, const char *type, const char *path)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	const struct btf_member *m;
	uint32_t bits, sum = 0;
	size_t len;

	while (id > 0 && *path) {
		len = strcspn(path, ".");
		m = find_member(btf, id, path, len, &bits);
		if (!m)
			return -ENOENT;
		sum += bits;
		id = btf__resolve_type(btf, m->type);
		path += len;
		path += *path == '.';
	}
	return id > 0 ? (int)(sum / 8) : -ENOENT;
}

static int resolve(const struct btf *btf, const struct layout *l,
		   struct exits_where *w)
{
	int first, vcpu, second = 0;

	/* kvm_exit's argument points to the member "vcpu" of the vendor's type. */
	first = offset_of(btf, l->type, l->member);
	vcpu = offset_of(btf, l->type, "vcpu");
	if (l->to_type)
		second = offset_of(btf, l->to_type, l->to_member);
	if (first < 0 || vcpu < 0 || second < 0 || first < vcpu)
		return -ENOENT;
	*w = (struct exits_where){
		.first = first - vcpu,
		.second = second,
		.deref = l->to_type != NULL,
		.known = 1,
	};
	return 0;
}

/* The types of @module, on top of the kernel's; built in, they are @base's own. */
static struct btf *module_btf(const char *module, struct btf *base)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", module);
	return access(path, F_OK) ? NULL : btf__parse_split(path, base);
}

int trace_queue_layout(struct queues_where *where)
{
	const struct {
		const char *type, *member;
		uint32_t *offset;
	} members[] = {
		{ "kvs_vq", "dev", &where->vq_dev },
		{ "kvs_vq", "index", &where->vq_index },
		{ "kvs_dev", "id", &where->dev_id },
		{ "kvs_dev", "pid", &where->dev_pid },
		{ "kvs_dev", "backend", &where->dev_backend },
		{ "kvs_dev", "ops", &where->dev_ops },
		{ "kvs_dev_ops", "type", &where->ops_type },
	};
	struct btf *base = btf__load_vmlinux_btf(), *btf;
	int offset, err = 0;
	size_t i;

	if (!base)
		return -errno;
	btf = module_btf("kvasir", base);
	for (i = 0; i < sizeof(members) / sizeof(members[0]) && !err; i++) {
		offset = btf ? offset_of(btf, members[i].type,
					 members[i].member) : -ENOENT;
		if (offset < 0)
			err = offset;
		*members[i].offset = offset;
	}
	btf__free(btf);
	btf__free(base);
	return err;
}

bool trace_can_cast(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, "bpf_rdonly_cast",
					      BTF_KIND_FUNC) : 0;

	btf__free(btf);
	return id > 0;
}

int trace_layout(struct exits_where *where)
{
	struct btf *base = btf__load_vmlinux_btf(), *btf;
	int known = 0;
	size_t i;

	if (!base)
		return -errno;
	memset(where, 0, sizeof(*where) * EXITS_ISAS);
	for (i = 0; i < LAYOUTS; i++) {
		const struct layout *l = &layouts[i];

		if (where[l->isa].known)
			continue;
		btf = module_btf(l->module, base);
		if (!resolve(btf ? btf : base, l, &where[l->isa]))
			known++;
		btf__free(btf);
	}
	btf__free(base);
	return known;
}
