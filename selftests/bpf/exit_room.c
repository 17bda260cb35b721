// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace exits` with more to count than it has room for (T-04).
 *
 * Proven, for every kind of room: what was counted and what was lost add up to what
 * KVM itself has counted; the loss is said in every form; what had room before is
 * exact, and nothing of what had none is booked to it.
 */
#include "tracer.h"
#include "../../bpf/exits.h"

/* Of --room 1. */
#define ROOM(usual) ((usual) / 100)

static const struct tiny_load small = { 300, 200, 100, 50, 25 };
static const struct tiny_load few = { .cpuid = 5, .out = 3 };

static uint64_t exits_of(const struct tiny_vm *vm)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < vm->n_vcpus; i++)
		sum += tiny_exits(&vm->vcpu[i]);
	return sum;
}

TEST("T-04 more histograms than there is room for")
{
	const struct tiny_load outs = { .out = 100 };
	struct json_object *io = NULL, *rows;
	struct tiny_vm first, second;
	struct tracers t;
	uint64_t seen;
	size_t i;

	tiny_create(&first, 1);
	tiny_create(&second, 1);
	/* The first takes three or four of them, the second would need six. */
	START_ALL(&t, "exits", "-p", text_of(getpid()), "--series", "6");
	tiny_run(&first, 0, &outs);
	tiny_run(&second, 0, &small);
	tiny_run(&first, 0, &outs);
	stop_all(&t);
	NEED_EXITS(&t.json);
	seen = num(get(t.json.json, "totals"), "exits");
	EXPECT(seen < exits_of(&first) + exits_of(&second), "nothing was lost");
	expect_lost(&t, "series_full", "exits",
		    exits_of(&first) + exits_of(&second) - seen);
	expect_no_loss(&t.json, " series_full ");
	rows = get(vm_of(&t.json, getpid(), 0), "reasons");
	for (i = 0; item(rows, i) && !io; i++)
		if (num(item(rows, i), "userspace"))
			io = item(rows, i);
	EXPECT_EQ(num(io, "count"), 2 * (outs.out + 1));
	EXPECT_EQ(returns(vm_of(&t.json, getpid(), 0), "IO"), first.vcpu[0].io);
	EXPECT_EQ(returns(vm_of(&t.json, getpid(), 1), "HLT"), second.vcpu[0].hlt);
}

TEST("T-04 more vCPUs than there is room for")
{
	const unsigned int room = ROOM(EXITS_LIVES) - 1, many = TINY_VCPUS;
	struct json_object *json, *nobody;
	unsigned int i, io = 0;
	struct tiny_vm vm, other;
	uint64_t lost = 0;
	struct tracers t;

	tiny_create(&vm, many);
	tiny_create(&other, 1);
	START_ALL(&t, "exits", "-p", text_of(getpid()), "--room", "1", "--series",
		  "1000");
	for (i = 0; i < many; i++)
		tiny_run(&vm, i, &few);
	tiny_run(&other, 0, &small);
	tiny_run(&vm, 0, &few);
	stop_all(&t);
	NEED_EXITS(&t.json);
	json = vm_of(&t.json, getpid(), 0);
	expect_load(vcpu_of(json, 0), &few, 2);
	for (i = 1; i < room; i++)
		expect_load(vcpu_of(json, i), &few, 1);
	for (; i < many; i++) {
		EXPECT(!vcpu_of(json, i), "vCPU %u is there", i);
		lost += tiny_exits(&vm.vcpu[i]);
		io += vm.vcpu[i].io;
	}
	expect_lost(&t, "vcpus_full", "exits", lost + exits_of(&other));
	expect_no_loss(&t.json, " vcpus_full ");
	/* Returns of vCPUs that are not known are the process's. */
	EXPECT_EQ(returns(json, "IO"), (room + 1) * (few.out + 1));
	EXPECT_EQ(returns(json, "HLT"), 0);
	nobody = vm_of(&t.json, getpid(), 1);
	ASSERT(nobody, "returns are missing");
	EXPECT_EQ(returns(nobody, "IO"), io + other.vcpu[0].io);
	EXPECT_EQ(returns(nobody, "HLT"), other.vcpu[0].hlt);
	EXPECT(!vm_of(&t.json, getpid(), 2), "a VM that never was");
}

/* A vCPU returns without having left the guest, so many times. */
static void returns_only(const void *arg)
{
	const unsigned int *times = arg;
	struct tiny_vm vm;
	unsigned int i;

	tiny_create(&vm, 1);
	vm.vcpu[0].run->immediate_exit = 1;
	for (i = 0; i < *times; i++)
		tiny_step(&vm.vcpu[0]);
}

