#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: stock QEMU, given a descriptor of /dev/kvasir-net where it expects
# one of /dev/vhost-net, drives the module unmodified: the guest's packets pass
# through the module's queues.
#
#	guest eth0 <-> kvasir-net <-> tap kvtq0
#	10.78.0.2                    10.78.0.1
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_cmd ip qemu-system-x86_64
need_node kvasir-net

tap_up() {
	ip tuntap add kvtq0 mode tap vnet_hdr && cleanup "ip link del kvtq0" &&
		ip addr add 10.78.0.1/24 dev kvtq0 && ip link set kvtq0 up
}

# What the module counted on both queues of QEMU's device: RX TX
packets() {
	"$kvasir" stats --json | python3 -c '
import json, sys
for d in json.load(sys.stdin)["devices"]:
    if d["type"] == "net" and d["pid"] == int(sys.argv[1]):
        print(*(q["counters"]["requests"] for q in d["queues"]))' "$1"
}

boot() {
	qemu-system-x86_64 -M q35,accel=kvm -cpu host -m 384 -nodefaults \
		-display none -serial "file:$ktap_tmp/console" \
		-kernel "$KVT_KERNEL" -initrd "$KVT_INITRD" -append \
		"console=ttyS0 quiet pci=noearly kvasir.ip=10.78.0.2/24 kvasir.cmd=/run/kvasir/busybox ping -c 200 10.78.0.1" \
		-netdev tap,id=n,ifname=kvtq0,script=no,downscript=no,vhost=on,vhostfd=9 \
		-device virtio-net-pci,netdev=n,romfile= 9<>/dev/kvasir-net &
	qemu=$!
	cleanup "kill -KILL $qemu"
	busywait 300000 answered 3
}

# The guest's pings were answered at least $1 times in all.
answered() {
	kill -0 "$qemu" || return
	[ "$(grep -ac 'bytes from' "$ktap_tmp/console")" -ge "$1" ]
}

counted() {
	local rx tx
	read -r rx tx < <(packets "$qemu") && echo "rx $rx tx $tx" &&
		[ "$rx" -ge 3 ] && [ "$tx" -ge 3 ]
}

gone() {
	kill "$qemu" && busywait 60000 eval "! kill -0 $qemu" &&
		! packets "$qemu" | grep .
}

plan 4
check "a tap" tap_up
check "QEMU boots a guest that reaches the host" boot
check "the module's queues carried it" counted
check "QEMU ends, its device is gone" gone
finish
