// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace exits` against guests whose exits take a known time.
 *
 * Proven: p50 and p99 agree with what the VMM itself measured; the parts of the
 * time are told apart (userspace, blocked, ready but not running); exits are
 * told apart by port, address and leaf; one vCPU or one VM can be chosen; a vCPU
 * that goes from thread to thread is one vCPU and loses nothing; threads come
 * and go; what has no room is counted as lost.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "tracer.h"

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void spin(uint64_t for_ns)
{
	uint64_t end = ns() + for_ns;

	while (ns() < end)
		;
}

static void doze(uint64_t for_ns)
{
	struct timespec ts = { .tv_nsec = (long)for_ns };

	nanosleep(&ts, NULL);
}

/* What the tracer knows of a reason of the process's only VM, or ends the test. */
static struct json_object *reason(struct tracer *t, const char *svm,
				  const char *vmx)
{
	struct json_object *rows = get(vm_of(t, getpid(), 0), "reasons"), *r;
	const char *name;
	size_t i;

	for (i = 0; (r = item(rows, i)); i++) {
		name = json_object_get_string(get(r, "reason"));
		if (!strcmp(name, svm) || !strcmp(name, vmx))
			return r;
	}
	ASSERT(false, "no exits for %s", svm);
	return NULL;
}

/* ---- times ---- */

#define SHORT_NS	6000000u
#define LONG_NS		30000000u
#define SLOW_EVERY	20
#define TIMED		200

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* As hist_quantile() ranks them. */
static uint64_t rank(const uint64_t *sorted, unsigned int n, unsigned int permille)
{
	unsigned int r = (n * permille + 999) / 1000;

	return sorted[r ? r - 1 : 0];
}

/*
 * How long a guest's OUTs were handled, as the VMM sees it, sorted. From exit to
 * entry it was no less than from a return of KVM_RUN to the next call of it, and
 * no more than from the call before to the return behind, whoever else had the
 * CPU in between. So it is with every rank of them, too.
 */
struct handled {
	uint64_t least[TIMED], most[TIMED];
};

static void expect_rank(const char *what, uint64_t got, const struct handled *h,
			unsigned int permille)
{
	uint64_t least = rank(h->least, TIMED, permille);
	uint64_t most = rank(h->most, TIMED, permille);

	NOTE("%s: the tracer %lu ns, the VMM %lu to %lu ns", what, got, least, most);
	EXPECT(got >= least - least / 20 && got <= most + most / 20,
	       "%s is out of that by more than 5 %%", what);
}

/* Run the guest's OUTs, each with a delay in the handler. */
static void run_delayed(struct tiny_vm *vm, void (*delay)(uint64_t),
			struct handled *h)
{
	const struct tiny_load load = { .out = TIMED };
	uint64_t before = 0, call, back;
	unsigned int n = 0;

	tiny_set(vm, 0, &load);
	call = ns();
	while (tiny_step(&vm->vcpu[0])) {
		back = ns();
		ASSERT(n < TIMED, "more exits than asked for");
		if (n)
			h->most[n - 1] = back - before;
		delay(n % SLOW_EVERY ? SHORT_NS : LONG_NS);
		before = call;
		call = ns();
		h->least[n++] = call - back;
	}
	ASSERT_EQ(n, TIMED);
	h->most[n - 1] = ns() - before;
	qsort(h->least, TIMED, sizeof(*h->least), by_value);
	qsort(h->most, TIMED, sizeof(*h->most), by_value);
}

