"""Faithfulness against a plain loop over single readings: both measures, both operators, beside random words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.corpus import documents
from analysis.drivers.faithfulness import (
    FRACTIONS,
    count,
    erase,
    estimate,
    faithfulness,
    operators,
    passes,
    random_rankings,
    resampled,
)
from analysis.drivers.methods import explain
from analysis.drivers.response import Response
from analysis.errors import BadOption
from analysis.record import Faithfulness
from analysis.senses import induce, represent
from analysis.text import find
from analysis.types import Attribution, FloatArray, IntArray, Operator, Perturbed, Span, Usages
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

TEXTS = ["bank", *RIVER[:4], "the loan bank", *MONEY[:4], "our bank, river and fish and a shore of mud by the water"]


class Case(NamedTuple):
    encoder: FakeEncoder
    usages: Usages
    response: Response
    attributions: tuple[Attribution, ...]

    def faithfulness(self, **chosen: Any) -> tuple[Faithfulness, ...]:
        return faithfulness(self.encoder, self.usages, self.attributions, self.response, **chosen)

    def take(self, indices: Sequence[int]) -> Case:
        return Case(
            self.encoder,
            self.usages.take(indices),
            self.response.take(indices),
            tuple(self.attributions[i] for i in indices),
        )


def case(texts: Sequence[str] = TEXTS, method: str = "occlusion-exact", n_senses: int = 2, **fake: Any) -> Case:
    encoder = FakeEncoder(**fake)
    usages = encoder.encode(find(documents(texts), "bank").occurrences, attention=True)
    model, assignment = induce(usages.vectors, usages.context, target="bank", n_senses=n_senses)
    response = Response(model, assignment.sense, represent(usages.vectors, usages.context))
    attributions = explain(encoder, usages, response, method=method)
    encoder.asked.clear()
    return Case(encoder, usages, response, attributions)


def chance(found: Case, i: int, gone: tuple[Span, ...], operator: Operator) -> float:
    """The probability of usage i's sense in one reading without these words."""
    read = found.encoder.encode([Perturbed(found.usages.occurrences[i], gone, operator)])
    return float(found.response.probabilities(read.vectors, read.context, np.array([i]))[0, found.response.sense[i]])


def by_hand(
    found: Case, rankings: Sequence[IntArray], operator: Operator, fractions: Sequence[float]
) -> list[tuple[float, float]]:
    """Comprehensiveness and sufficiency of every usage, one reading after the other."""
    told = []
    for i, attribution in enumerate(found.attributions):
        whole, words, order = chance(found, i, (), operator), attribution.words, rankings[i].tolist()
        lost: list[tuple[float, float]] = []
        for fraction in fractions:
            top = math.ceil(round(fraction * len(words), 9))
            with_, without = ({words[k].span for k in part} for part in (order[:top], order[top:]))
            lost.append(
                (whole - chance(found, i, tuple(with_), operator), whole - chance(found, i, tuple(without), operator))
            )
        comprehensiveness, sufficiency = np.mean(lost, axis=0).tolist()
        told.append((comprehensiveness, sufficiency))
    return told


@settings(max_examples=6, deadline=None)
@given(
    operator=st.sampled_from(["delete", "mask"]),
    fractions=st.sampled_from([FRACTIONS, (1.0,), (0.3, 0.34, 0.9), (1e-9,)]),
    seed=st.integers(0, 99),
)
def test_erasing_against_a_plain_loop(operator: Operator, fractions: tuple[float, ...], seed: int) -> None:
    found = case()
    rankings = {"own": [a.ranking for a in found.attributions], "random": random_rankings(found.attributions, seed)}
    measured = erase(
        found.encoder, found.usages, [a.words for a in found.attributions], rankings, found.response,
        operator=operator, fractions=fractions,
    )  # fmt: skip
    assert set(measured) == set(rankings)
    for name, ranking in rankings.items():
        expected = by_hand(found, ranking, operator, fractions)
        np.testing.assert_allclose(np.column_stack(measured[name]), expected, atol=1e-5)
    assert (measured["own"].comprehensiveness[0], measured["own"].sufficiency[0]) == (0, 0), "the target alone"


