"""The senses themselves: where the usages lie, how alike they are, and which words drove them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from analysis.charts.frame import (
    LINE,
    MUTED,
    OTHER,
    PAGE,
    SENSES,
    TEXT,
    UNSURE,
    Cell,
    Chart,
    Row,
    Table,
    blues,
    cut,
    framed,
    key_of,
    keys,
    letters,
    lookup,
    number,
    outline,
    plural,
    sense_scales,
    sentence,
)  # fmt: skip
from analysis.record import Analysis, Sense

SHOWN_WORDS = 6  # drivers a sense
BAR = 22  # pixels a driver


def sense_map(analysis: Analysis) -> Chart:
    """A point a usage, on the two principal axes of what was grouped."""
    shown, named, letter = keys(analysis), key_of(analysis), letters(analysis)
    label = {sense.id: sense.label for sense in analysis.senses}
    points: list[Row] = [
        {
            "x": usage.map[0], "y": usage.map[1], "key": named[usage.sense],
            "sentence": sentence(usage),
            "sense": letter[usage.sense] + (f" · {label[usage.sense]}" if usage.sense else " none"),
            "confidence": usage.confidence,
            "drivers": ", ".join(f"{d.word} {d.effect:+.2f}" for d in usage.drivers[:3]) if usage.drivers else "–",
            "usage": usage.id,
        }
        for usage in analysis.usages if usage.map
    ]  # fmt: skip
    places = np.array([(point["x"], point["y"]) for point in points])
    xs, ys, height = _equal_axes(places)
    middles: list[Row] = []
    for key in dict.fromkeys(point["key"] for point in points):
        own = places[[point["key"] == key for point in points]]
        x, y = own.mean(axis=0).tolist()
        if key not in (UNSURE, OTHER):
            # Above the points where there are few: it would cover them.
            middles.append(
                {"x": x, "y": y if len(own) > 2 else own[:, 1].max() + 0.05 * (ys[1] - ys[0]), "letter": key}
            )
    fill, stroke, shape, legend = sense_scales(shown)
    across = alt.X("x:Q", scale=alt.Scale(domain=xs, nice=False), axis=_plain("first principal axis (no unit)"))
    up = alt.Y("y:Q", scale=alt.Scale(domain=ys, nice=False), axis=_plain("second principal axis (no unit)"))
    dots = (
        alt.Chart(alt.NamedData("usages"))
        .mark_point(size=110, strokeWidth=1.5, fillOpacity=0.75)
        .encode(
            x=across, y=up,
            fill=alt.Fill("key:N", scale=fill, legend=legend),
            stroke=alt.Stroke("key:N", scale=stroke, legend=legend),
            shape=alt.Shape("key:N", scale=shape, legend=legend),
            tooltip=[alt.Tooltip("sentence:N"), alt.Tooltip("sense:N"), alt.Tooltip("confidence:Q", format=".2f"),
                     alt.Tooltip("drivers:N"), alt.Tooltip("usage:N")],
        )
    )  # fmt: skip
    # A letter in the middle of each sense, with a rim of the page's colour so that it reads on top of points.
    text = alt.Chart(alt.NamedData("senses")).encode(x=across, y=up, text="letter:N")
    rim = text.mark_text(fontSize=20, fontWeight="bold", stroke=PAGE, strokeWidth=5, strokeJoin="round", color=PAGE)
    return framed(
        rim + dots + text.mark_text(fontSize=20, fontWeight="bold", color=TEXT),
        name="sense-map",
        title=f"{_found(analysis)} of “{cut(analysis.target, 30)}” in {plural(len(analysis.usages), 'usage')}",
        caption="Each point is a usage; near points are used alike. Two axes hold only a part of what was grouped, so "
        "distances are approximate.",
        table=(
            ("usage", "sense", "confidence", "x", "y", "drivers"),
            [[p["usage"], p["sense"], p["confidence"], p["x"], p["y"], p["drivers"]] for p in points],
        ),
        data={"usages": points, "senses": middles},
        height=height,
        aspect=True,
    )


def similarity(analysis: Analysis) -> Chart:
    """The cosine of each two usages, ordered by sense: senses that hold together are dark blocks on the diagonal."""
    held, letter = analysis.similarity, letters(analysis)
    assert held is not None  # noqa: S101 - the gallery asks first
    n, by_id = len(held.usages), {usage.id: usage for usage in analysis.usages}
    senses = [by_id[usage].sense for usage in held.usages]
    cosine = np.eye(n)
    for i, row in enumerate(held.cosines):
        cosine[i, :i] = cosine[:i, i] = row
    rows: list[Row] = [
        {"i": i, "c": np.round(cosine[i], 3).tolist(), "usage": sentence(by_id[usage], 30)}
        for i, usage in enumerate(held.usages)
    ]
    blocks: list[Row] = []
    for sense, members in groupby(range(n), key=lambda i: senses[i]):
        own = list(members)
        blocks.append({"letter": letter[sense], "from": own[0], "to": own[-1] + 1, "middle": own[0] + len(own) / 2})
    least = float(np.floor(cosine.min() * 10) / 10)
    size = min(470, max(280, n * 24))
    scale = alt.Scale(domain=[0, n], nice=False)
    places = {row["middle"]: row["letter"] for row in blocks}
    block: dict[str, Any] = {
        "values": list(places), "labelExpr": lookup(places), "labelFontWeight": "bold", "labelFontSize": 14,
        "grid": False, "ticks": False, "domain": False, "labelSeparation": 0,
    }  # fmt: skip
    x = alt.X("j:Q", scale=scale, axis=alt.Axis(title="usages, sense by sense", orient="top", **block))
    down = alt.Axis(title="usages, in the same order", **block)
    y = alt.Y("i:Q", scale=alt.Scale(domain=[n, 0], nice=False), axis=down)
    cells = (
        alt.Chart(alt.NamedData("usages"))
        .transform_calculate(j=f"sequence({n})")
        .transform_flatten(["j", "c"])
        # Each a little larger than its place, so that no seams show between them.
        .transform_calculate(i2="datum.i + 1.04", j2="datum.j + 1.04", other="data('usages')[datum.j].usage")
        # Ten thousand cells would be ten thousand lines to a screen reader: the table says what they show.
        .mark_rect(aria=False, clip=True)
        .encode(
            x=x, y=y, x2="j2:Q", y2="i2:Q",
            fill=alt.Fill("c:Q", scale=blues(least, 1),
                          legend=alt.Legend(title="cosine (1: the same)", direction="horizontal", gradientLength=220,
                                            values=[round(least, 1), 1], offset=4)),
            tooltip=[alt.Tooltip("usage:N"), alt.Tooltip("other:N"), alt.Tooltip("c:Q", format=".3f", title="cosine")],
        )
    )  # fmt: skip
    edges = (
        alt.Chart(alt.NamedData("blocks"))
        .transform_filter("datum.from > 0")
        .mark_rule(color=PAGE, strokeWidth=3, aria=False)
    )
    rules = [edges.encode(x=alt.X("from:Q", scale=scale)), edges.encode(y="from:Q")]
    return framed(
        alt.layer(cells, *rules),
        name="similarity",
        title=_alike(cosine, senses),
        caption=f"Cosine of each two of {n} usages, ordered by sense; within a sense the most typical usage comes "
        "first. The more a block on the diagonal stands out, the better its sense holds together.",
        table=_between_senses(cosine, [letter[sense] for sense in senses]),
        data={"usages": rows, "blocks": blocks},
        height=size,
        aspect=True,
    )


def drivers(analysis: Analysis) -> Chart:
    """The words that drove each sense: mean effects as bars, with 95 % intervals."""
    shown = [(k, sense) for k, sense in enumerate(analysis.senses[: len(SENSES)]) if sense.drivers]
    letter = letters(analysis)
    bars: list[Row] = []
    labels: dict[int, str] = {}
    heads: list[int] = []
    for _, sense in shown:
        heads.append(len(labels))
        labels[len(labels)] = f"{letter[sense.id]} ({plural(sense.size, 'usage')})"
        for driver in (sense.drivers or ())[:SHOWN_WORDS]:
            bars.append({"at": len(labels), "word": driver.word, "sense": letter[sense.id], "effect": driver.effect,
                         "low": driver.low, "high": driver.high, "support": driver.support})  # fmt: skip
            labels[len(labels)] = f"{cut(driver.word, 22)} ({driver.support})"
    bold: Any = {"condition": {"test": f"indexof({heads}, datum.value) >= 0", "value": "bold"}, "value": "normal"}
    y = alt.Y(
        "at:Q",
        scale=alt.Scale(domain=[len(labels) - 0.5, -0.5], nice=False),
        axis=alt.Axis(title=None, grid=False, ticks=False, domain=False, values=list(labels), labelOverlap=False,
                      labelExpr=lookup(labels), labelFontWeight=bold),
    )  # fmt: skip
    base = alt.Chart(alt.NamedData("drivers"))
    what = "drop in probability without the word" if _by_removal(analysis) else "effect, in the method's unit"
    x = alt.X("effect:Q", axis=alt.Axis(title=f"mean {what}", tickCount=5))
    names = [letter[sense.id] for _, sense in shown]
    bar = base.mark_bar(orient="horizontal", size=BAR * 0.6).encode(
        x=x, x2=alt.datum(0), y=y,
        fill=alt.Fill("sense:N", legend=None, scale=alt.Scale(domain=names, range=[SENSES[k] for k, _ in shown])),
        stroke=alt.Stroke("sense:N", legend=None, scale=alt.Scale(domain=names, range=[outline(k) for k, _ in shown])),
        tooltip=[alt.Tooltip("word:N"), alt.Tooltip("sense:N"), alt.Tooltip("effect:Q", format=".3f"),
                 alt.Tooltip("low:Q", format=".3f"), alt.Tooltip("high:Q", format=".3f"),
                 alt.Tooltip("support:Q", title="usages with it")],
    )  # fmt: skip
    interval = base.transform_filter("datum.low != null").encode(y=y)
    whisker = interval.mark_rule(color=TEXT, strokeWidth=1.5).encode(x="low:Q", x2="high:Q")
    ends = [interval.mark_tick(color=TEXT, thickness=1.5, height=8, orient="vertical").encode(x=f"{end}:Q")
            for end in ("low", "high")]  # fmt: skip
    return framed(
        alt.layer(bar, whisker, *ends, base.mark_rule(aria=False).encode(x=alt.datum(0))),
        name="drivers",
        title=_driven(analysis, shown),
        caption="The probability is that of the sense. A bar is the mean over the explained usages of the sense "
        "that have the word; the line is the 95 % interval. In brackets: in how many usages; "
        "one alone has no interval.",
        table=(
            ("sense", "word", "effect", "low", "high", "usages"),
            [[r["sense"], r["word"], r["effect"], r["low"], r["high"], r["support"]] for r in bars],
        ),
        data={"drivers": bars},
        height=BAR * len(labels),
    )


def _found(analysis: Analysis) -> str:
    if analysis.verdict == "too little data":
        return "Too little data for the senses"
    return f"{number(len(analysis.senses))} sense{'' if len(analysis.senses) == 1 else 's'}"


def _equal_axes(places: NDArray[np.float64]) -> tuple[list[float], list[float], int]:
    """Domains that hold all points with a margin, a unit being as long on both axes; and the height that this takes."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = np.maximum(high - low, 1e-6) * 1.16
    plot = 580  # about what is left of the width beside the axis
    height = int(np.clip(plot * span[1] / span[0], 240, 400))
    unit = max(span[0] / plot, span[1] / height)
    half = np.array([plot, height]) * unit / 2
    middle = (low + high) / 2
    (x0, y0), (x1, y1) = np.round(middle - half, 6).tolist(), np.round(middle + half, 6).tolist()
    return [x0, x1], [y0, y1], height


