"""The field's metrics, pure functions over arrays of N items.

Labels are any integers or strings: only which items share one counts, unless a docstring says otherwise. Where nothing
can be said (no items, one class only), the answer is NaN, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from sklearn.metrics import adjusted_rand_score, v_measure_score

Labels = NDArray[Any]
Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


class Interval(NamedTuple):
    """From `low` to `high`, both within the measure's range."""

    low: float
    high: float


class BCubed(NamedTuple):
    """`f` is the harmonic mean of the two."""

    precision: float
    recall: float
    f: float


def accuracy(gold: Labels, predicted: Labels) -> float:
    """0..1: the share of items (N) whose predicted label is the gold one."""
    return float(np.mean(gold == predicted)) if len(gold) else float("nan")


def balanced_accuracy(gold: Labels, predicted: Labels) -> float:
    """0..1: the mean over the gold classes of the share predicted right (Brodersen et al. 2010)."""
    right = gold == predicted
    return float(np.mean([right[gold == label].mean() for label in np.unique(gold)])) if len(gold) else float("nan")


def f1(gold: Bools, predicted: Bools) -> float:
    """0..1: the harmonic mean of precision and recall of the positive class; 0 where no positive is found."""
    found = int((gold & predicted).sum())
    total = int(gold.sum() + predicted.sum())
    return 2 * found / total if total else float("nan")


def ari(gold: Labels, predicted: Labels) -> float:
    """-0.5..1: the Rand index adjusted for chance, 0 being chance (Hubert and Arabie 1985), by scikit-learn."""
    return float(adjusted_rand_score(gold, predicted)) if len(gold) else float("nan")


def v_measure(gold: Labels, predicted: Labels) -> float:
    """0..1: the harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007), by scikit-learn.

    It favours many clusters: one cluster each scores well.
    """
    return float(v_measure_score(gold, predicted)) if len(gold) else float("nan")


def bcubed(gold: Labels, predicted: Labels) -> BCubed:
    """B-cubed precision, recall and F, each in 0..1 (Bagga and Baldwin 1998; Amigó et al. 2009).

    Precision is the mean over the items of the share of their cluster that has their class, the item itself among
    them; recall is the same with cluster and class exchanged.
    """
    if not len(gold):
        return BCubed(float("nan"), float("nan"), float("nan"))
    table = _contingency(gold, predicted)
    precision = float((table**2 / table.sum(axis=0)).sum() / len(gold))
    recall = float((table**2 / table.sum(axis=1, keepdims=True)).sum() / len(gold))
    return BCubed(precision, recall, 2 * precision * recall / (precision + recall))


def bcubed_f(gold: Labels, predicted: Labels) -> float:
    """0..1: the harmonic mean of B-cubed precision and recall; see `bcubed`."""
    return bcubed(gold, predicted).f


def paired_f(gold: Labels, predicted: Labels) -> float:
    """0..1: precision and recall over pairs of items that share a cluster and a class (Manandhar et al. 2010).

    It favours few clusters: one cluster for all scores well. 0 where no pair shares both; NaN where none shares either.
    """
    table = _contingency(gold, predicted)
    both, classes, clusters = _pairs(table), _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    return 2 * both / (classes + clusters) if classes + clusters else float("nan")


def expected_calibration_error(confidence: Floats, correct: Bools, bins: int = 15) -> float:
    """0..1: the mean distance of confidence from accuracy over `bins` bins of equal mass (Nguyen and O'Connor 2015).

    `confidence` (N) in 0..1, `correct` (N). The bins hold as equal numbers of items as there can be, in the order of
    their confidence; items of equal confidence stand in the order of the input. Each bin counts by its size.
    """
    if not len(confidence):
        return float("nan")
    order = np.argsort(confidence, kind="stable")
    edges = np.linspace(0, len(order), min(bins, len(order)) + 1).round().astype(int)
    gap = np.asarray(confidence, dtype=np.float64)[order] - np.asarray(correct, dtype=np.float64)[order]
    return float(np.abs(np.add.reduceat(gap, edges[:-1])).sum() / len(order))


def auroc(score: Floats, positive: Bools) -> float:
    """0..1: the probability that a positive item scores higher than a negative one, ties counting half.

    With confidence and correctness it says whether the confidence tells right from wrong (Hendrycks and Gimpel 2017).
    NaN where there is no positive or no negative item.
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = float(rankdata(score)[positive].sum())
    return (ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def spearman(first: Floats, second: Floats) -> float:
    """-1..1: the correlation of the ranks, ties at their mean rank (Spearman 1904). NaN where one is constant."""
    if len(first) < 2:
        return float("nan")
    a, b = (rank - rank.mean() for rank in (rankdata(first), rankdata(second)))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else float("nan")


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The interval of a share, within 0..1, at the confidence `level` (Wilson 1927). NaN where `n` is 0."""
    if not n:
        return Interval(float("nan"), float("nan"))
    z, share = float(norm.ppf((1 + level) / 2)), successes / n
    middle = share + z * z / (2 * n)
    half = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    # The bounds meet 0 and 1 exactly where the share does; rounding would leave them a hair outside.
    return Interval(max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n)))


def bootstrap(
    measure: Callable[[NDArray[np.int64]], float], n: int, *, seed: int, draws: int = 1000, level: float = 0.95
) -> Interval:
    """The percentile interval of `measure`, called with the indices of each draw of `n` items (Efron 1979).

    Draws in which the measure is NaN are left out; NaN where all are.
    """
    random = np.random.default_rng(seed)
    values = np.array([measure(random.integers(0, n, n)) for _ in range(draws)] if n else [])
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def best_threshold(score: Floats, positive: Bools) -> float:
    """The lowest threshold whose `score >= threshold` has the best accuracy; midway between neighbouring scores.

    Infinite where calling all positive, or none, is best.
    """
    values, group = np.unique(score, return_inverse=True)
    yes = np.bincount(group, weights=positive, minlength=len(values))
    no = np.bincount(group, weights=~positive, minlength=len(values))
    # With the threshold below value i: the positives from i on are right, and the negatives before it.
    right = np.append(yes[::-1].cumsum()[::-1], 0) + np.insert(no.cumsum(), 0, 0)
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    return float(edges[int(np.argmax(right))])


def _contingency(gold: Labels, predicted: Labels) -> NDArray[np.float64]:
    """(classes, clusters) how many items have both."""
    _, rows = np.unique(gold, return_inverse=True)
    names, columns = np.unique(predicted, return_inverse=True)
    flat = np.bincount(rows * len(names) + columns, minlength=(rows.max(initial=-1) + 1) * len(names))
    return flat.reshape(-1, max(len(names), 1)).astype(np.float64)


def _pairs(sizes: NDArray[np.float64]) -> float:
    return float((sizes * (sizes - 1) / 2).sum())
