# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# KTAP for tests in shell. Source it, then:
#
#	plan 3
#	check "the disk is refused" some_command args	# passes if it succeeds
#	status "exit status of a typo" 2 some_command	# passes if it exits with 2
#	skip "macvtap" "no macvtap module"
#	finish						# exits 0, 1 or 4
#
# The output of a failing command is printed as a comment. skip_all REASON ends
# the whole test. Commands given to cleanup run at exit, last one first.

ktap_n=0 ktap_plan=0 ktap_failed=0 ktap_skipped=0 ktap_cleanup=()
ktap_tmp=$(mktemp -d)

ktap_exit() {
	local i
	for ((i = ${#ktap_cleanup[@]} - 1; i >= 0; i--)); do
		eval "${ktap_cleanup[i]}" >/dev/null 2>&1 || :
	done
	rm -rf "$ktap_tmp"
}
trap ktap_exit EXIT
trap 'exit 1' INT TERM

cleanup() { ktap_cleanup+=("$1"); }

skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $1"
	exit 4
}

plan() {
	ktap_plan=$1
	echo "TAP version 13"
	echo "1..$1"
}

note() { echo "# $*"; }

# result STATUS NAME: 0 passes
result() {
	ktap_n=$((ktap_n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $ktap_n $2"
	else
		ktap_failed=$((ktap_failed + 1))
		echo "not ok $ktap_n $2"
	fi
}

skip() {
	ktap_n=$((ktap_n + 1))
	ktap_skipped=$((ktap_skipped + 1))
	echo "ok $ktap_n $1 # SKIP $2"
}

# The output of the last check or status.
ktap_out() { cat "$ktap_tmp/out"; }

check() {
	local name=$1 rc=0
	shift
	"$@" >"$ktap_tmp/out" 2>&1 || rc=$?
	if [ $rc != 0 ]; then
		echo "# $* exited with $rc:"
		sed 's/^/# /' "$ktap_tmp/out"
	fi
	result $rc "$name"
}

status() {
	local name=$1 want=$2 rc=0
	shift 2
	"$@" >"$ktap_tmp/out" 2>&1 || rc=$?
	if [ $rc != "$want" ]; then
		echo "# $* exited with $rc, expected $want:"
		sed 's/^/# /' "$ktap_tmp/out"
		result 1 "$name"
		return
	fi
	result 0 "$name"
}

finish() {
	if [ $ktap_n != "$ktap_plan" ]; then
		echo "# planned $ktap_plan, ran $ktap_n"
		exit 1
	fi
	[ $ktap_failed = 0 ] || exit 1
	[ $ktap_skipped != $ktap_n ] || exit 4
	exit 0
}

# busywait MS COMMAND...: until it succeeds; fails after MS milliseconds
busywait() {
	local end=$(($(date +%s%3N) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%3N)" -lt $end ] || return 1
		sleep 0.05
	done
}

need_root() { [ "$(id -u)" = 0 ] || skip_all "needs root"; }
need_cmd() {
	local c
	for c; do
		command -v "$c" >/dev/null || skip_all "no $c command"
	done
}
