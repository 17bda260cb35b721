// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvasir trace exits: how often guests leave guest mode, why, and for how long.
 * kvasir trace record: the same into a file.
 *
 * Loads bpf/exits.bpf.c, lets it count until the time is up, Ctrl-C, or the end
 * of the traced process; its maps are read by what trace_run.h does meanwhile.
 */
#include <dirent.h>
#include <errno.h>
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
#include "trace_run.h"
#include "exits.skel.h"

#define SERIES_MAX (1U << 20)

struct options {
	unsigned int pid;	/* 0: every VM */
	unsigned int series;
	double seconds;		/* 0: until Ctrl-C */
	bool json;
	bool batch;
	bool verbose;
	const char *prometheus;
	struct trace_job job;
};

static int seconds_of(void *dst, const char *option, const char *value)
{
	double *seconds = dst;
	char *end;

	/* strtod() would take blanks, signs, "inf" and "nan" too. */
	if (*value >= '0' && *value <= '9') {
		*seconds = strtod(value, &end);
		if (*seconds > 0 && *seconds <= 1e6 && !*end)
			return 0;
	}
	return out_error(EXIT_USAGE, "--%s %s: not seconds, up to 1000000", option,
			 value);
}

static int take_duration(void *dst, const char *value)
{
	return seconds_of(dst, "duration", value);
}

static int take_interval(void *dst, const char *value)
{
	return seconds_of(dst, "interval", value);
}

/* What both verbs take: whom to trace, and for how long. */
#define OPTIONS_OF_TRACE(o)						\
	{ .name = "pid", .letter = 'p', .kind = OPT_UINT,		\
	  .dst = &(o)->pid, .min = 1, .max = INT32_MAX, .arg = "PID",	\
	  .help = "only the guests of this process; ends when it ends" },\
	{ .name = "duration", .letter = 'd', .kind = OPT_CALL,		\
	  .dst = &(o)->seconds, .fn = take_duration, .arg = "SEC",	\
	  .help = "end after so many seconds (default: at Ctrl-C)" },	\
	{ .name = "series", .kind = OPT_UINT, .dst = &(o)->series,	\
	  .min = 1, .max = SERIES_MAX, .arg = "N",			\
	  .help = "room for N histograms of 9 KiB, one per vCPU, reason\n"\
		  "and kernel or userspace (default: 2048)" },		\
	{ .name = "verbose", .letter = 'v', .kind = OPT_FLAG,		\
	  .dst = &(o)->verbose,						\
	  .help = "print the messages of the BPF loader" }

#define EXITS "  0 done   1 failed   2 usage   3 no KVM, or no permission   4 no such process\n"

/*
 * Of the forms to go out in, at most one. Like top, show the view to whoever
 * sits at a terminal and did not say when to end.
 */
static int choose_form(struct options *o, bool format)
{
	bool tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	struct trace_job *job = &o->job;

	if (format + o->json + !!o->prometheus + job->live > 1)
		return out_error(EXIT_USAGE,
				 "only one of --format, --json, --prometheus and --live");
	if (job->live && o->batch)
		return out_error(EXIT_USAGE, "--live and --batch exclude each other");
	if (job->live && !tty)
		return out_error(EXIT_USAGE,
				 "--live: standard input and output are no terminal");
	if (o->prometheus && strcmp(o->prometheus, "-") &&
	    !trace_serve_valid(o->prometheus))
		return out_error(EXIT_USAGE,
				 "--prometheus %s: not -, a port or ADDRESS:PORT with a numeric address",
				 o->prometheus);
	if (o->json)
		job->style.format = TRACE_JSON;
	else if (o->prometheus && !strcmp(o->prometheus, "-"))
		job->style.format = TRACE_PROMETHEUS;
	else if (o->prometheus)
		job->listen = o->prometheus;
	else if (!format && !o->batch && !o->seconds && tty)
		job->live = true;
	return OPTS_GO;
}

