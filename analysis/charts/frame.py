"""What all charts have in common: their nouns, colours (Okabe and Ito 2008) and frame.

A chart is drawn in the light colours; `dark` gives the same chart in the dark ones, colour by colour. Colours never
speak alone: senses have a letter and a shape, lines a dash and a label.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from analysis.marks import mark
from analysis.record import Analysis, Usage
from analysis.text import context

Spec = dict[str, Any]
Row = dict[str, Any]
Cell = str | float | int | None
Table = tuple[Sequence[str], Sequence[Sequence[Cell]]]  # columns, rows

TEXT, MUTED, LINE, PAGE = "#1A1A1A", "#595959", "#D9D9D9", "#FFFFFF"
OUTLINE, UNASSIGNED, MASKED = "#333333", "#767676", "#E8E8E8"
SENSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
PALE = (4, 5)  # senses whose colour needs an outline on white
WITHIN, BETWEEN, STATIC = SENSES[0], SENSES[1], UNASSIGNED
BLUES = ("#F7FBFF", "#9ECAE1", "#4292C6", "#08519C")  # a share from 0 up, interpolated in rgb
# The same roles on a dark page, with the same contrasts.
DARK: Mapping[str, str] = {
    TEXT: "#ECECEC", MUTED: "#B0B0B0", LINE: "#3A3A3A", PAGE: "#151515", OUTLINE: "#CCCCCC", UNASSIGNED: "#9A9A9A",
    MASKED: "#3D3D3D", SENSES[0]: "#4AA8E0", SENSES[1]: "#F08040", SENSES[2]: "#2CC79A",
    BLUES[0]: "#1B2530", BLUES[1]: "#2A5B86", BLUES[2]: "#5BA3D6", BLUES[3]: "#D4E9FB",
}  # fmt: skip

WIDTH = 640  # of the whole chart, in pixels; a page may set less
FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"
UNSURE, OTHER = "none", "other"  # the keys of usages without a sense, and of senses past the sixth
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True, eq=False)
class Chart:
    """A picture and the words around it: `title` states what is seen, `caption` how to read it.

    `spec` is Vega-Lite, whole; `columns` and `rows` are the figures behind it as a table.
    """

    name: str
    title: str
    caption: str
    spec: Spec
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def is_number(self, column: int) -> bool:
        """Whether the column holds numbers, which are written right-aligned."""
        return any(isinstance(row[column], int | float) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend of senses: its name in the data, how it looks, and what is written beside it."""

    name: str
    fill: str
    stroke: str
    shape: str
    label: str


def framed(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart,
    *,
    name: str,
    title: str,
    caption: str,
    table: Table,
    data: Mapping[str, list[Row]],
    height: int,
    aspect: bool = False,
) -> Chart:
    """The chart with its title, its colours and its data (by the names that it uses for them).

    `height` is of the plot alone, in pixels; `aspect`: a narrower page makes it lower too.
    """
    whole = chart.properties(
        width=WIDTH,
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        padding=12,
        title=alt.TitleParams(text=_lines(title, 66), subtitle=_lines(caption, 96)),
        description=title,
        usermeta={"aspect": aspect},
    )
    spec = whole.to_dict(validate=False, context={"datasets": {}})  # tests validate; it takes as long as all else
    columns, rows = table
    return Chart(
        name=name,
        title=title,
        caption=caption,
        spec={**spec, "config": _config(), "datasets": dict(data)},
        columns=tuple(columns),
        rows=tuple(tuple(row) for row in rows),
    )


def dark(spec: Spec) -> Spec:
    """The same chart for a dark page. The data are left as they are: a text may be the name of a colour."""
    return {key: value if key == "datasets" else _recoloured(value) for key, value in spec.items()}