TEST("T-04 more returns of nobody than there is room for")
{
	const unsigned int room = ROOM(EXITS_RETURNS), more = 4, each = 3;
	struct json_object *vms, *vm;
	struct tiny_vm known;
	struct tracers t;
	uint64_t seen = 0;
	unsigned int i;

	tiny_create(&known, 1);
	START_ALL(&t, "exits", "--room", "1");
	for (i = 0; i < room + more; i++)
		kvt_in_child(returns_only, &each);
	/* Its first return is of nobody, too. */
	tiny_run(&known, 0, &few);
	stop_all(&t);
	NEED_EXITS(&t.json);
	vms = get(t.json.json, "vms");
	for (i = 0; (vm = item(vms, i)); i++)
		if (num(vm, "pid") != (uint64_t)getpid())
			seen += returns(vm, "INTR");
	EXPECT_EQ(seen, room * each);
	expect_lost(&t, "returns_full", "returns", more * each + 1);
	expect_no_loss(&t.json, " returns_full ");
	expect_load(vm_of(&t.json, getpid(), 0), &few, 1);
	EXPECT_EQ(returns(vm_of(&t.json, getpid(), 0), "IO"), known.vcpu[0].io);
}

/* ---- guests of their own ---- */

static const uint8_t ports_code[] = {
	0xba, 0x00, 0x01,	/* 00	mov dx, 100	*/
	0xee,			/* 03	out dx, al	*/
	0x42,			/* 04	inc dx		*/
	0x4f,			/* 05	dec di		*/
	0x75, 0xfb,		/* 06	jnz 03		*/
	0xe6, TINY_DONE,	/* 08	out DONE, al	*/
};

TEST("T-04 more ports than there is room for")
{
	const struct tiny_load load = { .out = EXITS_SUBKEYS + 500 };
	struct json_object *list, *s;
	struct tracers t;
	struct tiny_vm vm;
	uint64_t seen = 0;
	size_t i;

	tiny_create(&vm, 1);
	memcpy((char *)vm.mem + TINY_CODE, ports_code, sizeof(ports_code));
	START_TEXTS(&t, "exits", "-p", text_of(getpid()), "--by", "addr");
	tiny_run(&vm, 0, &load);
	stop_all(&t);
	NEED_EXITS(&t.json);
	list = get(vm_of(&t.json, getpid(), 0), "by_address");
	for (i = 0; (s = item(list, i)); i++)
		if (!strcmp(json_object_get_string(get(s, "kind")), "port-out"))
			seen += num(s, "count");
	EXPECT(seen < load.out, "all of them found room");
	expect_lost(&t, "subs_full", "exits", load.out - seen);
	expect_no_loss(&t.json, " subs_full ");
	/* The reason itself lost none. */
	EXPECT_EQ(returns(vm_of(&t.json, getpid(), 0), "IO"), load.out + 1);
	EXPECT(num(vm_of(&t.json, getpid(), 0), "exits") > load.out, "exits are lost");
}

/* Code that leaves the guest at @n places, once each, with the last OUT behind. */
static void many_places(struct tiny_vm *vm, unsigned int n)
{
	static const uint8_t cpuid[] = { 0x0f, 0xa2 }, end[] = { 0xe6, TINY_DONE };
	uint8_t *to = (uint8_t *)vm->mem + TINY_CODE;

	for (; n--; to += sizeof(cpuid))
		memcpy(to, cpuid, sizeof(cpuid));
	memcpy(to, end, sizeof(end));
}

TEST("T-04 more places in the guest than there is room for")
{
	const unsigned int places = 2 * EXITS_RIP_EVERY * ROOM(EXITS_RIPS);
	const struct tiny_load load = { 0 };
	const char *map = symbols_write();
	struct json_object *list, *s;
	struct tracers t;
	struct tiny_vm vm;
	uint64_t seen = 0;
	size_t i;

	tiny_create(&vm, 1);
	many_places(&vm, places);
	START_TEXTS(&t, "exits", "-p", text_of(getpid()), "--symbols", map,
		    "--room", "1");
	tiny_run(&vm, 0, &load);
	stop_all(&t);
	unlink(map);
	list = need_samples(&t.json);
	for (i = 0; (s = item(list, i)); i++)
		seen += num(s, "samples");
	EXPECT_EQ(i, ROOM(EXITS_RIPS));
	expect_lost(&t, "rips_full", "samples",
		    tiny_exits(&vm.vcpu[0]) / EXITS_RIP_EVERY - seen);
	expect_no_loss(&t.json, " rips_full ");
	EXPECT_EQ(num(vm_of(&t.json, getpid(), 0), "exits"),
		  tiny_exits(&vm.vcpu[0]));
}
