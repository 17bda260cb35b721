#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# guest-init.sh - first process of a guest, in its initramfs or on its disk.
#
# From the kernel command line:
#	kvasir.ip=ADDRESS/BITS	for eth0
#	kvasir.cmd=COMMAND	all to the end of the line, run by the shell;
#				without it, a shell on the console
# Prints "guest: ready" before and "guest: exit N" after the command, then
# powers off.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=dumb LC_ALL=C
box=/run/kvasir/busybox

mkdir -p /dev/shm /dev/pts
$box ln -s /proc/self/fd /dev/fd
$box mount -t tmpfs tmpfs /dev/shm
$box mount -t devpts devpts /dev/pts
$box mount -t tmpfs tmpfs /tmp
$box ip link set lo up
$box hostname guest

read -r cmdline </proc/cmdline
for word in $cmdline; do
	case $word in
	kvasir.ip=*)
		$box ip addr add "${word#kvasir.ip=}" dev eth0
		$box ip link set eth0 up
		;;
	esac
done

echo "guest: ready $($box uname -r) after $($box cut -d' ' -f1 /proc/uptime) s"
case $cmdline in
*kvasir.cmd=*) sh -c "${cmdline#*kvasir.cmd=}" </dev/null ;;
*) $box setsid $box cttyhack sh ;;
esac
echo "guest: exit $?"
$box sync
$box poweroff -f
