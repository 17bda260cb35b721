#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-guest-l1.sh - guests measured in L1, started by bench.sh.
#
#   bench-guest-l1.sh BUILD GUEST-KERNEL GUEST-INITRD PAIRS CASE...
#
#	L1 kvb0 10.77.0.1 -- kvasir run, backend=kvasir -- 10.77.0.2
#	L1 kvb1 10.77.1.1 -- kvasir run, backend=vhost  -- 10.77.1.2
#	L1 kvb2 10.77.2.1 -- QEMU, vhost=on             -- 10.77.2.2
#	L1 kvb3 10.77.3.1 -- QEMU, vhost=off            -- 10.77.3.2
#
# All four run all the time and are measured in turn, so that a round is
# PAIRS times a pair with each peer. Appends to $OUT/raw.txt as bench-l1.sh.
#
# The case "profile", alone: the first two, and where the worker's time goes
# while they receive a stream, for bench-profile.py.
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/bench-pairs.sh"
. "$(dirname "$(readlink -f "$0")")/bench-perf.sh"

build=$1 kernel=$2 initrd=$3 pairs=$4
shift 4
load=$build/selftests/bench/netload
kvasir=$build/user/kvasir
names=(ours vhost qemu-vhost-on qemu-vhost-off)
running=() pids=()

cleanup() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
	wait
}
trap cleanup EXIT

append() { echo "console=ttyS0 quiet mitigations=off pci=noearly kvasir.ip=10.77.$1.2/24 kvasir.cmd=/run/kvasir/netload serve"; }

by_kvasir() {
	"$kvasir" run --name "bench$1" --kernel "$kernel" --initrd "$initrd" --cpus 1 \
		--mem 256M --append "$(append "$1")" --net "tap=kvb$1,backend=$2" \
		</dev/null >"$OUT/console$1.txt" 2>"$OUT/run$1.txt" &
	pids+=($!)
}

by_qemu() {
	ip tuntap add "kvb$1" mode tap vnet_hdr
	qemu-system-x86_64 -M q35,accel=kvm -cpu host -m 256 -nodefaults -display none \
		-serial "file:$OUT/console$1.txt" -kernel "$kernel" -initrd "$initrd" \
		-append "$(append "$1")" \
		-netdev "tap,id=n,ifname=kvb$1,script=no,downscript=no,vhost=$2" \
		-device virtio-net-pci,netdev=n,romfile= </dev/null >"$OUT/run$1.txt" 2>&1 &
	pids+=($!)
}

# ready N: its guest answers
ready() {
	local end=$((SECONDS + 300))
	until ip link show "kvb$1" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] && kill -0 "${pids[$1]}" 2>/dev/null || return
		sleep 0.2
	done
	ip addr add "10.77.$1.1/24" dev "kvb$1"
	ip link set "kvb$1" up
	until grep -qa '^guest: ready' "$OUT/console$1.txt" 2>/dev/null &&
		timeout 10 "$load" rr "10.77.$1.2" 1 >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] && kill -0 "${pids[$1]}" 2>/dev/null || return
		sleep 0.5
	done
}

# round CASE PAIR LOAD: every guest once; pair 0 warms up and is not kept
round() {
	local case=$1 pair=$2 n text ours=''
	for n in "${running[@]}"; do
		if ! text=$(timeout 60 "$load" "$3" "10.77.$n.2" 2>&1); then
			# once more: nested emulation stalls now and then
			text=$(timeout 60 "$load" "$3" "10.77.$n.2" 2>&1) || {
				say "$case, ${names[n]}: $text"
				text="# SKIP no answer from the guest: $text"
				failed=1
				drop "$n"
			}
		fi
		[ "$pair" != 0 ] || continue	# warmed up
		if [ "$n" = 0 ]; then
			ours=$text
			continue
		fi
		echo "$case ${names[n]} ours $pair $ours"
		echo "$case ${names[n]} peer $pair $text"
	done >>"$OUT/raw.txt"
}

# spent N: the worker's time so far, and frames that went to the guest
spent() {
	local comm=(kvasir-net vhost) tid
	tid=$(ps -eLo tid,comm | awk -v name="^${comm[$1]}-" '$2 ~ name { print $1; exit }')
	echo "$(cut -d' ' -f1 "/proc/$tid/schedstat") $(cat "/sys/class/net/kvb$1/statistics/tx_packets")"
}

# stream N: its worker's profile while the guest receives
stream() {
	local name=stream-rx-${names[$1]} ns frames ns0 frames0
	say "$name"
	read -r ns0 frames0 < <(spent "$1")
	timeout 60 "$load" stream-rx "10.77.$1.2" >/dev/null || failed=1
	read -r ns frames < <(spent "$1")
	echo "{\"worker_ns\":$((ns - ns0)),\"packets\":$((frames - frames0)),\"unit\":\"ns\"}" \
		>"$OUT/$name.json"
	perf_to "$OUT/$name.samples" 200000 timeout 60 "$load" stream-rx "10.77.$1.2" || failed=1
}

guests=(0 1 2 3)
[ "$*" != profile ] || guests=(0 1)
say "${#guests[@]} guests"
for n in "${guests[@]}"; do
	case $n in
	0) by_kvasir 0 kvasir ;;
	1) by_kvasir 1 vhost ;;
	2) by_qemu 2 on ;;
	3) by_qemu 3 off ;;
	esac
done
for n in "${guests[@]}"; do
	if ready "$n"; then
		running+=("$n")
		say "${names[n]} is up"
	else
		say "${names[n]} did not come up: $(tail -n 2 "$OUT/run$n.txt")"
		failed=1
	fi
done
[ "${running[0]:-}" = 0 ] || exit 1
if [ "$*" = profile ]; then
	for n in "${running[@]}"; do stream "$n"; done
	exit $failed
fi
declare -A loads=([udp64_pps]=udp64 [udp1500_pps]=udp1500 [tcp_stream_tx]=stream-tx
	[tcp_stream_rx]=stream-rx [tcp_rr]=rr [tcp_rr_p99]=rr-p99)
for case; do
	say "$case"
	for ((i = 0; i <= pairs; i++)); do
		round "$case" $i "${loads[$case]}"
	done
done
exit $failed
