// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvasir trace exits: how often guests leave guest mode, why, and for how long.
 *
 * Loads bpf/exits.bpf.c, lets it count until the time is up, Ctrl-C, or the end
 * of the traced process, then reads its maps and prints.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_fmt.h"
#include "exits.skel.h"

#define SERIES_MAX (1U << 20)

struct options {
	unsigned int pid;	/* 0: every VM */
	unsigned int series;
	double seconds;		/* 0: until Ctrl-C */
	bool json;
	struct trace_style style;
	bool verbose;
};

static int take_seconds(void *dst, const char *value)
{
	double *seconds = dst;
	char *end;

	/* strtod() would take blanks, signs, "inf" and "nan" too. */
	if (*value >= '0' && *value <= '9') {
		*seconds = strtod(value, &end);
		if (*seconds > 0 && *seconds <= 1e6 && !*end)
			return 0;
	}
	return out_error(EXIT_USAGE, "--duration %s: not seconds, up to 1000000",
			 value);
}

static int parse(int argc, char **argv, struct options *o)
{
	const struct opt opts[] = {
		{ .name = "pid", .letter = 'p', .kind = OPT_UINT,
		  .dst = &o->pid, .min = 1, .max = INT32_MAX, .arg = "PID",
		  .help = "only the guests of this process; ends when it ends" },
		{ .name = "duration", .letter = 'd', .kind = OPT_CALL,
		  .dst = &o->seconds, .fn = take_seconds, .arg = "SEC",
		  .help = "end after so many seconds (default: at Ctrl-C)" },
		{ .name = "json", .kind = OPT_FLAG, .dst = &o->json,
		  .help = "JSON instead of tables" },
		{ .name = "vcpus", .kind = OPT_FLAG, .dst = &o->style.per_vcpu,
		  .help = "a table for every vCPU too" },
		{ .name = "series", .kind = OPT_UINT, .dst = &o->series,
		  .min = 1, .max = SERIES_MAX, .arg = "N",
		  .help = "room for N histograms of 9 KiB, one per vCPU, reason\n"
			  "and kernel or userspace (default: 2048)" },
		{ .name = "verbose", .letter = 'v', .kind = OPT_FLAG,
		  .dst = &o->verbose,
		  .help = "print the messages of the BPF loader" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "trace exits",
		.about = "Count and time VM exits per guest, vCPU and reason, from the exit to the\n"
			 "next entry, apart for what the kernel handled and what went to userspace.\n"
			 "Needs the capabilities CAP_BPF and CAP_PERFMON.",
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   3 no KVM, or no permission   4 no such process\n",
	};
	int first;

	return opts_parse(&usage, argc, argv, &first);
}

/* Does process @pid hold a VM? True when it cannot be told. */
static bool has_vm(uint32_t pid)
{
	char path[64], to[64];
	struct dirent *e;
	bool found = false;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	d = opendir(path);
	if (!d)
		return true;
	while (!found && (e = readdir(d))) {
		n = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = 0;
		found = !strcmp(to, "anon_inode:kvm-vm");
	}
	closedir(d);
	return found;
}

/* Return: a pidfd for @pid, or minus the exit status. */
static int open_process(unsigned int pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0) {
		if (!has_vm(pid))
			out_note("process %u has no virtual machine yet", pid);
		return fd;
	}
	switch (errno) {
	case ESRCH:
		return -out_error(EXIT_NO_FILE, "there is no process %u", pid);
	case EINVAL:
	case ENOENT:	/* newer kernels */
		return -out_error(EXIT_NO_FILE,
				  "%u is a thread; name its process", pid);
	default:
		return -out_error(EXIT_VMM, "cannot watch process %u: %s", pid,
				  strerror(errno));
	}
}

static int print_all(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return vfprintf(stderr, fmt, ap);
}

/* Say why loading or attaching failed, and give the exit status. */
static int explain(const char *what, int err)
{
	if (err == -EPERM || err == -EACCES)
		return out_error(EXIT_NO_KVM,
				 "%s: not permitted; needs CAP_BPF and CAP_PERFMON, or root",
				 what);
	return out_error(EXIT_VMM, "%s: %s; --verbose tells more", what,
			 strerror(-err));
}

/* Return: attached and counting, or NULL with the exit status in *@ret. */
static struct exits_bpf *start(const struct options *o, int *ret)
{
	struct exits_where where[EXITS_ISAS];
	struct exits_bpf *s;
	int err;

