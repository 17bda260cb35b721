#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu.sh - name an emulator that L1 can be trusted to.
#
#   qemu.sh              prints the path of a qemu-system-x86_64
#
# QEMU before 8.1 may translate an instruction while another CPU patches it, and
# go on running the old one. A kernel patches itself all the time (static keys,
# tracepoints): it then meets a breakpoint that is gone, dies of it or returns to
# it for ever. This machine's QEMU is taken if it is new enough; otherwise
# Debian's backports have one, which is unpacked to CACHE/qemu and not installed;
# apt's sources stay as they are. When that fails this machine's QEMU has to do,
# and l1.sh repeats what it breaks. $KVASIR_QEMU overrides all of it.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

case ${1:-} in
'') ;;
-h | --help) kv_usage; exit ;;
*) say "unknown argument '$1' (see --help)"; exit 2 ;;
esac


# apt with sources of its own: the backports of the archive this machine uses.
backports() {
	local dir=$1 cmd=$2
	shift 2
	"$cmd" -qq -o Dir::Etc::sourcelist="$dir/sources.list" \
		-o Dir::Etc::sourceparts=/nonexistent -o Dir::State::lists="$dir/lists" \
		-o Dir::Cache="$dir/apt" -o APT::Sandbox::User=root "$@"
}

fetch() {
	local dir=$1 site deb
	site=$(kv_mirror bookworm)
	[ -n "$site" ] || return
	mkdir -p "$dir"/{lists/partial,apt/archives/partial,debs}
	echo "deb $site bookworm-backports main" >"$dir/sources.list"
	backports "$dir" apt-get update || return
	(cd "$dir/debs" && backports "$dir" apt-get download \
		qemu-system-x86 qemu-system-common qemu-system-data seabios) || return
	for deb in "$dir"/debs/*.deb; do
		dpkg -x "$deb" "$dir" || return
	done
	rm -rf "$dir"/{lists,apt,debs,sources.list} "$dir"/usr/share/{doc,man}
	cat >"$dir/qemu-system-x86_64" <<-'EOF'
		#!/bin/sh
		usr=$(dirname "$(readlink -f "$0")")/usr
		export QEMU_MODULE_DIR="$usr/lib/x86_64-linux-gnu/qemu"
		exec "$usr/bin/qemu-system-x86_64" -L "$usr/share/qemu" \
			-L "$usr/share/seabios" "$@"
	EOF
	chmod +x "$dir/qemu-system-x86_64"
	kv_qemu_trusted "$dir/qemu-system-x86_64"
}

if [ -n "${KVASIR_QEMU:-}" ]; then
	echo "$KVASIR_QEMU"
	exit
fi
installed=$(command -v qemu-system-x86_64) || die "no qemu-system-x86_64 (lab/deps.sh lab)"
cached=$KV_CACHE/qemu/qemu-system-x86_64
if kv_qemu_trusted "$installed"; then
	echo "$installed"
	exit
fi
kv_lock qemu
if [ ! -e "$cached" ] && [ -z "$(find "$KV_CACHE/qemu-unavailable" -mmin -1440 2>/dev/null)" ]; then
	say "QEMU $(kv_qemu_version "$installed") breaks kernels that patch themselves; fetching a newer one from Debian's backports"
	rm -rf "$KV_CACHE/qemu" "$KV_CACHE/qemu.new"
	if fetch "$KV_CACHE/qemu.new"; then
		mv "$KV_CACHE/qemu.new" "$KV_CACHE/qemu"
	else
		say "the backports gave none: going on with QEMU $(kv_qemu_version "$installed") (asked again in a day)"
		rm -rf "$KV_CACHE/qemu.new"
		: >"$KV_CACHE/qemu-unavailable"
	fi
fi
if [ -e "$cached" ]; then echo "$cached"; else echo "$installed"; fi
