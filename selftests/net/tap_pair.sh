#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: a guest whose network card is served by the module talks to a
# machine in another network namespace, small and large packets, one queue
# pair and two, and the module counts what passed.
#
#	guest eth0 <-> kvasir-net <-> tap --- bridge kvtbr --- veth --- [far]
#	10.77.0.2                                                10.77.0.1
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"
. "$KVT_LIB/ns.sh"

need_guest
need_kvasir
need_cmd ip python3
need_node kvasir-net

box=/run/kvasir/busybox
setup() {
	ns_add kvtfar &&
		ip link add kvtbr type bridge && cleanup "ip link del kvtbr" &&
		ip link set kvtbr up &&
		ip link add kvtv0 type veth peer name kvtv1 netns kvtfar &&
		cleanup "ip link del kvtv0" &&
		ip link set kvtv0 master kvtbr up &&
		ip -n kvtfar addr add 10.77.0.1/24 dev kvtv1 &&
		ip -n kvtfar link set kvtv1 up
}

# counted PAIRS PACKETS: the module serves so many queue pairs, and at least so
# many packets went each way
counted() {
	"$kvasir" stats --json | python3 -c '
import json, sys
pairs, least = map(int, sys.argv[1:])
nets = [d for d in json.load(sys.stdin)["devices"] if d["type"] == "net"]
ways = [sum(q["counters"]["requests"] for d in nets for q in d["queues"]
            if q["index"] == i) for i in (0, 1)]
print(len(nets), "queue pairs; packets received and sent:", *ways)
sys.exit(len(nets) != pairs or min(ways) < least)' "$@"
}

talked_or_gone() {
	grep -q talked-23 "$ktap_tmp/out" || ! kill -0 "$1"
}

# talk PAIRS CPUS: ping from the guest, small and large; it then stays until
# the counters have been read
talk() {
	local ping="$box ping 10.77.0.1 -c 4" vm rc=0
	timeout -k 5 250 "$kvasir" run -k "$KVT_KERNEL" -i "$KVT_INITRD" \
		-m 384M -c "$2" --net "bridge=kvtbr,backend=kvasir,queues=$1" \
		-a "console=ttyS0 quiet kvasir.ip=10.77.0.2/24 kvasir.cmd=$ping && $ping -s 1400 && $ping -s 20000 && echo talked-\$((20 + 3)) && $box sleep 1000" \
		</dev/null &
	vm=$!
	busywait 260000 talked_or_gone "$vm"
	counted "$1" 12 || rc=1
	kill "$vm"
	wait "$vm"
	[ "$rc" = 0 ] && grep -q talked-23 "$ktap_tmp/out" &&
		! grep 'packet loss' "$ktap_tmp/out" | grep -qv ' 0% packet loss'
}

plan 3
check "bridge and namespace" setup
check "one queue pair" talk 1 1
check "two queue pairs" talk 2 2
finish