	err = trace_layout(where);
	if (err < 0) {
		*ret = out_error(EXIT_VMM,
				 "the kernel's type information: %s; needs a kernel with CONFIG_DEBUG_INFO_BTF",
				 strerror(-err));
		return NULL;
	}
	s = exits_bpf__open();
	if (!s) {
		*ret = explain("cannot open the BPF program", -errno);
		return NULL;
	}
	s->rodata->only_tgid = o->pid;
	memcpy((void *)s->rodata->where, where, sizeof(where));
	err = bpf_map__set_max_entries(s->maps.series, o->series);
	if (!err)
		err = exits_bpf__load(s);
	if (err) {
		*ret = explain("cannot load the BPF program", err);
		goto err;
	}
	err = exits_bpf__attach(s);
	if (err) {
		*ret = err == -ENOENT ?
		       out_error(EXIT_NO_KVM,
				 "KVM is not there to trace; modprobe kvm_amd or kvm_intel") :
		       explain("cannot attach to KVM's tracepoints", err);
		goto err;
	}
	s->bss->enabled = true;
	return s;
err:
	exits_bpf__destroy(s);
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Until @seconds are over (0: never), the process ends, or a signal arrives. */
static int wait_for_end(int sigfd, int pidfd, double seconds)
{
	struct pollfd fds[] = {
		{ .fd = sigfd, .events = POLLIN },
		{ .fd = pidfd, .events = POLLIN },	/* -1: ignored */
	};
	double left = seconds, end = now() + seconds;
	struct timespec ts;
	int n;

	do {
		ts.tv_sec = left;
		ts.tv_nsec = (left - ts.tv_sec) * 1e9;
		n = ppoll(fds, 2, seconds > 0 ? &ts : NULL, NULL);
		if (n < 0 && errno != EINTR)
			return -errno;
		left = end - now();
	} while (n <= 0 && (left > 0 || seconds <= 0));
	return 0;
}

static uint64_t recursion_misses(const struct exits_bpf *s)
{
	const struct bpf_program *progs[] = {
		s->progs.on_exit, s->progs.on_entry, s->progs.on_userspace,
	};
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < sizeof(progs) / sizeof(progs[0]); i++) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (!bpf_obj_get_info_by_fd(bpf_program__fd(progs[i]), &info, &len))
			sum += info.recursion_misses;
	}
	return sum;
}

static int report(struct exits_bpf *s, struct trace *t, const struct options *o)
{
	struct trace_maps maps = {
		.vcpus = bpf_map__fd(s->maps.vcpus),
		.lives = bpf_map__fd(s->maps.lives),
		.series = bpf_map__fd(s->maps.series),
		.returns = bpf_map__fd(s->maps.returns),
		.last_life = s->bss->last_life,
	};
	struct utsname uts;
	int err, ret;

	uname(&uts);
	snprintf(t->kernel, sizeof(t->kernel), "%s", uts.release);
	t->began = time(NULL) - (uint64_t)t->seconds;
	if (maps.last_life > EXITS_LIVES - 1)
		maps.last_life = EXITS_LIVES - 1;
	t->lost = s->bss->lost;
	t->recursion_misses = recursion_misses(s);
	err = trace_collect(t, &maps);
	if (err)
		ret = out_error(EXIT_VMM, "cannot read the counts: %s",
				strerror(-err));
	else
		ret = o->json ? trace_print_json(t) :
				trace_print_table(t, &o->style);
	trace_free(t);
	return ret;
}

/* With the signals blocked and @sigfd in their place. */
static int trace(const struct options *o, int sigfd, int pidfd)
{
	struct trace t = { .pid = o->pid };
	struct exits_bpf *skel;
	double begin;
	int ret, err;

	skel = start(o, &ret);
	if (!skel)
		return ret;
	begin = now();
	out_note("tracing VM exits, Ctrl-C ends");
	err = wait_for_end(sigfd, pidfd, o->seconds);
	skel->bss->enabled = false;
	t.seconds = now() - begin;
	exits_bpf__detach(skel);
	ret = err ? out_error(EXIT_VMM, "poll: %s", strerror(-err)) :
		    report(skel, &t, o);
	exits_bpf__destroy(skel);
	return ret;
}

/* Let SIGINT and SIGTERM end the trace instead of the process. */
static int trace_until_signal(const struct options *o, int pidfd)
{
	sigset_t set, before;
	int ret, sigfd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	if (sigfd >= 0) {
		ret = trace(o, sigfd, pidfd);
		close(sigfd);
	} else {
		ret = out_error(EXIT_VMM, "signalfd: %s", strerror(errno));
	}
	/* The Ctrl-C that ended the trace is spent: do not die of it now. */
	while (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) > 0)
		;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int cmd_trace_exits(int argc, char **argv)
{
	struct options o = { .series = EXITS_SERIES };
	int ret, pidfd = -1;

	out_verb("trace exits");
	ret = parse(argc, argv, &o);
	if (ret != OPTS_GO)
		return ret;
	if (o.pid) {
		pidfd = open_process(o.pid);
		if (pidfd < 0)
			return -pidfd;
	}
	libbpf_set_print(o.verbose ? print_all : NULL);
	ret = trace_until_signal(&o, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	return ret;
}