TEST("p50 and p99 are within 5 % of what the VMM measured")
{
	static struct handled h;
	struct json_object *user;
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	run_delayed(&vm, spin, &h);
	stop(&t);
	NEED_EXITS(&t);
	user = get(reason(&t, "io", "IO_INSTRUCTION"), "user");
	/* The last OUT ends the load: counted, never timed. */
	ASSERT_EQ(num(user, "count"), TIMED + 1);
	ASSERT_EQ(num(user, "untimed"), 1);
	EXPECT(num(user, "min_ns") >= h.least[0], "a minimum below the delay");
	EXPECT(num(user, "max_ns") >= h.least[TIMED - 1],
	       "a maximum below the delay");
	EXPECT(num(user, "total_ns") >= TIMED * (uint64_t)SHORT_NS,
	       "less in all than the delays");
	expect_rank("p50", num(user, "p50_ns"), &h, 500);
	expect_rank("p99", num(user, "p99_ns"), &h, 990);
}

static uint64_t share(struct json_object *of, const char *part)
{
	return 100 * num(of, part) / num(of, "total_ns");
}

static void expect_parts(struct json_object *row)
{
	EXPECT_EQ(num(row, "kernel_ns") + num(row, "user_ns") +
		  num(row, "ready_ns") + num(row, "blocked_ns") +
		  num(row, "poll_ns"), num(row, "total_ns"));
	EXPECT(num(row, "kernel_ns") <= num(row, "total_ns"),
	       "the parts are more than the whole");
}

TEST("a VMM that sleeps is blocked, one that works is userspace")
{
	static struct handled h;
	struct json_object *row;
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	run_delayed(&vm, doze, &h);
	stop(&t);
	NEED_EXITS(&t);
	row = reason(&t, "io", "IO_INSTRUCTION");
	expect_parts(row);
	EXPECT(num(row, "blocked_ns") >= TIMED * (uint64_t)SHORT_NS,
	       "blocked for %lu ns only", num(row, "blocked_ns"));
	EXPECT(share(row, "user_ns") < 50, "userspace %lu %%",
	       share(row, "user_ns"));

	START(&t, "-p", text_of(getpid()));
	run_delayed(&vm, spin, &h);
	stop(&t);
	row = reason(&t, "io", "IO_INSTRUCTION");
	expect_parts(row);
	/* Of a busy machine a part is waiting for a CPU. */
	EXPECT(num(row, "user_ns") + num(row, "ready_ns") >=
	       TIMED * (uint64_t)SHORT_NS,
	       "userspace %lu ns", num(row, "user_ns"));
	EXPECT(share(row, "blocked_ns") < 5, "blocked %lu %%",
	       share(row, "blocked_ns"));
}

static volatile bool enough;

static void *hog(void *arg)
{
	(void)arg;
	while (!enough)
		;
	return NULL;
}

TEST("who waits for a CPU is ready, not blocked")
{
	static struct handled h;
	struct json_object *row;
	struct tiny_vm vm;
	struct tracer t;
	pthread_t id;
	cpu_set_t one;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	/* A thread inherits where it may run. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ASSERT_OK(sched_setaffinity(0, sizeof(one), &one));
	ASSERT_EQ(pthread_create(&id, NULL, hog, NULL), 0);
	run_delayed(&vm, spin, &h);
	enough = true;
	pthread_join(id, NULL);
	stop(&t);
	NEED_EXITS(&t);
	row = reason(&t, "io", "IO_INSTRUCTION");
	expect_parts(row);
	EXPECT(share(row, "ready_ns") >= 20, "ready for %lu %% only",
	       share(row, "ready_ns"));
	EXPECT(share(row, "blocked_ns") < 5, "blocked %lu %%",
	       share(row, "blocked_ns"));
}

static void *spin_to_end(void *arg)
{
	struct tiny_vm *vm = arg;

	while (tiny_step(&vm->vcpu[0]))
		spin(SHORT_NS);
	enough = true;
	return NULL;
}

TEST("a thread that gave the vCPU to another sleeps on its own account")
{
	const struct tiny_load load = { .out = TIMED };
	struct json_object *row;
	struct tiny_vm vm;
	struct tracer t;
	pthread_t id;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	tiny_set(&vm, 0, &load);
	enough = false;
	ASSERT(tiny_step(&vm.vcpu[0]), "no OUT");
	ASSERT_EQ(pthread_create(&id, NULL, spin_to_end, &vm), 0);
	while (!enough)
		doze(SHORT_NS / 2);
	pthread_join(id, NULL);
	stop(&t);
	NEED_EXITS(&t);
	row = reason(&t, "io", "IO_INSTRUCTION");
	EXPECT_EQ(num(row, "count"), TIMED + 1);
	expect_parts(row);
	EXPECT(share(row, "blocked_ns") < 50, "blocked %lu %%",
	       share(row, "blocked_ns"));
}

#define HALTS 500

/* Let KVM_RUN halt @v, and return at once, @n times: a signal is always pending. */
static void halt_in_vain(struct tiny_vcpu *v, unsigned int n)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;		/* none is blocked in KVM_RUN */
	} mask = { .head.len = 8 };
	struct kvm_mp_state halted = { KVM_MP_STATE_HALTED }, runs = { 0 };
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
	ASSERT_OK(ioctl(v->fd, KVM_SET_SIGNAL_MASK, &mask));
	ASSERT_OK(ioctl(v->fd, KVM_SET_MP_STATE, &halted));
	raise(SIGUSR1);
	while (n--)
		ASSERT(ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR,
		       "KVM_RUN of a halted vCPU: %s", strerror(errno));
	ASSERT_OK(ioctl(v->fd, KVM_SET_MP_STATE, &runs));
	ASSERT_OK(ioctl(v->fd, KVM_SET_SIGNAL_MASK, NULL));
}

