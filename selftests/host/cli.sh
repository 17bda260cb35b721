#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kvasir command as seen by a shell: every verb explains itself, every bad
# command line ends with its exit status and exactly one line on stderr, and
# nothing that comes from outside reaches the terminal unescaped.
#
# Proven without a guest, the module or root; a test that needs /dev/kvm or
# root says so when it is skipped. $KVASIR names the program, else it is that
# of the build folder, built with the sanitizers if there is one.
set -u
here=$(dirname "$(readlink -f "$0")")
. "${KVT_LIB:-$here/../lib}/ktap.sh"
build=${KVT_BUILD:-$here/../../build/selftests}/..

kvasir=${KVASIR:-}
for dir in user-san user; do
	[ -n "$kvasir" ] || [ ! -x "$build/$dir/kvasir" ] ||
		kvasir=$build/$dir/kvasir
done
[ -n "$kvasir" ] || skip_all "no kvasir program in $build (make -C user)"
need_cmd python3
tmp=$(mktemp -d)
cleanup "rm -rf $tmp"

# run ARGS...: into $tmp/out, $tmp/err; no terminal, no input
run() {
	timeout -k 5 30 "$kvasir" "$@" </dev/null >"$tmp/out" 2>"$tmp/err"
}

# refused CODE ARGS...: this exit status, one line on stderr, none on stdout
refused() {
	local want=$1 rc=0
	shift
	run "$@" || rc=$?
	if [ "$rc" != "$want" ] || [ "$(wc -l <"$tmp/err")" != 1 ] ||
	   [ -s "$tmp/out" ] || ! grep -q '^kvasir' "$tmp/err" ||
	   LC_ALL=C grep -q '[^ -~]' "$tmp/err"; then
		echo "kvasir $*: exit status $rc, expected $want, and said:"
		cat "$tmp/err" "$tmp/out"
		return 1
	fi
}

# all CODE: each line of stdin as arguments
all() {
	local line bad=0 args
	while read -r line; do
		eval "args=($line)"
		refused "$1" "${args[@]}" || bad=1
	done
	return "$bad"
}

helps() {
	local verb bad=0
	for verb in run ps stop console stats 'trace exits' 'trace record' \
		    'trace report' 'trace diff' 'trace path' 'trace io' \
		    'trace net' 'module load' 'module unload' \
		    'module status' doctor; do
		# shellcheck disable=SC2086 # two words
		if ! run $verb --help || [ -s "$tmp/err" ] ||
		   ! grep -q "^Usage: kvasir $verb" "$tmp/out" ||
		   ! grep -q '^Exit status:' "$tmp/out" ||
		   grep -q '.\{81\}' "$tmp/out"; then
			echo "kvasir $verb --help:"
			cat "$tmp/out" "$tmp/err"
			bad=1
		fi
	done
	return "$bad"
}

lists() {
	local verb
	for verb in '' trace module; do
		# shellcheck disable=SC2086 # nothing or one word
		run $verb --help || return
		grep -q '^Usage: kvasir' "$tmp/out" || return
	done
	run --version || return
	grep -qx 'kvasir [0-9]*\.[0-9]*\.[0-9]*' "$tmp/out"
}

