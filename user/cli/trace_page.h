/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of HTML: the head with its style sheet, text, and what all of them say. */
#ifndef KVASIR_TRACE_PAGE_H
#define KVASIR_TRACE_PAGE_H

#include <stdint.h>
#include <stdio.h>

#define TRACE_PAGE_KERNEL 65	/* bytes of a kernel's release */

/* Up to the headline; @style: rules that this kind of page has alone. */
void trace_page_begin(FILE *out, const char *title, const char *style);
void trace_page_end(FILE *out);

/* Text into the page; bytes that are not text were escaped before. */
void trace_page_text(FILE *out, const char *s);

/* When and for how long, and on which kernel: that one is escaped here. */
void trace_page_when(FILE *out, uint64_t began, double seconds,
		     const char *kernel);
/* Nothing for 0. */
void trace_page_loss(FILE *out, uint64_t count, const char *text);
/* Nothing for NULL. */
void trace_page_note(FILE *out, const char *note);

#endif /* KVASIR_TRACE_PAGE_H */