TEST("polling behind a return of KVM_RUN is not userspace, too")
{
	const struct tiny_load load = { .out = 1 };
	struct json_object *row;
	struct tiny_vm vm;
	struct tracer t;

	tiny_create_with(&vm, 1, true);
	START(&t, "-p", text_of(getpid()));
	tiny_set(&vm, 0, &load);
	ASSERT(tiny_step(&vm.vcpu[0]), "no OUT");
	halt_in_vain(&vm.vcpu[0], HALTS);
	ASSERT(!tiny_step(&vm.vcpu[0]), "more than an OUT");
	stop(&t);
	NEED_EXITS(&t);
	row = reason(&t, "io", "IO_INSTRUCTION");
	NOTE("polled for %lu of %lu ns", num(row, "poll_ns"), num(row, "total_ns"));
	expect_parts(row);
}

/* What KVM counts of the vCPU at @fd by the name @name. */
static uint64_t kvm_stat(int fd, const char *name)
{
	int stats = ioctl(fd, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	char text[256];
	uint64_t value;
	unsigned int i;
	struct kvm_stats_desc *desc = (void *)text;

	ASSERT(stats >= 0, "KVM_GET_STATS_FD: %s", strerror(errno));
	ASSERT_EQ(pread(stats, &head, sizeof(head), 0), (ssize_t)sizeof(head));
	ASSERT(sizeof(*desc) + head.name_size <= sizeof(text), "long names");
	for (i = 0; i < head.num_desc; i++) {
		size_t size = sizeof(*desc) + head.name_size;

		ASSERT_EQ(pread(stats, text, size, head.desc_offset + i * size),
			  (ssize_t)size);
		if (strcmp(desc->name, name))
			continue;
		ASSERT_EQ(pread(stats, &value, sizeof(value),
				head.data_offset + desc->offset),
			  (ssize_t)sizeof(value));
		close(stats);
		return value;
	}
	ASSERT(false, "KVM does not count %s", name);
	return 0;
}

static uint64_t kvm_polled(const struct tiny_vcpu *v)
{
	return kvm_stat(v->fd, "halt_poll_success_ns") +
	       kvm_stat(v->fd, "halt_poll_fail_ns");
}

/* Halt until the alarm, which comes after @us. */
static void halt_for(struct tiny_vcpu *v, unsigned int us)
{
	const struct itimerval once = { .it_value.tv_usec = us };
	struct kvm_mp_state halted = { KVM_MP_STATE_HALTED };
	sigset_t alarm;
	int sig;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	ASSERT_OK(ioctl(v->fd, KVM_SET_MP_STATE, &halted));
	ASSERT_OK(setitimer(ITIMER_REAL, &once, NULL));
	ASSERT(ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR,
	       "KVM_RUN of a halted vCPU: %s", strerror(errno));
	ASSERT_EQ(sigwait(&alarm, &sig), 0);
}

#define NAPS 50

/* Short halts make KVM poll, long ones let it sleep: in turn, within one exit. */
static void poll_and_sleep(struct tiny_vcpu *v)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;		/* none is blocked in KVM_RUN */
	} mask = { .head.len = 8 };
	struct kvm_mp_state runs = { 0 };
	sigset_t alarm;
	unsigned int i;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &alarm, NULL), 0);
	ASSERT_OK(ioctl(v->fd, KVM_SET_SIGNAL_MASK, &mask));
	for (i = 0; i < NAPS; i++) {
		halt_for(v, 1);
		halt_for(v, 1);
		halt_for(v, 3000);
	}
	ASSERT_OK(ioctl(v->fd, KVM_SET_MP_STATE, &runs));
	ASSERT_OK(ioctl(v->fd, KVM_SET_SIGNAL_MASK, NULL));
}

