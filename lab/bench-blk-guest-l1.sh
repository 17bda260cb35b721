#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-blk-guest-l1.sh - disks of guests measured in L1, started by bench.sh.
#
#   bench-blk-guest-l1.sh BUILD GUEST-KERNEL GUEST-INITRD PAIRS CASE...
#
#	ours            kvasir run, backend=kvasir            /dev/nullb0
#	user            kvasir run, backend=user              /dev/nullb1
#	qemu-native     QEMU, virtio-blk in an iothread,      /dev/nullb2
#	                aio=native
#	qemu-io_uring   the same, aio=io_uring                /dev/nullb3
#	vfio-nvme       QEMU, an emulated NVMe passed through
#
# All run all the time, one CPU each, and are measured in turn, so that a round
# is PAIRS times a pair with each peer. Appends to $OUT/raw.txt as
# bench-l1.sh. Guests are told what to do on their serial console.
set -uo pipefail
build=$1 kernel=$2 initrd=$3 pairs=$4
shift 4
kvasir=$build/user/kvasir
. "$(dirname "$(readlink -f "$0")")/bench-pairs.sh"
names=(ours user qemu-native qemu-io_uring vfio-nvme)
running=() pids=() fifos=() tag=0
seconds=2
append="console=ttyS0 quiet mitigations=off pci=noearly kvasir.cmd=sh /run/kvasir/guest-bench.sh"

cleanup() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
	wait
}
trap cleanup EXIT

# launch COMMAND...: guest $n, its console on a fifo and a file
launch() {
	local fifo
	rm -f "/tmp/console$n"
	mkfifo "/tmp/console$n"
	# for reading, too: its end never closes
	exec {fifo}<>"/tmp/console$n"
	fifos[n]=$fifo
	"$@" <&"$fifo" >"$OUT/console$n.txt" 2>"$OUT/run$n.txt" &
	pids[n]=$!
}

by_kvasir() {
	launch "$kvasir" run --name "bench$n" --kernel "$kernel" --initrd "$initrd" \
		--cpus 1 --mem 256M --append "$append" --disk "$1,backend=$2"
}

by_qemu() {
	launch qemu-system-x86_64 -M q35,accel=kvm -cpu host -m 256 -nodefaults -display none \
		-serial stdio -kernel "$kernel" -initrd "$initrd" -append "$append" "$@"
}

virtio() {
	by_qemu -object iothread,id=t -blockdev \
		"driver=host_device,node-name=d,filename=$1,cache.direct=on,aio=$2" \
		-device virtio-blk-pci,drive=d,iothread=t,num-queues=1
}

# Give the NVMe to vfio; prints its address.
passed_through() {
	local dev
	modprobe -a vfio-pci vfio_iommu_type1 || return
	for dev in /sys/bus/pci/devices/*; do
		[ "$(cat "$dev/class")" = 0x010802 ] || continue
		[ ! -e "$dev/driver" ] || echo "${dev##*/}" >"$dev/driver/unbind"
		echo vfio-pci >"$dev/driver_override"
		echo "${dev##*/}" >/sys/bus/pci/drivers_probe
		echo "${dev##*/}"
		return
	done
	return 1
}

# answer N TAG SECONDS: what a guest says to a tag
answer() {
	local end=$((SECONDS + $3)) text
	while [ $SECONDS -lt $end ] && kill -0 "${pids[$1]}" 2>/dev/null; do
		# a line that ends: the console may be in the middle of it
		text=$(sed -n "s/^bench: $2 \(.*\)\r$/\1/p" "$OUT/console$1.txt")
		if [ -n "$text" ]; then
			echo "$text"
			return
		fi
		sleep 0.2
	done
	return 1
}

exits() { cat "/sys/kernel/debug/kvm/${pids[$1]}"-*/exits; }

# ask N OP DEPTH: the figures of one run in a guest
ask() {
	local before text
	tag=$((tag + 1))
	before=$(exits "$1")
	echo "run$tag $2 $3 $seconds" >&"${fifos[$1]}"
	text=$(answer "$1" "run$tag" 60) || text="no answer"
	case $text in
	"{"*) text="${text%\}},\"exits\":$(($(exits "$1") - before))}" ;;
	*)
		say "${names[$1]}: $text: $(tail -n 2 "$OUT/run$1.txt")"
		text="# SKIP ${names[$1]}: $text"
		failed=1
		drop "$1"
		;;
	esac
	figures=$text
}

# round CASE PAIR OP DEPTH: every guest once; pair 0 warms up and is not kept
round() {
	local case=$1 pair=$2 n ours=''
	for n in "${running[@]}"; do
		ask "$n" "$3" "$4"
		[ "$pair" != 0 ] || [ "${figures:0:1}" = "#" ] || continue
		if [ "$n" = 0 ]; then
			ours=$figures
			continue
		fi
		echo "$case ${names[n]} ours $pair $ours"
		echo "$case ${names[n]} peer $pair $figures"
	done >>"$OUT/raw.txt"
}

# start N: that guest
start() {
	local n=$1
	case ${names[n]} in
	ours) by_kvasir /dev/nullb0 kvasir ;;
	user) by_kvasir /dev/nullb1 user ;;
	qemu-native) virtio /dev/nullb2 native ;;
	qemu-io_uring) virtio /dev/nullb3 io_uring ;;
	vfio-nvme) by_qemu -device "vfio-pci,host=$nvme" ;;
	esac
}

# up N: once it is. Nested emulation loses a guest now and then: a second try.
up() {
	local try text
	for try in 1 2; do
		if text=$(answer "$1" up 90); then
			running+=("$1")
			say "${names[$1]} is up with $text"
			return
		fi
		say "${names[$1]} did not come up: $(tail -n 2 "$OUT/run$1.txt")"
		kill -9 "${pids[$1]}" 2>/dev/null
		wait "${pids[$1]}" 2>/dev/null
		[ $try = 2 ] || start "$1"
	done
	failed=1
}

say "five guests"
modprobe null_blk nr_devices=4 gb=1 bs=512 queue_mode=2 irqmode=0 submit_queues=1 || exit
if ! nvme=$(passed_through); then
	say "no NVMe to pass through"
	failed=1
	unset 'names[4]'
fi
for n in "${!names[@]}"; do start "$n"; done
for n in "${!names[@]}"; do up "$n"; done
[ "${running[0]:-}" = 0 ] || exit 1
for case; do
	say "$case"
	op=${case#guest_rand}
	for ((i = 0; i <= pairs; i++)); do
		round "$case" $i "${op%%4k*}" "${case##*qd}"
	done
done
exit $failed
