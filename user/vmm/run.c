// SPDX-License-Identifier: GPL-2.0-only
/*
 * One guest's life: build the machine from its options, run it, take it down
 * in reverse order.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "console.h"
#include "control.h"
#include "doorbell.h"
#include "janitor.h"
#include "pm.h"
#include "run.h"
#include "sandbox.h"

#define MAX_DEVS	(VMM_MAX_NETS + VMM_MAX_DISKS + 2)

struct machine {
	struct vm vm;
	const struct run_opts *opts;
	char socket[108];
	struct janitor janitor;
	sigset_t old_mask;
	int signal_fd;
	int signal;		/* taken, 0: none */
	struct timespec started;
	struct loop *loop;
	struct pm *pm;
	struct console_hub *console;
	struct control *control;
	unsigned int nr_devs;
	struct virtio_dev *devs[MAX_DEVS];
};

static void say(const struct machine *m, const struct virtio_dev *dev)
{
	char line[256];

	if (!m->opts->say)
		return;
	snprintf(line, sizeof(line), "%s: backend %s%s%s", dev->name,
		 virtio_backend_name(dev), dev->detail[0] ? ", " : "",
		 dev->detail);
	m->opts->say(m->opts->say_ctx, line);
}

/* ---- requests from outside ---- */

static void on_signal(void *ctx, int fd, short revents)
{
	struct machine *m = ctx;
	struct signalfd_siginfo info;

	(void)revents;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	m->signal = info.ssi_signo;
	vm_stop(&m->vm, VM_SIGNAL);
}

static void on_stop(void *ctx, int fd, short revents)
{
	struct machine *m = ctx;

	(void)fd;
	(void)revents;
	loop_quit(m->loop);
}

static uint64_t uptime_ms(const struct machine *m)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - m->started.tv_sec) * 1000 +
	       (now.tv_nsec - m->started.tv_nsec) / 1000000;
}

/* Also where the guest sees it, for those who trace its accesses. */
/* An address for each queue, from @first on; none for 0. */
static struct json_object *bells_info(const struct virtio_dev *d,
				      uint64_t first)
{
	struct json_object *bells = json_object_new_array();
	unsigned int i;

	for (i = 0; first && i < d->nr_queues; i++)
		json_object_array_add(bells, json_object_new_uint64(
			first + i * DOORBELL_STRIDE));
	return bells;
}

static struct json_object *dev_info(const struct virtio_dev *d)
{
	struct json_object *dev = json_object_new_object();
	const struct doorbells *at = virtio_pci_doorbells(d);
	uint64_t size, bar = virtio_pci_bar_gpa(d, &size);

	json_object_object_add(dev, "name", json_object_new_string(d->name));
	json_object_object_add(dev, "backend",
			       json_object_new_string(virtio_backend_name(d)));
	if (bar) {
		json_object_object_add(dev, "bar", json_object_new_uint64(bar));
		json_object_object_add(dev, "bar_size",
				       json_object_new_uint64(size));
	}
	json_object_object_add(dev, "doorbells",
			       bells_info(d, at ? at->gpa : 0));
	json_object_object_add(dev, "doorbell_ports",
			       bells_info(d, at ? at->port : 0));
	return dev;
}

static void ctl_info(void *ctx, struct json_object *reply)
{
	struct json_object *devs = json_object_new_array();
	const struct machine *m = ctx;
	unsigned int i;

	json_object_object_add(reply, "name",
			       json_object_new_string(m->opts->name));
	json_object_object_add(reply, "pid", json_object_new_int(getpid()));
	json_object_object_add(reply, "kernel",
			       json_object_new_string(m->opts->kernel));
	json_object_object_add(reply, "cpus",
			       json_object_new_int(m->vm.nr_vcpus));
	json_object_object_add(reply, "mem",
			       json_object_new_int64(m->vm.mem_size));
	json_object_object_add(reply, "uptime_ms",
			       json_object_new_int64(uptime_ms(m)));
	for (i = 0; i < m->nr_devs; i++)
		json_object_array_add(devs, dev_info(m->devs[i]));
	json_object_object_add(reply, "devices", devs);
}

static int ctl_stop(void *ctx)
{
	struct machine *m = ctx;

	return pm_power_button(m->pm);
}

