#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# guest-demo.sh HOST SECONDS - the load of the demo, run in the guest, every
# packet and request of it over the module's queues. demo-l1.sh reads the lines
# "demo: KEY VALUE" from the console and holds the start and the end until it
# has attached the tracer and read the counters.
set -u
host=$1 seconds=$2
status=0

put() { echo "demo: $*"; }

# Wait until the host accepts a connection on a port: its word to go on.
rendezvous() {
	put "$1"
	until (: <"/dev/tcp/$host/$2") 2>/dev/null; do
		sleep 0.2
	done
}

# Run a measurement, take the figure its awk program prints.
figure() {
	local key=$1 program=$2 value
	shift 2
	value=$(timeout $((seconds + 60)) "$@" 2>&1 | tee /tmp/last | awk "$program")
	if [ -z "$value" ]; then
		status=1
		sed "s/^/demo-log: $key: /" /tmp/last
	fi
	put "$key" "${value:-failed}"
}

# shellcheck disable=SC2016 # awk expands them
received='/receiver/ { for (i = 2; i <= NF; i++) if ($i == "Mbits/sec") print $(i - 1) }'
# shellcheck disable=SC2016
iops='sub(/^iops=/, "") && / errors=0$/ { print $1 }'

verify() {
	if timeout 200 fio --name=verify --filename=/dev/vdb --direct=1 --ioengine=libaio \
		--rw=randwrite --bs=4k --size=24m --iodepth=16 --end_fsync=1 \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --minimal >/tmp/last 2>&1
	then
		put blk.verify ok
	else
		status=1
		sed 's/^/demo-log: fio: /' /tmp/last
		put blk.verify failed
	fi
}

put guest_kernel "$(uname -r)"
put guest_root "$(awk '$2 == "/" { print $1, $3 }' /proc/mounts)"
put guest_cpus "$(nproc)"
rendezvous waiting-to-start 5000
figure net.tx_mbps "$received" iperf3 -c "$host" -f m -t "$seconds"
figure net.rx_mbps "$received" iperf3 -c "$host" -f m -t "$seconds" -R
abench=/run/kvasir/abench
figure blk.read_iops_qd1 "$iops" $abench read /dev/vdb 1 "$seconds"
figure blk.read_iops "$iops" $abench read /dev/vdb 32 "$seconds"
figure blk.write_iops "$iops" $abench write /dev/vdb 32 "$seconds"
verify
rendezvous waiting-to-stop 5001
exit $status
