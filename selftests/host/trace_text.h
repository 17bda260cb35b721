/* SPDX-License-Identifier: GPL-2.0-only */
/* What text that a trace is printed as has to look like. Included once. */
#ifndef KVT_TRACE_TEXT_H
#define KVT_TRACE_TEXT_H

#include <string.h>

#include "kvt.h"

static inline void expect_ascii(const char *text)
{
	for (; *text; text++)
		if ((*text < 0x20 && *text != '\n') || *text > 0x7e)
			break;
	EXPECT(!*text, "byte 0x%02x in the output", (unsigned char)*text);
}

static inline bool tag_is(const char *name, size_t len, const char *const *known)
{
	for (; *known; known++)
		if (strlen(*known) == len && !strncmp(name, *known, len))
			return true;
	return false;
}

/* Only tags that we write occur, and they are closed in order. */
static inline void expect_tags(const char *page)
{
	static const char *const closed[] = {
		"html", "head", "title", "style", "body", "h1", "h2", "h3", "p",
		"div", "table", "tr", "figure", "figcaption", "span", "svg", "rect",
		"text", NULL,
	};
	static const char *const open[] = {
		"!DOCTYPE", "meta", "br", "td", "th", "path", NULL,
	};
	const char *s = page, *name, *stack[32];
	size_t len, depth = 0;

	for (; (s = strchr(s, '<')); s++) {
		name = s + 1 + (s[1] == '/');
		len = strcspn(name, " >\n/");
		ASSERT(strchr(s, '>'), "tag without end: %.20s", s);
		if (s[1] != '/' && tag_is(name, len, open))
			continue;
		ASSERT(tag_is(name, len, closed), "tag %.20s", s);
		if (s[1] != '/') {
			ASSERT(depth < 32, "nested too deep: %.20s", s);
			stack[depth++] = name;
			continue;
		}
		ASSERT(depth && !strncmp(stack[depth - 1], name, len),
		       "closed out of order: %.20s", s);
		depth--;
	}
	EXPECT_EQ(depth, 0);
}

/* A whole page, of a sample that has HOSTILE_NAME in it. */
static inline void expect_page(const char *text)
{
	expect_ascii(text);
	expect_tags(text);
	EXPECT(!strstr(text, "<script"), "script");
	EXPECT(!strstr(text, "http:") && !strstr(text, "https:") &&
	       !strstr(text, "url(") && !strstr(text, "src=\""), "fetches");
	EXPECT(strstr(text, "a;b&quot;c\\\\d&lt;script&gt;&amp;&#39;\\x1b[31m"),
	       "the name is not there");
	EXPECT(!strstr(text, "nan") && !strstr(text, "inf<"), "no number");
}

/* Folded stacks of @min to @max frames. Return: their sum */
static inline uint64_t folded_sum(char *text, size_t min, size_t max)
{
	char *line, *next, *number;
	uint64_t sum = 0;
	size_t frames;

	expect_ascii(text);
	for (line = text; (next = strchr(line, '\n')); line = next + 1) {
		*next = 0;
		number = strrchr(line, ' ');
		ASSERT(number, "no number: %s", line);
		sum += strtoull(number, NULL, 10);
		for (frames = 1; line < number; line++)
			frames += *line == ';';
		EXPECT(frames >= min && frames <= max, "%zu frames", frames);
	}
	return sum;
}

#endif /* KVT_TRACE_TEXT_H */
