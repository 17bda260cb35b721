/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the command prints: errors of one line, tables, JSON.
 *
 * Names of guests, files and processes are chosen by others; whatever goes
 * out passes through here and leaves without control characters.
 */
#ifndef KVASIR_OUTPUT_H
#define KVASIR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/**
 * out_escape() - printable form of any string
 *
 * Bytes other than printable ASCII become \xNN, the backslash \\. The result
 * is cut before an escape that does not fit; @size is at least 1.
 */
char *out_escape(char *dst, size_t size, const char *src);

/* Name the verb that errors begin with ("kvasir run: ..."). */
void out_verb(const char *verb);

/* One escaped line on stderr; returns @code so that callers can return it. */
int out_error(int code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* One escaped line on stderr that is no error. */
void out_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A string value; bytes that are not UTF-8, or control a terminal, escaped. */
struct json_object *out_json_string(const char *s);

/**
 * out_json() - print an object and give it up
 *
 * Return: 0, or 1 with an error line when memory or the output fails.
 */
int out_json(struct json_object *obj);

/* Flush stdout; 0, or 1 with an error line when output was lost. */
int out_done(void);

/* ---- tables: all cells first, then widths, then lines ---- */

struct table;

/* @heads: one word per column; a leading '>' aligns the column right. */
struct table *table_create(unsigned int columns, const char *const *heads);
/* Next cell, left to right, row by row. Errors surface in table_print(). */
void table_cell(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/**
 * table_fit() - leave out columns until the table is at most @width wide
 * @order: the columns that may go, the first to go first
 */
void table_fit(struct table *t, unsigned int width, const unsigned char *order,
	       size_t n);
/* Columns of the terminal at stdout; $COLUMNS or 80 if it is none. */
unsigned int out_width(void);
/* Print and free; 0, or 1 with an error line. */
int table_print(struct table *t);

/* "1234", "56.7k", "8.90M": at most six characters */
void out_count(char *buf, size_t size, uint64_t value);

#endif /* KVASIR_OUTPUT_H */
