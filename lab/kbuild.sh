#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kbuild.sh - build the module for one kernel, with its BTF.
#
#   kbuild.sh [-k KERNEL | -K KDIR] [-o DIR] [MAKE-ARGS...]
#
#   -k KERNEL  a lab kernel, series or release     (default: the first series)
#   -K KDIR    any other kernel's build folder, e.g. /lib/modules/$(uname -r)/build
#   -o DIR     objects and kvasir.ko                (default: build/kmod-RELEASE)
#
# The sources stay clean: DIR mirrors kmod/ by links and kbuild works there.
# Nothing to do: silent. MAKE-ARGS (W=1, C=2, ...) always rebuild.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

kernel=${KV_SERIES[0]} headers='' out=''
while getopts 'hk:K:o:' opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	K) headers=$OPTARG ;;
	o) out=$OPTARG ;;
	h) kv_usage; exit ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

base=
if [ -n "$headers" ]; then
	headers=$(readlink -f "$headers")
	utsrelease=$headers/include/generated/utsrelease.h
	[ -r "$utsrelease" ] ||
		die "$headers: no kernel build folder (include/generated/utsrelease.h is missing)"
	rel=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$utsrelease")
	for base in "$headers/vmlinux" "$KV_CACHE/kernel-$rel/vmlinux" ''; do
		[ ! -e "$base" ] || break
	done
	[ -n "$base" ] || [ "$rel" != "$(uname -r)" ] || base=/sys/kernel/btf/vmlinux
else
	kdir=$(kv_kernel_dir "$kernel")
	rel=$(kv_release "$kdir")
	headers=$kdir/usr/src/linux-headers-$rel
	base=$kdir/vmlinux
fi
out=${out:-$KV_BUILD/kmod-$rel}
sources=$KV_TOP/kmod

up_to_date() {
	[ $# -eq 0 ] && [ -e "$out/.built" ] &&
		[ "$(cat "$out/.built")" = "$headers" ] &&
		[ -z "$(find "$sources" "$0" "$headers/include/config/auto.conf" \
			-newer "$out/.built" -print -quit)" ]
}

has_btf() { readelf -SW "$1" | grep -q ' \.BTF '; }

! up_to_date "$@" || exit 0
mkdir -p "$out"
exec {lock}>"$out/.lock"
flock "$lock"
! up_to_date "$@" || exit 0

say "building the module for linux $rel"
find "$out" -xtype l -delete
(cd "$sources" && find . -type f \( -name '*.[ch]' -o -name 'K*' \)) |
while read -r file; do
	mkdir -p "$out/${file%/*}"
	ln -sfn "$sources/$file" "$out/$file"
done
[ $# -eq 0 ] || rm -f "$out"/*.o
touch "$out/.started"
# Kbuild would take the O= of a make above this for its own.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
make -s -j"$(nproc)" -C "$headers" M="$out" "$@" modules 2>&1 |
	sed '/^Skipping BTF generation/d' >&2

# Kernels before 6.2 leave the BTF of a module built outside to us.
if [ -e "$base" ] && ! has_btf "$out/kvasir.ko"; then
	pahole -J -j --btf_gen_floats --btf_base "$base" "$out/kvasir.ko"
fi
has_btf "$out/kvasir.ko" ||
	say "kvasir.ko has no BTF: no vmlinux with BTF for linux $rel was found"
echo "$headers" >"$out/.built"
touch -r "$out/.started" "$out/.built"
