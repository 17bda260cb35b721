#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-blk-l1.sh - disks measured in L1, started by bench.sh.
#
#   bench-blk-l1.sh BUILD PAIRS CASE...
#
# One driver, blk_drv, plays the guest through three doors:
#
#	/dev/kvasir-blk              the module              /dev/nullb0, ram0
#	vhost-user, qsd-native       qemu-storage-daemon,    /dev/nullb1, ram1
#	                             aio=native
#	vhost-user, qsd-io_uring     the same, io_uring      /dev/nullb2, ram2
#
# Every case is run PAIRS times on both sides in turn, see bench-pairs.sh.
set -uo pipefail
build=$1 pairs=$2
shift 2
drv=$build/selftests/bench/blk_drv
abench=$build/lab/abench
. "$(dirname "$(readlink -f "$0")")/bench-pairs.sh"
. "$(dirname "$(readlink -f "$0")")/bench-perf.sh"
engines=(native io_uring)
run=/run/kvasir-bench
declare -A daemons

# Both poll before they sleep, which is for machines with a CPU to spare: with
# two of them each as long as it does by default, with one not at all.
ours=() poll_ns=32768
[ "$(nproc)" -gt 1 ] || ours=(-B 0) poll_ns=0

devices() {
	modprobe null_blk nr_devices=3 gb=1 bs=512 queue_mode=2 irqmode=0 submit_queues=2 &&
		modprobe brd rd_nr=3 rd_size=65536 && mkdir -p $run
}

