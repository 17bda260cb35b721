/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Of recordings only: what their kinds are written and read with.
 *
 * A file may be cut, foreign or made up. The first thing that is wrong with it is
 * kept in struct file_reader; all that follows does nothing then.
 */
#ifndef KVASIR_TRACE_FILE_JSON_H
#define KVASIR_TRACE_FILE_JSON_H

#include <json-c/json.h>

#include "json_put.h"
#include "trace_file.h"

/* Counts and times stay far from overflow when they are summed. */
#define COUNT_MAX	(1ULL << 48)
#define TIME_MAX_NS	(1ULL << 60)
#define SUM_MAX		(1ULL << 63)	/* of all that are ever added */

struct file_reader {
	const char *why;	/* NULL: all well so far */
	int err;
	size_t rows;
	uint64_t sum;		/* of all that file_get_sum() read */
};

/* The key of a cell, and what else differs between kinds. */
struct file_cells {
	const char *total;	/* what the sum is called */
	void (*put)(struct json *j, struct json_object *o,
		    const uint32_t key[TRACE_KEY], const void *trace);
	void (*get)(struct file_reader *r, struct json_object *o,
		    uint32_t key[TRACE_KEY], const void *trace);
};

/* ---- writing ---- */

/* Any bytes, and the same ones when read again. Up to 128. */
void file_put_bytes(struct json *j, struct json_object *o, const char *key,
		    const char *s);
/* What is not zero, as index, count, index, count, ... */
void file_put_sparse(struct json *j, struct json_object *o, const char *key,
		     const uint64_t *count, uint32_t n);
/* A histogram's HIST_BUCKETS, as "buckets" */
void file_put_hist(struct json *j, struct json_object *o, const __u64 *bucket);
/* All that precedes what was counted; @losses: of @trace */
void file_put_head(struct json *j, struct json_object *root, const char *kind,
		   const struct trace_about *about,
		   const struct trace_loss_key *losses, const void *trace);
void file_put_slices(struct json *j, struct json_object *root,
		     const struct trace_timeline *tl,
		     const struct file_cells *cells, const void *trace);
/* Free @root. Return: as trace_file_write() */
int file_emit(struct json *j, struct json_object *root, FILE *out);

/* ---- reading ---- */

void file_refuse(struct file_reader *r, const char *why);
/* Member @key of type @type; NULL, and an error, if there is none. */
struct json_object *file_get(struct file_reader *r, struct json_object *o,
			     const char *key, json_type type, const char *why);
/* A whole number up to @max; else 0, and an error. */
uint64_t file_number(struct file_reader *r, struct json_object *v, uint64_t max,
		     const char *why);
uint64_t file_get_number(struct file_reader *r, struct json_object *o,
			 const char *key, uint64_t max, const char *why);
/* The same, up to TIME_MAX_NS, and SUM_MAX with all of those before. */
uint64_t file_get_sum(struct file_reader *r, struct json_object *o,
		      const char *key, const char *why);
/* A whole number; it may be missing, for 0. */
uint64_t file_get_part(struct file_reader *r, struct json_object *o,
		       const char *key, uint64_t max, const char *why);
bool file_get_bool(struct file_reader *r, struct json_object *o, const char *key,
		   const char *why);
/* What file_put_bytes() wrote; cut to @size. */
void file_get_bytes(struct file_reader *r, struct json_object *o, const char *key,
		    char *dst, size_t size, const char *why);
/* Items of a list; 0, and an error, if it is none. */
size_t file_get_list(struct file_reader *r, struct json_object *o, const char *key,
		     struct json_object **list, const char *why);
/* @n of @size bytes, all 0. NULL, and an error unless @n is 0 */
void *file_make(struct file_reader *r, size_t n, size_t size);
/* Indices must rise. Return: the sum of the counts */
uint64_t file_get_sparse(struct file_reader *r, struct json_object *o,
			 const char *key, uint64_t *count, uint32_t n,
			 const char *why);
/* It must hold @n values, the largest of them @max. */
void file_get_hist(struct file_reader *r, struct json_object *o, __u64 *bucket,
		   uint64_t n, uint64_t max);
void file_get_kind(struct file_reader *r, struct json_object *root, char *kind,
		   size_t size);
void file_get_head(struct file_reader *r, struct json_object *root,
		   struct trace_about *about,
		   const struct trace_loss_key *losses, void *trace);
void file_get_slices(struct file_reader *r, struct json_object *root,
		     struct trace_timeline *tl,
		     const struct file_cells *cells, const void *trace);

/* ---- the kinds ---- */

void file_get_exits(struct file_reader *r, struct json_object *root,
		    struct trace_record *rec);
/* @rec: knows its kind */
void file_get_queues(struct file_reader *r, struct json_object *root,
		     struct queue_record *rec);

#endif /* KVASIR_TRACE_FILE_JSON_H */
