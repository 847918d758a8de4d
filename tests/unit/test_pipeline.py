"""The whole way of the data with an encoder without weights: what it keeps, what it counts, and what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import pipeline
from analysis.assemble import Options
from analysis.corpus import documents
from analysis.errors import BadFile, BadOption, TargetNotFound, UnsupportedModel
from analysis.pipeline import analyse, induced, sample
from analysis.record import Analysis, from_json, to_json
from analysis.same_sense import save
from analysis.senses import represent
from analysis.types import Document, Perturbed, Progress, Span
from tests.fake import FakeEncoder, pair_model
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


# drivers, and the proof of them


def test_a_usage_that_abstains_is_explained_by_its_nearest_sense_and_flagged() -> None:
    texts = [*TEXTS, "the bank river money loan"]
    sure = analysed(texts, Options(n_senses=2))
    threshold = sorted(usage.confidence for usage in sure.usages)[2]
    analysis = analysed(texts, Options(n_senses=2, threshold=threshold))
    doubtful = {usage.id for usage in sure.usages if usage.confidence < threshold}
    assert len(doubtful) == 2
    for before, after in zip(sure.usages, analysis.usages, strict=True):
        assert after.explains == before.explains == before.sense
        assert after.drivers
        assert (after.drivers, after.runner_up, after.margin) == (before.drivers, before.runner_up, before.margin)
        expected = (None, ("abstained",)) if after.id in doubtful else (before.sense, ())
        assert (after.sense, after.flags) == expected
    # They speak in the drivers of no sense.
    told = [
        {name for sense in of.senses for d in sense.drivers or () for name in d.exemplars} for of in (sure, analysis)
    ]
    assert doubtful & told[0]
    assert not doubtful & told[1]


def test_the_margin_is_that_over_the_runner_up_by_a_plain_loop() -> None:
    """Leave-one-out centroids, a softmax, the best of the others; and again without a word."""
    encoder, documents_ = FakeEncoder(), documents([*TEXTS, "the bank aircraft wing", "the bank wing turn"])
    found = induced(encoder, documents_, "bank", Options(n_senses=3, budget=2))
    rows, sense, names = found.represented.astype(float), found.assignment.sense, found.model.senses

    def chances(i: int, row: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
        scores = []
        for k in range(3):
            members = [rows[j] for j in range(len(rows)) if sense[j] == k and j != i] or [rows[i]]
            centroid = np.mean(members, axis=0)
            scores.append(row @ centroid / np.linalg.norm(centroid) / found.model.temperature)
        powers = np.exp(scores)
        shares: list[float] = (powers / powers.sum()).tolist()
        return shares

    for i, usage in enumerate(found.analysis.usages):
        whole_, own = chances(i, rows[i]), int(sense[i])
        rival = max((k for k in range(3) if k != own), key=whole_.__getitem__)
        assert (usage.explains, usage.runner_up) == (names[own], names[rival])
        assert usage.margin == pytest.approx(whole_[own] - whole_[rival], abs=1e-4)
        assert usage.drivers
        for driver in usage.drivers:
            read = encoder.encode([Perturbed(found.usages.occurrences[i], (Span(driver.start, driver.end),))])
            without = chances(i, represent(read.vectors, read.context)[0].astype(float))
            assert driver.effect == pytest.approx(whole_[own] - without[own], abs=2e-4)
            lead = whole_[own] - whole_[rival] - (without[own] - without[rival])
            assert driver.margin == pytest.approx(lead, abs=2e-4)


def test_with_two_senses_the_lead_loses_twice_the_effect() -> None:
    for usage in whole(Options(n_senses=2)).usages:
        assert usage.margin == pytest.approx(2 * usage.confidence - 1, abs=1e-5)
        for driver in usage.drivers or ():
            assert driver.margin == pytest.approx(2 * driver.effect, abs=1e-5)


def test_what_was_not_explained_says_nothing_of_it() -> None:
    for options in (Options(drivers="none"), Options(explained=1)):
        *_, last = analysed(TEXTS, options).usages
        assert (last.drivers, last.explains, last.runner_up, last.margin, last.gap) == (None,) * 5
    one = analysed(RIVER, Options(n_senses=1)).usages[0]
    assert (one.explains, one.runner_up, one.margin) == ("s0", None, None)


def test_a_method_that_cannot_tell_senses_apart_has_no_margins_and_no_contrasts() -> None:
    attention, occlusion = whole(Options(drivers="attention")), whole(Options())
    assert attention.contrasts is None
    assert {driver.margin for usage in attention.usages for driver in usage.drivers or ()} == {None}
    assert occlusion.contrasts is not None
    assert [contrast.senses for contrast in occlusion.contrasts] == [("s0", "s1")]
    assert len(occlusion.contrasts[0].drivers) == 10
    for driver in occlusion.contrasts[0].drivers:
        leads = [
            (1 if usage.explains == "s0" else -1) * word.margin
            for usage in occlusion.usages
            for word in usage.drivers or ()
            if word.word == driver.word and word.margin is not None
        ]
        assert driver.support == len(leads)
        assert driver.effect == pytest.approx(sum(leads) / len(leads), abs=2e-6)
    assert whole(Options(drivers="none")).contrasts is None


def test_three_senses_have_three_contrasts() -> None:
    found = analysed([*TEXTS, "the bank aircraft wing", "the bank wing turn"], Options(n_senses=3)).contrasts
    assert found is not None
    assert [contrast.senses for contrast in found] == [("s0", "s1"), ("s0", "s2"), ("s1", "s2")]


def test_methods_by_gradients_tell_their_gap() -> None:
    for method in ("gates", "integrated-gradients"):
        assert all(isinstance(usage.gap, float) for usage in analysed(FEW, Options(drivers=method)).usages)
    assert {usage.gap for usage in whole(Options()).usages} == {None}


def test_a_text_of_only_the_target_says_that_it_has_no_context() -> None:
    analysis = analysed(["bank", "Bank!", *FEW], Options())
    for alone in analysis.usages[:2]:
        assert (alone.drivers, alone.flags) == ((), ("no-context",))
    assert {usage.flags for usage in analysis.usages[2:]} == {()}
    assert analysed(["bank", *FEW]).usages[0].flags == (), "without drivers nobody looked"


@pytest.mark.parametrize(
    "options",
    [Options(drivers="none"), Options(faithfulness=0), Options(n_senses=1), Options(drivers="none", faithfulness=5)],
)
def test_faithfulness_is_null_where_there_is_nothing_to_prove(options: Options) -> None:
    analysis = analysed(FEW, options)
    assert analysis.faithfulness is None
    assert "test the drivers" not in analysis.provenance.passes


def test_faithfulness_is_of_a_sample_of_what_was_explained() -> None:
    analysis = analysed(TEXTS, Options(explained=6, faithfulness=4, seed=3))
    assert analysis.faithfulness is not None
    assert [(f.level, f.operator, f.n) for f in analysis.faithfulness] == [
        (level, operator, n) for operator in ("delete", "mask") for level, n in (("analysis", 4), ("s0", 2), ("s1", 2))
    ]
    every = analysed(TEXTS, Options(explained=3, faithfulness=99)).faithfulness
    assert every is not None
    assert every[0].n == 3


def test_faithfulness_of_a_decoder_is_by_deletion() -> None:
    found = analyse(FakeEncoder(causal=True), documents(FEW), "bank", Options()).faithfulness
    assert found is not None
    assert {f.operator for f in found} == {"delete"}


def test_usages_without_context_words_have_nothing_to_test() -> None:
    analysis = analysed(["bank", "bank!", "? bank", "bank ...", "bank"], Options(n_senses=2))
    assert {usage.flags for usage in analysis.usages} == {("no-context",)}
    assert analysis.faithfulness == ()


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
        analyse(encoder, documents(TEXTS), "bank", Options(drivers="magic"))
    for options, where in (
        (Options(drivers="attention:3"), "drivers"),
        (Options(explained=0), "explained"),
        (Options(faithfulness=-1), "faithfulness"),
        (Options(budget=0), "budget"),
        (Options(budget=0, drivers="none"), "budget"),
    ):
        with pytest.raises(BadOption) as caught:
            analyse(encoder, documents(TEXTS), "bank", options)
        assert caught.value.where == (where,)
    assert encoder.asked == []
    causal = FakeEncoder(causal=True)
    with pytest.raises(UnsupportedModel, match="no mask token"):
        analyse(causal, documents(TEXTS), "bank", Options(drivers="occlusion-mask"))
    assert causal.asked == []


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

    analysis = analyse(encoder, documents(TEXTS), "bank", Options(budget=2, faithfulness=4), watch=watch)
    assert told == totals
    assert analysis.provenance.passes == {step: n for step, n in told.items() if n}
    assert sum(told.values()) == sum(encoder.asked)
    # A gradient and two words a usage; for four of them two rankings, two operators, four fractions, both measures.
    assert told == {"read": 12, "explain": 12 * (3 + 2), "test the drivers": 4 * 2 * 2 * 4 * 2}


@pytest.mark.parametrize("budget", [1, 4, 6])
def test_drivers_cost_a_gradient_and_the_budget_and_faithfulness_its_sample(budget: int) -> None:
    texts = [f"{text} on a fine day in may by the old mill" for text in TEXTS]
    passes = analysed(texts, Options(budget=budget, faithfulness=3)).provenance.passes
    assert passes["read"] == 12
    assert 12 * (3 + 1) <= passes["explain"] <= 12 * (3 + budget)
    assert passes["test the drivers"] == 3 * 32
    assert set(passes) == {"read", "explain", "test the drivers"}
    assert "test the drivers" not in analysed(texts, Options(budget=budget, faithfulness=0)).provenance.passes


def test_without_drivers_each_usage_is_read_once() -> None:
    assert whole().provenance.passes == {"read": 12}
    attention = whole(Options(drivers="attention", faithfulness=0))
    assert attention.provenance.passes == {"read": 12}
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
    assert [use.text for use in found.usages.occurrences] == TEXTS
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


@pytest.mark.parametrize("detailed", [pipeline.DETAILED, 1])
@pytest.mark.parametrize("texts", [[RIVER[0], MONEY[0]], FEW], ids=len)
@pytest.mark.parametrize(("intercept", "senses"), [(9.0, 1), (-9.0, 2)])
def test_the_callers_own_pair_model_has_its_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, intercept: float, senses: int, texts: list[str], detailed: int
) -> None:
    monkeypatch.setattr(pipeline, "DETAILED", detailed)
    encoder = FakeEncoder()
    save(pair_model(encoder.info, intercept), tmp_path / f"{encoder.info.digest}.safetensors")
    found = analyse(encoder, documents(texts), "bank", QUICK, pairs=tmp_path)
    assert len(found.senses) == senses
    told = "one sense" if senses == 1 else "several senses"
    assert found.verdict == (told if len(texts) > 2 else "too little data")
