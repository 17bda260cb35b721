#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-guest.sh - what the guests of the bench boot from.
#
#   bench-guest.sh KERNEL DIR
#
# Prints two lines: the kernel, and in DIR an initramfs that is guest.sh's with
# the load program added.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

kernel=$1 dir=$2
{ read -r image; read -r initrd; } < <("$KV_LAB/guest.sh" "$kernel")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/kvasir"
cp "$KV_BUILD/selftests/bench/netload" "$tree/kvasir/"
{
	cat "$initrd"
	(cd "$tree" && find kvasir | cpio -o -H newc -R 0:0 --quiet) | gzip -1
} >"$dir/guest-initrd.gz"
echo "$image"
echo "$dir/guest-initrd.gz"
