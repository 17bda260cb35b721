// SPDX-License-Identifier: GPL-2.0-only
/* getopt_long behind a table; see options.h. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "output.h"
#include "run.h"

#define MAX_OPTS	32
/* getopt's value for the n-th option; above all letters */
#define OPT_BASE	256
#define OPT_HELP	(OPT_BASE + MAX_OPTS)

int parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return -ERANGE;
	}
	if (value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "kmgtKMGT";
	size_t len = strlen(s);
	unsigned int shift = 0;
	const char *unit;
	char digits[24];
	uint64_t value;
	int err;

	unit = len ? strchr(units, s[len - 1]) : NULL;
	if (unit) {
		shift = 10 * ((unsigned int)(unit - units) % 4 + 1);
		len--;
	}
	if (len >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, s, len);
	digits[len] = '\0';
	err = parse_uint(digits, 0, UINT64_MAX, &value);
	if (err)
		return err;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*out = value << shift;
	return 0;
}

static bool takes_value(const struct opt *o)
{
	return o->kind != OPT_FLAG && o->kind != OPT_CLEAR;
}

static void print_option(const struct opt *o)
{
	const char *p = o->help, *end;
	char left[64];
	int len;

	snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", o->letter ? '-' : ' ',
		 o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
		 takes_value(o) ? " " : "", takes_value(o) ? o->arg : "");
	if (strlen(left) > 27) {
		puts(left);
		left[0] = '\0';
	}
	for (; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		len = (int)(end - p);
		printf("%-28s%.*s\n", left, len, p);
		left[0] = '\0';
	}
}

static int print_help(const struct opt_usage *u)
{
	static const struct opt help = {
		.name = "help", .letter = 'h', .kind = OPT_FLAG,
		.help = "print this",
	};
	const struct opt *o;

	printf("Usage: kvasir %s [OPTION]...%s%s\n\n%s\n\nOptions:\n", u->verb,
	       u->operands ? " " : "", u->operands ? u->operands : "",
	       u->about);
	for (o = u->opts; o->kind != OPT_END; o++)
		print_option(o);
	print_option(&help);
	printf("\nExit status:\n%s", u->exits);
	return out_done();
}

static int bad_value(const struct opt *o, const char *value, const char *why)
{
	return out_error(EXIT_USAGE, "--%s %s: %s", o->name, value, why);
}

static int take_uint(const struct opt *o, const char *value)
{
	uint64_t n;

	if (parse_uint(value, o->min, o->max, &n))
		return out_error(EXIT_USAGE,
				 "--%s %s: not a whole number from %u to %u",
				 o->name, value, o->min, o->max);
	*(unsigned int *)o->dst = (unsigned int)n;
	return OPTS_GO;
}

static int take(const struct opt *o, const char *value)
{
	int ret;

	switch (o->kind) {
	case OPT_FLAG:
	case OPT_CLEAR:
		*(bool *)o->dst = o->kind == OPT_FLAG;
		return OPTS_GO;
	case OPT_STRING:
		if (!*value)
			return out_error(EXIT_USAGE, "--%s: empty value",
					 o->name);
		*(const char **)o->dst = value;
		return OPTS_GO;
	case OPT_UINT:
		return take_uint(o, value);
	case OPT_SIZE:
		ret = parse_size(value, o->dst);
		if (ret == -ERANGE)
			return bad_value(o, value, "too large");
		if (ret)
			return bad_value(o, value,
					 "not a size (a whole number, then K, M, G or T)");
		return OPTS_GO;
	default:
		ret = o->fn(o->dst, value);
		return ret ? ret : OPTS_GO;
	}
}

static int complain(const struct opt_usage *u, int c, char **argv)
{
	const char *what = c == ':' ? "needs a value" : "unknown option";
	char letter[3] = { '-', (char)optopt, '\0' };
	const char *name = argv[optind - 1];

	/* A long option is whole in argv; letters may be bundled. */
	if (optopt > 0 && optopt < OPT_BASE && strncmp(name, "--", 2))
		name = letter;
	else if (c == '?' && optopt >= OPT_BASE)
		what = "takes no value";
	else if (c == '?' && optopt == 0 && !strchr(name, '='))
		what = "unknown or ambiguous option";
	return out_error(EXIT_USAGE, "%s: %s (see 'kvasir %s --help')", name,
			 what, u->verb);
}

static const struct opt *find(const struct opt_usage *u, int c)
{
	const struct opt *o;

	if (c >= OPT_BASE)
		return &u->opts[c - OPT_BASE];
	for (o = u->opts; o->letter != c; o++)
		;
	return o;
}

static void build(const struct opt_usage *u, struct option *longs,
		  char *shorts)
{
	unsigned int n;

	*shorts++ = ':';
	*shorts++ = 'h';
	for (n = 0; u->opts[n].kind != OPT_END; n++) {
		longs[n] = (struct option){
			.name = u->opts[n].name,
			.has_arg = takes_value(&u->opts[n]),
			.val = OPT_BASE + (int)n,
		};
		if (!u->opts[n].letter)
			continue;
		*shorts++ = u->opts[n].letter;
		if (takes_value(&u->opts[n]))
			*shorts++ = ':';
	}
	*shorts = '\0';
	longs[n] = (struct option){ .name = "help", .val = OPT_HELP };
	longs[n + 1] = (struct option){ 0 };
}

int opts_parse(const struct opt_usage *usage, int argc, char **argv,
	       int *first)
{
	struct option longs[MAX_OPTS + 2];
	char shorts[2 * MAX_OPTS + 3];
	bool seen[MAX_OPTS] = { false };
	const struct opt *o;
	int c, ret;

	build(usage, longs, shorts);
	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'h' || c == OPT_HELP)
			return print_help(usage);
		if (c == '?' || c == ':')
			return complain(usage, c, argv);
		o = find(usage, c);
		if (seen[o - usage->opts] && o->kind != OPT_MULTI)
			return out_error(EXIT_USAGE, "--%s: given twice",
					 o->name);
		seen[o - usage->opts] = true;
		ret = take(o, optarg);
		if (ret != OPTS_GO)
			return ret;
	}
	*first = optind;
	if (argc - optind > usage->max_operands)
		return out_error(EXIT_USAGE,
				 "%s: unexpected argument (see 'kvasir %s --help')",
				 argv[optind + usage->max_operands],
				 usage->verb);
	if (argc - optind < usage->min_operands)
		return out_error(EXIT_USAGE,
				 "missing %s (see 'kvasir %s --help')",
				 usage->operands, usage->verb);
	return OPTS_GO;
}
