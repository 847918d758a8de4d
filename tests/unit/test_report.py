"""Reports read back by other readers: csv, pyarrow and an HTML parser."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.assemble import Options
from analysis.corpus import documents
from analysis.marks import mark
from analysis.pipeline import analyse
from analysis.record import Analysis, Estimate, Faithfulness, Measures, Usage, WordDriver
from analysis.report import (
    COLUMNS,
    LEAST_EFFECT,
    SHOWN_DRIVERS,
    proof,
    rows,
    segments,
    to_csv,
    to_html,
    to_parquet,
)
from analysis.text import words
from analysis.types import Document
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

MARKUP = "<script>alert('bank')</script> & <b onclick=\"x()\">river</b> &amp; </td></table>"
NASTY = [
    'a "bank", quoted; with, commas',
    "=bank+1\ttab",
    "first line\r\nbank\nthird line",
    "🏦👩‍💻 bank Ελλάδα 銀行 שלום",
    "\u2028bank\u0085next",
    MARKUP,
    "money " * 40 + "bank " + "loan " * 40,
]


def analysed(texts: list[str], options: Options = Options(explained=9)) -> Analysis:  # noqa: B008 - frozen
    return analyse(FakeEncoder(), documents(texts), "bank", options)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """Nasty texts among others, with ids that are as nasty; some are not explained."""
    texts = [Document(text, f'"{i}",\n<i>') for i, text in enumerate(NASTY)]
    return analyse(
        FakeEncoder(),
        [*texts, *documents(RIVER + MONEY), Document("none", "<img src=x>")],
        "bank",
        Options(explained=9),
    )


# rows


def test_a_row_points_into_the_source_text(analysis: Analysis) -> None:
    found = rows(analysis)
    assert len(found) == len(analysis.usages) == len(NASTY) + 12
    for row, text in zip(found, NASTY, strict=False):
        assert text[int(str(row["start"])) : int(str(row["end"]))] == "bank" == row["keyword"]
    for row, usage in zip(found, analysis.usages, strict=True):
        assert (row["id"], row["source_id"], row["sense"]) == (usage.id, usage.source_id, usage.sense)
        assert row["label"] in {sense.label for sense in analysis.senses if sense.id == usage.sense}
        assert "\n" not in f"{row['left']}{row['right']}"


def test_the_drivers_of_a_row_are_those_that_speak_for_the_sense(analysis: Analysis) -> None:
    told = [row["drivers"] for row in rows(analysis)]
    assert told.count(None) == len(analysis.usages) - 9
    for drivers, usage in zip(told, analysis.usages, strict=True):
        if usage.drivers is not None:
            assert str(drivers).split() == [driver.word for driver in usage.drivers if driver.effect > 0]
    assert any(driver.effect <= 0 for usage in analysis.usages for driver in usage.drivers or ())


def test_csv_there_and_back(analysis: Analysis) -> None:
    written = to_csv(analysis)
    assert written.startswith(",".join(COLUMNS) + "\r\n")
    read = list(csv.DictReader(io.StringIO(written, newline=""), strict=True))
    assert read == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows(analysis)
    ]
    assert "🏦👩‍💻" in written


def test_parquet_there_and_back(analysis: Analysis) -> None:
    table = pq.read_table(io.BytesIO(to_parquet(analysis)))
    assert tuple(table.column_names) == COLUMNS
    assert table.to_pylist() == rows(analysis)
    types = {name: str(table.schema.field(name).type) for name in ("confidence", "start", "end", "sense", "drivers")}
    assert types == {"confidence": "double", "start": "int64", "end": "int64", "sense": "string", "drivers": "string"}


def test_parquet_keeps_its_types_where_all_is_null() -> None:
    table = pq.read_table(io.BytesIO(to_parquet(analysed(["bank"], Options(drivers="none")))))
    assert str(table.schema.field("drivers").type) == "string"
    assert table.column("drivers").to_pylist() == [None]


# HTML


class Page(HTMLParser):
    """The tags that were opened, the attributes that they had, and the text of each cell."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.scripts = 0
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.scripts += tag == "script"
        self.attributes |= {name for name, _ in attrs}
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.cells:
            self.cells[-1] += data