TEST("many halts in one exit: what each polled is counted, not slept through")
{
	const struct tiny_load load = { .out = 1 };
	struct json_object *row;
	struct tiny_vm vm;
	struct tracer t;
	uint64_t polled;

	tiny_create_with(&vm, 1, true);
	START(&t, "-p", text_of(getpid()));
	tiny_set(&vm, 0, &load);
	ASSERT(tiny_step(&vm.vcpu[0]), "no OUT");
	polled = kvm_polled(&vm.vcpu[0]);
	poll_and_sleep(&vm.vcpu[0]);
	polled = kvm_polled(&vm.vcpu[0]) - polled;
	ASSERT(!tiny_step(&vm.vcpu[0]), "more than an OUT");
	stop(&t);
	NEED_EXITS(&t);
	row = reason(&t, "io", "IO_INSTRUCTION");
	NOTE("polled for %lu ns, says KVM; the tracer %lu of %lu ns, %lu blocked",
	     polled, num(row, "poll_ns"), num(row, "total_ns"),
	     num(row, "blocked_ns"));
	expect_parts(row);
	if (!polled)
		SKIP("KVM did not poll");
	EXPECT_EQ(num(row, "poll_ns"), polled);
}

/* ---- what they are about ---- */

static uint64_t by_address(struct json_object *vm, const char *kind,
			   uint64_t value)
{
	struct json_object *list = get(vm, "by_address"), *s;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; (s = item(list, i)); i++)
		if (!strcmp(json_object_get_string(get(s, "kind")), kind) &&
		    num(s, "value") == value)
			sum += num(s, "count");
	return sum;
}

static const struct tiny_load some = { 300, 200, 100, 50, 0 };

TEST("--by addr tells ports, addresses and leaves apart, exactly")
{
	struct json_object *json;
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()), "--by", "addr");
	tiny_run(&vm, 0, &some);
	tiny_run(&vm, 0, &some);
	stop(&t);
	NEED_EXITS(&t);
	json = vm_of(&t, getpid(), 0);
	EXPECT_EQ(by_address(json, "port-out", TINY_PORT), 2 * some.out);
	/* The very last one is never timed. */
	EXPECT_EQ(by_address(json, "port-out", TINY_DONE), 1);
	EXPECT_EQ(by_address(json, "mmio-write", TINY_MMIO), 2 * some.mmio);
	EXPECT_EQ(by_address(json, "cpuid", 0), 2 * some.cpuid);
	expect_no_loss(&t, NULL);
}

