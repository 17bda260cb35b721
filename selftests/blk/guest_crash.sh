#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven: a guest whose VMM is killed at a random moment leaves a file system
# that recovers its journal, is found clean by fsck, and has every file that was
# synced before, whole: ext4 and xfs, on the module (B-07, L-01).
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh; the kernel in a
# folder of the lab (lab/kernels.sh), whose modules the guest gets.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_kvasir
need_cmd mkfs.ext4 e2fsck mkfs.xfs xfs_repair cpio
need_node kvasir-blk

disk=kvtguest
knobs=/sys/kernel/config/nullb/$disk
console=$ktap_tmp/console
mnt=$ktap_tmp/mnt

# A block device with memory behind it; completes from a timer, out of order.
device() {
	modprobe -q null_blk nr_devices=0 || :
	[ -d /sys/kernel/config/nullb ] || mount -t configfs c /sys/kernel/config || return
	mkdir "$knobs" || return
	cleanup "echo 0 >$knobs/power; rmdir $knobs"
	local knob
	for knob in size=400 memory_backed=1 discard=1 irqmode=2 completion_nsec=100000 power=1; do
		echo "${knob#*=}" >"$knobs/${knob%%=*}" || return
	done
}

# The initramfs with the file systems' modules and the writer.
initrd() {
	local tree=$ktap_tmp/tree
	mkdir -p "$tree/kvasir/modules"
	# shellcheck disable=SC2153 # run.sh sets KVT_TOP
	(. "$KVT_TOP/lab/lib.sh" && kv_modules "${KVT_KERNEL%/boot/*}" "$tree/kvasir/modules" xfs) &&
		[ -s "$tree/kvasir/modules/order" ] &&
		cp "$KVT_BUILD/guest/crash" "$tree/kvasir/" || return
	cat >"$tree/kvasir/crash.sh" <<-'END'
		dir=/run/kvasir
		while read -r module; do
			insmod $dir/modules/$module 2>/dev/null
		done <$dir/modules/order
		mkdir -p /mnt
		mount -t $1 /dev/vda /mnt && exec $dir/crash write /mnt
	END
	{
		cat "$KVT_INITRD"
		(cd "$tree" && find kvasir | cpio -o -H newc -R 0:0 --quiet) | gzip -1
	} >"$ktap_tmp/initrd"
}

acked() { tr -d '\r' <"$console" | sed -n 's/^acked \([0-9]*\)$/\1/p' | tail -n 1; }
beyond() { [ "$(acked)" -gt "$1" ]; } 2>/dev/null

# killed FS: a guest writes, its VMM is killed
killed() {
	"$kvasir" run -q -k "$KVT_KERNEL" -i "$ktap_tmp/initrd" -m 384M -c 1 \
		--disk "/dev/$disk,backend=kvasir" \
		-a "console=ttyS0 quiet panic=-1 kvasir.cmd=sh /run/kvasir/crash.sh $1" \
		</dev/null >"$console" 2>&1 &
	local vm=$! rc=0
	cleanup "kill -9 $vm"
	busywait 120000 beyond 45 || rc=1
	sleep "$(printf '0.%03d' $((RANDOM % 1000)))"
	kill -9 "$vm"
	wait "$vm"
	busywait 30000 grep -qx 0 /sys/module/kvasir/refcnt || rc=1
	[ "$rc" = 0 ] || tail -n 20 "$console"
	note "$1: $(acked) files acknowledged"
	return "$rc"
}

# recovered FS: the journal, then the files
recovered() {
	local rc=0
	mkdir -p "$mnt"
	mount -t "$1" "/dev/$disk" "$mnt" || return
	"$KVT_BUILD/guest/crash" check "$mnt" "$(acked)" || rc=1
	umount "$mnt"
	return "$rc"
}

clean() {
	case $1 in
	ext4) e2fsck -fn "/dev/$disk" ;;
	xfs) xfs_repair -n "/dev/$disk" ;;
	esac
}

plan 10
check "a block device" device
check "an initramfs with the file systems" initrd
for fs in ext4 xfs; do
	modprobe -q $fs
	case $fs in
	ext4) check "ext4: made" mkfs.ext4 -q -F "/dev/$disk" ;;
	xfs) check "xfs: made" mkfs.xfs -q -f "/dev/$disk" ;;
	esac
	check "B-07 L-01 $fs: the guest is killed while it writes" killed $fs
	check "$fs: mounts, and every synced file is there" recovered $fs
	check "$fs: clean" clean $fs
done
finish
