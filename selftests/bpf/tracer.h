/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tracer of `kvasir trace` as a child of a test: start it, wait until it counts,
 * end it, and look at the JSON it printed. Included once, by the test.
 *
 * $KVASIR is the command (default: the build folder's).
 */
#ifndef KVT_TRACER_H
#define KVT_TRACER_H

#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <json-c/json.h>

#include "kvt.h"
#include "tiny_vm.h"

#define READY "Ctrl-C ends"

struct tracer {
	pid_t pid;
	FILE *out;		/* what it printed */
	int err;		/* its stderr, as it comes */
	char text[2048];	/* ... so far */
	size_t len;
	struct json_object *json;
};

static inline const char *kvasir(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/../user/kvasir",
		 kvt_env("KVT_BUILD", "../../build/selftests"));
	return kvt_env("KVASIR", path);
}

/* Read stderr until it holds @until, or to its end if NULL. */
static inline bool read_err(struct tracer *t, const char *until)
{
	uint64_t deadline = kvt_deadline(50000);
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

/* Start `kvasir trace @verb` with up to eight arguments behind it. */
static inline void spawn(struct tracer *t, const char *verb,
			 void (*prepare)(void), const char **args)
{
	const char *argv[12] = { kvasir(), "trace", verb };
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
static inline int finish(struct tracer *t)
{
	int status;

	EXPECT(read_err(t, NULL), "the tracer does not end");
	kill(t->pid, SIGKILL);		/* no effect if it has ended */
	waitpid(t->pid, &status, 0);
	close(t->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define SPAWN_VERB(t, verb, prepare, ...) \
	spawn(t, verb, prepare, (const char *[]){ __VA_ARGS__, NULL })
#define SPAWN(t, prepare, ...) SPAWN_VERB(t, "exits", prepare, __VA_ARGS__)

/* Until the tracer counts. */
static inline void wait_ready(struct tracer *t)
{
	if (!read_err(t, READY)) {
		NOTE("the tracer said: %s", t->text);
		ASSERT(false, "the tracer does not start");
	}
}

#define START_VERB(t, verb, ...) do {					\
	if (geteuid())							\
		SKIP("needs root");					\
	SPAWN_VERB(t, verb, NULL, "--json", __VA_ARGS__);		\
	wait_ready(t);							\
} while (0)
#define START(t, ...) START_VERB(t, "exits", __VA_ARGS__)

/* Read what it printed into @buf. */
static inline void output(struct tracer *t, char *buf, size_t size)
{
	size_t n;

	rewind(t->out);
	n = fread(buf, 1, size - 1, t->out);
	buf[n] = 0;
	fclose(t->out);
}

/* Wait for the end and parse. */
static inline void finish_json(struct tracer *t)
{
	ASSERT_EQ(finish(t), 0);
	rewind(t->out);
	t->json = json_object_from_fd(fileno(t->out));
	ASSERT(t->json, "not JSON: %s", json_util_get_last_err());
	fclose(t->out);
}

/* End the trace and parse. */
static inline void stop(struct tracer *t)
{
	kill(t->pid, SIGINT);
	finish_json(t);
}

static inline struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	if (o)
		json_object_object_get_ex(o, key, &v);
	return v;
}

static inline uint64_t num(struct json_object *o, const char *key)
{
	struct json_object *v = get(o, key);

	EXPECT(v, "no \"%s\"", key);
	return json_object_get_uint64(v);
}

static inline struct json_object *item(struct json_object *list, size_t i)
{
	return list ? json_object_array_get_idx(list, i) : NULL;
}

/* The @nth VM of process @pid. */
static inline struct json_object *vm_of(struct tracer *t, pid_t pid, unsigned int nth)
{
	struct json_object *vms = get(t->json, "vms"), *vm;
	size_t i;

	for (i = 0; (vm = item(vms, i)); i++)
		if (num(vm, "pid") == (uint64_t)pid && !nth--)
			return vm;
	return NULL;
}

static inline struct json_object *vcpu_of(struct json_object *vm, unsigned int id)
{
	struct json_object *vcpus = get(vm, "vcpus"), *v;
	size_t i;

	for (i = 0; (v = item(vcpus, i)); i++)
		if (num(v, "id") == id)
			return v;
	return NULL;
}

static inline bool reports_exits(struct tracer *t)
{
	struct json_object *note = get(t->json, "note");

	return !note || !strstr(json_object_get_string(note),
				"does not report exits");
}

#define NEED_EXITS(t) do {						\
	if (!reports_exits(t))						\
		SKIP("this KVM does not report exits");			\
} while (0)

/*
 * Names for the code of tiny_vm.h in a file, for --symbols: tiny_start, and one
 * that must not reach a terminal as it is. Unlink it.
 */
static inline const char *symbols_write(void)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/kvt-map.%d", getpid());
	f = fopen(path, "we");
	ASSERT(f, "%s: %s", path, strerror(errno));
	fprintf(f, "%016x T tiny_start\n%016x t tiny_\033[31mend\n", TINY_CODE,
		TINY_CODE + 0x100);
	fclose(f);
	return path;
}

