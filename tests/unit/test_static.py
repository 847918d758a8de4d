"""Static against contextual vectors: cosines by a plain loop, planted layers, pairs that are drawn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.corpus import documents
from analysis.record import StaticComparison
from analysis.static import averaged, compare, cosines, layer_maps
from analysis.text import find
from analysis.types import FloatArray, IntArray, Occurrence, Usages
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

SENSE = np.repeat([0, 1], 6)
TEXTS = RIVER + MONEY


def cosine(a: FloatArray, b: FloatArray) -> float:
    length = sum(float(x) ** 2 for x in a) ** 0.5 * sum(float(x) ** 2 for x in b) ** 0.5
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True)) / length if length else 0.0


def compared(texts: list[str], sense: IntArray, *, pairs: int = 0, seed: int = 0) -> StaticComparison:
    encoder = FakeEncoder()
    usages = encoder.encode(find(documents(texts), "bank").occurrences, layers=range(encoder.layers + 1))
    return compare(encoder, usages, sense, ids=[f"u{i}" for i in range(len(usages))], pairs=pairs, seed=seed)


def usages_of(layers: FloatArray) -> Usages:
    """Usages of "bank" with these hidden states (N, L+1, D)."""
    n = len(layers)
    occurrences = tuple(Occurrence(f"bank {i}", "bank", 0, 4, str(i)) for i in range(n))
    ids = tuple(range(layers.shape[1]))
    return Usages(occurrences, layers[:, -1], layers[:, -1], ((),) * n, ids, layers)


# cosines


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 5), layers=st.integers(1, 3))
def test_cosines_against_a_plain_loop(seed: int, n: int, layers: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((layers, n, 4)).astype(np.float32)
    vectors[:, 0] = 0
    first, second = random.integers(0, n, 7), random.integers(0, n, 7)
    expected = [[cosine(rows[a], rows[b]) for a, b in zip(first, second, strict=True)] for rows in vectors]
    found = cosines(vectors, first, second)
    assert found.shape == (layers, 7)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(cosines(vectors[-1], first, second), found[-1])


def test_the_mean_cosine_of_a_layer_against_a_plain_loop() -> None:
    layers = np.random.default_rng(0).standard_normal((5, 2, 6)).astype(np.float32)
    found = compare(FakeEncoder(), usages_of(layers), np.array([0, 0, 1, 1, 1]), ids=list("abcde"))
    assert [layer.layer for layer in found.layers] == ["static", 0, 1]
    for i, layer in enumerate(found.layers[1:]):
        every = [cosine(layers[a, i], layers[b, i]) for a, b in combinations(range(5), 2)]
        assert layer.cosine == pytest.approx(np.mean(every), abs=1e-5)


# the static vector


def test_the_static_vector_of_a_form_is_the_same_in_all_sentences() -> None:
    found = compared(TEXTS, SENSE, pairs=99)
    static, *contextual = found.layers
    assert (static.layer, static.cosine, static.auc, static.silhouette) == ("static", 1.0, 0.5, 0.0)
    assert found.pairs is not None
    assert {pair.static for pair in found.pairs} == {1.0}
    assert all(layer.cosine is not None and layer.cosine < 1 for layer in contextual[1:])
    assert contextual[-1].auc is not None
    assert contextual[-1].auc > 0.95
    assert contextual[-1].within is not None
    assert contextual[-1].between is not None
    assert contextual[-1].within > contextual[-1].between + 0.1


def test_each_form_has_a_static_vector_of_its_own() -> None:
    texts = ["the bank river", "the banks of the river", "banks lend", "the bank lends"]
    found = compared(texts, np.array([0, 0, 1, 1]), pairs=6)
    assert [(form.form, form.count) for form in found.forms] == [("bank", 2), ("banks", 2)]
    bank, banks = FakeEncoder().static(["bank", "banks"])
    assert found.pairs is not None
    for pair in found.pairs:
        same_form = {pair.a, pair.b} in ({"u0", "u3"}, {"u1", "u2"})
        assert pair.static == pytest.approx(1.0 if same_form else cosine(bank, banks), abs=1e-5)


def test_forms_are_counted_most_frequent_first() -> None:
    found = compared(["Banks", "banks", "bank", "banks"], np.zeros(4, np.int64))
    assert [(form.form, form.count) for form in found.forms] == [("banks", 2), ("Banks", 1), ("bank", 1)]
    assert found.n == 4


# layers


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), planted=st.integers(0, 2))
def test_a_planted_layer_separates_better_than_noise(seed: int, planted: int) -> None:
    layers = np.random.default_rng(seed).standard_normal((12, 3, 16)).astype(np.float32)
    layers[np.arange(12), planted, SENSE] += 20
    found = compare(FakeEncoder(), usages_of(layers), SENSE, ids=[str(i) for i in range(12)]).layers[1:]
    for layer in found:
        assert layer.auc is not None
        assert layer.silhouette is not None
        if layer.layer == planted:
            assert layer.auc == 1.0
            assert layer.silhouette > 0.6
        else:
            assert layer.auc < 0.85
            assert layer.silhouette < 0.3


def test_what_is_not_defined_is_null() -> None:
    (layer, *_) = compared(["the bank river"], np.array([0])).layers
    assert (layer.cosine, layer.within, layer.between, layer.auc, layer.silhouette) == (None,) * 5
    one_sense = compared(RIVER, np.zeros(6, np.int64)).layers[-1]
    assert one_sense.within == one_sense.cosine is not None
    assert (one_sense.between, one_sense.auc, one_sense.silhouette) == (None, None, None)


def test_usages_without_layers_cannot_be_compared() -> None:
    encoder = FakeEncoder()
    usages = encoder.encode(find(documents(TEXTS), "bank").occurrences)
    with pytest.raises(ValueError, match="layers"):
        compare(encoder, usages, SENSE, ids=[str(i) for i in range(12)])


# the baseline without attention: the neighbours' static vectors, averaged


def test_the_baseline_is_the_mean_of_the_other_words() -> None:
    encoder = FakeEncoder()
    usages = encoder.encode(find(documents(["the bank, river", "bank", "a bank bank"]), "bank").occurrences)
    the, river, a, bank = (row / np.linalg.norm(row) for row in encoder.static(["the", "river", "a", "bank"]))
    expected = [(the + river) / 2, 0 * the, (a + bank) / 2, (a + bank) / 2]
    np.testing.assert_allclose(averaged(encoder, usages), expected, atol=1e-6)


def test_the_baseline_comes_with_the_pairs_and_knows_the_context() -> None:
    assert compared(TEXTS, SENSE).averaged is None
    found = compared(TEXTS, SENSE, pairs=99)
    encoder = FakeEncoder()
    around = averaged(encoder, encoder.encode(find(documents(TEXTS), "bank").occurrences))
    assert found.averaged is not None
    assert found.averaged.layer == "averaged"
    assert found.averaged.within is not None
    assert found.averaged.between is not None
    assert found.averaged.within > found.averaged.between
    for pair in found.pairs or ():
        assert pair.averaged == pytest.approx(cosine(around[int(pair.a[1:])], around[int(pair.b[1:])]), abs=1e-5)


# maps


def test_the_maps_of_two_usages_worked_by_hand() -> None:
    """One form: one point. At the second layer they stand at a right angle: half of its chord to either side."""
    vectors = np.array([[[2, 0], [2, 0]], [[1, 0], [0, 3]]], dtype=np.float32)
    found = layer_maps(vectors)
    np.testing.assert_allclose(found[0], 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(found[1]), [[0.5**0.5, 0]] * 2, atol=1e-6)
    assert found[1, 0, 0] == -found[1, 1, 0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 9), width=st.integers(2, 40))
def test_maps_are_the_best_two_axes_of_all_layers_together(seed: int, n: int, width: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((3, n, width))
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    rows = (unit - unit.mean(axis=1, keepdims=True)).reshape(-1, width)
    strength = np.linalg.svd(rows, compute_uv=False)[:2]
    found = layer_maps(vectors)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.reshape(-1, 2), axis=0), [*strength, 0][:2], atol=1e-6)


def test_the_maps_go_with_the_usages() -> None:
    found = compared(TEXTS, SENSE, pairs=9)
    assert found.ids == tuple(f"u{i}" for i in range(12))
    assert found.maps is not None
    assert np.shape(found.maps) == (len(found.layers), 12, 2)
    assert not np.any(found.maps[0]), "one form has one static vector"
    assert np.any(found.maps[-1])


# pairs


def test_all_pairs_are_listed_where_they_are_few() -> None:
    found = compared(TEXTS, SENSE, pairs=66)
    assert found.pairs is not None
    assert [(pair.a, pair.b) for pair in found.pairs] == list(combinations([f"u{i}" for i in range(12)], 2))
    encoder = FakeEncoder()
    usages = encoder.encode(find(documents(TEXTS), "bank").occurrences, layers=range(4))
    assert usages.layers is not None
    for pair in found.pairs:
        a, b = int(pair.a[1:]), int(pair.b[1:])
        assert pair.same_sense == ((a < 6) == (b < 6))
        assert pair.layers == pytest.approx(
            [cosine(usages.layers[a, i], usages.layers[b, i]) for i in range(4)], abs=1e-5
        )


def test_pairs_are_limited_and_drawn_by_the_seed() -> None:
    found, again, other = (compared(TEXTS, SENSE, pairs=20, seed=seed).pairs for seed in (1, 1, 2))
    whole = compared(TEXTS, SENSE, pairs=66).pairs
    assert found is not None
    assert whole is not None
    assert len(set(found)) == 20
    assert set(found) < set(whole)
    assert found == again != other


def test_no_pairs_unless_asked_for() -> None:
    assert compared(TEXTS, SENSE).pairs is None
