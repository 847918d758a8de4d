"""An Analysis for people and for other programs: CSV, Parquet, and one self-contained HTML file (JSON: record.py)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.marks import mark
from analysis.record import Analysis, Faithfulness, Sense, Usage
from analysis.text import context

COLUMNS = ("id", "source_id", "left", "keyword", "right", "sense", "label", "confidence", "start", "end", "drivers")
SHOWN_DRIVERS = 5
LEAST_EFFECT = 0.001  # a smaller change of probability is not worth a mark
STRONG_EFFECT = 0.02
KWIC_WIDTH = 60
GONE = {"delete": "left out", "mask": "masked"}


def rows(analysis: Analysis) -> list[dict[str, object]]:
    """A row a usage, in keyword-in-context form; keys are COLUMNS.

    `start` and `end` are code points in the source text; `drivers` the words with a positive effect, strongest first.
    """
    labels = {sense.id: sense.label for sense in analysis.senses}
    return [
        dict(
            zip(
                COLUMNS,
                (
                    usage.id,
                    usage.source_id,
                    *context(usage.text, usage.start, usage.end, KWIC_WIDTH),
                    usage.sense,
                    usage.sense and labels[usage.sense],
                    usage.confidence,
                    usage.text_start + usage.start,
                    usage.text_start + usage.end,
                    None if usage.drivers is None else " ".join(d.word for d in usage.drivers if d.effect > 0),
                ),
                strict=True,
            )
        )
        for usage in analysis.usages
    ]


def certainty(analysis: Analysis) -> list[str]:
    """How sure the grouping is, in plain sentences: its stability, and how many usages abstain."""
    lines = []
    if analysis.stability is not None and len(analysis.senses) > 1:
        held = analysis.stability
        lines.append(
            f"Stability {held.ari:.2f} ({held.low:.2f} to {held.high:.2f}): how far half of the usages give the same "
            "senses; 1 is wholly, 0 no better than chance."
        )
    undecided = sum(usage.sense is None for usage in analysis.usages)
    if undecided:
        usages = "1 usage has" if undecided == 1 else f"{undecided} usages have"
        lines.append(f"{usages} no sense: the confidence is below {analysis.provenance.threshold:.2f}.")
    return lines


def proof(analysis: Analysis) -> list[str]:
    """Whether the drivers beat as many random words, in plain sentences; none where they were not put to the test."""
    lines = []
    for row in analysis.faithfulness or ():
        if row.level != "analysis":
            continue
        own, chance = row.comprehensiveness.value, row.random.comprehensiveness.value
        told = (
            f"With the drivers {GONE[row.operator]}, the probability of the sense falls by {own:.3f}; with as many "
            f"random words, by {chance:.3f}"
        )
        low, high = row.advantage.low, row.advantage.high
        if low is None or high is None:
            lines.append(f"{told}. One usage cannot tell whether that is more than chance.")
            continue
        beaten = low > 0
        times = f", {own / chance:.1f} times as much" if beaten and chance > LEAST_EFFECT else ""
        lines.append(
            f"{told}{times}. The drivers {'beat' if beaten else 'do not beat'} chance: the difference is {low:+.3f} to "
            f"{high:+.3f} (95 %, {row.n} usages).{_unproved(analysis, row.operator) if beaten else ''}"
        )
    return lines


def _unproved(analysis: Analysis, operator: str) -> str:
    """The senses for which the drivers by themselves do not beat chance."""
    letters = [
        name
        for name, row in _tests(analysis)
        if row.operator == operator
        and row.level != "analysis"
        and (row.advantage.low is None or row.advantage.low <= 0)
    ]
    return f" For {', '.join(letters)} alone they do not." if letters else ""


def to_csv(analysis: Analysis) -> str:
    """RFC 4180 text, header first, lines ended by CR LF. A null is an empty field."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows(analysis))
    return out.getvalue()


