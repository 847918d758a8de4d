"""The field's metrics: by hand, against plain loops and scikit-learn, and by property."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import (
    adjusted_rand_score,
    balanced_accuracy_score,
    f1_score,
    homogeneity_completeness_v_measure,
    roc_auc_score,
)

from analysis.evaluation import metrics
from analysis.evaluation.fuzzy import Fuzzy, fuzzy, overall

CLUSTERING: list[Callable[[Any, Any], float]] = [metrics.ari, metrics.v_measure, metrics.bcubed_f, metrics.paired_f]
GOLD, FOUND = np.array(list("aaabb")), np.array([0, 0, 1, 1, 1])

labellings = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n).map(np.array)] * 2)
)


# ---- labels ----


def test_clustering_by_hand() -> None:
    """Classes a a a b b in clusters 0 0 1 1 1: of ten pairs, two share both (aa in 0, bb in 1), four each share one."""
    precision, recall = (1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5, (2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5
    assert metrics.bcubed(GOLD, FOUND) == pytest.approx(
        (precision, recall, 2 * precision * recall / (precision + recall))
    )
    assert metrics.bcubed_f(GOLD, FOUND) == metrics.bcubed(GOLD, FOUND).f
    assert metrics.paired_f(GOLD, FOUND) == pytest.approx(2 * 2 / (4 + 4))
    assert metrics.ari(GOLD, FOUND) == pytest.approx((2 - 1.6) / (4 - 1.6))
    assert metrics.v_measure(GOLD, GOLD) == metrics.bcubed_f(GOLD, GOLD) == metrics.paired_f(GOLD, GOLD) == 1.0


def test_accuracy_and_its_kin_by_hand() -> None:
    gold, predicted = np.array(list("aaab")), np.array(list("aabb"))
    assert metrics.accuracy(gold, predicted) == 0.75
    assert metrics.balanced_accuracy(gold, predicted) == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.f1(gold == "a", predicted == "a") == pytest.approx(2 * 2 / (3 + 2))


def loop_bcubed(gold: Any, found: Any) -> tuple[float, float]:
    def side(one: Any, other: Any) -> float:
        total = 0.0
        for i in range(len(one)):
            mates = [j for j in range(len(one)) if other[j] == other[i]]
            total += sum(one[j] == one[i] for j in mates) / len(mates)
        return total / len(one)

    return side(gold, found), side(found, gold)


@given(labellings)
def test_labels_against_plain_loops_and_scikit_learn(pair: tuple[Any, Any]) -> None:
    gold, found = pair
    assert metrics.bcubed(gold, found)[:2] == pytest.approx(loop_bcubed(gold, found))
    pairs = list(itertools.combinations(range(len(gold)), 2))
    classes = {p for p in pairs if gold[p[0]] == gold[p[1]]}
    clusters = {p for p in pairs if found[p[0]] == found[p[1]]}
    score = metrics.paired_f(gold, found)
    if classes or clusters:
        assert score == pytest.approx(2 * len(classes & clusters) / (len(classes) + len(clusters)))
    else:
        assert math.isnan(score)
    assert metrics.ari(gold, found) == pytest.approx(adjusted_rand_score(gold, found))
    assert metrics.v_measure(gold, found) == pytest.approx(homogeneity_completeness_v_measure(gold, found)[2])
    both = (gold > 0, found > 0)
    if any(map(np.any, both)):
        assert metrics.f1(*both) == pytest.approx(f1_score(*both))
    if set(found) <= set(gold) and len(set(gold)) > 1:
        assert metrics.balanced_accuracy(gold, found) == pytest.approx(balanced_accuracy_score(gold, found))


@given(labellings, st.permutations(range(4)), st.randoms())
def test_neither_names_nor_order_change_a_clustering_metric(
    pair: tuple[Any, Any], names: list[int], random: Any
) -> None:
    gold, found = pair
    order = list(range(len(gold)))
    random.shuffle(order)
    renamed = np.array(names)[found] * 7
    for metric in CLUSTERING:
        expected = metric(gold, found)
        assert metric(gold, renamed) == pytest.approx(expected, nan_ok=True)
        assert metric(gold[order], found[order]) == pytest.approx(expected, nan_ok=True)
        assert metric(np.array(list("wxyz"))[gold], found) == pytest.approx(expected, nan_ok=True)
        assert math.isnan(expected) or -0.5 <= expected <= 1 + 1e-12


@given(st.integers(2, 30), st.integers(2, 4))
def test_trivial_clusterings_say_nothing_to_ari(n: int, k: int) -> None:
    gold = np.arange(n) % k
    if n > k:
        assert metrics.ari(gold, np.zeros(n)) == metrics.ari(gold, np.arange(n)) == pytest.approx(0)
    assert metrics.bcubed(gold, np.zeros(n)).recall == metrics.bcubed(gold, np.arange(n)).precision == 1


def test_of_nothing_nothing_is_said() -> None:
    empty = np.array([])
    for metric in (*CLUSTERING, metrics.accuracy, metrics.balanced_accuracy):
        assert math.isnan(metric(empty, empty))
    assert math.isnan(metrics.expected_calibration_error(empty, empty.astype(bool)))
    assert all(map(math.isnan, (*metrics.wilson(0, 0), *metrics.bootstrap(lambda _: 1.0, 0, seed=0))))
    assert math.isnan(metrics.f1(np.zeros(3, bool), np.zeros(3, bool)))


# ---- scores ----


def test_calibration_by_hand() -> None:
    """Two bins of two: the unsure pair is right half the time at 0.55, the sure pair always at 0.9."""
    confidence, right = np.array([0.9, 0.5, 0.9, 0.6]), np.array([True, True, True, False])
    assert metrics.expected_calibration_error(confidence, right, bins=2) == pytest.approx((0.05 + 0.1) / 2)
    assert metrics.expected_calibration_error(confidence, right, bins=1) == pytest.approx(0.75 - 0.725)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=80), st.integers(1, 20))
def test_calibration_against_a_plain_loop(items: list[tuple[float, bool]], bins: int) -> None:
    confidence, right = np.array([c for c, _ in items]), np.array([r for _, r in items])
    ranked = sorted(items, key=lambda item: item[0])
    count = min(bins, len(items))
    edges = [round(len(items) * b / count) for b in range(count + 1)]
    gaps = []
    for low, high in itertools.pairwise(edges):
        part = ranked[low:high]
        gaps.append(abs(sum(c for c, _ in part) - sum(r for _, r in part)))
    found = metrics.expected_calibration_error(confidence, right, bins)
    assert found == pytest.approx(sum(gaps) / len(items), abs=1e-9)
    assert 0 <= found <= 1


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auroc_is_scikit_learns(items: list[tuple[int, bool]]) -> None:
    score, positive = np.array([s for s, _ in items]), np.array([p for _, p in items])
    found = metrics.auroc(score, positive)
    if positive.all() or not positive.any():
        assert math.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(positive, score))
        assert metrics.auroc(np.exp(score), positive) == pytest.approx(found)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=30))
def test_spearman_is_scipys(items: list[tuple[int, int]]) -> None:
    first, second = (np.array(side) for side in zip(*items, strict=True))
    found = metrics.spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic)
        assert metrics.spearman(first**3, -second) == pytest.approx(-found)


def test_wilson_by_hand() -> None:
    """8 of 10 at 95 %: z = 1.959964, as in Brown, Cai and DasGupta (2001)."""
    assert metrics.wilson(8, 10) == pytest.approx((0.49016, 0.94331), abs=1e-5)
    assert metrics.wilson(0, 5).low == 0
    assert metrics.wilson(5, 5).high == 1
    assert metrics.wilson(800, 1000).high - metrics.wilson(800, 1000).low < 0.06


def test_the_bootstrap_is_seeded_and_holds_the_measure() -> None:
    values = np.random.default_rng(0).normal(3, 1, 200)

    def measure(rows: Any) -> float:
        return float(values[rows].mean())

    low, high = metrics.bootstrap(measure, 200, seed=1)
    assert metrics.bootstrap(measure, 200, seed=1) == (low, high) != metrics.bootstrap(measure, 200, seed=2)
    assert low < values.mean() < high
    # As wide as the normal interval of a mean is, 2 x 1.96 x standard error, to a tenth.
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 200**0.5, rel=0.1)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25))
def test_no_threshold_is_better_than_the_best(items: list[tuple[int, bool]]) -> None:
    score, positive = np.array([s for s, _ in items]), np.array([p for _, p in items])

    def right(threshold: float) -> int:
        return int(((score >= threshold) == positive).sum())

    tried = [-math.inf, math.inf, *(s + d for s in score for d in (-0.5, 0.5))]
    assert right(metrics.best_threshold(score, positive)) == max(map(right, tried))


def test_the_best_threshold_by_hand() -> None:
    score = np.array([0.1, 0.4, 0.6, 0.9])
    assert metrics.best_threshold(score, np.array([False, False, True, True])) == pytest.approx(0.5)
    assert metrics.best_threshold(score, np.array([True] * 4)) == -math.inf
    assert metrics.best_threshold(score, np.array([False] * 4)) == math.inf


# ---- graded senses ----

Given = Mapping[str, Mapping[str, float]]
WORN: Given = {"1": {"x": 4}, "2": {"x": 2, "y": 4}, "3": {"y": 1}, "4": {"x": 3}}
ANSWER: Given = {"1": {"p": 0.7, "q": 0.3}, "2": {"q": 1}, "3": {"q": 1}}


def bits(counts: Counter[Any]) -> float:
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())


def degrees(key: Given, usage: str, sense: str) -> float:
    return key.get(usage, {}).get(sense, 0.0) / max(key.get(usage, {}).values(), default=1.0)


def loop_nmi(gold: Given, answers: Given) -> float:
    """Written from Lancichetti et al. (2009, appendix B) and the task's description, without arrays."""
    usages = list(dict.fromkeys([*gold, *answers]))

    def variables(key: Given) -> list[list[float]]:
        senses = {sense for given in key.values() for sense in given}
        return [[degrees(key, usage, sense) for usage in usages] for sense in sorted(senses)]

    def binned(values: list[float]) -> list[int]:
        return [next(b for b in range(10) if value <= (b + 1) / 10) for value in values]

    def h(count: int) -> float:
        return -count / len(usages) * math.log(count / len(usages)) if count else 0.0

    def unknown(one: list[float], others: list[list[float]]) -> float:
        left = []
        for other in others:
            seen = Counter((a > 0, b > 0) for a, b in zip(one, other, strict=True))
            if h(seen[True, True]) + h(seen[False, False]) >= h(seen[True, False]) + h(seen[False, True]):
                joint = bits(Counter(zip(binned(one), binned(other), strict=True)))
                left.append(joint - bits(Counter(binned(other))))
        return min(left, default=bits(Counter(binned(one))))

    x, y = variables(gold), variables(answers)
    whole = [sum(bits(Counter(binned(v))) for v in side) for side in (x, y)]
    left = sum(unknown(v, y) for v in x), sum(unknown(v, x) for v in y)
    return (whole[0] - left[0] + whole[1] - left[1]) / 2 / max(whole) if max(whole) else 0.0


