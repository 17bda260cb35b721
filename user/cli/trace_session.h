/* SPDX-License-Identifier: GPL-2.0-only */
/* What all tracers have in common: whom to watch, until when, what went wrong. */
#ifndef KVASIR_TRACE_SESSION_H
#define KVASIR_TRACE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace_run.h"

struct bpf_map;
struct bpf_object;
struct bpf_program;
struct bpf_link;

/*
 * What the tracer itself costs: the kernel can take the time of every run of a
 * program, but that takes time, too. So it is done for one part in fifty.
 */
struct trace_cost {
	int fd;			/* the kernel measures; -1: it does not */
	bool refused;		/* needs CAP_SYS_ADMIN */
	double next;		/* trace_now() to change over */
	uint64_t runs, ns;	/* of what was measured */
	uint64_t misses;	/* events that hit while a program was busy */
};

struct trace_session {
	struct trace_source source;	/* first; trace_session_run() fills it in */
	unsigned int pid;	/* 0: everybody */
	const char *vm;		/* ... or the process of this VM */
	double seconds;		/* 0: until Ctrl-C */
	unsigned int room;	/* entries of the maps, per cent of usual; 0: 100 */
	bool verbose;
	struct trace_cost cost;
};

/* For a table of options: whom to trace, how long, how loud. */
#define TRACE_SESSION_OPTIONS(s)					\
	{ .name = "pid", .letter = 'p', .kind = OPT_UINT,		\
	  .dst = &(s)->pid, .min = 1, .max = INT32_MAX, .arg = "PID",	\
	  .help = "only the guests of this process; ends when it ends" },\
	{ .name = "vm", .kind = OPT_STRING, .dst = &(s)->vm,		\
	  .arg = "NAME", .help = "the same, by the guest's name" },	\
	{ .name = "duration", .letter = 'd', .kind = OPT_CALL,		\
	  .dst = &(s)->seconds, .fn = trace_take_duration, .arg = "SEC",	\
	  .help = "end after so many seconds (default: at Ctrl-C)" },	\
	{ .name = "room", .kind = OPT_UINT, .dst = &(s)->room, .min = 1,	\
	  .max = 1600, .arg = "PERCENT",				\
	  .help = "memory for more or fewer vCPUs, queues, ports,\n"	\
		  "requests, ... than usual (default: 100)" },		\
	{ .name = "verbose", .letter = 'v', .kind = OPT_FLAG,		\
	  .dst = &(s)->verbose,						\
	  .help = "print the messages of the BPF loader" }

#define TRACE_PROMETHEUS_OPTION(to)					\
	{ .name = "prometheus", .kind = OPT_STRING, .dst = (to), .arg = "PORT",\
	  .help = "serve /metrics at this port of 127.0.0.1 meanwhile;\n"	\
		  "ADDRESS:PORT elsewhere, 0: any, -: print once" }

/* Is @where a value of it, or NULL? Return: 0, or the exit status. */
int trace_check_prometheus(const char *where);

int trace_take_duration(void *dst, const char *value);
int trace_take_interval(void *dst, const char *value);

/**
 * trace_session_run() - find the process, take over signals, do @fn
 * @fn: gets the session and @ctx; its exit status is returned
 */
int trace_session_run(struct trace_session *s,
		      int (*fn)(struct trace_session *s, void *ctx), void *ctx);

/* Before loading: make the @n @maps as large as --room says. 0 or -errno */
int trace_set_room(const struct trace_session *s, struct bpf_map *const *maps,
		   size_t n);

/* Counting begins now. */
void trace_session_begin(struct trace_session *s);

/* A program without which a trace is poorer, but a trace. */
struct trace_optional {
	struct bpf_program *prog;
	struct bpf_link **link;		/* of the skeleton, which detaches it */
	const char *lost;		/* what is lacking without it */
};

/* Before attaching the skeleton: leave @n of its programs for later. */
void trace_defer(const struct trace_optional *o, size_t n);
/* Behind that: attach them, and say what is lost by those that cannot be. */
void trace_attach(const struct trace_optional *o, size_t n);

/* Say why loading or attaching failed, and give the exit status. */
int trace_explain(const char *what, int err);

void trace_cost_init(struct trace_cost *cost);
/* Call it at @cost->next or later. Return: trace_now() for the next call. */
double trace_cost_tick(struct trace_cost *cost);
/* Measure no more. */
void trace_cost_off(struct trace_cost *cost);
/*
 * What the programs of @obj have cost, and missed, so far. A system call for each of
 * them: once for a look at the maps, not more.
 */
void trace_cost_read(struct trace_cost *cost, const struct bpf_object *obj);

#endif