def to_parquet(analysis: Analysis) -> bytes:
    """The rows as one Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = {name: pa.string() for name in COLUMNS}
    schema = pa.schema({**texts, "confidence": pa.float64(), "start": pa.int64(), "end": pa.int64()}.items())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows(analysis), schema=schema), sink)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def to_html(analysis: Analysis) -> str:
    """One HTML file that opens offline: styles, charts and the script that draws them are inside; no request.

    All text is escaped, and the file's policy lets no other script run.
    """
    from analysis.charts import gallery, render  # Altair takes a while to import
    from analysis.charts.frame import DARK

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    by_id = {usage.id: usage for usage in analysis.usages}
    charts = {chart.name: chart for chart in gallery.draw_all(analysis)}
    return environment.get_template("report.html").render(
        analysis=analysis,
        senses=[(mark(i), sense, [by_id[u] for u in sense.exemplars]) for i, sense in enumerate(analysis.senses)],
        marks={sense.id: mark(i) for i, sense in enumerate(analysis.senses)},
        segments=segments,
        certainty=certainty(analysis),
        proof=proof(analysis),
        tests=_tests(analysis),
        gone=GONE,
        rows=rows(analysis),
        bars=_bars(analysis.senses),
        weak=STRONG_EFFECT,
        charts=charts,
        missing=gallery.missing(analysis),
        policy=policy(),
        held=_as_json({"specs": {name: _untitled(chart.spec) for name, chart in charts.items()}, "dark": dict(DARK)}),
        scripts=[Markup(script.text) for script in render.scripts()],  # noqa: S704 - ours
    )


def policy() -> str:
    """The content policy of the HTML: its styles and its own two scripts, known by their hashes; nothing else."""
    from analysis.charts import render

    hashes = " ".join(script.policy for script in render.scripts())
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}"


def _untitled(spec: dict[str, Any]) -> dict[str, Any]:
    """The page has the title and the caption as text."""
    return {key: value for key, value in spec.items() if key != "title"}


def _as_json(value: object) -> Markup:
    """JSON that no text in it can end the <script> around it."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(written)  # noqa: S704 - without these it is only text


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a usage's text: plain (""), the "target", or a driver ("for", "for strong", "against", ...)."""

    text: str
    kind: str
    effect: float | None = None


def segments(usage: Usage) -> list[Segment]:
    """The usage's text in pieces that join back to it, with its strongest drivers marked.

    Shown are at most SHOWN_DRIVERS words whose effect is at least LEAST_EFFECT and a tenth of the largest one;
    strong are those of at least STRONG_EFFECT and half of the largest.
    """
    tried = sorted(usage.drivers or (), key=lambda driver: -abs(driver.effect))[:SHOWN_DRIVERS]
    largest = max((abs(driver.effect) for driver in tried), default=0.0)
    shown: list[tuple[int, int, str, float | None]] = [(usage.start, usage.end, "target", None)]
    for driver in tried:
        if abs(driver.effect) >= max(LEAST_EFFECT, largest / 10):
            kind = ("for" if driver.effect > 0 else "against") + (
                " strong" if abs(driver.effect) >= max(STRONG_EFFECT, largest / 2) else ""
            )
            shown.append((driver.start, driver.end, kind, driver.effect))
    pieces, position = [], 0
    for start, end, kind, effect in sorted(shown):
        pieces.append(Segment(usage.text[position:start], ""))
        pieces.append(Segment(usage.text[start:end], kind, effect))
        position = end
    pieces.append(Segment(usage.text[position:], ""))
    return [piece for piece in pieces if piece.text]


def _tests(analysis: Analysis) -> list[tuple[str, Faithfulness]]:
    """The rows of the table of faithfulness, each with its name: all usages, or a sense's letter."""
    letters = {sense.id: mark(i).letter for i, sense in enumerate(analysis.senses)}
    return [(letters.get(row.level, "All"), row) for row in analysis.faithfulness or ()]


def _bars(senses: Sequence[Sense]) -> float:
    """The effect that a full bar stands for: the largest of any sense's drivers."""
    return max((driver.effect for sense in senses for driver in sense.drivers or ()), default=1.0) or 1.0
