#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs each fuzzer for $KVT_FUZZ_SECONDS (default 3) from a few valid inputs
# made here. A crash fails the test; its input is kept in $KVT_BUILD/fuzz.
. "$KVT_LIB/ktap.sh"

seconds=${KVT_FUZZ_SECONDS:-3}
dir=$KVT_BUILD/fuzz
targets=(fuzz_chain fuzz_ring fuzz_blk_parse fuzz_trace_file)
for t in "${targets[@]}"; do
	[ -x "$dir/$t" ] || skip_all "no $t: needs clang with libFuzzer"
done

# bytes VALUE SIZE: little-endian
bytes() {
	local v=$1 n=$2
	while [ "$n" -gt 0 ]; do
		# shellcheck disable=SC2059
		printf "\\x$(printf %02x $((v & 255)))"
		v=$((v >> 8)) n=$((n - 1))
	done
}
desc() { bytes "$1" 8; bytes "$2" 4; bytes "$3" 2; bytes "$4" 2; }
pdesc() { bytes "$1" 8; bytes "$2" 4; bytes "$3" 2; bytes "$4" 2; }
zeroes() { head -c "$1" /dev/zero; }

NEXT=1 WRITE=2 INDIRECT=4
seed=$ktap_tmp/seed
mkdir "$seed"
for t in "${targets[@]}"; do mkdir "$seed/$t"; done

# a ring of 64 (1024 bytes of table), indirect allowed, head 0
chain_head() { bytes 6 1; bytes 1 1; bytes 0 2; }
chain_direct() {
	desc 0x3000 16 $NEXT 1
	desc 0x7ff0 64 $((NEXT | WRITE)) 2
	desc 0x3100 1 $WRITE 0
}
chain_indirect() {
	desc 0x2000 48 $INDIRECT 0
	zeroes $((0x1000 - 16))
	desc 0x3000 16 $NEXT 1; desc 0x6000 4096 $((NEXT | WRITE)) 2; desc 0x3100 1 $WRITE 0
}
{ chain_head; chain_direct; } >"$seed/fuzz_chain/direct"
{ chain_head; chain_indirect; } >"$seed/fuzz_chain/indirect"
# two chains offered, popped, put, published
{
	bytes 3 1; bytes 3 1; bytes 0 2
	bytes 0x0e 1; bytes 2 1; bytes 0 2	# avail->ring[0] = 0
	bytes 0x0e 1; bytes 3 1; bytes 1 2	# avail->ring[1] = 1
	bytes 0x0e 1; bytes 1 1; bytes 2 2	# avail->idx = 2
	for op in 0 0 1 1 3 4 0 5; do bytes $op 1; bytes 0 3; done
} >"$seed/fuzz_ring/two"
# a packed ring of 4: two chains, one of two descriptors; and once round
{
	bytes 3 1; bytes 5 1; bytes 0 1; bytes 128 1
	for op in 0x01010006 0x10000106 0x10020206 0 0 1 1 3 4 0x10000206 \
		0x10020306 0 0 3 1 1 3; do bytes $op 4; done
} >"$seed/fuzz_ring/packed"
{ bytes 6 1; bytes 3 1; bytes 0 2; pdesc 0x3000 16 0 0x81; pdesc 0x7ff0 64 1 0x82
} >"$seed/fuzz_chain/packed"
{ bytes 6 1; bytes 3 1; bytes 0 2; pdesc 0x2000 48 1 0x84; zeroes $((0x1000 - 16))
  pdesc 0x3000 16 0 0; pdesc 0x6000 4096 0 2; pdesc 0x3100 1 0 2
} >"$seed/fuzz_chain/packed-indirect"
disk() { for b in 8 255 10 255 8 255 8 65; do bytes $b 1; done; }
# TYPE SECTOR: the header at gpa 0x3000, behind the table at 0x1000
header() { zeroes $((0x2000 - $1)); bytes "$2" 4; bytes 0 4; bytes "$3" 8; }
for type in 0 4 8; do
	{ disk; chain_direct; header 48 $type 0; } >"$seed/fuzz_blk_parse/in-$type"
done
{
	disk; desc 0x3000 16 $NEXT 1; desc 0x6000 4096 $NEXT 2; desc 0x3100 1 $WRITE 0
	header 48 1 8
} >"$seed/fuzz_blk_parse/write"
for type in 11 13; do
	{
		disk; desc 0x3000 32 $NEXT 1; desc 0x3100 1 $WRITE 0
		header 32 $type 0; bytes 8 8; bytes 8 4; bytes 0 4
	} >"$seed/fuzz_blk_parse/range-$type"
done
# recordings: two vCPUs, one reason each, one slice
reason() {
	printf '{"isa":2,"code":%d,"%s":{"timed":3,"untimed":1,"total_ns":90,"max_ns":40,"buckets":[10,1,40,2]}}' \
		"$1" "$2"
}
# recording KIND: up to the losses
recording() {
	printf '{"kvasir_trace":1,"kind":"%s","kernel":"6.1","began":1,"seconds":2.5,"pid":0,' "$1"
	printf '"hist_sub_bits":5,"hist_bits":40,"cost":{"events":9,"ns":900},"losses":{"series_full":1},'
}
{
	recording exits
	printf '"vms":[{"pid":7,"comm":"a\\\\x1b","name":"b",'
	printf '"known":true,"vcpus":[{"id":0,"reasons":[%s]},{"id":1,"reasons":[%s]}],' \
		"$(reason 120 kernel)" "$(reason 123 user)"
	printf '"returns":[{"code":2,"count":3}]}],"slices":[{"end":2.5,"cells":[{"vm":0,"isa":2,'
	printf '"code":120,"user":false,"count":4,"total_ns":90,"buckets":[1,1,5,2]}]}]}'
} >"$seed/fuzz_trace_file/small"
# ... and of a disk: one kind of request, one of the slowest, one slice
for kind in path io; do
	{
		recording $kind
		printf '"no_guests":false,"counters_errno":0,"queues":[{"dev":1,"index":0,"type":"blk",'
		printf '"backend":"a\\\\x1b","pid":7,"comm":"b","name":"c","requests":3,"failed":0,"services":1,'
		printf '"unasked":0,"calls":1,"uncalled":0,"elsewhere":0,"posted":0,"refused":[3,1],'
		printf '"counters":{"errors":1},"series":['
		for what in total device size depth; do
			[ $what = total ] || printf ,
			printf '{"what":"%s","op":0,"count":3,"sum":90,"max":40,"buckets":[10,1,40,2]}' $what
		done
		printf '],"slowest":[{"op":0,"bytes":512,"head":1,"total":40,"at":[10,12,13,14,45,47,49,50]}]}],'
		printf '"slices":[{"end":2.5,"cells":[{"queue":0,"what":"device","op":0,"count":3,'
		printf '"total":90,"buckets":[1,1,5,2]}]}]}'
	} >"$seed/fuzz_trace_file/$kind"
done

plan ${#targets[@]}
for t in "${targets[@]}"; do
	check "$t for $seconds s" "$dir/$t" -max_total_time="$seconds" \
		-max_len=20000 -timeout=10 -artifact_prefix="$dir/$t-" \
		-print_final_stats=1 "$seed/$t"
	note "$t: $(ktap_out | sed -n 's/stat::number_of_executed_units: *//p') inputs," \
		"$(ktap_out | grep -aoE 'cov: [0-9]+' | tail -1)"
done
finish
