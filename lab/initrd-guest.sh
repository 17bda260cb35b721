#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# initrd-guest.sh - init of the guest's initramfs: loads the virtio drivers,
# mounts the disk that root= names, if any, and goes on to guest-init.sh.

export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
while read -r module; do
	insmod "/modules/$module" || echo "guest: insmod $module failed"
done </modules/order
cp -a /kvasir /run/
cp /bin/busybox /run/kvasir/

disk=
read -r cmdline </proc/cmdline
for word in $cmdline; do
	case $word in
	root=*) disk=${word#root=} ;;
	esac
done
[ -n "$disk" ] || exec /run/kvasir/guest-init.sh

tries=100
until mount -t ext4 -o noatime "$disk" /root; do
	tries=$((tries - 1))
	if [ $tries = 0 ]; then
		echo "guest: cannot mount $disk"
		poweroff -f
	fi
	sleep 0.1
done
for dir in dev proc sys run; do
	mount --move /$dir /root/$dir
done
exec switch_root /root /run/kvasir/guest-init.sh
