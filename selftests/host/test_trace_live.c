// SPDX-License-Identifier: GPL-2.0-only
/*
 * The full-screen view of `kvasir trace exits`, on a terminal made up here.
 *
 * Proven: it keeps within the screen and within the few terminal sequences it
 * may use, obeys its keys, follows the window's size, and puts the terminal back
 * on every way out, a crash too.
 */
#include <ctype.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "trace_fake.h"
#include "../../user/cli/trace_view.h"

#define COLS_MAX 200
#define ROWS_MAX 60

struct term {
	int fd;
	pid_t pid;
	unsigned int cols, rows, x, y;
	char screen[ROWS_MAX][COLS_MAX + 1];
	bool alternate, hidden;
	bool drawing;		/* a picture has begun and is not whole */
	char seq[16];		/* under way */
	size_t len;
	char after[16384];	/* what came on the normal screen */
	size_t n_after;
};

static void clear_from(struct term *t, unsigned int x, unsigned int y)
{
	for (; y < ROWS_MAX; y++, x = 0)
		memset(t->screen[y] + x, ' ', COLS_MAX - x);
}

static void sequence(struct term *t, const char *s)
{
	if (!strcmp(s, "[H")) {
		t->x = 0;
		t->y = 0;
		t->drawing = true;
	} else if (!strcmp(s, "[K")) {
		if (t->x < COLS_MAX)
			memset(t->screen[t->y] + t->x, ' ', COLS_MAX - t->x);
	} else if (!strcmp(s, "[J")) {
		clear_from(t, t->x < COLS_MAX ? t->x : COLS_MAX, t->y);
		t->drawing = false;
	} else if (!strcmp(s, "[2J")) {
		clear_from(t, 0, 0);
	} else if (!strcmp(s, "[?1049h") || !strcmp(s, "[?1049l")) {
		t->alternate = s[6] == 'h';
	} else if (!strcmp(s, "[?25l") || !strcmp(s, "[?25h")) {
		t->hidden = s[4] == 'l';
	} else {
		EXPECT(!strcmp(s, "[1m") || !strcmp(s, "[7m") || !strcmp(s, "[m"),
		       "sequence ESC %s", s);
	}
}

static void one_char(struct term *t, char c)
{
	if (t->len) {
		t->seq[t->len - 1] = c;
		t->seq[t->len++] = 0;
		if (t->len > 2 && (isalpha((unsigned char)c))) {
			t->len = 0;
			sequence(t, t->seq);
		}
		ASSERT(t->len < sizeof(t->seq), "endless sequence");
	} else if (c == '\033') {
		t->len = 1;
	} else if (!t->alternate) {
		if (t->n_after + 1 < sizeof(t->after))
			t->after[t->n_after++] = c;
	} else if (c == '\r') {
		t->x = 0;
	} else if (c == '\n') {
		t->y++;
		ASSERT(t->y < t->rows, "the screen scrolls");
	} else {
		ASSERT(c >= 0x20 && c < 0x7f, "byte 0x%02x", (unsigned char)c);
		ASSERT(t->x < t->cols, "beyond column %u, row %u", t->cols, t->y);
		t->screen[t->y][t->x++] = c;
	}
}

/* Read what there is, for @ms at most without anything coming. */
static bool term_read(struct term *t, int ms)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	char buf[4096];
	ssize_t n, i;

	if (poll(&p, 1, ms) <= 0)
		return false;
	n = read(t->fd, buf, sizeof(buf));
	for (i = 0; i < n; i++)
		one_char(t, buf[i]);
	return n > 0;
}

static bool on_screen(const struct term *t, const char *text)
{
	unsigned int y;

	for (y = 0; y < t->rows; y++)
		if (strstr(t->screen[y], text))
			return true;
	return false;
}

/* Until a whole picture has @text (@there), or has not. */
static void wait_for(struct term *t, const char *text, bool there)
{
	uint64_t end = kvt_deadline(20000);
	unsigned int y;

	while (kvt_left(end)) {
		term_read(t, 50);
		if (!t->len && !t->drawing && on_screen(t, text) == there)
			return;
	}
	for (y = 0; y < t->rows; y++)
		NOTE("%.*s", (int)t->cols, t->screen[y]);
	ASSERT(false, "%s: %s", text, there ? "never appears" : "does not go");
}

