# SPDX-License-Identifier: GPL-2.0-only
"""The cases of the disk bench, for bench-report.py.

One measurement gives several rows: PARTS name them by what is added to the
name of the case.
"""

TITLE = "Disk data path against its peers"

RATE = ("requests/s", "more")
NS = ("ns", "less")
INSN = ("instructions/request", "less")
COUNT = ("per request", "less")

QEMU = ("qemu-native", "qemu-io_uring")

# case: (unit, what is better, ratio to reach or None, by peer if a dict)
CASES = {}


def to_qemu(goal, **others):
    return {**dict.fromkeys(QEMU, goal), **others}


def define():
    for op in ("read", "write"):
        CASES[f"drv_rand{op}4k_qd1"] = (*RATE, None)
        CASES[f"drv_rand{op}4k_qd1_p50"] = (*NS, 0.7)
        CASES[f"drv_rand{op}4k_qd1_p99"] = (*NS, 0.7)
        CASES[f"drv_rand{op}4k_qd32"] = (*RATE, 2)
        CASES[f"drv_rand{op}4k_qd128"] = (*RATE, 2)
    for how, goal in (("poll", 0.7), ("nopoll", None)):
        CASES[f"drv_randread4k_qd1_{how}_p50"] = (*NS, goal)
        CASES[f"drv_randread4k_qd1_{how}_p99"] = (*NS, goal)
        CASES[f"drv_randread4k_qd1_{how}_cpu"] = (*NS, None)
    CASES["drv_randread4k_2q"] = CASES["drv_randread4k_4q"] = (*RATE, 2)
    CASES["drv_seqread128k"] = CASES["drv_seqwrite128k"] = (*RATE, None)
    CASES["share_of_device_qd1"] = (*RATE, None)
    CASES["share_of_device_qd32"] = (*RATE, 0.9)
    CASES["share_of_device_seqread128k"] = CASES["share_of_device_seqwrite128k"] = (*RATE, 0.9)
    for what in ("qd1", "qd32", "write_qd32", "128k"):
        CASES[f"insn_per_io_{what}"] = (*INSN, None)
    for depth in ("qd1", "qd32"):
        for part in ("kicks", "calls"):
            CASES[f"insn_per_io_{depth}_{part}"] = (*COUNT, None)
    # where the CPU has time to spare, those who wait do sleep
    for part in ("kicks", "calls", "wakeups"):
        CASES[f"paced_20k_{part}"] = (*COUNT, None)
    CASES["paced_20k_cpu"] = (*INSN, None)
    for rate in ("1k", "5k"):
        CASES[f"drv_paced_{rate}_p50"] = (*NS, None)
        CASES[f"drv_paced_{rate}_cpu"] = (*NS, None)
    for what in ("queues_1", "queues_4", "queues_8", "disks_1", "disks_8", "disks_64"):
        CASES[f"scale_{what}"] = (*INSN, None)
    for op in ("read", "write"):
        CASES[f"guest_rand{op}4k_qd1"] = (*RATE, None)
        CASES[f"guest_rand{op}4k_qd1_p50"] = (*NS, to_qemu(0.8))
        CASES[f"guest_rand{op}4k_qd1_p99"] = (*NS, None)
        CASES[f"guest_rand{op}4k_qd1_exits"] = (*COUNT, None)
        CASES[f"guest_rand{op}4k_qd32"] = (*RATE, to_qemu(1.15, **{"vfio-nvme": 0.95}))
        CASES[f"guest_rand{op}4k_qd32_exits"] = (*COUNT, None)


define()


def rate(m, _):
    return m["ios"] / m["ns"] * 1e9


def insn(m, _):
    return m["ns"] / m["ios"]


def cpu(m, _):
    """Of the threads that serve."""
    return m["worker_ns"] / m["ios"]


def per_io(key):
    return lambda m, _: m[key] / m["ios"]


PARTS = {
    "_cpu": cpu,
    "_p50": lambda m, _: m["p50"],
    "_p99": lambda m, _: m["p99"],
    "_kicks": per_io("kicks"),
    "_wakeups": per_io("wakeups"),
    "_calls": per_io("calls"),
    "_exits": per_io("exits"),
}


def part_of(case):
    return next((p for p in PARTS if case.endswith(p)), "")


def source(case):
    """Which measurements a row is made of."""
    return case.removesuffix(part_of(case))


def value_of(case):
    """How a measurement becomes the figure of a case."""
    part = part_of(case)
    if part:
        return PARTS[part]
    return insn if case.startswith(("insn_", "scale_")) else rate


def extras(case, sides, median):
    """What else is told of a case: threads, fairness and the servers' share."""
    if not case.startswith(("scale_", "insn_")) or part_of(case):
        return {}
    out = {}
    for name, side in zip(("ours", "peer"), sides):
        out[name + "_worker"] = round(median(m["worker_ns"] / m["ios"] for m in side.values()), 1)
        if case.startswith("scale_"):
            out[name + "_threads"] = median(m["threads"] for m in side.values())
            out[name + "_jain"] = median(m["jain"] for m in side.values())
    return out


def base_of_scale(case):
    return case.rpartition("_")[0] + "_1" if case.startswith("scale_") else None
