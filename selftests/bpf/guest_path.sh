#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Proven, on a real guest whose disk and card are the module's: `kvasir trace
# path` sees every hop from the guest's doorbell to its next entry, counts fit
# together, and the hops of a request add up to its whole time; `trace io` and
# `trace net` see what the guest asked for; a recording of each says the same, and
# when, and has charts; `trace exits --vm --by addr` names the queue whose doorbell
# it was.
#
#	guest eth0 <-> kvasir-net <-> tap kvtt0, 10.81.0.1
#	guest vda  <-> kvasir-blk <-> a file
#
# $KVT_KERNEL, $KVT_INITRD, $KVT_KVASIR as in lib/guest.sh.
. "$KVT_LIB/ktap.sh"
. "$KVT_LIB/guest.sh"

need_guest
need_kvasir
need_cmd ip python3
need_node kvasir-net
need_node kvasir-blk

reads=300 pings=10 guest=kvt-traced
console=$ktap_tmp/console

# Work of known size, then a little for ever.
box=/run/kvasir/busybox
work="$box dd if=/dev/vda of=/dev/null bs=4096 count=$reads iflag=direct;"
work="$work $box ping -c $pings 10.81.0.1; echo work-done;"
work="$work while :; do $box dd if=/dev/vda of=/dev/null bs=4096 count=20 iflag=direct; done"

# ... or ended without.
worked() { grep -q '^work-done' "$console" || ! kill -0 "$vm"; }

start_guest() {
	truncate -s 16M "$ktap_tmp/disk" &&
		ip tuntap add kvtt0 mode tap vnet_hdr && cleanup "ip link del kvtt0" &&
		ip addr add 10.81.0.1/24 dev kvtt0 && ip link set kvtt0 up || return
	"$kvasir" run -q --name "$guest" -k "$KVT_KERNEL" -i "$KVT_INITRD" -m 384M -c 1 \
		--net tap=kvtt0,backend=kvasir --disk "$ktap_tmp/disk,backend=kvasir" \
		-a "console=ttyS0 quiet kvasir.ip=10.81.0.2/24 kvasir.cmd=$work" \
		</dev/null >"$console" 2>&1 &
	vm=$!
	cleanup "kill -9 $vm"
	busywait 150000 worked
	grep '^work-done' "$console" || { cat "$console"; return 1; }
}

# tracer NAME ARGUMENTS...: returns when it counts; what it prints goes to NAME.json
tracers=()
tracer() {
	local out=$ktap_tmp/$1
	shift
	"$kvasir" trace "$@" >"$out.json" 2>"$out.err" &
	tracers+=($!)
	cleanup "kill -9 $!"
	busywait 60000 grep -q 'Ctrl-C ends' "$out.err" || { cat "$out.err"; return 1; }
}

start_tracers() {
	local kind
	for kind in path io net; do
		tracer "$kind" "$kind" --json &&
			tracer "recorder-$kind" record "$kind" -o "$ktap_tmp/$kind.record" ||
			return
	done
}

