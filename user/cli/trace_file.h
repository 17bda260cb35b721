/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recordings: a trace with all its histograms and slices in a file. JSON,
 * described in Documentation/tracing.rst.
 */
#ifndef KVASIR_TRACE_FILE_H
#define KVASIR_TRACE_FILE_H

#include <stdio.h>

#include "trace_record.h"

#define TRACE_FILE_VERSION	1
/* What a reader takes; far beyond what a trace holds. */
#define TRACE_FILE_MAX		(256UL << 20)
#define TRACE_FILE_ROWS		16384	/* of all vCPUs, 18 KiB each */

/* Return: 0, -ENOMEM, or another negative errno of writing. */
int trace_file_write(FILE *out, const struct trace_record *rec);

/**
 * trace_file_parse() - the recording in @text
 * @text: ends with a 0, as all strings do
 * @why: set to what is wrong on -EINVAL
 *
 * The text is not trusted: counts, indices and sizes are checked, and what
 * is read is bounded.
 *
 * Return: 0, -EINVAL or -ENOMEM; trace_record_free() in any case.
 */
int trace_file_parse(const char *text, size_t len, struct trace_record *rec,
		     const char **why);

/**
 * trace_file_read() - the recording in the file at @path
 *
 * Return: 0, or the exit status after one line of complaint;
 * trace_record_free() in any case.
 */
int trace_file_read(const char *path, struct trace_record *rec);

/* The file of a recording while it is made: the old one stays until the end. */
struct trace_out {
	FILE *file;
	const char *path;
	char *temp;		/* NULL: written directly, no regular file */
};

/* Return: 0, or the exit status after one line of complaint. */
int trace_out_open(struct trace_out *o, const char *path);
/* @keep: put it in its place; else drop it. The same. */
int trace_out_close(struct trace_out *o, bool keep);

#endif /* KVASIR_TRACE_FILE_H */
