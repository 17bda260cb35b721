#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check.sh - run the tests and count.
#
#   check.sh [host|lab|all|full|debug] [SELFTEST...]
#
#   host   unit tests and short fuzzing under the sanitizers: no root, no lab
#   lab    the self-tests, one L1 per folder and lab kernel
#   all    host, lab, then the demo
#   full   all, with the demo on every lab kernel, style and static analysis
#   debug  the self-tests on the debug kernel (debug-kernel.sh), each folder
#          followed by a search for leaks
#
# SELFTEST (folder or folder/test) restricts L1 to these. Results in
# build/check/: NAME.ktap per run and L1's logs. Prints one line per test, a
# failing test's output, and at the end "N passed, N failed, N skipped". A run
# whose kernel log is not clean, that times out or that reports nothing counts
# as one failure. Exit status 0 only when something passed and nothing failed.
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

mode=${1:-all}
case $mode in
host | lab | all | full | debug) shift || : ;;
-h | --help) kv_usage; exit ;;
*) say "unknown mode '$mode' (see --help)"; exit 2 ;;
esac
selftests=("$@")
if [ ${#selftests[@]} -eq 0 ]; then
	selftests=(uapi ring net blk)
	[ "$mode" = debug ] || selftests+=(vmm bpf)
fi
results=$KV_BUILD/check
passed=0 failed=0 skipped=0
SECONDS=0

step() { say "[$SECONDS s] $*"; }

# KTAP with nested results: a line per program, the whole of one that failed.
# In shell, since awk holds back what it reads from a pipe.
brief() {
	local line text=''
	while IFS= read -r line; do
		case $line in
		'    '*) text+=$'\n'$line ;;
		'ok '*) echo "$line"; text='' ;;
		'not ok '*) echo "$line$text"; text='' ;;
		'# Totals'* | '# '[0-9]*' passed'* | 'TAP version'* | '1..'* | '# selftests:'*) ;;
		*) echo "$line" ;;
		esac
	done
}

# Add the totals line of a run. A run without one, or one that failed although
# its totals name no failure, is a failure of its own.
account() {
	local name=$1 rc=$2 p=0 f=0 s=0
	read -r p f s < <(sed -n \
		's/^# Totals: pass:\([0-9]*\) fail:\([0-9]*\) .* skip:\([0-9]*\) .*/\1 \2 \3/p' \
		"$results/$name.ktap" 2>/dev/null | tail -n 1)
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ -s "$results/$name/repeated" ]; then
		sed "s/^/ok $name first try # SKIP /" "$results/$name/repeated"
		skipped=$((skipped + $(wc -l <"$results/$name/repeated")))
	fi
	if [ $((p + f + s)) = 0 ] || { [ "$f" = 0 ] && [ "$rc" != 0 ] && [ "$rc" != 4 ]; }; then
		failed=$((failed + 1))
		echo "not ok $name: the run failed (status $rc, $((p + f + s)) results)"
	fi
}

# A step that is one test by itself.
single() {
	local name=$1 log rc=0
	shift
	log=$results/$name.log
	step "$name"
	"$@" >"$log" 2>&1 || rc=$?
	if [ "$rc" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $name"
	else
		failed=$((failed + 1))
		echo "not ok $name (status $rc)"
		tail -n 60 "$log" | sed 's/^/    /'
	fi
}

run_host() {
	step "host: build with sanitizers"
	make -s -C "$KV_TOP/user" SAN=1 O="$KV_BUILD" >&2 || return
	step "host: unit tests, fuzzing"
	make -s -C "$KV_TOP/selftests" O="$KV_BUILD" run_host |
		tee "$results/host.ktap" | brief
	return "${PIPESTATUS[0]}"
}

# run_lab SERIES SELFTEST
run_lab() {
	local series=$1 name=linux-$1-${2//\//-} guest=$1 limit=1500 run=() kdir rel
	local assets kernel initrd options=()
	# Workers behave differently where they can be preempted at any time.
	[ "$series $2" != "${KV_SERIES[-1]} uapi" ] || options=(-a preempt=full)
	if [ "$series" = debug ]; then
		# Everything takes several times as long. The guest's kernel is a stock one.
		guest=${KV_SERIES[-1]} limit=4800
		run=(KVT_SLOW=5 "$KV_LAB/debug-l1.sh")
	fi
	kdir=$(kv_kernel_dir "$series") || return
	rel=$(kv_release "$kdir")
	step "linux $rel: build"
	make -s -C "$KV_TOP" O="$KV_BUILD" KERNEL="$series" kmod user bpf selftests >&2 || return
	assets=$("$KV_LAB/guest.sh" "$guest") || return
	{ read -r kernel; read -r initrd; } <<<"$assets"
	step "linux $rel: $2 in L1"
	"$KV_LAB/l1.sh" -k "$series" -m 3072 -t $limit "${options[@]}" -o "$results/$name" "
		export KVT_MODULE=$(printf %q "$KV_BUILD/kmod-$rel/kvasir.ko")
		export KVT_KERNEL=$(printf %q "$kernel") KVT_INITRD=$(printf %q "$initrd")
		export KVT_KVASIR=$(printf %q "$KV_BUILD/user/kvasir")
		export KVT_SOAK_SECONDS=$([ "$mode" = full ] && echo 60 || echo 5)
		$(printf '%q ' "${run[@]}" "$KV_TOP/selftests/run.sh" -b "$KV_BUILD/selftests" "$2")" |
		tee "$results/$name.ktap" | brief
	return "${PIPESTATUS[0]}"
}

kv_lock check
mkdir -p "$results"
rm -rf "${results:?}"/*
sets=(check)
[ "$mode" = host ] || sets=(check demo)
"$KV_LAB/deps.sh" "${sets[@]}" || exit

lab=() demos=()
case $mode in
lab) lab=("${KV_SERIES[@]}") ;;
debug) lab=(debug) ;;
all) lab=("${KV_SERIES[@]}") demos=("${KV_SERIES[0]}") ;;
full) lab=("${KV_SERIES[@]}") demos=("${KV_SERIES[@]}") ;;
esac

if [ "$mode" != lab ] && [ "$mode" != debug ]; then
	run_host
	account host $?
fi
for series in "${lab[@]}"; do
	for selftest in "${selftests[@]}"; do
		run_lab "$series" "$selftest"
		account "linux-$series-${selftest//\//-}" $?
	done
done
for series in "${demos[@]}"; do
	single "demo-$series" "$KV_LAB/demo.sh" -k "$series" -s 3 -o "$results/demo-$series"
done
if [ "$mode" = full ]; then
	single style make -C "$KV_TOP" O="$KV_BUILD" style
	single analyze make -C "$KV_TOP" O="$KV_BUILD" analyze
fi

step "results in $results"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed != 0 ]
