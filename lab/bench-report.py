# SPDX-License-Identifier: GPL-2.0-only
"""Turn what bench-l1.sh measured into net.json and net.svg.

bench-report.py DIR KERNEL RAW...

A row is the median over pairs of ours / peer; both sides of a pair were
measured one after the other. "spread" is half the distance between the
quartiles of those ratios, "low" and "high" are the least and the greatest.
"""
import json
import os
import statistics
import sys
import time

import bench_chart

# case: (unit, what is better, ratio to reach or None)
CASES = {
    "tx_insn": ("instructions/packet", "less", 0.75),
    "tx_insn_1500": ("instructions/packet", "less", 0.75),
    "rx_insn": ("instructions/packet", "less", 0.80),
    "rx_insn_1500": ("instructions/packet", "less", 0.80),
    "packed_insn": ("instructions/packet", "less", 0.9),
    "packed_insn_rx": ("instructions/packet", "less", 0.9),
    "inorder_insn": ("instructions/packet", "less", 0.9),
    "inorder_insn_rx": ("instructions/packet", "less", 0.9),
    "kicks_per_kpkt": ("per 1000 packets", "less", 0.5),
    "wakeups_per_kpkt": ("per 1000 packets", "less", 0.5),
    "calls_per_kpkt": ("per 1000 packets", "less", 0.5),
    "kicks_per_kpkt_poll": ("per 1000 packets", "less", 0.5),
    "wakeups_per_kpkt_poll": ("per 1000 packets", "less", 0.5),
    "calls_per_kpkt_poll": ("per 1000 packets", "less", 0.5),
    "drv_tx64_pps": ("packets/s", "more", 1.3),
    "drv_rx64_pps": ("packets/s", "more", 1.3),
    "drv_tx1500_pps": ("packets/s", "more", 1.3),
    "drv_rx1500_pps": ("packets/s", "more", 1.3),
    "udp64_pps": ("packets/s", "more", {"vhost": 1.15, "qemu-vhost-off": 1.5}),
    "udp1500_pps": ("packets/s", "more", {"vhost": 1.15, "qemu-vhost-off": 1.5}),
    "tcp_stream_tx": ("Mbit/s", "more", {"vhost": 1.05, "qemu-vhost-off": 1.5}),
    "tcp_stream_rx": ("Mbit/s", "more", {"vhost": 1.05, "qemu-vhost-off": 1.5}),
    "tcp_rr": ("transactions/s", "more", {"vhost": 1.05}),
    "tcp_rr_p99": ("us", "less", {"vhost": 0.8}),
    "scale_1": ("instructions/packet", "less", None),
    "scale_8": ("instructions/packet", "less", None),
    "scale_64": ("instructions/packet", "less", None),
}


def load(paths):
    """{case: {(peer, side): {pair: measurement}}} and {(case, peer): reason}"""
    raw, skipped = {}, {}
    for path in paths:
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                case, peer, side, pair, text = line.rstrip("\n").split(" ", 4)
                if not text.startswith("{"):
                    skipped[case, peer] = text.removeprefix("# SKIP ")
                    continue
                of_case = raw.setdefault(case, {})
                of_case.setdefault((peer, side), {})[int(pair)] = json.loads(text)
    return raw, skipped


def per_kpkt(key):
    return lambda m, _: 1000 * m[key] / m["packets"]


def insn(m, own):
    return m["ns"] / m["packets"] - own


def pps(m, _):
    return m["packets"] / m["ns"] * 1e9


def value_of(case):
    """How a measurement becomes the figure of a case."""
    for counter in ("kicks", "wakeups", "calls"):
        if case.startswith(counter + "_per_kpkt"):
            return per_kpkt(counter)
    if case.startswith("drv_"):
        return pps
    if case.startswith("scale_"):
        return lambda m, _: m["all_busy"]
    if case.startswith(("packed_", "inorder_")):
        return lambda m, _: m["worker_ns"] / m["packets"]
    if case.endswith("_insn") or "_insn_" in case:
        return insn
    return lambda m, _: m["value"]


def generator(of_case):
    """What the generator costs per packet, measured in the same boot."""
    runs = of_case.get(("-", "gen"), {}).values()
    return statistics.median(m["ns"] / m["packets"] for m in runs) if runs else 0


def both(pairs, more):
    """Two directions, measured apart, as one: pairs that have both."""
    return {i: {k: v + more[i][k] if isinstance(v, (int, float)) else v
                for k, v in pairs[i].items()}
            for i in pairs.keys() & more.keys()}


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    q = statistics.quantiles(values, n=4, method="inclusive")
    return q[0], q[2]