def loop_bcubed_graded(gold: Given, answers: Given) -> tuple[float, float]:
    def agreement(key: Given, a: str, b: str) -> float:
        shared = set(key.get(a, {})) & set(key.get(b, {}))
        return sum(1 - abs(degrees(key, a, s) - degrees(key, b, s)) for s in shared)

    def side(key: Given) -> float:
        total = 0.0
        for a in key:
            linked = [b for b in key if b != a and set(key[a]) & set(key[b])]
            whole = [(agreement(key, a, b), min(agreement(gold, a, b), agreement(answers, a, b))) for b in linked]
            shares = [both / own if own else 0.0 for own, both in whole]
            total += sum(shares) / len(linked) if linked else 0.0
        return total / len(gold)

    return side(gold), side(answers)


def test_fuzzy_bcubed_by_hand() -> None:
    """Degrees, gold: 1 x1; 2 x.5 y1; 3 y1; 4 x1. Answer: 1 p1 q.43; 2 q1; 3 q1; 4 none.

    Gold agreement: 1-2 .5, 1-4 1, 2-3 1, 2-4 .5. Answer: 1-2 and 1-3 3/7 (1 - 4/7), 2-3 1.
    Precision: usage 1 (3/7 / .5 + 0) / 2; usage 2 (6/7 + 1 + 0) / 3; usage 3 1; usage 4 0.
    Recall: usage 1 (1 + 0) / 2, as gold agreement .5 is more than 3/7; usage 2 (1 + 1) / 2; usage 3 (0 + 1) / 2.
    """
    found = fuzzy(WORN, ANSWER)
    assert found.precision == pytest.approx((3 / 7 + (6 / 7 + 1) / 3 + 1 + 0) / 4)
    assert found.recall == pytest.approx((0.5 + 1 + 0.5) / 4)
    assert found.f == pytest.approx(2 * found.precision * found.recall / (found.precision + found.recall))
    assert found.geometric_mean == pytest.approx(math.sqrt(found.nmi * found.f))


