"""The lesson's measurements as charts: lines over length or distance, medians with the range of all repeats.

Colour, dash and marker tell the kinds apart; both axes are logarithmic, so that a power of n is a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from analysis.charts.frame import MUTED, SENSES, TEXT, Chart, Row, framed
from analysis.lesson import LABELS, Cost, Machine, Method, Parallel, Paths, Series

HEIGHT = 300
MILLI, MEBI = 1e3, 1 / 2**20


class Look(NamedTuple):
    colour: str
    dash: tuple[int, ...]
    shape: str


LOOKS: dict[Method, Look] = {
    "rnn": Look(SENSES[1], (7, 4), "square"),
    "lstm": Look(SENSES[1], (2, 3), "diamond"),
    "dense": Look(SENSES[0], (1, 0), "circle"),
    "stepwise": Look(SENSES[0], (2, 3), "triangle-down"),
    "sparse": Look(SENSES[2], (1, 0), "triangle-up"),
    "linear": Look(SENSES[3], (1, 0), "diamond"),
}


def charts(part: object) -> tuple[Chart, ...]:
    """Those of a measured part of the lesson; none where a part is told in words and tables."""
    match part:
        case Paths():
            return (gradient(part),)
        case Parallel():
            return (parallel(part),)
        case Cost():
            return (time(part), memory(part))
    return ()


def gradient(part: Paths) -> Chart:
    """How much of the gradient reaches the first word, beside what reaches the last one's neighbour."""
    far = part.ratio[0].points[-1].n
    rnn, dense = (_of(part.ratio, method).at(far).median for method in ("rnn", "dense"))
    return _chart(
        part.ratio,
        name="lesson-gradient",
        title=f"Over {far} words a recurrent network keeps {rnn:.1g} of the gradient, attention {dense:.2f}",
        caption=f"Gradient of the last word's output by the first word's input, over that by the neighbour's: 1 is as "
        f"strong as a neighbour. Untrained layers {part.width} wide. {told(part.machine, part.repeats, 'seeds')}",
        x="distance between the two words, in words",
        y="gradient, relative to the neighbour's",
        form=".1e",
    )


def parallel(part: Parallel) -> Chart:
    """Time of a layer by length: recurrent, attention, attention a word at a time."""
    n = part.time[0].points[-1].n
    together, apart = (_of(part.time, method).at(n).median for method in ("dense", "stepwise"))
    return _chart(
        part.time,
        name="lesson-parallel",
        title=f"The same attention over {n} words takes {apart / together:.1f} times as long a word at a time",
        caption=f"One forward pass of one layer {part.width} wide over one text. "
        f"{told(part.machine, part.repeats, 'repeats')}",
        x="length of the text, in words",
        y="time, in milliseconds",
        form=".3f",
        factor=MILLI,
    )


def time(part: Cost) -> Chart:
    """Time of the three kinds of attention by length, with the slopes of n and n²."""
    own = part.exponent("dense")
    return _chart(
        part.time,
        name="lesson-time",
        title=f"Dense attention's time grows as n to the power of {own.value:.2f} ({own.low:.2f} to {own.high:.2f})",
        caption=f"One head {part.width} wide; the window is {part.window} words on each side. The exponent is of "
        f"n = {own.n_from} to {own.n_to}, with its 95 % interval. {told(part.machine, part.repeats, 'repeats')}",
        x="length of the text n, in words",
        y="time, in milliseconds",
        form=".3f",
        factor=MILLI,
        guides=True,
    )


def memory(part: Cost) -> Chart:
    """Memory of the three kinds of attention by length, with the slopes of n and n²."""
    dense, linear = (_of(part.memory, method).points[-1] for method in ("dense", "linear"))
    return _chart(
        part.memory,
        name="lesson-memory",
        title=f"At {dense.n} words dense attention holds {dense.median * MEBI:.0f} MiB at once, linear attention "
        f"{linear.median * MEBI:.1f}",
        caption=f"The most bytes alive at once beyond queries, keys and values; the same in every run. One head "
        f"{part.width} wide, in {part.machine.dtype}; the window is {part.window} words on each side.",
        x="length of the text n, in words",
        y="memory, in MiB",
        form=".3f",
        factor=MEBI,
        guides=True,
    )


def told(machine: Machine, repeats: int, of: str) -> str:
    """What a reader must know of a measurement: how often, on what, with what numbers."""
    threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
    return (
        f"Median and range of {repeats} {of}; {machine.processor}, {threads}, {machine.dtype}, PyTorch {machine.torch}."
    )