usage() {
	all 2 <<'LINES'
nope
--nope
-x
''
--version extra
run
run --kernel
run --kernel ''
run --kernel k operand
run --kernel k --kernel k
run --kernel k --nope
run --kernel k --nope=1
run --kernel k -Z
run --kernel k --no-rng=1
run --kernel k --hugepages --hugepages
run --kernel k --console tty
run --kernel k --name ''
run --kernel k --name ../../etc/x
run --kernel k --name .hidden
run --kernel k --name "$(printf 'n%.0s' {1..65})"
ps operand
ps -x
stop
stop a b
stop ../x
stop a --time -1
stop a --time 1.5
console
console a b
console a/b
stats operand
stats --dev x
stats --dev 4294967296
stats --interval 0
stats --count 1
stats --interval 1 --count 0
trace
trace nope
trace exits operand
trace exits --pid x
trace exits --duration x
trace exits --interval 0
trace exits --interval nan
trace exits --format nope
trace exits --json --format table
trace exits --json --prometheus -
trace exits --prometheus ''
trace exits --prometheus x
trace exits --prometheus 65536
trace exits --prometheus localhost:9100
trace exits --live
trace exits --live --batch
trace exits --by addr -f html
trace exits --by addr -f folded
trace exits --by addr -f prometheus
trace exits --by addr --prometheus 0
trace exits --symbols /dev/null -f html
trace exits --symbols /dev/null --prometheus -
trace exits --vcpus --json
trace exits --vcpus --prometheus 0
trace exits --wide -f html
trace exits -i 2 --json
trace exits -i 2 --batch
trace exits -i 2 --prometheus 0
trace net --json --prometheus -
trace net --format nope
trace path --format html --json
trace io -f folded --prometheus -
trace io --prometheus 65536
trace path --prometheus localhost:9100
trace record operand
trace record exits path
trace record path --vcpu 0
trace record io --series 10
trace record --room 801
trace record net --room 801
trace record --series 16385
trace record net --slowest 3
trace record path --format json
trace record --output ''
trace record --json
trace report
trace report a b
trace report --format nope a
trace report --json --format html a
trace report --json --format table a
trace report --json --vcpus a
trace report -f folded --wide a
trace diff
trace diff a
trace diff a b c
module
module nope
module load operand
module load --path ''
module unload operand
module status --json --json
doctor operand
LINES
}

numbers() {
	all 2 <<'LINES'
run -k k --cpus 0
run -k k --cpus 65
run -k k --cpus -1
run -k k --cpus +1
run -k k --cpus 1x
run -k k --cpus ' 1'
run -k k --cpus 0x1
run -k k --cpus 4294967297
run -k k --cpus 18446744073709551617
run -k k --mem ''
run -k k --mem K
run -k k --mem 0
run -k k --mem 1M
run -k k --mem -1G
run -k k --mem 512
run -k k --mem 33554433
run -k k --mem 1.5G
run -k k --mem 512MB
run -k k --mem 512MiB
run -k k --mem 18446744073709551615T
run -k k --mem 16777216T
run -k k --mem 99999999999999999999999999
LINES
}

devices() {
	all 2 <<'LINES'
run -k k --net ''
run -k k --net tap
run -k k --net tap=
run -k k --net =x
run -k k --net backend=user
run -k k --net tap=a,bridge=b
run -k k --net tap=a,tap=b
run -k k --net tap=a,
run -k k --net ,tap=a
run -k k --net tap=a,nope=1
run -k k --net tap=a,backend=nope
run -k k --net tap=a,backend
run -k k --net tap=a,queues=0
run -k k --net tap=a,queues=9
run -k k --net tap=a,queues=1x
run -k k --net tap=0123456789abcdef
run -k k --net tap=a/b
run -k k --net 'tap=a b'
run -k k --net tap=.
run -k k --net tap=a,mac=52:54:00:12:34
run -k k --net tap=a,mac=52:54:00:12:34:5
run -k k --net tap=a,mac=52:54:00:12:34:5g
run -k k --net tap=a,mac=52-54-00-12-34-56
run -k k --net tap=a,mac=52:54:00:12:34:56:78
run -k k --net tap=a,mac=01:00:5e:00:00:01
run -k k --net tap=a,mac=00:00:00:00:00:00
run -k k --disk ''
run -k k --disk ,readonly
run -k k --disk d,
run -k k --disk d,nope
run -k k --disk d,readonly=1
run -k k --disk d,readonly,readonly
run -k k --disk d,backend=vhost
run -k k --disk d,queues=0
run -k k --disk d,queues=65
run -k k --disk d,serial
run -k k --disk d,serial=012345678901234567890
run -k k --disk d,serial=$'a\tb'
LINES
}