static int parse_exits(int argc, char **argv, struct options *o)
{
	enum trace_format none = -1, format = none;
	const struct opt opts[] = {
		OPTIONS_OF_TRACE(o),
		{ .name = "json", .kind = OPT_FLAG, .dst = &o->json,
		  .help = "JSON instead of tables" },
		{ .name = "format", .letter = 'f', .kind = OPT_CALL,
		  .dst = &format, .fn = trace_take_format, .arg = "FORMAT",
		  .help = "table, json, prometheus, folded or html" },
		{ .name = "prometheus", .kind = OPT_STRING,
		  .dst = &o->prometheus, .arg = "PORT",
		  .help = "serve /metrics at this port of 127.0.0.1 meanwhile;\n"
			  "ADDRESS:PORT elsewhere, 0: any, -: print once" },
		{ .name = "live", .letter = 'l', .kind = OPT_FLAG,
		  .dst = &o->job.live,
		  .help = "full-screen view (default on a terminal, without -d\n"
			  "and a format); h in it lists the keys" },
		{ .name = "batch", .letter = 'b', .kind = OPT_FLAG,
		  .dst = &o->batch, .help = "no full-screen view" },
		{ .name = "interval", .letter = 'i', .kind = OPT_CALL,
		  .dst = &o->job.interval, .fn = take_interval, .arg = "SEC",
		  .help = "time between two updates of the view (default: 1)" },
		{ .name = "vcpus", .kind = OPT_FLAG,
		  .dst = &o->job.style.per_vcpu,
		  .help = "a table for every vCPU too" },
		{ .name = "wide", .letter = 'w', .kind = OPT_FLAG,
		  .dst = &o->job.style.wide,
		  .help = "all columns, even if that is wider than the screen" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "trace exits",
		.about = "Count and time VM exits per guest, vCPU and reason, from the exit to the\n"
			 "next entry, apart for what the kernel handled and what went to userspace.\n"
			 "Needs the capabilities CAP_BPF and CAP_PERFMON.",
		.opts = opts,
		.exits = EXITS,
	};
	int first, ret = opts_parse(&usage, argc, argv, &first);

	if (ret != OPTS_GO)
		return ret;
	if (format != none)
		o->job.style.format = format;
	return choose_form(o, format != none);
}

static int parse_record(int argc, char **argv, struct options *o)
{
	const struct opt opts[] = {
		{ .name = "output", .letter = 'o', .kind = OPT_STRING,
		  .dst = &o->job.file, .arg = "FILE",
		  .help = "where to (default: kvasir-trace.json); what it\n"
			  "held is replaced at the end" },
		OPTIONS_OF_TRACE(o),
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "trace record",
		.about = "Trace VM exits as 'kvasir trace exits' does, into a file for 'kvasir trace\n"
			 "report' and 'kvasir trace diff'.",
		.opts = opts,
		.exits = EXITS,
	};
	int first;

	o->job.file = "kvasir-trace.json";
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

/* The BPF programs as a source of counts. */
struct exits_source {
	struct trace_source source;
	struct exits_bpf *skel;
	unsigned int pid;
	double stopped;		/* trace_now(), 0: still counting */
};

static int snapshot(struct trace_source *source, struct trace *t)
{
	struct exits_source *s = (struct exits_source *)source;
	struct exits_bpf *skel = s->skel;
	struct trace_maps maps = {
		.vcpus = bpf_map__fd(skel->maps.vcpus),
		.lives = bpf_map__fd(skel->maps.lives),
		.series = bpf_map__fd(skel->maps.series),
		.returns = bpf_map__fd(skel->maps.returns),
		.last_life = skel->bss->last_life,
	};
	struct utsname uts;

	if (maps.last_life > EXITS_LIVES - 1)
		maps.last_life = EXITS_LIVES - 1;
	if (s->stopped > 0)
		t->seconds = s->stopped - source->begin;
	t->pid = s->pid;
	t->began = time(NULL) - (uint64_t)t->seconds;
	uname(&uts);
	snprintf(t->kernel, sizeof(t->kernel), "%s", uts.release);
	t->lost = skel->bss->lost;
	t->recursion_misses = recursion_misses(skel);
	return trace_collect(t, &maps);
}

static void stop(struct trace_source *source)
{
	struct exits_source *s = (struct exits_source *)source;

	s->skel->bss->enabled = false;
	s->stopped = trace_now();
	exits_bpf__detach(s->skel);
}

/* With the signals blocked and @sigfd in their place. */
static int trace(const struct options *o, int sigfd, int pidfd)
{
	struct exits_source s = {
		.source = { .sigfd = sigfd, .pidfd = pidfd,
			    .snapshot = snapshot, .stop = stop },
		.pid = o->pid,
	};
	int ret;

	s.skel = start(o, &ret);
	if (!s.skel)
		return ret;
	s.source.begin = trace_now();
	if (o->seconds > 0)
		s.source.end = s.source.begin + o->seconds;
	out_note("tracing VM exits, Ctrl-C ends");
	ret = trace_run(&s.source, &o->job);
	exits_bpf__destroy(s.skel);
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

static int trace_of(struct options *o)
{
	int ret, pidfd = -1;

	if (o->pid) {
		pidfd = open_process(o->pid);
		if (pidfd < 0)
			return -pidfd;
	}
	libbpf_set_print(o->verbose ? print_all : NULL);
	ret = trace_until_signal(o, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	return ret;
}

int cmd_trace_exits(int argc, char **argv)
{
	struct options o = { .series = EXITS_SERIES, .job.interval = 1 };
	int ret;

	out_verb("trace exits");
	ret = parse_exits(argc, argv, &o);
	return ret == OPTS_GO ? trace_of(&o) : ret;
}

int cmd_trace_record(int argc, char **argv)
{
	struct options o = { .series = EXITS_SERIES };
	int ret;

	out_verb("trace record");
	ret = parse_record(argc, argv, &o);
	return ret == OPTS_GO ? trace_of(&o) : ret;
}
