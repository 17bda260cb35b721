#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: a guest with packed rings and one without (--net packed=) negotiate
# what they were offered, and a file goes to the guest and comes back whole,
# with pings of all sizes beside it; the guest resets queues one by one.
#
#	guest eth0 <-> kvasir-net, or kvasir itself <-> tap kvtp0
#	10.79.0.2                                       10.79.0.1
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_kvasir
need_cmd ip python3
need_node kvasir-net

bytes=12000000

# Serves the file on port 7000 and expects it back on port 7001, once each;
# prints how long both took.
cat >"$ktap_tmp/far.py" <<'END'
import os, socket, sys, time
data = os.urandom(int(sys.argv[1]))
ports = []
for port in 7000, 7001:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("10.79.0.1", port))
    s.listen(1)
    ports.append(s)
c, _ = ports[0].accept()
t = time.monotonic()
c.sendall(data)
c.shutdown(socket.SHUT_WR)
c.recv(1)
down = time.monotonic() - t
c, _ = ports[1].accept()
t = time.monotonic()
back = bytearray()
while chunk := c.recv(1 << 16):
    back += chunk
up = time.monotonic() - t
mbit = len(data) * 8e-6
print(f"to the guest {mbit / down:.0f} Mbit/s, back {mbit / up:.0f} Mbit/s,",
      "the same" if back == data else f"CHANGED ({len(back)} bytes)")
END

tap_up() {
	ip tuntap add kvtp0 mode tap vnet_hdr && cleanup "ip link del kvtp0" &&
		ip addr add 10.79.0.1/24 dev kvtp0 && ip link set kvtp0 up
}

# What the guest runs, off its disk: guest.sh [resize]
cat >"$ktap_tmp/guest.sh" <<'END'
box=/run/kvasir/busybox far=10.79.0.1
echo features $($box cut -c35- /sys/class/net/eth0/device/features)
{
	$box nc $far 7000 >/tmp/file && $box nc $far 7001 </tmp/file &&
		echo file-passed
} &
if [ "$1" = resize ]; then
	for n in 64 256 128 64 256; do
		/tmp/resize eth0 $n || exit
		$box sleep 0.3
	done
	echo resized
fi
wait
$box ping $far -c 4 -s 1400 && $box ping $far -c 4 -s 20000 && echo talked
END

# talk OPTIONS BITS [resize]: a guest with --net OPTIONS whose features begin,
# from bit 34 on (packed, in order, ...), with 0, 1 or any (.) as in BITS
talk() {
	local far rc=0 out=$ktap_tmp/talk
	python3 "$ktap_tmp/far.py" "$bytes" >"$ktap_tmp/far" 2>&1 &
	far=$!
	timeout -k 5 240 "$kvasir" run -k "$KVT_KERNEL" -i "$KVT_INITRD" \
		-m 384M -c 1 --net "tap=kvtp0,$1" \
		--disk "$ktap_tmp/disk,readonly,backend=user" \
		-a "console=ttyS0 quiet panic=-1 kvasir.ip=10.79.0.2/24 kvasir.cmd=/run/kvasir/busybox tar xf /dev/vda -C /tmp; sh /tmp/guest.sh ${3:-}" \
		</dev/null >"$out" 2>&1 || rc=1
	kill "$far" 2>/dev/null
	wait "$far"
	cat "$out" "$ktap_tmp/far"
	[ "$rc" = 0 ] && grep -q "^features $2" "$out" &&
		grep -q '^file-passed' "$out" && grep -q '^talked' "$out" &&
		grep -q 'the same' "$ktap_tmp/far" &&
		! grep 'packet loss' "$out" | grep -qv ' 0% packet loss'
}

rates() { note "$(cat "$ktap_tmp/far")"; }

# Ring sizes back and forth while the file is under way: with virtio-net of
# a kernel that knows the feature, each is a reset of the queues.
resized() { talk "$@" resize && grep -q '^resized' "$ktap_tmp/talk"; }

disk() {
	tar cf "$ktap_tmp/disk" -C "$ktap_tmp" guest.sh -C "$KVT_BUILD/guest" resize
}

refused() {
	"$kvasir" run -k "$KVT_KERNEL" --net tap=kvtp0,backend=vhost,packed=on
}

plan 8
check "a tap" tap_up
check "a disk with what the guest runs" disk
check "the module, packed rings" talk backend=kvasir,packed=on 1
rates
check "the module, split rings" talk backend=kvasir,packed=off 0
rates
check "the module, packed rings, queues reset under load" \
	resized backend=kvasir,packed=on '1.....1'
check "the module, split rings by default, queues reset under load" \
	resized backend=kvasir '0.....1'
check "kvasir itself, packed rings" talk backend=user,packed=on 1
rates
if [ -c /dev/vhost-net ]; then
	status "packed=on is refused without a backend for it" 6 refused
else
	skip "packed=on is refused without a backend for it" "no /dev/vhost-net"
fi
finish
