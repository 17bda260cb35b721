// SPDX-License-Identifier: GPL-2.0-only
/* kvasir run: the command line into struct run_opts, the result to people. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run_devs.h"
#include "vmsock.h"

static const char about[] =
"Boot a Linux guest and stay with it until it ends. The guest's console is this\n"
"terminal; Ctrl-A x ends the guest, Ctrl-A Ctrl-A sends one Ctrl-A.";

static const char exits[] =
"   0  the guest shut down, or was stopped by 'kvasir stop'\n"
"   1  error of the machine monitor\n"
"   2  usage\n"
"   3  no /dev/kvm, or no permission to use it\n"
"   4  kernel, initrd or disk file missing or unreadable\n"
"   5  kernel image or initrd unfit to boot\n"
"   6  the backend demanded is not available\n"
"   7  tap or bridge busy, missing, or not permitted\n"
"   8  disk in use by another guest, or not writable\n"
"   9  not enough memory\n"
"  10  the guest crashed\n"
"  11  the guest asked for a reset\n"
" 130  interrupted\n"
" 143  terminated\n";

/* The command line, taken apart. */
struct run_args {
	struct run_opts o;
	struct run_devs devs;
	bool quiet;
};

static int get_console(void *dst, const char *value)
{
	enum console *console = dst;

	if (!strcmp(value, "serial"))
		*console = CONSOLE_SERIAL;
	else if (!strcmp(value, "virtio"))
		*console = CONSOLE_VIRTIO;
	else if (!strcmp(value, "none"))
		*console = CONSOLE_NONE;
	else
		return out_error(EXIT_USAGE,
				 "--console %s: not serial, virtio or none",
				 value);
	return 0;
}

/* What no single option can tell by itself; completes defaults. */
static int check(struct run_opts *o)
{
	if (!o->kernel)
		return out_error(EXIT_USAGE,
				 "--kernel is missing (see 'kvasir run --help')");
	if (o->name && !vmsock_name_valid(o->name))
		return out_error(EXIT_USAGE,
				 "--name %s: not 1 to %d letters, digits, '-', '_', '.', first no '.'",
				 o->name, VMM_NAME_MAX);
	if (o->mem < VMM_MIN_MEM || o->mem % (1 << 20))
		return out_error(EXIT_USAGE,
				 "--mem: %llu bytes is not a whole number of MiB from %llu on (512M, 2G)",
				 (unsigned long long)o->mem,
				 (unsigned long long)(VMM_MIN_MEM >> 20));
	if (!o->cmdline)
		o->cmdline = o->console == CONSOLE_SERIAL ? "console=ttyS0" :
			     o->console == CONSOLE_VIRTIO ? "console=hvc0" : "";
	if (o->console == CONSOLE_NONE)
		o->con_in = o->con_out = -1;
	return 0;
}

/* NULL, no control socket, for a user who cannot make one. */
static const char *default_name(char *buf, size_t size)
{
	if (access(access(VMM_RUN_DIR, F_OK) ? "/run" : VMM_RUN_DIR, W_OK))
		return NULL;
	snprintf(buf, size, "vm-%d", (int)getpid());
	return buf;
}

static void say(void *ctx, const char *line)
{
	(void)ctx;
	out_note("%s", line);
}

static int run(const struct run_opts *opts)
{
	struct run_result res;

	vmm_run(opts, &res);
	if (res.line[0])
		out_note("%s", res.line);
	return res.code;
}

static int parse(int argc, char **argv, struct run_args *a)
{
	const struct opt opts[] = {
		{ .name = "kernel", .letter = 'k', .kind = OPT_STRING,
		  .dst = &a->o.kernel, .arg = "FILE",
		  .help = "bzImage, or vmlinux with a PVH entry" },
		{ .name = "initrd", .letter = 'i', .kind = OPT_STRING,
		  .dst = &a->o.initrd, .arg = "FILE", .help = "initial RAM disk" },
		{ .name = "append", .letter = 'a', .kind = OPT_STRING,
		  .dst = &a->o.cmdline, .arg = "TEXT",
		  .help = "kernel command line\n(default: the console only)" },
		{ .name = "cpus", .letter = 'c', .kind = OPT_UINT,
		  .dst = &a->o.cpus, .min = 1, .max = VM_MAX_VCPUS, .arg = "N",
		  .help = "vCPUs (default 1)" },
		{ .name = "mem", .letter = 'm', .kind = OPT_SIZE,
		  .dst = &a->o.mem, .arg = "SIZE",
		  .help = "guest memory (default 512M)" },
		{ .name = "hugepages", .kind = OPT_FLAG, .dst = &a->o.hugepages,
		  .help = "take it from the huge page pool" },
		{ .name = "name", .letter = 'n', .kind = OPT_STRING,
		  .dst = &a->o.name, .arg = "NAME",
		  .help = "for ps, stop and console (default vm-PID,\n"
			  "or none without access to " VMM_RUN_DIR ")" },
		{ .name = "console", .kind = OPT_CALL, .fn = get_console,
		  .dst = &a->o.console, .arg = "KIND",
		  .help = "serial (default), virtio or none" },
		{ .name = "net", .kind = OPT_MULTI, .fn = run_devs_net,
		  .dst = &a->devs, .arg = "LIST",
		  .help = "network card, may be repeated:\n"
			  "  tap=NAME | bridge=NAME\n"
			  "  backend=auto|kvasir|vhost|user\n"
			  "  queues=N        queue pairs, 1 to 8\n"
			  "  mac=ADDRESS\n"
			  "  packed=on|off   offer packed rings (off)" },
		{ .name = "disk", .kind = OPT_MULTI, .fn = run_devs_disk,
		  .dst = &a->devs, .arg = "PATH[,LIST]",
		  .help = "disk, may be repeated (a comma in PATH: ,,):\n"
			  "  backend=auto|kvasir|user\n"
			  "  queues=N        default: one per vCPU\n"
			  "  workers=N       threads for them: one each\n"
			  "  readonly\n"
			  "  cache=writeback|writethrough\n"
			  "  poll=on|off     for completions (off)\n"
			  "  serial=TEXT     up to 20 characters" },
		{ .name = "no-rng", .kind = OPT_CLEAR, .dst = &a->o.rng,
		  .help = "no entropy device" },
		{ .name = "no-sandbox", .kind = OPT_CLEAR, .dst = &a->o.sandbox,
		  .help = "keep capabilities, filter no system calls" },
		{ .name = "quiet", .letter = 'q', .kind = OPT_FLAG,
		  .dst = &a->quiet, .help = "do not say which backends serve" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "run", .about = about, .opts = opts, .exits = exits,
	};
	int first;

	return opts_parse(&usage, argc, argv, &first);
}

int cmd_run(int argc, char **argv)
{
	struct run_args a = {
		.o = {
			.cpus = 1,
			.mem = 512ULL << 20,
			.con_in = STDIN_FILENO,
			.con_out = STDOUT_FILENO,
			.rng = true,
			.sandbox = true,
		},
	};
	char name[24];
	int ret;

	out_verb("run");
	ret = parse(argc, argv, &a);
	if (ret != OPTS_GO)
		goto out;
	ret = check(&a.o);
	if (ret)
		goto out;
	if (!a.o.name)
		a.o.name = default_name(name, sizeof(name));
	a.o.nets = a.devs.nets;
	a.o.nr_nets = a.devs.nr_nets;
	a.o.disks = a.devs.disks;
	a.o.nr_disks = a.devs.nr_disks;
	a.o.say = a.quiet ? NULL : say;
	ret = run(&a.o);
out:
	run_devs_free(&a.devs);
	return ret;
}
