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
 * $KVASIR is the command (default: the build folder's). On a KVM that never
 * reports exits only the returns of KVM_RUN are compared.
 */
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <json-c/json.h>

#include "kvt.h"
#include "tiny_vm.h"

#define READY "tracing VM exits"

struct tracer {
	pid_t pid;
	FILE *out;		/* what it printed */
	int err;		/* its stderr, as it comes */
	char text[2048];	/* ... so far */
	size_t len;
	struct json_object *json;
};

static const char *kvasir(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/../user/kvasir",
		 kvt_env("KVT_BUILD", "../../build/selftests"));
	return kvt_env("KVASIR", path);
}

/* Read stderr until it holds @until, or to its end if NULL. */
static bool read_err(struct tracer *t, const char *until)
{
	uint64_t deadline = kvt_deadline(30000);
	struct pollfd p = { .fd = t->err, .events = POLLIN };
	ssize_t n;

	while (!until || !strstr(t->text, until)) {
		if (poll(&p, 1, kvt_left(deadline)) <= 0)
			return false;
		n = read(t->err, t->text + t->len,
			 sizeof(t->text) - 1 - t->len);
		if (n <= 0)
			return !until;
		t->len += n;
		t->text[t->len] = 0;
	}
	return true;
}

/* Start the command with up to six arguments behind `trace exits`. */
static void spawn(struct tracer *t, void (*prepare)(void), const char **args)
{
	const char *argv[12] = { kvasir(), "trace", "exits" };
	int err[2], i;

	if (access(kvasir(), X_OK))
		SKIP("%s is not built", kvasir());
	memset(t, 0, sizeof(*t));
	for (i = 0; args[i]; i++)
		argv[3 + i] = args[i];
	t->out = tmpfile();
	ASSERT(t->out && !pipe(err), "tmpfile, pipe: %s", strerror(errno));
	t->pid = fork();
	ASSERT(t->pid >= 0, "fork: %s", strerror(errno));
	if (!t->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fileno(t->out), 1);
		dup2(err[1], 2);
		close(err[0]);
		close(err[1]);
		if (prepare)
			prepare();
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	close(err[1]);
	t->err = err[0];
}

/* Wait for its end. Return: exit status. */
static int finish(struct tracer *t)
{
	int status;

	EXPECT(read_err(t, NULL), "the tracer does not end");
	kill(t->pid, SIGKILL);		/* no effect if it has ended */
	waitpid(t->pid, &status, 0);
	close(t->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define SPAWN(t, prepare, ...) \
	spawn(t, prepare, (const char *[]){ __VA_ARGS__, NULL })

/* Until the tracer counts. */
static void wait_ready(struct tracer *t)
{
	if (!read_err(t, READY)) {
		NOTE("the tracer said: %s", t->text);
		ASSERT(false, "the tracer does not start");
	}
}

#define START(t, ...) do {						\
	if (geteuid())							\
		SKIP("needs root");					\
	SPAWN(t, NULL, "--json", __VA_ARGS__);				\
	wait_ready(t);							\
} while (0)

/* Read what it printed into @buf. */
static void output(struct tracer *t, char *buf, size_t size)
{
	size_t n;

	rewind(t->out);
	n = fread(buf, 1, size - 1, t->out);
	buf[n] = 0;
	fclose(t->out);
}

/* End the trace and parse. */
static void stop(struct tracer *t)
{
	static char buf[4 << 20];

	kill(t->pid, SIGINT);
	ASSERT_EQ(finish(t), 0);
	output(t, buf, sizeof(buf));
	t->json = json_tokener_parse(buf);
	ASSERT(t->json, "not JSON: %.200s", buf);
}

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	if (o)
		json_object_object_get_ex(o, key, &v);
	return v;
}

static uint64_t num(struct json_object *o, const char *key)
{
	struct json_object *v = get(o, key);

	EXPECT(v, "no \"%s\"", key);
	return json_object_get_uint64(v);
}

static struct json_object *item(struct json_object *list, size_t i)
{
	return list ? json_object_array_get_idx(list, i) : NULL;
}

