#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-profile-l1.sh - where the worker's instructions go, in L1 in virtual
# time, started by bench.sh.
#
#   bench-profile-l1.sh BUILD
#
# Every case runs twice: once to be counted, once under perf (cpu-clock, which
# is instructions there). Leaves, for bench-profile.py, in $OUT:
#
#	CASE.json	what net_drv says
#	CASE.samples	a line "samples;thread;function" for each function
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/bench-perf.sh"

build=$1
drv=$build/selftests/bench/net_drv
period=20000	# instructions between samples
packets=65536
failed=0

say() { echo "bench: [L1 $(cut -d' ' -f1 /proc/uptime) s] $*" >&2; }

# profile CASE OPTIONS...
profile() {
	local name=$1
	shift
	say "$name: $*"
	if ! "$drv" "$@" >"$OUT/$name.json" ||
		! perf_to "$OUT/$name.samples" $period "$drv" -c $packets "$@"; then
		say "$name: could not be measured"
		failed=1
	fi
}

for size in 64 1500; do
	for node in kvasir-net vhost-net; do
		profile "tx-$size-$node" -n /dev/$node -s $size tx
		profile "rx-$size-$node" -n /dev/$node -s $size -f rx
	done
done
profile tx-64-kvasir-net-packed -n /dev/kvasir-net -p tx
profile rx-64-kvasir-net-packed -n /dev/kvasir-net -p -f rx
profile tx-64-kvasir-net-inorder -n /dev/kvasir-net -o tx
exit $failed
