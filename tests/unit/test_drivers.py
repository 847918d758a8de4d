"""Drivers: effects against a plain loop over single readings, costs as the encoder counts them, intervals by scipy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.corpus import documents
from analysis.drivers import by_sense, context_words, explain, passes
from analysis.errors import BadOption
from analysis.senses import induce
from analysis.text import find, words
from analysis.types import Assignment, Attribution, FloatArray, Occurrence, Operator, Perturbed, SenseModel, Usages
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

TOPICS = ["river", "water", "fish", "shore", "money", "loan", "cash", "the", "of"]


class Case(NamedTuple):
    encoder: FakeEncoder
    usages: Usages
    model: SenseModel
    assignment: Assignment

    def explain(self, **chosen: Any) -> tuple[Attribution, ...]:
        return explain(*self, **chosen)


def case(texts: Sequence[str], n_senses: int | None = 2, **fake: Any) -> Case:
    """Usages of "bank" with their senses; what the encoder was asked for until then is forgotten."""
    encoder = FakeEncoder(**fake)
    usages = encoder.encode(find(documents(texts), "bank").occurrences, attention=True)
    model, assignment = induce(usages.vectors, usages.context, target="bank", n_senses=n_senses)
    encoder.asked.clear()
    return Case(encoder, usages, model, assignment)


def unevenly_attended(usages: Usages, seed: int = 0) -> Usages:
    """The same usages, with rows of attention that differ from word to word, from layer to layer, head to head."""
    random = np.random.default_rng(seed)
    assert usages.target_attention is not None
    rows = [random.random(row.shape, dtype=np.float32) for row in usages.target_attention]
    return replace(usages, target_attention=tuple(row / row.sum(axis=-1, keepdims=True) for row in rows))


# occlusion


def represented_by_hand(vector: FloatArray, context: FloatArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The target's vector beside half its context, each and both of length 1."""
    parts = [vector.astype(np.float64), context.astype(np.float64)]
    unit = [part / (np.linalg.norm(part) or 1) for part in parts]
    both = np.concatenate([unit[0], 0.5 * unit[1]])
    whole: np.ndarray[Any, np.dtype[np.float64]] = both / np.linalg.norm(both)
    return whole


def effects_by_hand(given_case: Case, i: int, operator: Operator) -> dict[str, float]:
    """Effects of every context word of usage i, one reading after the other; words that come twice are numbered."""
    encoder, usages, model, assignment = given_case
    rows = [represented_by_hand(v, c) for v, c in zip(usages.vectors, usages.context, strict=True)]
    own = int(assignment.sense[i])

    def probability(row: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        powers = []
        for k in range(len(model.senses)):
            members = [rows[j] for j in range(len(rows)) if assignment.sense[j] == k and j != i] or [rows[i]]
            centroid = np.mean(members, axis=0)
            powers.append(np.exp(row @ centroid / np.linalg.norm(centroid) / model.temperature))
        return float(powers[own] / sum(powers))

    occurrence = usages.occurrences[i]
    effects: dict[str, float] = {}
    for unit in words(occurrence.text):
        if unit.span == occurrence.span or not any(letter.isalnum() for letter in unit.text):
            continue
        without = encoder.encode([Perturbed(occurrence, (unit.span,), operator)])
        changed = represented_by_hand(without.vectors[0], without.context[0])
        effects[f"{unit.text}@{unit.start}"] = probability(rows[i]) - probability(changed)
    return effects


@settings(max_examples=12, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(TOPICS), max_size=5).map(lambda drawn: " ".join(["bank", *drawn]))),
    before=st.booleans(),
    operator=st.sampled_from(["delete", "mask"]),
)
def test_an_effect_is_the_drop_of_the_probability_of_the_sense(
    texts: list[str], before: bool, operator: Operator
) -> None:
    texts = ["money loan, bank", "bank by river water", *texts[:5]]
    found = case([f"my {text}" if before else text for text in texts])
    for i, attribution in enumerate(found.explain(operator=operator)):
        effects = {
            f"{unit.text}@{unit.start}": effect
            for unit, effect in zip(attribution.words, attribution.effects.tolist(), strict=True)
        }
        assert effects == pytest.approx(effects_by_hand(found, i, operator), abs=2e-4)


def test_the_words_that_make_the_sense_drive_it() -> None:
    found = case(["the bank river water", "the bank river water fish", "the bank money loan", "the bank money loan in"])
    for attribution in found.explain():
        effects = dict(zip([unit.text for unit in attribution.words], attribution.effects.tolist(), strict=True))
        little = effects.pop("the"), effects.pop("in", 0.0)
        assert little == pytest.approx((0, 0), abs=1e-2), "the fake gives them no part in the context"
        assert sum(effects.values()) > 10 * sum(map(abs, little))


