"""Senses on synthetic clouds: worked by hand, by property, and against scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, roc_auc_score, silhouette_score

from analysis import grouping, senses
from analysis.errors import BadOption
from analysis.senses import (
    abstaining,
    assign,
    check_n_senses,
    exemplars,
    induce,
    own_probabilities,
    probabilities,
    represent,
    separation,
    verdict,
)
from analysis.types import Assignment, FloatArray, IntArray, SenseModel

WIDTH = 32


def clouds(sizes: list[int], *, seed: int = 0, apart: float = 2.0) -> tuple[FloatArray, FloatArray, IntArray]:
    """Usages of len(sizes) senses round a large common part, their contexts, and the sense of each."""
    random = np.random.default_rng(seed)
    sense = np.repeat(np.arange(len(sizes)), sizes)
    centre = 3 * np.ones(WIDTH) / np.sqrt(WIDTH) + apart * np.eye(WIDTH)[: len(sizes)]
    vectors = centre[sense] + 0.2 * random.standard_normal((len(sense), WIDTH))
    context = random.standard_normal((len(sense), WIDTH))
    return vectors.astype(np.float32), context.astype(np.float32), sense


def same_grouping(a: IntArray, b: IntArray) -> bool:
    return bool(np.array_equal(a[:, None] == a, b[:, None] == b))


def model_of(centroids: list[list[float]], sizes: list[int], temperature: float = 0.5) -> SenseModel:
    names = tuple(f"s{k}" for k in range(len(sizes)))
    return SenseModel("bank", names, np.array(centroids, np.float32), np.array(sizes), temperature)


# represent


def test_represent_worked_by_hand() -> None:
    row = represent(np.array([[3, 4]], np.float32), np.array([[0, 2]], np.float32))
    assert row.dtype == np.float32
    np.testing.assert_allclose(row, np.array([[0.6, 0.8, 0, 0.5]]) / np.sqrt(1.25), rtol=1e-6)


def test_represent_a_target_that_stands_alone() -> None:
    row = represent(np.array([[3, 4]], np.float32), np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(row, [[0.6, 0.8, 0, 0]], rtol=1e-6)


def test_represent_reads_each_row_alone() -> None:
    vectors, context, _ = clouds([4, 3])
    alone = np.concatenate([represent(vectors[i : i + 1], context[i : i + 1]) for i in range(7)])
    np.testing.assert_array_equal(represent(vectors, context), alone)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, rtol=1e-6)


# induce


@pytest.mark.parametrize("sizes", [[6, 4], [30, 20], [3, 2], [12, 10, 8], [25, 20, 15, 10], [40, 4]])
def test_induce_finds_clear_senses_and_numbers_them_by_size(sizes: list[int]) -> None:
    vectors, context, gold = clouds(sizes)
    model, found = induce(vectors, context, target="bank")
    assert found.sense.tolist() == gold.tolist()
    assert model.senses == tuple(f"s{k}" for k in range(len(sizes)))
    assert model.sizes.tolist() == sizes
    assert model.target == "bank"
    assert found.confidence.dtype == np.float32


@pytest.mark.parametrize("n", [12, 30, 200])
def test_one_cloud_is_one_sense(n: int) -> None:
    model, found = induce(*clouds([n])[:2], target="dog")
    assert model.senses == ("s0",)
    assert found.sense.tolist() == [0] * n


@pytest.mark.parametrize("rare", [4, 6, 12])
def test_a_rare_sense_is_found_beside_a_frequent_one(rare: int) -> None:
    vectors, context, gold = clouds([200, rare])
    assert induce(vectors, context, target="pitcher")[1].sense.tolist() == gold.tolist()


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_a_few_odd_usages_are_no_rare_sense(odd: int) -> None:
    assert induce(*clouds([200, odd])[:2], target="pitcher")[0].senses == ("s0",)


def test_one_usage_and_two_usages_are_one_sense_unless_told_otherwise() -> None:
    vectors, context, _ = clouds([1, 1])
    assert induce(vectors[:1], context[:1], target="bank")[0].sizes.tolist() == [1]
    assert induce(vectors, context, target="bank")[0].sizes.tolist() == [2]
    assert induce(vectors, context, target="bank", n_senses=2)[0].sizes.tolist() == [1, 1]


@pytest.mark.parametrize("k", [1, 2, 5, 9, 10])
def test_the_number_of_senses_can_be_given(k: int) -> None:
    vectors, context, _ = clouds([6, 4])
    model, found = induce(vectors, context, target="bank", n_senses=k)
    assert len(model.senses) == k
    assert np.bincount(found.sense).tolist() == model.sizes.tolist() == sorted(model.sizes, reverse=True)


@pytest.mark.parametrize("k", [-1, 0, 4])
def test_a_number_of_senses_that_cannot_be(k: int) -> None:
    vectors, context, _ = clouds([2, 1])
    with pytest.raises(BadOption, match="of 3 usages") as caught:
        induce(vectors, context, target="bank", n_senses=k)
    assert caught.value.where == ("n_senses",)
    with pytest.raises(BadOption):
        check_n_senses(k, 3)


def test_more_senses_than_distinct_usages() -> None:
    vectors, context, _ = clouds([2, 1])
    with pytest.raises(BadOption, match="only 3 of the 6 usages are distinct") as caught:
        induce(np.tile(vectors, (2, 1)), np.tile(context, (2, 1)), target="bank", n_senses=4)
    assert caught.value.where == ("n_senses",)


def test_copies_of_one_usage_are_one_sense() -> None:
    vectors, context, _ = clouds([1])
    model, found = induce(np.tile(vectors, (9, 1)), np.tile(context, (9, 1)), target="bank")
    assert model.sizes.tolist() == [9]
    assert np.isfinite(found.confidence).all()


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
    apart=st.sampled_from([0.0, 0.5, 2.0]),
    order=st.randoms(use_true_random=False),
)
def test_order_and_copies_change_nothing(sizes: list[int], seed: int, apart: float, order: object) -> None:
    vectors, context, _ = clouds(sizes, seed=seed, apart=apart)
    once = induce(vectors, context, target="bank")[1].sense
    mixed = list(range(len(vectors))) * 2
    order.shuffle(mixed)  # type: ignore[attr-defined]
    model, twice = induce(vectors[mixed], context[mixed], target="bank")
    assert same_grouping(twice.sense, once[mixed])
    assert np.array_equal(twice.sense, once[mixed])  # and the same names, as the canonical order breaks ties
    assert model.sizes.tolist() == (2 * np.bincount(once)).tolist()


def test_many_usages_are_grouped_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "SAMPLE", 60)
    vectors, context, gold = clouds([150, 100])
    model, found = induce(vectors, context, target="bank", seed=3)
    assert found.sense.tolist() == gold.tolist()
    again, _ = induce(vectors, context, target="bank", seed=3)
    np.testing.assert_array_equal(model.centroids, again.centroids)
    flipped = induce(vectors[::-1], context[::-1], target="bank", seed=3)[1]
    assert flipped.sense[::-1].tolist() == found.sense.tolist()


def test_more_senses_than_the_sample_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "SAMPLE", 10)
    assert len(induce(*clouds([30])[:2], target="bank", n_senses=12)[0].senses) == 12


# probabilities


def test_probabilities_worked_by_hand() -> None:
    model = model_of([[2, 0], [0, 0.5]], [3, 2])  # lengths do not matter to a cosine
    chances = probabilities(model, np.array([[1, 0], [0.6, 0.8]], np.float32))
    np.testing.assert_allclose(chances[0], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], rtol=1e-6)
    np.testing.assert_allclose(chances[1, 1], 1 / (1 + np.exp(-0.4)), rtol=1e-6)


def test_own_probabilities_leave_the_usage_out() -> None:
    vectors, context, _ = clouds([5, 3, 1], apart=0.4)
    represented = represent(vectors, context)
    model, found = induce(vectors, context, target="bank", n_senses=3)
    own = own_probabilities(model, represented, found.sense)
    for i, row in enumerate(represented):  # the plain way: every centroid anew without usage i
        centroids = []
        for k in range(3):
            members = [j for j in np.flatnonzero(found.sense == k) if j != i] or [i]
            mean = represented[members].mean(axis=0)
            centroids.append(mean / np.linalg.norm(mean))
        power = np.exp(np.array(centroids) @ row / model.temperature)
        np.testing.assert_allclose(own[i], power / power.sum(), rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(found.confidence, own[np.arange(9), found.sense])


def test_own_probabilities_of_a_changed_reading_leave_out_the_usage_it_changed() -> None:
    model = model_of([[0.5, 0.5], [-1, 0]], [2, 4])  # the first sense holds (1, 0) and (0, 1)
    member, changed = np.array([[1, 0]], np.float32), np.array([[0.6, 0.8]], np.float32)
    own = own_probabilities(model, changed, np.array([0]), member)
    np.testing.assert_allclose(own[0, 0], 1 / (1 + np.exp(-(0.8 + 0.6) / 0.5)), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), k=st.integers(1, 4))
def test_probabilities_sum_to_one_and_assign_takes_the_largest(seed: int, k: int) -> None:
    vectors, context, _ = clouds([4, 3], seed=seed, apart=0.3)
    represented = represent(vectors, context)
    model, found = induce(vectors, context, target="bank", n_senses=k)
    chances = probabilities(model, represented)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(own_probabilities(model, represented, found.sense).sum(axis=1), 1, rtol=1e-5)
    given_senses = assign(model, represented)
    np.testing.assert_array_equal(given_senses.sense, chances.argmax(axis=1))
    np.testing.assert_array_equal(given_senses.confidence, chances.max(axis=1))


def test_new_usages_join_their_sense() -> None:
    model, _ = induce(*clouds([20, 15])[:2], target="bank")
    vectors, context, gold = clouds([3, 4], seed=9)
    new = assign(model, represent(vectors, context))
    assert new.sense.tolist() == gold.tolist()
    assert new.confidence.min() > 0.9


# verdict, exemplars


@pytest.mark.parametrize(
    ("k", "n", "expected"),
    [
        (1, 1, "too little data"),
        (2, 3, "too little data"),
        (1, 4, "one sense"),
        (2, 4, "several senses"),
        (3, 90, "several senses"),
    ],
)
def test_verdict(k: int, n: int, expected: str) -> None:
    assert verdict(model_of([[1, 0]] * k, [1] * k), n) == expected


def test_exemplars_are_the_nearest_and_no_two_alike() -> None:
    rows = np.array([[0.8, 0.6], [1, 0], [1, 0], [0, 1], [0.6, 0.8], [0.28, 0.96]], np.float32)
    model = model_of([[1, 0], [0, 1]], [3, 3])
    found = Assignment(np.array([0, 0, 0, 1, 1, 1]), np.ones(6, np.float32))
    assert exemplars(rows, found, model) == [[1, 0], [3, 5, 4]]
    assert exemplars(rows, found, model, k=1) == [[1], [3]]
    assert exemplars(rows, Assignment(np.full(6, -1), found.confidence), model) == [[], []]


# separation


def test_separation_worked_by_hand() -> None:
    vectors = np.array([[1, 0], [2, 0], [0, 1], [0, 3]], np.float32)
    assert separation(vectors, np.array([0, 0, 1, 1])) == pytest.approx((1.0, 0.0, 1.0, 1.0))
    within, between, auc, _ = separation(vectors, np.array([0, 1, 0, 1]))
    assert (within, between, auc) == pytest.approx((0.0, 0.5, 0.25))


def test_separation_where_it_is_not_defined() -> None:
    vectors = np.eye(3, dtype=np.float32)
    one = separation(vectors, np.zeros(3, np.int64))
    assert one.within == 0.0
    assert np.isnan([one.between, one.auc, one.silhouette]).all()
    apart = separation(vectors, np.arange(3))
    assert apart.between == 0.0
    assert np.isnan([apart.within, apart.auc, apart.silhouette]).all()
    assert np.isnan(separation(vectors[:1], np.array([0]))).all()
    assert np.isnan(separation(vectors, np.full(3, -1))).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), names=st.permutations([0, 1, 2]))
def test_separation_against_scikit_learn_and_under_other_names(seed: int, names: list[int]) -> None:
    vectors, _, sense = clouds([5, 4, 3], seed=seed, apart=0.2)
    found = separation(vectors, sense)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), 1)
    same, cosine = sense[first] == sense[second], (unit[first] * unit[second]).sum(axis=1)
    assert found.within == pytest.approx(cosine[same].mean(), abs=1e-5)
    assert found.between == pytest.approx(cosine[~same].mean(), abs=1e-5)
    assert found.auc == pytest.approx(roc_auc_score(same, cosine), abs=2e-3)  # float32 may swap two near ties
    assert found.silhouette == pytest.approx(silhouette_score(vectors, sense, metric="cosine"), abs=1e-5)
    assert separation(vectors, np.array(names)[sense]) == pytest.approx(found)


def test_separation_of_static_vectors_is_chance() -> None:
    found = separation(np.ones((6, 4), np.float32), np.array([0, 0, 0, 1, 1, 1]))
    assert found == pytest.approx((1.0, 1.0, 0.5, 0.0), abs=1e-6)


def test_separation_of_many_usages_is_near_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _, sense = clouds([300, 200], apart=0.3)
    whole = separation(vectors, sense)
    monkeypatch.setattr(senses, "MOST_PAIRED", 200)
    part = separation(vectors, sense, seed=1)
    assert part == separation(vectors, sense, seed=1)
    assert part == pytest.approx(whole, abs=0.05)


def test_induced_senses_agree_with_the_gold_when_clouds_overlap() -> None:
    vectors, context, gold = clouds([40, 30], apart=0.9)
    assert adjusted_rand_score(gold, induce(vectors, context, target="bank")[1].sense) > 0.9


def test_what_is_familiar_worked_by_hand() -> None:
    """Two usages of one sense are 0.8 alike: each is told from the other, not from a mean that it is half of."""
    rows = np.array([[1, 0], [0.8, 0.6]], np.float32)
    assert senses.fit(rows, np.array([0, 0]), ["a"], target="bank").familiar == pytest.approx(0.8)
    assert senses.fit(rows, np.array([0, 1]), ["a", "b"], target="bank").familiar == -1, "each alone: nothing is known"


# certainty


def test_more_than_two_senses_are_found_where_two_groups_alone_are_not_clear() -> None:
    """Eight senses that all differ alike: two groups of them are loose (0.09, below chance), eight are tight."""
    vectors, context, gold = clouds([15] * 8, apart=1.5)
    model, found = induce(vectors, context, target="mole")
    assert len(model.senses) == 8
    assert same_grouping(found.sense, gold)


@pytest.mark.parametrize("n", [8, 12, 20, 50, 120])
def test_chance_grants_a_small_collection_more(n: int) -> None:
    two, more, two_of_more_usages = grouping.chance(n, 2), grouping.chance(n, 3), grouping.chance(n + 10, 2)
    assert two < more  # more groups fit noise better
    assert two_of_more_usages <= two  # and so do fewer usages
    assert two == pytest.approx(0.8 / np.sqrt(min(max(n, 16), 50)))


def test_abstaining_takes_the_sense_and_keeps_the_confidence() -> None:
    given_senses = Assignment(np.array([0, 1, 1]), np.array([0.9, 0.5, 0.4], np.float32))
    unsure = abstaining(given_senses, 0.5)
    assert unsure.sense.tolist() == [0, 1, -1]
    np.testing.assert_array_equal(unsure.confidence, given_senses.confidence)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability(threshold: float) -> None:
    with pytest.raises(BadOption, match="no probability"):
        senses.check_threshold(threshold)
