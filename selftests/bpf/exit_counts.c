// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace exits` against guests whose exits are known by number.
 *
 * Proven: every exit is counted once, under its reason, its vCPU and its VM;
 * exits that need userspace are told from the others; nothing is lost unsaid;
 * two VMs are never mixed, be it in two processes, in one, on one thread, or
 * one after the other in the same memory; names cannot forge output; it works
 * with two capabilities instead of root; what it cannot do it says in one line.
 *
 * On a KVM that never reports exits only the returns of KVM_RUN are compared.
 */
#include <pthread.h>

#include "tracer.h"

static const struct tiny_load small = { 300, 200, 100, 50, 25 };
static const struct tiny_load other = { 70, 31, 17, 5, 3 };

TEST("returns of KVM_RUN are counted exactly, by reason")
{
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	tiny_run(&vm, 0, &small);
	stop(&t);
	expect_returns(vm_of(&t, getpid(), 0), &vm.vcpu[0]);
	EXPECT_EQ(vm.vcpu[0].io, small.out + 1);
	EXPECT_EQ(vm.vcpu[0].mmio, small.mmio);
	EXPECT_EQ(vm.vcpu[0].hlt, small.hlt);
}

TEST("exits are counted exactly, apart by reason and kernel or userspace")
{
	struct json_object *vm_json, *totals;
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	tiny_run(&vm, 0, &small);
	stop(&t);
	NEED_EXITS(&t);
	vm_json = vm_of(&t, getpid(), 0);
	expect_load(vm_json, &small, 1);
	expect_load(vcpu_of(vm_json, 0), &small, 1);
	expect_no_loss(&t, NULL);
	totals = get(t.json, "totals");
	EXPECT_EQ(num(totals, "exits"), num(vm_json, "exits"));
	EXPECT(num(totals, "userspace") >= small.out + 1 + small.mmio + small.hlt,
	       "userspace %lu", num(totals, "userspace"));
	EXPECT(num(totals, "idle_ns"), "HLT is not marked as idle");
}

struct thread {
	struct tiny_vm *vm;
	unsigned int i;
	const struct tiny_load *load;
};

static void *run_thread(void *arg)
{
	struct thread *th = arg;

	tiny_run(th->vm, th->i, th->load);
	return NULL;
}

TEST("two vCPUs at once are counted apart, and add up")
{
	struct thread th[2];
	struct json_object *json;
	pthread_t id[2];
	struct tiny_vm vm;
	struct tracer t;
	int i;

	tiny_create(&vm, 2);
	START(&t, "-p", text_of(getpid()));
	for (i = 0; i < 2; i++) {
		th[i] = (struct thread){ &vm, i, i ? &other : &small };
		ASSERT_EQ(pthread_create(&id[i], NULL, run_thread, &th[i]), 0);
	}
	for (i = 0; i < 2; i++)
		pthread_join(id[i], NULL);
	stop(&t);
	NEED_EXITS(&t);
	json = vm_of(&t, getpid(), 0);
	expect_load(vcpu_of(json, 0), &small, 1);
	expect_load(vcpu_of(json, 1), &other, 1);
	EXPECT_EQ(num(json, "exits"), num(vcpu_of(json, 0), "exits") +
				      num(vcpu_of(json, 1), "exits"));
	EXPECT(!vm_of(&t, getpid(), 1), "one VM is shown as two");
	expect_no_loss(&t, NULL);
}

struct order {
	const struct tiny_load *load;
	int ready[2], go[2];
};

static void run_when_told(const void *arg)
{
	const struct order *order = arg;
	struct tiny_vm vm;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(order->go[1]);
	tiny_create(&vm, 1);
	ASSERT_EQ(write(order->ready[1], "", 1), 1);
	ASSERT_EQ(read(order->go[0], &c, 1), 1);
	tiny_run(&vm, 0, order->load);
}

