#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: `kvasir run` boots a stock kernel to its end and its exit status
# tells which end it was; disks and processors reach the guest; after a signal,
# a stop or a kill nothing is left behind (tap, module references); two guests
# never write to one disk.
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_kvasir

limit=150
console=$ktap_tmp/console
box=/run/kvasir/busybox

# guest COMMAND [OPTIONS...]: boot, run, end; the console is in $console
guest() {
	local cmd=$1
	shift
	timeout -k 5 "$limit" "$kvasir" run -q -k "$KVT_KERNEL" -i "$KVT_INITRD" \
		-m 384M "$@" -a "console=ttyS0 quiet panic=-1 kvasir.cmd=$cmd" \
		</dev/null >"$console" 2>&1
}

# A guest in the background that stays; waits until it is up. Sets $vm.
stay='sleep 1000'
start() {
	rm -f "$ktap_tmp"/{pid,status}
	(
		"$kvasir" run -q -k "$KVT_KERNEL" -i "$KVT_INITRD" -m 384M "$@" \
			-a "console=ttyS0 quiet kvasir.cmd=$stay" </dev/null &
		echo $! >"$ktap_tmp/pid"
		wait $!
		echo $? >"$ktap_tmp/status"
	) >"$console" 2>&1 &
	busywait 10000 test -s "$ktap_tmp/pid"
	vm=$(cat "$ktap_tmp/pid")
	cleanup "kill -9 $vm"
	busywait $((limit * 1000)) grep -q 'guest: ready' "$console" ||
		{ log; return 1; }
}

# Wait for the guest of start, at most two minutes; exits with its status.
ended() {
	busywait 120000 test -s "$ktap_tmp/status" || return 99
	return "$(cat "$ktap_tmp/status")"
}

# stalled KIND TTY: a guest that floods a console nobody reads; SIGTERM ends it
stalled() {
	local line pid rc
	rm -f "$ktap_tmp/pipe"
	mkfifo "$ktap_tmp/pipe"
	"$kvasir" run -q -k "$KVT_KERNEL" -i "$KVT_INITRD" -m 384M --console "$1" \
		-a "console=$2 quiet kvasir.cmd=$box yes 0123456789 >/dev/$2" \
		</dev/null >"$ktap_tmp/pipe" 2>"$console" &
	pid=$!
	cleanup "kill -9 $pid"
	exec 9<"$ktap_tmp/pipe"
	while IFS= read -r -t "$limit" line <&9; do
		case $line in *0123456789*) break ;; esac
	done
	busywait 60000 pipe_full || { note "the pipe does not fill"; return 1; }
	kill -TERM "$pid"
	busywait 30000 gone "$pid"
	rc=$?
	exec 9<&-
	[ "$rc" = 0 ] || { note "still there after 30 s"; kill -9 "$pid"; return 1; }
	wait "$pid"
}
# Much waits behind descriptor 9, and for a while no more of it came.
pipe_full() {
	python3 -c 'import fcntl, struct, sys, termios, time
def waiting():
	return struct.unpack("i", fcntl.ioctl(9, termios.FIONREAD, bytes(4)))[0]
n = waiting()
time.sleep(1)
sys.exit(n < 16384 or waiting() != n)'
}
gone() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1")" = Z ]; }

log() { sed 's/^/# /' "$console" | tail -n 15; }

# expect NAME STATUS COMMAND...: the console is shown if it fails
expect() {
	local name=$1 want=$2 rc=0
	shift 2
	"$@" || rc=$?
	if [ $rc != "$want" ]; then
		note "exit status $rc, expected $want"
		log
	fi
	[ $rc = "$want" ]
	result $? "$name"
}

module_users() { cat /sys/module/kvasir/refcnt 2>/dev/null || echo 0; }
no_users() { [ "$(module_users)" = 0 ]; }
no_tap() { ! ip link show kvttap0; }

plan 24

