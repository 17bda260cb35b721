#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debug-l1.sh - in L1 under the debug kernel: run a command, then unload the
# module and look for what it has left behind.
#
#   debug-l1.sh COMMAND [ARGS...]
#
# Fails when the command does, when kmemleak finds memory that nothing points to
# (kmemleak.txt in the results folder), or when lockdep has switched itself off
# and so has proved nothing. Reports of KASAN, lockdep, UBSAN and the rest are
# lines of the kernel log, which l1.sh judges.
set -u
. "$(dirname "$(readlink -f "$0")")/lib.sh"

leaks=/sys/kernel/debug/kmemleak

[ -w $leaks ] || die "$leaks: not the debug kernel"
modprobe -a tun tap vhost_net kvm_amd 2>/dev/null
# What the kernel itself lost while it booted is not ours.
echo scan >$leaks
echo clear >$leaks

rc=0
"$@" || rc=$?

if [ -d /sys/module/kvasir ] && ! rmmod kvasir; then
	say "the module cannot be unloaded"
	rc=1
fi
# A block younger than 5 seconds is not reported, nor one that has just changed.
sleep 6
for _ in 1 2; do
	if ! echo scan >$leaks; then
		say "kmemleak is off"
		rc=1
	fi
done
if [ -s $leaks ]; then
	cp $leaks "$OUT/kmemleak.txt"
	say "kmemleak found $(grep -c ^unreferenced "$OUT/kmemleak.txt") leaks:"
	head -n 60 "$OUT/kmemleak.txt" >&2
	rc=1
fi
if ! grep -q '^ debug_locks: *1$' /proc/lockdep_stats; then
	say "lockdep is off; its report is in the kernel log"
	rc=1
fi
exit $rc