def test_markup_in_a_text_stays_text(analysis: Analysis) -> None:
    page, plain = Page(to_html(analysis)), Page(to_html(analysed(RIVER + MONEY)))
    assert page.tags <= plain.tags | {"p"}
    assert not page.tags & {"b", "img", "i"}
    assert page.scripts == plain.scripts == 3, "the charts' data, the library, and what draws"
    assert page.attributes <= plain.attributes | {"role"}
    row = next(row for row in rows(analysis) if "<script>" in str(row["left"]))
    cells = [cell.strip() for cell in page.cells]
    assert str(row["left"]).strip() in cells
    assert str(row["right"]).strip() in cells
    assert MARKUP in page.text, "the usage is the exemplar of a sense or in the table, whole"
    assert "<img src=x>" in page.text


def test_markup_in_the_target_and_in_the_model_stays_text() -> None:
    found = analyse(FakeEncoder(), documents(["an <i>AT&T</i> phone", "at AT&T"]), "AT&T")
    html = to_html(found)
    assert "AT&T" not in html
    assert "i" not in Page(html).tags
    assert "The senses of “AT&T”" in Page(html).text


def test_the_page_asks_for_nothing(analysis: Analysis) -> None:
    page = Page(to_html(analysis))
    assert not page.attributes & {"src", "href", "srcset", "action", "onclick"}
    assert not page.tags & {"link", "iframe", "object", "embed", "base"}


@pytest.mark.parametrize(
    ("texts", "options", "says"),
    [
        (["the bank"], Options(), "Too little data: 1 usage cannot"),
        (RIVER, Options(n_senses=1), "One sense in 6 usages"),
        (RIVER + MONEY, Options(drivers="attention"), "2 senses in 12 usages"),
        (RIVER + MONEY, Options(drivers="none", n_senses=9), "9 senses in 12 usages"),
    ],
)
def test_every_verdict_and_method_has_a_page(texts: list[str], options: Options, says: str) -> None:
    assert says in Page(to_html(analysed(texts, options))).text


# marks


