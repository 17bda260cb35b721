#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh - measure a data path against its peers.
#
#   bench.sh [-a AREA] [-k KERNEL] [-p PAIRS] [-o DIR] [CASE...]
#   bench.sh [-k KERNEL] [-o DIR] profile
#
#   -a AREA     net, blk or trace                      (default net)
#   -k KERNEL   the lab host's kernel                  (default 6.1)
#   -p PAIRS    of every case, in turn                 (default 5)
#   -o DIR      results                                (default: build/bench)
#
# Without CASE: all of them, about 20 minutes on an idle machine; see
# Documentation/bench.rst for what they mean. Leaves DIR/AREA.json, DIR/AREA.svg
# and the measurements behind them in DIR/*/raw.txt. Rows of other cases and other
# kernels that DIR/AREA.json has already stay.
#
# profile leaves DIR/net-profile.txt: where the workers' instructions go, and
# their time while a guest receives a stream. For disks the case insn_profile
# leaves DIR/blk-profile.txt.
# shellcheck disable=SC2054 # the commas are QEMU's
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

area=net kernel=${KV_SERIES[0]} pairs=5 out=$KV_BUILD/bench
while getopts 'ha:k:p:o:' opt; do
	case $opt in
	a) area=$OPTARG ;;
	k) kernel=$OPTARG ;;
	p) pairs=$OPTARG ;;
	o) out=$OPTARG ;;
	h) kv_usage; exit ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

# By what they run in: one CPU in virtual time, two CPUs, a guest; and the
# folders of their results, the programs that measure, and what boots them.
guest_mem=3072 guest_kargs='' guest_qemu=() guest_modules=()
case $area in
net)
	groups=(insn smp guest) program=bench
	insn_cases=(tx_insn rx_insn tx_insn_1500 rx_insn_1500
		packed_insn packed_insn_rx inorder_insn inorder_insn_rx
		kicks_per_kpkt wakeups_per_kpkt calls_per_kpkt
		kicks_per_kpkt_poll wakeups_per_kpkt_poll calls_per_kpkt_poll
		scale_1 scale_8 scale_64)
	smp_cases=(drv_tx64_pps drv_rx64_pps drv_tx1500_pps drv_rx1500_pps)
	guest_cases=(udp64_pps udp1500_pps tcp_stream_tx tcp_stream_rx tcp_rr tcp_rr_p99)
	;;
blk)
	groups=(blk-insn blk-smp blk-guest) program=bench-blk
	insn_cases=(insn_per_io_qd1 insn_per_io_qd32 insn_per_io_write_qd32
		insn_per_io_128k paced_20k insn_profile
		scale_queues_1 scale_queues_4 scale_queues_8
		scale_disks_1 scale_disks_8 scale_disks_64)
	smp_cases=(drv_randread4k_qd1 drv_randread4k_qd1_nopoll drv_randread4k_qd1_poll
		drv_paced_1k drv_paced_5k drv_randread4k_qd32 drv_randread4k_qd128
		drv_randwrite4k_qd1 drv_randwrite4k_qd32 drv_randwrite4k_qd128
		drv_randread4k_2q drv_randread4k_4q
		drv_seqread128k drv_seqwrite128k
		share_of_device_qd1 share_of_device_qd32
		share_of_device_seqread128k share_of_device_seqwrite128k)
	guest_cases=(guest_randread4k_qd1 guest_randread4k_qd32
		guest_randwrite4k_qd1 guest_randwrite4k_qd32)
	# An NVMe to pass through, the limit of what a guest can have.
	guest_modules=(nvme)
	guest_mem=3584 guest_kargs='intel_iommu=on iommu=nopt'
	guest_qemu=(-device intel-iommu,intremap=on,device-iotlb=off
		-blockdev driver=null-co,node-name=nv,size=1073741824,read-zeroes=on
		-device nvme,drive=nv,serial=kvb)
	;;
trace)
	groups=(trace-insn trace-smp trace-guest) program=bench-trace
	insn_cases=(exit_cpuid exit_hypercall exit_out exit_mmio exit_hlt lost_per_kexit)
	smp_cases=(time_cpuid time_hypercall time_out time_mmio time_hlt)
	guest_cases=()
	;;
*) die "no area '$area'; there are: net blk trace" ;;
esac
all=("${insn_cases[@]}" "${smp_cases[@]}" "${guest_cases[@]}")
[ $# -gt 0 ] || set -- "${all[@]}"
profile=
if [ "$*" = profile ]; then
	profile=1
	shift
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

# boot GROUP L1-OPTIONS... -- COMMAND...: one L1, its results in DIR/GROUP.
# $qemu: further options of its emulator
qemu=()
boot() {
	local group=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	mkdir -p "$out/$group"
	"$KV_LAB/l1.sh" -k "$kernel" "${options[@]}" -o "$out/$group" "modprobe kvasir && $*" \
		-- "${qemu[@]}" || failed="$failed $group"
}

# Sets image and initrd.
guest_files() {
	{ read -r image; read -r initrd; } < <(
		"$KV_LAB/bench-guest.sh" "$kernel" "$out" "${guest_modules[@]}")
}

"$KV_LAB/deps.sh" build lab bench
step "kernel $kernel, build"
rel=$(kv_release "$(kv_kernel_dir "$kernel")")
make -s -C "$KV_TOP" O="$KV_BUILD" KERNEL="$kernel" kmod user selftests >&2
mkdir -p "$out"
raw=("${groups[@]/%//raw.txt}")
raw=("${raw[@]/#/$out/}")
rm -f "${raw[@]}"
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
	boot "${groups[0]}" -i -t 1800 -- "$KV_LAB/$program-l1.sh" "$KV_BUILD" "$pairs" "${insn[@]}"
fi
if [[ " $* " == *" insn_profile "* ]]; then
	python3 "$KV_LAB/bench-profile.py" "$out/${groups[0]}" >"$out/$area-profile.txt"
fi
if [ ${#smp[@]} -gt 0 ]; then
	step "two CPUs: ${smp[*]}"
	# abench, which measures the bare device, is one of them
	[ "$area" != blk ] || guest_files
	boot "${groups[1]}" -t 900 -- "$KV_LAB/$program-l1.sh" "$KV_BUILD" "$pairs" "${smp[@]}"
fi
if [ ${#guest[@]} -gt 0 ]; then
	step "guests: ${guest[*]}"
	guest_files
	qemu=("${guest_qemu[@]}")
	boot "${groups[2]}" -m "$guest_mem" -a "$guest_kargs" -t 1200 -- \
		"$KV_LAB/$program-guest-l1.sh" "$KV_BUILD" "$image" "$initrd" "$pairs" "${guest[@]}"
fi
step "report"
python3 "$KV_LAB/bench-report.py" "$area" "$out" "$rel" "${raw[@]}"
step "done: $out/$area.json, $out/$area.svg"
[ -z "$failed" ] || die "not all could be measured:$failed"
