// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace exits` while VMs come and go by the hundred (T-02).
 *
 * Processes make a VM after the other; both its vCPUs run at once, go from thread to
 * thread and from CPU to CPU, and end with the VM; its memory becomes the next one.
 * Proven: each VM's counts are exactly its own; nothing is lost; the tracer needs no
 * more memory than before.
 */
#include <pthread.h>
#include <sched.h>

#include "tracer.h"

#define OWNERS	3
#define VMS	80u	/* each */
#define VCPUS	2u
#define TURNS	3u	/* threads that a vCPU goes through */
#define STEPS	3u	/* returns of KVM_RUN in a turn; the last one ends it */

/* No two VMs of an owner that follow each other do the same. */
static struct tiny_load load_of(unsigned int owner, unsigned int vm,
				unsigned int vcpu)
{
	return (struct tiny_load){
		.cpuid = 3 + (owner + 5 * vm + 2 * vcpu) % 17,
		.out = 4 + (vm + vcpu) % 5,
	};
}

struct turn {
	struct tiny_vcpu *vcpu;
	unsigned int cpu, steps;
	bool more;
};

static void *take_turn(void *arg)
{
	struct turn *t = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(t->cpu, &set);
	/* Where it is not online the thread stays where it is. */
	sched_setaffinity(0, sizeof(set), &set);
	while (t->more && t->steps--)
		t->more = tiny_step(t->vcpu);
	return NULL;
}

/* All vCPUs take a turn, each in a thread of its own. */
static void turns_at_once(struct turn *turn, unsigned int n)
{
	pthread_t id[VCPUS];
	unsigned int i;

	for (i = 0; i < VCPUS; i++) {
		turn[i].cpu = kvt_cpu(n + i);
		turn[i].steps = n + 1 < TURNS ? STEPS : UINT32_MAX;
		ASSERT_EQ(pthread_create(&id[i], NULL, take_turn, &turn[i]), 0);
	}
	for (i = 0; i < VCPUS; i++)
		pthread_join(id[i], NULL);
}

static void one_vm(unsigned int owner, unsigned int nth)
{
	struct turn turn[VCPUS];
	struct tiny_load load;
	struct tiny_vm vm;
	unsigned int i;

	tiny_create(&vm, VCPUS);
	for (i = 0; i < VCPUS; i++) {
		load = load_of(owner, nth, i);
		tiny_set(&vm, i, &load);
		turn[i] = (struct turn){ .vcpu = &vm.vcpu[i], .more = true };
	}
	for (i = 0; i < TURNS; i++)
		turns_at_once(turn, i);
	tiny_destroy(&vm);
}

static void own_vms(const void *arg)
{
	const unsigned int *owner = arg;
	unsigned int i;

	for (i = 0; i < VMS; i++)
		one_vm(*owner, i);
}

/* The VMs of process @pid, which come in the order of their first exits. */
static unsigned int expect_vms(struct tracer *t, unsigned int owner, pid_t pid)
{
	struct json_object *vms = get(t->json, "vms"), *vm;
	struct tiny_load load;
	unsigned int n = 0, k;
	size_t i;

	for (i = 0; (vm = item(vms, i)); i++) {
		if (num(vm, "pid") != (uint64_t)pid || !item(get(vm, "vcpus"), 0))
			continue;
		for (k = 0; k < VCPUS; k++) {
			load = load_of(owner, n, k);
			expect_load(vcpu_of(vm, k), &load, 1);
		}
		EXPECT_EQ(num(vm, "exits"), num(vcpu_of(vm, 0), "exits") +
					    num(vcpu_of(vm, 1), "exits"));
		n++;
	}
	return n;
}

TEST_SECONDS("T-02 VMs that come and go by the hundred are not mixed", 120)
{
	pid_t owner[OWNERS];
	struct tracer t;
	unsigned int k;
	uint64_t before;

	if (access("/dev/kvm", R_OK | W_OK))
		SKIP("/dev/kvm: %s", strerror(errno));
	START(&t, "--series", "8192");
	before = memory_of(&t);
	for (k = 0; k < OWNERS; k++)
		owner[k] = kvt_child(own_vms, &k);
	for (k = 0; k < OWNERS; k++)
		kvt_child_end(owner[k]);
	expect_memory(&t, before);
	stop(&t);
	NEED_EXITS(&t);
	for (k = 0; k < OWNERS; k++)
		EXPECT_EQ(expect_vms(&t, k, owner[k]), VMS);
	expect_no_loss(&t, NULL);
}
