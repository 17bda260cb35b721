/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Test harness: every TEST() runs in a child process of its own with a
 * deadline, the results come out as KTAP, the exit status is 0 (all passed or
 * skipped), 1 (something failed) or 4 (everything skipped).
 *
 *	TEST("U-01 a second owner is refused")
 *	{
 *		int fd = open(...);
 *
 *		ASSERT(fd >= 0, "open: %s", strerror(errno));
 *		EXPECT_ERR(ioctl(fd, VHOST_SET_OWNER), EBUSY);
 *	}
 *
 * EXPECT* records a failure and goes on, ASSERT* ends the test, SKIP() ends
 * it with a reason. They may be used in helper functions, and from any process
 * the test forked (which must then leave by exit() for it to count).
 * What a test opens or maps is released by the end of its process.
 *
 * A test program takes -l (list) and -f TEXT (only the tests whose name
 * contains TEXT).
 */
#ifndef KVT_H
#define KVT_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kvt_test {
	const char *name;
	unsigned int seconds;
	void (*fn)(void);
	const void *arg;	/* for kvt_arg(), when one .fn has many cases */
	struct kvt_test *next;
};

/* Deadline of a test under emulation; nothing here measures speed. */
#define KVT_SECONDS 180

#define KVT_CAT_(a, b) a##b
#define KVT_CAT(a, b) KVT_CAT_(a, b)

#define KVT_TEST_(desc, secs, n)					\
	static void KVT_CAT(kvt_fn_, n)(void);				\
	static struct kvt_test KVT_CAT(kvt_test_, n) = {		\
		.name = desc, .seconds = secs, .fn = KVT_CAT(kvt_fn_, n),\
	};								\
	__attribute__((constructor))					\
	static void KVT_CAT(kvt_reg_, n)(void)				\
	{								\
		kvt_register(&KVT_CAT(kvt_test_, n));			\
	}								\
	static void KVT_CAT(kvt_fn_, n)(void)

#define TEST_SECONDS(desc, secs) KVT_TEST_(desc, secs, __COUNTER__)
#define TEST(desc) TEST_SECONDS(desc, KVT_SECONDS)

#define KVT_CHECK(fatal, cond, ...) do {				\
	if (!(cond))							\
		kvt_fail(fatal, __FILE__, __LINE__, #cond, __VA_ARGS__);\
} while (0)

#define KVT_EQ(fatal, got, want) do {					\
	long long kvt_g = (long long)(got), kvt_w = (long long)(want);	\
	if (kvt_g != kvt_w)						\
		kvt_fail(fatal, __FILE__, __LINE__, #got,		\
			 "%lld (0x%llx), expected %lld (0x%llx)",	\
			 kvt_g, kvt_g, kvt_w, kvt_w);			\
} while (0)

#define KVT_ERR(fatal, call, err) do {					\
	long kvt_r = (errno = 0, (long)(call));				\
	int kvt_e = errno;						\
	if (kvt_r != -1 || kvt_e != (err))				\
		kvt_fail(fatal, __FILE__, __LINE__, #call,		\
			 "returned %ld (%s), expected -1 (%s)", kvt_r,	\
			 kvt_r == -1 ? strerror(kvt_e) : "no error",	\
			 strerror(err));				\
} while (0)

#define KVT_OK(fatal, call) do {					\
	long kvt_r = (errno = 0, (long)(call));				\
	if (kvt_r < 0)							\
		kvt_fail(fatal, __FILE__, __LINE__, #call,		\
			 "returned %ld: %s", kvt_r, strerror(errno));	\
} while (0)

#define EXPECT(cond, ...)	KVT_CHECK(false, cond, __VA_ARGS__)
#define ASSERT(cond, ...)	KVT_CHECK(true, cond, __VA_ARGS__)
#define EXPECT_EQ(got, want)	KVT_EQ(false, got, want)
#define ASSERT_EQ(got, want)	KVT_EQ(true, got, want)
/* A libc-style call: fails with -1 and exactly this errno, or succeeds. */
#define EXPECT_ERR(call, err)	KVT_ERR(false, call, err)
#define ASSERT_ERR(call, err)	KVT_ERR(true, call, err)
#define EXPECT_OK(call)		KVT_OK(false, call)
#define ASSERT_OK(call)		KVT_OK(true, call)

#define SKIP(...)		kvt_skip(__VA_ARGS__)
/* A line of the test's log. */
#define NOTE(...)		kvt_note(__VA_ARGS__)

/* From a constructor; @test stays. TEST() does it. */
void kvt_register(struct kvt_test *test);
/* The running test's .arg */
const void *kvt_arg(void);
void kvt_fail(bool fatal, const char *file, int line, const char *what,
	      const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void kvt_skip(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void kvt_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Failures in this process so far; its exit status at the end of a test. */
int kvt_failures(void);

/**
 * kvt_child() - begin a part of the test in a process of its own
 *
 * What the test has for atexit() is not done at its end.
 *
 * Return: for kvt_child_end(); never an error
 */
pid_t kvt_child(void (*fn)(const void *arg), const void *arg);
/* Wait for it; if something failed in it, the test has. */
void kvt_child_end(pid_t pid);
/* Both. */
void kvt_in_child(void (*fn)(const void *arg), const void *arg);

/* How many CPUs this program could run on when it first asked. */
unsigned int kvt_cpus(void);

/* The @n-th of them, and around again behind the last. */
unsigned int kvt_cpu(unsigned int n);

/* Milliseconds of a monotonic clock, for deadlines. */
uint64_t kvt_now(void);
/* kvt_now() + @ms */
uint64_t kvt_deadline(unsigned int ms);
/* Milliseconds left, 0 when past; fits poll(). */
int kvt_left(uint64_t deadline);
void kvt_sleep(unsigned int ms);

/**
 * kvt_seed() - where this run's random numbers begin
 *
 * $KVT_SEED or the clock; printed, so that a failure can be repeated.
 */
uint64_t kvt_seed(void);
/* xorshift64*: small, and the same everywhere. @state must not be 0. */
uint64_t kvt_rand(uint64_t *state);

/* Field @n of /proc/PID/stat, from 3 on, counted as in proc(5); it is in @line. */
const char *kvt_stat_field(uint32_t pid, int n, char line[1024]);

/* "name = value" of the environment, or @fallback. */
const char *kvt_env(const char *name, const char *fallback);

#endif /* KVT_H */
