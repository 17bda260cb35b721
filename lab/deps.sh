#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deps.sh - see that the packages for a purpose are installed.
#
#   deps.sh [--check] SET...      SET: build, lab, check, demo, debug-kernel, bench
#
# On Debian as root it installs what is missing; otherwise, or with --check, it
# names it in one line and fails. Nothing missing: silent.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

# Kernel images and headers are never among them: installing those writes to
# /boot. kernels.sh keeps them in the cache instead.
build=(make gcc libc6-dev pkg-config kmod cpio xz-utils python3 dpkg-dev
	dwarves libelf-dev zlib1g-dev clang llvm bpftool libbpf-dev
	libnl-3-dev libnl-genl-3-dev libnl-route-3-dev libkmod-dev liburing-dev
	libcap-ng-dev libseccomp-dev libjson-c-dev)
lab=(qemu-system-x86 seabios busybox-static cpio kmod xz-utils zstd python3
	iproute2 bpftool)
check=(libclang-rt-dev e2fsprogs perl shellcheck codespell sparse acpica-tools
	mandoc xfsprogs dmsetup)
demo=(debootstrap e2fsprogs iperf3)
debug_kernel=(flex bison bc libssl-dev)
# linux-perf only tells where instructions go; its version need not be that of
# the kernel.
bench=(qemu-system-common linux-perf bpftrace)

check_only=
wanted=()
for arg; do
	case $arg in
	build) wanted+=("${build[@]}") ;;
	lab) wanted+=("${lab[@]}") ;;
	check) wanted+=("${build[@]}" "${check[@]}") ;;
	demo) wanted+=("${build[@]}" "${lab[@]}" "${demo[@]}") ;;
	debug-kernel) wanted+=("${build[@]}" "${debug_kernel[@]}") ;;
	--check) check_only=1 ;;
	bench) wanted+=("${bench[@]}") ;;
	-h | --help) kv_usage; exit ;;
	*) say "unknown set '$arg' (see --help)"; exit 2 ;;
	esac
done

command -v dpkg-query >/dev/null || exit 0
missing=$({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || :; } |
	sed -n 's/^installed //p' | sort -u |
	comm -13 - <(printf '%s\n' "${wanted[@]}" | sort -u) | paste -sd' ')
[ -n "$missing" ] || exit 0
if [ -n "$check_only" ] || [ "$(id -u)" != 0 ]; then
	die "missing packages; as root: apt-get install --no-install-recommends $missing"
fi

# shellcheck disable=SC2086 # a list of package names
install() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
		install --no-install-recommends $missing >/dev/null
}
say "installing $missing"
if ! install; then
	say "apt-get update"
	apt-get -qq update
	install || die "apt-get could not install: $missing"
fi
