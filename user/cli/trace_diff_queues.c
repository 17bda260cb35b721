// SPDX-License-Identifier: GPL-2.0-only
/* Two recordings of queues compared; see trace_diff.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace_diff.h"
#include "trace_queues.h"

static const char *label(char buf[TRACE_LABEL_MAX], const void *record, size_t at)
{
	const struct queue_record *rec = record;

	return queue_label(buf, &rec->t.queue[at]);
}

static void json_group(struct json *j, struct json_object *o, const void *record,
		       size_t at)
{
	const struct queue_record *rec = record;

	queue_json_names(j, o, &rec->t.queue[at]);
	if (rec->view == VIEW_LOAD)
		json_put_bool(j, o, "counted", rec->t.queue[at].counted);
}

static void json_row(struct json *j, struct json_object *o,
		     const struct diff_row *row)
{
	json_put_str(j, o, "what", row->name);
	if (*row->by)
		json_put_str(j, o, "op", row->by);
}

static const struct diff_kind queues = {
	.heads = { "WHAT", "OP" },
	.rate = "N/S",
	.rows = "series",
	.events = "requests",
	.groups = "queues",
	.label = label,
	.json_group = json_group,
	.json_row = json_row,
};

/* What a series of @view is called; NULL: not shown there. */
static const char *series_name(enum queue_view view, unsigned int what)
{
	if (view == VIEW_PATH)
		return what == WHAT_TOTAL ? "total" :
		       what < STAGES ? queue_hop(what) : NULL;
	return what == STAGE_DONE ? "latency" : what == WHAT_SIZE ? "size" :
	       what == WHAT_DEPTH ? "depth" : NULL;
}

static struct diff_series series_of(const struct queue_series *s)
{
	return (struct diff_series){
		.count = s->n, .values = s->n, .sum = s->sum, .max = s->max,
		.bucket = s->bucket,
	};
}

static const struct queue_row *find_row(const struct queue_trace_queue *q,
					const struct queue_series_key *key)
{
	size_t i;

	for (i = 0; q && i < q->n_rows; i++)
		if (q->row[i].key.what == key->what && q->row[i].key.op == key->op)
			return &q->row[i];
	return NULL;
}

/* A series of run @run, and the same of the other one unless that is NULL. */
static void add_row(struct diff_group *g, int run, enum queue_view view,
		    const struct queue_trace_queue *q, const struct queue_row *row,
		    const struct queue_row *other)
{
	const char *name = series_name(view, row->key.what);
	struct diff_row *r = &g->row[g->n_rows];
	char op[16];

	if (!name || !row->s.n)
		return;
	snprintf(r->name, sizeof(r->name), "%s", name);
	/* Of some kinds only it is known. */
	if (row->key.what == STAGE_DONE || row->key.what == WHAT_SIZE)
		snprintf(r->by, sizeof(r->by), "%s",
			 queue_op_name(q, row->key.op, op));
	r->unit = row->key.what == WHAT_SIZE ? TRACE_UNIT_BYTES :
		  row->key.what == WHAT_DEPTH ? TRACE_UNIT_COUNT : TRACE_UNIT_TIME;
	/* Each request has one size and one depth: how many says nothing new. */
	r->ask = r->unit == TRACE_UNIT_TIME ? DIFF_ALL : 1U << DIFF_SHIFT;
	r->key[QUEUE_CELL_WHAT] = row->key.what;
	r->key[QUEUE_CELL_OP] = row->key.op;
	r->s[run] = series_of(&row->s);
	if (other)
		r->s[!run] = series_of(&other->s);
	g->n_rows++;
}

static const struct queue_trace_queue *queue_of(const struct trace_diff *d,
						const struct diff_group *g, int run)
{
	const struct queue_record *rec = d->run[run].record;

	return g->at[run] == DIFF_NONE ? NULL : &rec->t.queue[g->at[run]];
}

/* The series of both queues, those of A first; the whole way behind its hops. */
static void add_series(struct diff_group *g, enum queue_view view,
		       const struct queue_trace_queue *const q[2])
{
	int run, total;
	size_t i;

	for (total = 0; total < 2; total++) {
		for (run = 0; run < 2; run++) {
			for (i = 0; q[run] && i < q[run]->n_rows; i++) {
				const struct queue_row *row = &q[run]->row[i], *other;

				other = find_row(q[!run], &row->key);
				if (total != (row->key.what == WHAT_TOTAL) ||
				    (run && other && other->s.n))
					continue;
				add_row(g, run, view, q[run], row, other);
			}
		}
	}
}

/* The group that drops of run @run are added to. */
struct drops {
	struct diff_group *g;
	int run;
};

static void add_drop(void *ctx, const char *reason, uint64_t n)
{
	const struct drops *d = ctx;
	struct diff_row *end = d->g->row + d->g->n_rows, *r = end - d->g->n_drops;

	if (!n)
		return;
	while (r < end && strcmp(r->name, reason))
		r++;
	if (r == end) {
		snprintf(r->name, sizeof(r->name), "%s", reason);
		r->unit = TRACE_UNIT_COUNT;
		r->ask = 1U << DIFF_RATE;
		/* When they were dropped is not recorded: there are no cells. */
		r->key[QUEUE_CELL_WHAT] = WHAT_END;
		d->g->n_rows++;
		d->g->n_drops++;
	}
	r->s[d->run].count += n;
}

static void count_drop(void *ctx, const char *reason, uint64_t n)
{
	size_t *room = ctx;

	(void)reason;
	*room += n > 0;
}