def keys(analysis: Analysis) -> list[Key]:
    """The legend of senses: six by themselves, then the other ones, then the usages without a sense."""
    found = []
    for i, sense in enumerate(analysis.senses[: len(SENSES)]):
        label = f"{mark(i).letter} · {cut(sense.label, 40)} ({sense.size})"
        found.append(Key(mark(i).letter, SENSES[i], outline(i), SHAPES[i], label))
    rest = analysis.senses[len(SENSES) :]
    if rest:
        label = f"{mark(len(SENSES)).letter} and further senses ({sum(sense.size for sense in rest)})"
        found.append(Key(OTHER, UNASSIGNED, UNASSIGNED, "circle", label))
    undecided = sum(usage.sense is None for usage in analysis.usages)
    if undecided:
        found.append(Key(UNSURE, "transparent", UNASSIGNED, "circle", f"no sense: too little confidence ({undecided})"))
    return found


def outline(i: int) -> str:
    """The colour around the i-th sense's marks: its own, or a dark one where that would be too pale on white."""
    return OUTLINE if i in PALE else SENSES[i]


def key_of(analysis: Analysis) -> dict[str | None, str]:
    """The name of a sense's key, by its id; of None too."""
    named: dict[str | None, str] = {None: UNSURE}
    for i, sense in enumerate(analysis.senses):
        named[sense.id] = mark(i).letter if i < len(SENSES) else OTHER
    return named


def letters(analysis: Analysis) -> dict[str | None, str]:
    """The letter of a sense, by its id; a dash for None."""
    named: dict[str | None, str] = {None: "–"}
    return named | {sense.id: mark(i).letter for i, sense in enumerate(analysis.senses)}


def sense_scales(shown: Sequence[Key]) -> tuple[alt.Scale, alt.Scale, alt.Scale, alt.Legend]:
    """Fill, stroke and shape by a sense's key, and the one legend that all three share."""
    domain = [key.name for key in shown]
    labels = alt.Legend(
        title=None, symbolSize=110, symbolStrokeWidth=1.5, labelExpr=lookup({key.name: key.label for key in shown})
    )
    return (
        alt.Scale(domain=domain, range=[key.fill for key in shown]),
        alt.Scale(domain=domain, range=[key.stroke for key in shown]),
        alt.Scale(domain=domain, range=[key.shape for key in shown]),
        labels,
    )


def sentence(usage: Usage, width: int = 50) -> str:
    """The usage on one line, cut on both sides of the target to `width` characters each."""
    left, keyword, right = context(usage.text, usage.start, usage.end, width)
    return f"{left}{keyword}{right}".strip()


def blues(least: float, largest: float) -> alt.Scale:
    """The more, the darker, interpolated in rgb: white is the least."""
    domain = [least + (largest - least) * step / 3 for step in range(4)]
    return alt.Scale(domain=domain, range=list(BLUES), interpolate="rgb", clamp=True)


def cut(text: str, width: int) -> str:
    """The text, its end replaced by an ellipsis where it has more than `width` characters."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def number(n: int) -> str:
    """Up to ten in letters."""
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def lookup(names: Mapping[Any, str]) -> str:
    """An expression for the name of an axis's or a legend's value; a name is data and cannot leave its quotes."""
    keyed = {value if isinstance(value, str) else f"{value:g}": name for value, name in names.items()}
    return f"({json.dumps(keyed)})[datum.value]"


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]


def _recoloured(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _recoloured(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_recoloured(held) for held in value]
    return DARK.get(value, value) if isinstance(value, str) else value


def _config() -> Spec:
    words = {"labelColor": TEXT, "titleColor": MUTED, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 400}
    return {
        "background": PAGE,
        "font": FONT,
        "title": {"anchor": "start", "frame": "bounds", "fontSize": 16, "color": TEXT, "subtitleColor": MUTED,
                  "subtitleFontSize": 12, "subtitlePadding": 6, "offset": 14, "lineHeight": 20,
                  "subtitleLineHeight": 16},
        "axis": {**words, "gridColor": LINE, "domainColor": MUTED, "tickColor": MUTED, "titlePadding": 8,
                 "labelFlush": False, "labelSeparation": 6},
        "axisX": {"titleAnchor": "end"},
        "legend": {**words, "orient": "top", "direction": "vertical", "columns": 1, "labelLimit": 0, "offset": 8},
        "view": {"stroke": None},
        "text": {"color": TEXT, "fontSize": 12},
        "rule": {"color": MUTED},
    }  # fmt: skip
