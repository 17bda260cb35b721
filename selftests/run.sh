#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh - run self-tests one after the other and report in KTAP.
#
#   run.sh [-b DIR] [-t SECONDS] [-s FILE] [FOLDER | FOLDER/TEST ...]
#
#   -b DIR      build folder of 'make -C selftests' (default: ../build/selftests)
#   -t SECONDS  limit for one test program         (default: from ./settings)
#   -s FILE     append "PASSED FAILED SKIPPED" to FILE
#
# Without names every test of DIR/tests.list runs. A test program is KTAP
# itself; its lines are nested under its own result. It fails when it reports a
# failure, stops short of its plan, runs over the limit, or when the kernel
# logged a warning, bug or oops while it ran. The totals count what the
# programs report, and one failure more for a program that failed as a whole.
#
# $KVT_MODULE names a kvasir.ko: it is loaded first if the module is not there,
# and unload tests may reload it. $KVT_SLOW multiplies all limits, for kernels that
# take longer. Exit status: 0, 1 something failed, 4 all
# was skipped.
set -u
here=$(dirname "$(readlink -f "$0")")
build=$here/../build/selftests limit='' summary=''

while getopts 'hb:t:s:' opt; do
	case $opt in
	b) build=$OPTARG ;;
	t) limit=$OPTARG ;;
	s) summary=$OPTARG ;;
	h) sed -n '4,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ -n "$limit" ] || limit=$(sed -n 's/^timeout=//p' "$here/settings")
limit=$((limit * ${KVT_SLOW:-1}))
if [ ! -r "$build/tests.list" ]; then
	echo "run.sh: no $build/tests.list: build the tests (make -C selftests)" >&2
	exit 2
fi
build=$(readlink -f "$build")
export KVT_BUILD=$build KVT_TOP=${here%/*} KVT_LIB=$here/lib

# What must not appear in a kernel log.
bad_log='WARNING:|BUG:|Oops|Call Trace:|general protection fault|nable to handle'
bad_log+='|KASAN|UBSAN:|suspicious RCU|circular locking|refcount_t:|list_(add|del) corruption'
bad_log+='|blocked for more than|soft lockup|rcu: INFO:|unregister_netdevice: waiting'

# tests.list: "FOLDER/NAME PROGRAM" by line, in the order to run.
select_tests() {
	local name prog want
	while read -r name prog; do
		if [ $# -eq 0 ]; then
			echo "$name $prog"
			continue
		fi
		for want; do
			case $name in
			"$want" | "$want"/*) echo "$name $prog"; break ;;
			esac
		done
	done <"$build/tests.list"
}

load_module() {
	[ -n "${KVT_MODULE:-}" ] && [ ! -d /sys/module/kvasir ] || return 0
	modprobe -q -a tun tap vhost_net || :
	insmod "$KVT_MODULE" || echo "# cannot load $KVT_MODULE"
}

# The kernel's log can be read (and marked) by root only; host tests and
# fuzzers do not touch the kernel.
log_judged() {
	case $1 in host/* | fuzz/*) return 1 ;; esac
	[ -w /dev/kmsg ]
}

log_mark() {
	log_judged "$1" && echo "kvasir selftest $$ $1" >/dev/kmsg
}

log_since() {
	log_judged "$1" || return 0
	dmesg | sed "0,/kvasir selftest $$ ${1//\//\\/}\$/d" | grep -aE "$bad_log"
}

passed=0 failed=0 skipped=0

# Run one program and judge it. Sets verdict ("ok", "not ok") and directive.
run_one() {
	local name=$1 prog=$2 out rc=0 plan nok nnot nskip bad
	out=$(mktemp)
	log_mark "$name"
	(cd "$(dirname "$prog")" && exec timeout -k 5 "$limit" "$prog") \
		</dev/null 2>&1 | tee "$out" | sed -u 's/^/    /'
	rc=${PIPESTATUS[0]}
	bad=$(log_since "$name")
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$out" | head -n 1)
	nskip=$(grep -acE '^ok .* # SKIP' "$out")
	nok=$(($(grep -acE '^ok ' "$out") - nskip))
	nnot=$(grep -acE '^not ok ' "$out")
	rm -f "$out"

	verdict='ok' directive=''
	if [ "$rc" = 4 ] && [ "${plan:-0}" = 0 ]; then
		nskip=1
	fi
	case $rc in
	0 | 4) [ "$nnot" = 0 ] || verdict='not ok' ;;
	124) verdict='not ok'; echo "# not done after $limit s" ;;
	*) verdict='not ok' ;;
	esac
	if [ "$rc" != 4 ] && [ "${plan:-none}" != $((nok + nnot + nskip)) ]; then
		verdict='not ok'
		echo "# plan ${plan:-missing}, results $((nok + nnot + nskip))"
	fi
	if [ -n "$bad" ]; then
		verdict='not ok'
		echo "# kernel log:"
		printf '%s\n' "$bad" | sed 's/^/# /'
	fi
	[ "$verdict" = ok ] && [ "$rc" = 4 ] && directive=' # SKIP'
	[ "$verdict" = ok ] || [ "$nnot" != 0 ] || nnot=1
	passed=$((passed + nok)) failed=$((failed + nnot))
	skipped=$((skipped + nskip))
}

tests=()
while read -r t; do tests+=("$t"); done <<<"$(select_tests "$@")"
if [ -z "${tests[0]}" ]; then
	echo "run.sh: no such test: $*" >&2
	exit 2
fi
load_module
echo "TAP version 13"
echo "1..${#tests[@]}"
n=0
for t in "${tests[@]}"; do
	n=$((n + 1))
	echo "# selftests: ${t%% *}"
	run_one "${t%% *}" "${t#* }"
	echo "$verdict $n ${t%% *}$directive"
done
echo "# Totals: pass:$passed fail:$failed xfail:0 xpass:0 skip:$skipped error:0"
echo "# $passed passed, $failed failed, $skipped skipped"
[ -z "$summary" ] || echo "$passed $failed $skipped" >>"$summary"
[ $failed = 0 ] || exit 1
[ $passed != 0 ] || exit 4
