/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Building JSON without a check at every step: a failed allocation anywhere
 * sets one flag, and what could not be put is freed. Look at the end.
 */
#ifndef KVASIR_JSON_PUT_H
#define KVASIR_JSON_PUT_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

struct json {
	bool failed;
};

struct json_object *json_new(struct json *j);
struct json_object *json_new_list(struct json *j);

/* Both take over @value; NULL is a failed allocation. */
void json_put(struct json *j, struct json_object *to, const char *key,
	      struct json_object *value);
void json_put_item(struct json *j, struct json_object *to,
		   struct json_object *value);

void json_put_u64(struct json *j, struct json_object *to, const char *key,
		  uint64_t v);
void json_put_double(struct json *j, struct json_object *to, const char *key,
		     double v);
void json_put_bool(struct json *j, struct json_object *to, const char *key,
		   bool v);
/* Escaped as out_json_string() does. */
void json_put_str(struct json *j, struct json_object *to, const char *key,
		  const char *s);

/* @root if all went well; else NULL, and @root is freed. */
struct json_object *json_done(struct json *j, struct json_object *root);

#endif /* KVASIR_JSON_PUT_H */
