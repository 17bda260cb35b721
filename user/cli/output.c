// SPDX-License-Identifier: GPL-2.0-only
/* Errors, tables and JSON; see output.h. */
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.h"

static const char *verb_name;

void out_verb(const char *verb)
{
	verb_name = verb;
}

char *out_escape(char *dst, size_t size, const char *src)
{
	const unsigned char *s = (const unsigned char *)src;
	size_t used = 0;
	char one[5];
	size_t len;

	for (; *s; s++) {
		if (*s == '\\')
			strcpy(one, "\\\\");
		else if (*s >= 0x20 && *s < 0x7f)
			snprintf(one, sizeof(one), "%c", *s);
		else
			snprintf(one, sizeof(one), "\\x%02x", *s);
		len = strlen(one);
		if (used + len + 1 > size)
			break;
		memcpy(dst + used, one, len);
		used += len;
	}
	dst[used] = '\0';
	return dst;
}

static void say(const char *fmt, va_list ap)
{
	char raw[1024], line[2048];

	vsnprintf(raw, sizeof(raw), fmt, ap);
	fflush(stdout);
	fprintf(stderr, "kvasir%s%s: %s\n", verb_name ? " " : "",
		verb_name ? verb_name : "",
		out_escape(line, sizeof(line), raw));
}

int out_error(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return code;
}

void out_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

/* Length of the well-formed UTF-8 sequence at @s that is text; 0: none. */
static size_t utf8_text(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t len, i;

	if (c < 0x80)
		return c != 0x7f;
	len = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 :
	      c >= 0xc0 && c < 0xe0 ? 2 : 0;
	if (!len)
		return 0;
	c &= 0x7f >> len;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* overlong, C1 controls, surrogates, beyond Unicode */
	if (c < least[len] || c < 0xa0 || (c >= 0xd800 && c < 0xe000) ||
	    c > 0x10ffff)
		return 0;
	return len;
}

struct json_object *out_json_string(const char *s)
{
	struct json_object *obj;
	const unsigned char *p;
	char *buf;
	size_t len;

	for (p = (const unsigned char *)s; *p; p += len) {
		len = utf8_text(p);
		if (!len)
			break;
	}
	if (!*p)	/* json-c escapes what is below 0x20 */
		return json_object_new_string(s);

	len = 4 * strlen(s) + 1;
	buf = malloc(len);
	if (!buf)
		return NULL;
	obj = json_object_new_string(out_escape(buf, len, s));
	free(buf);
	return obj;
}

int out_done(void)
{
	if (fflush(stdout) || ferror(stdout))
		return out_error(1, "cannot write the output: %s",
				 strerror(errno));
	return 0;
}

int out_json(struct json_object *obj)
{
	const char *text = NULL;
	int ret;

	if (obj)
		text = json_object_to_json_string_ext(obj,
				JSON_C_TO_STRING_PRETTY |
				JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text) {
		json_object_put(obj);
		return out_error(1, "out of memory");
	}
	puts(text);
	ret = out_done();
	json_object_put(obj);
	return ret;
}

struct table {
	unsigned int columns;
	const char *const *heads;
	char **cells;
	size_t nr, room;
	uint32_t hidden;	/* columns left out, one bit each */
	bool failed;
};

struct table *table_create(unsigned int columns, const char *const *heads)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->columns = columns;
	t->heads = heads;
	return t;
}

static bool table_grow(struct table *t)
{
	size_t room = t->room ? 2 * t->room : 64;
	char **cells;

	if (t->nr < t->room)
		return true;
	cells = realloc(t->cells, room * sizeof(*cells));
	if (!cells)
		return false;
	t->cells = cells;
	t->room = room;
	return true;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	char raw[512], text[1024];
	char *copy = NULL;
	va_list ap;

	if (!t)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	if (table_grow(t))
		copy = strdup(out_escape(text, sizeof(text), raw));
	if (!copy) {
		t->failed = true;
		return;
	}
	t->cells[t->nr++] = copy;
}

static const char *head_text(const struct table *t, unsigned int col)
{
	return t->heads[col] + (t->heads[col][0] == '>');
}

static int column_width(const struct table *t, unsigned int col)
{
	size_t width = strlen(head_text(t, col)), len, i;

	for (i = col; i < t->nr; i += t->columns) {
		len = strlen(t->cells[i]);
		if (len > width)
			width = len;
	}
	return (int)width;
}

void table_fit(struct table *t, unsigned int width, const unsigned char *order,
	       size_t n)
{
	unsigned int col, all;
	size_t i;

	if (!t || t->failed)
		return;
	for (all = 0, col = 0; col < t->columns; col++)
		all += column_width(t, col) + (col ? 2 : 0);
	for (i = 0; i < n && all > width; i++) {
		t->hidden |= 1U << order[i];
		all -= column_width(t, order[i]) + 2;
	}
}

unsigned int out_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return columns && atoi(columns) > 0 ? atoi(columns) : 80;
}

static void put_cell(const struct table *t, unsigned int col, const char *text)
{
	bool last = col + 1 == t->columns;
	int width = column_width(t, col);

	if (t->hidden >> col & 1)
		return;
	if (t->heads[col][0] != '>')
		width = last ? 0 : -width;
	printf("%*s%s", width, text, last ? "\n" : "  ");
}

static void table_destroy(struct table *t)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

int table_print(struct table *t)
{
	unsigned int col;
	size_t i;

	if (!t || t->failed) {
		if (t)
			table_destroy(t);
		return out_error(1, "out of memory");
	}
	for (col = 0; col < t->columns; col++)
		put_cell(t, col, head_text(t, col));
	for (col = 0, i = 0; i < t->nr; i++) {
		put_cell(t, col, t->cells[i]);
		col = col + 1 < t->columns ? col + 1 : 0;
	}
	table_destroy(t);
	return out_done();
}

void out_count(char *buf, size_t size, uint64_t value)
{
	static const char units[] = "kMGTPE";
	double v = (double)value;
	int unit = -1;

	if (value < 100000) {
		snprintf(buf, size, "%u", (unsigned int)value);
		return;
	}
	do {
		v /= 1000;
		unit++;
	} while (v >= 999.5);
	snprintf(buf, size, "%.*f%c", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v,
		 units[unit]);
}
