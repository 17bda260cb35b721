# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Guests for tests in shell; source ktap.sh first.
#
# $KVT_KERNEL, $KVT_INITRD: a guest kernel and an initramfs that runs the
# command behind "kvasir.cmd=" and powers off. $KVT_KVASIR: the command.
kvasir=${KVT_KVASIR:-$KVT_BUILD/../user/kvasir}

# Skips the test without root, KVM, or what a guest is made of.
need_guest() {
	need_root
	[ -n "${KVT_KERNEL:-}${KVT_INITRD:-}" ] ||
		skip_all "KVT_KERNEL and KVT_INITRD name no guest kernel and initramfs"
	[ -c /dev/kvm ] || skip_all "no /dev/kvm"
}

need_kvasir() { [ -x "$kvasir" ] || skip_all "no kvasir command ($kvasir)"; }

# need_node NAME: a device of the module
need_node() { [ -c "/dev/$1" ] || skip_all "no /dev/$1: load the module"; }