def _chart(
    series: Sequence[Series],
    *,
    name: str,
    title: str,
    caption: str,
    x: str,
    y: str,
    form: str,
    factor: float = 1.0,
    guides: bool = False,
) -> Chart:
    rows: list[Row] = [
        {
            "n": p.n,
            "kind": LABELS[one.method],
            "median": p.median * factor,
            "low": p.low * factor,
            "high": p.high * factor,
        }
        for one in series
        for p in one.points
    ]
    looks = {LABELS[one.method]: LOOKS[one.method] for one in series}
    sizes = [p.n for p in series[0].points]
    tens = _decades([row["low"] for row in rows] + [row["high"] for row in rows])
    across = alt.X("n:Q", scale=alt.Scale(type="log", base=2, nice=False),
                   axis=alt.Axis(title=x, values=sizes, format="d", grid=False, titleAnchor="middle"))  # fmt: skip
    up = alt.Y("median:Q", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(title=y, values=tens, format="~g"))
    return framed(
        alt.layer(*(_slopes(across, up) if guides else ()), *_lines(looks, across, up, form)),
        name=name,
        title=title,
        caption=caption,
        table=(("words", "kind", y, "least", "greatest"), [list(row.values()) for row in rows]),
        data={"lines": rows} | (_guides(series, factor) if guides else {}),
        height=HEIGHT,
    )


def _lines(looks: dict[str, Look], x: alt.X, y: alt.Y, form: str) -> list[alt.Chart]:
    """The range as a bar behind, the medians as a line, each measured point as a marker."""
    kinds = list(looks)
    legend = alt.Legend(title=None, symbolSize=80, symbolStrokeWidth=1, symbolOpacity=1)
    colours = alt.Scale(domain=kinds, range=[look.colour for look in looks.values()])
    dashes = alt.Scale(domain=kinds, range=[list(look.dash) for look in looks.values()])
    shapes = alt.Scale(domain=kinds, range=[look.shape for look in looks.values()])
    base = alt.Chart(alt.NamedData("lines")).encode(x=x)
    stroke = alt.Stroke("kind:N", scale=colours, legend=legend)
    ranges = base.mark_rule(strokeWidth=5, opacity=0.35).encode(y=alt.Y("low:Q"), y2="high:Q", stroke=stroke)
    line = base.mark_line(strokeWidth=2.5).encode(
        y=y, stroke=stroke, strokeDash=alt.StrokeDash("kind:N", scale=dashes, legend=legend)
    )
    dots = base.mark_point(size=45, opacity=1).encode(
        y=y,
        stroke=stroke,
        fill=alt.Fill("kind:N", scale=colours, legend=legend),
        shape=alt.Shape("kind:N", scale=shapes, legend=legend),
        tooltip=[alt.Tooltip("kind:N"), alt.Tooltip("n:Q", title="words"),
                 *(alt.Tooltip(f"{field}:Q", format=form) for field in ("median", "low", "high"))],
    )  # fmt: skip
    return [ranges, line, dots]


def _slopes(x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The guides, each with its name under it."""
    line = alt.Chart(alt.NamedData("guides")).mark_line(color=MUTED, strokeWidth=1, strokeDash=[1, 3])
    name = alt.Chart(alt.NamedData("names")).mark_text(dy=12, color=TEXT, fontStyle="italic")
    return [line.encode(x=x, y=y, detail="kind:N"), name.encode(x=x, y=y, text="kind:N")]


def _guides(series: Sequence[Series], factor: float) -> dict[str, list[Row]]:
    """Lines of slope 1 and 2 (how n and n² grow) through the dense median at the middle of the sizes; their names."""
    points = _of(series, "dense").points
    half = points[len(points) // 2 :]
    rows: list[Row] = [
        {"n": p.n, "kind": name, "median": half[0].median * factor * (p.n / half[0].n) ** slope}
        for name, slope in (("n", 1), ("n²", 2))
        for p in half
    ]
    return {"guides": rows, "names": [row for row in rows if row["n"] == points[-2].n]}


def _decades(values: Sequence[float]) -> list[float]:
    """Powers of ten among the values, at most seven."""
    low, high = math.log10(min(values)), math.log10(max(values))
    step = next(step for step in (1, 2, 5, 10, 20, 50) if (high - low) / step < 7)
    return [float(f"1e{n}") for n in range(-300, 300, step) if low <= n <= high]


def _of(series: Sequence[Series], method: Method) -> Series:
    return next(one for one in series if one.method == method)
