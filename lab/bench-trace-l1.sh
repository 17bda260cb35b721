#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench-trace-l1.sh - what tracers cost, in L1, started by bench.sh.
#
#   bench-trace-l1.sh BUILD PAIRS CASE...
#
# A guest makes storms of exits, PAIRS times under every tracer in turn, after
# one round that warms up and is not kept. Appends to $OUT/raw.txt, a line per
# measurement, as bench-pairs.sh does:
#
#	CASE  PEER  ours|peer  ROUND  JSON of exit_storm
#
# to which "bare_ns", the same storm without a tracer in the same round, "seen"
# and "lost", the tracer's events of all storms of the round, are added.
set -uo pipefail
build=$1 pairs=$2
shift 2
kvasir=$build/user/kvasir
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The last two trace nothing: less than they cost no BPF tracer can cost.
tracers=(none kvasir perf-kvm-stat bpftrace-hist bpftrace-count bpf-empty bpf-clock)
failed=0

say() { echo "bench: [L1 $(cut -d' ' -f1 /proc/uptime) s] $*" >&2; }

# Both bpftrace programs do what people type: a histogram of times, and the
# counts of bcc's kvmexit.
# shellcheck disable=SC2016 # the dollars and @ are bpftrace's
count='tracepoint:kvm:kvm_exit /pid == PID/ { @[pid, tid, args->exit_reason] = count(); }'
# shellcheck disable=SC2016
hist='tracepoint:kvm:kvm_exit /pid == PID/ { @t[tid] = nsecs; @r[tid] = args->exit_reason; }
tracepoint:kvm:kvm_entry /@t[tid]/ { @ns[@r[tid]] = hist(nsecs - @t[tid]); delete(@t[tid]); }'

mkfifo "$dir/control" "$dir/ack"
exec {control}<>"$dir/control" {ack}<>"$dir/ack"
# shellcheck disable=SC2317 # called by way of a variable
enable_perf() {
	local answer=''
	echo enable >&"$control"
	read -r -t 120 answer <&"$ack" && [[ $answer == ack* ]]
}

# start TRACER PID: when it returns, the tracer sees every exit of the process.
start() {
	local ready='' i
	tracer=''
	[ "$1" != none ] || return
	case $1 in
	kvasir) exec "$kvasir" trace exits -p "$2" --json ;;
	# It says when it is ready only when it begins by being told to.
	perf-kvm-stat) exec perf kvm stat record -p "$2" -o "$dir/perf.data" \
		-D -1 --control "fifo:$dir/control,$dir/ack" ;;
	bpftrace-hist) exec bpftrace -e "${hist//PID/$2} BEGIN { printf(\"go\n\"); }" ;;
	bpftrace-count) exec bpftrace -e "${count//PID/$2} BEGIN { printf(\"go\n\"); }" ;;
	bpf-*) exec "$build/selftests/bench/tp_floor" "${1#bpf-}" ;;
	esac >"$dir/out" 2>"$dir/err" </dev/null &
	tracer=$!
	case $1 in
	kvasir) ready="grep -q tracing $dir/err" ;;
	perf-kvm-stat) ready=enable_perf ;;
	bpftrace-* | bpf-*) ready="grep -q go $dir/out" ;;
	esac
	for ((i = 0; i < 600; i++)); do
		! $ready || return 0
		sleep 0.1
	done
	say "$1 does not start: $(tail -n 3 "$dir/err")"
	failed=1
}

# End the tracer; sets seen and lost, of exits.
stop() {
	seen=0 lost=0
	[ -n "$tracer" ] || return
	# A shell's background jobs ignore SIGINT.
	kill "$tracer" || say "$1: $(tail -n 3 "$dir/err")"
	wait "$tracer"
	case $1 in
	kvasir)
		read -r seen lost < <(python3 -c 'import json, sys
t = json.load(sys.stdin)
lost = t["losses"]
del lost["cut_at_start"]	# not lost: it began before
print(t["totals"]["exits"], sum(lost.values()))' <"$dir/out") ;;
	perf-kvm-stat)
		read -r seen lost < <(perf script -i "$dir/perf.data" --show-lost-events 2>/dev/null |
			awk '/kvm:kvm_exit:/ { seen++ }
			/PERF_RECORD_LOST/ { lost += $NF } END { print seen + 0, lost + 0 }') ;;
	bpftrace-*)
		read -r seen lost < <(awk '/^Lost/ { lost += $2 }
			/^@[[].*: [0-9]+$/ { seen += $NF }
			/^[[].*[|]$/ { sub(/^[[][^])]*[])]/, ""); seen += $1 }
			END { printf "%d %d\n", seen, lost }' "$dir/out") ;;
	esac
}