def test_all_words_are_comprehensive_and_sufficient() -> None:
    """At the fraction 1 the order does not matter: everything goes, or everything stays."""
    found = case()
    rankings = {name: random_rankings(found.attributions, seed) for seed, name in enumerate("ab")}
    words = [a.words for a in found.attributions]
    a, b = erase(
        found.encoder, found.usages, words, rankings, found.response, operator="delete", fractions=[1]
    ).values()
    np.testing.assert_array_equal(a.comprehensiveness, b.comprehensiveness)
    assert np.abs(a.comprehensiveness).max() > 0.1
    np.testing.assert_allclose(a.sufficiency, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("fraction", "words", "expected"),
    [(0.05, 1, 1), (0.05, 20, 1), (0.05, 21, 2), (0.1, 10, 1), (0.1, 30, 3), (0.2, 15, 3), (0.2, 35, 7), (0.5, 5, 3),
     (0.5, 6, 3), (1, 7, 7), (0.07, 100, 7), (0.29, 100, 29), (1e-9, 5, 1), (0.5, 0, 0), (1, 0, 0)],
)  # fmt: skip
def test_a_fraction_of_the_words_is_rounded_up(fraction: float, words: int, expected: int) -> None:
    assert count(fraction, words) == expected


@pytest.mark.parametrize("fractions", [(0.0,), (0.5, -0.1), (1.01,), (float("nan"),), (float("inf"),)])
def test_what_is_no_fraction_is_refused(fractions: tuple[float, ...]) -> None:
    found = case()
    for ask in (
        lambda: found.faithfulness(fractions=fractions),
        lambda: erase(found.encoder, found.usages, [], {}, found.response, operator="mask", fractions=fractions),
    ):
        with pytest.raises(BadOption, match="no fraction of the words") as caught:
            ask()
        assert caught.value.where == ("fractions", len(fractions) - 1)
    assert found.encoder.asked == []


def test_no_fractions_are_refused() -> None:
    with pytest.raises(BadOption) as caught:
        case().faithfulness(fractions=())
    assert caught.value.where == ("fractions",)


# random words, and intervals


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_random_ranking_is_of_all_words_and_the_same_for_the_same_seed(seed: int) -> None:
    attributions = [Attribution(None, tuple(range(n)), *[np.zeros(n)] * 3, "x") for n in (0, 1, 5, 30)]  # type: ignore[arg-type]
    drawn = random_rankings(attributions, seed)
    assert [sorted(ranking.tolist()) for ranking in drawn] == [list(range(n)) for n in (0, 1, 5, 30)]
    for once, again in zip(drawn, random_rankings(attributions, seed), strict=True):
        np.testing.assert_array_equal(once, again)
    assert not np.array_equal(drawn[3], random_rankings(attributions, seed + 1)[3])


def test_an_estimate_is_the_mean_with_its_bootstrap_interval() -> None:
    values = np.array([0.1, 0.4, -0.2, 0.9, 0.3, 0.3], dtype=np.float32)
    found = estimate(values, 0)
    assert found.value == pytest.approx(0.3, abs=1e-6)
    assert found == estimate(values, 0)
    assert found != estimate(values, 1)
    # A large bootstrap of its own says nearly the same.
    rows = np.random.default_rng(99).integers(6, size=(200_000, 6))
    low, high = np.percentile(values[rows].mean(axis=1), (2.5, 97.5))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)
    assert (estimate(values[:1], 0).value, estimate(values[:1], 0).low) == (0.1, None)
    same = estimate(np.full(5, 0.25, dtype=np.float32), 0)
    assert (same.value, same.low, same.high) == (0.25, 0.25, 0.25)


def test_the_interval_of_the_mean_covers_it_as_often_as_it_says() -> None:
    random, covered = np.random.default_rng(0), 0
    for draw in range(200):
        found = estimate(random.normal(0.2, 0.1, 40), draw)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.2 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_the_same_usages_are_drawn_for_all_columns() -> None:
    values = np.arange(10, dtype=float)
    drawn = resampled(np.stack([values, 2 * values + 1], axis=1), 4)
    np.testing.assert_allclose(drawn[:, 1], 2 * drawn[:, 0] + 1)
    np.testing.assert_array_equal(drawn[:, 0], resampled(values, 4))


# the report


