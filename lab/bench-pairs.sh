# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # shared with who sources it
#
# bench-pairs.sh - measure two sides in turn; sourced by what bench.sh starts
# in L1, which sets $pairs.
#
# Every case is run $pairs times on both sides in turn, after one pair that
# warms up and is not kept. Appends to $OUT/raw.txt, a line per measurement:
#
#	CASE  PEER  ours|peer|extra  PAIR  JSON, or "# SKIP reason"
failed=0

say() { echo "bench: [L1 $(cut -d' ' -f1 /proc/uptime) s] $*" >&2; }

# drop N: of the guests that are "running" (0 is ours). One that no longer answers
# would cost every round two minutes.
drop() {
	local n all=("${running[@]}")
	[ "$1" != 0 ] || exit 1		# nothing is left to compare
	running=()
	for n in "${all[@]}"; do
		[ "$n" = "$1" ] || running+=("$n")
	done
}

# put CASE PEER SIDE PAIR COMMAND...: run it, keep what it says.
put() {
	local key="$1 $2 $3 $4" text rc=0
	shift 4
	text=$(timeout 120 "$@" 2>&1) || rc=$?
	# The first pair warms up, and tells whether there is anything to measure.
	if [ $rc != 0 ] && [ $rc != 4 ]; then
		say "$*: status $rc: $text"
		failed=1
		text="# SKIP failed with status $rc: ${text##*$'\n'}"
		rc=4
	fi
	[ "${key##* }" = 0 ] && [ $rc = 0 ] || echo "$key ${text##*$'\n'}" >>"$OUT/raw.txt"
	return $rc
}

# pair CASE PEER OURS -- THEIRS: both commands in turn
pair() {
	local case=$1 peer=$2 a=() i
	shift 2
	while [ "$1" != -- ]; do a+=("$1"); shift; done
	shift
	say "$case: ${a[*]##*/} against ${*##*/}"
	for ((i = 0; i <= pairs; i++)); do
		put "$case" "$peer" ours $i "${a[@]}" || return
		put "$case" "$peer" peer $i "$@" || return
	done
}
