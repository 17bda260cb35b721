#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernels.sh - fetch Debian's kernels for the lab, without installing them.
#
#   kernels.sh [--update] [SERIES|RELEASE]...      (default: the first series)
#   kernels.sh --list                              what the cache holds
#
# Resolves each series to its newest exact package through apt, downloads
# image, headers, common headers and kbuild tools and unpacks them to
# CACHE/kernel-RELEASE/, CACHE being $KVASIR_CACHE or build/cache:
#
#   boot/vmlinuz-RELEASE    the stock bzImage
#   vmlinux                 the ELF inside it: boots by PVH, base of module BTF
#   lib/modules/RELEASE/    modules with their index; build -> the headers
#   usr/                    headers and kbuild, found by relative paths only
#
# CACHE/kernel-SERIES links to the newest one fetched. What is there already is
# kept and works offline; --update asks apt again.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

image_package() {
	case $1 in
	6.1) echo linux-image-amd64 ;;
	*.*.*) echo "linux-image-$1" ;;
	*) echo "linux-image-$1-amd64" ;;
	esac
}

# linux-image-amd64 depends on linux-image-6.1.0-NN-amd64: that is the release.
resolve() {
	case $1 in
	*.*.*) [ -z "$(kv_apt_field "$(image_package "$1")" Version)" ] || echo "$1" ;;
	*) kv_apt_field "$(image_package "$1")" Depends |
		sed -n 's/^.*linux-image-\([0-9][^ ,]*\).*$/\1/p' ;;
	esac
}

# The headers of a release and what they need of the kernel's own packages;
# not the image, which the dependency list of some releases names as well.
packages() {
	echo "linux-image-$1"
	echo "linux-headers-$1"
	apt-cache depends --no-recommends --no-suggests "linux-headers-$1" |
		sed -n 's/^ *|\{0,1\}Depends: \(linux-\(headers\|kbuild\)-.*\)$/\1/p'
}

download() {
	local pkgs
	mapfile -t pkgs < <(packages "$1")
	[ "${#pkgs[@]}" -ge 4 ] || die "$1: apt knows only ${pkgs[*]}"
	mkdir -p "$2"
	(cd "$2" && apt-get -qq -o APT::Sandbox::User=root download "${pkgs[@]}")
}

unpack() {
	local rel=$1 dir=$2 deb flavour
	for deb in "$dir"/debs/*.deb; do
		dpkg -x "$deb" "$dir"
	done
	rm -r "${dir:?}/debs" "${dir:?}/usr/share"

	# Debian's headers find each other by absolute paths below /usr/src.
	flavour=$dir/usr/src/linux-headers-$rel
	# shellcheck disable=SC2016 # make expands it
	sed -i 's,^include /usr/src/,include $(dir $(lastword $(MAKEFILE_LIST)))../,' \
		"$flavour/Makefile"
	ln -sfn "../../../usr/src/${flavour##*/}" "$dir/lib/modules/$rel/build"
	rm -f "$dir/lib/modules/$rel/source"
	depmod -b "$dir" "$rel"
	python3 "$KV_LAB/unpack-vmlinux.py" "$dir/boot/vmlinuz-$rel" "$dir/vmlinux"
}

fetch() {
	local series=$1 rel dir
	rel=$(resolve "$series")
	if [ -z "$rel" ]; then
		kv_apt_update
		rel=$(resolve "$series")
	fi
	[ -n "$rel" ] || die "$series: apt offers no $(image_package "$series") (Debian 12 with its security suite has it)"
	dir=$KV_CACHE/kernel-$rel
	if [ ! -e "$dir/complete" ]; then
		rm -rf "$dir" "$dir.new"
		say "$series: fetching linux $rel"
		if ! download "$rel" "$dir.new/debs"; then
			kv_apt_update
			rel=$(resolve "$series")
			rm -rf "$dir.new"
			dir=$KV_CACHE/kernel-$rel
			download "$rel" "$dir.new/debs" || die "$rel: the download failed"
		fi
		say "$series: unpacking linux $rel"
		unpack "$rel" "$dir.new"
		touch "$dir.new/complete"
		mv "$dir.new" "$dir"
	fi
	[ "$series" = "$rel" ] || ln -sfn "kernel-$rel" "$KV_CACHE/kernel-$series"
	say "$series: $dir"
}

list() {
	local d
	for d in "$KV_CACHE"/kernel-*; do
		[ ! -e "$d/complete" ] || printf '%s\t%s\n' "$(kv_release "$d")" "$(readlink -f "$d")"
	done
}

update=
series=()
for arg; do
	case $arg in
	--update) update=1 ;;
	--list) list; exit ;;
	-h | --help) kv_usage; exit ;;
	[0-9]*) series+=("$arg") ;;
	*) say "unknown argument '$arg' (see --help)"; exit 2 ;;
	esac
done
[ "${#series[@]}" -gt 0 ] || series=("${KV_SERIES[0]}")

kv_lock kernels
for s in "${series[@]}"; do
	if [ -z "$update" ] && [ -e "$KV_CACHE/kernel-$s/complete" ]; then
		say "$s: $(readlink -f "$KV_CACHE/kernel-$s") is there"
		continue
	fi
	fetch "$s"
done
