#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debug-kernel.sh - build the lab's debug kernel: KASAN, lockdep, kmemleak, fault
# injection and what debug-kernel.config asks for besides.
#
#   debug-kernel.sh
#
# The source is Debian's package linux-source-SERIES, downloaded and unpacked,
# not installed. The result has the layout of the folders that kernels.sh makes,
# CACHE/kernel-RELEASE-kvasir-debug, and CACHE/kernel-debug links to it, so that
# l1.sh -k debug boots it and 'make kmod KERNEL=debug' builds for it.
#
# Built again when the configuration has changed, and with --update when apt has
# a newer source. A build that was interrupted is taken up again. Nothing to do:
# silent. About 15 minutes on two CPUs; 650 MB stay.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

SERIES=${KV_SERIES[-1]}
package=linux-source-$SERIES
config=$KV_LAB/debug-kernel.config
link=$KV_CACHE/kernel-debug
work=$KV_CACHE/debug-kernel.work

# What a build depends on: the package's version and the configuration.
config_key() { sha256sum <"$config" | cut -c 1-16; }

built_key() { cat "$link/complete" 2>/dev/null || :; }

unpack() {
	local version=$1
	say "fetching $package $version"
	rm -rf "$work"
	mkdir -p "$work/deb"
	(cd "$work/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package=$version")
	dpkg -x "$work"/deb/*.deb "$work/deb"
	say "unpacking $package"
	mkdir "$work/source"
	tar -xf "$work/deb/usr/src/$package.tar.xz" -C "$work/source" --strip-components=1
	rm -r "$work/deb"
	echo "$version" >"$work/version"
}

kmake() { make -s -C "$work/source" "$@"; }

# An option that the tree does not know, or that lacks what it depends on,
# would be left out without a word.
check_config() {
	local line name lost=
	while read -r line; do
		name=${line%%=*}
		case $line in
		CONFIG_*=n) ! grep -q "^$name=" "$work/source/.config" || lost+=" $line" ;;
		CONFIG_*) grep -qxF "$line" "$work/source/.config" || lost+=" $line" ;;
		esac
	done <"$config"
	[ -z "$lost" ] || die "$config asks for what linux $SERIES has not, or not so:$lost"
}

build() {
	kmake KCONFIG_ALLCONFIG="$config" allnoconfig >/dev/null
	check_config
	say "building linux $(kmake kernelrelease), this takes a while"
	kmake -j"$(nproc)" vmlinux bzImage modules >"$work/build.log" 2>&1 ||
		{ tail -n 20 "$work/build.log" >&2; die "the build failed, see $work/build.log"; }
}

# Of the tree stays what modules are built with.
prune() {
	local keep='arch include scripts tools Makefile Kbuild .config Module.symvers System.map vmlinux'
	local f
	for f in "$1"/* "$1"/.[!.]*; do
		case " $keep " in
		*" ${f##*/} "*) ;;
		*) rm -rf "$f" ;;
		esac
	done
	find "$1" \( -name '*.o' -o -name '*.a' -o -name '*.cmd' \) -delete
}

install() {
	local rel new tree
	rel=$(kmake kernelrelease)
	new=$KV_CACHE/kernel-$rel.new
	tree=$new/usr/src/linux-headers-$rel
	rm -rf "$new"
	mkdir -p "$new/boot" "${tree%/*}"
	cp "$work/source/arch/x86/boot/bzImage" "$new/boot/vmlinuz-$rel"
	objcopy --strip-debug "$work/source/vmlinux" "$new/vmlinux"
	kmake INSTALL_MOD_PATH="$new" INSTALL_MOD_STRIP=1 modules_install >>"$work/build.log" 2>&1
	mv "$work/source" "$tree"
	prune "$tree"
	ln -sfn "../../../usr/src/${tree##*/}" "$new/lib/modules/$rel/build"
	printf '%s %s\n' "$(cat "$work/version")" "$(config_key)" >"$new/complete"
	rm -rf "$work" "${new%.new}"
	mv "$new" "${new%.new}"
	ln -sfn "kernel-$rel" "$link"
	say "debug: ${new%.new}"
}

update=
case ${1:-} in
'') ;;
--update) update=1 ;;
-h | --help) kv_usage; exit ;;
*) say "unknown argument '$1' (see --help)"; exit 2 ;;
esac

kv_lock debug-kernel
have=$(built_key)
if [ -z "$update" ] && [ "${have#* }" = "$(config_key)" ]; then
	exit
fi
"$KV_LAB/deps.sh" debug-kernel
[ -z "$update" ] || kv_apt_update
version=$(kv_apt_field "$package" Version)
if [ -z "$version" ]; then
	kv_apt_update
	version=$(kv_apt_field "$package" Version)
fi
[ -n "$version" ] || die "apt offers no $package (Debian 12 with its security suite has it)"
[ "$have" != "$version $(config_key)" ] || exit 0
[ "$(cat "$work/version" 2>/dev/null)" = "$version" ] || unpack "$version"
build
install
