"""From the words of single usages to those of a sense: worked by hand, intervals by scipy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.drivers import words as driver_words
from analysis.drivers.words import contrast
from analysis.record import SenseDriver
from analysis.text import lemma, words
from analysis.types import Attribution, Occurrence


def said(*effects: tuple[str, float]) -> Attribution:
    """A usage of "bank" whose context words have these effects."""
    text = " ".join(["bank", *(word for word, _ in effects)])
    values = np.array([effect for _, effect in effects], dtype=np.float32)
    order = np.argsort(-values, kind="stable")
    return Attribution(Occurrence(text, "bank", 0, 4, "1"), words(text)[1:], values, order, values, "occlusion")


def by_sense(
    attributions: Sequence[Attribution], sense: Sequence[int], n_senses: int, **chosen: Any
) -> list[tuple[SenseDriver, ...]]:
    """Usages are named u0, u1, ... in the order given."""
    ids = chosen.pop("ids", [f"u{i}" for i in range(len(sense))])
    return driver_words.by_sense(attributions, sense, n_senses, ids=ids, **chosen)


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


def without_exemplars(drivers: tuple[SenseDriver, ...]) -> list[tuple[object, ...]]:
    """Which of two usages with equal effects shows a word depends on the order, and nothing else does."""
    return [(d.word, d.effect, d.low, d.high, d.support, d.specificity) for d in drivers]


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(5)))
def test_the_order_of_the_usages_changes_nothing(order: list[int]) -> None:
    attributions = [said((word, effect), ("water", 0.1)) for word, effect in (("river", 0.3), ("fish", 0.2)) * 2]
    attributions.append(OTHER)
    sense = [0, 0, 0, 0, 1]
    mixed = by_sense([attributions[i] for i in order], [sense[i] for i in order], 2, ids=[f"u{i}" for i in order])
    straight = by_sense(attributions, sense, 2)
    assert [without_exemplars(words) for words in mixed] == [without_exemplars(words) for words in straight]


def test_a_sense_without_explained_usages_has_no_drivers() -> None:
    assert by_sense([OTHER], [2], 3)[:2] == [(), ()]


def test_the_specificity_by_hand() -> None:
    """Half of this sense's four usages against one of the three others: (1/2 - 1/3) / (1/2 + 1/3) = 0.2."""
    own = [said(("river", 0.2), ("shore", 0.1)), said(("river", 0.2)), said(("fish", 0.1)), said(("shore", -0.1))]
    others = [said(("river", -0.1), ("loan", 0.4)), said(("loan", 0.3)), said(("cash", 0.2))]
    first, second, third = by_sense([*own, *others], [0, 0, 0, 0, 1, 1, 2], 3)
    specific = {driver.word: driver.specificity for driver in first}
    assert specific == {"river": pytest.approx(0.2), "fish": 1.0}
    assert [(d.word, d.specificity) for d in second] == [("loan", 1.0)]
    assert [(d.word, d.specificity) for d in third] == [("cash", 1.0)]


@settings(max_examples=50, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 2), st.dictionaries(st.sampled_from("abcd"), st.integers(-9, 9), max_size=4)),
        min_size=1,
        max_size=9,
    )
)
def test_totals_times_specificity_against_a_plain_loop(drawn: list[tuple[int, dict[str, int]]]) -> None:
    sense = [k for k, _ in drawn]
    found = by_sense([said(*((w, e / 10) for w, e in effects.items())) for _, effects in drawn], sense, 3)
    for k in range(3):
        expected = {}
        for word in "abcd":
            own = [effects[word] / 10 for s, effects in drawn if s == k and word in effects]
            if not own:
                continue
            p = len(own) / sense.count(k)
            n_others = len(sense) - sense.count(k)
            q = sum(word in effects for s, effects in drawn if s != k) / n_others if n_others else 0
            specific = (p - q) / (p + q)
            if sum(own) > 1e-6 and specific > 0:
                expected[word] = (len(own), pytest.approx(specific, abs=1e-6), sum(own) * specific)
        assert {d.word: (d.support, d.specificity) for d in found[k]} == {w: e[:2] for w, e in expected.items()}
        scores = [expected[d.word][2] for d in found[k]]
        assert scores == sorted(scores, reverse=True) or np.allclose(scores, sorted(scores, reverse=True))


def test_the_exemplars_are_the_usages_where_the_word_did_most() -> None:
    effects = [0.1, 0.5, -0.2, 0.4, 0.3]
    attributions = [said(("river", effect), ("water", 0.1)) for effect in effects]
    found = by_sense([*attributions, said(("water", float("nan"))), OTHER], [0] * 6 + [1], 2)[0]
    shown = {driver.word: driver.exemplars for driver in found}
    assert shown == {"river": ("u1", "u3", "u4"), "water": ("u0", "u1", "u2")}
    (loan,) = by_sense([*attributions, OTHER], [0] * 5 + [1], 2, ids=list("abcdef"))[1]
    assert loan.exemplars == ("f",)