/* A process with a VM that runs @load when told. */
static pid_t vm_process(const struct tiny_load *load, int *go)
{
	struct order order = { .load = load };
	pid_t pid;
	char c;

	ASSERT(!pipe(order.ready) && !pipe(order.go), "pipe: %s", strerror(errno));
	pid = kvt_child(run_when_told, &order);
	close(order.go[0]);
	close(order.ready[1]);
	ASSERT_EQ(read(order.ready[0], &c, 1), 1);
	close(order.ready[0]);
	*go = order.go[1];
	return pid;
}

static void let_run(int go)
{
	ASSERT_EQ(write(go, "", 1), 1);
}

static void need_kvm(void)
{
	if (access("/dev/kvm", R_OK | W_OK))
		SKIP("/dev/kvm: %s", strerror(errno));
}

TEST("VMs of two processes, running at once, are not mixed")
{
	struct tracer t;
	pid_t a, b;
	int ga, gb;

	need_kvm();
	a = vm_process(&small, &ga);
	b = vm_process(&other, &gb);
	START(&t, NULL);
	let_run(ga);
	let_run(gb);
	kvt_child_end(a);
	kvt_child_end(b);
	stop(&t);
	NEED_EXITS(&t);
	expect_load(vm_of(&t, a, 0), &small, 1);
	expect_load(vm_of(&t, b, 0), &other, 1);
	expect_no_loss(&t, NULL);
}

TEST("-p shows one process only and ends when it ends")
{
	static char buf[1 << 20];
	struct tracer t;
	pid_t a, b;
	int ga, gb;

	need_kvm();
	a = vm_process(&small, &ga);
	b = vm_process(&other, &gb);
	START(&t, "-p", text_of(a));
	let_run(gb);
	kvt_child_end(b);
	let_run(ga);
	kvt_child_end(a);
	ASSERT_EQ(finish(&t), 0);
	output(&t, buf, sizeof(buf));
	t.json = json_tokener_parse(buf);
	EXPECT(vm_of(&t, a, 0), "the VM is missing");
	EXPECT(!vm_of(&t, b, 0), "another process is shown");
	NEED_EXITS(&t);
	expect_load(vm_of(&t, a, 0), &small, 1);
}

TEST("two VMs that share one thread are not mixed")
{
	bool more[2] = { true, true };
	struct tiny_vm vm[2];
	struct tracer t;
	int i;

	for (i = 0; i < 2; i++)
		tiny_create(&vm[i], 1);
	START(&t, "-p", text_of(getpid()));
	tiny_set(&vm[0], 0, &small);
	tiny_set(&vm[1], 0, &other);
	while (more[0] || more[1])
		for (i = 0; i < 2; i++)
			more[i] = more[i] && tiny_step(&vm[i].vcpu[0]);
	stop(&t);
	NEED_EXITS(&t);
	/* In order of their first exits. */
	expect_load(vm_of(&t, getpid(), 0), &small, 1);
	expect_load(vm_of(&t, getpid(), 1), &other, 1);
	expect_no_loss(&t, NULL);
}

TEST("VMs made one after the other are not mixed")
{
	struct tiny_vm vm;
	struct tracer t;
	int i;

	need_kvm();
	START(&t, "-p", text_of(getpid()));
	for (i = 0; i < 4; i++) {
		tiny_create(&vm, 1);
		tiny_run(&vm, 0, i % 2 ? &other : &small);
		tiny_destroy(&vm);
	}
	stop(&t);
	NEED_EXITS(&t);
	for (i = 0; i < 4; i++)
		expect_load(vm_of(&t, getpid(), i), i % 2 ? &other : &small, 1);
	/* At most what KVM_RUN returned before any exit: nobody's. */
	EXPECT(!vcpu_of(vm_of(&t, getpid(), 4), 0), "a VM that never was");
	expect_no_loss(&t, NULL);
}

