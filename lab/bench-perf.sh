# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# bench-perf.sh - where the time goes while a command runs; sourced by the
# bench's scripts in L1, which have no performance counters.

# perf_to FILE NS COMMAND...: a sample each so many nanoseconds of every CPU's
# time; in FILE a line "samples;thread;function" for each function.
perf_to() {
	local file=$1 ns=$2 data=/tmp/perf.data
	shift 2
	perf record -q -a -e cpu-clock -c "$ns" -o $data -- "$@" >/dev/null &&
		perf report -q -i $data --kallsyms /proc/kallsyms --stdio -t ';' \
			-F sample,comm,symbol 2>/dev/null >"$file"
}
