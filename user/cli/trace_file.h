/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recordings: a trace with all its histograms and slices in a file. JSON,
 * described in Documentation/tracing.rst.
 *
 *	trace_file.c		files: read, parse, replace
 *	trace_file_exits.c	what is of exits
 *	trace_file_queues.c	what is of queues
 *	trace_file_put.c	what both write
 *	trace_file_get.c	what both read, and do not trust
 */
#ifndef KVASIR_TRACE_FILE_H
#define KVASIR_TRACE_FILE_H

#include <stdio.h>

#include "trace_queue_model.h"
#include "trace_record.h"

#define TRACE_FILE_VERSION	1
/* What a reader takes; far beyond what a trace holds. */
#define TRACE_FILE_MAX		(256UL << 20)
#define TRACE_FILE_ROOM		8	/* times what a trace has room for by default */
#define TRACE_FILE_ROWS		(TRACE_FILE_ROOM * EXITS_SERIES)

/* What was recorded, of either kind. */
struct trace_recording {
	bool of_queues;
	union {
		struct trace_record exits;
		struct queue_record queues;
	};
};

void trace_recording_free(struct trace_recording *rec);

/* Return: 0, -ENOMEM, or another negative errno of writing. */
int queue_file_write(FILE *out, const struct queue_record *rec);
int trace_file_write(FILE *out, const struct trace_record *rec);

/**
 * trace_file_parse() - the recording in @text
 * @text: ends with a 0, as all strings do
 * @rec: all 0
 * @why: set to what is wrong on -EINVAL
 *
 * The text is not trusted: counts, indices and sizes are checked, and what
 * is read is bounded.
 *
 * Return: 0, -EINVAL or -ENOMEM; trace_recording_free() in any case.
 */
int trace_file_parse(const char *text, size_t len, struct trace_recording *rec,
		     const char **why);

/**
 * trace_file_read() - the recording in the file at @path
 *
 * Return: 0, or the exit status after one line of complaint;
 * trace_recording_free() in any case.
 */
int trace_file_read(const char *path, struct trace_recording *rec);

/* The file of a recording while it is made: the old one stays until the end. */
struct trace_out {
	FILE *file;
	char *path;		/* no link */
	char *temp;		/* NULL: written directly */
};

/* Return: 0, or the exit status after one line of complaint. */
int trace_out_open(struct trace_out *o, const char *path);
/* @keep: put it in its place; else drop it. The same. */
int trace_out_close(struct trace_out *o, bool keep);

#endif /* KVASIR_TRACE_FILE_H */
