// SPDX-License-Identifier: GPL-2.0-only
/* kvasir stats: devices, queues and counters of the module. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "kvasir.h"
#include "options.h"
#include "output.h"
#include "run.h"

#define ALL_DEVS UINT32_MAX

/* Counters of their own column, with the column's head. */
static const struct {
	const char *counter, *head;
} columns[] = {
	{ "requests", ">REQUESTS" }, { "bytes-in", ">IN" },
	{ "bytes-out", ">OUT" },     { "kicks", ">KICKS" },
	{ "calls", ">CALLS" },
};

#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* One look at the module; the arrays grow as the lists come in. */
struct snapshot {
	struct kvasir_dev_info *devs;
	size_t nr_devs;
	struct kvasir_queue_info *queues;
	size_t nr_queues;
	double when;		/* seconds */
	uint32_t dev_id;	/* wanted, or ALL_DEVS */
};

static void *append(void *items, size_t nr, const void *item, size_t size)
{
	char *grown = realloc(items, (nr + 1) * size);

	if (grown)
		memcpy(grown + nr * size, item, size);
	return grown;
}

static int add_dev(const struct kvasir_dev_info *info, void *ctx)
{
	struct snapshot *s = ctx;
	void *devs;

	if (s->dev_id != ALL_DEVS && s->dev_id != info->id)
		return 0;
	devs = append(s->devs, s->nr_devs, info, sizeof(*info));
	if (!devs)
		return -ENOMEM;
	s->devs = devs;
	s->nr_devs++;
	return 0;
}

static int add_queue(const struct kvasir_queue_info *info, void *ctx)
{
	struct snapshot *s = ctx;
	void *queues;

	/* A kernel without the filter would send all. */
	if (s->dev_id != ALL_DEVS && s->dev_id != info->dev_id)
		return 0;
	queues = append(s->queues, s->nr_queues, info, sizeof(*info));
	if (!queues)
		return -ENOMEM;
	s->queues = queues;
	s->nr_queues++;
	return 0;
}

static void snapshot_free(struct snapshot *s)
{
	free(s->devs);
	free(s->queues);
	memset(s, 0, sizeof(*s));
}

static int snapshot_failed(int err)
{
	switch (err) {
	case -ENOENT:
		return out_error(EXIT_NO_BACKEND,
				 "module kvasir is not loaded ('kvasir module load')");
	case -EPERM:
		return out_error(EXIT_VMM,
				 "not permitted; needs CAP_NET_ADMIN (run as root)");
	default:
		return out_error(EXIT_VMM, "cannot ask the module: %s",
				 strerror(-err));
	}
}

static int snapshot_take(struct snapshot *s, uint32_t dev_id)
{
	struct timespec ts;
	int err;

	memset(s, 0, sizeof(*s));
	s->dev_id = dev_id;
	err = kvasir_list_devs(add_dev, s);
	if (!err)
		err = kvasir_list_queues(dev_id, add_queue, s);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	s->when = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
	if (!err && dev_id != ALL_DEVS && !s->nr_devs) {
		snapshot_free(s);
		return out_error(EXIT_NO_FILE, "--dev %u: no such device",
				 dev_id);
	}
	if (err) {
		snapshot_free(s);
		return snapshot_failed(err);
	}
	return 0;
}

static const char *type_name(uint32_t type)
{
	return type == KVASIR_NET ? "net" : type == KVASIR_BLK ? "blk" : "?";
}