/*
 * @fn for every reason that requests of @q were dropped for, as far as that is
 * known of both runs: a queue that one of them lacks dropped nothing there.
 */
static void each_drop(const struct queue_trace_queue *const q[2], int run,
		      void (*fn)(void *ctx, const char *reason, uint64_t n),
		      void *ctx)
{
	struct queue_trace_queue known;

	if (!q[run])
		return;
	known = *q[run];
	known.counted &= !q[!run] || q[!run]->counted;
	queue_each_drop(&known, fn, ctx);
}

static int add_rows(struct trace_diff *d, struct diff_group *g)
{
	const struct queue_trace_queue *q[2] = { queue_of(d, g, 0), queue_of(d, g, 1) };
	const struct queue_record *rec = d->run[0].record;
	struct drops drops = { .g = g };
	size_t room = 1;
	int run;

	for (run = 0; run < 2; run++) {
		room += q[run] ? q[run]->n_rows : 0;
		each_drop(q, run, count_drop, &room);
	}
	g->row = calloc(room, sizeof(*g->row));
	if (!g->row)
		return -ENOMEM;
	add_series(g, rec->view, q);
	for (run = 0; run < 2 && d->drops; run++) {
		drops.run = run;
		each_drop(q, run, add_drop, &drops);
		d->uncounted[run] |= q[run] && !q[run]->counted;
	}
	return 0;
}

/* Do all queues of @t belong to one process? */
static bool one_owner(const struct queue_trace *t)
{
	size_t i;

	for (i = 1; i < t->n; i++)
		if (t->queue[i].state.pid != t->queue[0].state.pid)
			return false;
	return true;
}

/* Of devices alike; @one: whatever their owners are called. */
static bool akin(const struct queue_trace_queue *a,
		 const struct queue_trace_queue *b, bool one)
{
	return a->state.type == b->state.type &&
	       (one || (!strcmp(a->name, b->name) && !strcmp(a->comm, b->comm)));
}

/*
 * Its device is the how-maniest of those akin? Queues are sorted by the numbers of
 * their devices, which are given in order of creation.
 */
static size_t nth_device(const struct queue_trace *t,
			 const struct queue_trace_queue *q, bool one)
{
	const struct queue_trace_queue *other;
	uint32_t last = q->dev;
	size_t n = 0;

	for (other = t->queue; other < q; other++) {
		if (other->dev == q->dev || other->dev == last ||
		    !akin(other, q, one))
			continue;
		last = other->dev;
		n++;
	}
	return n;
}

/* One run's queues, and the places of their devices. */
struct places {
	const struct queue_trace *t;
	size_t *nth;
};

static int places_find(struct places *p, const struct queue_trace *t, bool one)
{
	size_t i;

	p->t = t;
	p->nth = calloc(t->n + 1, sizeof(*p->nth));
	for (i = 0; p->nth && i < t->n; i++)
		p->nth[i] = nth_device(t, &t->queue[i], one);
	return p->nth ? 0 : -ENOMEM;
}

/* The queue of @in that number @i of @of is compared with, or DIFF_NONE. */
static size_t match(const struct places *of, size_t i, const struct places *in,
		    bool one)
{
	const struct queue_trace_queue *q = &of->t->queue[i];
	size_t k;

	for (k = 0; k < in->t->n; k++)
		if (in->t->queue[k].index == q->index && in->nth[k] == of->nth[i] &&
		    akin(&in->t->queue[k], q, one))
			return k;
	return DIFF_NONE;
}

static uint32_t number_of(const struct queue_trace *t, size_t at)
{
	return at == DIFF_NONE ? UINT32_MAX : t->queue[at].state.number;
}

static void add_pair(struct trace_diff *d, const struct places *p, size_t a,
		     size_t b)
{
	d->group[d->n++] = (struct diff_group){
		.at = { a, b },
		.key = { number_of(p[0].t, a), number_of(p[1].t, b) },
	};
}

static int pair_queues(struct trace_diff *d, const struct queue_trace *a,
		       const struct queue_trace *b)
{
	bool one = one_owner(a) && one_owner(b);
	struct places p[2] = { 0 };
	int err;
	size_t i;

	err = places_find(&p[0], a, one);
	if (!err)
		err = places_find(&p[1], b, one);
	for (i = 0; !err && i < a->n; i++)
		add_pair(d, p, i, match(&p[0], i, &p[1], one));
	for (i = 0; !err && i < b->n; i++)
		if (match(&p[1], i, &p[0], one) == DIFF_NONE)
			add_pair(d, p, DIFF_NONE, i);
	free(p[0].nth);
	free(p[1].nth);
	return err;
}

int queue_diff(struct trace_diff *d, const struct queue_record *a,
	       const struct queue_record *b)
{
	size_t i;
	int err;

	*d = (struct trace_diff){
		.kind = &queues,
		.run = { { a, &a->tl, a->t.about.seconds, queue_losses, &a->t },
			 { b, &b->tl, b->t.about.seconds, queue_losses, &b->t } },
		.drops = a->view == VIEW_LOAD,
	};
	d->group = calloc(a->t.n + b->t.n + 1, sizeof(*d->group));
	if (!d->group)
		return -ENOMEM;
	err = pair_queues(d, &a->t, &b->t);
	for (i = 0; !err && i < d->n; i++)
		err = add_rows(d, &d->group[i]);
	return err ? err : trace_diff_test(d);
}