static void keys(struct term *t, const char *text)
{
	ASSERT_EQ(write(t->fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* A view of made-up counters in a terminal of its own. */
static void term_start(struct term *t, unsigned int cols, unsigned int rows,
		       bool crash)
{
	struct winsize size = { .ws_col = cols, .ws_row = rows };
	const struct trace_job job = { .live = true, .interval = 0.2 };
	struct fake f;

	memset(t, 0, sizeof(*t));
	clear_from(t, 0, 0);
	t->cols = cols;
	t->rows = rows;
	t->pid = forkpty(&t->fd, NULL, NULL, &size);
	ASSERT(t->pid >= 0, "forkpty: %s", strerror(errno));
	if (!t->pid) {
		signal(SIGSEGV, SIG_DFL);
		fake_init(&f, 0);
		f.crash = crash;
		_exit(trace_run(&f.source, &job));
	}
}

/* Ended with @status, and the terminal is as it was before. */
static void term_end(struct term *t, int want)
{
	uint64_t end = kvt_deadline(20000);
	struct termios now;
	int status = 0;
	pid_t got = 0;

	while (!got && kvt_left(end)) {
		term_read(t, 20);
		got = waitpid(t->pid, &status, WNOHANG);
	}
	ASSERT_EQ(got, t->pid);
	while (term_read(t, 100))
		;
	if (want >= 0)
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == want,
		       "status 0x%x", status);
	else
		EXPECT(WIFSIGNALED(status), "no crash: 0x%x", status);
	EXPECT(!t->alternate && !t->hidden, "the screen was not put back");
	ASSERT(!tcgetattr(t->fd, &now), "tcgetattr");
	EXPECT(now.c_lflag & ICANON && now.c_lflag & ECHO && now.c_iflag & ICRNL,
	       "the terminal stays raw");
	close(t->fd);
}

TEST("T-05 the view fits into 80x24, and quits with a table")
{
	struct term t;

	term_start(&t, 80, 24, false);
	wait_for(&t, "npf", true);
	wait_for(&t, "web (qemu-system-x86 1234)", true);
	wait_for(&t, "hlt *", true);
	wait_for(&t, "EXIT/S", true);
	wait_for(&t, "P99.9", true);
	keys(&t, "q");
	term_end(&t, 0);
	EXPECT(strstr(t.after, "== web"), "no table: %s", t.after);
}

TEST("keys: vCPUs, idle, filter, help, pause, sort")
{
	struct term t;

	term_start(&t, 80, 24, false);
	wait_for(&t, "npf", true);
	keys(&t, "v");
	wait_for(&t, "vCPU REASON", true);
	keys(&t, "v");
	wait_for(&t, "vCPU REASON", false);
	keys(&t, "i");
	wait_for(&t, "hlt", false);
	keys(&t, "i/MSR\r");
	wait_for(&t, "npf", false);
	wait_for(&t, "only \"MSR\"", true);
	wait_for(&t, "msr", true);
	keys(&t, "\033");
	wait_for(&t, "npf", true);
	keys(&t, "h");
	wait_for(&t, "pause the screen", true);
	keys(&t, "hs");
	wait_for(&t, "by exits", true);
	keys(&t, "p");
	wait_for(&t, "PAUSED", true);
	keys(&t, "a");
	wait_for(&t, "since start", true);
	keys(&t, "q");
	term_end(&t, 0);
}

TEST("other sizes: small, tiny, wide, changed meanwhile")
{
	struct winsize size = { .ws_col = 50, .ws_row = 8 };
	struct term t;

	term_start(&t, 160, 50, false);
	wait_for(&t, "      EXITS", true);
	/* What comes of the old size must not be held against the new one. */
	keys(&t, "p");
	wait_for(&t, "PAUSED", true);
	t.cols = 50;
	t.rows = 8;
	clear_from(&t, 0, 0);
	ASSERT(!ioctl(t.fd, TIOCSWINSZ, &size), "resize");
	wait_for(&t, "kvasir trace", true);
	keys(&t, "jjjkg\033[6~\033[5~");
	keys(&t, "q");
	term_end(&t, 0);
	term_start(&t, 20, 3, false);
	wait_for(&t, "too small", true);
	keys(&t, "q");
	term_end(&t, 0);
}

TEST("the terminal is put back after signals, hang-up and a crash")
{
	static const int signals[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };
	struct term t;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		term_start(&t, 80, 24, false);
		wait_for(&t, "npf", true);
		kill(t.pid, signals[i]);
		term_end(&t, 0);
	}
	term_start(&t, 80, 24, false);
	wait_for(&t, "npf", true);
	keys(&t, "\003");	/* Ctrl-C */
	term_end(&t, 0);
	term_start(&t, 80, 24, true);
	term_end(&t, -1);
}

TEST("Ctrl-Z gives the terminal back, and takes it again")
{
	struct termios now;
	struct term t;
	int status;

	term_start(&t, 80, 24, false);
	wait_for(&t, "npf", true);
	kill(t.pid, SIGTSTP);
	ASSERT_EQ(waitpid(t.pid, &status, WUNTRACED), t.pid);
	ASSERT(WIFSTOPPED(status), "not stopped");
	while (term_read(&t, 100))
		;
	EXPECT(!t.alternate, "the screen was not put back");
	ASSERT(!tcgetattr(t.fd, &now), "tcgetattr");
	EXPECT(now.c_lflag & ICANON, "the terminal stays raw");
	kill(t.pid, SIGCONT);
	clear_from(&t, 0, 0);
	wait_for(&t, "npf", true);
	EXPECT(t.alternate, "no full screen");
	keys(&t, "q");
	term_end(&t, 0);
}

TEST("an exit longer than the interval it ends in fills it, and no more")
{
	/* It polled, and was no idle one: nor may idle be less than nothing. */
	struct exits_series s = {
		.timed = 1, .total_ns = 30000000000, .poll_ns = 20000000000,
		.max_ns = 30000000000,
	};
	struct trace_view v = { .cols = 120, .rows = 30 };
	struct trace t;
	char *text;
	size_t len;
	FILE *f;

	sample_init(&t);
	t.seconds = 1;
	s.bucket[hist_index(s.max_ns)] = 1;
	ASSERT_EQ(trace_book(&t.vm[0], &t.vm[0].vcpu[0], EXITS_ISA_SVM, SAMPLE_IO,
			     true, &s), 0);
	f = open_memstream(&text, &len);
	ASSERT_EQ(trace_view_draw(f, &v, &t, NULL), 0);
	fclose(f);
	EXPECT(strstr(text, "busy 100.0%  poll 100.0%  idle 0.0%"), "%s", text);
	free(text);
	trace_free(&t);
}

/* What is drawn of @t since @before, row by row in @term. */
static void draw(struct term *term, struct trace_view *v, const struct trace *t,
		 const struct trace *before)
{
	size_t len, at;
	char *text;
	FILE *f = open_memstream(&text, &len);

	ASSERT_EQ(trace_view_draw(f, v, t, before), 0);
	fclose(f);
	memset(term, 0, sizeof(*term));
	clear_from(term, 0, 0);
	term->alternate = true;
	term->cols = v->cols;
	term->rows = v->rows;
	for (at = 0; at < len; at++)
		one_char(term, text[at]);
	free(text);
}

TEST("the view without a terminal: every size, scrolled anywhere")
{
	static const struct { unsigned int cols, rows; } sizes[] = {
		{ 40, 6 }, { 80, 24 }, { 81, 25 }, { 100, 30 }, { 200, 60 }, { 1, 1 },
	};
	struct trace_view v;
	struct trace t;
	struct term term;
	uint64_t state = kvt_seed() | 1;
	unsigned int i, k;

	sample_huge(&t);
	for (i = 0; i < 6; i++) {
		memset(&v, 0, sizeof(v));
		v.cols = sizes[i].cols;
		v.rows = sizes[i].rows;
		for (k = 0; k < 300; k++) {
			trace_view_key(&v, k % 3 ? (int)(kvt_rand(&state) % 262) :
						   (int)"vaih/jsp"[k / 3 % 8]);
			draw(&term, &v, &t, NULL);
		}
	}
	trace_free(&t);
}

/* The row that begins with @start, NULL if there is none. */
static const char *row_of(const struct term *t, const char *start)
{
	unsigned int y;

	for (y = 0; y < t->rows; y++)
		if (!strncmp(t->screen[y], start, strlen(start)))
			return t->screen[y];
	return NULL;
}

TEST("the filter hides lines, and changes no figure of those that stay")
{
	static const struct { const char *filter, *row, *hidden; } cases[] = {
		{ "MSR", "web (", "npf " }, { "msr", "msr ", "npf " },
		{ "npf", "npf ", "msr " }, { "npf", "web (", "hlt *" },
		{ "hlt", "hlt *", "msr " }, { "hlt", "web (", "npf " },
	};
	struct trace_view v = { .cols = 160, .rows = 40 };
	struct term all, some;
	struct trace t;
	uint64_t state = 1;
	const char *was, *is;
	size_t i;

	sample_init(&t);
	t.seconds = 1;
	sample_add(&t, 1, &state);
	trace_sort(&t);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*v.filter = 0;
		draw(&all, &v, &t, NULL);
		strcpy(v.filter, cases[i].filter);
		draw(&some, &v, &t, NULL);
		was = row_of(&all, cases[i].row);
		is = row_of(&some, cases[i].row);
		ASSERT(was && is, "no row %s", cases[i].row);
		EXPECT(!strcmp(is, was), "with \"%s\": %s without: %s",
		       cases[i].filter, is, was);
		EXPECT(row_of(&all, cases[i].hidden) &&
		       !row_of(&some, cases[i].hidden),
		       "\"%s\" does not filter", cases[i].filter);
	}
	trace_free(&t);
}

