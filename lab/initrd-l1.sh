#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# initrd-l1.sh - init of L1's initramfs: this machine's root over 9p, read-only
# below an overlay in memory, then lab/l1-init.sh from the results folder.

export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
	insmod "/modules/$module" || echo "insmod $module failed" >/dev/kmsg
done </modules/order

p9=trans=virtio,version=9p2000.L,msize=512000
mkdir /lower /upper /new
mount -t 9p -o "ro,$p9,cache=loose" host /lower
mount -t tmpfs tmpfs /upper
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /new
mkdir -p /new/mnt/out /new/dev /new/proc /new/sys /new/run
mount -t 9p -o "$p9" out /new/mnt/out
for dir in dev proc sys; do
	mount --move /$dir /new/$dir
done
exec switch_root /new /bin/bash /mnt/out/.init
