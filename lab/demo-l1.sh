#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo-l1.sh - the demo's part inside L1, started by demo.sh.
#
#   demo-l1.sh KVASIR GUEST-KERNEL GUEST-INITRD SECONDS
#
#	L1:  kvt0 10.77.0.1 -- module -- eth0 10.77.0.2   :guest
#	     /dev/vda (image) -- module -- /dev/vda  root
#	     /dev/ram0        -- module -- /dev/vdb  scratch
#
# Leaves in $OUT: console.txt (the guest's), run.txt, doctor.txt, before.json
# and after.json (the module's counters around the load), exits.json.
set -euo pipefail
kvasir=$1 kernel=$2 initrd=$3 seconds=$4
vm='' tracer='' server=''

say() { echo "demo: [L1 $(cut -d' ' -f1 /proc/uptime) s] $*"; }

fail() {
	say "$*"
	tail -n 20 "$OUT/run.txt" "$OUT/console.txt" || :
	exit 1
}

cleanup() {
	local pid
	for pid in $tracer $server $vm; do
		kill "$pid" 2>/dev/null || :
	done
	wait
}
trap cleanup EXIT

# Wait until the guest has printed a line, telling its figures on the way.
await() {
	local want=$1 limit=$2 end=$((SECONDS + $2))
	until grep -qa "^$want" "$OUT/console.txt"; do
		kill -0 "$vm" 2>/dev/null || fail "the VMM ended before '$want'"
		[ $SECONDS -lt $end ] || fail "no '$want' after $limit s"
		tell
		sleep 0.3
	done
	tell
}
told=0
tell() {
	local line
	while read -r line; do
		told=$((told + 1))
		say "guest: ${line#demo: }"
	done < <(tr -d '\r' <"$OUT/console.txt" | grep -a '^demo: ' | tail -n +$((told + 1)))
}

# Let the guest pass the rendezvous on a port.
go() { timeout 60 busybox nc -l -p "$1" </dev/null >/dev/null || fail "the guest did not come to port $1"; }

say "module: modprobe kvasir"
modprobe kvasir
say "kvasir doctor"
"$kvasir" doctor | tee "$OUT/doctor.txt" || :
modprobe -a virtio_blk
modprobe brd rd_nr=1 rd_size=262144

say "kvasir run: 2 CPUs, $kernel"
"$kvasir" run --name demo --kernel "$kernel" --initrd "$initrd" --cpus 2 --mem 1G \
	--append "console=ttyS0 quiet mitigations=off root=/dev/vda kvasir.ip=10.77.0.2/24 kvasir.cmd=/run/kvasir/guest-demo.sh 10.77.0.1 $seconds" \
	--disk /dev/vda,backend=kvasir --disk /dev/ram0,backend=kvasir \
	--net tap=kvt0,backend=kvasir \
	</dev/null >"$OUT/console.txt" 2>"$OUT/run.txt" &
vm=$!
until ip link show kvt0 >/dev/null 2>&1; do
	kill -0 $vm 2>/dev/null || fail "the VMM did not start"
	sleep 0.1
done
ip addr add 10.77.0.1/24 dev kvt0
ip link set kvt0 up
iperf3 -s -B 10.77.0.1 >"$OUT/iperf3.txt" 2>&1 &
server=$!
await 'demo: waiting-to-start' 120

say "counters and tracer"
"$kvasir" stats --json >"$OUT/before.json"
"$kvasir" trace exits -p $vm --json >"$OUT/exits.json" 2>"$OUT/trace.txt" &
tracer=$!
until grep -q 'Ctrl-C ends' "$OUT/trace.txt"; do
	kill -0 $tracer 2>/dev/null || fail "kvasir trace ended: $(cat "$OUT/trace.txt")"
	sleep 0.1
done
go 5000
await 'demo: waiting-to-stop' 300

kill -INT $tracer
wait $tracer || fail "kvasir trace failed: $(cat "$OUT/trace.txt")"
tracer=''
"$kvasir" stats --json >"$OUT/after.json"
"$kvasir" stats
go 5001
await 'guest: exit' 60
rc=0
wait $vm || rc=$?
vm=''
say "kvasir run ended with $rc"
[ "$rc" = 0 ] || fail "kvasir run: exit status $rc"
grep -qa '^guest: exit 0' "$OUT/console.txt" || fail "the guest's load failed"
kill $server
wait $server || :
server=''
rmmod kvasir
say "module unloaded"
