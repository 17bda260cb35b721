# SPDX-License-Identifier: GPL-2.0-only
"""The cases of the network bench, for bench-report.py."""

TITLE = "Network data path against its peers"

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


def source(case):
    """Which measurements a row is made of."""
    return case


def extras(case, sides, median):
    """What else is told of a case: of each side what its devices cost."""
    if not case.startswith("scale_"):
        return {}
    return {name: {k: round(median(m[k] for m in side.values()), 3)
                   for k in ("one_busy", "all_busy", "threads", "memory_kib", "jain")}
            for name, side in zip(("ours_scale", "peer_scale"), sides)}


def base_of_scale(case):
    return "scale_1" if case.startswith("scale_") else None
