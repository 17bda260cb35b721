/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was traced, in every form it goes out. The formatters only read the
 * model; they know nothing of BPF, and print the same for a trace that just
 * ended as for one read from a file.
 *
 *	trace_report.c		figures, notes, losses; JSON
 *	trace_fmt_table.c	tables for people
 *	trace_fmt_prom.c	Prometheus' text format
 *	trace_fmt_folded.c	folded stacks, for flame graphs
 *	trace_fmt_html.c	the page, made of trace_page.c and the charts of trace_svg.c
 */
#ifndef KVASIR_TRACE_FMT_H
#define KVASIR_TRACE_FMT_H

#include <stdio.h>

#include "trace_about.h"
#include "trace_record.h"

enum trace_format {
	TRACE_TABLE,
	TRACE_JSON,
	TRACE_PROMETHEUS,
	TRACE_FOLDED,
	TRACE_HTML,
};

#define TRACE_SLOWEST 3		/* shown, unless asked for more or less */

/* How to print exits, or queues. */
struct trace_style {
	enum trace_format format;
	bool per_vcpu;		/* table: one for every vCPU too */
	bool wide;		/* table: all columns, whatever the width */
	unsigned int slowest;	/* table of a path: so many of each queue */
};

/* An option's value: "table", "json", ... Return: 0, or the exit status. */
int trace_take_format(void *dst, const char *value);

/* Refuse what is for tables only in any other @format. 0, or the exit status */
int trace_check_style(const struct trace_style *style, enum trace_format format);

/**
 * trace_print() - to stdout, in the form @style asks for
 * @tl: the same trace in slices, for TRACE_HTML; may be empty
 *
 * Return: the exit status
 */
int trace_print(const struct trace *t, const struct trace_timeline *tl,
		const struct trace_style *style);

/* What there is to say about a series. Times in nanoseconds, 0 if none. */
struct trace_figures {
	uint64_t count;		/* timed or not */
	uint64_t min, mean, p50, p90, p99, p999, max;
};

/* Exits, timed or not. */
uint64_t trace_exits(const struct exits_series *s);
struct trace_figures trace_figures(const struct exits_series *s);

/* Which of the two classes of a row; for every format the same words. */
extern const char *const trace_class_name[2];

extern const struct trace_loss_key trace_losses[];

/* Number @i of them, NULL beyond the last. Return: its key. */
const char *trace_loss(const struct trace *t, size_t i, uint64_t *count,
		       const char **text);

/* Three digits and a unit: at most 7 characters up to hours. */
#define TRACE_DURATION_MAX 16
const char *trace_duration(char buf[TRACE_DURATION_MAX], uint64_t ns);

/* What a histogram is of. */
enum trace_unit {
	TRACE_UNIT_TIME,	/* nanoseconds */
	TRACE_UNIT_BYTES,
	TRACE_UNIT_COUNT,	/* small numbers */
};

/* The same for a value of any unit: "4KiB". */
#define TRACE_VALUE_MAX 24
const char *trace_value(char buf[TRACE_VALUE_MAX], enum trace_unit unit,
			uint64_t value);

/* Wall time of all the vCPUs @n of a trace, in nanoseconds; 0 if unknown. */
double trace_wall_ns(const struct trace *t, size_t n);

/* "name (comm 1234)", printable ASCII. */
#define TRACE_LABEL_MAX 1024
const char *trace_owner_label(char buf[TRACE_LABEL_MAX], const char *name,
			      const char *comm, uint32_t pid);
const char *trace_vm_label(char buf[TRACE_LABEL_MAX], const struct trace_vm *vm);

void trace_fmt_prometheus(FILE *out, const struct trace *t);
void trace_fmt_folded(FILE *out, const struct trace *t);
/* A frame of a folded stack: what separates frames is escaped in @s. */
void trace_folded_frame(FILE *out, const char *s);
void trace_fmt_html(FILE *out, const struct trace *t,
		    const struct trace_timeline *tl);
int trace_print_table(const struct trace *t, const struct trace_style *style);
int trace_print_json(const struct trace *t);

#endif /* KVASIR_TRACE_FMT_H */
