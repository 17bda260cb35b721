# SPDX-License-Identifier: GPL-2.0-only
#
# Front door of the project. 'make help' lists the targets.
#
# Everything built lies below O (default: build/); no source folder is written.

O	?= build
override O := $(abspath $(O))
export KVASIR_BUILD := $(O)

# The module is built for a lab kernel, or for the one KDIR points to.
KERNEL	?= 6.1
KDIR	?=
CASES	?=
PREFIX	?= /usr/local
DESTDIR	?=
KBUILD	:= lab/kbuild.sh $(if $(KDIR),-K $(KDIR),-k $(KERNEL))
SUBMAKE	= $(MAKE) --no-print-directory O=$(O)

.PHONY: all deps kmod user bpf selftests lab demo check check-host check-full check-debug \
	bench-net bench-blk bench-trace style analyze install install-kmod uninstall clean distclean help
.DEFAULT_GOAL := all

all: kmod user bpf selftests

deps:
	@lab/deps.sh check lab demo

kmod:
	@lab/deps.sh --check build
	@$(KBUILD)

bpf:
	@$(SUBMAKE) -C bpf

user: bpf
	@$(SUBMAKE) -C user

selftests: user
	@$(SUBMAKE) -C selftests

lab: kmod user
	@lab/l1.sh -k $(KERNEL) -t 86400

demo:
	@lab/demo.sh -k $(KERNEL)

check:
	@lab/check.sh all

check-host:
	@lab/check.sh host

check-full:
	@lab/check.sh full

check-debug:
	@lab/check.sh debug

bench-net:
	@lab/bench.sh -k $(KERNEL) $(CASES)

bench-blk:
	@lab/bench.sh -a blk -k $(KERNEL) $(CASES)

bench-trace:
	@lab/bench.sh -a trace -k $(KERNEL) $(CASES)

style:
	@lab/deps.sh check
	@lab/style.sh

analyze: bpf
	@lab/deps.sh check
	@lab/analyze.sh

# The module goes to the kernel that KDIR names; without KDIR it was built for
# the lab and is left out.
install: user $(if $(KDIR),install-kmod)
	$(SUBMAKE) -C user install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

install-kmod: kmod
	@rel=$$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$$/\1/p' \
		$(KDIR)/include/generated/utsrelease.h) && \
	dir=$(DESTDIR)/lib/modules/$$rel && \
	install -D -m 644 $(O)/kmod-$$rel/kvasir.ko $$dir/updates/kvasir.ko && \
	if [ -z "$(DESTDIR)" ]; then depmod $$rel; fi && \
	echo "installed $$dir/updates/kvasir.ko"

# What install would put there now, into a scratch folder, names what to remove.
uninstall: user
	@rm -rf $(O)/uninstall
	@$(SUBMAKE) -s -C user install PREFIX=$(PREFIX) DESTDIR=$(O)/uninstall
	@cd $(O)/uninstall && find . ! -type d -printf '%P\n' | while read -r f; do \
		rm -fv "$(DESTDIR)/$$f"; done
	@rm -rf $(O)/uninstall
	@for f in $(DESTDIR)/lib/modules/*/updates/kvasir.ko; do \
		[ ! -e "$$f" ] || rm -v "$$f"; done

# The downloads in build/cache stay; distclean takes them as well.
clean:
	rm -rf $(filter-out $(O)/cache,$(wildcard $(O)/*))

distclean:
	rm -rf $(O)

help:
	@echo 'make               module (lab kernel, or KDIR=), library, command, tracer, tests'
	@echo 'make kmod          the module: KERNEL=6.1|6.12 or KDIR=/lib/modules/VERSION/build'
	@echo 'make user|bpf|selftests'
	@echo 'make demo          a guest does its I/O through the module; about 5 minutes'
	@echo 'make lab           a shell in the lab host (KERNEL=)'
	@echo 'make check         all tests and the demo; check-host: those without lab and root;'
	@echo '                   check-full: with style, analysis and every kernel;'
	@echo '                   check-debug: under a debug kernel, which is built first'
	@echo 'make bench-net     the network path against vhost-net: KERNEL=, CASES="tx_insn ..."'
	@echo 'make bench-trace   what tracing exits costs, against perf and bpftrace'
	@echo 'make bench-blk     disks against QEMU: KERNEL=, CASES="insn_per_io_qd32 ..."'
	@echo 'make style         checkpatch, shellcheck, codespell, sizes'
	@echo 'make analyze       sparse, W=1, clang and its analyzer'
	@echo 'make install       DESTDIR= PREFIX= [KDIR=, for the module]; uninstall'
	@echo 'make deps          install the packages needed (Debian, root)'
	@echo 'make clean         all but the downloads; distclean: those, too'
	@echo
	@echo 'O=DIR builds elsewhere; KVASIR_CACHE=DIR keeps kernels and images elsewhere.'
