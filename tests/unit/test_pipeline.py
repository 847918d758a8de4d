"""The whole way of the data with an encoder without weights: what it keeps, what it counts, and what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import pipeline
from analysis.assemble import Options
from analysis.corpus import documents
from analysis.errors import BadFile, BadOption, TargetNotFound
from analysis.pipeline import analyse, induced, sample
from analysis.record import Analysis, from_json, to_json
from analysis.same_sense import Learnt, PairModel, save
from analysis.types import Document, Progress, Span
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

TEXTS = RIVER + MONEY
FEW = RIVER[:3] + MONEY[:3]  # too few to draw halves of for the stability, and so quicker
LONG = " ".join(["money"] * 40 + ["our", "bank", "and"] + ["loan"] * 40)
QUICK = Options(drivers="none")


def analysed(texts: Sequence[str], options: Options = QUICK) -> Analysis:
    return analyse(FakeEncoder(), documents(texts), "bank", options)


@cache
def whole(options: Options = QUICK) -> Analysis:
    """The analysis of TEXTS, once for all tests."""
    return analysed(TEXTS, options)


def grouped(analysis: Analysis) -> dict[str, str | None]:
    return {usage.text: usage.sense for usage in analysis.usages}


# the same again


def test_the_same_texts_twice_are_the_same_analysis() -> None:
    once, again = (analysed(TEXTS, Options(pairs=5)) for _ in range(2))
    assert once == again
    assert to_json(once) == to_json(again)


@pytest.mark.parametrize(
    "other",
    [
        Options(drivers="none", seed=1),
        Options(drivers="none", n_senses=3),
        Options(drivers="attention"),
        Options(drivers="none", match="exact"),
    ],
)
def test_other_options_are_another_analysis(other: Options) -> None:
    assert analysed(FEW, other).id != analysed(FEW).id


def test_other_texts_are_another_analysis() -> None:
    assert len({analysis.id for analysis in map(analysed, (FEW, FEW[:-1], FEW[::-1]))}) == 3


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(len(TEXTS))), n_senses=st.sampled_from([None, 2, 3, 5]))
def test_another_order_of_the_texts_is_the_same_grouping(order: list[int], n_senses: int | None) -> None:
    options = Options(drivers="none", n_senses=n_senses)
    mixed, straight = analysed([TEXTS[i] for i in order], options), whole(options)
    assert grouped(mixed) == grouped(straight)
    assert mixed.stability == straight.stability
    assert [(sense.id, sense.size) for sense in mixed.senses] == [(sense.id, sense.size) for sense in straight.senses]


@settings(max_examples=10, deadline=None)
@given(drawn=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=10))
def test_identical_texts_share_a_sense(drawn: list[str]) -> None:
    analysis = analysed(drawn)
    sense = grouped(analysis)
    assert [usage.sense for usage in analysis.usages] == [sense[text] for text in drawn]


def test_json_there_and_back() -> None:
    texts = [*FEW, 'the "bank" – 🏦 river\u2028water', LONG, "nothing"]
    analysis = analyse(FakeEncoder(window=20), documents(texts), "bank", Options(pairs=3, explained=4))
    written = to_json(analysis)
    assert from_json(written) == from_json(written.encode()) == analysis
    assert "🏦" in written


def test_json_that_was_read_is_written_as_it_was() -> None:
    written = to_json(analysed(["the bank river", "the bank fish river", *MONEY[:3]], Options(n_senses=2)))
    assert '"high": 1.0' in written, "a bound that was clipped is a number like the others"
    assert to_json(from_json(written)) == written


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": NaN}', b"\xff"])
def test_what_is_no_analysis_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadFile, match="not an analysis"):
        from_json(text)


# what is in it


def test_the_two_senses_of_bank() -> None:
    analysis = whole(Options())
    assert analysis.verdict == "several senses"
    assert sorted(sense.size for sense in analysis.senses) == [6, 6]
    river, money = (grouped(analysis)[texts[0]] for texts in (RIVER, MONEY))
    assert river != money
    assert [usage.sense for usage in analysis.usages] == [river] * 6 + [money] * 6
    for sense in analysis.senses:
        topic = "river water fish shore mud reed" if sense.id == river else "money loan cash credit debt coin"
        assert sense.drivers
        assert {driver.word for driver in sense.drivers} <= set(topic.split())
        assert sense.label == ", ".join(driver.word for driver in sense.drivers[:3])
        assert sense.share == 0.5
        assert {usage.sense for usage in analysis.usages if usage.id in sense.exemplars} == {sense.id}


def test_sizes_and_shares_are_those_of_the_usages() -> None:
    analysis = analysed(TEXTS, Options(drivers="none", n_senses=5))
    assert {sense.id: sense.size for sense in analysis.senses} == Counter(usage.sense for usage in analysis.usages)
    assert sum(sense.share for sense in analysis.senses) == pytest.approx(1, abs=1e-5)
    assert all(sense.drivers is None for sense in analysis.senses), "they were not asked for"
    assert all(usage.drivers is None for usage in analysis.usages)


def test_one_usage_is_too_little_data() -> None:
    analysis = analysed(["The bank."], Options())
    assert (analysis.verdict, len(analysis.senses)) == ("too little data", 1)
    assert analysis.usages[0].map is None
    assert (analysis.senses[0].drivers, analysis.senses[0].label) == ((), "s0")


def test_every_occurrence_is_a_usage_and_names_its_text() -> None:
    texts = [
        Document("the bank by the bank", "a"),
        Document("Banks, a river", "b"),
        Document("bank bank", "c", (Span(5, 9),)),
    ]
    analysis = analyse(FakeEncoder(), texts, "bank", QUICK)
    assert [(usage.source_id, usage.start, usage.text[usage.start : usage.end]) for usage in analysis.usages] == [
        ("a", 4, "bank"),
        ("a", 16, "bank"),
        ("b", 0, "Banks"),
        ("c", 5, "bank"),
    ]


def test_drivers_of_a_usage_stand_where_they_say_strongest_first() -> None:
    for usage in analysed(["Ένα 👩‍💻 bank\u00a0river", *FEW], Options()).usages:
        assert usage.drivers
        effects = [driver.effect for driver in usage.drivers]
        assert effects == sorted(effects, reverse=True)
        assert all(usage.text[driver.start : driver.end] == driver.word for driver in usage.drivers)


# what is left out


def test_texts_without_the_target_become_a_warning() -> None:
    analysis = analysed([TEXTS[0], "nothing", *TEXTS[1:], "embankment"])
    assert len(analysis.usages) == len(TEXTS)
    (notice,) = (notice for notice in analysis.warnings if notice.kind == "target-missing")
    assert notice.source_ids == ("2", "14")
    assert "2 texts do not use 'bank'" in notice.message
    assert not [notice for notice in whole().warnings if notice.kind == "target-missing"]


def test_a_target_in_no_text_is_refused_before_anything_is_read() -> None:
    encoder = FakeEncoder()
    with pytest.raises(TargetNotFound, match="'zebra' is not in the 12 texts"):
        analyse(encoder, documents(TEXTS), "zebra")
    with pytest.raises(BadOption, match="13 senses of 12 usages"):
        analyse(encoder, documents(TEXTS), "bank", Options(n_senses=13))
    with pytest.raises(BadOption, match="magic"):
        analyse(encoder, documents(TEXTS), "bank", Options(drivers="magic"))  # type: ignore[arg-type]
    with pytest.raises(BadOption) as caught:
        analyse(encoder, documents(TEXTS), "bank", Options(explained=0))
    assert caught.value.where == ("explained",)
    assert encoder.asked == []


@pytest.mark.parametrize("window", [8, 16, 63])
def test_a_long_text_is_read_through_a_window_round_the_target(window: int) -> None:
    texts = [LONG, "  the bank river  ", *FEW[1:]]
    long, short, *others = analyse(FakeEncoder(window=window), documents(texts), "bank", Options()).usages
    assert long.flags == ("window",)
    assert "window" not in [flag for usage in (short, *others) for flag in usage.flags]
    assert len(long.text.split()) == window - 2
    assert long.text == LONG[long.text_start : long.text_start + len(long.text)]
    assert long.text[long.start : long.end] == "bank"
    assert long.text_start + long.start == LONG.index("bank")
    assert long.drivers
    assert all(long.text[driver.start : driver.end] == driver.word for driver in long.drivers)
    assert (short.text, short.text_start, short.start) == (texts[1], 0, 6)


def test_only_a_sample_is_explained_where_there_are_more() -> None:
    analysis = analysed([*RIVER, *MONEY[:3]], Options(explained=3))
    explained = [usage for usage in analysis.usages if usage.drivers is not None]
    assert sorted(Counter(usage.sense for usage in explained).values()) == [1, 2]
    assert analysis.provenance.explained == 3
    (notice,) = (notice for notice in analysis.warnings if notice.kind == "sampled")
    assert "3 of 9 usages" in notice.message


# what it costs


def test_every_reading_is_told_and_counted() -> None:
    encoder, told = FakeEncoder(), Counter[str]()
    totals: Counter[str] = Counter()

    def watch(step: str, total: int) -> Progress:
        totals[step] += total

        def progress(done: int) -> None:
            told[step] += done

        return progress

    analysis = analyse(encoder, documents(TEXTS), "bank", Options(budget=2), watch=watch)
    assert told == totals
    assert analysis.provenance.passes == {step: n for step, n in told.items() if n}
    assert sum(told.values()) == sum(encoder.asked)
    assert (told["read"], told["occlude"]) == (12, 24)


def test_without_drivers_each_usage_is_read_once() -> None:
    assert whole().provenance.passes == {"read": 12}
    attention = whole(Options(drivers="attention"))
    assert attention.provenance.passes.get("occlude", 0) == 0
    assert all(usage.drivers for usage in attention.usages)


def test_beyond_a_number_of_usages_details_are_kept_of_samples_only(monkeypatch: pytest.MonkeyPatch) -> None:
    straight = whole(Options(explained=5))
    monkeypatch.setattr(pipeline, "DETAILED", 10)
    monkeypatch.setattr(pipeline, "COMPARED", 6)
    part = analysed(TEXTS, Options(explained=5))
    assert grouped(part) == grouped(straight)
    assert [usage.drivers for usage in part.usages] == [usage.drivers for usage in straight.usages]
    assert part.static is not None
    assert part.static.n == 6
    assert [layer.layer for layer in part.static.layers] == ["static", 0, 1, 2, 3]
    assert part.provenance.passes["read in detail"] == 11


def test_the_arrays_behind_the_analysis_agree_with_it() -> None:
    found = induced(FakeEncoder(), documents(TEXTS), "bank", QUICK)
    names = [found.model.senses[k] for k in found.assignment.sense]
    assert names == [usage.sense for usage in found.analysis.usages]
    assert [use.text for use in found.occurrences] == TEXTS
    np.testing.assert_allclose(np.linalg.norm(found.represented, axis=1), 1, rtol=1e-5)


# sample


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5), size=st.integers(1, 120), seed=st.integers(0, 100))
def test_a_sample_keeps_the_shares_and_at_least_one_of_each_sense(sizes: list[int], size: int, seed: int) -> None:
    sense = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    drawn = sample(sense, size, seed)
    assert len(drawn) == min(size, len(sense))
    assert np.array_equal(drawn, np.unique(drawn)), "in order, none twice"
    assert np.array_equal(drawn, sample(sense, size, seed))
    counts = np.bincount(sense[drawn], minlength=len(sizes))
    if size >= len(sizes):
        assert counts.min() >= 1
        fair = np.array(sizes) * len(drawn) / len(sense)
        # Each sense may get one more or less by rounding, or its only one; what that makes too many or too few in all
        # is shared out by size.
        assert np.all(np.abs(counts - fair) <= 1 + len(sizes) * np.array(sizes) / len(sense))


def test_a_sample_differs_by_seed() -> None:
    sense = np.repeat([0, 1], 50)
    assert not np.array_equal(sample(sense, 10, 0), sample(sense, 10, 1))
    assert np.bincount(sense[sample(sense, 10, 0)]).tolist() == [5, 5]


@pytest.mark.parametrize(("intercept", "senses"), [(9.0, 1), (-9.0, 2)])
def test_two_usages_alone_are_judged_by_the_callers_own_pair_model(
    tmp_path: Path, intercept: float, senses: int
) -> None:
    encoder = FakeEncoder()
    digest, width = encoder.info.digest, encoder.info.width
    axes = np.eye(width, 2).astype(np.float16)
    learnt = Learnt("fake", digest, "made up", usages=2, lemmas=1, pairs=1, seed=0, versions={})
    model = PairModel(axes, axes, np.array([0, 0, 0, 0, intercept]), learnt)
    save(model, tmp_path / f"{digest}.safetensors")
    found = analyse(encoder, documents([RIVER[0], MONEY[0]]), "bank", QUICK, pairs=tmp_path)
    assert len(found.senses) == senses
    assert found.verdict == "too little data"
