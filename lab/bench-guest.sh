#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-guest.sh - what the guests of the bench boot from.
#
#   bench-guest.sh KERNEL DIR [MODULE...]
#
# Prints two lines: the kernel, and in DIR an initramfs that is guest.sh's with
# the load programs added, and in /run/kvasir/modules the modules.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

kernel=$1 dir=$2
shift 2
{ read -r image; read -r initrd; } < <("$KV_LAB/guest.sh" "$kernel")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/kvasir/modules"
cp "$KV_BUILD/selftests/bench/netload" "$KV_BUILD/lab/abench" "$KV_LAB/guest-bench.sh" \
	"$tree/kvasir/"
kv_modules "$(kv_kernel_dir "$kernel")" "$tree/kvasir/modules" "$@"
{
	cat "$initrd"
	(cd "$tree" && find kvasir | cpio -o -H newc -R 0:0 --quiet) | gzip -1
} >"$dir/guest-initrd.gz"
echo "$image"
echo "$dir/guest-initrd.gz"
