# SPDX-License-Identifier: GPL-2.0-only
"""The cases of the tracers' bench, for bench-report.py."""

TITLE = "What tracing VM exits costs, against other tracers"

KINDS = ("cpuid", "hypercall", "out", "mmio", "hlt")
# A tracer of everything perf does is to cost a third of it.
ADDED = {"perf-kvm-stat": 0.33}

# case: (unit, what is better, ratio to reach or None, by peer if a dict)
CASES = {
    **{f"exit_{kind}": ("instructions/exit", "less", 1.05) for kind in KINDS},
    **{f"added_{kind}": ("instructions/exit", "less", ADDED) for kind in KINDS},
    **{f"time_{kind}": ("ns/exit", "less", 1.05) for kind in KINDS},
    **{f"time_added_{kind}": ("ns/exit", "less", None) for kind in KINDS},
    "lost_per_kexit": ("exits lost of 1000", "less", 0),
}


def source(case):
    """Which measurements a row is made of."""
    return case


def value_of(case):
    """How a measurement becomes the figure of a case."""
    if "added_" in case:
        return lambda m, _: (m["cpu_ns"] - m["bare_ns"]) / m["exits"]
    if case == "lost_per_kexit":
        return lambda m, _: 1000 * m["lost"] / m["exits"]
    return lambda m, _: m["cpu_ns"] / m["exits"]


def extras(_case, sides, median):
    """How many events the tracers lost, over all storms of a round."""
    out = {}
    for name, side in zip(("ours", "peer"), sides):
        if all("lost" in m for m in side.values()) and side:
            out[name + "_lost"] = median(m["lost"] for m in side.values())
    return out


def base_of_scale(_case):
    return None
