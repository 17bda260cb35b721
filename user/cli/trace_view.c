// SPDX-License-Identifier: GPL-2.0-only
/* The picture of the full-screen view; see trace_view.h. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exit_names.h"
#include "output.h"
#include "trace_view.h"

static const struct {
	char key;
	const char *name;
} sorts[SORTS] = {
	[SORT_TIME] = { 't', "time" }, [SORT_RATE] = { 'e', "exits" },
	[SORT_P50] = { '5', "p50" },   [SORT_P99] = { '9', "p99" },
	[SORT_MAX] = { 'm', "max" },   [SORT_NAME] = { 'n', "name" },
};

static const char *const help[] = {
	"t e 5 9 m n   sort by time, exits, p50, p99, max, name; s: the next of them",
	"v             a line for every vCPU, or for all of a guest",
	"i             idle exits (marked *: mostly the guest's sleep) on or off",
	"a             since the start, or of the last interval",
	"/             show only reasons and guests with this text; Esc: all",
	"space p       pause the screen; counting goes on",
	"arrows j k    scroll; page keys, g: to the top",
	"q  Ctrl-C     end, and print the table since the start",
	"",
	"TIME%  share of the time spent on all but idle exits",
	"WALL%  share of the time that passed, of all vCPUs",
	"poll   KVM looks for an interrupt before it lets a halted vCPU sleep",
};

enum column {
	COL_EXITS, COL_RATE, COL_TIME, COL_WALL, COL_TOTAL, COL_MIN, COL_MEAN,
	COL_P50, COL_P90, COL_P99, COL_P999, COL_MAX, COLS,
};

/* Behind the name and BY; @width is without the blank before it. */
static const struct {
	const char *head;
	unsigned int width;
} columns[COLS] = {
	[COL_EXITS] = { "EXITS", 11 }, [COL_RATE] = { "EXIT/S", 6 },
	[COL_TIME] = { "TIME%", 5 },   [COL_WALL] = { "WALL%", 5 },
	[COL_TOTAL] = { "TOTAL", 8 },  [COL_MIN] = { "MIN", 6 },
	[COL_MEAN] = { "MEAN", 6 },    [COL_P50] = { "P50", 6 },
	[COL_P90] = { "P90", 6 },      [COL_P99] = { "P99", 6 },
	[COL_P999] = { "P99.9", 6 },   [COL_MAX] = { "MAX", 6 },
};

/* As many of these as fit, the most telling first. */
static const unsigned char telling[COLS] = {
	COL_TIME, COL_RATE, COL_P99, COL_MAX, COL_P50, COL_WALL, COL_MEAN,
	COL_P999, COL_EXITS, COL_P90, COL_TOTAL, COL_MIN,
};

/* Of the name; it gets what the columns leave. */
#define NAME_MIN 19
#define NAME_MAX 28
#define BY_WIDTH 4

/* One line of the body. */
struct line {
	const struct trace_vm *vm;
	const struct trace_vcpu *vcpu;	/* NULL: of all */
	uint32_t isa, reason;
	bool user, idle;
	struct trace_figures f;
	uint64_t total_ns, poll_ns;
	char name[EXIT_NAME_MAX + 12];
};

/* Of all exits of a VM, whatever the filter shows of them. */
struct sums {
	uint64_t exits;
	double busy_ns, idle_ns, poll_ns;
};

/* What a screen is drawn from. */
struct scene {
	FILE *out;
	struct trace_view *v;
	double seconds;			/* the counts are of */
	struct sums sums;		/* of the VM whose lines these are: */
	struct line *line;
	size_t n, room;
	size_t at;			/* body lines so far, shown or not */
	unsigned int used;		/* lines on the screen */
	uint32_t shown;			/* columns, one bit each */
	int name_width;
};

static void toggle(bool *flag)
{
	*flag = !*flag;
}

