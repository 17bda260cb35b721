#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: both kinds of doorbell of a device reach its worker in the kernel, ring
# for ring; the one in memory, too, which Linux leaves alone where there are ports.
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_kvasir
need_cmd python3
need_node kvasir-blk

rings=3000
limit=150
console=$ktap_tmp/console
disk=$ktap_tmp/disk

# What the guest runs, off its disk. It goes on whenever the disk grows.
cat >"$ktap_tmp/guest.sh" <<'END'
box=/run/kvasir/busybox
vda=$($box readlink -f /sys/block/vda/device/..)
size=$(cat /sys/block/vda/size)
await_host() {
	echo "now-$1"
	while [ "$(cat /sys/block/vda/size)" = "$size" ]; do $box sleep 0.1; done
	size=$(cat /sys/block/vda/size)
}
await_host idle
for kind in memory port; do
	/tmp/bell "${vda##*/}" $kind "$1" && await_host $kind
done
END

said() { grep -q "$1" "$console"; }
# It says so, or has ended without.
said_or_ended() { said "$1" || ! kill -0 "$vm"; }

# Kicks of all disks so far; there is but one.
kicks() {
	"$kvasir" stats --json | python3 -c 'import json, sys
print(sum(q["counters"]["kicks"] for d in json.load(sys.stdin)["devices"]
          if d["type"] == "blk" for q in d["queues"]))'
}

# Until the guest is at STEP; leaves the kicks so far in $seen, and lets it go on.
step() {
	busywait $((limit * 1000)) said_or_ended "now-$1"
	said "now-$1" || { sed 's/^/# /' "$console"; return 1; }
	seen=$(kicks) && truncate -s +1M "$disk" && "$kvasir" resize kvt-bell
}

boot() {
	tar cf "$disk" -C "$ktap_tmp" guest.sh -C "$KVT_BUILD/guest" bell &&
		truncate -s 4M "$disk" || return
	timeout -k 5 "$limit" "$kvasir" run -q -k "$KVT_KERNEL" -i "$KVT_INITRD" \
		-m 384M -n kvt-bell --disk "$disk,backend=kvasir" \
		-a "console=ttyS0 quiet panic=-1 iomem=relaxed kvasir.cmd=/run/kvasir/busybox tar xf /dev/vda -C /tmp; sh /tmp/guest.sh $rings" \
		</dev/null >"$console" 2>&1 &
	vm=$!
	cleanup "kill $vm 2>/dev/null"
	step idle
}

# rung KIND: as many kicks as rings
rung() {
	local before=$seen
	step "$1" || return
	note "$1: $rings rings, $((seen - before)) kicks"
	[ $((seen - before)) = "$rings" ]
}

plan 4
check "a guest on a disk" boot
check "doorbells in memory" rung memory
check "doorbells that are ports" rung port
check "the guest ends well" wait "$vm"
finish
