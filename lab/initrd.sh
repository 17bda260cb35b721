#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# initrd.sh - make a small initramfs for a kernel and print its path.
#
#   initrd.sh l1 KERNEL-DIR       mounts the 9p root of L1, see l1.sh
#   initrd.sh guest KERNEL-DIR    runs in the guest (L2), see guest-init.sh
#
# KERNEL-DIR is a folder that kernels.sh made; the image goes there and is made
# again only when its sources have changed. Holds busybox, the modules needed
# to reach the root, in the order of their dependencies, and an init.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

kind=${1:?kind} kdir=${2:?kernel folder}
image=$kdir/initrd-$kind.gz
case $kind in
l1)
	modules=(virtio_pci 9pnet_virtio 9p overlay)
	files=("$KV_LAB/initrd-l1.sh")
	;;
guest)
	modules=(virtio_pci virtio_blk virtio_net virtio_rng virtio_console button evdev
		ext4 crc32c_generic)
	files=("$KV_LAB/initrd-guest.sh" "$KV_LAB/guest-init.sh" "$KV_LAB/guest-demo.sh"
		"$KV_BUILD/lab/abench")
	;;
*) say "unknown kind '$kind'"; exit 2 ;;
esac

up_to_date() {
	local f
	for f in "$0" "${files[@]}"; do
		[ "$image" -nt "$f" ] || return 1
	done
}
if up_to_date; then
	echo "$image"
	exit
fi
kv_lock initrd

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,dev,proc,sys,run,tmp,modules,root,kvasir}
cp /bin/busybox "$tree/bin/"
for applet in $(busybox --list); do
	[ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
done

kv_modules "$kdir" "$tree/modules" "${modules[@]}"

cp "${files[@]}" "$tree/kvasir/"
mv "$tree/kvasir/$(basename "${files[0]}")" "$tree/init"
chmod -R a+rx "$tree/init" "$tree/kvasir"
(cd "$tree" && find . -print0 | cpio -0 -o -H newc -R 0:0 --quiet) | gzip -1 >"$image.new"
mv "$image.new" "$image"
echo "$image"
