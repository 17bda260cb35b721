# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # .job sets what this file reads
#
# l1-init.sh - first process of L1 once its root file system is up. lab/l1.sh
# puts it into the results folder with .job, which says what to run.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8 OUT=/mnt/out
exec <>/dev/ttyS0 >&0 2>&0
stty raw -echo

mount -t tmpfs tmpfs /run
mkdir -p /dev/shm /dev/pts
ln -s /proc/self/fd /dev/fd
for fd in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${fd%:*}" "/dev/${fd#*:}"; done
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
hostname l1

# shellcheck source=/dev/null
. "$OUT/.job"
mkdir -p /lib/modules /etc/modprobe.d
mount --bind "$kdir/lib/modules" /lib/modules

# modprobe finds the module just built without a new index of all modules.
if [ -e "$module" ]; then
	needs=$(modinfo -F depends "$module" | tr ',' ' ')
	echo "install kvasir ${needs:+modprobe -a $needs && }insmod $module \$CMDLINE_OPTS" \
		>/etc/modprobe.d/kvasir-lab.conf
fi
if grep -qw svm /proc/cpuinfo; then
	modprobe kvm_amd
else
	modprobe kvm_intel
fi
modprobe -a tun vhost_net

# KVM resets a virtual CPU that died of a triple fault; this keeps what it died
# with, read from its VMCB (APM volume 2, appendix B). A guest that resets itself
# by way of a triple fault has given up its IDT before.
deaths=/sys/kernel/tracing/instances/deaths
watch_guests() {
	local regs='' r
	for r in rip:578 cs:410 rsp:5d8 cr0:558 cr2:640 cr3:550 cr4:548 efer:4d0 \
		idt:488 vectoring:88 ncr3:b0; do
		regs+=" ${r%:*}=+0x${r#*:}(+$vmcb_offset(\$arg1)):x64"
	done
	mkdir "$deaths" &&
		echo "p:lab/guest_died kvm_amd:shutdown_interception$regs" \
			>>/sys/kernel/tracing/kprobe_events &&
		echo 'idt != 0' >"$deaths/events/lab/guest_died/filter" &&
		echo 1 >"$deaths/events/lab/guest_died/enable"
}
[ -z "$vmcb_offset" ] || watch_guests

# Proof of life for l1.sh.
while date +%s >"$OUT/.alive"; do sleep 5; done &

[ -z "$taskset" ] || taskset -pc "$taskset" $$ >/dev/null
cd "$cwd" 2>/dev/null || cd /
if [ -n "$command" ]; then
	stty opost -onlcr
	bash -c "$command" </dev/null
	rc=$?
else
	stty sane rows "$rows" columns "$columns"
	export TERM=$term
	echo "L1 with linux $release. Results folder: $OUT. Leave with 'exit'."
	setsid -c bash -i
	rc=$?
fi

dmesg >"$OUT/dmesg.txt"
grep -s guest_died: "$deaths/trace" >"$OUT/guests-died.txt" || rm -f "$OUT/guests-died.txt"
echo "$rc" >"$OUT/status"
sync
printf '\052' | dd of=/dev/port bs=1 seek=244 count=1 2>/dev/null
