"""An analysis as parts of a page: HTML that a page fetches and puts in its place. All text is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from analysis import report
from analysis.marks import mark
from analysis.record import Analysis, Usage, from_json
from analysis.saved import SavedSenses, describe
from analysis.text import words
from service.store import NotFound

MOST_ROWS = 2000  # in the table of a page; the exports hold all
WORKED = files("service.web") / "worked"


class Charts(NamedTuple):
    """Charts by name (title, caption, spec, columns, rows), and for each light colour in them the dark one."""

    by_name: dict[str, dict[str, Any]]
    dark: dict[str, str]

    def only(self, *names: str) -> Charts:
        return Charts({name: chart for name, chart in self.by_name.items() if name in names}, self.dark)


def senses(analysis: Analysis, charts: Charts) -> dict[str, Any]:
    """What `senses_view.html` shows."""
    by_id = {usage.id: usage for usage in analysis.usages}
    marks = {sense.id: mark(i) for i, sense in enumerate(analysis.senses)}
    certain = _certainty(analysis)
    return _drawn(charts) | {
        "analysis": analysis,
        "cards": [
            (marks[sense.id], sense, certain[sense.id], [by_id[name] for name in sense.exemplars[:3]])
            for sense in analysis.senses
        ],
        "marks": marks,
        "order": {sense.id: i for i, sense in enumerate(analysis.senses)},
        "unassigned": sum(usage.sense is None for usage in analysis.usages),
        "segments": report.segments,
        "stability": report.certainty(analysis),
        "proof": report.proof(analysis),
        "tests": [
            (marks[row.level].letter if row.level in marks else "All", row) for row in analysis.faithfulness or ()
        ],
        "gone": report.GONE,
        "rows": list(zip(analysis.usages[:MOST_ROWS], report.rows(analysis)[:MOST_ROWS], strict=True)),
        "neighbour": neighbour,
    }


def vectors(analysis: Analysis, charts: Charts) -> dict[str, Any]:
    """What `vectors_view.html` shows. Raises NotFound for an analysis that compared nothing."""
    held = analysis.static
    if held is None:
        raise NotFound(f"the analysis {analysis.id!r} compared nothing", remedy="POST /v1/compare makes one that does")
    by_id = {usage.id: usage for usage in analysis.usages}
    number_of = {usage.id: i + 1 for i, usage in enumerate(analysis.usages)}
    paths = _on_paper(held.maps or ())
    points = [(number_of[name], by_id[name], [layer[i] for layer in paths]) for i, name in enumerate(held.ids or ())]
    together: dict[tuple[float, float], list[tuple[int, Usage]]] = {}
    for number, usage, path in points:
        together.setdefault(path[0], []).append((number, usage))
    last = held.layers[-1].layer
    return _drawn(charts.only("cosine-by-layer", "separation")) | {
        "analysis": analysis,
        "marks": {sense.id: mark(i) for i, sense in enumerate(analysis.senses)},
        "number_of": number_of,
        "points": points,
        "static_points": [([number for number, _ in own], own[0][1], place) for place, own in together.items()],
        "names": [
            "the table (static)" if layer.layer == "static" else f"layer {layer.layer}{_meaning(layer.layer, last)}"
            for layer in held.layers
        ],
    }


def _meaning(layer: int | str, last: int | str) -> str:
    return " (the word and its position)" if layer == 0 else f" of {last}"


def charts_of(analysis: Analysis) -> Charts:
    """Every chart that the analysis has enough for. The first call imports what draws, which takes a second."""
    from analysis.charts import gallery
    from analysis.charts.frame import DARK

    return Charts({chart.name: asdict(chart) for chart in gallery.draw_all(analysis)}, dict(DARK))


def _drawn(charts: Charts) -> dict[str, Any]:
    """The charts for a template, and what the script draws them from: JSON that no text in it can end early."""
    held = {
        "specs": {
            # The page has the title and the caption as text.
            name: {key: value for key, value in chart["spec"].items() if key != "title"}
            for name, chart in charts.by_name.items()
        },
        "dark": charts.dark,
    }
    written = json.dumps(held, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return {"charts": charts.by_name, "held_charts": Markup(written), "most_rows": MOST_ROWS}  # noqa: S704 - no "<" in it


def _on_paper(maps: Sequence[Sequence[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """The places of all layers on a sheet of 300 by 300, with one scale for both axes."""
    largest = max((abs(part) for layer in maps for place in layer for part in place), default=0.0) or 1.0
    return [
        [(round(150 + 125 * x / largest, 1), round(150 - 125 * y / largest, 1)) for x, y in layer] for layer in maps
    ]


def saved(kept: SavedSenses) -> dict[str, Any]:
    """What `saved_view.html` shows."""
    described = describe(kept)
    return {
        "saved": described,
        "senses": [(mark(i), sense) for i, sense in enumerate(described.senses)],
    }


@cache
def attention(model: str) -> dict[str, Any]:
    """The worked example of attention, as that model gave it, with the `mean` (W, W) over its layers and heads."""
    read: dict[str, Any] = json.loads((WORKED / f"attention-{model}.json").read_bytes())
    return read | {"mean": np.mean(read["weights"], axis=(0, 1)).round(6).tolist()}


@cache
def worked(name: str) -> Analysis:
    """An analysis that a real model made for these pages (`make worked`)."""
    return from_json((WORKED / f"{name}.json").read_bytes())


@cache
def worked_charts(name: str) -> Charts:
    """The charts of a worked example, kept beside it: to draw them anew would hold up the first page by a second."""
    return Charts(*json.loads((WORKED / f"{name}-charts.json").read_bytes()))


@cache
def examples() -> list[tuple[str, str]]:
    """(word, sentences) to try, a sentence a line."""
    return [(word, (WORKED / f"{word}.txt").read_text(encoding="utf-8")) for word in ("bank", "spring", "crane")]


def neighbour(text: str, side: str) -> str:
    """The first word to the left or right of the target, folded, to sort by; "" at the edge of the text."""
    found = [unit.text for unit in words(text)]
    return (found[-1] if side == "left" else found[0]).casefold() if found else ""


def _certainty(analysis: Analysis) -> Mapping[str, float]:
    """The mean confidence of each sense's usages, 0 to 1."""
    held: dict[str, list[float]] = {sense.id: [] for sense in analysis.senses}
    for usage in analysis.usages:
        if usage.sense is not None:
            held[usage.sense].append(usage.confidence)
    return {name: sum(found) / len(found) if found else 0.0 for name, found in held.items()}