too_many() {
	local i nets=() disks=()
	for i in {0..8}; do nets+=(--net "tap=t$i"); done
	for i in {0..16}; do disks+=(--disk "d$i"); done
	refused 2 run -k k "${nets[@]}" && refused 2 run -k k "${disks[@]}"
}

hostile() {
	refused 2 $'\e]0;x\a' &&
		refused 2 run -k k --net $'tap=\e[31m\n' &&
		refused 2 run -k k --disk $'d,\x9b31m=1' &&
		refused 4 module load --path $'/no/\e[31m\nsuch' &&
		refused 2 stop $'a\nb' &&
		refused 2 run --"$(printf 'o%.0s' {1..5000})"
}

# ps also has a line for each guest of this machine that does not answer.
full() {
	local verb rc bad=0
	for verb in '--help' '--version' 'ps' 'ps --json' 'doctor' \
		    'doctor --json' 'run --help'; do
		rc=0
		# shellcheck disable=SC2086 # two words
		"$kvasir" $verb >/dev/full 2>"$tmp/all" || rc=$?
		grep -v '^kvasir ps: [A-Za-z0-9_.-]*: ' "$tmp/all" >"$tmp/err"
		if [ "$rc" != 1 ] || [ "$(wc -l <"$tmp/err")" != 1 ] ||
		   ! grep -q ': cannot write the output: No space' "$tmp/err"; then
			echo "$verb: exit status $rc"
			cat "$tmp/all"
			bad=1
		fi
	done
	return "$bad"
}

# A closed descriptor is not taken over by a file of the command's own.
closed() {
	local rc=0
	"$kvasir" --version >&- 2>"$tmp/err" || rc=$?
	[ "$rc" = 1 ] && [ "$(wc -l <"$tmp/err")" = 1 ] || return
	rc=0
	"$kvasir" run -k /nonexistent <&- >&- 2>&- || rc=$?
	[ "$rc" = 3 ] || [ "$rc" = 4 ]
}

doctor() {
	local rc=0
	run doctor --json || rc=$?
	python3 - "$tmp/out" "$rc" <<'PY' || return
import json, sys
d = json.load(open(sys.argv[1]))
lacking = [c for c in d['checks'] if c['needed'] and not c['ok']]
assert d['ok'] == (not lacking), d
assert int(sys.argv[2]) == (1 if lacking else 0), sys.argv[2]
assert len({c['name'] for c in d['checks']}) == len(d['checks']) > 10
assert all(c['ok'] or (c['mend'] and c['for']) for c in d['checks'])
PY
	run doctor || :
	[ "$(grep -c '^MISSING' "$tmp/out")" = "$(grep -o '^[0-9]*' "$tmp/out" || echo 0)" ]
}

no_module() {
	refused 6 stats && refused 6 stats --json &&
		refused 6 stats --dev 0 && refused 6 module unload || return
	refused 6 trace record path -d 1 -o "$tmp/record" || return
	[ ! -e "$tmp/record" ] || return
	run module status
	[ $? = 6 ] && grep -qx 'not loaded' "$tmp/out" || return
	run module status --json
	[ $? = 6 ] && python3 -m json.tool "$tmp/out"
}

no_guest() {
	run ps && grep -q '^NAME' "$tmp/out" || return
	run ps --json && python3 -m json.tool "$tmp/out" || return
	refused 4 stop "kvt-$$-none" && refused 4 console "kvt-$$-none"
}

# An ELF with a PVH entry, 16 bytes of HLT: passes for a kernel.
make_kernel() {
	python3 - "$1" <<'PY'
import struct, sys
base, head = 0x1000000, 64 + 2 * 56
note = struct.pack('<III4sI', 4, 4, 18, b'Xen\0', base)
elf = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\2\1\1', 2, 62, 1, base,
                  64, 0, 0, 64, 56, 2, 0, 0, 0)
