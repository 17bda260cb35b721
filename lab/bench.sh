#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh - measure the network data path against its peers.
#
#   bench.sh [-k KERNEL] [-p PAIRS] [-o DIR] [CASE...]
#   bench.sh [-k KERNEL] [-o DIR] profile
#
#   -k KERNEL   the lab host's kernel                  (default 6.1)
#   -p PAIRS    of every case, in turn                 (default 5)
#   -o DIR      results                                (default: build/bench)
#
# Without CASE: all of them, about 20 minutes on an idle machine; see
# Documentation/bench.rst for what they mean. Leaves DIR/net.json, DIR/net.svg
# and the measurements behind them in DIR/*/raw.txt. Rows of other cases and other
# kernels that DIR/net.json has already stay.
#
# profile leaves DIR/net-profile.txt: where the workers' instructions go, and
# their time while a guest receives a stream.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

kernel=${KV_SERIES[0]} pairs=5 out=$KV_BUILD/bench
while getopts 'hk:p:o:' opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	p) pairs=$OPTARG ;;
	o) out=$OPTARG ;;
	h) kv_usage; exit ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

# By what they run in: one CPU in virtual time, two CPUs, a guest.
insn_cases=(tx_insn rx_insn tx_insn_1500 rx_insn_1500
	packed_insn packed_insn_rx inorder_insn inorder_insn_rx
	kicks_per_kpkt wakeups_per_kpkt calls_per_kpkt
	kicks_per_kpkt_poll wakeups_per_kpkt_poll calls_per_kpkt_poll
	scale_1 scale_8 scale_64)
smp_cases=(drv_tx64_pps drv_rx64_pps drv_tx1500_pps drv_rx1500_pps)
guest_cases=(udp64_pps udp1500_pps tcp_stream_tx tcp_stream_rx tcp_rr tcp_rr_p99)
all=("${insn_cases[@]}" "${smp_cases[@]}" "${guest_cases[@]}")
[ $# -gt 0 ] || set -- "${all[@]}"
profile=
if [ "$*" = profile ]; then
	profile=1
	shift
	command -v perf >/dev/null || die "the profile needs perf: apt-get install linux-perf"
fi

# Of a group, those that were asked for.
chosen() {
	local case
	for case in "${@:2}"; do
		case " $1 " in *" $case "*) echo "$case" ;; esac
	done
}
for case; do
	[ -n "$(chosen "$case" "${all[@]}")" ] || die "no case '$case'; there are: ${all[*]}"
done
mapfile -t insn < <(chosen "$*" "${insn_cases[@]}")
mapfile -t smp < <(chosen "$*" "${smp_cases[@]}")
mapfile -t guest < <(chosen "$*" "${guest_cases[@]}")

SECONDS=0
step() { say "[$SECONDS s] $*"; }
failed=

# boot GROUP L1-OPTIONS... -- COMMAND...: one L1, its results in DIR/GROUP
boot() {
	local group=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	mkdir -p "$out/$group"
	"$KV_LAB/l1.sh" -k "$kernel" "${options[@]}" -o "$out/$group" "modprobe kvasir && $*" ||
		failed="$failed $group"
}

# Sets image and initrd.
guest_files() {
	{ read -r image; read -r initrd; } < <("$KV_LAB/bench-guest.sh" "$kernel" "$out")
}

"$KV_LAB/deps.sh" build lab
step "kernel $kernel, build"
rel=$(kv_release "$(kv_kernel_dir "$kernel")")
make -s -C "$KV_TOP" O="$KV_BUILD" KERNEL="$kernel" kmod user selftests >&2
mkdir -p "$out"
rm -f "$out"/{insn,smp,guest}/raw.txt
if [ -n "$profile" ]; then
	step "one CPU, virtual time: profile"
	rm -f "$out"/{profile,stream}/*.samples
	boot profile -i -t 1200 -- "$KV_LAB/bench-profile-l1.sh" "$KV_BUILD"
	step "guests: profile"
	guest_files
	boot stream -m 3072 -t 600 -- "$KV_LAB/bench-guest-l1.sh" "$KV_BUILD" "$image" "$initrd" \
		1 profile
	python3 "$KV_LAB/bench-profile.py" "$out/profile" "$out/stream" >"$out/net-profile.txt"
	step "done: $out/net-profile.txt"
	[ -z "$failed" ] || die "not all could be measured"
	exit
fi
if [ ${#insn[@]} -gt 0 ]; then
	step "one CPU, virtual time: ${insn[*]}"
	boot insn -i -t 1200 -- "$KV_LAB/bench-l1.sh" "$KV_BUILD" "$pairs" "${insn[@]}"
fi
if [ ${#smp[@]} -gt 0 ]; then
	step "two CPUs: ${smp[*]}"
	boot smp -t 600 -- "$KV_LAB/bench-l1.sh" "$KV_BUILD" "$pairs" "${smp[@]}"
fi
if [ ${#guest[@]} -gt 0 ]; then
	step "guests: ${guest[*]}"
	guest_files
	boot guest -m 3072 -t 1200 -- "$KV_LAB/bench-guest-l1.sh" "$KV_BUILD" "$image" "$initrd" \
		"$pairs" "${guest[@]}"
fi
step "report"
python3 "$KV_LAB/bench-report.py" "$out" "$rel" "$out"/{insn,smp,guest}/raw.txt
step "done: $out/net.json, $out/net.svg"
[ -z "$failed" ] || die "not all could be measured:$failed"