/* The @nth VM of process @pid. */
static struct json_object *vm_of(struct tracer *t, pid_t pid, unsigned int nth)
{
	struct json_object *vms = get(t->json, "vms"), *vm;
	size_t i;

	for (i = 0; (vm = item(vms, i)); i++)
		if (num(vm, "pid") == (uint64_t)pid && !nth--)
			return vm;
	return NULL;
}

static struct json_object *vcpu_of(struct json_object *vm, unsigned int id)
{
	struct json_object *vcpus = get(vm, "vcpus"), *v;
	size_t i;

	for (i = 0; (v = item(vcpus, i)); i++)
		if (num(v, "id") == id)
			return v;
	return NULL;
}

static bool reports_exits(struct tracer *t)
{
	struct json_object *note = get(t->json, "note");

	return !note || !strstr(json_object_get_string(note),
				"does not report exits");
}

#define NEED_EXITS(t) do {						\
	if (!reports_exits(t))						\
		SKIP("this KVM does not report exits");			\
} while (0)

struct counts {
	uint64_t count, user, untimed;
};

/* What was counted under any of @names (SVM's, VMX's), and is it plausible? */
static struct counts sum_of(struct json_object *of, const char *const *names)
{
	struct json_object *rows = get(of, "reasons"), *r;
	struct counts c = { 0 };
	const char *reason;
	size_t i, k;

	for (i = 0; (r = item(rows, i)); i++) {
		reason = json_object_get_string(get(r, "reason"));
		for (k = 0; names[k] && strcmp(names[k], reason); k++)
			;
		if (!names[k])
			continue;
		c.count += num(r, "count");
		c.user += num(r, "userspace");
		c.untimed += num(r, "untimed");
		EXPECT_EQ(num(get(r, "user"), "count"), num(r, "userspace"));
		EXPECT_EQ(num(get(r, "kernel"), "count"),
			  num(r, "count") - num(r, "userspace"));
		EXPECT(num(r, "p50_ns") <= num(r, "p90_ns") &&
		       num(r, "p90_ns") <= num(r, "p99_ns") &&
		       num(r, "p99_ns") <= num(r, "max_ns"),
		       "%s: percentiles out of order", reason);
		EXPECT(num(r, "total_ns") <=
		       num(r, "max_ns") * (num(r, "count") - num(r, "untimed")),
		       "%s: total above count times maximum", reason);
		if (num(r, "count") > num(r, "untimed"))
			EXPECT(num(r, "p50_ns"), "%s took no time", reason);
	}
	return c;
}

/* @of (a VM or vCPU) did @load, @runs times, and nothing else of that kind. */
static void expect_load(struct json_object *of, const struct tiny_load *load,
			unsigned int runs)
{
	static const char *const cpuid[] = { "cpuid", "CPUID", NULL };
	static const char *const io[] = { "io", "IO_INSTRUCTION", NULL };
	static const char *const hlt[] = { "hlt", "HLT", NULL };
	static const char *const mem[] = {
		"npf", "EPT_VIOLATION", "EPT_MISCONFIG", NULL
	};
	static const char *const call[] = { "hypercall", "VMCALL", NULL };
	struct counts c;

	ASSERT(of, "not in the report");
	c = sum_of(of, call);
	EXPECT_EQ(c.count, tiny_hypercalls(load) * runs);
	EXPECT_EQ(c.user, 0);
	c = sum_of(of, cpuid);
	EXPECT_EQ(c.count, load->cpuid * runs);
	EXPECT_EQ(c.user, 0);
	c = sum_of(of, io);
	EXPECT_EQ(c.count, (load->out + 1) * runs);
	EXPECT_EQ(c.user, c.count);
	/* The guest is never entered after its last OUT. */
	EXPECT_EQ(c.untimed, 1);
	c = sum_of(of, hlt);
	EXPECT_EQ(c.count, load->hlt * runs);
	EXPECT_EQ(c.user, c.count);
	c = sum_of(of, mem);
	EXPECT_EQ(c.user, load->mmio * runs);
}

