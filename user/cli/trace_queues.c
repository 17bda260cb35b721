// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvasir trace path: a request's way from the guest's doorbell through the
 *	module and the host device back into the guest, hop by hop.
 * kvasir trace io, net: what the queues of disks and network cards are loaded
 *	with: sizes, latencies, depths, and what was dropped.
 */
#include <errno.h>
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
#include "trace_open.h"
#include "trace_queue_collect.h"
#include "trace_queues.h"
#include "trace_record_verb.h"
#include "queues.skel.h"
#include "queues_cast.skel.h"

/* The trace, too: its BPF programs are the source of counts. */
struct options {
	struct trace_session session;	/* first */
	struct queues_bpf *skel;
	struct queue_counters before;
	struct trace_names names;
	struct trace_queues counts;
	struct trace_job job;
	double stopped;		/* trace_now(), 0: still counting */
	bool no_guests;		/* KVM's tracepoints are not there */
	bool json;
	const char *prometheus;	/* [ADDRESS:]PORT, or "-" */
};

/* KVM's half is left out where KVM is not there, or was not asked for. */
static void choose_programs(struct queues_bpf *s, bool path)
{
	struct bpf_program *const kvm[] = {
		s->progs.on_exit, s->progs.on_entry, s->progs.on_accept,
		s->progs.on_inject,
	};
	size_t i;

	s->rodata->want_path = path;
	for (i = 0; i < sizeof(kvm) / sizeof(kvm[0]); i++)
		bpf_program__set_autoload(kvm[i], path);
}

/* How much the maps hold: as --room says; of vCPUs nothing if it is not asked for. */
static int choose_room(struct queues_bpf *s, const struct options *o, bool path)
{
	struct bpf_map *const maps[] = {
		s->maps.numbers, s->maps.queues, s->maps.slow, s->maps.series,
		s->maps.reqs, s->maps.vcpus,
	};
	int err = trace_set_room(&o->session, maps, sizeof(maps) / sizeof(maps[0]));

	return err || path ? err : bpf_map__set_max_entries(s->maps.vcpus, 1);
}

TRACE_OPENER(queues)

/* Return: in the kernel; or NULL with -errno in *@err. */
static struct queues_bpf *load(const struct options *o, const struct queues_where *where,
			       bool path, bool cast, int *err)
{
	struct queues_bpf *s = queues_open(cast);

	if (!s) {
		*err = -errno;
		return NULL;
	}
	s->rodata->only_pid = o->session.pid;
	s->rodata->only_type = o->counts.rec.type;
	memcpy((void *)&s->rodata->where, where, sizeof(*where));
	choose_programs(s, path);
	*err = choose_room(s, o, path);
	if (!*err)
		*err = queues_bpf__load(s);
	if (!*err)
		return s;
	queues_bpf__destroy(s);
	return NULL;
}

/* Begin to count. Return: 0, or the exit status. */
static int attach(struct queues_bpf *s)
{
	/* A module older than this command has no such tracepoint. */
	const struct trace_optional ready = {
		s->progs.on_ready, &s->links.on_ready,
		"the wait of received frames for the worker is unknown",
	};
	int err;

	trace_defer(&ready, 1);
	err = queues_bpf__attach(s);
	if (err)
		return trace_explain("cannot attach to the tracepoints", err);
	trace_attach(&ready, 1);
	s->bss->enabled = true;
	return 0;
}

/* Return: attached and counting, or NULL with the exit status in *@ret. */
static struct queues_bpf *start(const struct options *o, bool path, int *ret)
{
	struct queues_where where;
	struct queues_bpf *s;
	bool cast = trace_can_cast();
	int err;

	err = trace_queue_layout(&where);
	if (err) {
		*ret = err == -ENOENT ?
		       out_error(EXIT_NO_BACKEND,
				 "no type information of module kvasir: is it loaded ('kvasir module load') and built with BTF?") :
		       out_error(EXIT_VMM, "type information: %s", strerror(-err));
		return NULL;
	}
	s = load(o, &where, path, cast, &err);
	/* Without a JIT the kernel has it, and no program can call it. */
	if (!s && cast)
		s = load(o, &where, path, false, &err);
	if (!s) {
		*ret = trace_explain("cannot load the BPF program", err);
		return NULL;
	}
	*ret = attach(s);
	if (!*ret)
		return s;
	queues_bpf__destroy(s);
	return NULL;
}

