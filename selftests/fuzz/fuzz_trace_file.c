// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a recording of `kvasir trace record`: refused with a reason, or
 * good enough to be written again, compared and printed in every format.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/cli/trace_diff.h"
#include "../../user/cli/trace_file.h"
#include "../../user/cli/trace_queues.h"
#include "../../user/cli/trace_view.h"

#define PROMISE(x) do { if (!(x)) __builtin_trap(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Only printable ASCII may come out, besides @more. */
static void harmless(const char *text, size_t len, const char *more)
{
	size_t i;

	for (i = 0; i < len; i++)
		PROMISE((text[i] >= 0x20 && text[i] < 0x7f) ||
			(text[i] && strchr(more, text[i])));
}

static void print_all(const struct trace_record *rec)
{
	struct trace_view v = { .cols = 80, .rows = 24, .per_vcpu = true };
	size_t len[4];
	char *text[4];
	FILE *f[4];
	int i;

	for (i = 0; i < 4; i++) {
		f[i] = open_memstream(&text[i], &len[i]);
		PROMISE(f[i]);
	}
	trace_fmt_prometheus(f[0], &rec->t);
	trace_fmt_folded(f[1], &rec->t);
	trace_fmt_html(f[2], &rec->t, &rec->tl);
	PROMISE(!trace_view_draw(f[3], &v, &rec->t, NULL));
	for (i = 0; i < 4; i++) {
		fclose(f[i]);
		harmless(text[i], len[i], i == 3 ? "\r\n\033" : "\n");
		free(text[i]);
	}
}

static void print_queues(const struct queue_record *rec)
{
	size_t len[3];
	char *text[3];
	FILE *f[3];
	int i;

	for (i = 0; i < 3; i++) {
		f[i] = open_memstream(&text[i], &len[i]);
		PROMISE(f[i]);
	}
	queue_fmt_prometheus(f[0], rec);
	queue_fmt_folded(f[1], rec);
	queue_fmt_html(f[2], rec);
	for (i = 0; i < 3; i++) {
		fclose(f[i]);
		harmless(text[i], len[i], "\n");
		free(text[i]);
	}
}

/* As text; to be freed. */
static char *written(const struct trace_recording *rec, size_t *len)
{
	char *text;
	FILE *f = open_memstream(&text, len);

	PROMISE(f);
	PROMISE(!(rec->of_queues ? queue_file_write(f, &rec->queues) :
				   trace_file_write(f, &rec->exits)));
	fclose(f);
	return text;
}

/* What was read must be accepted when written, and then not change any more. */
static void write_again(const struct trace_recording *rec)
{
	struct trace_recording again = { 0 };
	char *text, *same;
	struct trace_diff d;
	const char *why;
	size_t len, n;

	text = written(rec, &len);
	PROMISE(!trace_file_parse(text, len, &again, &why));
	same = written(&again, &n);
	PROMISE(!rec->of_queues || (n == len && !memcmp(text, same, n)));
	PROMISE(!(rec->of_queues ?
		  queue_diff(&d, &rec->queues, &again.queues) :
		  trace_diff(&d, &rec->exits, &again.exits)));
	trace_diff_free(&d);
	trace_recording_free(&again);
	free(same);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace_recording rec = { 0 };
	char *text = malloc(size + 1);
	const char *why = NULL;
	int err;

	PROMISE(text);
	memcpy(text, data, size);
	text[size] = 0;
	err = trace_file_parse(text, size, &rec, &why);
	PROMISE(!err || why);
	if (!err) {
		if (rec.of_queues)
			print_queues(&rec.queues);
		else
			print_all(&rec.exits);
		write_again(&rec);
	}
	trace_recording_free(&rec);
	free(text);
	return 0;
}