/* While the filter is typed. */
static void type(struct trace_view *v, int key)
{
	size_t len = strlen(v->filter);

	if (key == '\r' || key == '\n') {
		v->typing = false;
	} else if (key == KEY_ESC) {
		v->typing = false;
		v->filter[0] = 0;
	} else if ((key == 0x7f || key == '\b') && len) {
		v->filter[len - 1] = 0;
	} else if (key >= 0x20 && key < 0x7f && len + 1 < sizeof(v->filter)) {
		v->filter[len] = (char)key;
		v->filter[len + 1] = 0;
	}
	v->scroll = 0;
}

static void scroll(struct trace_view *v, int by)
{
	size_t up = by < 0 ? -by : 0;

	if (by >= 0)
		v->scroll += by;
	else
		v->scroll = v->scroll > up ? v->scroll - up : 0;
}

static void sort_key(struct trace_view *v, int key)
{
	int i;

	if (key == 's')
		v->sort = (v->sort + 1) % SORTS;
	for (i = 0; i < SORTS; i++)
		if (key == sorts[i].key)
			v->sort = i;
}

bool trace_view_key(struct trace_view *v, int key)
{
	int page = v->rows > 5 ? v->rows - 4 : 1;

	if (v->typing) {
		type(v, key);
		return true;
	}
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 'h':
	case '?':
		toggle(&v->help);
		break;
	case 'v':
		toggle(&v->per_vcpu);
		break;
	case 'i':
		toggle(&v->no_idle);
		break;
	case 'a':
		toggle(&v->since_start);
		break;
	case 'p':
	case ' ':
		toggle(&v->paused);
		break;
	case '/':
		v->typing = true;
		break;
	case KEY_ESC:
		v->help = false;
		v->filter[0] = 0;
		break;
	case KEY_UP:
	case 'k':
		scroll(v, -1);
		break;
	case KEY_DOWN:
	case 'j':
		scroll(v, 1);
		break;
	case KEY_PAGE_UP:
		scroll(v, -page);
		break;
	case KEY_PAGE_DOWN:
		scroll(v, page);
		break;
	case KEY_HOME:
	case 'g':
		v->scroll = 0;
		break;
	default:
		sort_key(v, key);
	}
	return true;
}

/* One line of the screen, cut to its width. @style: "", bold or reverse */
static void put_line(struct scene *s, const char *style, const char *text)
{
	if (s->used >= s->v->rows)
		return;
	if (s->used++)
		fputs("\r\n", s->out);
	fprintf(s->out, "%s%.*s%s\033[K", style, (int)s->v->cols, text,
		*style ? "\033[m" : "");
}

#define BOLD	"\033[1m"
#define REVERSE	"\033[7m"

/* A line of the body: shown if it lies in the part scrolled to. */
static void put_body(struct scene *s, const char *style, const char *text)
{
	if (s->at++ >= s->v->scroll && s->used + 1 < s->v->rows)
		put_line(s, style, text);
}

static int cmp_u64(uint64_t x, uint64_t y)
{
	return x < y ? 1 : x > y ? -1 : 0;
}

/* Idle last, then as asked for, then by name: lines do not jump about. */
static int by_sort(const void *a, const void *b, void *view)
{
	const struct line *x = a, *y = b;
	const struct trace_view *v = view;
	int c = 0;

	if (x->idle != y->idle)
		return x->idle ? 1 : -1;
	switch (v->sort) {
	case SORT_RATE:
		c = cmp_u64(x->f.count, y->f.count);
		break;
	case SORT_P50:
		c = cmp_u64(x->f.p50, y->f.p50);
		break;
	case SORT_P99:
		c = cmp_u64(x->f.p99, y->f.p99);
		break;
	case SORT_MAX:
		c = cmp_u64(x->f.max, y->f.max);
		break;
	case SORT_NAME:
		break;
	default:
		c = cmp_u64(x->total_ns, y->total_ns);
	}
	if (!c)
		c = strcmp(x->name, y->name);
	if (!c)
		c = (int)x->user - (int)y->user;
	if (!c && x->vcpu)
		c = cmp_u64(y->vcpu->id, x->vcpu->id);
	return c;
}

