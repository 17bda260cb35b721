#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-l1.sh - measurements in L1, started by bench.sh.
#
#   bench-l1.sh BUILD PAIRS CASE...
#
# Every case is run PAIRS times on both sides in turn, see bench-pairs.sh.
set -uo pipefail
build=$1 pairs=$2
shift 2
drv=$build/selftests/bench/net_drv
scale=$build/selftests/bench/scale
ours=/dev/kvasir-net theirs=/dev/vhost-net
. "$(dirname "$(readlink -f "$0")")/bench-pairs.sh"

# The two nodes, with the same options.
nodes() {
	local case=$1
	shift
	pair "$case" vhost-net "$drv" -n $ours "$@" -- "$drv" -n $theirs "$@"
}

# Our node with an option against our own split ring.
rings() {
	local case=$1 option=$2
	shift 2
	pair "$case" kvasir-split "$drv" -n $ours "$option" "$@" -- "$drv" -n $ours "$@"
}

# What the generator costs by itself.
gen() {
	local case=$1 i
	shift
	for ((i = 0; i <= pairs; i++)); do
		put "$case" - gen $i "$drv" "$@" gen || return
	done
}

for case; do
	case $case in
	tx_insn) nodes "$case" tx; put "$case" - self 1 "$drv" self ;;
	tx_insn_1500) nodes "$case" -s 1500 tx ;;
	rx_insn) nodes "$case" -f rx; gen "$case" -f ;;
	rx_insn_1500) nodes "$case" -f -s 1500 rx; gen "$case" -f -s 1500 ;;
	packed_insn) rings "$case" -p tx ;;
	packed_insn_rx) rings "$case" -p -f rx ;;
	inorder_insn) rings "$case" -o tx ;;
	inorder_insn_rx) rings "$case" -o -f rx ;;
	kicks_per_kpkt) nodes "$case" tx-pace ;;
	calls_per_kpkt) nodes "$case" rx-pace ;;
	wakeups_per_kpkt) nodes "$case" tx-pace; nodes "${case}_rx" rx-pace ;;
	kicks_per_kpkt_poll) nodes "$case" -y 50 tx-pace ;;
	calls_per_kpkt_poll) nodes "$case" -y 50 rx-pace ;;
	wakeups_per_kpkt_poll) nodes "$case" -y 50 tx-pace; nodes "${case}_rx" -y 50 rx-pace ;;
	drv_tx64_pps) nodes "$case" -c 65536 tx-run ;;
	drv_rx64_pps) nodes "$case" -c 32768 rx-run ;;
	drv_tx1500_pps) nodes "$case" -c 32768 -s 1500 tx-run ;;
	drv_rx1500_pps) nodes "$case" -c 32768 -s 1500 rx-run ;;
	scale_*) pair "$case" vhost-net "$scale" -n $ours -d "${case#scale_}" -- \
		"$scale" -n $theirs -d "${case#scale_}" ;;
	*) say "no case $case"; failed=1 ;;
	esac
done
exit $failed
