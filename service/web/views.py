"""An analysis as parts of a page: HTML that a page fetches and puts in its place. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis import report
from analysis.record import Analysis
from analysis.saved import SavedSenses, describe
from analysis.text import words

MOST_ROWS = 2000  # in the table of a page; the exports hold all
KWIC_WIDTH = 60


def senses(analysis: Analysis) -> dict[str, Any]:
    """What `senses_view.html` shows."""
    by_id = {usage.id: usage for usage in analysis.usages}
    marks = {sense.id: report.mark(i) for i, sense in enumerate(analysis.senses)}
    certain = _certainty(analysis)
    return {
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
        "missing": {name for notice in analysis.warnings for name in notice.source_ids},
    }


def saved(kept: SavedSenses) -> dict[str, Any]:
    """What `saved_view.html` shows."""
    described = describe(kept)
    return {
        "saved": described,
        "senses": [(report.mark(i), sense) for i, sense in enumerate(described.senses)],
    }


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
