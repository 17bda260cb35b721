# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# lib.sh - what the scripts of lab/ share: where things lie, how they speak,
# how a kernel series becomes a folder. Sourced, never run.

KV_LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KV_TOP=$(dirname "$KV_LAB")
KV_BUILD=${KVASIR_BUILD:-$KV_TOP/build}
KV_CACHE=${KVASIR_CACHE:-$KV_BUILD/cache}
# The kernels the lab boots, the default first. lab/kernels.sh knows their packages.
# shellcheck disable=SC2034 # read by the scripts that source this one
KV_SERIES=(6.1 6.12)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# The comment block at the top of a script is its manual.
kv_usage() {
	awk 'NR > 1 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"
}

# Take a lock that lasts until this process ends, so that two builds started at
# the same moment fetch and unpack a thing once.
kv_lock() {
	mkdir -p "$KV_CACHE"
	exec {kv_lock_fd}>"$KV_CACHE/.lock-$1"
	flock -n "$kv_lock_fd" && return
	say "waiting for another $1 run"
	flock "$kv_lock_fd"
}

# A series ("6.1"), an exact release ("6.1.0-56-amd64") or "debug" to its cache
# folder; fetches or builds what is not there yet.
kv_kernel_dir() {
	if [ "$1" = debug ]; then
		"$KV_LAB/debug-kernel.sh"
	elif [ ! -e "$KV_CACHE/kernel-$1/complete" ]; then
		"$KV_LAB/kernels.sh" "$1"
	fi || return
	readlink -f "$KV_CACHE/kernel-$1"
}

kv_release() { basename "$1" | sed 's/^kernel-//'; }

# One field of the newest known version of a package, empty if there is none.
kv_apt_field() {
	apt-cache show --no-all-versions "$1" 2>/dev/null |
		awk -v f="$2:" '$1 == f { sub(/^[^ ]* /, ""); print; exit }'
}

kv_apt_update() {
	[ "$(id -u)" = 0 ] || die "apt's lists are missing or out of date: run 'apt-get update' as root"
	say "apt-get update"
	apt-get -qq update
}

# kv_modules KERNEL-DIR FOLDER MODULE...: the modules and what they need into a
# folder, unpacked, and into FOLDER/order in which order to load them; nothing
# for one that is built into the kernel.
kv_modules() {
	local kdir=$1 folder=$2 module file name
	shift 2
	: >"$folder/order"
	for module; do
		modprobe -d "$kdir" -S "$(kv_release "$kdir")" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
	while read -r file; do
		name=$(basename "$file" .xz)
		case $file in
		*.xz) xz -dc "$file" >"$folder/$name" ;;
		*) cp "$file" "$folder/$name" ;;
		esac
		echo "$name" >>"$folder/order"
	done
}

# The archive that apt has for a suite; nothing if apt knows none.
kv_mirror() {
	# shellcheck disable=SC2016 # apt-get expands it
	apt-get indextargets --format '$(SITE)' 'Created-By: Packages' \
		"Codename: $1" 2>/dev/null | head -n 1
}

# The version of an emulator, nothing if it does not run.
kv_qemu_version() { "$1" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p'; }

# Whether an emulator translates code right that another CPU is patching, see qemu.sh.
kv_qemu_trusted() { dpkg --compare-versions "$(kv_qemu_version "$1")" ge 8.1 2>/dev/null; }