def test_rows_for_all_usages_and_for_each_sense_by_hand() -> None:
    found = case()
    rows = found.faithfulness(seed=3)
    used = found.take(range(1, len(TEXTS)))  # not the one without context
    assert [(r.operator, r.level, r.n) for r in rows[:3]] == [
        ("delete", "analysis", 10),
        ("delete", "s0", sum(used.response.sense == 0)),
        ("delete", "s1", sum(used.response.sense == 1)),
    ]
    assert [(r.operator, r.level, r.n) for r in rows[3:]] == [("mask", r.level, r.n) for r in rows[:3]]
    drawn = random_rankings(used.attributions, 3)
    for row in rows:
        assert (row.method, row.fractions) == ("occlusion-exact", FRACTIONS)
        members = [i for i in range(10) if row.level in ("analysis", f"s{used.response.sense[i]}")]
        part = used.take(members)
        own: FloatArray = np.array(by_hand(part, [a.ranking for a in part.attributions], row.operator, FRACTIONS))  # type: ignore[arg-type]
        other = np.array(by_hand(part, [drawn[i] for i in members], row.operator, FRACTIONS))  # type: ignore[arg-type]
        for told, values in (
            (row.comprehensiveness, own[:, 0]),
            (row.sufficiency, own[:, 1]),
            (row.random.comprehensiveness, other[:, 0]),
            (row.random.sufficiency, other[:, 1]),
            (row.advantage, own[:, 0] - other[:, 0]),
        ):
            expected = estimate(values, 3)
            assert told.value == pytest.approx(expected.value, abs=2e-5)
            assert (told.low, told.high) == pytest.approx((expected.low, expected.high), abs=2e-5)


def test_true_drivers_beat_chance_and_the_reverse_of_them_does_not() -> None:
    texts = [f"{text} and so it was by me on a day in may" for text in RIVER + MONEY]
    found = case(texts)
    for row in found.faithfulness():
        assert row.advantage.low is not None
        assert row.advantage.low > 0
        assert row.comprehensiveness.value > 2 * row.random.comprehensiveness.value
        assert row.sufficiency.value < row.random.sufficiency.value
    turned = [
        Attribution(a.occurrence, a.words, a.effects, a.ranking[::-1], a.attention, "turned")
        for a in found.attributions
    ]
    for row in faithfulness(found.encoder, found.usages, turned, found.response):
        assert row.method == "turned"
        assert row.advantage.high is not None
        assert row.advantage.high < 0


def test_the_same_seed_gives_the_same_answer() -> None:
    found = case().take(range(1, 5))
    assert found.faithfulness(seed=1) == found.faithfulness(seed=1)
    assert found.faithfulness(seed=1) != found.faithfulness(seed=2)


def test_a_single_usage_has_no_interval() -> None:
    one = case().take([1])
    for row in one.faithfulness():
        assert row.n == 1
        assert (row.advantage.low, row.advantage.high, row.random.sufficiency.high) == (None, None, None)


def test_nothing_but_the_target_cannot_be_tested() -> None:
    found = case(["bank", "Bank!", *RIVER[:2], *MONEY[:2]]).take([0, 1])
    assert found.faithfulness() == ()
    assert found.encoder.asked == []


def test_a_decoder_is_tested_by_deletion_only() -> None:
    found = case(causal=True)
    assert operators(found.encoder) == ("delete",)
    assert {row.operator for row in found.faithfulness()} == {"delete"}
    assert operators(FakeEncoder()) == ("delete", "mask")


def test_what_it_costs() -> None:
    for causal in (False, True):
        found, told = case(RIVER + MONEY, causal=causal), list[int]()
        found.faithfulness(progress=told.append)
        # Two rankings, two readings a fraction, and each operator.
        expected = 12 * 2 * 2 * 4 * (1 if causal else 2)
        assert sum(told) == sum(found.encoder.asked) == passes(12, found.encoder) == expected
        found.encoder.asked.clear()
        found.faithfulness(fractions=(0.5,))
        assert sum(found.encoder.asked) == passes(12, found.encoder, fractions=(0.5,)) == expected / 4


def test_words_not_tried_take_part_by_their_place_in_the_ranking() -> None:
    """The default leaves words untried; half of the words may be more than its budget."""
    found = case(method="occlusion")
    assert any(np.isnan(a.effects).any() for a in found.attributions)
    assert all(np.isfinite(row.comprehensiveness.value) for row in found.faithfulness(fractions=(1.0,)))
