#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: `kvasir trace path` and `net` follow the frames of a guest of stock QEMU
# whose card is the module's: the guest's name, every hop of both queues from its
# doorbell to its next entry, sizes as the guest sent them.
#
#	guest eth0 <-> kvasir-net <-> tap kvtq1
#	10.82.0.2                    10.82.0.1
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_kvasir
need_cmd ip python3 qemu-system-x86_64
need_node kvasir-net

pings=20 guest=kvt-stock
console=$ktap_tmp/console

# The guest's pings, 100 bytes of data in frames of 142 behind a header of 12, were
# answered at least $1 times in all.
answered() {
	kill -0 "$qemu" || return
	[ "$(grep -ac 'bytes from' "$console")" -ge "$1" ]
}

boot() {
	ip tuntap add kvtq1 mode tap vnet_hdr && cleanup "ip link del kvtq1" &&
		ip addr add 10.82.0.1/24 dev kvtq1 && ip link set kvtq1 up || return
	qemu-system-x86_64 -name "$guest" -M q35,accel=kvm -cpu host -m 384 -nodefaults \
		-display none -serial "file:$console" \
		-kernel "$KVT_KERNEL" -initrd "$KVT_INITRD" -append \
		"console=ttyS0 quiet pci=noearly kvasir.ip=10.82.0.2/24 kvasir.cmd=/run/kvasir/busybox ping -s 100 -c 1000 10.82.0.1" \
		-netdev tap,id=n,ifname=kvtq1,script=no,downscript=no,vhost=on,vhostfd=9 \
		-device virtio-net-pci,netdev=n,romfile= 9<>/dev/kvasir-net &
	qemu=$!
	cleanup "kill -KILL $qemu"
	busywait 150000 answered 3
}

# tracer VERB: returns when it counts; its JSON goes to VERB.json
tracers=()
tracer() {
	"$kvasir" trace "$1" -p "$qemu" --json >"$ktap_tmp/$1.json" 2>"$ktap_tmp/$1.err" &
	tracers+=($!)
	cleanup "kill -9 $!"
	busywait 60000 grep -q 'Ctrl-C ends' "$ktap_tmp/$1.err" ||
		{ cat "$ktap_tmp/$1.err"; return 1; }
}

trace() {
	local pid before rc=0
	tracer path && tracer net || return
	before=$(grep -ac 'bytes from' "$console")
	busywait 150000 answered $((before + pings + 1))
	kill "${tracers[@]}" || return
	for pid in "${tracers[@]}"; do wait "$pid" || rc=1; done
	return "$rc"
}

# What python finds wrong with NAME.json fails the test; q() finds a queue.
see() {
	python3 - "$ktap_tmp/$1.json" "$guest" "$pings" <<END
import json, sys
t = json.load(open(sys.argv[1]))
name, pings = sys.argv[2], int(sys.argv[3])
def q(queue):
    found = [q for q in t["queues"] if q["queue"] == queue]
    assert len(found) == 1, f"{len(found)} of {queue}: {t['queues']}"
    assert found[0]["name"] == name, f"called '{found[0]['name']}'"
    return found[0]
$(cat)
END
}

hops() {
	see path <<'END'
tx, rx = q("tx0"), q("rx0")
assert tx["requests"] >= pings and rx["requests"] >= pings, (tx["requests"], rx["requests"])
for hop in "doorbell", "wake", "backend", "device":
    assert tx["hops"][hop]["count"] >= pings, f"tx {hop}: {tx['hops'][hop]}"
for hop in "wake", "device", "publish", "interrupt", "entry":
    assert rx["hops"][hop]["count"] >= pings, f"rx {hop}: {rx['hops'][hop]}"
whole = [s for s in rx["slowest"] if "entry" in s]
assert whole, rx["slowest"]
for s in whole:
    parts = ("doorbell", "wake", "backend", "device", "publish", "interrupt", "entry")
    assert sum(s.get(hop, 0) for hop in parts) == s["total"], s
assert rx["elsewhere"] == 0, rx
END
}

sizes() {
	see net <<'END'
def frames(queue, op):
    buckets = q(queue)["ops"][op]["size"]["buckets"]
    return sum(n for least, n in buckets if least <= 154 < least * 33 / 32 + 1)
assert frames("tx0", "sent") >= pings, q("tx0")["ops"]
assert frames("rx0", "received") >= pings, q("rx0")["ops"]
assert t["losses"]["series_full"] == 0
END
}

plan 4
check "QEMU boots a guest that reaches the host" boot
check "tracers of its process, for $pings pings" trace
check "every hop of both queues, and they add up" hops
check "sizes of the frames" sizes
finish
