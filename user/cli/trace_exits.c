// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvasir trace exits: how often guests leave guest mode, why, and for how long.
 *
 * Loads bpf/exits*.bpf.c, lets them count until the time is up, Ctrl-C, or the end
 * of the traced process; their maps are read by what trace_run.h does meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cli.h"
#include "options.h"
#include "output.h"
#include "run.h"
#include "trace_names.h"
#include "trace_open.h"
#include "trace_record_verb.h"
#include "trace_run.h"
#include "trace_symbols.h"
#include "exits.skel.h"
#include "exits_cast.skel.h"

/* The trace, too: its BPF programs are the source of counts. */
struct options {
	struct trace_session session;	/* first */
	struct exits_bpf *skel;
	struct trace_exits counts;
	double stopped;		/* trace_now(), 0: still counting */
	struct trace_exits_choice choice;
	struct trace_symbols *loaded;
	struct trace_names names;
	const char *symbols;	/* of the guest: vmlinux, System.map, ... */
	bool subs;		/* also by address, MSR, ... */
	bool json;
	bool batch;
	const char *prometheus;
	struct trace_job job;
};

static int take_by(void *dst, const char *value)
{
	bool *subs = dst;

	*subs = !strcmp(value, "addr");
	return *subs ? 0 : out_error(EXIT_USAGE, "--by %s: only addr is known", value);
}

/* What the chosen form has no place for is refused. */
static int check_form(const struct options *o)
{
	const struct trace_job *job = &o->job;
	enum trace_format format = job->style.format;
	bool table = format == TRACE_TABLE && !job->listen;

	if ((o->subs || o->symbols) && !table && format != TRACE_JSON)
		return out_error(EXIT_USAGE, "--%s is for tables and JSON only",
				 o->subs ? "by" : "symbols");
	if (job->interval > 0 && !job->live)
		return out_error(EXIT_USAGE,
				 "--interval is for the view only, which is not shown; try --live");
	return job->listen ? trace_check_style(&job->style, TRACE_PROMETHEUS) :
			     trace_check_style(&job->style, format);
}

/*
 * Of the forms to go out in, at most one. Like top, show the view to whoever
 * sits at a terminal and did not say when to end.
 */
static int choose_form(struct options *o, bool format)
{
	bool tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	struct trace_job *job = &o->job;
	int ret;

	if (format + o->json + !!o->prometheus + job->live > 1)
		return out_error(EXIT_USAGE,
				 "only one of --format, --json, --prometheus and --live");
	if (job->live && o->batch)
		return out_error(EXIT_USAGE, "--live and --batch exclude each other");
	if (job->live && !tty)
		return out_error(EXIT_USAGE,
				 "--live: standard input and output are no terminal");
	ret = trace_check_prometheus(o->prometheus);
	if (ret)
		return ret;
	if (o->json)
		job->style.format = TRACE_JSON;
	else if (o->prometheus && !strcmp(o->prometheus, "-"))
		job->style.format = TRACE_PROMETHEUS;
	else if (o->prometheus)
		job->listen = o->prometheus;
	else if (!format && !o->batch && !o->session.seconds && tty)
		job->live = true;
	ret = check_form(o);
	if (ret)
		return ret;
	if (!job->interval)
		job->interval = 1;
	return OPTS_GO;
}

