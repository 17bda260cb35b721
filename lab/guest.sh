#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# guest.sh - make what a guest boots from and print the paths.
#
#   guest.sh [-r] [KERNEL]        KERNEL: series or release, default 6.1
#
# Prints three lines: the stock kernel's bzImage, the initramfs (initrd.sh) and,
# with -r, the Debian root file system image. The image is made once by
# debootstrap from this machine's own Debian archive and mke2fs, needs root for
# that, and is never written to afterwards: attach it as a snapshot.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

packages=iperf3,fio,iproute2,kmod
image=$KV_CACHE/rootfs.img

make_rootfs() (
	suite=bookworm
	key="$suite $packages"
	[ "$(cat "$image.key" 2>/dev/null || :)" != "$key" ] || return 0
	[ "$(id -u)" = 0 ] || die "the guest's root file system: debootstrap needs root"
	tree=$(mktemp -d "$KV_CACHE/rootfs.XXXXXX")
	trap 'rm -rf "$tree"' EXIT
	say "debootstrap of Debian $suite with $packages"
	# shellcheck disable=SC2046 # no argument when apt names no archive
	debootstrap --variant=minbase --include="$packages" "$suite" "$tree" $(kv_mirror $suite) \
		>"$KV_CACHE/debootstrap.log" 2>&1 ||
		die "debootstrap failed, see $KV_CACHE/debootstrap.log"
	rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale}
	say "making $image"
	rm -f "$image.new"
	mke2fs -q -t ext4 -L kvasir-guest -d "$tree" "$image.new" 1G >/dev/null
	mv "$image.new" "$image"
	echo "$key" >"$image.key"
)

rootfs=
case ${1:-} in
-r) rootfs=1; shift ;;
-h | --help) kv_usage; exit ;;
esac
kdir=$(kv_kernel_dir "${1:-${KV_SERIES[0]}}")

kv_lock guest
abench=$KV_BUILD/lab/abench
if [ ! "$abench" -nt "$KV_LAB/abench.c" ]; then
	mkdir -p "${abench%/*}"
	"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Werror -static -o "$abench" "$KV_LAB/abench.c"
fi
[ -z "$rootfs" ] || make_rootfs
echo "$kdir/boot/vmlinuz-$(kv_release "$kdir")"
"$KV_LAB/initrd.sh" guest "$kdir"
[ -z "$rootfs" ] || echo "$image"