TEST("--symbols names where the guest was")
{
	const char *map = symbols_write();
	struct json_object *samples, *s;
	struct tiny_vm vm;
	struct tracer t;
	uint64_t at = 0;
	size_t i;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()), "--symbols", map);
	tiny_run(&vm, 0, &some);
	stop(&t);
	unlink(map);
	samples = need_samples(&t);
	for (i = 0; (s = item(samples, i)); i++)
		if (!strncmp(json_object_get_string(get(s, "symbol")),
			     "tiny_start+0x", 13))
			at += num(s, "samples");
	EXPECT(at >= (some.cpuid + some.out + some.mmio + some.hlt) / 16 / 2,
	       "%lu samples in tiny_start", at);
}

/* ---- who it is ---- */

TEST("--vcpu shows one vCPU only")
{
	struct json_object *json;
	struct tiny_vm vm;
	struct tracer t;

	tiny_create(&vm, 2);
	START(&t, "-p", text_of(getpid()), "--vcpu", "1");
	tiny_run(&vm, 0, &some);
	tiny_run(&vm, 1, &some);
	tiny_run(&vm, 0, &some);
	stop(&t);
	NEED_EXITS(&t);
	json = vm_of(&t, getpid(), 0);
	EXPECT(!vcpu_of(json, 0), "vCPU 0 is shown");
	expect_load(json, &some, 1);
	expect_no_loss(&t, NULL);
}

struct turn {
	struct tiny_vm *vm;
	unsigned int steps;	/* at most */
	bool more;
};

static void *take_turn(void *arg)
{
	struct turn *turn = arg;

	while (turn->more && turn->steps--)
		turn->more = tiny_step(&turn->vm->vcpu[0]);
	return NULL;
}

TEST("T-02 a vCPU that goes from thread to thread loses nothing")
{
	struct turn turn = { .more = true };
	struct tiny_vm vm;
	unsigned int n = 0;
	struct tracer t;
	pthread_t id;

	tiny_create(&vm, 1);
	START(&t, "-p", text_of(getpid()));
	tiny_set(&vm, 0, &some);
	turn.vm = &vm;
	/* A new thread for every few exits; all others: this one. */
	while (turn.more) {
		turn.steps = 5;
		if (n++ % 2) {
			take_turn(&turn);
			continue;
		}
		ASSERT_EQ(pthread_create(&id, NULL, take_turn, &turn), 0);
		pthread_join(id, NULL);
	}
	stop(&t);
	NEED_EXITS(&t);
	expect_load(vm_of(&t, getpid(), 0), &some, 1);
	EXPECT(!vm_of(&t, getpid(), 1), "one VM is shown as two");
	expect_returns(vm_of(&t, getpid(), 0), &vm.vcpu[0]);
	expect_no_loss(&t, NULL);
}

TEST("T-01 a guest that is not there has no name, and that is said")
{
	static char buf[256];
	struct tracer t;

	SPAWN(&t, NULL, "--vm", "kvt-no-such-guest", "-d", "1");
	EXPECT_EQ(finish(&t), 4);
	EXPECT(strstr(t.text, "there is no such guest"), "it said: %s", t.text);
	output(&t, buf, sizeof(buf));
	EXPECT(!*buf, "and printed: %s", buf);
}

TEST("numbers of processes that mean others to the kernel are refused")
{
	struct tracer t;

	ASSERT_OK(unshare(CLONE_NEWPID));
	SPAWN(&t, NULL, "-p", "1", "-d", "1");	/* itself */
	EXPECT_EQ(finish(&t), 4);
	EXPECT(strstr(t.text, "PID namespace"), "it said: %s", t.text);
}

TEST("files that are no symbols are refused")
{
	static const char *const bad[] = { "/dev/null", "/nonexistent", "/etc/passwd" };
	struct tracer t;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		SPAWN(&t, NULL, "--symbols", bad[i], "-d", "1");
		EXPECT_EQ(finish(&t), 4);
		EXPECT(strstr(t.text, bad[i]), "it said: %s", t.text);
		fclose(t.out);
	}
}