/* Where the process's only VM was, or ends the test. */
static inline struct json_object *need_samples(struct tracer *t)
{
	struct json_object *list;

	NEED_EXITS(t);
	list = get(vm_of(t, getpid(), 0), "samples");
	if (!item(list, 0))
		SKIP("this KVM does not say where the guest is");
	return list;
}

struct counts {
	uint64_t count, user, untimed;
};

/* What was counted under any of @names (SVM's, VMX's), and is it plausible? */
static inline struct counts sum_of(struct json_object *of, const char *const *names)
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
static inline void expect_load(struct json_object *of, const struct tiny_load *load,
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

/* Nothing was lost, except what @but names, between blanks (or NULL). */
static inline void expect_no_loss(struct tracer *t, const char *but)
{
	char name[64];

	json_object_object_foreach(get(t->json, "losses"), key, val) {
		snprintf(name, sizeof(name), " %s ", key);
		if (but && strstr(but, name))
			continue;
		EXPECT(!json_object_get_uint64(val), "%s: %s", key,
		       json_object_get_string(val));
	}
}

/* The same trace in several forms: all see the same events. */
struct tracers {
	struct tracer json, table;
	struct tracer prom;	/* .pid 0: not of them */
};

/* For what metrics do not have. */
#define START_TEXTS(t, verb, ...) do {					\
	if (geteuid())							\
		SKIP("needs root");					\
	(t)->prom.pid = 0;						\
	SPAWN_VERB(&(t)->json, verb, NULL, "--json", __VA_ARGS__);	\
	SPAWN_VERB(&(t)->table, verb, NULL, __VA_ARGS__);		\
	wait_ready(&(t)->json);						\
	wait_ready(&(t)->table);					\
} while (0)

#define START_ALL(t, verb, ...) do {					\
	START_TEXTS(t, verb, __VA_ARGS__);				\
	SPAWN_VERB(&(t)->prom, verb, NULL, "--prometheus", "-",		\
		   __VA_ARGS__);					\
	wait_ready(&(t)->prom);						\
} while (0)

static inline void stop_all(struct tracers *t)
{
	stop(&t->json);
	kill(t->table.pid, SIGINT);
	EXPECT_EQ(finish(&t->table), 0);
	if (!t->prom.pid)
		return;
	kill(t->prom.pid, SIGINT);
	EXPECT_EQ(finish(&t->prom), 0);
}

/* Does a line of what @t printed begin with @text? */
static inline bool has_line(struct tracer *t, const char *text)
{
	size_t size = 0, n = strlen(text);
	bool found = false;
	char *line = NULL;

	rewind(t->out);
	while (!found && getline(&line, &size, t->out) >= 0)
		found = !strncmp(line, text, n);
	free(line);
	return found;
}

/* @n losses of kind @key, whose line in the table says @text, in every form. */
static inline void expect_lost(struct tracers *t, const char *key,
			       const char *text, uint64_t n)
{
	char line[128];

	EXPECT_EQ(num(get(t->json.json, "losses"), key), n);
	snprintf(line, sizeof(line), "lost: %lu %s", n, text);
	EXPECT(has_line(&t->table, line), "no line \"%s\" in the table", line);
	if (!t->prom.pid)
		return;
	snprintf(line, sizeof(line), "kvasir_trace_lost_total{kind=\"%s\"} %lu\n",
		 key, n);
	EXPECT(has_line(&t->prom, line), "no such metric: %s", line);
}

/* What the tracer's process has in memory, in KiB. */
static inline uint64_t memory_of(struct tracer *t)
{
	unsigned long long kib = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", t->pid);
	f = fopen(path, "re");
	ASSERT(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			break;
	fclose(f);
	ASSERT(kib, "%s: no VmRSS", path);
	return kib;
}

#define MEMORY_SLACK 1024	/* KiB: caches of the C library, nothing per guest */

/* It needs no more than @before. */
static inline void expect_memory(struct tracer *t, uint64_t before)
{
	uint64_t now = memory_of(t);

	EXPECT(now <= before + MEMORY_SLACK, "%lu KiB grew to %lu", before, now);
}

/* A return that did not occur has no key. */
static inline uint64_t returns(struct json_object *vm, const char *key)
{
	return json_object_get_uint64(get(get(vm, "returns"), key));
}

static inline void expect_returns(struct json_object *vm, const struct tiny_vcpu *v)
{
	ASSERT(vm, "not in the report");
	EXPECT_EQ(returns(vm, "IO"), v->io);
	EXPECT_EQ(returns(vm, "MMIO"), v->mmio);
	EXPECT_EQ(returns(vm, "HLT"), v->hlt);
	EXPECT_EQ(returns(vm, "INTR"), v->intr);
}

static inline const char *text_of(pid_t pid)
{
	static char buf[4][16];
	static int i;

	i = (i + 1) % 4;
	snprintf(buf[i], sizeof(buf[i]), "%d", pid);
	return buf[i];
}

/* Become nobody with @caps only. */
static inline void become_nobody(uint64_t caps)
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

static inline void no_caps(void)
{
	become_nobody(0);
}

static inline void two_caps(void)
{
	become_nobody(1ULL << CAP_BPF | 1ULL << CAP_PERFMON);
}

#endif