def _plain(title: str) -> alt.Axis:
    """An axis without numbers: its unit means nothing."""
    return alt.Axis(title=title, labels=False, ticks=False, grid=False, domainColor=LINE, titleColor=MUTED)


def _alike(cosine: NDArray[np.float64], senses: list[str | None]) -> str:
    of = np.array([sense or "" for sense in senses])
    first, second = np.triu_indices(len(of), 1)
    known = (of[first] != "") & (of[second] != "")
    same = known & (of[first] == of[second])
    pairs, apart = cosine[first, second], known & ~same
    if not same.any() or not apart.any():
        return f"The usages have a cosine of {pairs.mean():.2f} on average"
    within, between = pairs[same].mean(), pairs[apart].mean()
    more = "more alike" if within > between else "no more alike"
    return f"Usages of one sense are {more} (cosine {within:.2f}) than of two senses ({between:.2f})"


def _between_senses(cosine: NDArray[np.float64], letter: list[str]) -> Table:
    """The mean cosine of the pairs of each two senses, and within each."""
    names, of = list(dict.fromkeys(letter)), np.array(letter)
    pair = ~np.eye(len(of), dtype=bool)
    found: list[list[Cell]] = []
    for i, a in enumerate(names):
        cells = [cosine[np.outer(of == a, of == b) & pair] for b in names[: i + 1]]
        found.append(
            [a, *(round(float(c.mean()), 3) if c.size else None for c in cells), *[None] * (len(names) - i - 1)]
        )
    return ["mean cosine", *names], found


def _driven(analysis: Analysis, shown: list[tuple[int, Sense]]) -> str:
    letter = letters(analysis)
    best = [f"“{cut(sense.drivers[0].word, 16)}” for {letter[sense.id]}" for _, sense in shown[:3] if sense.drivers]
    others = "" if len(shown) <= 3 else " and others"
    return f"What drives the senses of “{cut(analysis.target, 30)}” most: {', '.join(best)}{others}"


def _by_removal(analysis: Analysis) -> bool:
    return analysis.provenance.drivers.startswith("occlusion")
