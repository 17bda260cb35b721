// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checks of kvasir doctor. Each looks at one thing, changes nothing, and
 * when it is missing names the command that mends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"
#include "kvasir.h"
#include "run.h"

/* Oldest kernel the module builds for. */
#define KERNEL_MAJOR	6
#define KERNEL_MINOR	1

static void ok(struct finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void missing(struct finding *f, const char *mend, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void ok(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	f->ok = true;
	f->mend[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

static void missing(struct finding *f, const char *mend, const char *fmt, ...)
{
	va_list ap;

	f->ok = false;
	snprintf(f->mend, sizeof(f->mend), "%s", mend);
	va_start(ap, fmt);
	vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

/* Value of "key : value" in a file of /proc; false without that key */
static bool proc_value(const char *path, const char *key, char *out,
		       size_t size)
{
	size_t len = strlen(key);
	char *line = NULL, *value;
	bool found = false;
	size_t room = 0;
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0) {
		if (strncmp(line, key, len))
			continue;
		value = line + len + strspn(line + len, " \t");
		if (*value != ':')
			continue;
		value += 1 + strspn(value + 1, " \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(out, size, "%s", value);
		found = true;
	}
	free(line);
	fclose(file);
	return found;
}

static bool word_in(const char *text, const char *word)
{
	size_t len = strlen(word);
	const char *p = text;

	while ((p = strstr(p, word))) {
		if ((p == text || p[-1] == ' ') &&
		    (p[len] == ' ' || !p[len]))
			return true;
		p += len;
	}
	return false;
}

static bool have_cap(unsigned int cap)
{
	char text[32];

	return proc_value("/proc/self/status", "CapEff", text, sizeof(text)) &&
	       strtoull(text, NULL, 16) >> cap & 1;
}

/* "svm", "vmx" or NULL */
static const char *cpu_flag(void)
{
	char flags[8192];

	if (!proc_value("/proc/cpuinfo", "flags", flags, sizeof(flags)))
		return NULL;
	return word_in(flags, "svm") ? "svm" :
	       word_in(flags, "vmx") ? "vmx" : NULL;
}

static const char *kvm_modprobe(void)
{
	const char *flag = cpu_flag();

	if (!flag)
		return "switch virtualization on in the firmware, or enable nested virtualization on the host";
	return *flag == 's' ? "modprobe kvm_amd" : "modprobe kvm_intel";
}

/* How to get at a node that exists. */
static void no_permission(struct finding *f, const char *path)
{
	const struct group *group = NULL;
	char mend[128] = "run as root";
	struct stat st;

	if (!stat(path, &st) && st.st_gid && (st.st_mode & 060) == 060)
		group = getgrgid(st.st_gid);
	if (group)
		snprintf(mend, sizeof(mend), "usermod -aG %s USER",
			 group->gr_name);
	missing(f, mend, "%s: no permission", path);
}

/*
 * Can the node be opened for reading and writing? The descriptor, or -1 and
 * the finding.
 */
static int open_node(struct finding *f, const char *path,
		     const char *absent_mend)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		no_permission(f, path);
	else
		missing(f, absent_mend, "%s: %s", path, strerror(errno));
	return -1;
}

static void look_kernel(struct finding *f)
{
	unsigned int major = 0, minor = 0;
	struct utsname uts;

	uname(&uts);
	if (sscanf(uts.release, "%u.%u", &major, &minor) == 2 &&
	    (major > KERNEL_MAJOR ||
	     (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)))
		ok(f, "%s", uts.release);
	else
		missing(f, "boot a newer kernel (Debian 12: linux-image-amd64)",
			"%s is older than %d.%d", uts.release, KERNEL_MAJOR,
			KERNEL_MINOR);
}

static void look_cpu(struct finding *f)
{
	const char *flag = cpu_flag();

	if (flag)
		ok(f, "%s", flag);
	else
		missing(f, kvm_modprobe(),
			"no svm or vmx flag in /proc/cpuinfo");
}

static void look_kvm_caps(struct finding *f, int fd)
{
	static const struct {
		int cap;
		const char *name;
	} caps[] = {
		{ KVM_CAP_IRQCHIP, "irqchip" },
		{ KVM_CAP_USER_MEMORY, "user-memory" },
		{ KVM_CAP_IRQ_ROUTING, "irq-routing" },
		{ KVM_CAP_IRQFD, "irqfd" },
		{ KVM_CAP_IOEVENTFD, "ioeventfd" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate-exit" },
	};
	int version = ioctl(fd, KVM_GET_API_VERSION, 0);
	unsigned int i;

	if (version != KVM_API_VERSION) {
		missing(f, "check what /dev/kvm is",
			"/dev/kvm: API version %d, not %d", version,
			KVM_API_VERSION);
		return;
	}
	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, caps[i].cap) <= 0) {
			missing(f, "boot another kernel",
				"/dev/kvm: lacks %s", caps[i].name);
			return;
		}
	ok(f, "/dev/kvm, API version %d", version);
}

static void look_kvm(struct finding *f)
{
	int fd = open_node(f, "/dev/kvm", kvm_modprobe());

	if (fd < 0)
		return;
	look_kvm_caps(f, fd);
	close(fd);
}

static void look_module(struct finding *f)
{
	struct kvasir_module_info info = { .sz = sizeof(info) };

	if (kvasir_module_status(&info) || !info.loaded)
		missing(f, "kvasir module load", "kvasir: not loaded");
	else if (strcmp(info.version, kvasir_version()))
		missing(f, "kvasir module unload; then load the module of this release",
			"kvasir %s loaded, this command is %s", info.version,
			kvasir_version());
	else
		ok(f, "kvasir %s, used by %u", info.version, info.refcount);
}

static void look_nodes(struct finding *f)
{
	static const char *const paths[] = {
		"/dev/kvasir-net", "/dev/kvasir-blk",
	};
	unsigned int i;
	int fd;

	for (i = 0; i < 2; i++) {
		fd = open_node(f, paths[i], "kvasir module load");
		if (fd < 0)
			return;
		close(fd);
	}
	ok(f, "%s, %s", paths[0], paths[1]);
}

static void look_tun(struct finding *f)
{
	int fd = open_node(f, "/dev/net/tun", "modprobe tun");

	if (fd < 0)
		return;
	close(fd);
	ok(f, "/dev/net/tun");
}

static void look_net_admin(struct finding *f)
{
	if (have_cap(CAP_NET_ADMIN))
		ok(f, "CAP_NET_ADMIN");
	else
		missing(f, "run as root, or 'setcap cap_net_admin+ep' on the kvasir program",
			"no CAP_NET_ADMIN");
}

static void look_vhost(struct finding *f)
{
	int fd = open_node(f, "/dev/vhost-net", "modprobe vhost_net");

	if (fd < 0)
		return;
	close(fd);
	ok(f, "/dev/vhost-net");
}

static void look_run_dir(struct finding *f)
{
	/* The first guest makes the folder, so its parent counts. */
	const char *dir = access(VMM_RUN_DIR, F_OK) ? "/run" : VMM_RUN_DIR;

	if (!access(dir, W_OK | X_OK))
		ok(f, VMM_RUN_DIR);
	else
		missing(f, "run as root, or 'install -d -g kvm -m 3770 " VMM_RUN_DIR "'",
			"%s: %s", dir, strerror(errno));
}

static void look_hugepages(struct finding *f)
{
	char total[32] = "0", free_pages[32] = "0", size[32] = "?";

	proc_value("/proc/meminfo", "HugePages_Total", total, sizeof(total));
	proc_value("/proc/meminfo", "HugePages_Free", free_pages,
		   sizeof(free_pages));
	proc_value("/proc/meminfo", "Hugepagesize", size, sizeof(size));
	if (strtoul(free_pages, NULL, 10))
		ok(f, "%s of %s free, %s each", free_pages, total, size);
	else
		missing(f, "sysctl vm.nr_hugepages=512",
			"no free huge page (%s in the pool)", total);
}

static void look_memlock(struct finding *f)
{
	/* What io_uring and the module pin at the most at a time. */
	const rlim_t least = 8 << 20;
	struct rlimit lim;

	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (lim.rlim_cur == RLIM_INFINITY)
		ok(f, "unlimited");
	else if (lim.rlim_cur >= least || have_cap(CAP_IPC_LOCK))
		ok(f, "%llu KiB", (unsigned long long)lim.rlim_cur >> 10);
	else
		missing(f, "ulimit -l 65536",
			"%llu KiB of locked memory allowed",
			(unsigned long long)lim.rlim_cur >> 10);
}

static void look_btf(struct finding *f)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		ok(f, "/sys/kernel/btf/vmlinux");
	else
		missing(f, "boot a kernel built with CONFIG_DEBUG_INFO_BTF",
			"/sys/kernel/btf/vmlinux: %s", strerror(errno));
}

static void look_module_btf(struct finding *f)
{
	if (!access("/sys/kernel/btf/kvasir", R_OK))
		ok(f, "/sys/kernel/btf/kvasir");
	else
		missing(f, "load the module; if it is, rebuild it with pahole (apt-get install dwarves)",
			"/sys/kernel/btf/kvasir: %s", strerror(errno));
}

static void look_tracefs(struct finding *f)
{
	static const char *const paths[] = {
		"/sys/kernel/tracing/events/kvm",
		"/sys/kernel/debug/tracing/events/kvm",
	};

	if (!access(paths[0], R_OK))
		ok(f, "%s", paths[0]);
	else if (!access(paths[1], R_OK))
		ok(f, "%s", paths[1]);
	else if (errno == EACCES)
		missing(f, "run as root", "/sys/kernel/tracing: no permission");
	else if (access("/sys/kernel/tracing/events", F_OK))
		missing(f, "mount -t tracefs tracefs /sys/kernel/tracing",
			"tracefs is not mounted");
	else
		missing(f, kvm_modprobe(), "no KVM events in tracefs");
}

static void look_bpf(struct finding *f)
{
	if (have_cap(CAP_SYS_ADMIN))
		ok(f, "CAP_SYS_ADMIN");
	else if (have_cap(CAP_BPF) && have_cap(CAP_PERFMON))
		ok(f, "CAP_BPF and CAP_PERFMON");
	else
		missing(f, "run as root, or 'setcap cap_bpf,cap_perfmon+ep' on the kvasir program",
			"no CAP_BPF and CAP_PERFMON");
}

const struct doctor_check doctor_checks[] = {
	{ "kernel", true, look_kernel, "the module" },
	{ "cpu", false, look_cpu, "hardware virtualization" },
	{ "kvm", true, look_kvm, "kvasir run" },
	{ "module", true, look_module, "backend=kvasir" },
	{ "nodes", true, look_nodes, "backend=kvasir" },
	{ "tun", true, look_tun, "kvasir run --net" },
	{ "net-admin", false, look_net_admin,
	  "making taps, bridge=, kvasir stats" },
	{ "vhost-net", false, look_vhost, "backend=vhost" },
	{ "run-dir", false, look_run_dir, "kvasir ps, stop and console" },
	{ "hugepages", false, look_hugepages, "kvasir run --hugepages" },
	{ "memlock", false, look_memlock, "backend=user for disks" },
	{ "btf", false, look_btf, "kvasir trace" },
	{ "module-btf", false, look_module_btf,
	  "BPF programs on the module's tracepoints" },
	{ "tracefs", false, look_tracefs, "kvasir trace" },
	{ "bpf", false, look_bpf, "kvasir trace" },
	{ 0 },
};
