// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sandbox a guest runs in.
 *
 * A guest that takes over this process finds the descriptors of its own
 * machine and nothing else: no capability, no way to open a file, to create
 * a process or to make memory executable.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <linux/vhost.h>
#include "../../kmod/include/uapi/linux/kvasir.h"
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* after <sys/ioctl.h>: both define struct termios' helpers */
#include <cap-ng.h>

#include "run.h"
#include "sandbox.h"

#define DROP_SIGNAL	(SIGRTMIN + 1)
#define DROP_TRIES	1000	/* of a millisecond */

/* ---- capabilities ---- */

/* Capabilities belong to threads; each gives up its own. Only system calls
 * that are safe in a signal handler.
 */
static void drop_own(int sig)
{
	struct { uint32_t version; int pid; } head = { 0x20080522, 0 };
	struct { uint32_t eff, perm, inh; } none[2] = { { 0 } };
	int saved = errno;

	(void)sig;
	syscall(SYS_capset, &head, none);
	errno = saved;
}

static bool has_caps(pid_t tid)
{
	bool ret;

	capng_setpid(tid);
	ret = capng_get_caps_process() ||
	      capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE;
	return ret;
}

/*
 * Threads the kernel made and runs in our name: vhost's workers since 6.4,
 * io_uring's. They never enter userspace, so there is nothing to confine, and
 * no handler would run. PF_* flags are field 9 of stat (proc(5)).
 */
static bool is_kernels(pid_t tid)
{
	const unsigned int user_worker = 0x4000, io_worker = 0x10;
	unsigned int flags = 0;
	char path[64], line[256];
	const char *p = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	/* the name, in parentheses, may hold anything */
	if (fgets(line, sizeof(line), f))
		p = strrchr(line, ')');
	fclose(f);
	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return false;
	return flags & (user_worker | io_worker);
}

/* One pass over the threads: signal those that still have any. */
static int drop_others(pid_t self, unsigned int *left)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;

	if (!dir)
		return -errno;
	*left = 0;
	while ((d = readdir(dir))) {
		pid_t tid = atoi(d->d_name);

		if (tid <= 0 || tid == self || !has_caps(tid) ||
		    is_kernels(tid))
			continue;
		(*left)++;
		syscall(SYS_tgkill, getpid(), tid, DROP_SIGNAL);
	}
	closedir(dir);
	return 0;
}

static int drop_capabilities(struct vm *vm)
{
	struct sigaction sa = { .sa_handler = drop_own,
				.sa_flags = SA_RESTART };
	const struct timespec ms = { .tv_nsec = 1000000 };
	pid_t self = gettid();
	unsigned int left = 0, i;
	int ret;

	/* the bounding set takes a capability to change */
	capng_clear(CAPNG_SELECT_BOTH);
	capng_apply(geteuid() ? CAPNG_SELECT_CAPS : CAPNG_SELECT_BOTH);
	sigaction(DROP_SIGNAL, &sa, NULL);
	for (i = 0; i < DROP_TRIES; i++) {
		ret = drop_others(self, &left);
		if (ret)
			return vmm_err(vm, ret, "sandbox: /proc/self/task: %s",
				       strerror(-ret));
		if (!left && !has_caps(self))
			return 0;
		nanosleep(&ms, NULL);
	}
	return vmm_err(vm, -EPERM,
		       "sandbox: %u threads keep their capabilities", left);
}

/* ---- system calls ---- */

static const int allowed[] = {
	/* data and events of open descriptors */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv),
	SCMP_SYS(preadv2), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fallocate),
	SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	/* on the disks' rings, which know only disk operations; no new ones */
	SCMP_SYS(io_uring_enter),
	/* control socket, console */
	SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
	/* memory and threads */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(wait4),
	SCMP_SYS(membarrier), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* time, randomness */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
};

/* What a running machine asks of its descriptors, request by request. */
static const unsigned long allowed_ioctls[] = {
	KVM_RUN, KVM_GET_REGS, KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IOEVENTFD,
	KVM_IRQ_LINE,
	VHOST_GET_FEATURES, VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE,
	VHOST_SET_VRING_NUM, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_BASE,
	VHOST_GET_VRING_BASE, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
	VHOST_SET_VRING_ERR, VHOST_NET_SET_BACKEND, KVASIR_BLK_SET_BACKEND,
	KVASIR_BLK_SET_WRITEBACK, KVASIR_BLK_GET_CAPACITY,
	TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETQUEUE, TCGETS, TCSETS, TCSETSW,
	TCSBRK, TIOCGWINSZ, FIONREAD,
};

static int allow_ioctls(scmp_filter_ctx f)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < sizeof(allowed_ioctls) /
			   sizeof(allowed_ioctls[0]); i++)
		ret = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX,
				allowed_ioctls[i]));
	return ret;
}

/* Memory that is not executable; threads, but no processes; no signals and
 * no SIGIO to anybody else.
 */
static int allow_by_argument(scmp_filter_ctx f)
{
	int ret;

	ret = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	ret = ret ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	ret = ret ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD,
				       CLONE_THREAD));
	/* its flags lie in memory no filter sees; libc falls back to clone */
	ret = ret ?: seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS),
				      SCMP_SYS(clone3), 0);
	ret = ret ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				      SCMP_A0(SCMP_CMP_EQ, getpid(), 0));
	ret = ret ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				      SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0));
	/* thread names */
	return ret ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
}

/* Standard error and the exit code are all that is left to use. */
static void on_forbidden(int sig, siginfo_t *info, void *context)
{
	char text[64];
	int n = snprintf(text, sizeof(text),
			 "kvasir: sandbox: forbidden system call %d\n",
			 info->si_syscall);

	(void)sig;
	(void)context;
	if (write(STDERR_FILENO, text, n) < 0)
		_exit(EXIT_VMM);
	_exit(EXIT_VMM);
}

static int load_filter(scmp_filter_ctx f)
{
	unsigned int i;
	int ret;

	ret = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	for (i = 0; !ret && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ret = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	ret = ret ?: allow_ioctls(f);
	ret = ret ?: allow_by_argument(f);
	return ret ?: seccomp_load(f);
}

int sandbox_enter(struct vm *vm)
{
	struct sigaction sa = { .sa_sigaction = on_forbidden,
				.sa_flags = SA_SIGINFO };
	scmp_filter_ctx f;
	int ret;

	ret = drop_capabilities(vm);
	if (ret)
		return ret;
	/* it makes virtual machines; this one exists */
	close(vm->kvm_fd);
	vm->kvm_fd = -1;
	sigaction(SIGSYS, &sa, NULL);
	f = seccomp_init(SCMP_ACT_TRAP);
	if (!f)
		return vmm_err(vm, -ENOMEM, "sandbox: out of memory");
	/* also sets no_new_privs, in all threads */
	ret = load_filter(f);
	seccomp_release(f);
	if (ret)
		return vmm_err(vm, ret, "sandbox: system call filter: %s",
			       strerror(-ret));
	return 0;
}
