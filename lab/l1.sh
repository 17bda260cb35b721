#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# l1.sh - boot a throw-away lab host (L1), run one command in it as root, and
# exit with that command's status.
#
#   l1.sh [OPTIONS] [COMMAND [-- QEMU-ARGS...]]
#
#   -k KERNEL    series or release, see kernels.sh, or debug, see debug-kernel.sh
#                                                         (default 6.1)
#   -m MIB       memory                                   (default 2048)
#   -s CPUS      virtual CPUs, by tcg one more for the kernel (default 2)
#   -t SECONDS   wall-clock limit                         (default 600)
#   -a "ARGS"    further kernel arguments
#   -A ACCEL     kvm or tcg        (default: kvm where it boots a stock kernel)
#   -i           virtual time by instruction count: tcg, one CPU
#   -o DIR       results folder                           (default: a fresh one)
#
# Without a command: a shell on this terminal. L1 sees this machine's root file
# system read-only under an overlay that is gone afterwards, and starts the
# command in the folder it was called from. The results folder is /mnt/out in
# L1 (also $OUT) and is the only thing L1 can write on this machine; kernel.log
# and dmesg.txt land there. KVM, tun and vhost_net are loaded; kvasir loads by
# 'modprobe kvasir' when it has been built for this kernel.
#
# An L1 that stands still for two minutes (-i: 15) is ended; where its CPUs were is kept
# in frozen.txt. When a nested guest dies of a triple fault, guests-died.txt has
# the registers it died with. Known faults of the emulator (see emulator_fault
# below) are told and the command is run again, at most twice.
#
# Exit status: the command's; 124 time limit; 125 L1 failed, or its kernel log
# has a line matching log-bad.txt and not log-allowed.txt, which is printed.
# shellcheck disable=SC2054 # the commas are QEMU's
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

FROZEN_AFTER=120
kernel=${KV_SERIES[0]} mem=2048 cpus=2 limit=600 kargs='' accel='' icount='' out=''
while getopts 'hk:m:s:t:a:A:io:' opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	m) mem=$OPTARG ;;
	s) cpus=$OPTARG ;;
	t) limit=$OPTARG ;;
	a) kargs=$OPTARG ;;
	A) accel=$OPTARG ;;
	# virtual time may run many times slower than that of the wall
	i) icount=1 accel=tcg cpus=1 FROZEN_AFTER=900 ;;
	o) out=$OPTARG ;;
	h) kv_usage; exit ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