def test_a_function_word_must_earn_its_place() -> None:
    few = [said(("by", 0.3), ("river", 0.1)), OTHER]
    assert [d.word for d in by_sense(few, [0, 1], 2)[0]] == ["by", "river"]
    assert [d.word for d in by_sense(few, [0, 1], 2, function_words={"by"})[0]] == ["river"], "no interval"
    unsure = [said(("by", effect), ("river", 0.1)) for effect in (0.9, -0.1, 0.1)]
    assert [d.word for d in by_sense([*unsure, OTHER], [0, 0, 0, 1], 2, function_words={"by"})[0]] == ["river"]
    sure = [said(("By", effect), ("river", 0.1)) for effect in (0.3, 0.31, 0.29)]
    assert [d.word for d in by_sense([*sure, OTHER], [0, 0, 0, 1], 2, function_words={"by"})[0]] == ["by", "river"]


def test_forms_of_one_word_are_joined_by_their_lemma() -> None:
    attributions = [said(("rivers", 0.2), ("river", 0.1)), said(("River", 0.4)), OTHER]
    surface, joined = (
        by_sense(attributions, [0, 0, 1], 2, **form)[0] for form in ({}, {"form": partial(lemma, language="en")})
    )
    assert {(d.word, d.support) for d in surface} == {("river", 2), ("rivers", 1)}
    (river,) = joined
    assert (river.word, river.support) == ("river", 2)
    assert river.effect == pytest.approx((0.2 + 0.4) / 2), "once a usage, by its larger effect"


def test_what_was_never_tried_is_no_driver_of_a_sense() -> None:
    assert by_sense([said(("river", float("nan"))), OTHER], [0, 1], 2)[0] == ()


# between two senses


def telling(own: int, *drops: tuple[str, float, float, float]) -> tuple[Attribution, int]:
    """A usage of a sense, and what its words do to each of three senses."""
    attribution = said(*((word, effects[own]) for word, *effects in drops))
    on_senses = np.array([effects for _, *effects in drops], dtype=np.float32).reshape(-1, 3)
    return (
        Attribution(
            attribution.occurrence,
            attribution.words,
            attribution.effects,
            attribution.ranking,
            attribution.attention,
            "occlusion",
            on_senses,
        ),
        own,
    )


USED = [
    telling(0, ("river", 0.4, -0.3, -0.1), ("old", 0.1, 0.1, -0.2)),
    telling(0, ("river", 0.2, 0.0, -0.2), ("loan", -0.1, 0.3, -0.2)),
    telling(1, ("loan", -0.4, 0.4, 0.0), ("the", 0.0, 0.1, -0.1)),
    telling(2, ("aircraft", -0.3, -0.3, 0.6), ("river", 0.9, 0.0, -0.9)),
]


def contrasted(pair: tuple[int, int], used: Any = USED, **chosen: Any) -> list[SenseDriver]:
    ids = [f"u{i}" for i in range(len(used))]
    return list(contrast([a for a, _ in used], [k for _, k in used], pair, ids=ids, **chosen))


def test_why_the_first_sense_and_not_the_second_by_hand() -> None:
    found = contrasted((0, 1))
    assert [(d.word, d.support) for d in found] == [("loan", 2), ("river", 2), ("the", 1)], "'old' tells nothing apart"
    assert [d.effect for d in found] == pytest.approx([-0.6, 0.45, -0.1])
    assert [d.specificity for d in found] == [None] * 3
    half = stats.t.ppf(0.975, 1) * np.std([0.7, 0.2], ddof=1) / 2**0.5
    assert (found[1].low, found[1].high) == (max(-1, round(0.45 - half, 6)), 1)
    assert (found[2].low, found[2].high) == (None, None)
    # What speaks for the second is shown by where it spoke most, too.
    assert (found[0].exemplars, found[1].exemplars) == (("u2", "u1"), ("u0", "u1"))


def test_the_contrast_the_other_way_round_has_the_other_signs() -> None:
    there, back = contrasted((0, 2)), contrasted((2, 0))
    assert [d.word for d in there] == [d.word for d in back]
    assert [d.effect for d in there] == [-d.effect for d in back]
    assert "aircraft" in [d.word for d in there], "usages of either"
    assert "aircraft" not in [d.word for d in contrasted((0, 1))]


def test_words_for_each_of_the_two_senses_have_room() -> None:
    many = [
        telling(0, *((f"r{i}", 0.5 - i / 100, -0.1, 0.0) for i in range(9))),
        telling(1, ("loan", -0.01, 0.01, 0.0)),
    ]
    found = contrasted((0, 1), many)
    assert [d.word for d in found] == ["r0", "r1", "r2", "r3", "r4", "loan"]
    assert [d.word for d in contrasted((0, 1), many, top=1)] == ["r0", "loan"]


def test_a_contrast_leaves_out_what_says_little() -> None:
    assert "the" not in [d.word for d in contrasted((0, 1), function_words={"the"})]
    nan = float("nan")
    assert contrasted((0, 1), [telling(0, ("river", nan, nan, nan))]) == []
    assert contrasted((0, 1), [(said(("river", 0.5)), 0)]) == [], "a method that does not say what a word does to all"
    joined = contrasted(
        (0, 1),
        [telling(0, ("rivers", 0.4, 0.0, -0.4)), telling(1, ("river", 0.2, 0.0, -0.2))],
        form=partial(lemma, language="en"),
    )
    assert [(d.word, d.support) for d in joined] == [("river", 2)]
