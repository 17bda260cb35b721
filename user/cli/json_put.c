// SPDX-License-Identifier: GPL-2.0-only
/* Building JSON; see json_put.h. */
#include <json-c/json.h>

#include "json_put.h"
#include "output.h"

static struct json_object *checked(struct json *j, struct json_object *o)
{
	if (!o)
		j->failed = true;
	return o;
}

struct json_object *json_new(struct json *j)
{
	return checked(j, json_object_new_object());
}

struct json_object *json_new_list(struct json *j)
{
	return checked(j, json_object_new_array());
}

void json_put(struct json *j, struct json_object *to, const char *key,
	      struct json_object *value)
{
	checked(j, value);
	if (j->failed || json_object_object_add(to, key, value)) {
		j->failed = true;
		json_object_put(value);
	}
}

void json_put_item(struct json *j, struct json_object *to,
		   struct json_object *value)
{
	checked(j, value);
	if (j->failed || json_object_array_add(to, value)) {
		j->failed = true;
		json_object_put(value);
	}
}

void json_put_u64(struct json *j, struct json_object *to, const char *key,
		  uint64_t v)
{
	json_put(j, to, key, json_object_new_uint64(v));
}

void json_put_double(struct json *j, struct json_object *to, const char *key,
		     double v)
{
	json_put(j, to, key, json_object_new_double(v));
}

void json_put_bool(struct json *j, struct json_object *to, const char *key,
		   bool v)
{
	json_put(j, to, key, json_object_new_boolean(v));
}

void json_put_str(struct json *j, struct json_object *to, const char *key,
		  const char *s)
{
	json_put(j, to, key, out_json_string(s));
}

struct json_object *json_done(struct json *j, struct json_object *root)
{
	if (!j->failed)
		return root;
	json_object_put(root);
	return NULL;
}
