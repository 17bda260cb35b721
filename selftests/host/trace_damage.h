/* SPDX-License-Identifier: GPL-2.0-only */
/* Recordings that are cut or changed. Included once. */
#ifndef KVT_TRACE_DAMAGE_H
#define KVT_TRACE_DAMAGE_H

#include <string.h>

#include "kvt.h"
#include "../../user/cli/trace_file.h"

static inline int parse(const char *text, struct trace_recording *rec,
			const char **why)
{
	memset(rec, 0, sizeof(*rec));
	*why = NULL;
	return trace_file_parse(text, strlen(text), rec, why);
}

/* Cut @text, shorter and shorter, at about @cuts places: never a recording. */
static inline void expect_cut_refused(char *text, size_t len, size_t cuts)
{
	struct trace_recording back;
	const char *why;
	size_t cut;

	for (cut = 0; cut < len - 1; cut += 1 + len / cuts) {
		text[len - 2 - cut] = 0;
		ASSERT_EQ(parse(text, &back, &why), -EINVAL);
		ASSERT(why, "no reason");
		trace_recording_free(&back);
	}
}

/* @from of the text becomes @to; refused for the reason @want */
static inline void expect_refused(const char *text, const char *from,
				  const char *to, const char *want)
{
	const char *at = strstr(text, from), *why;
	struct trace_recording back;
	char *changed;

	ASSERT(at, "no %s in the text", from);
	ASSERT(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to,
			at + strlen(from)) >= 0, "memory");
	EXPECT_EQ(parse(changed, &back, &why), -EINVAL);
	EXPECT(why && strstr(why, want), "%s -> %s: %s, not %s", from, to, why, want);
	trace_recording_free(&back);
	free(changed);
}

#endif /* KVT_TRACE_DAMAGE_H */
