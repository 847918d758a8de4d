"""Groups settled by what all others say, on planted groups."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.svm import LinearSVC

from analysis import ridge
from analysis.grouping import group, unit
from analysis.types import IntArray


def planted(sizes: tuple[int, ...], seed: int) -> tuple[ridge.Matrix, IntArray]:
    """Rows of unit length round means that differ along many axes, along each of them by less than the rows vary."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    means = 0.08 * random.normal(size=(len(sizes), 200))
    return unit(means[labels] + 0.1 * random.normal(size=(len(labels), 200))), labels


def mistaken(labels: IntArray, share: float, seed: int) -> IntArray:
    """The labels, but for a share of them that are drawn anew."""
    random = np.random.default_rng(seed)
    return np.where(random.random(len(labels)) < share, random.integers(0, labels.max() + 1, len(labels)), labels)


@pytest.mark.parametrize("sizes", [(30, 30), (40, 20, 9)])
def test_what_is_said_of_a_usage_was_learnt_without_it(sizes: tuple[int, ...]) -> None:
    rows, labels = planted(sizes, seed=1)
    n, each = len(sizes), np.arange(len(labels))
    alike = rows @ rows.T + 1
    told, inverse = ridge._learn(alike, labels, n)
    without = np.eye(n)[labels] - told / np.diag(inverse)[:, None]
    penalty = n * np.bincount(labels)[labels] / (ridge.STRENGTH * len(labels))
    for i in (0, 17, len(labels) - 1):
        rest = each[each != i]
        learnt = np.linalg.solve(alike[np.ix_(rest, rest)] + np.diag(penalty[rest]), np.eye(n)[labels[rest]])
        assert np.allclose(alike[i, rest] @ learnt, without[i])


@pytest.mark.parametrize(("sizes", "seed"), [((60, 60), 0), ((90, 40, 30), 1)])
def test_usages_move_to_where_the_others_say(sizes: tuple[int, ...], seed: int) -> None:
    rows, labels = planted(sizes, seed)
    begun = mistaken(labels, 0.2, seed)
    assert adjusted_rand_score(labels, begun) < 0.8
    assert adjusted_rand_score(labels, ridge.settle(rows, begun).groups) > 0.95


def test_few_usages_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = planted((24, 24), seed=3)
    begun = mistaken(labels, 0.2, seed=3)
    assert np.array_equal(ridge.settle(rows, begun).groups, begun)
    monkeypatch.setattr(ridge, "FEWEST", len(rows))
    assert np.array_equal(ridge.settle(rows, begun).groups, labels)


def test_no_group_is_lost() -> None:
    rows, labels = planted((100,), seed=4)
    labels[7] = 1  # which all others would move
    assert np.array_equal(ridge.settle(rows, labels).groups, labels)


def test_others_join_the_groups() -> None:
    rows, labels = planted((120, 80), seed=5)
    known = np.arange(0, 200, 2)
    settled = ridge.settle(rows[known], labels[known])
    assert np.array_equal(settled.nearest(rows), LinearSVC().fit(rows[known], labels[known]).predict(rows))
    joined = group(rows.astype(np.float32), n_senses=2, learnt_from=known)
    assert adjusted_rand_score(labels, joined) > 0.95