static const char *state_name(uint32_t state)
{
	static const char *const names[] = { "stopped", "running", "broken" };

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

static const struct kvasir_queue_info *
same_queue(const struct snapshot *s, const struct kvasir_queue_info *q)
{
	size_t i;

	for (i = 0; i < s->nr_queues; i++)
		if (s->queues[i].dev_id == q->dev_id &&
		    s->queues[i].index == q->index)
			return &s->queues[i];
	return NULL;
}

/*
 * What is shown of a counter: its value, or with @old what it rose per
 * second. A queue that was not there before has risen from nothing.
 */
static uint64_t shown(const struct snapshot *now, const struct snapshot *old,
		      const struct kvasir_queue_info *q, unsigned int counter)
{
	const struct kvasir_queue_info *before;
	uint64_t value = q->counters[counter];
	double seconds;

	if (!old)
		return value;
	before = same_queue(old, q);
	if (before && before->counters[counter] <= value)
		value -= before->counters[counter];
	seconds = now->when - old->when;
	return seconds > 0 ? (uint64_t)((double)value / seconds + 0.5) : 0;
}

/* ---- JSON ---- */

static struct json_object *counters_json(const struct snapshot *now,
					 const struct snapshot *old,
					 const struct kvasir_queue_info *q)
{
	struct json_object *obj = json_object_new_object();
	const char *name;
	unsigned int c;

	for (c = 1; (name = kvasir_counter_name(c)); c++)
		json_object_object_add(obj, name,
			json_object_new_uint64(shown(now, old, q, c)));
	return obj;
}

static struct json_object *queue_json(const struct snapshot *now,
				      const struct snapshot *old,
				      const struct kvasir_queue_info *q)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "index", json_object_new_int64(q->index));
	json_object_object_add(obj, "state",
			       json_object_new_string(state_name(q->state)));
	json_object_object_add(obj, "size", json_object_new_int64(q->size));
	json_object_object_add(obj, "worker_pid",
			       json_object_new_int64(q->worker_pid));
	json_object_object_add(obj, "inflight",
			       json_object_new_int64(q->inflight));
	json_object_object_add(obj, "counters", counters_json(now, NULL, q));
	if (old)
		json_object_object_add(obj, "per_second",
				       counters_json(now, old, q));
	return obj;
}

static struct json_object *dev_json(const struct snapshot *now,
				    const struct snapshot *old,
				    const struct kvasir_dev_info *dev)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *queues = json_object_new_array();
	char features[24];
	size_t i;

	snprintf(features, sizeof(features), "0x%" PRIx64, dev->features);
	json_object_object_add(obj, "id", json_object_new_int64(dev->id));
	json_object_object_add(obj, "type",
			       json_object_new_string(type_name(dev->type)));
	json_object_object_add(obj, "pid", json_object_new_int64(dev->pid));
	json_object_object_add(obj, "backend", out_json_string(dev->backend));
	json_object_object_add(obj, "features",
			       json_object_new_string(features));
	json_object_object_add(obj, "regions",
			       json_object_new_int64(dev->regions));
	json_object_object_add(obj, "running",
			       json_object_new_int64(dev->running));
	for (i = 0; i < now->nr_queues; i++)
		if (now->queues[i].dev_id == dev->id)
			json_object_array_add(queues,
				queue_json(now, old, &now->queues[i]));
	json_object_object_add(obj, "queues", queues);
	return obj;
}

static int print_json(const struct snapshot *now, const struct snapshot *old)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *devs = json_object_new_array();
	size_t i;

	for (i = 0; i < now->nr_devs; i++)
		json_object_array_add(devs, dev_json(now, old, &now->devs[i]));
	if (old)
		json_object_object_add(obj, "seconds",
			json_object_new_double(now->when - old->when));
	json_object_object_add(obj, "devices", devs);
	return out_json(obj);
}

/* ---- tables ---- */

static int print_devs(const struct snapshot *s)
{
	static const char *const heads[] = {
		">DEV", "TYPE", ">PID", ">QUEUES", ">RUNNING", ">REGIONS",
		"BACKEND",
	};
	struct table *t = table_create(7, heads);
	const struct kvasir_dev_info *d;
	size_t i, len;

	for (i = 0; i < s->nr_devs; i++) {
		d = &s->devs[i];
		/* The end of a long path tells more than its beginning. */
		len = strlen(d->backend);
		table_cell(t, "%u", d->id);
		table_cell(t, "%s", type_name(d->type));
		table_cell(t, "%u", d->pid);
		table_cell(t, "%u", d->queues);
		table_cell(t, "%u", d->running);
		table_cell(t, "%u", d->regions);
		table_cell(t, "%s%s", len > 32 ? "..." : len ? "" : "-",
			   len > 32 ? d->backend + len - 29 : d->backend);
	}
	return table_print(t);
}

static unsigned int counter_by_name(const char *name)
{
	const char *it;
	unsigned int c;

	for (c = 1; (it = kvasir_counter_name(c)); c++)
		if (!strcmp(it, name))
			return c;
	return 0;
}