elf += struct.pack('<IIQQQQQQ', 1, 5, head, base, base, 16, 16, 16)
elf += struct.pack('<IIQQQQQQ', 4, 4, head + 16, 0, 0, len(note), len(note), 4)
open(sys.argv[1], 'wb').write(elf + b'\xf4' * 16 + note)
PY
}

files() {
	make_kernel "$tmp/k" && echo text >"$tmp/text" || return
	head -c 100 "$tmp/k" >"$tmp/cut" && : >"$tmp/empty" || return
	all 4 <<LINES && all 5 <<LINES2
run -k $tmp/none
run -k $tmp
run -k $tmp/k --initrd $tmp/none
run -k $tmp/k --initrd $tmp
run -k $tmp/k --disk $tmp/none
run -k $tmp/k --disk $tmp/none,readonly,backend=user
run -k $tmp/k --disk $tmp
run -k $tmp/k --disk /dev/null
LINES
run -k $tmp/text
run -k $tmp/cut
run -k $tmp/empty
LINES2
}

memory() {
	make_kernel "$tmp/k" || return
	refused 9 run -k "$tmp/k" --mem 1024T
}

backends() {
	make_kernel "$tmp/k" && truncate -s 1M "$tmp/disk" || return
	refused 6 run -k "$tmp/k" --disk "$tmp/disk,backend=kvasir"
}

locked() {
	make_kernel "$tmp/k" && truncate -s 1M "$tmp/disk,1" || return
	refused 8 run -q -k "$tmp/k" --disk "$tmp/disk,,1,backend=user" \
		--disk "$tmp/disk,,1,backend=user"
}

# A guest that plays tricks with its control socket. Prints "up" when it
# listens; answers by its kind.
play() {
	python3 -u - "/run/kvasir/kvt-$$-$1.sock" "$1" <<'PY' &
import os, socket, sys, time
path, kind = sys.argv[1:]
os.makedirs(os.path.dirname(path), exist_ok=True)
s = socket.socket(socket.AF_UNIX)
# Who sees it finds it listening.
s.bind(path + '.new')
s.listen(4)
os.rename(path + '.new', path)
if kind == 'stale':
    sys.exit()
end = time.time() + 60
s.settimeout(60)
while time.time() < end:
    c = s.accept()[0]
    line = c.makefile().readline()
    if kind == 'good' and 'stop' in line:
        sys.exit()
    elif kind == 'good':
        c.sendall(b'{"ok":true,"name":"x\\u001b[31m","kernel":"\\u001b[31m",'
                  b'"pid":1,"cpus":2,"mem":1048576,"uptime_ms":5000}\n')
    elif kind == 'garbage':
        c.sendall(b'\x1b[31m garbage\n')
    elif kind == 'deep':
        c.sendall(b'{"ok":' + b'[' * 5000 + b'\n')
    elif kind == 'long':
        try:
            c.sendall(b'x' * (1 << 20))
        except OSError:
            pass
    elif kind == 'silent':
        time.sleep(20)
PY
	cleanup "kill $! ; rm -f /run/kvasir/kvt-$$-$1.sock"
	busywait 10000 test -S "/run/kvasir/kvt-$$-$1.sock"
}

sockets() {
	local kind
	for kind in stale good garbage deep long silent; do
		play "$kind" || return
	done
	run ps || return
	cat "$tmp/out" "$tmp/err"
	LC_ALL=C grep -q '[^ -~]' "$tmp/out" "$tmp/err" && return 1
	grep -q "^kvt-$$-good .* 2 .* 1M .* 5s .*x1b" "$tmp/out" || return
	grep "kvt-$$" "$tmp/out" | grep -qv "kvt-$$-good" && return 1
	grep -q "kvt-$$-stale" "$tmp/err" && return 1
	for kind in garbage deep long silent; do
		grep -q "kvt-$$-$kind: does not answer" "$tmp/err" || return
	done
	run ps --json && python3 -m json.tool "$tmp/out" &&
		refused 4 stop "kvt-$$-stale" &&
		refused 1 stop "kvt-$$-garbage" &&
		refused 1 console "kvt-$$-garbage" &&
		run stop "kvt-$$-good"
}