TEST("attached in the middle: the exit begun before is left out, and said")
{
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	tiny_run(&vm, 0, &other);
	START(&t, "-p", text_of(getpid()));
	tiny_run(&vm, 0, &small);
	tiny_run(&vm, 0, &small);
	stop(&t);
	NEED_EXITS(&t);
	expect_load(vm_of(&t, getpid(), 0), &small, 2);
	EXPECT_EQ(num(get(t.json, "losses"), "cut_at_start"), 1);
	expect_no_loss(&t, " cut_at_start ");
}

TEST("control characters in a process name reach no output")
{
	static char buf[1 << 20];
	const char *p;
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	ASSERT_OK(prctl(PR_SET_NAME, "\033[31m\"\n\\\x80x"));
	START(&t, "-p", text_of(getpid()));
	tiny_run(&vm, 0, &other);
	stop(&t);
	p = json_object_get_string(get(vm_of(&t, getpid(), 0), "comm"));
	ASSERT(p, "no \"comm\"");
	EXPECT(!strcmp(p, "\\x1b[31m\"\\x0a\\\\\\x80x"), "comm is %s", p);

	SPAWN(&t, NULL, "-p", text_of(getpid()), "--vcpus");
	wait_ready(&t);
	tiny_run(&vm, 0, &other);
	kill(t.pid, SIGINT);
	EXPECT_EQ(finish(&t), 0);
	output(&t, buf, sizeof(buf));
	EXPECT(strstr(buf, "\\x1b[31m"), "the name is not in the table");
	for (p = buf; *p; p++)
		EXPECT((*p >= ' ' && *p < 0x7f) || *p == '\n',
		       "byte %02x in the table", (unsigned char)*p);
}

TEST("CAP_BPF and CAP_PERFMON are enough")
{
	static char buf[1 << 20];
	struct tiny_vm vm;
	struct tracer t;

	if (geteuid())
		SKIP("needs root");
	tiny_create(&vm, 1);
	SPAWN(&t, two_caps, "--json", "-p", text_of(getpid()));
	wait_ready(&t);
	tiny_run(&vm, 0, &other);
	kill(t.pid, SIGINT);
	EXPECT_EQ(finish(&t), 0);
	output(&t, buf, sizeof(buf));
	t.json = json_tokener_parse(buf);
	expect_returns(vm_of(&t, getpid(), 0), &vm.vcpu[0]);
	NEED_EXITS(&t);
	expect_load(vm_of(&t, getpid(), 0), &other, 1);
}

/* It ends with @status and one line on stderr that contains @word. */
static void expect_refusal(struct tracer *t, int status, const char *word)
{
	char *nl;

	EXPECT_EQ(finish(t), status);
	nl = strchr(t->text, '\n');
	EXPECT(strstr(t->text, word), "it said: %s", t->text);
	EXPECT(nl && !nl[1], "not one line: %s", t->text);
	fclose(t->out);
}

TEST("without them it says so")
{
	struct tracer t;

	if (geteuid())
		SKIP("needs root");
	SPAWN(&t, no_caps, "-d", "1");
	expect_refusal(&t, 3, "CAP_BPF and CAP_PERFMON");
}

TEST("a number that is no process is refused")
{
	struct tracer t;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	SPAWN(&t, NULL, "-p", text_of(pid));
	expect_refusal(&t, 4, "there is no process");
}

TEST("wrong words on the command line are refused")
{
	static const char *const bad[][2] = {
		{ "-p", "0" }, { "-p", "-1" }, { "-p", "12x" }, { "-p", "" },
		{ "-p", "99999999999999999999" }, { "-d", "0" }, { "-d", "nan" },
		{ "-d", "1s" }, { "-d", "-1" }, { "-d", "" }, { "-d", "inf" },
		{ "-d", "1e9" }, { "--series", "0" },
		{ "--room", "0" }, { "--room", "1601" },
		{ "--pids", "1" }, { "--json", "x" }, { "-d", NULL },
	};
	struct tracer t;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		SPAWN(&t, NULL, bad[i][0], bad[i][1]);
		expect_refusal(&t, 2, "kvasir trace exits: ");
	}
}