static void ctl_kill(void *ctx)
{
	struct machine *m = ctx;

	vm_stop(&m->vm, VM_STOPPED);
}

static int ctl_resize(void *ctx, struct json_object *reply)
{
	struct json_object *disks = json_object_new_array();
	const struct machine *m = ctx;
	unsigned int i;

	json_object_object_add(reply, "disks", disks);
	for (i = 0; i < m->nr_devs; i++) {
		struct json_object *disk;
		uint64_t bytes;
		int ret;

		if (m->devs[i]->id != VIRTIO_ID_BLOCK)
			continue;
		ret = blk_resize(m->devs[i], &bytes);
		if (ret < 0)
			return ret;
		disk = json_object_new_object();
		json_object_object_add(disk, "name",
			json_object_new_string(m->devs[i]->name));
		json_object_object_add(disk, "bytes",
				       json_object_new_int64(bytes));
		json_object_object_add(disk, "changed",
				       json_object_new_boolean(ret));
		json_object_array_add(disks, disk);
	}
	return 0;
}

static int ctl_console(void *ctx, int fd, const char *greeting)
{
	struct machine *m = ctx;

	return m->console ? console_attach(m->console, fd, greeting) : -ENODEV;
}

/* ---- building ---- */

static int block_signals(struct machine *m)
{
	sigset_t mask, fd_mask;

	sigemptyset(&fd_mask);
	sigaddset(&fd_mask, SIGINT);
	sigaddset(&fd_mask, SIGTERM);
	sigaddset(&fd_mask, SIGHUP);
	sigaddset(&fd_mask, SIGQUIT);
	mask = fd_mask;
	sigaddset(&mask, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &mask, &m->old_mask);
	m->signal_fd = signalfd(-1, &fd_mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signal_fd < 0 ? vmm_err(&m->vm, -errno, "signalfd: %s",
					  strerror(errno)) : 0;
}

static int start_janitor(struct machine *m)
{
	const struct run_opts *o = m->opts;
	bool tty = o->con_in >= 0 && o->console != CONSOLE_NONE &&
		   isatty(o->con_in);
	int ret;

	if (o->name) {
		if (mkdir(VMM_RUN_DIR, 0755) < 0 && errno != EEXIST)
			return vmm_err(&m->vm, -errno, VMM_RUN_DIR ": %s",
				       strerror(errno));
		snprintf(m->socket, sizeof(m->socket), VMM_RUN_DIR "/%s.sock",
			 o->name);
	}
	ret = janitor_start(&m->janitor, tty ? o->con_in : -1,
			    o->name ? m->socket : NULL);
	return ret ? vmm_err(&m->vm, ret, "janitor process: %s",
			     strerror(-ret)) : 0;
}

static int build_loop(struct machine *m)
{
	int ret;

	ret = loop_create(&m->loop);
	if (!ret)
		ret = loop_add(m->loop, m->signal_fd, POLLIN, on_signal, m);
	if (!ret)
		ret = loop_add(m->loop, m->vm.stop_fd, POLLIN, on_stop, m);
	return ret ? vmm_err(&m->vm, ret, "event loop: %s", strerror(-ret)) :
	       0;
}

static int build_board(struct machine *m)
{
	struct vm *vm = &m->vm;
	const struct run_opts *o = m->opts;
	struct boot_state state;
	uint64_t rsdp;
	int ret;

	ret = pci_host_create(vm);
	ret = ret ?: pm_create(vm, &m->pm);
	ret = ret ?: vcpus_create(vm, o->cpus);
	ret = ret ?: acpi_create(vm, o->console == CONSOLE_SERIAL, &rsdp);
	ret = ret ?: boot_kernel(vm, o->kernel, o->initrd, o->cmdline, rsdp,
				 &state);
	return ret ?: vcpus_set_boot(vm, &state);
}

static void add_dev(struct machine *m, struct virtio_dev *dev)
{
	m->devs[m->nr_devs++] = dev;
	say(m, dev);
}

static int build_devices(struct machine *m)
{
	const struct run_opts *o = m->opts;
	struct virtio_dev *dev;
	unsigned int i;
	int ret;

	if (o->console != CONSOLE_NONE) {
		ret = console_create(&m->vm, m->loop, o, &dev, &m->console);
		if (dev)
			add_dev(m, dev);
		if (ret)
			return ret;
	}
	for (i = 0; i < o->nr_disks; i++) {
		ret = blk_create(&m->vm, &o->disks[i], i, &dev);
		if (ret)
			return ret;
		add_dev(m, dev);
	}
	for (i = 0; i < o->nr_nets; i++) {
		ret = net_create(&m->vm, &o->nets[i], i, &dev);
		if (ret)
			return ret;
		add_dev(m, dev);
	}
	if (o->rng) {
		ret = rng_create(&m->vm, &dev);
		if (ret)
			return ret;
		add_dev(m, dev);
	}
	return 0;
}

static int build_control(struct machine *m)
{
	static const struct control_ops ops = {
		.info = ctl_info,
		.stop = ctl_stop,
		.kill = ctl_kill,
		.resize = ctl_resize,
		.console = ctl_console,
	};

	if (!m->opts->name)
		return 0;
	return control_create(&m->vm, m->loop, m->socket, &m->janitor, &ops, m,
			      &m->control);
}

static int build(struct machine *m)
{
	const struct run_opts *o = m->opts;
	int ret;

	ret = block_signals(m);
	ret = ret ?: start_janitor(m);
	ret = ret ?: vm_create(&m->vm, o->mem, o->hugepages);
	ret = ret ?: build_loop(m);
	ret = ret ?: build_board(m);
	ret = ret ?: build_devices(m);
	ret = ret ?: build_control(m);
	if (!ret && o->sandbox)
		ret = sandbox_enter(&m->vm);
	return ret;
}

static void take_down(struct machine *m)
{
	control_destroy(m->control);
	while (m->nr_devs) {
		struct virtio_dev *dev = m->devs[--m->nr_devs];

		dev->ops->destroy(dev);
	}
	console_destroy(m->console);
	vcpus_destroy(&m->vm);
	pm_destroy(m->pm);
	pci_host_destroy(&m->vm);
	loop_destroy(m->loop);
	vm_destroy(&m->vm);
	janitor_finish(&m->janitor);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
	pthread_sigmask(SIG_SETMASK, &m->old_mask, NULL);
}

/* ---- running ---- */

static int run(struct machine *m)
{
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &m->started);
	ret = vcpus_start(&m->vm);
	if (!ret) {
		ret = loop_run(m->loop);
		if (ret)
			vmm_err(&m->vm, ret, "event loop: %s",
				strerror(-ret));
	}
	if (ret)
		vm_stop(&m->vm, VM_ERROR);
	vcpus_join(&m->vm);
	return ret;
}