# A recording of one vCPU whose exit MSR took 1000 ns, $1 times in a second
recording() {
	cat <<JSON
{"kvasir_trace":1,"kernel":"6.1","began":1700000000,"seconds":1.0,"pid":0,
"hist_sub_bits":5,"hist_bits":40,"losses":{},"slices":[],"vms":[{"pid":7,
"comm":"x\\\\x1b[31m","name":"a<b>","known":true,"returns":[],"vcpus":[{"id":0,
"reasons":[{"isa":2,"code":124,"kernel":{"timed":$1,"untimed":0,
"total_ns":$(($1 * 1000)),"max_ns":1000,"buckets":[190,$1]}}]}]}]}
JSON
}

# A recording of trace $1: a disk that read $2 times (3), in 1000 ns
queue_recording() {
	local n=${2:-3}
	cat <<JSON
{"kvasir_trace":1,"kind":"$1","kernel":"6.1","began":1700000000,"seconds":1.0,
"pid":0,"hist_sub_bits":5,"hist_bits":40,"losses":{"unmatched":7},
"no_guests":false,"counters_errno":1,"slices":[],"queues":[{"dev":4,"index":0,
"type":"blk","backend":"x\\\\x1b[31m","pid":7,"comm":"c","name":"a<b>",
"requests":$n,"failed":0,"services":1,"unasked":0,"calls":1,"uncalled":0,
"elsewhere":0,"posted":0,"refused":[],"series":[{"what":"device","op":0,
"count":$n,"sum":$((n * 1000)),"max":1000,"buckets":[190,$n]}],"slowest":[{"op":0,
"bytes":512,"head":0,"total":1000,"at":[0,0,10,10,1010,0,0,0]}]}]}
JSON
}

queue_recordings() {
	local kind format
	for kind in path io net; do
		queue_recording "$kind" >"$tmp/$kind" &&
			head -c 500 "$tmp/$kind" >"$tmp/cut.$kind" || return
		for format in table json prometheus folded html; do
			run trace report -f "$format" "$tmp/$kind" || return
			LC_ALL=C grep -q '[^ -~]' "$tmp/out" && return 1
			grep -Eq 'a(<|&lt;)b' "$tmp/out" || return
		done
		run trace report --json "$tmp/$kind" && python3 -m json.tool "$tmp/out" ||
			return
	done
	run trace report "$tmp/path" && grep -q '^SLOWEST' "$tmp/out" &&
		run trace report --slowest 0 "$tmp/path" || return
	grep -q '^SLOWEST' "$tmp/out" && return 1
	run trace report "$tmp/io" && grep -q '^note: .* CAP_NET_ADMIN' "$tmp/out" &&
		grep -q '^lost: 7 ' "$tmp/out" || return
	for kind in path io net; do
		queue_recording "$kind" 3000 >"$tmp/more" &&
			run trace diff "$tmp/$kind" "$tmp/more" || return
		LC_ALL=C grep -q '[^ -~]' "$tmp/out" && return 1
		grep -q 'read .* x1e+03 .* more$' "$tmp/out" &&
			run trace diff --json "$tmp/$kind" "$tmp/more" &&
			python3 -m json.tool "$tmp/out" &&
			run trace diff "$tmp/$kind" "$tmp/$kind" &&
			grep -q 'no change in 1 series' "$tmp/out" &&
			grep -q '^lost in B: 7 ' "$tmp/out" &&
			grep -q '^warning: .* of A and B miss' "$tmp/out" || return
	done
	recording 1000 >"$tmp/exits"
	all 2 <<LINES && all 5 <<LINES2
trace report --vcpus $tmp/path
trace report --wide $tmp/io
trace report --slowest 1 $tmp/net
trace report --slowest 1 $tmp/exits
trace report --slowest 9 $tmp/path
trace diff $tmp/path $tmp/exits
trace diff $tmp/path $tmp/io
trace diff $tmp/io $tmp/net
LINES
trace report $tmp/cut.path
trace report $tmp/cut.net
LINES2
}