# shellcheck disable=SC2016 # the guest's shell adds, so that it must have run
expect "boots to power-off, exit status 0" 0 guest 'echo it-ran-$((20 + 3))'
grep -q it-ran-23 "$console"
result $? "the console shows what the guest printed"
expect "a reset is told by its exit status" 11 guest "$box reboot -f"
expect "a guest of 3 processors" 0 guest "test \$($box nproc) = 3 && echo all-3" -c 3
grep -q all-3 "$console"
result $? "all of them run"

disk=$ktap_tmp/disk
head -c 4194304 /dev/urandom >"$disk"

# through_disk BACKEND: the guest sees the file's bytes and changes some
through_disk() {
	local sum
	sum=$(md5sum <"$disk" | cut -c1-32)
	guest "$box md5sum </dev/vda; $box dd if=/dev/zero of=/dev/vda bs=64k seek=$2 count=1 conv=fsync" \
		--disk "$disk,backend=$1" || return
	grep -q "$sum" "$console" || { note "other contents"; return 1; }
	tail -c +$(($2 * 65536 + 1)) "$disk" | head -c 65536 >"$ktap_tmp/part"
	head -c 65536 /dev/zero | cmp -s - "$ktap_tmp/part" ||
		{ note "what the guest wrote is not there"; return 1; }
}
if echo 200 >/proc/sys/vm/nr_hugepages &&
	[ "$(cat /proc/sys/vm/nr_hugepages)" = 200 ]; then
	expect "a guest in huge pages" 0 guest "echo in-huge-pages" --hugepages
else
	skip "a guest in huge pages" "no 400 MiB of them to be had"
fi
echo 0 >/proc/sys/vm/nr_hugepages

if [ -c /dev/kvasir-blk ]; then
	expect "the guest reads and writes a disk served by the module" 0 through_disk kvasir 1
else
	skip "the guest reads and writes a disk served by the module" "the module is not loaded"
fi
expect "the guest reads and writes a disk served by the VMM" 0 through_disk user 2

check "a guest that stays" start --name kvt-a --disk "$disk" --net tap=kvttap0
expect "a second guest on its writable disk is refused" 8 guest true --disk "$disk"
grep -q . "$console"
result $? "with a line that says so"
expect "a second guest on its tap is refused" 7 guest true --net tap=kvttap0
grep -q 'kvttap0' "$console"
result $? "with a line that names the tap"
kill -INT "$vm"
expect "SIGINT ends it with 130" 130 ended
check "its tap is gone" no_tap
check "and the module is free" busywait 30000 no_users

check "another one" start --name kvt-b --disk "$disk" --net tap=kvttap0
kill -KILL "$vm"
expect "killed" 137 ended
if busywait 30000 no_tap && busywait 30000 no_users; then rc=0; else rc=1; fi
result $rc "nothing is left of it: tap, module references"

# The power button reaches who has the input device open; then it shuts down.
stay="exec 3</dev/input/event0; echo button-watched; head -c 1 <&3 >/dev/null"
start --name kvt-d
busywait 60000 grep -q '^button-watched' "$console" || log
"$kvasir" stop --json -t 100 kvt-d >"$ktap_tmp/out" 2>&1 || note "kvasir stop: $(ktap_out)"
expect "kvasir stop has the guest shut down, exit status 0" 0 ended
python3 -c 'import json, sys
sys.exit(json.load(sys.stdin) != {"name": "kvt-d", "ended": True})' <"$ktap_tmp/out"
result $? "and tells it as JSON"
stay='sleep 1000'

expect "SIGTERM ends a guest whose serial port nobody reads" 143 stalled serial ttyS0
expect "the same with virtio-console" 143 stalled virtio hvc0

start --name kvt-c
"$kvasir" stop --kill kvt-c >"$ktap_tmp/out" 2>&1 || note "kvasir stop: $(ktap_out)"
expect "kvasir stop --kill ends it with 0" 0 ended
finish