def test_with_one_sense_there_is_nothing_to_choose() -> None:
    for attribution in case(RIVER, n_senses=1).explain():
        assert attribution.effects.tolist() == [0.0] * len(attribution.words)


def test_a_text_of_one_word_has_no_drivers() -> None:
    found = case(["bank", "bank!", *RIVER, *MONEY])
    for method in ("occlusion", "attention"):
        alone, signs, *_ = found.explain(method=method)
        assert alone.words == signs.words == ()
        assert alone.effects.shape == alone.attention.shape == (0,)
    only = case(["bank"], n_senses=1)
    assert only.explain()[0].words == ()
    assert only.encoder.asked == []


def test_only_words_of_the_context_can_be_drivers() -> None:
    usages = case(["Our bank, their bank & 2 loans — ok?", "the bank river"]).usages
    assert [[usages.words[i][k].text for k in context_words(usages, i)] for i in range(3)] == [
        ["Our", "their", "bank", "2", "loans", "ok"],
        ["Our", "bank", "their", "2", "loans", "ok"],
        ["the", "river"],
    ]


# what it costs


@settings(max_examples=12, deadline=None)
@given(budget=st.integers(1, 7), seed=st.integers(0, 100), operator=st.sampled_from(["delete", "mask"]))
def test_the_budget_goes_to_the_words_most_attended(budget: int, seed: int, operator: Operator) -> None:
    found = case(["bank", "the bank loan", *RIVER, *MONEY])
    found = found._replace(usages=unevenly_attended(found.usages, seed))
    attributions = found.explain(budget=budget, operator=operator)
    for attribution in attributions:
        tried = ~np.isnan(attribution.effects)
        assert tried.sum() == min(budget, len(attribution.words))
        if tried.any() and not tried.all():
            assert attribution.attention[tried].min() > attribution.attention[~tried].max()
    asked = sum(found.encoder.asked)
    assert asked == passes(found.usages, method="occlusion", budget=budget)
    assert asked == sum(min(budget, n) for n in [0, 2, *[5] * 12])


def test_a_word_has_the_same_effect_whatever_the_budget() -> None:
    found = case(RIVER + MONEY)
    found = found._replace(usages=unevenly_attended(found.usages))
    for little, much in zip(found.explain(budget=2), found.explain(budget=99), strict=True):
        assert not np.isnan(much.effects).any()
        tried = ~np.isnan(little.effects)
        np.testing.assert_allclose(little.effects[tried], much.effects[tried], atol=1e-6)


def test_progress_is_told_of_every_reading() -> None:
    told: list[int] = []
    found = case(RIVER + MONEY)
    found.explain(budget=3, progress=told.append)
    assert sum(told) == passes(found.usages, method="occlusion", budget=3) == 36


def test_attention_costs_nothing_and_is_the_mean_over_layers_and_heads() -> None:
    found = case(["fish at my bank", *MONEY])
    usages = unevenly_attended(found.usages)
    first = found._replace(usages=usages).explain(method="attention")[0]
    assert usages.target_attention is not None
    row = usages.target_attention[0]  # over [CLS] fish at my bank [SEP]
    expected = [sum(row[layer, head, k] for layer in range(3) for head in range(2)) / 6 for k in (1, 2, 3)]
    np.testing.assert_allclose(first.attention, expected, rtol=1e-5)
    np.testing.assert_array_equal(first.effects, first.attention)
    assert [unit.text for unit in first.words] == ["fish", "at", "my"]
    assert first.method == "attention"
    assert found.encoder.asked == []
    assert passes(usages, method="attention", budget=16) == passes(usages, method="none", budget=16) == 0


def test_a_causal_target_attends_to_nothing_after_it() -> None:
    first = case(["fish at my bank loan", *MONEY], causal=True).explain(method="attention")[0]
    np.testing.assert_allclose(first.attention, [0.2, 0.2, 0.2, 0.0], rtol=1e-6)


def test_an_unknown_method_and_no_budget_are_refused() -> None:
    found = case(RIVER + MONEY)
    with pytest.raises(BadOption, match=r"'magic'.*occlusion, attention, none") as caught:
        found.explain(method="magic")
    assert caught.value.where == ("drivers",)
    for budget in (0, -1):
        with pytest.raises(BadOption) as caught:
            found.explain(budget=budget)
        assert caught.value.where == ("budget",)
    with pytest.raises(ValueError, match="attention=True"):
        found._replace(usages=replace(found.usages, target_attention=None)).explain()
    assert found.encoder.asked == []


# over the usages of a sense