static int snapshot(struct trace_source *source, struct queue_trace *t)
{
	struct options *o = (struct options *)source;
	const struct queue_maps maps = {
		.numbers = bpf_map__fd(o->skel->maps.numbers),
		.queues = bpf_map__fd(o->skel->maps.queues),
		.slow = bpf_map__fd(o->skel->maps.slow),
		.series = bpf_map__fd(o->skel->maps.series),
		.names = &o->names,
	};
	struct utsname uts;

	if (o->stopped > 0)
		t->about.seconds = o->stopped - source->begin;
	t->about.began = time(NULL) - (uint64_t)t->about.seconds;
	t->about.pid = o->session.pid;
	uname(&uts);
	snprintf(t->about.kernel, sizeof(t->about.kernel), "%s", uts.release);
	trace_cost_read(&o->session.cost, o->skel->obj);
	t->about.recursion_misses = o->session.cost.misses;
	t->about.cost_events = o->session.cost.runs;
	t->about.cost_ns = o->session.cost.ns;
	t->lost = o->skel->bss->lost;
	t->no_guests = o->no_guests;
	return queue_collect(t, &maps, &o->before);
}

static void stop(struct trace_source *source)
{
	struct options *o = (struct options *)source;

	o->skel->bss->enabled = false;
	o->stopped = trace_now();
	queues_bpf__detach(o->skel);
	trace_cost_off(&o->session.cost);
}

static int trace(struct trace_session *session, void *ctx)
{
	struct options *o = ctx;
	bool path = o->counts.rec.view == VIEW_PATH;
	int ret;

	o->no_guests = path && access("/sys/module/kvm", F_OK);
	/* When there is something to look at, it may have ended. */
	if (session->pid)
		trace_names_get(&o->names, session->pid, 0);
	o->skel = start(o, path && !o->no_guests, &ret);
	if (!o->skel)
		return ret;
	o->counts.snapshot = snapshot;
	session->source.kind = &trace_kind_queues;
	session->source.counts = &o->counts;
	session->source.stop = stop;
	queue_counters_read(&o->before);
	trace_session_begin(session);
	out_note("tracing queues, Ctrl-C ends");
	ret = trace_run(&session->source, &o->job);
	queue_record_free(&o->counts.rec);
	queue_trace_free(&o->counts.next);
	free(o->before.queue);
	queues_bpf__destroy(o->skel);
	return ret;
}

static int trace_of(struct options *o)
{
	int ret = trace_session_run(&o->session, trace, o);

	free(o->names.entry);
	return ret;
}

static int run(int argc, char **argv, const char *kind, const char *verb,
	       const char *about)
{
	struct options options = { .job.style.slowest = TRACE_SLOWEST };
	enum trace_format none = -1, format = none;
	struct options *o = &options;
	bool path = !strcmp(kind, "path");
	const struct opt opts[] = {
		TRACE_SESSION_OPTIONS(&o->session),
		{ .name = "format", .letter = 'f', .kind = OPT_CALL,
		  .dst = &format, .fn = trace_take_format, .arg = "FORMAT",
		  .help = "table (default), json, prometheus, folded or html" },
		{ .name = "json", .kind = OPT_FLAG, .dst = &o->json,
		  .help = "the same as --format json" },
		TRACE_PROMETHEUS_OPTION(&o->prometheus),
		/* The last one is for path only. */
		{ .name = path ? "slowest" : NULL,
		  .kind = path ? OPT_UINT : OPT_END,
		  .dst = &o->job.style.slowest, .max = QUEUES_SLOWEST, .arg = "N",
		  .help = "show the N slowest of every queue (default: 3)" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = verb,
		.about = about,
		.opts = opts,
		.exits = "  0 done   1 failed   2 usage   3 no permission   4 no such process or guest\n"
			 "  6 module not loaded\n",
	};
	int first, ret;

	out_verb(verb);
	queue_record_init(&o->counts.rec, kind);
	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	if ((format != none) + o->json + !!o->prometheus > 1)
		return out_error(EXIT_USAGE,
				 "only one of --format, --json and --prometheus");
	ret = trace_check_prometheus(o->prometheus);
	if (ret)
		return ret;
	if (format != none)
		o->job.style.format = format;
	else if (o->json)
		o->job.style.format = TRACE_JSON;
	else if (o->prometheus && !strcmp(o->prometheus, "-"))
		o->job.style.format = TRACE_PROMETHEUS;
	else
		o->job.listen = o->prometheus;
	return trace_of(o);
}

int cmd_trace_path(int argc, char **argv)
{
	return run(argc, argv, "path", "trace path",
		   "Time every hop of a request through the module: doorbell, worker, host device,\n"
		   "interrupt, guest. Needs the capabilities CAP_BPF and CAP_PERFMON.");
}

int cmd_trace_io(int argc, char **argv)
{
	return run(argc, argv, "io", "trace io",
		   "Sizes, latencies and queue depths of the module's disks.\n"
		   "Needs the capabilities CAP_BPF and CAP_PERFMON.");
}

int cmd_trace_net(int argc, char **argv)
{
	return run(argc, argv, "net", "trace net",
		   "Sizes, latencies and queue depths of the module's network cards, and what they\n"
		   "dropped. Needs the capabilities CAP_BPF and CAP_PERFMON.");
}

int trace_record_queues(const struct trace_session *session,
			const struct queue_record *rec, const char *file)
{
	struct options o = {
		.session = *session, .counts.rec = *rec, .job.file = file,
	};

	return trace_of(&o);
}
