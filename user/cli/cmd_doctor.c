// SPDX-License-Identifier: GPL-2.0-only
/* kvasir doctor: what this machine lacks, and the command that mends it. */
#include <json-c/json.h>
#include <stdio.h>

#include "cli.h"
#include "doctor.h"
#include "options.h"
#include "output.h"
#include "run.h"

static void print_finding(const struct doctor_check *c,
			  const struct finding *f)
{
	char text[1024];

	out_escape(text, sizeof(text), f->detail);
	printf("%-8s  %-10s  %s\n",
	       f->ok ? "ok" : c->needed ? "MISSING" : "optional", c->name,
	       text);
	if (!f->ok)
		printf("%20s  for: %s\n%20s  mend: %s\n", "", c->use, "",
		       f->mend);
}

static struct json_object *finding_json(const struct doctor_check *c,
					const struct finding *f)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "name", json_object_new_string(c->name));
	json_object_object_add(obj, "needed",
			       json_object_new_boolean(c->needed));
	json_object_object_add(obj, "ok", json_object_new_boolean(f->ok));
	json_object_object_add(obj, "detail", out_json_string(f->detail));
	if (!f->ok) {
		json_object_object_add(obj, "for",
				       json_object_new_string(c->use));
		json_object_object_add(obj, "mend",
				       json_object_new_string(f->mend));
	}
	return obj;
}

static int examine(bool json)
{
	struct json_object *list = json ? json_object_new_array() : NULL;
	const struct doctor_check *c;
	unsigned int lacking = 0;
	struct json_object *obj;
	struct finding f;
	int ret;

	for (c = doctor_checks; c->name; c++) {
		c->look(&f);
		lacking += c->needed && !f.ok;
		if (json)
			json_object_array_add(list, finding_json(c, &f));
		else
			print_finding(c, &f);
	}
	if (json) {
		obj = json_object_new_object();
		json_object_object_add(obj, "ok",
				       json_object_new_boolean(!lacking));
		json_object_object_add(obj, "checks", list);
		ret = out_json(obj);
	} else {
		if (lacking)
			printf("%u needed missing\n", lacking);
		else
			puts("nothing needed is missing");
		ret = out_done();
	}
	return ret ? ret : lacking ? EXIT_VMM : 0;
}

int cmd_doctor(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {
		{ .name = "json", .kind = OPT_FLAG, .dst = &json,
		  .help = "machine-readable output" },
		{ 0 },
	};
	const struct opt_usage usage = {
		.verb = "doctor",
		.about = "Look at everything Kvasir uses on this machine, say what is missing and how to\n"
			 "mend it. Changes nothing. Run it as the user who is to run guests.",
		.opts = opts,
		.exits = "  0 nothing needed is missing   1 something needed is   2 usage\n",
	};
	int first, ret;

	out_verb("doctor");
	ret = opts_parse(&usage, argc, argv, &first);
	return ret == OPTS_GO ? examine(json) : ret;
}