def test_no_two_senses_have_one_letter() -> None:
    letters = [mark(i).letter for i in range(1000)]
    assert len(set(letters)) == 1000
    assert [letters[i] for i in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_six_senses_differ_in_shape_and_colour() -> None:
    assert len({mark(i).shape for i in range(6)}) == len({mark(i).css for i in range(6)}) == 6
    assert mark(6).css == mark(700).css == "sense-other"


# segments


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """A usage of some word of any text; some other words are its drivers."""
    some_word = st.sampled_from(["bank", "river", "<b>", "don't", "👩‍💻", "銀行", "a\u0301", "—", "42"])
    gap = st.sampled_from([" ", "  ", "\n", "\t", ", ", "\u00a0"])
    text = draw(st.text(max_size=3)) + "".join(
        word + between for word, between in draw(st.lists(st.tuples(some_word, gap), min_size=1, max_size=12))
    )
    units = words(text)
    target = draw(st.sampled_from(units))
    others = [unit for unit in units if unit is not target]
    tried = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    effects = st.one_of(st.just(0.0), st.floats(-1, 1), st.floats(-0.03, 0.03))
    drivers = tuple(WordDriver(unit.text, unit.start, unit.end, draw(effects), 0.1) for unit in tried)
    return Usage(
        "u0", "1", text, 0, target.start, target.end, "s0", 1.0, draw(st.sampled_from([drivers, None])), None, ()
    )


@settings(max_examples=100, deadline=None)
@given(usage=usages())
def test_segments_join_back_to_the_text(usage: Usage) -> None:
    pieces = segments(usage)
    assert "".join(piece.text for piece in pieces) == usage.text
    assert all(piece.text for piece in pieces)
    assert [piece.text for piece in pieces if piece.kind == "target"] == [usage.text[usage.start : usage.end]]
    marked = [piece for piece in pieces if piece.effect is not None]
    assert {(piece.text, piece.effect) for piece in marked} <= {(d.word, d.effect) for d in usage.drivers or ()}
    assert len(marked) <= SHOWN_DRIVERS
    for piece in marked:
        assert piece.effect is not None
        assert abs(piece.effect) >= LEAST_EFFECT
        assert piece.kind.removesuffix(" strong") == ("for" if piece.effect > 0 else "against")
    strongest = max((abs(driver.effect) for driver in usage.drivers or ()), default=0.0)
    if strongest >= LEAST_EFFECT:
        assert max(abs(piece.effect or 0) for piece in marked) == strongest


def test_segments_worked_by_hand() -> None:
    text = "river a bank money fish x"
    drivers = [("river", 0, 5, 0.4), ("money", 13, 18, -0.3), ("fish", 19, 23, 0.05), ("x", 24, 25, 0.01)]
    usage = Usage(
        "u0",
        "1",
        text,
        0,
        8,
        12,
        "s0",
        1.0,
        tuple(WordDriver(w, s, e, effect, 0.1) for w, s, e, effect in drivers),
        None,
        (),
    )
    assert [(piece.text, piece.kind) for piece in segments(usage)] == [
        ("river", "for strong"),
        (" a ", ""),
        ("bank", "target"),
        (" ", ""),
        ("money", "against strong"),
        (" ", ""),
        ("fish", "for"),
        (" x", ""),
    ]


# the proof of the drivers


def measured(level: str, advantage: tuple[float, float | None, float | None], n: int = 20) -> Faithfulness:
    own, chance = Estimate(0.2, 0.1, 0.3), Estimate(0.05, 0.0, 0.1)
    return Faithfulness(
        "occlusion", "delete", level, n, (0.5,), own, own, Measures(chance, chance), Estimate(*advantage)
    )


def test_the_report_says_whether_the_drivers_beat_chance(analysis: Analysis) -> None:
    first, second = (sense.id for sense in analysis.senses[:2])
    rows_ = (
        measured("analysis", (0.15, 0.1, 0.2)),
        measured(first, (0.1, 0.05, 0.2)),
        measured(second, (0.0, -0.1, 0.1)),
    )
    told = proof(replace(analysis, faithfulness=rows_))
    assert told == [
        "With the drivers left out, the probability of the sense falls by 0.200; with as many random words, by 0.050, "
        "4.0 times as much. The drivers beat chance: the difference is +0.100 to +0.200 (95 %, 20 usages). "
        "For B alone they do not."
    ]
    assert told[0] in to_html(replace(analysis, faithfulness=rows_))


def test_the_report_says_where_the_drivers_do_not_beat_chance(analysis: Analysis) -> None:
    (told,) = proof(replace(analysis, faithfulness=(measured("analysis", (0.1, -0.01, 0.2)),)))
    assert "do not beat chance: the difference is -0.010 to +0.200" in told
    assert "times as much" not in told
    (told,) = proof(replace(analysis, faithfulness=(measured("analysis", (0.1, None, None), n=1),)))
    assert told.endswith("One usage cannot tell whether that is more than chance.")


def test_drivers_that_were_not_tested_have_no_proof(analysis: Analysis) -> None:
    for untested in (None, ()):
        assert proof(replace(analysis, faithfulness=untested)) == []
        assert "Do the drivers drive?" not in to_html(replace(analysis, faithfulness=untested))


def test_the_figures_of_the_page_are_those_of_the_record(analysis: Analysis) -> None:
    page = to_html(analysis)
    assert analysis.faithfulness
    for row in analysis.faithfulness:
        for estimate in (row.comprehensiveness, row.sufficiency, row.random.comprehensiveness, row.random.sufficiency):
            assert f"{estimate.value:.3f}" in page
    assert analysis.contrasts
    for driver in analysis.contrasts[0].drivers:
        assert f'{driver.word} <span class="muted">{abs(driver.effect):.3f}' in page
