/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The full-screen view as a picture: what is to be seen, from what was counted
 * and which keys were pressed. No terminal in here; that is trace_live.c.
 */
#ifndef KVASIR_TRACE_VIEW_H
#define KVASIR_TRACE_VIEW_H

#include <stdio.h>

#include "trace_fmt.h"

/* The smallest screen drawn on. */
#define VIEW_COLS_MIN	40
#define VIEW_ROWS_MIN	6

enum view_sort {
	SORT_TIME, SORT_RATE, SORT_P50, SORT_P99, SORT_MAX, SORT_NAME, SORTS,
};

enum view_key {
	KEY_UP = 256, KEY_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_HOME, KEY_ESC,
};

struct trace_view {
	unsigned int cols, rows;	/* of the screen */
	double interval;		/* seconds, as asked for */
	enum view_sort sort;
	bool per_vcpu;
	bool no_idle;
	bool since_start;		/* else of the last interval */
	bool paused;
	bool help;
	bool typing;			/* the filter */
	char filter[24];		/* printable ASCII */
	size_t scroll;			/* first line shown */
};

/* A key, or one of enum view_key. Return: false to quit */
bool trace_view_key(struct trace_view *v, int key);

/**
 * trace_view_draw() - a whole screen, for a terminal in its upper left corner
 * @now: cumulative
 * @before: the look before; NULL if there was none
 *
 * Only printable ASCII and the sequences for bold, reverse, end of line and end
 * of screen; never more than @cols columns or @rows lines.
 *
 * Return: 0 or -ENOMEM
 */
int trace_view_draw(FILE *out, struct trace_view *v, const struct trace *now,
		    const struct trace *before);

#endif /* KVASIR_TRACE_VIEW_H */
