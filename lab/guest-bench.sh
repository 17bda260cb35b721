#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# guest-bench.sh - run in a guest by bench-blk-guest-l1.sh: loads the modules it
# finds, then takes lines "TAG read|write DEPTH SECONDS" from the serial console
# and answers each with "bench: TAG FIGURES".
dir=/run/kvasir
while read -r module; do
	insmod "$dir/modules/$module"
done <$dir/modules/order
exec </dev/ttyS0
stty -echo -icrnl
for try in 1 2 3 4 5 6 7 8 9 10; do
	for disk in /dev/vda /dev/nvme0n1; do
		[ ! -b $disk ] || break 2
	done
	sleep 0.$try
done
echo "bench: up $disk"
while read -r tag op depth seconds; do
	echo "bench: $tag $($dir/abench -j "$op" "$disk" "$depth" "$seconds" 2>&1)"
done
