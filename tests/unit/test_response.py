"""What is explained, and how it changes: derivatives against finite differences, the runner-up against a plain loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.drivers.response import Response
from analysis.senses import fit, induce, own_probabilities, probabilities, represent, represent_backward
from analysis.types import FloatArray, SenseModel

WIDTH, N = 6, 9
Matrix = NDArray[np.float64]


class Drawn(NamedTuple):
    vectors: FloatArray
    context: FloatArray
    response: Response


def drawn(seed: int, *, members: bool, weights: bool) -> Drawn:
    """Usages whose context is in part like their own, in three senses; soft enough for every slope to matter."""
    random = np.random.default_rng(seed)
    vectors, context = random.standard_normal((2, N, WIDTH)).astype(np.float32)
    sense = np.array([0, 1, 2, 0, 1, 0, 1, 2, 0])
    represented = represent(vectors, context)
    learnt = fit(represented, sense, ["a", "b", "c"], target="bank", supervised=weights)
    model = SenseModel("bank", learnt.senses, learnt.centroids, learnt.sizes, 0.4, learnt.weights)
    return Drawn(vectors, context, Response(model, sense, represented if members else None))


def in_double(response: Response, vectors: Matrix, context: Matrix, which: int) -> float:
    """The probability of the sense in plain double precision, one usage."""
    model, own = response.model, int(response.sense[which])

    def unit(row: Matrix) -> Matrix:
        length = np.linalg.norm(row)
        return row / length if length else row

    row = unit(np.concatenate([unit(vectors), 0.5 * unit(context)]))
    scores = []
    for k in range(len(model.senses)):
        if model.weights is not None:
            scores.append(row @ model.weights[k, :-1].astype(float) + model.weights[k, -1])
            continue
        centroid = model.centroids[k].astype(float)
        if k == own and response.members is not None and model.sizes[k] > 1:
            centroid = model.sizes[k] * centroid - response.members[which]
        scores.append(row @ unit(centroid))
    powers = np.exp(np.array(scores) / model.temperature)
    return float(powers[own] / powers.sum())


@pytest.mark.parametrize(("members", "weights"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("alone", [False, True])
def test_the_slope_is_that_of_finite_differences(members: bool, weights: bool, alone: bool) -> None:
    vectors, context, response = drawn(1, members=members, weights=weights)
    if alone:
        context = context * 0
    # Readings of usages in no order, one usage twice, none of them as it was when the model was made.
    which = np.array([4, 0, 7, 4])
    v, c = vectors[which] * 0.7 + 0.2, context[which] * 1.3
    value, to_vectors, to_context = response.slope(v, c, which)
    assert value.dtype == to_vectors.dtype == to_context.dtype == np.float32
    step = 1e-5
    for r, i in enumerate(which):
        at = v[r].astype(float), c[r].astype(float)
        assert value[r] == pytest.approx(in_double(response, *at, i), abs=1e-5)
        for part, slopes in enumerate((to_vectors, to_context)):
            if alone and part == 1:
                assert not slopes.any(), "a context of zeros has no direction to turn"
                continue
            for d in range(WIDTH):
                ends = []
                for way in (step, -step):
                    moved = [at[0].copy(), at[1].copy()]
                    moved[part][d] += way
                    ends.append(in_double(response, *moved, i))
                assert slopes[r, d] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=2e-5)
    assert np.abs(to_vectors).max() > 0.05, "or nothing was tested"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 20), alone=st.booleans())
def test_represent_backward_is_that_of_finite_differences(seed: int, scale: float, alone: bool) -> None:
    random = np.random.default_rng(seed)
    vectors, context = (scale * random.standard_normal((2, 2, WIDTH))).astype(np.float64)
    if alone:
        context[1] = 0
    slope = random.standard_normal((2, 2 * WIDTH))
    to_vectors, to_context = represent_backward(vectors, context, slope)

    def weighed(v: Matrix, c: Matrix) -> Matrix:
        parts = [v / np.linalg.norm(v, axis=1, keepdims=True), 0.5 * c]
        lengths = np.linalg.norm(c, axis=1, keepdims=True)
        parts[1] = parts[1] / np.where(lengths > 0, lengths, 1)
        both = np.concatenate(parts, axis=1)
        product: Matrix = (both / np.linalg.norm(both, axis=1, keepdims=True) * slope).sum(axis=1)
        return product

    step = 1e-6 * scale
    for d in range(WIDTH):
        way = step * np.eye(WIDTH)[d]
        by_vectors = (weighed(vectors + way, context) - weighed(vectors - way, context)) / (2 * step)
        np.testing.assert_allclose(to_vectors[:, d], by_vectors, atol=1e-4 / scale)
        by_context = (weighed(vectors, context + way) - weighed(vectors, context - way)) / (2 * step)
        rows = [0] if alone else [0, 1]
        np.testing.assert_allclose(to_context[rows, d], by_context[rows], atol=1e-4 / scale)
    if alone:
        assert not to_context[1].any()


def test_a_slope_turns_and_never_lengthens() -> None:
    """`represent` looks at directions only."""
    vectors, context, response = drawn(2, members=True, weights=False)
    _, to_vectors, to_context = response.slope(vectors, context, np.arange(N))
    np.testing.assert_allclose((to_vectors * vectors).sum(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose((to_context * context).sum(axis=1), 0, atol=1e-5)


def test_the_probabilities_are_those_of_the_senses() -> None:
    vectors, context, own = drawn(3, members=True, weights=False)
    new = drawn(3, members=False, weights=True).response
    represented, which = represent(vectors, context), np.array([8, 2, 2])
    np.testing.assert_array_equal(
        own.probabilities(vectors[which], context[which], which),
        own_probabilities(own.model, represented[which], own.sense[which]),
    )
    np.testing.assert_array_equal(
        new.probabilities(vectors[which], context[which], which), probabilities(new.model, represented[which])
    )
    # What is changed is the reading, never the row that is left out of the centroid.
    changed = own.probabilities(vectors[which] + 1, context[which], which)
    left_out = own_probabilities(
        own.model, represent(vectors[which] + 1, context[which]), own.sense[which], represented[which]
    )
    np.testing.assert_array_equal(changed, left_out)


def test_with_one_sense_nothing_changes() -> None:
    vectors, context, _ = drawn(4, members=True, weights=False)
    model, assignment = induce(vectors, context, target="bank", n_senses=1)
    response = Response(model, assignment.sense, represent(vectors, context))
    value, to_vectors, to_context = response.slope(vectors, context, np.arange(N))
    assert value.tolist() == [1] * N
    np.testing.assert_allclose(to_vectors, 0, atol=1e-6)
    np.testing.assert_allclose(to_context, 0, atol=1e-6)
    assert response.runner_up(np.ones((N, 1), dtype=np.float32)).tolist() == [-1] * N


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), k=st.integers(2, 5), n=st.integers(0, 6))
def test_the_runner_up_is_the_likeliest_of_the_others(seed: int, k: int, n: int) -> None:
    random = np.random.default_rng(seed)
    chances = random.dirichlet(np.ones(k), size=n).astype(np.float32).reshape(n, k)
    sense = random.integers(k, size=n)
    model = SenseModel("bank", tuple("abcde"[:k]), np.eye(k, 4, dtype=np.float32), np.ones(k, dtype=np.int64), 0.05)
    before = chances.copy()
    found = Response(model, sense).runner_up(chances)
    assert found.tolist() == [
        max((j for j in range(k) if j != own), key=lambda j: row[j])
        for own, row in zip(sense.tolist(), chances.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(chances, before)


@pytest.mark.parametrize("members", [True, False])
def test_some_of_the_usages(members: bool) -> None:
    vectors, context, response = drawn(5, members=members, weights=False)
    chosen = [7, 0, 3]
    some = response.take(chosen)
    assert some.model is response.model
    assert some.sense.tolist() == [2, 0, 0]
    for part, whole in zip(
        some.slope(vectors[chosen], context[chosen], np.arange(3)),
        response.slope(vectors[chosen], context[chosen], np.array(chosen)),
        strict=True,
    ):
        np.testing.assert_array_equal(part, whole)
    empty = response.take([])
    assert len(empty.sense) == 0
    assert (empty.members is None) == (not members)
