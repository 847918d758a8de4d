"""Distributions of one shape, on planted groups."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from analysis import mixture
from analysis.grouping import group, unit
from analysis.types import IntArray

WIDTH = 30


def planted(sizes: tuple[int, ...], seed: int, *, long: float = 1.0) -> tuple[mixture.Matrix, IntArray]:
    """Rows of unit length round means that differ along the first axes; the last axis varies most, in every group."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    means = 0.7 * np.eye(len(sizes), WIDTH)
    rows = means[labels] + 0.15 * random.normal(size=(len(labels), WIDTH))
    rows[:, -1] += long * random.normal(size=len(labels))
    return unit(rows), labels


@pytest.mark.parametrize(("sizes", "seed"), [((60, 60), 3), ((50, 40, 30), 0), ((50, 40, 30), 2)])
def test_a_direction_that_varies_in_every_group_misleads_k_means_and_not_the_mixture(
    sizes: tuple[int, ...], seed: int
) -> None:
    rows, labels = planted(sizes, seed, long=0.6)
    by_k_means = KMeans(len(sizes), n_init=10, random_state=0).fit_predict(rows)
    assert adjusted_rand_score(labels, by_k_means) < 0.5
    assert adjusted_rand_score(labels, mixture.fit(rows, [by_k_means]).nearest(rows)) > 0.95


def test_new_usages_join_their_groups() -> None:
    rows, labels = planted((80, 80), seed=2, long=0.3)
    known, new = np.arange(0, 160, 2), np.arange(1, 160, 2)
    found = mixture.fit(rows[known], [labels[known]])
    assert adjusted_rand_score(labels[new], found.nearest(rows[new])) > 0.9
    joined = group(rows.astype(np.float32), n_senses=2, learnt_from=known)
    assert adjusted_rand_score(labels, joined) > 0.9


def test_texts_of_one_pattern_are_not_taken_for_a_sense() -> None:
    rows, labels = planted((60, 60), seed=3, long=0.2)
    pattern = unit(rows[0] + 0.02 * np.random.default_rng(0).normal(size=(40, WIDTH)))
    both = np.concatenate([rows, pattern])
    truth = np.concatenate([labels, np.full(40, labels[0])])
    as_pattern = np.concatenate([np.zeros(120, np.int64), np.ones(40, np.int64)])
    found = mixture.fit(both, [as_pattern]).nearest(both)
    assert adjusted_rand_score(truth, found) > 0.9
    assert adjusted_rand_score(truth, group(both.astype(np.float32), n_senses=2)) > 0.9


def test_likelihoods_are_those_of_scikit_learns_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tails are a Gaussian's, the prior weighs next to nothing and no two usages are alike."""
    monkeypatch.setattr(mixture, "PRIOR", 1e-6)
    monkeypatch.setattr(mixture, "FREEDOM", 1e9)
    random = np.random.default_rng(4)
    labels = np.repeat([0, 1], 150)
    rows = np.array([[2.0, 0, 0], [-2.0, 0, 0]])[labels] + random.normal(size=(300, 3)) @ np.diag([1, 0.5, 2])
    end, member = mixture._climb(rows, np.ones(300), np.eye(2)[labels])
    expected = GaussianMixture(2, covariance_type="tied", means_init=end.means, tol=1e-8).fit(rows)
    assert np.abs(np.sort(end.means, axis=0) - np.sort(expected.means_, axis=0)).max() < 0.1
    assert np.abs(np.linalg.inv(end.precision) - expected.covariances_).max() < 0.1
    assert np.abs(member - expected.predict_proba(rows)).max() < 0.1


def test_usages_unlike_all_others_draw_no_group_towards_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    labels = np.repeat([0, 1], 100)
    rows = np.array([[2.0, 0, 0], [-2.0, 0, 0]])[labels] + 0.5 * random.normal(size=(200, 3))
    rows[:5] = [0, 30, 0]
    end, _ = mixture._climb(rows, np.ones(200), np.eye(2)[labels])
    assert np.abs(end.means[:, 1]).max() < 0.3
    monkeypatch.setattr(mixture, "FREEDOM", 1e9)
    gaussian, _ = mixture._climb(rows, np.ones(200), np.eye(2)[labels])
    assert np.abs(gaussian.means[:, 1]).max() > 1


def test_few_usages_of_many_axes() -> None:
    rows, labels = planted((2, 2), seed=5, long=0.0)
    assert set(mixture.fit(rows, [labels]).nearest(rows).tolist()) == {0, 1}
