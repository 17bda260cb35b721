# SPDX-License-Identifier: GPL-2.0-only
"""The chart of a bench: one bar per row, the peer is the line at 1.

All bars grow from 1.0 in a common direction: to the right is where we are
ahead. For figures that are better when less (instructions, kicks, latency)
the factor is therefore peer / ours. The scale is logarithmic, so that twice
as good and half as good are as far from the line.
"""
import html
import math

LEFT, RIGHT, TOP, STEP, BAR = 320, 330, 84, 24, 13
PLOT = 460
TICKS = (0.125, 0.25, 0.5, 0.8, 1, 1.25, 2, 3, 4, 6, 8)
MOST = 8    # a longer bar is cut, or it would squeeze all others
AHEAD, BEHIND, EVEN, INK, SOFT = "#2b7a4b", "#b5452f", "#7d8794", "#1d2530", "#5d6875"


def factor(row, ratio):
    """How many times better than the peer; kept away from 0 and infinity."""
    ratio = max(ratio, 0.01)
    return 1 / ratio if row["better"] == "less" else ratio


def number(value):
    if value >= 100000:
        return f"{value / 1000:.0f}k"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


class Scale:
    def __init__(self, rows):
        seen = [1.4, 1 / 1.4]
        for r in rows:
            seen += [factor(r, x) for x in (r["ratio"], *ends(r))]
            if r["lead"] is not None:
                seen.append(factor(r, r["lead"]))
        self.low = math.log(max(min(seen) / 1.08, 0.08))
        self.high = math.log(min(max(seen) * 1.08, MOST))

    def x(self, f):
        at = (math.log(f) - self.low) / (self.high - self.low)
        return LEFT + PLOT * min(max(at, 0), 1)


def ends(row):
    return max(row["ratio"] - row["spread"], 0.01), row["ratio"] + row["spread"]


def text(x, y, what, size=12, anchor="start", fill=INK, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}" font-weight="{weight}">{html.escape(what)}</text>')


def line(x1, y1, x2, y2, colour, width=1, dash=""):
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"{dashes}/>')


def bar(row, scale, y):
    f = factor(row, row["ratio"])
    one, end, middle = scale.x(1), scale.x(f), y + BAR / 2
    colour = EVEN if 0.98 < f < 1.02 else AHEAD if f > 1 else BEHIND
    low, high = sorted(scale.x(factor(row, e)) for e in ends(row))
    name = f"{row['case']} : {row['peer_name']}"
    figures = f"{number(row['ours'])} : {number(row['peer'])} {row['unit']}"
    out = [
        text(LEFT - 10, y + BAR - 2, name, anchor="end"),
        f'<rect x="{min(one, end):.1f}" y="{y}" width="{max(abs(end - one), 1):.1f}" '
        f'height="{BAR}" fill="{colour}"/>',
        line(low, middle, high, middle, INK),
        line(low, y + 3, low, y + BAR - 3, INK),
        line(high, y + 3, high, y + BAR - 3, INK),
        text(LEFT + PLOT + 12, y + BAR - 2, f"x{f:.2f}", 11, weight="bold"),
        text(LEFT + PLOT + 60, y + BAR - 2, figures, 11, fill=SOFT),
    ]
    if f > MOST:
        cut = end - 12
        out.append(line(cut, y - 2, cut + 6, y + BAR + 2, "#ffffff", 4))
    if row["lead"] is not None:
        at = scale.x(factor(row, row["lead"]))
        out.append(line(at, y - 3, at, y + BAR + 3, "#c98a00", 2.5))
    return out


def legend(title, y):
    return [
        text(20, 28, title, 18, weight="bold"),
        text(20, 48, "Factor ahead of the peer (1 = equal, logarithmic). "
             f"Whiskers: quartile spread of the pair ratios. Bars are cut at {MOST}.", 12, fill=SOFT),
        f'<rect x="{LEFT}" y="{y}" width="12" height="10" fill="{AHEAD}"/>',
        text(LEFT + 17, y + 9, "ahead", 11),
        f'<rect x="{LEFT + 75}" y="{y}" width="12" height="10" fill="{BEHIND}"/>',
        text(LEFT + 92, y + 9, "behind", 11),
        f'<rect x="{LEFT + 155}" y="{y}" width="12" height="10" fill="{EVEN}"/>',
        text(LEFT + 172, y + 9, "within 2 %", 11),
        line(LEFT + 254, y - 2, LEFT + 254, y + 12, "#c98a00", 2.5),
        text(LEFT + 261, y + 9, "lead to reach", 11),
    ]


def chart(title, rows):
    scale = Scale(rows)
    kernels = list(dict.fromkeys(r["kernel"] for r in rows))
    height = TOP + (len(rows) + len(kernels)) * STEP + 50
    width = LEFT + PLOT + RIGHT
    bottom = height - 42
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="DejaVu Sans, Helvetica, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *legend(title, 60),
    ]
    labelled = [scale.x(1)]
    for tick in sorted(TICKS, key=lambda t: abs(math.log(t))):
        if not scale.low <= math.log(tick) <= scale.high:
            continue
        x = scale.x(tick)
        out.append(line(x, TOP, x, bottom, "#e3e7ec"))
        # from 1 outwards, as long as there is room for a label
        if tick == 1 or all(abs(x - other) > 36 for other in labelled):
            labelled.append(x)
            out.append(text(x, bottom + 16, f"{tick:g}", 11, "middle", SOFT))
    y = TOP + 4
    for kernel in kernels:
        out.append(text(20, y + BAR - 1, f"Linux {kernel}", 12, weight="bold"))
        y += STEP
        for row in (r for r in rows if r["kernel"] == kernel):
            out += bar(row, scale, y)
            y += STEP
    out += [line(scale.x(1), TOP, scale.x(1), bottom, INK, 1.5), "</svg>\n"]
    return "\n".join(out)