command=${1:-}
[ $# -eq 0 ] || shift
[ "${1:-}" != -- ] || shift
[ -n "$command" ] || [ -t 0 ] || die "no command, and no terminal for a shell"

"$KV_LAB/deps.sh" lab
emulator=$("$KV_LAB/qemu.sh")
kdir=$(kv_kernel_dir "$kernel")
rel=$(kv_release "$kdir")
initrd=$("$KV_LAB/initrd.sh" l1 "$kdir")

# KVM is worth it only if it can run a stock kernel that itself runs KVM; some
# machines have a /dev/kvm that cannot. Tried once per boot of this machine.
probe_kvm() {
	local boot verdict dir
	boot=$(cat /proc/sys/kernel/random/boot_id)
	verdict=$KV_CACHE/kvm-$boot
	if [ ! -e "$verdict" ]; then
		rm -f "$KV_CACHE"/kvm-*
		dir=$(mktemp -d)
		say "trying whether /dev/kvm boots a stock kernel (up to 30 s, once)"
		if "$0" -A kvm -t 30 -k "$kernel" -o "$dir" 'test -c /dev/kvm' >/dev/null 2>&1
		then echo kvm; else echo tcg; fi >"$verdict"
		rm -rf "$dir"
	fi
	cat "$verdict"
}
if [ -z "$accel" ]; then
	accel=tcg
	[ ! -w /dev/kvm ] || accel=$(probe_kvm)
fi

fresh=
if [ -z "$out" ]; then
	fresh=1
	mkdir -p "$KV_BUILD/lab"
	out=$(mktemp -d "$KV_BUILD/lab/l1.XXXXXX")
fi
mkdir -p "$out"
out=$(readlink -f "$out")
exec {out_lock}>"$out/.lock"
flock -n "$out_lock" || die "$out: another L1 is using this results folder"

# Where struct vcpu_svm of this kernel has its vmcb, in bytes; nothing if unknown.
vmcb_offset() {
	local dir=$kdir/lib/modules/$rel/kernel/arch/x86/kvm ko
	ko=$(mktemp)
	{ cat "$dir/kvm-amd.ko" || xzcat "$dir/kvm-amd.ko.xz"; } 2>/dev/null >"$ko"
	bpftool -B "$kdir/vmlinux" btf dump file "$ko" 2>/dev/null |
		awk -F= "/STRUCT 'vcpu_svm'/ { in_it = 1 }
			in_it && /'vmcb'/ { print \$NF / 8; exit }"
	rm -f "$ko"
}

# Any CPU that loads FPU registers may undo what CPU 0 has just done to the flags
# that tell guest from host (see lab.rst). So under tcg nothing enters a guest there.
smp=$cpus taskset=''
if [ "$accel" = tcg ] && [ -z "$icount" ]; then
	smp=$((cpus + 1)) taskset=1-$cpus
fi

# What L1 does after its root is up; read by lab/l1-init.sh.
{
	printf 'release=%q\nkdir=%q\ncwd=%q\n' "$rel" "$kdir" "$PWD"
	printf 'module=%q\n' "$KV_BUILD/kmod-$rel/kvasir.ko"
	printf 'command=%q vmcb_offset=%q taskset=%q\n' "$command" "$(vmcb_offset)" "$taskset"
	if [ -z "$command" ]; then
		read -r rows columns < <(stty size)
		printf 'rows=%q columns=%q term=%q\n' "$rows" "$columns" "${TERM:-dumb}"
	fi
} >"$out/.job"
cp "$KV_LAB/l1-init.sh" "$out/.init"

case $accel in
kvm) cpu=host ;;
tcg) cpu=max,la57=off ;;
*) say "-A $accel: not kvm or tcg"; exit 2 ;;
esac
# no_timer_check: a busy machine delays the emulated timer beyond what the
# kernel waits for it at boot, and the kernel panics.
monitor=$(mktemp -u)
trap 'rm -f "$monitor"' EXIT
signal=on
[ -n "$command" ] || signal=off
qemu=("$emulator" -machine q35 -cpu "$cpu" -m "$mem" -smp "$smp"
	-nodefaults -no-user-config -no-reboot -display none
	-kernel "$kdir/vmlinux" -initrd "$initrd"
	-append "console=ttyS1 loglevel=5 panic=-1 mitigations=off tsc=reliable no_timer_check $kargs"
	-chardev "stdio,id=tty,signal=$signal" -serial chardev:tty
	-serial "file:${out//,/,,}/kernel.log"
	-monitor "unix:$monitor,server=on,wait=off"
	-device isa-debug-exit,iobase=0xf4,iosize=1
	-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap
	-virtfs "local,path=${out//,/,,},mount_tag=out,security_model=none,multidevs=remap"
	"$@")
[ -z "$icount" ] || qemu+=(-icount shift=0)

# End L1 (process $1) when it has given no sign of life for a long while: a
# kernel that stands still prints nothing. Where its CPUs are goes to frozen.txt.
watch_life() {
	local age
	while sleep 5; do
		[ -e "$out/.alive" ] || continue
		age=$(($(date +%s) - $(stat -c %Y "$out/.alive")))
		[ "$age" -gt "$FROZEN_AFTER" ] || continue
		python3 "$KV_LAB/where.py" "$monitor" >"$out/frozen.txt" 2>&1
		kill "$1"
		return
	done
}