recordings() {
	local format
	recording 1000 >"$tmp/a" && recording 2000 >"$tmp/b" &&
		head -c 200 "$tmp/a" >"$tmp/cut.json" && echo text >"$tmp/foreign" &&
		: >"$tmp/nothing" || return
	for format in table json prometheus folded html; do
		run trace report -f "$format" "$tmp/a" || return
		LC_ALL=C grep -q '[^ -~]' "$tmp/out" && return 1
		grep -q msr "$tmp/out" || return
	done
	run trace report --json "$tmp/a" && python3 -m json.tool "$tmp/out" || return
	run trace diff "$tmp/a" "$tmp/b" && grep -q 'msr .*+100.0% .* more$' "$tmp/out" &&
		run trace diff "$tmp/a" "$tmp/a" && grep -q 'no change' "$tmp/out" &&
		run trace diff --json "$tmp/a" "$tmp/b" && python3 -m json.tool "$tmp/out" || return
	sed 's/"losses":{}/"losses":{"series_full":3}/' "$tmp/b" >"$tmp/lossy"
	run trace diff "$tmp/a" "$tmp/b" && ! grep -q '^lost\|^warning' "$tmp/out" &&
		run trace diff "$tmp/a" "$tmp/lossy" &&
		grep -q '^lost in B: 3 exits not counted' "$tmp/out" &&
		grep -q '^warning: .* of B miss' "$tmp/out" || return
	all 4 <<LINES && all 5 <<LINES2
trace report $tmp/nowhere
trace report $tmp
trace report /dev/zero
trace diff $tmp/a $tmp/nowhere
LINES
trace report $tmp/cut.json
trace report $tmp/foreign
trace report $tmp/nothing
trace diff $tmp/foreign $tmp/a
trace diff $tmp/a $tmp/cut.json
LINES2
}

unkvm='' unmod=''
[ -r /dev/kvm ] && [ -w /dev/kvm ] || unkvm="no access to /dev/kvm"
[ ! -d /sys/module/kvasir ] || unmod="the module is loaded"
unroot=''
[ "$(id -u)" = 0 ] || unroot="needs root for /run/kvasir"

# case NAME REASON COMMAND: skipped if there is a reason
case_() {
	if [ -n "$2" ]; then
		skip "$1" "$2"
	else
		check "$1" "$3"
	fi
}

plan 19
check "every verb has --help, with its exit status, in 80 columns" helps
check "the lists of verbs, the version" lists
check "bad command lines: 2 and one line" usage
check "bad numbers and sizes: 2 and one line" numbers
check "bad --net and --disk: 2 and one line" devices
check "more devices than there may be: 2 and one line" too_many
check "T-05 control characters do not reach the terminal" hostile
check "output that cannot be written: 1 and one line" full
check "closed standard descriptors" closed
check "recordings: every format, differences, damaged files" recordings
check "recordings of queues: every format, options that fit, damaged files" \
	queue_recordings
check "doctor: JSON, remedies, exit status agree" doctor
case_ "no module: 6" "$unmod" no_module
check "no such guest: 4" no_guest
case_ "V-01 files missing: 4; no kernel image: 5" "$unkvm" files
case_ "more memory than there is: 9" "$unkvm" memory
case_ "a backend that is not there: 6" "$unkvm$unmod" backends
case_ "one writable disk twice: 8" "$unkvm" locked
case_ "V-05 control sockets that answer nonsense, late or never" \
	"$unroot" sockets
finish