def test_fuzzy_nmi_by_hand() -> None:
    """Two senses, two usages each, found exactly: every bit is known. Each usage its own: of 2 bits of gold all, of
    the answers' 4 x H(1/4) bits none but what the gold tells of each."""
    gold: Given = {"1": {"x": 1}, "2": {"x": 1}, "3": {"y": 1}, "4": {"y": 1}}
    assert fuzzy(gold, {"1": {"p": 2}, "2": {"p": 5}, "3": {"q": 1}, "4": {"q": 1}}).nmi == pytest.approx(1)
    each = {usage: {usage: 1.0} for usage in gold}
    quarter = bits(Counter({1: 1, 0: 3}))  # H(1/4, 3/4) = 0.8113
    joint = bits(Counter({"both": 1, "gold only": 1, "neither": 2}))  # 1.5
    expected = ((2 - 2 * (joint - quarter)) + (4 * quarter - 4 * (joint - 1))) / 2 / (4 * quarter)
    assert fuzzy(gold, each).nmi == pytest.approx(expected)
    assert fuzzy(gold, {usage: {"one": 1.0} for usage in gold}) == (0.0, pytest.approx(1), pytest.approx(1 / 3))
    assert fuzzy(gold, {}) == (0.0, 0.0, 0.0)


graded = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, 10.0]), min_size=1, max_size=3),
    min_size=1,
    max_size=8,
)