# Boot once with an accelerator. Sets status, and bad to the offending lines.
boot() {
	local rc=0 pid watch
	rm -f "$out"/{status,dmesg.txt,kernel.log,frozen.txt,guests-died.txt,.alive}
	say "L1: linux $rel by $1, $cpus CPUs, $mem MiB, results in $out"
	if [ -n "$command" ]; then
		timeout -k 5 "$limit" "${qemu[@]}" -accel "$1" </dev/null &
		pid=$!
		watch_life $pid &
		watch=$!
		wait $pid || rc=$?
		kill $watch 2>/dev/null || :
		wait $watch 2>/dev/null || :
	else
		timeout --foreground -k 5 "$limit" "${qemu[@]}" -accel "$1" || rc=$?
	fi

	# L1 wrote the command's status and then 42 to the debug port: 42 * 2 + 1.
	status=125
	case $rc in
	85) [ ! -s "$out/status" ] || status=$(cat "$out/status") ;;
	124 | 137) say "L1: stopped after the limit of $limit s"; status=124 ;;
	0) if [ -e "$out/frozen.txt" ]; then
		say "L1: stood still for $FROZEN_AFTER s, its CPUs at:"
		cat "$out/frozen.txt" >&2
	else
		say "L1: went down by itself before the command had ended"
	fi ;;
	*) say "L1: qemu ended with status $rc" ;;
	esac
	bad=$(cat "$out/kernel.log" "$out/dmesg.txt" 2>/dev/null | tr -d '\r' |
		grep -aEf <(grep -v '^#' "$KV_LAB/log-bad.txt") |
		grep -avEf <(grep -v '^#' "$KV_LAB/log-allowed.txt") | sort -u | head -50) || :
	if [ -n "$bad" ]; then
		say "L1: the kernel log has, see $out/kernel.log:"
		printf '%s\n' "$bad" >&2
		[ "$status" != 0 ] || status=125
	fi
	if [ "$status" = 125 ] || [ "$status" = 124 ]; then
		say "L1: the end of its kernel log:"
		tail -n 60 "$out/kernel.log" >&2 || :
	fi
}

# What the emulator does to the kernels it runs, told from what is left; why is in
# Documentation/lab.rst. Any of them may mistake a nested guest for its host, which
# keeping off CPU 0 should prevent. One that cannot be trusted (see qemu.sh) also
# runs old code of a kernel that patches itself: the kernel returns to a breakpoint
# for ever, or dies of one that is gone.
emulator_fault() {
	if [ -s "$out/guests-died.txt" ]; then
		say "L1: a guest of it died of a triple fault:"
		cat "$out/guests-died.txt" >&2
	elif grep -a -A 4 'stack guard page was hit' "$out/kernel.log" |
		tr '\n' ' ' | grep -aq 'Comm: vcpu.*RIP: 0010:\(error_entry\|asm_exc_\)'; then
		# Entry code faults on itself while the registers of the nested
		# guest are still loaded.
		say "L1: a nested guest was left with its registers still in place"
	elif grep -a -A 40 'panic.*: corrupted stack end' "$out/kernel.log" |
		grep -aq ' shutdown_interception+'; then
		say "L1: its memory was damaged in the moment a guest of it died of a triple fault"
	elif kv_qemu_trusted "$emulator"; then
		return 1
	elif [ -e "$out/frozen.txt" ]; then
		say "L1: perhaps at a breakpoint that is not there"
	elif grep -a -A 12 'int3: 0000' "$out/kernel.log" |
		grep -aq 'Code:.* \([^c].\|c[^c]\) <'; then
		# It ran a breakpoint that the kernel had replaced already: the
		# byte before the marked one is a breakpoint (cc) no more.
		say "L1: a breakpoint that is not there was hit"
	else
		return 1
	fi
}

# A command that failed by such a fault is run again, three times in all; each is
# a line in "repeated", which check.sh counts as a skip.
rm -f "$out/repeated"
mode=$accel
if [ "$accel" = tcg ]; then
	mode+=,thread=$([ -n "$icount" ] && echo single || echo multi)
	# A guest may be interrupted twice when what was translated is thrown away
	# for want of room: the most QEMU allows, where there is memory for it.
	[ "$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -lt $((mem + 4096)) ] ||
		mode+=,tb-size=2047
fi
boot "$mode"
if [ "$accel" = tcg ] && [ -z "$icount" ]; then
	for _ in 1 2; do
		[ "$status" != 0 ] || break
		emulator_fault || break
		say "L1: once again"
		echo "L1 failed under QEMU $(kv_qemu_version "$emulator")$(
			[ ! -s "$out/guests-died.txt" ] || echo ", a guest died")" >>"$out/repeated"
		boot "$mode"
	done
fi

# A folder made here that holds nothing but the logs of a good run.
if [ -n "$fresh" ] && [ "$status" = 0 ] && [ -z "$bad" ] &&
	[ "$(find "$out" -type f ! -name '.*' | wc -l)" = 3 ]; then
	rm -rf "$out"
fi
exit "$status"
