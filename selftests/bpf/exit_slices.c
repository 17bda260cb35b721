// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace record exits` while exits are under way when it looks.
 *
 * Proven: what the looks saw adds up to what the whole trace counted, exit by exit:
 * one that lasts over several looks is there once.
 */
#include <time.h>

#include "tracer.h"

#define RUNS	8u	/* at most */
#define SECONDS	"20"	/* Of so short a trace a slice is a tenth of a second. */
#define BUSY_MS	8000	/* no run begins after that: all end within the trace */

static void doze(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* All exits that @list counts: of "reasons" */
static uint64_t of_reasons(struct json_object *list)
{
	struct json_object *r, *s;
	uint64_t sum = 0;
	size_t i, k;

	for (i = 0; (r = item(list, i)); i++)
		for (k = 0; k < 2; k++) {
			s = get(r, k ? "user" : "kernel");
			if (s)
				sum += num(s, "timed") + num(s, "untimed");
		}
	return sum;
}

static uint64_t of_vms(struct json_object *vms)
{
	struct json_object *vm, *vcpu;
	uint64_t sum = 0;
	size_t i, k;

	for (i = 0; (vm = item(vms, i)); i++)
		for (k = 0; (vcpu = item(get(vm, "vcpus"), k)); k++)
			sum += of_reasons(get(vcpu, "reasons"));
	return sum;
}

static uint64_t of_slices(struct json_object *slices)
{
	struct json_object *s, *c;
	uint64_t sum = 0;
	size_t i, k;

	for (i = 0; (s = item(slices, i)); i++)
		for (k = 0; (c = item(get(s, "cells"), k)); k++)
			sum += num(c, "count");
	return sum;
}

TEST("the slices of a recording add up to the whole")
{
	const struct tiny_load load = { .cpuid = 8000, .out = 1 };
	char path[64];
	unsigned int runs = 0;
	struct tiny_vm vm;
	struct tracer t;
	uint64_t busy;

	if (geteuid())
		SKIP("needs root");
	tiny_create(&vm, 1);
	snprintf(path, sizeof(path), "/tmp/kvt-slices.%d", getpid());
	SPAWN_VERB(&t, "record", NULL, "-o", path, "-d", SECONDS, "-p",
		   text_of(getpid()));
	wait_ready(&t);
	for (busy = kvt_deadline(BUSY_MS); runs < RUNS && kvt_left(busy); runs++) {
		tiny_set(&vm, 0, &load);
		while (tiny_step(&vm.vcpu[0]))
			doze(150);
		doze(150);
	}
	kill(t.pid, SIGHUP);	/* a lost terminal ends it like Ctrl-C */
	EXPECT_EQ(finish(&t), 0);
	fclose(t.out);
	t.json = json_object_from_file(path);
	unlink(path);
	ASSERT(t.json, "no recording: %s", json_util_get_last_err());
	if (!of_vms(get(t.json, "vms")))
		SKIP("this KVM does not report exits");
	EXPECT(of_vms(get(t.json, "vms")) >= runs * (load.cpuid + 2u), "lost some");
	EXPECT_EQ(of_slices(get(t.json, "slices")), of_vms(get(t.json, "vms")));
}
