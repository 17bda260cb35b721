// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a tracer costs and misses: what the kernel says of its programs, which are
 * made up here, while it counts and in the end.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kvt.h"
#include "../../user/cli/trace_session.h"

#define PROGRAMS 3

/* Programs are their descriptors + 1; the second one was not loaded. */
static struct bpf_prog_info programs[PROGRAMS];
static unsigned int asked;

struct bpf_program *bpf_object__next_program(const struct bpf_object *obj,
					     struct bpf_program *prog)
{
	uintptr_t next = (uintptr_t)prog + 1;

	(void)obj;
	return (void *)(next > PROGRAMS ? 0 : next);
}

int bpf_program__fd(const struct bpf_program *prog)
{
	return (uintptr_t)prog == 2 ? -ENOENT : (int)(uintptr_t)prog - 1;
}

int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *len)
{
	asked++;
	ASSERT_EQ(*len, sizeof(programs[fd]));
	memcpy(info, &programs[fd], *len);
	return 0;
}

TEST("every look sees what was missed until then, of all programs")
{
	struct trace_cost cost;
	unsigned int look;

	trace_cost_init(&cost);
	programs[1].recursion_misses = 1000;
	for (look = 1; look < 5; look++) {
		programs[0].recursion_misses = look;
		programs[2].recursion_misses = 10 * look;
		programs[2].run_cnt = 3 * look;
		programs[2].run_time_ns = 500 * look;
		asked = 0;
		trace_cost_read(&cost, NULL);
		EXPECT_EQ(cost.misses, 11 * look);
		EXPECT_EQ(cost.runs, 3 * look);
		EXPECT_EQ(cost.ns, 500 * look);
		EXPECT_EQ(asked, PROGRAMS - 1);
	}
	trace_cost_off(&cost);
	EXPECT_EQ(cost.misses, 11 * (look - 1));
}