/* Nothing was lost, except what @but names (or NULL). */
static void expect_no_loss(struct tracer *t, const char *but)
{
	json_object_object_foreach(get(t->json, "losses"), key, val) {
		if (but && !strcmp(key, but))
			continue;
		EXPECT(!json_object_get_uint64(val), "%s: %s", key,
		       json_object_get_string(val));
	}
}

/* A return that did not occur has no key. */
static uint64_t returns(struct json_object *vm, const char *key)
{
	return json_object_get_uint64(get(get(vm, "returns"), key));
}

static void expect_returns(struct json_object *vm, const struct tiny_vcpu *v)
{
	ASSERT(vm, "not in the report");
	EXPECT_EQ(returns(vm, "IO"), v->io);
	EXPECT_EQ(returns(vm, "MMIO"), v->mmio);
	EXPECT_EQ(returns(vm, "HLT"), v->hlt);
	EXPECT_EQ(returns(vm, "INTR"), v->intr);
}

static const char *text_of(pid_t pid)
{
	static char buf[4][16];
	static int i;

	i = (i + 1) % 4;
	snprintf(buf[i], sizeof(buf[i]), "%d", pid);
	return buf[i];
}

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

/* A process with a VM that runs @load when told. */
static pid_t vm_process(const struct tiny_load *load, int *go)
{
	struct tiny_vm vm;
	int p[2], q[2];
	pid_t pid;
	char c;

	ASSERT(!pipe(p) && !pipe(q), "pipe: %s", strerror(errno));
	pid = fork();
	ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (pid) {
		close(p[0]);
		close(q[1]);
		ASSERT_EQ(read(q[0], &c, 1), 1);
		close(q[0]);
		*go = p[1];
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(p[1]);
	tiny_create(&vm, 1);
	ASSERT_EQ(write(q[1], "", 1), 1);
	ASSERT_EQ(read(p[0], &c, 1), 1);
	tiny_run(&vm, 0, load);
	exit(kvt_failures());
}

static void let_run(int go)
{
	ASSERT_EQ(write(go, "", 1), 1);
}

static void join(pid_t pid)
{
	int status;

	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
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
	join(a);
	join(b);
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
	join(b);
	let_run(ga);
	join(a);
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
	expect_no_loss(&t, "cut_at_start");
}

TEST("a full map loses exits, and says how many")
{
	struct json_object *vm_json;
	struct tiny_vm vm;
	uint64_t lost, known;
	struct tracer t;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()), "--series", "1");
	/* First series: CPUID or a memory fault; the other finds no room. */
	tiny_run(&vm, 0, &small);
	stop(&t);
	NEED_EXITS(&t);
	vm_json = vm_of(&t, getpid(), 0);
	ASSERT(vm_json, "not in the report");
	lost = num(get(t.json, "losses"), "series_full");
	known = small.cpuid + small.out + 1 + small.mmio + small.hlt;
	EXPECT(lost, "no loss reported");
	EXPECT(lost + num(vm_json, "exits") >= known,
	       "%lu lost and %lu counted of at least %lu", lost,
	       num(vm_json, "exits"), known);
	expect_no_loss(&t, "series_full");
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

/* Become nobody with @caps only. */
static void become_nobody(uint64_t caps)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps, .inheritable = caps },
		{ .effective = caps >> 32, .permitted = caps >> 32,
		  .inheritable = caps >> 32 },
	};
	int i;

	prctl(PR_SET_KEEPCAPS, 1);
	if (setgid(65534) || setuid(65534) || syscall(SYS_capset, &head, data))
		_exit(126);
	for (i = 0; i < 64; i++)
		if (caps >> i & 1)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
}

static void no_caps(void)
{
	become_nobody(0);
}

static void two_caps(void)
{
	become_nobody(1ULL << CAP_BPF | 1ULL << CAP_PERFMON);
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
		{ "--pids", "1" }, { "--json", "x" }, { "-d", NULL },
	};
	struct tracer t;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		SPAWN(&t, NULL, bad[i][0], bad[i][1]);
		expect_refusal(&t, 2, "kvasir trace exits: ");
	}
}
