"""The lesson's charts, from measurements that are given: they say what is in them, and can be drawn."""

from __future__ import annotations

import pytest

from analysis.charts.frame import dark
from analysis.charts.render import to_svg
from analysis.lesson import Cost, Exponent, Machine, Method, Parallel, Paths, Point, Series
from analysis.lesson_charts import _decades, charts

MACHINE = Machine("a processor", 1, "2.0", "float32", "2026-01-01T00:00:00+00:00")
SIZES = (64, 128, 256, 512, 1024, 2048)


def power(method: Method, factor: float, exponent: float) -> Series:
    values = ((n, factor * n**exponent) for n in SIZES)
    return Series(method, tuple(Point(n, value, 0.9 * value, 1.2 * value) for n, value in values))


def exponents(of: str, *values: float) -> tuple[Exponent, ...]:
    kinds: tuple[Method, ...] = ("dense", "sparse", "linear")
    return tuple(
        Exponent(kind, of, value, value - 0.1, value + 0.1, 512, 2048)  # type: ignore[arg-type]
        for kind, value in zip(kinds, values, strict=True)
    )


COST = Cost(
    MACHINE, 0, 7, 64, 32,
    time=(power("dense", 1e-8, 2), power("sparse", 1e-6, 1), power("linear", 5e-7, 1)),
    memory=(power("dense", 8, 2), power("sparse", 2000, 1), power("linear", 1000, 1)),
    matrix=power("dense", 4, 2),
    exponents=exponents("time", 2.04, 1.1, 0.9) + exponents("memory", 1.97, 1, 1),
)  # fmt: skip
PARALLEL = Parallel(
    MACHINE, 0, 7, 64,
    time=(power("rnn", 1e-5, 1), power("dense", 1e-8, 2), power("stepwise", 3e-8, 2)),
    overtaken=1024,
)  # fmt: skip
PATHS = Paths(
    MACHINE, 0, 5, 32,
    gradient=(power("rnn", 1, -20), power("lstm", 1, -12), power("dense", 1, -1)),
    ratio=(power("rnn", 1, -20), power("lstm", 1, -12), power("dense", 1.1, 0)),
    steps=(power("rnn", 1, 1), power("dense", 1, 0)),
)  # fmt: skip


@pytest.mark.parametrize("part", [COST, PARALLEL, PATHS], ids=lambda part: type(part).__name__)
def test_each_chart_can_be_drawn_in_both_schemes_and_says_how_it_was_measured(part: object) -> None:
    for chart in charts(part):
        for spec in (chart.spec, dark(chart.spec)):
            svg = to_svg(spec).decode()
            assert "words</text>" in svg, "a title on the axis"
            assert svg.count("dense self-attention") >= 1
        assert chart.spec != dark(chart.spec)
        assert chart.name == "lesson-memory" or "a processor, 1 thread, float32, PyTorch 2.0" in chart.caption


def test_titles_are_what_was_measured() -> None:
    titles = [chart.title for part in (PATHS, PARALLEL, COST) for chart in charts(part)]
    assert titles == [
        f"Over 2048 words a recurrent network keeps {2048.0**-20:.1g} of the gradient, attention 1.10",
        "The same attention over 2048 words takes 3.0 times as long a word at a time",
        "Dense attention's time grows as n to the power of 2.04 (1.94 to 2.14)",
        "At 2048 words dense attention holds 32 MiB at once, linear attention 2.0",
    ]


def test_guides_have_the_slopes_of_n_and_of_its_square() -> None:
    rows = charts(COST)[0].spec["datasets"]["guides"]
    for name, times in (("n", 4), ("n²", 16)):
        (_, first), *_, (_, last) = [(row["n"], row["median"]) for row in rows if row["kind"] == name]
        assert last / first == pytest.approx(times), "from 512 to 2048"
    assert "guides" not in charts(PARALLEL)[0].spec["datasets"]


def test_the_axis_has_few_powers_of_ten() -> None:
    assert _decades([0.04, 50]) == [0.1, 1, 10]
    assert _decades([1e-90, 2]) == [1e-80, 1e-60, 1e-40, 1e-20, 1]