static bool matches(const struct trace_view *v, const char *label,
		    const char *name)
{
	return !*v->filter || strcasestr(label, v->filter) ||
	       strcasestr(name, v->filter);
}

static int add_line(struct scene *s, const struct line *l)
{
	struct line *grown;
	size_t room;

	if (s->n == s->room) {
		room = s->room ? 2 * s->room : 64;
		grown = realloc(s->line, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->line = grown;
		s->room = room;
	}
	s->line[s->n++] = *l;
	return 0;
}

/* Halts of other exits than idle ones poll, too. */
static void add_sums(struct sums *sums, const struct line *l)
{
	sums->exits += l->f.count;
	sums->poll_ns += l->poll_ns;
	if (l->idle)
		sums->idle_ns += l->total_ns - l->poll_ns;
	else
		sums->busy_ns += l->total_ns;
}

/* What @rows gained since @before, both of @vcpu or of all vCPUs. */
static int add_rows(struct scene *s, const struct trace_rows *rows,
		    const struct trace_rows *before, const struct line *of,
		    const char *label)
{
	const struct trace_row *r, *old;
	struct exits_series gain;
	char buf[EXIT_NAME_MAX];
	struct line l = *of;
	const char *name;
	size_t i;
	int by;

	for (i = 0; i < 2 * rows->n; i++) {
		r = &rows->row[i / 2];
		by = i % 2;
		old = before ? trace_row_find(before, r->isa, r->reason) : NULL;
		trace_series_since(&r->by[by], old ? &old->by[by] : NULL, &gain);
		name = exit_reason_name(r->isa, r->reason, buf);
		l.f = trace_figures(&gain);
		l.total_ns = gain.total_ns;
		l.poll_ns = gain.poll_ns;
		l.isa = r->isa;
		l.reason = r->reason;
		l.user = by;
		l.idle = exit_is_idle(r->isa, r->reason);
		if (!l.f.count)
			continue;
		add_sums(&s->sums, &l);
		if (!matches(s->v, label, name))
			continue;
		snprintf(l.name, sizeof(l.name), "%s%s", name,
			 l.idle ? " *" : "");
		if (add_line(s, &l))
			return -ENOMEM;
	}
	return 0;
}

static const struct trace_rows *vcpu_before(const struct trace_vm *before,
					    uint32_t id)
{
	size_t i;

	for (i = 0; before && i < before->n_vcpus; i++)
		if (before->vcpu[i].id == id)
			return &before->vcpu[i].rows;
	return NULL;
}

static int collect_vm(struct scene *s, const struct trace_vm *vm,
		      const struct trace_vm *before, const char *label)
{
	struct line of = { .vm = vm };
	size_t i;
	int err = 0;

	s->n = 0;
	s->sums = (struct sums){ 0 };
	if (!s->v->per_vcpu)
		return add_rows(s, &vm->rows, before ? &before->rows : NULL, &of,
				label);
	for (i = 0; i < vm->n_vcpus && !err; i++) {
		of.vcpu = &vm->vcpu[i];
		err = add_rows(s, &vm->vcpu[i].rows,
			       vcpu_before(before, vm->vcpu[i].id), &of, label);
	}
	return err;
}

/* Which columns there are, and how wide the name is. */
static void fit_columns(struct scene *s)
{
	unsigned int left = s->v->cols - NAME_MIN - 1 - BY_WIDTH, width;
	size_t i;

	for (i = 0; i < COLS; i++) {
		width = 1 + columns[telling[i]].width;
		if (width > left)
			break;
		s->shown |= 1U << telling[i];
		left -= width;
	}
	if (left > NAME_MAX - NAME_MIN)
		left = NAME_MAX - NAME_MIN;
	s->name_width = NAME_MIN + (int)left;
}

/* A line of the columns that are shown, of @cell. */
static const char *columns_text(const struct scene *s, char *buf, size_t size,
				const char *name, const char *by,
				const char *const cell[COLS])
{
	size_t at, i;

	at = snprintf(buf, size, "%-*.*s %-*.*s", s->name_width, s->name_width,
		      name, BY_WIDTH, BY_WIDTH, by);
	for (i = 0; i < COLS; i++)
		if (s->shown >> i & 1)
			at += snprintf(buf + at, size - at, " %*s",
				       (int)columns[i].width, cell[i]);
	return buf;
}

static void put_heads(struct scene *s)
{
	const char *cell[COLS];
	char text[256];
	size_t i;

	for (i = 0; i < COLS; i++)
		cell[i] = columns[i].head;
	put_line(s, REVERSE, columns_text(s, text, sizeof(text),
					  s->v->per_vcpu ? "vCPU REASON" :
							   "REASON", "BY", cell));
}

/*
 * An exit counts when it ends: of one that took longer than the interval it ends
 * in, most was before. That interval is full, not more.
 */
static const char *share(char buf[8], double part, double whole)
{
	if (whole > 0)
		snprintf(buf, 8, "%.1f", 100 * fmin(part / whole, 1));
	else
		strcpy(buf, "-");
	return buf;
}

static void put_reason(struct scene *s, const struct line *l, double busy_ns)
{
	const uint64_t times[COLS] = {
		[COL_TOTAL] = l->total_ns, [COL_MIN] = l->f.min,
		[COL_MEAN] = l->f.mean, [COL_P50] = l->f.p50,
		[COL_P90] = l->f.p90, [COL_P99] = l->f.p99,
		[COL_P999] = l->f.p999, [COL_MAX] = l->f.max,
	};
	char text[512], name[EXIT_NAME_MAX + 24], cells[COLS][24];
	double vcpus = l->vcpu ? 1 : l->vm->n_vcpus;
	const char *cell[COLS];
	size_t i;

	if (l->vcpu)
		snprintf(name, sizeof(name), "%4u %s", l->vcpu->id, l->name);
	else
		snprintf(name, sizeof(name), "%s", l->name);
	for (i = 0; i < COLS; i++)
		cell[i] = trace_duration(cells[i], times[i]);
	snprintf(cells[COL_EXITS], sizeof(cells[0]), "%" PRIu64, l->f.count);
	out_count(cells[COL_RATE], sizeof(cells[0]),
		  s->seconds > 0 ? (uint64_t)(l->f.count / s->seconds + 0.5) : 0);
	share(cells[COL_TIME], l->total_ns, l->idle ? 0 : busy_ns);
	share(cells[COL_WALL], l->total_ns, s->seconds * 1e9 * vcpus);
	put_body(s, "", columns_text(s, text, sizeof(text), name,
				     trace_class_name[l->user], cell));
}

static void put_vm(struct scene *s, const struct trace_vm *vm, const char *label)
{
	char text[TRACE_LABEL_MAX + 128], rate[8], b[8], i[8], p[8];
	double wall = s->seconds * 1e9 * vm->n_vcpus;
	const struct sums *sums = &s->sums;
	size_t k;

	if (s->n)
		qsort_r(s->line, s->n, sizeof(*s->line), by_sort, s->v);
	out_count(rate, sizeof(rate),
		  s->seconds > 0 ? (uint64_t)(sums->exits / s->seconds + 0.5) : 0);
	snprintf(text, sizeof(text),
		 "%.*s  %zu vCPU%s  %s/s  busy %s%%  poll %s%%  idle %s%%",
		 (int)(s->v->cols > 62 ? s->v->cols - 54 : 8), label, vm->n_vcpus,
		 vm->n_vcpus == 1 ? "" : "s", rate, share(b, sums->busy_ns, wall),
		 share(p, sums->poll_ns, wall),
		 share(i, sums->idle_ns, wall));
	put_body(s, BOLD, text);
	for (k = 0; k < s->n; k++)
		if (!s->line[k].idle || !s->v->no_idle)
			put_reason(s, &s->line[k], sums->busy_ns);
}

static void put_title(struct scene *s, const struct trace *now)
{
	const struct trace_view *v = s->v;
	const char *key, *text;
	uint64_t lost = 0, n;
	char line[256], filter[48] = "", missing[32] = "";
	unsigned int t = (unsigned int)now->seconds;
	size_t i;

	/* Exits begun before the trace are not for the whole of it to look at. */
	for (i = 0; (key = trace_loss(now, i, &n, &text)); i++)
		if (strcmp(key, "cut_at_start"))
			lost += n;
	if (*v->filter)
		snprintf(filter, sizeof(filter), "  only \"%s\"", v->filter);
	if (lost)
		snprintf(missing, sizeof(missing), "  lost %" PRIu64, lost);
	snprintf(line, sizeof(line), "kvasir trace  %u:%02u:%02u  %s  by %s%s%s%s",
		 t / 3600, t / 60 % 60, t % 60,
		 v->since_start ? "since start" : "last interval",
		 sorts[v->sort].name, v->paused ? "  PAUSED" : "", missing, filter);
	put_line(s, BOLD, line);
}

static void put_foot(struct scene *s)
{
	char line[64];

	/* At the bottom, whatever there is above. */
	while (s->used + 1 < s->v->rows)
		put_line(s, "", "");
	if (s->v->typing) {
		snprintf(line, sizeof(line), "only: %s_", s->v->filter);
		put_line(s, REVERSE, line);
	} else {
		put_line(s, "", "q quit  h help  s sort  v vCPUs  i idle  a since start  / filter  p pause");
	}
	fputs("\033[J", s->out);
}

/* Those with @active lines, or the others. */
static int put_vms(struct scene *s, const struct trace *now,
		   const struct trace *before, bool active)
{
	char label[TRACE_LABEL_MAX];
	size_t i;

	for (i = 0; i < now->n_vms; i++) {
		const struct trace_vm *vm = &now->vm[i];

		if (!vm->n_vcpus)
			continue;
		trace_vm_label(label, vm);
		if (collect_vm(s, vm, before && i < before->n_vms ?
				      &before->vm[i] : NULL, label))
			return -ENOMEM;
		if (active ? s->n : !s->n && matches(s->v, label, ""))
			put_vm(s, vm, label);
	}
	return 0;
}

int trace_view_draw(FILE *out, struct trace_view *v, const struct trace *now,
		    const struct trace *before)
{
	struct scene s = { .out = out, .v = v };
	const char *note = trace_note(now);
	size_t i;
	int err = 0;

	if (v->since_start)
		before = NULL;
	s.seconds = now->seconds - (before ? before->seconds : 0);
	if (v->cols < VIEW_COLS_MIN || v->rows < VIEW_ROWS_MIN) {
		put_line(&s, "", "too small a screen");
		fputs("\033[J", out);
		return 0;
	}
	fit_columns(&s);
	put_title(&s, now);
	put_heads(&s);
	if (v->help) {
		for (i = 0; i < sizeof(help) / sizeof(help[0]); i++)
			put_body(&s, "", help[i]);
	} else {
		/* Where nothing happens comes last: there may be many. */
		err = put_vms(&s, now, before, true);
		if (!err)
			err = put_vms(&s, now, before, false);
	}
	if (note)
		put_body(&s, "", note);
	/* Not further down than to the last line. */
	if (v->scroll >= s.at)
		v->scroll = s.at ? s.at - 1 : 0;
	put_foot(&s);
	free(s.line);
	return err;
}