def said(*effects: tuple[str, float]) -> Attribution:
    """A usage of "bank" whose context words have these effects."""
    text = " ".join(["bank", *(word for word, _ in effects)])
    values = np.array([effect for _, effect in effects], dtype=np.float32)
    return Attribution(Occurrence(text, "bank", 0, 4, "1"), words(text)[1:], values, values, "occlusion")


OTHER = said(("loan", 0.5))  # a usage of another sense


@settings(max_examples=50, deadline=None)
@given(hundredths=st.lists(st.integers(-100, 100), min_size=2, max_size=8).filter(lambda drawn: sum(drawn) > 0))
def test_the_interval_is_students_within_what_an_effect_can_be(hundredths: list[int]) -> None:
    effects = [value / 100 for value in hundredths]
    found = by_sense([*(said(("river", e)) for e in effects), OTHER], [*[0] * len(effects), 1], 2)[0]
    mean = np.mean(effects)
    low = high = mean
    if len(set(effects)) > 1:
        low, high = stats.t.interval(0.95, len(effects) - 1, loc=mean, scale=stats.sem(effects))
    assert [driver.word for driver in found] == ["river"]
    assert found[0].support == len(effects)
    assert (found[0].effect, found[0].low, found[0].high) == pytest.approx((mean, max(-1, low), min(1, high)), abs=1e-5)


def test_an_interval_worked_by_hand() -> None:
    river, water = by_sense(
        [said(("river", 0.2), ("water", 0.9)), said(("river", 0.4)), said(("river", 0.6), ("water", 0.1)), OTHER],
        [0, 0, 0, 1],
        2,
    )[0]
    assert (river.word, river.support) == ("river", 3)
    assert river.effect == pytest.approx(0.4)
    half = 4.302653 * 0.2 / 3**0.5  # Student's table at 0.975 with 2 degrees of freedom
    assert (river.low, river.high) == pytest.approx((0.4 - half, 0.4 + half), abs=1e-5)
    assert (water.word, water.low, water.high) == ("water", -1, 1)


def test_one_usage_has_no_interval() -> None:
    (only,) = by_sense([said(("river", 0.25)), OTHER], [0, 1], 2)[0]
    assert (only.effect, only.low, only.high, only.support) == (0.25, None, None, 1)


def test_a_word_twice_in_a_usage_counts_once_by_its_larger_effect() -> None:
    (river,) = by_sense([said(("River", 0.1), ("river", 0.3), ("RIVER", -0.2)), OTHER], [0, 1], 2)[0]
    assert (river.word, river.support) == ("river", 1)
    assert river.effect == pytest.approx(0.3)


def test_a_word_that_was_not_tried_does_not_count() -> None:
    attributions = [said(("river", 0.2), ("water", float("nan"))), said(("river", float("nan"))), OTHER]
    assert [(d.word, d.support) for d in by_sense(attributions, [0, 0, 1], 2)[0]] == [("river", 1)]


def test_what_stands_everywhere_or_speaks_against_is_no_driver() -> None:
    attributions = [
        said(("the", 0.9), ("river", 0.1), ("cash", -0.4)),
        said(("the", 0.8), ("river", 0.1)),
        said(("the", 0.9), ("cash", 0.3)),
        said(("the", 0.9), ("cash", 0.3), ("river", -0.9)),
    ]
    found = by_sense(attributions, [0, 0, 1, 1], 2)
    assert [[driver.word for driver in words] for words in found] == [["river"], ["cash"]]


def test_a_word_that_often_helps_stands_before_one_that_helped_much_once() -> None:
    often = [said(("often", 0.2), ("shared", 0.3)) for _ in range(4)]
    once = said(("once", 0.7), ("never", 0.0), ("also", 0.7))
    found = by_sense([*often, once, said(("shared", 0.1))], [0, 0, 0, 0, 0, 1], 2)[0]
    assert [driver.word for driver in found] == ["often", "also", "once"], "totals 0.8, 0.7, 0.7; 'shared' is not its"
    assert by_sense([*often, once], [0] * 5, 1, top=2)[0][0].word == "shared", "without other senses all is specific"
    assert len(by_sense([*often, once], [0] * 5, 1, top=2)[0]) == 2


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(5)))
def test_the_order_of_the_usages_changes_nothing(order: list[int]) -> None:
    attributions = [said((word, effect), ("water", 0.1)) for word, effect in (("river", 0.3), ("fish", 0.2)) * 2]
    attributions.append(OTHER)
    sense = [0, 0, 0, 0, 1]
    assert by_sense([attributions[i] for i in order], [sense[i] for i in order], 2) == by_sense(attributions, sense, 2)


def test_a_sense_without_explained_usages_has_no_drivers() -> None:
    assert by_sense([OTHER], [2], 3)[:2] == [(), ()]
