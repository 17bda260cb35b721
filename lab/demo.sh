#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh - the main job end to end: Debian's stock kernel as a guest whose
# root disk, scratch disk and network are served by the module.
#
#   demo.sh [-k KERNEL] [-s SECONDS] [-o DIR]
#
#   -k KERNEL   the lab host's and guest's kernel      (default 6.1)
#   -s SECONDS  of each measurement                    (default 5)
#   -o DIR      results                                (default: build/demo)
#
# Installs and builds what it needs, boots L1, runs demo-l1.sh there and turns
# what that measured into a table and DIR/report.json. Fails when a figure is
# missing, no packet or request went through the module, or data was wrong.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

kernel=${KV_SERIES[0]} seconds=5 out=$KV_BUILD/demo
while getopts 'hk:s:o:' opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	s) seconds=$OPTARG ;;
	o) out=$OPTARG ;;
	h) kv_usage; exit ;;
	*) exit 2 ;;
	esac
done

SECONDS=0
step() { say "[$SECONDS s] $*"; }

step "packages"
"$KV_LAB/deps.sh" demo
step "kernels: linux $kernel from Debian"
kdir=$(kv_kernel_dir "$kernel")
rel=$(kv_release "$kdir")
step "build: module, command, tracer"
make -s -C "$KV_TOP" kmod user bpf KERNEL="$kernel" O="$KV_BUILD" >&2
step "guest: initramfs and Debian root file system"
assets=$("$KV_LAB/guest.sh" -r "$kernel")
{ read -r guest_kernel; read -r guest_initrd; read -r guest_root; } <<<"$assets"

mkdir -p "$out"
rm -f "$out"/*
step "L1: boot, then the guest in it"
rc=0
"$KV_LAB/l1.sh" -k "$kernel" -m 3072 -t 420 -o "$out" \
	"$KV_LAB/demo-l1.sh $(printf '%q ' "$KV_BUILD/user/kvasir" \
		"$guest_kernel" "$guest_initrd" "$seconds")" -- \
	-drive "file=$guest_root,format=raw,if=virtio,snapshot=on" || rc=$?
step "report"
python3 "$KV_LAB/demo-report.py" "$out" "$rel" || rc=1
[ "$rc" = 0 ] || die "the demo failed; logs are in $out"
step "done: $out/report.json"