@given(graded, graded)
def test_fuzzy_measures_against_plain_loops(gold: Given, answers: Given) -> None:
    """Also where the answers have usages that the gold has not, and the other way round."""
    found = fuzzy(gold, answers)
    assert found.nmi == pytest.approx(loop_nmi(gold, answers), abs=1e-9)
    assert found[1:] == pytest.approx(loop_bcubed_graded(gold, answers))


@given(graded, graded, st.permutations("xyz"), st.floats(0.1, 50))
def test_neither_names_nor_scale_nor_order_change_a_fuzzy_measure(
    gold: Given, answers: Given, names: list[str], scale: float
) -> None:
    renamed = dict(zip("xyz", names, strict=True))
    changed = {usage: {renamed[s]: w for s, w in given.items()} for usage, given in reversed(answers.items())}
    assert fuzzy(gold, changed) == pytest.approx(fuzzy(gold, answers), abs=1e-9)
    # Powers of two scale without rounding, which could move a degree over the edge of a bin.
    power = 2.0 ** round(math.log2(scale))
    scaled = {usage: {s: w * power for s, w in given.items()} for usage, given in answers.items()}
    assert fuzzy(gold, scaled) == fuzzy(gold, answers)


def test_overall_is_the_mean_over_lemmas_and_its_f_that_of_the_means() -> None:
    whole = overall([Fuzzy(0.2, 1.0, 0.5), Fuzzy(0.4, 0.0, 0.1)])
    assert whole == pytest.approx((0.3, 0.5, 0.3))
    assert whole.f == pytest.approx(2 * 0.5 * 0.3 / 0.8)
    assert whole.geometric_mean == pytest.approx(math.sqrt(0.3 * whole.f))
    assert all(map(math.isnan, (*overall([]), *fuzzy({}, {"1": {"x": 1}}))))
    assert Fuzzy(0.1, 0, 0).geometric_mean == Fuzzy(-1e-12, 1, 1).geometric_mean == 0