# storm KIND: sets text, without the last brace
storm() {
	echo "$1 $exits" >&"${guest[1]}"
	read -r text <&"${guest[0]}" || { say "the guest died"; exit 1; }
	text=${text%\}}
}

# keep CASE TRACER ROUND JSON: ours belongs to every peer's pair.
keep() {
	local t
	case $2 in
	none) echo "$time_or_exit$1 nothing peer $3 $4" ;;
	kvasir)
		echo "$time_or_exit$1 nothing ours $3 $4"
		for t in "${tracers[@]:2}"; do echo "$added$1 $t ours $3 $4"; done
		;;
	*) echo "$added$1 $2 peer $3 $4" ;;
	esac >>"$OUT/raw.txt"
}

# round R: all kinds under all tracers
round() {
	local t bare=() json i
	for t in "${tracers[@]}"; do
		start "$t" "$vm"
		json=()
		for i in "${!kinds[@]}"; do
			storm "${kinds[$i]}"
			if [ "$t" = none ]; then
				bare[i]=${text#*\"cpu_ns\": }
				bare[i]=${bare[i]%%,*}
			fi
			json+=("$text, \"bare_ns\": ${bare[$i]}")
		done
		stop "$t"
		say "round $1, $t: saw $seen exits, lost $lost"
		[ "$1" != 0 ] || continue
		for i in "${!kinds[@]}"; do
			keep "${kinds[$i]}" "$t" "$1" "${json[$i]}, \"seen\": $seen, \"lost\": $lost}"
		done
	done
}

# losses R: a vCPU that leaves no CPU time to those who read what was recorded,
# as a vCPU of a real-time guest may; faster exits there are none.
losses() {
	local t line ours=''
	for t in kvasir perf-kvm-stat; do
		start "$t" "$vm"
		chrt -f -p 1 "$vm"
		exits=$flood storm cpuid
		chrt -o -p 0 "$vm"
		stop "$t"
		# The guest knows better than the tracer what there was to see.
		[ "$seen" -ge "$flood" ] || lost=$((flood - seen))
		say "losses $1, $t: saw $seen exits of $flood, lost $lost"
		line="$text, \"seen\": $seen, \"lost\": $lost}"
		if [ "$t" = kvasir ]; then
			ours=$line
		elif [ "$lost" = 0 ]; then
			echo "lost_per_kexit $t peer $1 # SKIP neither lost anything" >>"$OUT/raw.txt"
		else
			printf 'lost_per_kexit %s %s %s %s\n' "$t" ours "$1" "$ours" \
				"$t" peer "$1" "$line" >>"$OUT/raw.txt"
		fi
	done
}

kinds=() lossy='' exits=${EXITS:-2000} flood=${FLOOD:-60000} time_or_exit=exit_ added=added_
for case; do
	case $case in
	lost_per_kexit) lossy=1 ;;
	time_*)
		kinds+=("${case#time_}") exits=20000
		time_or_exit=time_ added=time_added_ tracers=(none kvasir bpf-empty bpf-clock)
		;;
	exit_*) kinds+=("${case#exit_}") ;;
	*) say "no case $case"; exit 1 ;;
	esac
done
coproc guest { exec "$build/selftests/bench/exit_storm"; }
read -r vm <&"${guest[0]}"
if [ ${#kinds[@]} -gt 0 ]; then
	for ((r = 0; r <= pairs; r++)); do round $r; done
fi
if [ -n "$lossy" ]; then
	for ((r = 1; r <= pairs && r <= 3; r++)); do losses $r; done
fi
exit $failed
