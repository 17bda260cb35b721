// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace exits` while the host does not stand still.
 *
 * Proven: counts stay exact while a vCPU's thread goes from CPU to CPU, while the
 * CPU it runs on is taken offline, while the wall clock is set, while the tracer
 * itself is stopped, and while other VMs come and go; nothing is lost unsaid.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "tracer.h"

#define STEPS	7u	/* returns of KVM_RUN between two disturbances */

static const struct tiny_load some = { 300, 200, 100, 50, 25 };

/* Run @some of vCPU 0, calling @disturb with 0, 1, ... every few returns. */
static void run_disturbed(struct tiny_vm *vm, void (*disturb)(unsigned int n))
{
	unsigned int steps = 0;

	tiny_set(vm, 0, &some);
	while (tiny_step(&vm->vcpu[0]))
		if (!(++steps % STEPS))
			disturb(steps / STEPS - 1);
}

static void expect_exact(struct tracer *t, const struct tiny_vm *vm)
{
	NEED_EXITS(t);
	expect_load(vm_of(t, getpid(), 0), &some, 1);
	EXPECT(!vm_of(t, getpid(), 1), "one VM is shown as two");
	expect_returns(vm_of(t, getpid(), 0), &vm->vcpu[0]);
	expect_no_loss(t, NULL);
}

static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT_OK(sched_setaffinity(0, sizeof(set), &set));
}

static void need_two_cpus(void)
{
	if (kvt_cpus() < 2)
		SKIP("needs two CPUs");
}

static void other_cpu(unsigned int n)
{
	run_on(kvt_cpu(n));
}

TEST("T-02 a thread that goes from CPU to CPU loses nothing")
{
	struct tiny_vm vm;
	struct tracer t;

	need_two_cpus();
	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	run_disturbed(&vm, other_cpu);
	stop(&t);
	expect_exact(&t, &vm);
}

struct swap {
	struct tiny_vm *vm;
	unsigned int i;
};

static void *run_swapping(void *arg)
{
	struct swap *s = arg;
	unsigned int steps = 0;

	tiny_set(s->vm, s->i, &some);
	while (tiny_step(&s->vm->vcpu[s->i]))
		if (!(++steps % STEPS))
			run_on(kvt_cpu(steps / STEPS + s->i));
	return NULL;
}

TEST("T-02 two vCPUs that change CPUs with each other are not mixed")
{
	struct swap swap[2];
	struct tiny_vm vm;
	struct tracer t;
	pthread_t id[2];
	unsigned int i;

	need_two_cpus();
	tiny_create(&vm, 2);
	START(&t, "-p", text_of(getpid()));
	for (i = 0; i < 2; i++) {
		swap[i] = (struct swap){ &vm, i };
		ASSERT_EQ(pthread_create(&id[i], NULL, run_swapping, &swap[i]), 0);
	}
	for (i = 0; i < 2; i++)
		pthread_join(id[i], NULL);
	stop(&t);
	NEED_EXITS(&t);
	for (i = 0; i < 2; i++)
		expect_load(vcpu_of(vm_of(&t, getpid(), 0), i), &some, 1);
	expect_no_loss(&t, NULL);
}

/* ---- T-03 ---- */

static const char *online_file(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", kvt_cpu(1));
	return path;
}

static void set_online(bool on)
{
	FILE *f = fopen(online_file(), "w");

	ASSERT(f, "%s: %s", online_file(), strerror(errno));
	fputs(on ? "1" : "0", f);
	ASSERT(!fclose(f), "%s: %s", online_file(), strerror(errno));
}

/* Twice away, twice back: there the thread goes again by itself. */
static void change_online(unsigned int n)
{
	if (n % 12 == 3)
		set_online(false);
	else if (n % 12 == 9)
		set_online(true);
}

TEST("T-03 a CPU that goes offline under the vCPU")
{
	struct tiny_vm vm;
	struct tracer t;

	if (geteuid() || access(online_file(), W_OK))
		SKIP("no CPU can be taken offline here");
	need_two_cpus();
	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	run_on(kvt_cpu(1));
	run_disturbed(&vm, change_online);
	set_online(true);
	stop(&t);
	expect_exact(&t, &vm);
}

/* An hour ahead, and back; the lab host's clock is nobody else's. */
static void set_clock(unsigned int n)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += n % 2 ? -3600 : 3600;
	ASSERT_OK(clock_settime(CLOCK_REALTIME, &ts));
}

TEST("T-03 the wall clock is set, back and forth")
{
	struct json_object *rows, *r;
	struct tiny_vm vm;
	struct tracer t;
	size_t i;

	if (geteuid() || access("/sys/module/kvasir", F_OK))
		SKIP("sets the clock: in the lab only");
	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	run_disturbed(&vm, set_clock);
	stop(&t);
	expect_exact(&t, &vm);
	rows = get(vm_of(&t, getpid(), 0), "reasons");
	for (i = 0; (r = item(rows, i)); i++)
		EXPECT(num(r, "max_ns") < 600ull * 1000000000,
		       "an exit of %lu ns", num(r, "max_ns"));
}

/* ---- T-04 ---- */

TEST("T-04 a tracer that is stopped meanwhile loses nothing")
{
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	kill(t.pid, SIGSTOP);
	tiny_run(&vm, 0, &some);
	kill(t.pid, SIGCONT);
	stop(&t);
	expect_exact(&t, &vm);
}

/* ---- others ---- */

static volatile bool enough;

static void *come_and_go(void *arg)
{
	const struct tiny_load few = { .cpuid = 5, .out = 3 };
	unsigned int *n = arg;
	struct tiny_vm vm;

	for (*n = 0; !enough; ++*n) {
		tiny_create(&vm, 2);
		tiny_run(&vm, 1, &few);
		tiny_run(&vm, 0, &few);
		tiny_destroy(&vm);
	}
	return NULL;
}

TEST("T-02 VMs that come and go beside it are not mixed in")
{
	struct json_object *mine = NULL, *json;
	unsigned int n, others = 0, i;
	struct tiny_vm vm;
	struct tracer t;
	pthread_t id;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	ASSERT_EQ(pthread_create(&id, NULL, come_and_go, &n), 0);
	tiny_run(&vm, 0, &some);
	enough = true;
	pthread_join(id, NULL);
	stop(&t);
	NEED_EXITS(&t);
	for (i = 0; (json = vm_of(&t, getpid(), i)); i++) {
		if (!vcpu_of(json, 0))
			continue;	/* returns of nobody */
		if (vcpu_of(json, 1))
			others++;
		else
			mine = json;
	}
	NOTE("%u others", n);
	EXPECT_EQ(others, n);
	expect_load(mine, &some, 1);
	expect_no_loss(&t, NULL);
}
