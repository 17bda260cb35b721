# SPDX-License-Identifier: GPL-2.0-only
"""Turn what was measured into AREA.json and AREA.svg.

bench-report.py AREA DIR KERNEL RAW...

bench_AREA.py has the cases and how a figure is made of a measurement.

A row is the median over pairs of ours / peer; both sides of a pair were
measured one after the other. "spread" is half the distance between the
quartiles of those ratios, "low" and "high" are the least and the greatest.
"""
import importlib
import json
import os
import statistics
import sys
import time

import bench_chart

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


def row(area, case, peer, raw, kernel):
    of_case = raw[area.source(case)]
    sides = []
    for side in ("ours", "peer"):
        pairs = dict(of_case.get((peer, side), {}))
        if case.startswith("wakeups"):
            pairs = both(pairs, raw.get(case + "_rx", {}).get((peer, side), {}))
        sides.append(pairs)
    common = sorted(sides[0].keys() & sides[1].keys())
    value, own = area.value_of(case), generator(of_case)
    if case.startswith("rx_") and not own:
        return None     # the boot ended early: not to be told from the generator
    got = [(value(sides[0][i], own), value(sides[1][i], own)) for i in common]
    got = [(a, b) for a, b in got if b > 0]
    if not got:
        return None
    ratios = [a / b for a, b in got]
    low, high = quartiles(ratios)
    unit, better, goal = area.CASES[case]
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
    out.update(area.extras(case, sides, statistics.median))
    return out


def flat(area, rows):
    """Many against one of the same run, for our own side."""
    ours = {(r["case"], r["peer_name"], r["kernel"]): r["ours"] for r in rows if "ours" in r}
    for r in rows:
        base = ours.get((area.base_of_scale(r["case"]), r["peer_name"], r["kernel"]))
        if base and "ours" in r:
            r["against_one"] = round(r["ours"] / base, 4)


def earlier(path, kernel, cases):
    """Rows of other cases and other kernels, measured before."""
    try:
        with open(path, encoding="utf-8") as f:
            rows = json.load(f)
    except (OSError, ValueError):
        return []
    return [r for r in rows if r["kernel"] != kernel or r["case"] not in cases]


def tell(rows):
    print(f"{'case':32}{'peer':14}{'ours':>12}{'peer':>12}{'ratio':>8}{'+-':>7}  lead")
    for r in rows:
        if "ours" not in r:
            print(f"{r['case']:32}{r['peer_name']:14}not measured: {r['skipped']}")
            continue
        lead = ""
        if r["lead"] is not None:
            sign = "<=" if r["better"] == "less" else ">="
            lead = f"{sign} {r['lead']}  {'met' if r['met'] else 'missed'}"
        ours, peer = map(bench_chart.number, (r["ours"], r["peer"]))
        print(f"{r['case']:32}{r['peer_name']:14}{ours:>12}{peer:>12}"
              f"{r['ratio']:8.3f}{r['spread']:7.3f}  {lead}")


def main():
    name, out, kernel, paths = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    area = importlib.import_module("bench_" + name)
    raw, skipped = load(paths)
    rows = []
    for case in area.CASES:
        source = area.source(case)
        peers = [p for p, _ in raw.get(source, {})] + [p for c, p in skipped if c == source]
        for peer in dict.fromkeys(p for p in peers if p != "-"):
            r = row(area, case, peer, raw, kernel) if source in raw else None
            rows.append(r or {
                "case": case, "peer_name": peer, "kernel": kernel,
                "skipped": skipped.get((source, peer), "the boot ended early, or the peer has none")})
    path = os.path.join(out, name + ".json")
    rows += earlier(path, kernel, {r["case"] for r in rows})
    order = list(area.CASES)
    rows = [r for r in rows if r["case"] in order]
    rows.sort(key=lambda r: (r["kernel"] != kernel, order.index(r["case"])))
    flat(area, rows)
    with open(path, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
    with open(os.path.join(out, name + ".svg"), "w", encoding="utf-8") as f:
        f.write(bench_chart.chart(area.TITLE, [r for r in rows if "ours" in r]))
    tell([r for r in rows if r["kernel"] == kernel])


if __name__ == "__main__":
    main()