stop_tracers() {
	local pid rc=0
	kill "${tracers[@]}" || return
	for pid in "${tracers[@]}"; do wait "$pid" || rc=1; done
	tracers=()
	cat "$ktap_tmp"/*.err
	return "$rc"
}

# What python finds wrong with NAME.json, or with what was recorded besides, fails
# the test; q() finds a queue.
see() {
	local checks
	checks=$(cat)
	see_one "$ktap_tmp/$1.json" <<<"$checks" &&
		"$kvasir" trace report --json "$ktap_tmp/$1.record" >"$ktap_tmp/recorded" &&
		see_one "$ktap_tmp/recorded" <<<"$checks"
}

see_one() {
	python3 - "$1" "$guest" "$reads" "$pings" <<END
import json, sys
t = json.load(open(sys.argv[1]))
name, reads, pings = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def q(kind, queue):
    found = [q for q in t["queues"] if q["type"] == kind and q["queue"] == queue]
    assert len(found) == 1, f"{len(found)} of {kind} {queue}: {t['queues']}"
    assert found[0]["name"] == name, f"called '{found[0]['name']}'"
    return found[0]
HOPS = "doorbell wake backend device publish interrupt entry".split()
$(cat)
END
}

every_hop() {
	see path <<'END'
d = q("blk", "queue 0")
h = d["hops"]
assert d["requests"] >= reads, d["requests"]
for hop in HOPS:
    assert h[hop]["count"] > 0, f"no {hop}: {h}"
    assert sum(n for _, n in h[hop]["buckets"]) == h[hop]["count"], hop
assert h["device"]["count"] == d["requests"]
assert h["entry"]["count"] <= h["interrupt"]["count"] <= d["calls"]
assert h["interrupt"]["count"] >= d["calls"] - 1 - d["elsewhere"]
# But for those that waited when the trace ended, all went in, or it says so.
gone_in = h["entry"]["count"] + d["posted"] + t["losses"]["irqs_full"]
assert gone_in >= h["interrupt"]["count"] - 8, (h["entry"]["count"], d, t["losses"])
assert h["doorbell"]["count"] <= h["wake"]["count"] <= d["services"]
assert h["total"]["p50"] > h["device"]["p50"]
END
}

adds_up() {
	see path <<'END'
slow = q("blk", "queue 0")["slowest"]
assert slow, "none"
assert [s["total"] for s in slow] == sorted((s["total"] for s in slow), reverse=True)
whole = [s for s in slow if all(hop in s for hop in HOPS)]
assert whole, slow
for s in whole:
    assert sum(s[hop] for hop in HOPS) == s["total"], s
assert max(s["total"] for s in slow) == q("blk", "queue 0")["hops"]["total"]["max"]
END
}

both_ways() {
	see path <<'END'
for queue in "rx0", "tx0":
    d = q("net", queue)
    assert d["requests"] >= pings, d["requests"]
    for hop in "wake", "device":
        assert d["hops"][hop]["count"] > 0, f"{queue}: no {hop}"
assert q("net", "rx0")["hops"]["entry"]["count"] > 0
assert q("net", "tx0")["hops"]["doorbell"]["count"] > 0
END
}

sizes() {
	see io <<'END'
d = q("blk", "queue 0")
r = d["ops"]["read"]
assert r["latency"]["count"] >= reads and r["size"]["count"] >= reads, r
assert any(b == 4096 and n >= reads for b, n in r["size"]["buckets"]), r["size"]
assert d["depth"]["max"] >= 1 and d["failed"] == 0
assert d["drops"]["errors"] == 0 and d["drops"]["bad-chain"] == 0, d["drops"]
END
}

frames() {
	see net <<'END'
assert q("net", "rx0")["ops"]["received"]["size"]["count"] >= pings
tx = q("net", "tx0")["ops"]["sent"]
assert tx["size"]["count"] >= pings and tx["latency"]["count"] >= pings
assert t["losses"]["series_full"] == 0
END
}

when() {
	python3 - "$ktap_tmp/path.record" "$ktap_tmp/io.record" "$ktap_tmp/net.record" <<'END'
import json, sys
for path in sys.argv[1:]:
    t = json.load(open(path))
    whole, slices = {}, {}
    for i, q in enumerate(t["queues"]):
        for s in q["series"]:
            whole[i, s["what"], s["op"]] = s["count"], s["sum"]
    assert whole and len(t["slices"]) > 1, (path, len(t["slices"]))
    for s in t["slices"]:
        for c in s["cells"]:
            key = c["queue"], c["what"], c["op"]
            n, total = slices.get(key, (0, 0))
            slices[key] = n + c["count"], total + c["total"]
    # The sum is read a moment after its buckets, while it counts.
    for key, (n, total) in whole.items():
        assert slices[key][0] == n, (path, key, slices[key], n)
        assert slices[key][1] == total, (path, key, slices[key], total)
    assert t["slices"][-1]["end"] == t["seconds"], path
    # A way that begins in the guest leads past its doorbell.
    for q in t["queues"]:
        assert all(s["at"][1] for s in q["slowest"] if s["at"][0]), q["slowest"]
END
}

# Pages and stacks of what was recorded; compared with itself nothing changed.
charts() {
	local kind record page=$ktap_tmp/page
	for kind in path io net; do
		record=$ktap_tmp/$kind.record
		"$kvasir" trace report -f html "$record" >"$page" &&
			grep -q 'class="h"' "$page" && grep -q 'class="k"' "$page" &&
			grep -q 'class="s4"' "$page" || return
		"$kvasir" trace diff "$record" "$record" >"$page" &&
			grep -q '^no change in' "$page" || return
		grep -q 'B IS' "$page" && { cat "$page"; return 1; }
		"$kvasir" trace report -f folded "$record" >"$page" &&
			waited "$kind" "$record" "$page" || return
	done
}

# The stacks of recording $2 in $3 add up to the time of the hops of $1.
waited() {
	python3 - "$@" <<'END'
import json, sys
kind, record, folded = sys.argv[1:]
hops = "doorbell wake backend device publish interrupt entry".split()
series = [s for q in json.load(open(record))["queues"] for s in q["series"]]
shown = hops if kind == "path" else ["device"]
lines = [line.rsplit(" ", 1) for line in open(folded)]
assert lines and all(3 <= len(s.split(";")) <= 4 for s, _ in lines), lines
assert sum(int(n) for _, n in lines) == sum(s["sum"] for s in series if s["what"] in shown)
END
}

# Requests to the disk so far.
served() {
	"$kvasir" stats --json | python3 -c 'import json, sys
print(sum(q["counters"]["requests"] for d in json.load(sys.stdin)["devices"]
          if d["type"] == "blk" for q in d["queues"]))'
}
beyond() { [ "$(served)" -gt "$1" ]; }

named() {
	local before
	tracer exits exits --vm "$guest" --by addr --json &&
		tracer live path --vm "$guest" --format html || return
	before=$(served) && busywait 60000 beyond $((before + 100)) || return
	stop_tracers || return
	grep -q 'class="h"' "$ktap_tmp/live.json" || return
	python3 - "$ktap_tmp/exits.json" "$guest" <<'END'
import json, sys
t = json.load(open(sys.argv[1]))
assert len(t["vms"]) == 1 and t["vms"][0]["name"] == sys.argv[2], t["vms"]
vm = t["vms"][0]
devices = {s.get("device") for s in vm["by_address"] if s["kind"] == "port-out"}
assert any(d and d.startswith("disk0 queue") for d in devices), devices
halted = [r for r in vm["reasons"] if r["idle"]]
for r in vm["reasons"]:
    parts = sum(r[k] for k in ("kernel_ns", "user_ns", "ready_ns", "blocked_ns", "poll_ns"))
    assert parts == r["total_ns"], r
    assert 0 <= r["kernel_ns"] <= r["total_ns"], r
assert sum(r["blocked_ns"] + r["poll_ns"] for r in halted) > 0, halted
END
}

plan 11
check "tracers of paths, disks and cards" start_tracers
check "a guest that reads and pings" start_guest
check "they end" stop_tracers
check "every hop of the disk's requests is seen, and the counts fit" every_hop
check "the hops of the slowest requests add up" adds_up
check "both queues of the card" both_ways
check "sizes and latencies of the disk" sizes
check "frames of the card" frames
check "slices of recordings add up to the whole" when
check "pages, stacks and no difference from itself" charts
check "a page as it is traced, the doorbell's queue by its name, parts of the time" named
finish
