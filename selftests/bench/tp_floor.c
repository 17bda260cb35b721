// SPDX-License-Identifier: GPL-2.0-only
/*
 * The least that tracing exits by BPF can cost: programs that do nothing.
 *
 *	tp_floor empty		return at once
 *	tp_floor clock		read the clock and forget it
 *
 * One is attached to kvm_exit and one to kvm_entry, the way `kvasir trace exits`
 * does it. Prints a line when both are, and stays until it is ended.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

static int attach(const char *tracepoint, const struct bpf_insn *insns, size_t n)
{
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "tp_floor", "GPL",
			       insns, n, NULL);

	return fd < 0 ? fd : bpf_raw_tracepoint_open(tracepoint, fd);
}

int main(int argc, char **argv)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const size_t n = sizeof(insns) / sizeof(insns[0]);
	size_t first;

	if (argc != 2 || (strcmp(argv[1], "empty") && strcmp(argv[1], "clock")))
		errx(2, "usage: tp_floor empty|clock");
	/* Empty is the same without the call. */
	first = !strcmp(argv[1], "empty");
	if (attach("kvm_exit", insns + first, n - first) < 0 ||
	    attach("kvm_entry", insns + first, n - first) < 0)
		err(1, "kvm_exit, kvm_entry");
	puts("go");
	fflush(stdout);
	pause();
	return 0;
}
