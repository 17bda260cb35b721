/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line of one verb, described as a table: parsing, --help and
 * complaints come from it.
 */
#ifndef KVASIR_OPTIONS_H
#define KVASIR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum opt_kind {
	OPT_END,
	OPT_FLAG,	/* bool *dst: set to true */
	OPT_CLEAR,	/* bool *dst: set to false */
	OPT_STRING,	/* const char **dst: not empty */
	OPT_UINT,	/* unsigned int *dst: .min to .max */
	OPT_SIZE,	/* uint64_t *dst: bytes with K, M, G, T */
	OPT_CALL,	/* .fn takes the value */
	OPT_MULTI,	/* the same, and may be given more than once */
};

/* Takes @value, or prints one line and returns an exit code. */
typedef int (*opt_fn)(void *dst, const char *value);

struct opt {
	const char *name;	/* without dashes */
	char letter;		/* 0: none */
	enum opt_kind kind;
	void *dst;
	opt_fn fn;
	unsigned int min, max;
	const char *arg;	/* what the value is called in --help */
	const char *help;	/* lines separated by \n */
};

struct opt_usage {
	const char *verb;	/* "run", "module load" */
	const char *operands;	/* "NAME", "[NAME]" or NULL */
	const char *about;	/* one or more lines */
	const struct opt *opts;	/* ends with OPT_END; --help is added */
	const char *exits;	/* exit status, lines as printed */
	int min_operands, max_operands;
};

#define OPTS_GO (-1)	/* parsed: carry on */

/**
 * opts_parse() - parse argv[1..] by the table
 * @first: index of the first operand; the operands end with @argc
 *
 * An option other than OPT_MULTI given twice is refused.
 *
 * Return: OPTS_GO, or the exit code (0 after --help, 2 after one line of
 * complaint).
 */
int opts_parse(const struct opt_usage *usage, int argc, char **argv,
	       int *first);

/* Only digits, [min, max]. -EINVAL not a number, -ERANGE out of range. */
int parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/* Digits and at most one of K M G T (powers of 1024), either case. */
int parse_size(const char *s, uint64_t *out);

#endif /* KVASIR_OPTIONS_H */
