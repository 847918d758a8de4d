"""The page of the lesson: its text at once, its measurements as parts that the page fetches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse

from analysis.exercise import CHOICES, HINT, NOTE, QUESTION
from analysis.lesson import LABELS, TITLES, Cost, Method, Parallel, Part, PartName, Paths, Series, Worked
from service.api.lesson import Kept
from service.api.services import Wired
from service.web import heat
from service.web.pages import page, templates
from service.web.views import Charts, _drawn

router = APIRouter(include_in_schema=False)
MILLI, MEBI = 1e3, 1 / 2**20
Shown = Annotated[PartName, Path()]


class Guess(NamedTuple):
    """A question before a measurement. Each option is right for what is measured below its bound, the last for all."""

    question: str
    options: tuple[tuple[str, float], ...]


GUESSES: dict[str, Guess] = {
    "paths": Guess(
        "How much of the first word's gradient is left after 256 steps of a recurrent network?",
        (
            ("less than a millionth of what a neighbour has", 1e-6),
            ("about a hundredth", 0.1),
            ("about half", 0.9),
            ("all of it", float("inf")),
        ),
    ),
    "parallel": Guess(
        "The same attention over a long text, but one word after the other: how long does it take?",
        (("as long as all at once", 1.5), ("2 to 10 times as long", 10), ("more than 10 times", float("inf"))),
    ),
    "cost": Guess(
        "A text gets twice as long. How much longer does dense attention take?",
        (("about twice as long", 2.8), ("about four times", 5.7), ("about eight times", float("inf"))),
    ),
}
# What is being done while a reader waits.
STEPS: dict[str, str] = {
    "paths": "Measuring gradients through three networks",
    "parallel": "Timing a recurrent layer and attention",
    "cost": "Timing three kinds of attention, and weighing what they hold",
    "variants": "Reading a sentence with minilm",
    "masking": "Changing a last word",
    "cross": "Working out an example",
}


@router.get("/lesson")
async def lesson(services: Wired) -> HTMLResponse:
    """The text, the questions and the exercise; nothing is measured for it."""
    return page(
        "lesson.html", services, titles=TITLES, guesses=GUESSES, steps=STEPS,
        question=QUESTION, hint=HINT, choices=CHOICES, note=NOTE,
    )  # fmt: skip


@router.get("/view/lesson/{part}")
async def lesson_view(part: Shown, kept: Kept, services: Wired) -> HTMLResponse:
    """A measured part, as a part of the page."""
    measured = await kept.part(part)
    html = await services.off_loop(render, part, measured)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


def render(name: PartName, part: Part) -> str:
    """The part's figures: drawings, tables, and what was measured of what the reader was asked to guess."""
    from analysis.charts.frame import DARK
    from analysis.lesson_charts import charts, told

    drawn = _drawn(Charts({chart.name: asdict(chart) for chart in charts(part)}, dict(DARK)))
    return (
        templates()
        .get_template("lesson_view.html")
        .render(
            name=name,
            part=part,
            labels=LABELS,
            tables=tables(part),
            answer=answer(name, part),
            told=told,
            step=heat.step,
            worked_rows=worked_rows,
            **drawn,
        )
    )


def answer(name: PartName, part: Part) -> tuple[int, str] | None:
    """Which option the measurement bears out, and the measurement in words; None where nothing was asked."""
    match part:
        case Paths():
            far = part.ratio[0].points[-1]
            measured, words = far.median, f"{far.median:.1g} of what the neighbour has, at distance {far.n}"
        case Parallel():
            together, apart = (_of(part.time, method).points[-1] for method in ("dense", "stepwise"))
            measured = apart.median / together.median
            words = f"{measured:.1f} times as long, at {apart.n} words"
        case Cost():
            *_, shorter, longer = part.time[0].points
            measured = longer.median / shorter.median
            words = f"{measured:.1f} times as long, from {shorter.n} to {longer.n} words"
        case _:
            return None
    return next(i for i, (_, bound) in enumerate(GUESSES[name].options) if measured < bound), words


class Table(NamedTuple):
    """Lengths down, kinds across; a cell is the median, and beneath it the range where there is one."""

    chart: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]


def tables(part: Part) -> dict[str, Table]:
    """The figures behind each chart, by its name."""
    match part:
        case Paths():
            made = [
                _table("lesson-gradient", "Gradient relative to the neighbour's, by distance", part.ratio),
                _table("lesson-absolute", "The same gradient, absolute", part.gradient),
            ]
        case Parallel():
            made = [_table("lesson-parallel", "Milliseconds of a layer, by length", part.time, MILLI)]
        case Cost():
            made = [
                _table("lesson-time", "Milliseconds of a head, by length", part.time, MILLI),
                _table("lesson-memory", "MiB alive at once, by length", part.memory, MEBI),
            ]
        case _:
            made = []
    return {table.chart: table for table in made}


def _table(chart: str, caption: str, series: Sequence[Series], factor: float = 1.0) -> Table:
    def cell(one: Series, i: int) -> tuple[str, str]:
        point = one.points[i]
        span = f"{point.low * factor:.3g} to {point.high * factor:.3g}" if point.low < point.high else ""
        return f"{point.median * factor:.3g}", span

    rows = tuple((point.n, tuple(cell(one, i) for one in series)) for i, point in enumerate(series[0].points))
    return Table(chart, caption, tuple(LABELS[one.method] for one in series), rows)


def worked_rows(example: Worked) -> list[tuple[str, Callable[[int], list[str]]]]:
    """The steps of the worked example by name; each gives its numbers for the i-th word that asks."""
    return [
        ("query", lambda i: [f"{x:g}" for x in example.queries[i]]),
        ("scores", lambda i: [f"{x:g}" for x in example.scores[i]]),
        ("e to the score", lambda i: [f"{x:.2f}" for x in example.exponentials[i]]),
        ("weights", lambda i: [f"{x:.2f}" for x in example.weights[i]]),
        ("output", lambda i: [f"{x:.2f}" for x in example.output[i]]),
    ]


def _of(series: Sequence[Series], method: Method) -> Series:
    return next(one for one in series if one.method == method)
