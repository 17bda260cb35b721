// SPDX-License-Identifier: GPL-2.0-only
/* What all tracers have in common; see trace_session.h. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "output.h"
#include "run.h"
#include "trace_session.h"
#include "trace_vm.h"

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

int trace_check_prometheus(const char *where)
{
	if (!where || !strcmp(where, "-") || trace_serve_valid(where))
		return 0;
	return out_error(EXIT_USAGE,
			 "--prometheus %s: not -, a port or ADDRESS:PORT with a numeric address",
			 where);
}

int trace_take_duration(void *dst, const char *value)
{
	return seconds_of(dst, "duration", value);
}

int trace_take_interval(void *dst, const char *value)
{
	return seconds_of(dst, "interval", value);
}

/*
 * Have processes the numbers here that the kernel's programs see? In a PID
 * namespace of its own a process has another one. The first's is a constant of the
 * kernel's.
 */
#define FIRST_PID_NS	0xeffffffcU

static bool numbers_hold(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) || st.st_ino == FIRST_PID_NS;
}

/* Return: a pidfd for @pid, or minus the exit status. */
static int open_process(unsigned int pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0 && !numbers_hold()) {
		close(fd);
		return -out_error(EXIT_NO_FILE,
				  "process %u has another number outside of this PID namespace; trace from the host's, or without --pid and --vm",
				  pid);
	}
	if (fd >= 0) {
		if (!trace_has_vm(pid))
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

/* The process of --vm. Return: 0, or the exit status. */
static int find_process(struct trace_session *s)
{
	int pid;

	if (s->pid)
		return out_error(EXIT_USAGE, "--pid and --vm exclude each other");
	pid = trace_find_vm(s->vm);
	if (pid == -EEXIST)
		return out_error(EXIT_NO_FILE,
				 "--vm %s: several guests have this name; choose one by --pid",
				 s->vm);
	if (pid < 0)
		return out_error(EXIT_NO_FILE, "--vm %s: %s", s->vm,
				 pid == -ENOENT ? "there is no such guest" :
						  strerror(-pid));
	s->pid = pid;
	return 0;
}

int trace_set_room(const struct trace_session *s, struct bpf_map *const *maps,
		   size_t n)
{
	uint32_t entries;
	int err = 0;
	size_t i;

	for (i = 0; i < n && s->room && !err; i++) {
		entries = (uint64_t)bpf_map__max_entries(maps[i]) * s->room / 100;
		err = bpf_map__set_max_entries(maps[i], entries ? entries : 1);
	}
	return err;
}

static int print_all(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return vfprintf(stderr, fmt, ap);
}

/*
 * Let a signal end the trace instead of the process; a lost terminal, too, so
 * that a recording is written. nohup's wish is kept.
 */
static int run_until_signal(struct trace_session *s,
			    int (*fn)(struct trace_session *s, void *ctx),
			    void *ctx)
{
	struct sigaction hup;
	sigset_t set, before;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &before);
	s->source.sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->source.sigfd >= 0) {
		ret = fn(s, ctx);
		close(s->source.sigfd);
	} else {
		ret = out_error(EXIT_VMM, "signalfd: %s", strerror(errno));
	}
	/* The Ctrl-C that ended the trace is spent: do not die of it now. */
	while (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) > 0)
		;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int trace_session_run(struct trace_session *s,
		      int (*fn)(struct trace_session *s, void *ctx), void *ctx)
{
	int ret;

	if (s->vm) {
		ret = find_process(s);
		if (ret)
			return ret;
	}
	trace_cost_init(&s->cost);
	s->source.pidfd = -1;
	if (s->pid) {
		s->source.pidfd = open_process(s->pid);
		if (s->source.pidfd < 0)
			return -s->source.pidfd;
	}
	libbpf_set_print(s->verbose ? print_all : NULL);
	ret = run_until_signal(s, fn, ctx);
	if (s->source.pidfd >= 0)
		close(s->source.pidfd);
	return ret;
}

static double tick(struct trace_source *source)
{
	struct trace_session *s = (struct trace_session *)source;

	return trace_cost_tick(&s->cost);
}

void trace_session_begin(struct trace_session *s)
{
	s->source.begin = trace_now();
	if (s->seconds > 0)
		s->source.end = s->source.begin + s->seconds;
	s->source.tick = tick;
}

void trace_defer(const struct trace_optional *o, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		bpf_program__set_autoattach(o[i].prog, false);
}

void trace_attach(const struct trace_optional *o, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!bpf_program__autoload(o[i].prog))
			continue;
		*o[i].link = bpf_program__attach(o[i].prog);
		if (!*o[i].link)
			out_note("%s: %s (%s)", o[i].lost, strerror(errno),
				 bpf_program__section_name(o[i].prog));
	}
}

int trace_explain(const char *what, int err)
{
	if (err == -EPERM || err == -EACCES)
		return out_error(EXIT_NO_KVM,
				 "%s: not permitted; needs CAP_BPF and CAP_PERFMON, or root",
				 what);
	return out_error(EXIT_VMM, "%s: %s; --verbose tells more", what,
			 strerror(-err));
}

#define COST_ON		0.02
#define COST_OFF	0.98

void trace_cost_init(struct trace_cost *cost)
{
	*cost = (struct trace_cost){ .fd = -1 };
}

void trace_cost_off(struct trace_cost *cost)
{
	if (cost->fd >= 0)
		close(cost->fd);
	cost->fd = -1;
}

double trace_cost_tick(struct trace_cost *cost)
{
	double now = trace_now();

	if (cost->refused)
		return HUGE_VAL;
	if (now < cost->next)
		return cost->next;
	if (cost->fd >= 0) {
		trace_cost_off(cost);
		cost->next = now + COST_OFF;
		return cost->next;
	}
	cost->fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	cost->refused = cost->fd < 0;
	cost->next = now + COST_ON;
	return cost->refused ? HUGE_VAL : cost->next;
}

void trace_cost_read(struct trace_cost *cost, const struct bpf_object *obj)
{
	struct bpf_program *prog;

	cost->runs = 0;
	cost->ns = 0;
	cost->misses = 0;
	bpf_object__for_each_program(prog, obj) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_program__fd(prog) < 0 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			continue;
		cost->runs += info.run_cnt;
		cost->ns += info.run_time_ns;
		cost->misses += info.recursion_misses;
	}
}
