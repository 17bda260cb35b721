/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `kvasir run` as a function: options in, one guest's life, exit code out.
 *
 * The caller (user/cli/cmd_run.c) parses the command line into struct
 * run_opts and prints struct run_result; nothing below it prints, except
 * through the say() callback and the guest's console.
 */
#ifndef KVASIR_RUN_H
#define KVASIR_RUN_H

#include "virtio.h"

/* Control sockets: VMM_RUN_DIR/<name>.sock; see control.h. */
#define VMM_RUN_DIR	"/run/kvasir"
#define VMM_NAME_MAX	64	/* letters, digits, '-', '_', '.' */

#define VMM_MAX_NETS	8
#define VMM_MAX_DISKS	16
#define VMM_MIN_MEM	(32ULL << 20)

/*
 * Exit codes of `kvasir run`, and the classes an error belongs to
 * (struct vm's err_class; EXIT_VMM unless somebody knew better).
 */
enum {
	EXIT_GUEST_OFF = 0,	/* guest shut down, or stopped on demand */
	EXIT_VMM = 1,		/* runtime error of the VMM */
	EXIT_USAGE = 2,		/* command line */
	EXIT_NO_KVM = 3,	/* no /dev/kvm, no permission, too old */
	EXIT_NO_FILE = 4,	/* kernel, initrd, disk: missing, unreadable */
	EXIT_BAD_KERNEL = 5,	/* kernel image or initrd unfit to boot */
	EXIT_NO_BACKEND = 6,	/* backend demanded is not available */
	EXIT_TAP = 7,		/* tap or bridge: busy, missing, no permission */
	EXIT_DISK = 8,		/* disk locked by another VM, or unwritable */
	EXIT_NO_MEMORY = 9,	/* guest memory: not to be had, or too small */
	EXIT_CRASH = 10,	/* triple fault, KVM internal error */
	EXIT_RESET = 11,	/* guest asked for a reset */
	EXIT_SIGINT = 130,	/* 128 + signal; also SIGHUP, SIGQUIT */
	EXIT_SIGTERM = 143,
};

enum console {
	CONSOLE_SERIAL,		/* 16550 on COM1: console=ttyS0 */
	CONSOLE_VIRTIO,		/* virtio-console: console=hvc0 */
	CONSOLE_NONE,
};

struct run_opts {
	const char *name;	/* NULL: no control socket */
	const char *kernel;	/* bzImage or PVH ELF */
	const char *initrd;	/* NULL: none */
	const char *cmdline;	/* NULL: empty; taken as is */
	unsigned int cpus;	/* 1 to VM_MAX_VCPUS */
	uint64_t mem;		/* bytes, whole MiB, at least VMM_MIN_MEM */
	bool hugepages;		/* guest memory from hugetlbfs */

	enum console console;
	int con_in;		/* -1: no input. A terminal is made raw. */
	int con_out;		/* -1: discard */

	const struct net_opts *nets;
	unsigned int nr_nets;
	const struct disk_opts *disks;
	unsigned int nr_disks;
	bool rng;

	bool sandbox;		/* drop capabilities, filter system calls */

	/* A line worth telling ("net0: backend kvasir, tap vm0"); may be NULL. */
	void (*say)(void *ctx, const char *line);
	void *say_ctx;
};

struct run_result {
	int code;		/* EXIT_* */
	enum vm_stop why;	/* VM_RUNNING: the guest never ran */
	char line[512];		/* for people; "" when there is nothing to say */
};

/**
 * vmm_run() - build the machine, run it to its end, take it down
 *
 * The calling process should have no other threads. Blocks SIGINT, SIGTERM,
 * SIGHUP, SIGQUIT and SIGPIPE while it runs and takes the first four as a
 * request to stop. With @opts->sandbox the process keeps the restrictions
 * after return: print and exit.
 *
 * Return: @res->code.
 */
int vmm_run(const struct run_opts *opts, struct run_result *res);

#endif /* KVASIR_RUN_H */
