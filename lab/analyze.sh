#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# analyze.sh - what compilers and sparse find beyond the normal build.
#
#   analyze.sh
#
# The module with W=1 and sparse (C=2, endian checks) for every lab kernel, and
# userspace by clang with all warnings as errors and its static analyzer. Any
# line about our sources fails.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

out=$KV_BUILD/analyze
status=0
mkdir -p "$out"

for series in "${KV_SERIES[@]}"; do
	kdir=$(kv_kernel_dir "$series")
	rel=$(kv_release "$kdir")
	log=$out/kmod-$rel.log
	"$KV_LAB/kbuild.sh" -k "$series" -o "$out/kmod-$rel" W=1 C=2 \
		CF="-D__CHECK_ENDIAN__" >"$log" 2>&1 || status=1
	say "linux $rel, W=1 and sparse: $(grep -c "$out/kmod-$rel/.*\(warning\|error\)" "$log" || :) findings"
	if grep -A3 "$out/kmod-$rel/.*\(warning\|error\)" "$log"; then
		status=1
	fi
done

say "userspace by clang"
make -s -C "$KV_TOP/user" CC=clang O="$out" || status=1

say "clang's static analyzer"
mapfile -t flags < <(pkg-config --cflags libnl-3.0 libnl-genl-3.0 libnl-route-3.0 libkmod \
	liburing libcap-ng libseccomp json-c libbpf | xargs -n1)
cd "$KV_TOP"
printf '%s\0' kmod/{memmap,iotlb_table,ring,ring_split,ring_packed,chain,blk_parse,net_hdr}.c user/*/*.c |
	xargs -0 -n 4 -P "$(nproc)" clang --analyze --analyzer-output text \
		-std=gnu11 -D_GNU_SOURCE -Iuser/include -Ikmod -Ikmod/include/uapi \
		-Iuser/vmm -I"$KV_BUILD/bpf" "${flags[@]}" >"$out/clang.log" 2>&1 || status=1
# What bpftool generates is not ours to mend.
if grep -E '(warning|error):' "$out/clang.log" | grep -v '^[^:]*\.skel\.h:'; then
	say "the way to each of them: $out/clang.log"
	status=1
fi
exit $status