# daemon NAME ARGUMENT...: a qemu-storage-daemon, up once its last socket is
daemon() {
	local name=$1 i last
	shift
	last=${*: -1}
	last=${last##*addr.path=}
	[ -n "${daemons[$name]:-}" ] && return
	qemu-storage-daemon "$@" >"$OUT/$name.txt" 2>&1 &
	daemons[$name]=$!
	for ((i = 0; i < 300; i++)); do
		[ ! -S "${last%%,*}" ] || return 0
		sleep 0.1
	done
	say "$name did not start: $(tail -n 1 "$OUT/$name.txt")"
	return 1
}

# disks NAME ENGINE N ACCESS DEVICE...: arguments for N exports, an iothread
# each, that serve the devices by turns; sockets $run/NAME-0 and up
disks() {
	local name=$1 engine=$2 n=$3 access=$4 i writable=on
	shift 4
	[ "$access" != read-only=on ] || writable=off
	for ((i = 0; i < n; i++)); do
		printf '%s\n' --object "iothread,id=t$i,poll-max-ns=$poll_ns" \
			--blockdev "driver=host_device,node-name=d$i,filename=${*:i % $# + 1:1},cache.direct=on,aio=$engine,$access" \
			--export "type=vhost-user-blk,id=e$i,node-name=d$i,writable=$writable,num-queues=8,iothread=t$i,addr.type=unix,addr.path=$run/$name-$i"
	done
}

# both N: engine N's daemon, $name, with a null_blk device (0) and a RAM disk (1)
both() {
	local args
	mapfile -t args < <(disks "$name" "$engine" 2 read-only=off "/dev/nullb$1" "/dev/ram$1")
	daemon "$name" "${args[@]}" || { failed=1; return 1; }
}

# doors CASE DEVICE OPTION...: us against both engines; DEVICE: nullb or ram
doors() {
	local case=$1 dev=$2 n engine name socket
	shift 2
	for n in 1 2; do
		engine=${engines[n - 1]} name=${engines[n - 1]}-$poll_ns
		socket=$run/$name-0
		[ "$dev" = nullb ] || socket=$run/$name-1
		both $n || continue
		pair "$case" "qsd-$engine" "$drv" "${ours[@]}" "$@" "/dev/${dev}0" -- \
			"$drv" -n "$socket" -w "${daemons[$name]}" "$@" "/dev/$dev$n"
	done
}

# alike CASE US DEVICE OPTION...: the same, and both poll so long
alike() {
	local ours=(-B "$2") poll_ns=${2}000

	doors "$1" "${@:3}"
}

# many CASE N: N disks, all of them /dev/nullb0
many() {
	local case=$1 n=$2 engine name args
	for engine in "${engines[@]}"; do
		name=many-$engine
		mapfile -t args < <(disks "$name" "$engine" "$n" read-only=on /dev/nullb0)
		daemon "$name" "${args[@]}" || { failed=1; continue; }
		pair "$case" "qsd-$engine" "$drv" "${ours[@]}" -r -d "$n" -b 16 read /dev/nullb0 -- \
			"$drv" -n "$run/$name-%u" -w "${daemons[$name]}" -r -d "$n" -b 16 \
			read /dev/nullb0
		kill "${daemons[$name]}"
		wait "${daemons[$name]}"
		unset "daemons[$name]"
	done
}

# Against the bare device, by a program that keeps as much in flight.
share() {
	pair "$1" bare-aio "$drv" -P -p -b "$2" -c 60000 read /dev/nullb0 -- \
		"$abench" -j read /dev/nullb1 "$2" 1
}

# share_seq CASE read|write: the same with 128 KiB after 128 KiB of a RAM disk
share_seq() {
	pair "$1" bare-aio "$drv" -P -p -S -b 8 -s 131072 -c 20000 "$2" /dev/ram0 -- \
		"$abench" -j -S -s 131072 "$2" /dev/ram1 8 1
}

# profile NAME COMMAND...: what it finds, and where the instructions go, for
# bench-profile.py
profile() {
	local name=$1
	shift
	say "profile of $name"
	if ! "$@" >"$OUT/$name.json" || ! perf_to "$OUT/$name.samples" 20000 "$@"; then
		say "$name: could not be measured"
		failed=1
	fi
}

# profiles DEPTH REQUESTS
profiles() {
	local n engine name options=(-b "$1" -c "$2" read)
	profile "read4k-qd$1-kvasir" "$drv" "${ours[@]}" "${options[@]}" /dev/nullb0
	for n in 1 2; do
		engine=${engines[n - 1]} name=${engines[n - 1]}-$poll_ns
		both $n || continue
		profile "read4k-qd$1-qsd-$engine" "$drv" -n "$run/$name-0" \
			-w "${daemons[$name]}" "${options[@]}" "/dev/nullb$n"
	done
}

devices || exit
trap '[ ${#daemons[@]} = 0 ] || kill "${daemons[@]}"' EXIT
for case; do
	case $case in
	insn_per_io_qd1) doors "$case" nullb -b 1 -c 4000 read ;;
	insn_per_io_qd32) doors "$case" nullb -b 32 -c 8000 read ;;
	insn_per_io_write_qd32) doors "$case" nullb -b 32 -c 8000 write ;;
	insn_per_io_128k) doors "$case" ram -b 8 -s 131072 -S -c 1000 read ;;
	insn_profile) profiles 1 8000; profiles 32 24000 ;;
	paced_20k) doors "$case" nullb -R 20000 -c 4000 read ;;
	scale_queues_*) doors "$case" nullb -q "${case##*_}" -b 16 -c 8000 read ;;
	scale_disks_*) many "$case" "${case##*_}" ;;
	drv_randread4k_qd1) doors "$case" nullb -P -b 1 -c 1500 read ;;
	drv_randwrite4k_qd1) doors "$case" nullb -P -b 1 -c 1500 write ;;
	drv_randread4k_qd1_nopoll) alike "$case" 0 nullb -P -b 1 -c 1500 read ;;
	drv_randread4k_qd1_poll) alike "$case" 200 nullb -P -b 1 -c 1500 read ;;
	drv_paced_?k) n=${case##*_}; doors "$case" nullb -P -R "${n%k}000" -c 3000 read ;;
	drv_randread4k_qd*) doors "$case" nullb -P -p -b "${case##*qd}" read ;;
	drv_randwrite4k_qd*) doors "$case" nullb -P -p -b "${case##*qd}" write ;;
	drv_randread4k_?q) n=${case##*_}; doors "$case" nullb -P -p -q "${n%q}" -b 32 read ;;
	drv_seqread128k) doors "$case" ram -P -p -S -b 8 -s 131072 -c 4000 read ;;
	drv_seqwrite128k) doors "$case" ram -P -p -S -b 8 -s 131072 -c 4000 write ;;
	share_of_device_seq*128k) n=${case##*_seq}; share_seq "$case" "${n%128k}" ;;
	share_of_device_qd*) share "$case" "${case##*qd}" ;;
	*) say "no case $case"; failed=1 ;;
	esac
done
exit $failed
