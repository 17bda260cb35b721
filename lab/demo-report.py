#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""demo-report.py DIR RELEASE - judge a run of the demo.

Reads what demo-l1.sh left in DIR, prints a table and writes DIR/report.json.
Fails, naming what, when a figure is missing, nothing went through the module,
data did not verify, or the load ran elsewhere than the demo claims.
"""
import json
import os
import re
import sys

FIGURES = {
    "net.tx_mbps": float,
    "net.rx_mbps": float,
    "blk.read_iops": int,
    "blk.read_iops_qd1": int,
    "blk.write_iops": int,
}


def load(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        return json.load(f)


def console_lines(folder):
    """KEY -> VALUE of the guest's "demo: KEY VALUE" lines."""
    found = {}
    with open(os.path.join(folder, "console.txt"), encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.match(r"demo: (\S+) (.+?)\s*$", line)
            if m:
                found[m[1]] = m[2]
    return found


def counter(stats, kind, name):
    """Sum of one counter over the queues of all devices of a kind."""
    return sum(queue["counters"][name]
               for device in stats["devices"] if device["type"] == kind
               for queue in device["queues"])


def top(trace, pid_reasons=10):
    """The most frequent exit reasons of all VMs together."""
    rows = [r for vm in trace["vms"] for r in vm["reasons"]]
    rows.sort(key=lambda r: -r["count"])
    return [{k: r[k] for k in ("reason", "count", "p50_ns", "p99_ns")} | {
        "userspace": r["userspace"]} for r in rows[:pid_reasons]]


def build(folder, release):
    lines = console_lines(folder)
    before, after = load(folder, "before.json"), load(folder, "after.json")
    trace = load(folder, "exits.json")

    def grown(kind, name):
        return counter(after, kind, name) - counter(before, kind, name)

    packets, requests = grown("net", "requests"), grown("blk", "requests")
    report = {
        "kernel": release,
        "guest_kernel": lines.get("guest_kernel"),
        "guest_root": lines.get("guest_root"),
        "net": {"backend": "kvasir", "packets": packets},
        "blk": {"backend": "kvasir", "requests": requests,
                "verify": lines.get("blk.verify")},
        "exits": {
            "total": trace["totals"]["exits"],
            "userspace": trace["totals"]["userspace"],
            "userspace_per_request":
                round(trace["totals"]["userspace"] / max(1, packets + requests), 4),
            "top": top(trace),
        },
    }
    for key, kind in FIGURES.items():
        part, name = key.split(".")
        try:
            report[part][name] = kind(lines.get(key, ""))
        except ValueError:
            report[part][name] = None
    return report


def faults(report, run_text):
    """What is wrong with a report, as lines."""
    for part, value in report.items():
        for name, v in (value.items() if isinstance(value, dict) else [("", value)]):
            if v is None:
                yield f"{part}.{name} was not measured".replace(". ", " ")
    if report["blk"]["verify"] != "ok":
        yield "the data read back was not what had been written"
    for part, name in (("net", "packets"), ("blk", "requests"), ("net", "tx_mbps"),
                       ("net", "rx_mbps"), ("blk", "read_iops"), ("blk", "write_iops"),
                       ("exits", "total")):
        if report[part][name] is not None and not report[part][name] > 0:
            yield f"{part}.{name} is {report[part][name]}"
    if not report["exits"]["top"]:
        yield "exits.top is empty"
    if not str(report["guest_root"]).startswith("/dev/vda "):
        yield f"the guest's root was {report['guest_root']}, not the module's disk"
    if not re.search(r"backend kvasir", run_text):
        yield "kvasir run did not name the module as backend"


def table(report):
    net, blk, exits = report["net"], report["blk"], report["exits"]
    rows = [
        ("host kernel, guest kernel", f"{report['kernel']}, {report['guest_kernel']}"),
        ("net: guest sends", f"{net['tx_mbps']} Mbit/s"),
        ("net: guest receives", f"{net['rx_mbps']} Mbit/s"),
        ("net: packets through the module", net["packets"]),
        ("blk: 4k random reads, depth 1", f"{blk['read_iops_qd1']} IOPS"),
        ("blk: 4k random reads, depth 32", f"{blk['read_iops']} IOPS"),
        ("blk: 4k random writes, depth 32", f"{blk['write_iops']} IOPS"),
        ("blk: requests through the module", blk["requests"]),
        ("blk: verify", blk["verify"]),
        ("exits: total", exits["total"]),
        ("exits: to userspace", f"{exits['userspace']} "
                                f"({exits['userspace_per_request']} per packet or request)"),
    ]
    for name, value in rows:
        print(f"  {name:<34}{value}")
    print(f"\n  {'exit reason':<24}{'count':>10}{'p50 us':>10}{'p99 us':>10}{'userspace':>11}")
    for r in exits["top"]:
        print(f"  {r['reason']:<24}{r['count']:>10}{r['p50_ns'] / 1e3:>10.1f}"
              f"{r['p99_ns'] / 1e3:>10.1f}{r['userspace']:>11}")
    print()


def main():
    folder, release = sys.argv[1:]
    try:
        report = build(folder, release)
    except (OSError, ValueError, KeyError, TypeError) as e:
        sys.exit(f"demo-report.py: the run is incomplete: {type(e).__name__}: {e}")
    with open(os.path.join(folder, "run.txt"), encoding="utf-8", errors="replace") as f:
        wrong = list(faults(report, f.read()))
    report["ok"] = not wrong
    with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as f:
        json.dump(report, f, indent=2)
        f.write("\n")
    table(report)
    for line in wrong:
        print(f"demo-report.py: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