static int parse_exits(int argc, char **argv, struct options *o)
{
	enum trace_format none = -1, format = none;
	const struct opt opts[] = {
		TRACE_SESSION_OPTIONS(&o->session),
		TRACE_EXITS_OPTIONS(&o->choice),
		{ .name = "by", .kind = OPT_CALL, .dst = &o->subs, .fn = take_by,
		  .arg = "addr",
		  .help = "split reasons by port, address, MSR, leaf, ..., in\n"
			  "tables and JSON" },
		{ .name = "symbols", .kind = OPT_STRING, .dst = &o->symbols,
		  .arg = "FILE",
		  .help = "sample where guests are; names from this vmlinux,\n"
			  "System.map or kallsyms; in tables and JSON" },
		{ .name = "json", .kind = OPT_FLAG, .dst = &o->json,
		  .help = "JSON instead of tables" },
		{ .name = "format", .letter = 'f', .kind = OPT_CALL,
		  .dst = &format, .fn = trace_take_format, .arg = "FORMAT",
		  .help = "table, json, prometheus, folded or html" },
		TRACE_PROMETHEUS_OPTION(&o->prometheus),
		{ .name = "live", .letter = 'l', .kind = OPT_FLAG,
		  .dst = &o->job.live,
		  .help = "full-screen view (default on a terminal, without -d\n"
			  "and a format); h in it lists the keys" },
		{ .name = "batch", .letter = 'b', .kind = OPT_FLAG,
		  .dst = &o->batch, .help = "no full-screen view" },
		{ .name = "interval", .letter = 'i', .kind = OPT_CALL,
		  .dst = &o->job.interval, .fn = trace_take_interval, .arg = "SEC",
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
		.exits = "  0 done   1 failed   2 usage   3 no KVM, or no permission\n"
			 "  4 no such process, guest or file\n",
	};
	int first, ret = opts_parse(&usage, argc, argv, &first);

	if (ret != OPTS_GO)
		return ret;
	if (format != none)
		o->job.style.format = format;
	return choose_form(o, format != none);
}

#define OPTIONAL 10
#define SUBS 3	/* from here on: for --by */

static void optional_programs(struct exits_bpf *s, struct trace_optional *o)
{
#define OPTIONAL_PROGRAM(name, text) { s->progs.name, &s->links.name, text }
	const struct trace_optional all[OPTIONAL] = {
		OPTIONAL_PROGRAM(on_switch, "time off the CPU is not told apart"),
		OPTIONAL_PROGRAM(on_wakeup, "waiting for a CPU counts as blocked"),
		OPTIONAL_PROGRAM(on_halt_end, "halt polling counts as handling"),
		OPTIONAL_PROGRAM(on_pio, "ports are not told apart"),
		OPTIONAL_PROGRAM(on_mmio, "addresses are not told apart"),
		OPTIONAL_PROGRAM(on_fast_mmio, "doorbells are not told apart"),
		OPTIONAL_PROGRAM(on_msr, "MSRs are not told apart"),
		OPTIONAL_PROGRAM(on_cpuid, "leaves are not told apart"),
		OPTIONAL_PROGRAM(on_hypercall, "hypercalls are not told apart"),
		OPTIONAL_PROGRAM(on_page_fault, "faults are not told apart"),
	};
#undef OPTIONAL_PROGRAM

	memcpy(o, all, sizeof(all));
}

/* What is not asked for costs nothing. */
static void choose_programs(struct exits_bpf *s, const struct options *o,
			    const struct trace_optional *optional)
{
	size_t i;

	s->rodata->only_tgid = o->session.pid;
	s->rodata->only_vcpu = o->choice.vcpu;
	s->rodata->want_rips = o->symbols != NULL;
	for (i = SUBS; i < OPTIONAL; i++)
		bpf_program__set_autoload(optional[i].prog, o->subs);
	trace_defer(optional, OPTIONAL);
}

/* How much the maps hold: as --room and --series say. */
static int choose_room(struct exits_bpf *s, const struct options *o)
{
	struct bpf_map *const maps[] = {
		s->maps.states, s->maps.lives, s->maps.vcpus, s->maps.returns,
		s->maps.subs, s->maps.rips, s->maps.series, s->maps.series_index,
	};
	int err = trace_set_room(&o->session, maps, sizeof(maps) / sizeof(maps[0]));

	s->rodata->room_lives = bpf_map__max_entries(s->maps.lives);
	if (err || !o->choice.series)
		return err;
	err = bpf_map__set_max_entries(s->maps.series, o->choice.series);
	return err ? err : bpf_map__set_max_entries(s->maps.series_index, o->choice.series);
}

TRACE_OPENER(exits)

/* Return: in the kernel, @optional filled in; or NULL with -errno in *@err. */
static struct exits_bpf *load(const struct options *o, const struct exits_where *where,
			      bool cast, struct trace_optional *optional, int *err)
{
	struct exits_bpf *s = exits_open(cast);

	if (!s) {
		*err = -errno;
		return NULL;
	}
	memcpy((void *)s->rodata->where, where, sizeof(s->rodata->where));
	optional_programs(s, optional);
	choose_programs(s, o, optional);
	*err = choose_room(s, o);
	if (!*err)
		*err = exits_bpf__load(s);
	if (!*err)
		return s;
	exits_bpf__destroy(s);
	return NULL;
}

/* Return: attached and counting, or NULL with the exit status in *@ret. */
static struct exits_bpf *start(const struct options *o, int *ret)
{
	struct trace_optional optional[OPTIONAL];
	struct exits_where where[EXITS_ISAS];
	struct exits_bpf *s;
	bool cast = trace_can_cast();
	int err;

	err = trace_layout(where);
	if (err < 0) {
		*ret = out_error(EXIT_VMM,
				 "the kernel's type information: %s; needs a kernel with CONFIG_DEBUG_INFO_BTF",
				 strerror(-err));
		return NULL;
	}
	s = load(o, where, cast, optional, &err);
	/* Without a JIT the kernel has it, and no program can call it. */
	if (!s && cast)
		s = load(o, where, false, optional, &err);
	if (!s) {
		*ret = trace_explain("cannot load the BPF program", err);
		return NULL;
	}
	err = exits_bpf__attach(s);
	if (err) {
		*ret = err == -ENOENT ?
		       out_error(EXIT_NO_KVM,
				 "KVM is not there to trace; modprobe kvm_amd or kvm_intel") :
		       trace_explain("cannot attach to KVM's tracepoints", err);
		exits_bpf__destroy(s);
		return NULL;
	}
	trace_attach(optional, OPTIONAL);
	s->bss->enabled = true;
	return s;
}

static int snapshot(struct trace_source *source, struct trace *t)
{
	struct options *o = (struct options *)source;
	struct exits_bpf *skel = o->skel;
	struct trace_maps maps = {
		.states = bpf_map__fd(skel->maps.states),
		.lives = bpf_map__fd(skel->maps.lives),
		.series = bpf_map__fd(skel->maps.series),
		.returns = bpf_map__fd(skel->maps.returns),
		.subs = bpf_map__fd(skel->maps.subs),
		.rips = bpf_map__fd(skel->maps.rips),
		.last_life = skel->bss->last_life,
		.n_series = skel->bss->n_series,
		.names = &o->names,
		.over = o->stopped > 0,
	};
	struct utsname uts;

	if (maps.last_life > skel->rodata->room_lives - 1)
		maps.last_life = skel->rodata->room_lives - 1;
	if (maps.n_series > bpf_map__max_entries(skel->maps.series))
		maps.n_series = bpf_map__max_entries(skel->maps.series);
	if (o->stopped > 0)
		t->seconds = o->stopped - source->begin;
	t->pid = o->session.pid;
	t->began = time(NULL) - (uint64_t)t->seconds;
	uname(&uts);
	snprintf(t->kernel, sizeof(t->kernel), "%s", uts.release);
	t->symbols = o->loaded;
	t->lost = skel->bss->lost;
	trace_cost_read(&o->session.cost, o->skel->obj);
	t->recursion_misses = o->session.cost.misses;
	t->cost_events = o->session.cost.runs;
	t->cost_ns = o->session.cost.ns;
	return trace_collect(t, &maps);
}

static void stop(struct trace_source *source)
{
	struct options *o = (struct options *)source;

	o->skel->bss->enabled = false;
	o->stopped = trace_now();
	exits_bpf__detach(o->skel);
	trace_cost_off(&o->session.cost);
}

static int trace(struct trace_session *session, void *ctx)
{
	struct options *o = ctx;
	int ret;

	/* When there is something to look at, it may have ended. */
	if (session->pid)
		trace_names_get(&o->names, session->pid, 0);
	o->skel = start(o, &ret);
	if (!o->skel)
		return ret;
	o->counts.snapshot = snapshot;
	session->source.kind = &trace_kind_exits;
	session->source.counts = &o->counts;
	session->source.stop = stop;
	trace_session_begin(session);
	out_note("tracing VM exits, Ctrl-C ends");
	ret = trace_run(&session->source, &o->job);
	trace_record_free(&o->counts.rec);
	trace_free(&o->counts.next);
	exits_bpf__destroy(o->skel);
	return ret;
}

static int trace_of(struct options *o)
{
	int ret;

	if (o->symbols) {
		ret = trace_symbols_load(o->symbols, &o->loaded);
		if (ret)
			return out_error(EXIT_NO_FILE, "--symbols %s: %s", o->symbols,
					 ret == -EINVAL ? "no symbols in it" :
							  strerror(-ret));
	}
	ret = trace_session_run(&o->session, trace, o);
	trace_symbols_free(o->loaded);
	free(o->names.entry);
	return ret;
}

int cmd_trace_exits(int argc, char **argv)
{
	struct options o = { 0 };
	int ret;

	out_verb("trace exits");
	trace_exits_all(&o.choice);
	ret = parse_exits(argc, argv, &o);
	return ret == OPTS_GO ? trace_of(&o) : ret;
}

int trace_record_exits(const struct trace_session *session,
		       const struct trace_exits_choice *choice, const char *file)
{
	struct options o = {
		.session = *session, .choice = *choice, .job.file = file,
	};

	return trace_of(&o);
}
