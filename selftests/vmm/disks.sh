#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: a guest sees the limits and queues its disk was given, can choose
# write-through, learns of another size while it runs, and reads and writes all
# of the disk through queues that share a thread.
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_kvasir

limit=150
console=$ktap_tmp/console
disk=$ktap_tmp/disk
box=/run/kvasir/busybox

# What the guest runs, from the start of the disk: prints what the disk looks
# like, switches its cache, waits to be resized from 4 to 8 MiB, and writes
# behind the old end.
inside() {
	cat <<-EOF
	box=$box
	EOF
	cat <<-'EOF'
	cd /sys/block/vda || exit
	echo limits $(cat queue/max_segments queue/max_segment_size) \
		queues $(ls mq | $box wc -l) $(cat cache_type)
	echo write through >cache_type
	echo now $(cat cache_type)
	$box dd if=/dev/zero of=/dev/vda bs=4k seek=512 count=1 conv=fsync
	echo size-$(cat size)
	n=0
	while [ $(cat size) = 8192 ] && [ $n -lt 300 ]; do
		$box sleep 0.2
		n=$((n+1))
	done
	echo size-$(cat size)
	$box dd if=/dev/zero of=/dev/vda bs=64k seek=100 count=1 conv=fsync
	exit
	EOF
}

# It says so, or has ended without.
stopped_or() { said "$1" || ! kill -0 $!; }
said() { grep -q "$1" "$console"; }

# One boot; the checks below look at what it left behind.
boot() {
	local rc
	inside >"$disk"
	head -c 4194304 /dev/urandom >>"$disk"
	truncate -s 4M "$disk"
	timeout -k 5 "$limit" "$kvasir" run -q -k "$KVT_KERNEL" -i "$KVT_INITRD" \
		-m 384M -c 2 -n "kvt-$1" --disk "$disk,backend=$1,queues=2,$2" \
		-a "console=ttyS0 quiet panic=-1 kvasir.cmd=sh /dev/vda" \
		</dev/null >"$console" 2>&1 &
	busywait $((limit * 1000)) stopped_or size-8192
	truncate -s 8M "$disk"
	"$kvasir" resize --json "kvt-$1" >"$ktap_tmp/json" 2>&1
	wait $!
	rc=$?
	[ "$rc" = 0 ] || sed 's/^/# /' "$console"
	return "$rc"
}

written() {
	[ "$(tail -c +6553601 "$disk" | head -c 65536 | tr -d '\0' | wc -c)" = 0 ]
}

# served BACKEND OPTIONS
served() {
	check "$1: a guest on a disk of two queues ($2)" boot "$1" "$2"
	check "$1: segments, their size, and the queues" \
		said 'limits 254 131072 queues 2 write back'
	check "$1: the guest chose write-through" said 'now write through'
	check "$1: kvasir resize tells the new size" \
		grep -qz '"bytes": *8388608,[[:space:]]*"changed": *true' \
		"$ktap_tmp/json"
	check "$1: the guest saw it" said size-16384
	check "$1: and wrote behind the old end" written
}

plan 12
if [ -c /dev/kvasir-blk ]; then
	served kvasir workers=1
else
	for what in boot limits cache resize size write; do
		skip "kvasir: $what" "the module is not loaded"
	done
fi
served user cache=writeback
finish