static int print_queues(const struct snapshot *now, const struct snapshot *old)
{
	const char *heads[5 + NR_COLUMNS] = {
		">DEV", ">QUEUE", "STATE", ">SIZE", ">INFLIGHT",
	};
	const struct kvasir_queue_info *q;
	struct table *t;
	char text[16];
	size_t i, c;

	for (c = 0; c < NR_COLUMNS; c++)
		heads[5 + c] = columns[c].head;
	t = table_create(5 + NR_COLUMNS, heads);
	for (i = 0; i < now->nr_queues; i++) {
		q = &now->queues[i];
		table_cell(t, "%u", q->dev_id);
		table_cell(t, "%u", q->index);
		table_cell(t, "%s", state_name(q->state));
		table_cell(t, "%u", q->size);
		table_cell(t, "%u", q->inflight);
		for (c = 0; c < NR_COLUMNS; c++) {
			out_count(text, sizeof(text),
				  shown(now, old, q,
					counter_by_name(columns[c].counter)));
			table_cell(t, "%s", text);
		}
	}
	return table_print(t);
}

/* The counters without a column: those that are not zero, by queue. */
static void print_rest(const struct snapshot *now, const struct snapshot *old)
{
	const struct kvasir_queue_info *q;
	const char *name;
	unsigned int c;
	uint64_t value;
	size_t i, k;
	int column;

	for (i = 0; i < now->nr_queues; i++) {
		q = &now->queues[i];
		column = 0;
		for (c = 1; (name = kvasir_counter_name(c)); c++) {
			for (k = 0; k < NR_COLUMNS; k++)
				if (!strcmp(columns[k].counter, name))
					break;
			value = shown(now, old, q, c);
			if (k < NR_COLUMNS || !value)
				continue;
			if (!column)
				column = printf("%u/%u:", q->dev_id, q->index);
			if (column > 56)
				column = printf("\n     ") - 1;
			column += printf(" %s %" PRIu64, name, value);
		}
		if (column)
			putchar('\n');
	}
}

static int print_tables(const struct snapshot *now, const struct snapshot *old)
{
	int ret;

	if (!now->nr_devs) {
		puts("no devices");
		return out_done();
	}
	if (!old) {
		ret = print_devs(now);
		if (ret)
			return ret;
		putchar('\n');
	}
	ret = print_queues(now, old);
	if (ret)
		return ret;
	print_rest(now, old);
	return out_done();
}

static int print(const struct snapshot *now, const struct snapshot *old,
		 bool json)
{
	return json ? print_json(now, old) : print_tables(now, old);
}

static void pause_seconds(unsigned int seconds)
{
	struct timespec ts = { .tv_sec = seconds };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* Rates every @interval seconds, @count times (0: until interrupted). */
static int watch(uint32_t dev_id, unsigned int interval, unsigned int count,
		 bool json)
{
	struct snapshot old, now;
	unsigned int n;
	int ret;

	ret = snapshot_take(&old, dev_id);
	for (n = 0; !ret && (!count || n < count); n++) {
		pause_seconds(interval);
		ret = snapshot_take(&now, dev_id);
		if (ret)
			break;
		if (n && !json)
			putchar('\n');
		ret = print(&now, &old, json);
		snapshot_free(&old);
		old = now;
	}
	snapshot_free(&old);
	return ret;
}

int cmd_stats(int argc, char **argv)
{
	unsigned int interval = 0, count = 0, dev_id = ALL_DEVS;
	bool json = false;
	const struct opt opts[] = {
		{ .name = "dev", .kind = OPT_UINT, .dst = &dev_id,
		  .max = ALL_DEVS - 1, .arg = "ID",
		  .help = "this device only" },
		{ .name = "interval", .letter = 'i', .kind = OPT_UINT,
		  .dst = &interval, .min = 1, .max = 86400, .arg = "SEC",
		  .help = "what the counters rise per second,\nevery SEC seconds" },
		{ .name = "count", .letter = 'c', .kind = OPT_UINT,
		  .dst = &count, .min = 1, .max = UINT32_MAX, .arg = "N",
		  .help = "with --interval: end after N times" },
		{ .name = "json", .kind = OPT_FLAG, .dst = &json,
		  .help = "machine-readable output, all counters" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "stats",
		.about = "List the module's devices and queues, and what the queues have counted.",
		.opts = opts,
		.exits = "  0 done   1 failed, not permitted   2 usage   4 no such device\n"
			 "  6 module not loaded\n",
	};
	struct snapshot now;
	int first, ret;

	out_verb("stats");
	ret = opts_parse(&usage, argc, argv, &first);
	if (ret != OPTS_GO)
		return ret;
	if (count && !interval)
		return out_error(EXIT_USAGE, "--count needs --interval");
	if (interval)
		return watch(dev_id, interval, count, json);
	ret = snapshot_take(&now, dev_id);
	if (ret)
		return ret;
	ret = print(&now, NULL, json);
	snapshot_free(&now);
	return ret;
}