static void conclude(const struct machine *m, bool ran, struct run_result *res)
{
	*res = (struct run_result) { .why = ran ? m->vm.why : VM_RUNNING };
	switch (res->why) {
	case VM_OFF:
	case VM_STOPPED:
		res->code = EXIT_GUEST_OFF;
		break;
	case VM_RESET:
		res->code = EXIT_RESET;
		snprintf(res->line, sizeof(res->line),
			 "the guest asked for a reset");
		break;
	case VM_SIGNAL:
		res->code = 128 + m->signal;
		break;
	case VM_CRASH:
		res->code = EXIT_CRASH;
		memcpy(res->line, m->vm.err, sizeof(res->line));
		break;
	default:
		res->code = m->vm.err_class ?: EXIT_VMM;
		memcpy(res->line, m->vm.err, sizeof(res->line));
		if (!res->line[0])
			snprintf(res->line, sizeof(res->line), "out of memory");
	}
}

int vmm_run(const struct run_opts *opts, struct run_result *res)
{
	struct machine *m = calloc(1, sizeof(*m));
	bool ran = false;

	if (!m) {
		*res = (struct run_result) { .code = EXIT_NO_MEMORY,
					     .line = "out of memory" };
		return res->code;
	}
	m->opts = opts;
	m->vm = (struct vm)VM_INIT;
	m->signal_fd = -1;
	if (!build(m)) {
		run(m);
		ran = true;
	}
	conclude(m, ran, res);
	take_down(m);
	free(m);
	return res->code;
}