/* The words of @row, with a blank before and behind each. */
static const char *has_word(const char *row, const char *word)
{
	char text[32];

	snprintf(text, sizeof(text), " %s ", word);
	return strstr(row, text);
}

TEST("columns: whole ones, as many as fit, and more of them the wider it is")
{
	static const char *const heads[] = {
		"EXITS", "EXIT/S", "TIME%", "WALL%", "TOTAL", "MIN", "MEAN", "P50",
		"P90", "P99", "P99.9", "MAX",
	};
	const size_t all = sizeof(heads) / sizeof(heads[0]);
	struct trace_view v = { .rows = 24 };
	unsigned int had = 0, has, words;
	struct term term;
	struct trace t;
	uint64_t state = 1;
	const char *s;
	size_t i;

	sample_init(&t);
	t.seconds = 1;
	sample_add(&t, 1, &state);
	trace_sort(&t);
	for (v.cols = VIEW_COLS_MIN; v.cols < COLS_MAX; v.cols++) {
		draw(&term, &v, &t, NULL);
		for (has = 0, i = 0; i < all; i++)
			if (has_word(term.screen[1], heads[i]))
				has |= 1U << i;
		EXPECT((has & had) == had, "%u columns: less than with one fewer: %s",
		       v.cols, term.screen[1]);
		had = has;
		/* What is left of one that was cut would be a word, too. */
		for (words = 0, s = term.screen[1]; *s; s++)
			words += *s != ' ' && (s[1] == ' ' || !s[1]);
		EXPECT_EQ(words, 2 + (unsigned int)__builtin_popcount(has));
		s = row_of(&term, "msr ");
		ASSERT(s, "no row");
		for (words = 0; *s; s++)
			words += *s != ' ' && (s[1] == ' ' || !s[1]);
		EXPECT_EQ(words, 2 + (unsigned int)__builtin_popcount(has));
	}
	EXPECT_EQ(had, (1U << all) - 1);
	v.cols = 80;
	draw(&term, &v, &t, NULL);
	EXPECT(has_word(term.screen[1], "P99.9") && has_word(term.screen[1], "MAX"),
	       "80 columns: %s", term.screen[1]);
	trace_free(&t);
}