def row(case, peer, raw, kernel):
    of_case = raw[case]
    sides = []
    for side in ("ours", "peer"):
        pairs = dict(of_case.get((peer, side), {}))
        if case.startswith("wakeups"):
            pairs = both(pairs, raw.get(case + "_rx", {}).get((peer, side), {}))
        sides.append(pairs)
    common = sorted(sides[0].keys() & sides[1].keys())
    value, own = value_of(case), generator(of_case)
    if case.startswith("rx_") and not own:
        return None     # the boot ended early: not to be told from the generator
    got = [(value(sides[0][i], own), value(sides[1][i], own)) for i in common]
    got = [(a, b) for a, b in got if b > 0]
    if not got:
        return None
    ratios = [a / b for a, b in got]
    low, high = quartiles(ratios)
    unit, better, goal = CASES[case]
    if isinstance(goal, dict):
        goal = goal.get(peer)
    ratio = statistics.median(ratios)
    out = {
        "case": case,
        "ours": round(statistics.median(a for a, _ in got), 3),
        "peer": round(statistics.median(b for _, b in got), 3),
        "peer_name": peer,
        "ratio": round(ratio, 4),
        "spread": round((high - low) / 2, 4),
        "runs": len(ratios),
        "kernel": kernel,
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "low": round(min(ratios), 4),
        "high": round(max(ratios), 4),
        "unit": unit,
        "better": better,
        "lead": goal,
    }
    if goal is not None:
        out["met"] = ratio <= goal if better == "less" else ratio >= goal
    if own:
        out["generator"] = round(own, 1)
    if ("-", "self") in of_case:
        m = of_case["-", "self"][1]
        out["driver"] = round(m["ns"] / m["packets"], 1)
    if case.startswith("scale_"):
        for name, side in zip(("ours_scale", "peer_scale"), sides):
            out[name] = {k: round(statistics.median(m[k] for m in side.values()), 3)
                         for k in ("one_busy", "all_busy", "threads", "memory_kib", "jain")}
    return out


def flat(rows):
    """scale_N against scale_1 of the same run, for our own side."""
    base = next((r for r in rows if r["case"] == "scale_1" and "ours" in r), None)
    for r in rows:
        if base and r["kernel"] == base["kernel"] and r["case"].startswith("scale_") and "ours" in r:
            r["against_one"] = round(r["ours"] / base["ours"], 4)


def earlier(path, kernel, cases):
    """Rows of other cases and other kernels, measured before."""
    try:
        with open(path, encoding="utf-8") as f:
            rows = json.load(f)
    except (OSError, ValueError):
        return []
    return [r for r in rows if r["kernel"] != kernel or r["case"] not in cases]


def tell(rows):
    print(f"{'case':24}{'peer':14}{'ours':>12}{'peer':>12}{'ratio':>8}{'+-':>7}  lead")
    for r in rows:
        if "ours" not in r:
            print(f"{r['case']:24}{r['peer_name']:14}not measured: {r['skipped']}")
            continue
        lead = ""
        if r["lead"] is not None:
            sign = "<=" if r["better"] == "less" else ">="
            lead = f"{sign} {r['lead']}  {'met' if r['met'] else 'missed'}"
        print(f"{r['case']:24}{r['peer_name']:14}{r['ours']:12.1f}{r['peer']:12.1f}"
              f"{r['ratio']:8.3f}{r['spread']:7.3f}  {lead}")


def main():
    out, kernel, paths = sys.argv[1], sys.argv[2], sys.argv[3:]
    raw, skipped = load(paths)
    rows, done = [], set()
    for case, of_case in raw.items():
        if case not in CASES:
            continue
        for peer in dict.fromkeys(p for p, _ in of_case if p != "-"):
            r = row(case, peer, raw, kernel)
            if r:
                rows.append(r)
                done.add((case, peer))
            else:
                skipped.setdefault((case, peer), "the boot ended before all was measured")
    for (case, peer), reason in skipped.items():
        if case in CASES and peer != "-" and (case, peer) not in done:
            rows.append({"case": case, "peer_name": peer, "kernel": kernel,
                         "skipped": reason})
    path = os.path.join(out, "net.json")
    rows += earlier(path, kernel, {r["case"] for r in rows})
    order = list(CASES)
    rows = [r for r in rows if r["case"] in CASES]
    rows.sort(key=lambda r: (r["kernel"] != kernel, order.index(r["case"])))
    flat(rows)
    with open(path, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
    with open(os.path.join(out, "net.svg"), "w", encoding="utf-8") as f:
        f.write(bench_chart.chart([r for r in rows if "ours" in r]))
    tell([r for r in rows if r["kernel"] == kernel])


if __name__ == "__main__":
    main()
