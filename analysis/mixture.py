"""Groups of usages as t distributions of one shape, whose number is given.

    fit(usages, starts) -> Mixture;  Mixture.nearest(usages) -> groups

The usages of a word vary within each of its senses much alike: more along some directions (topic, syntax) than along
others. So the groups share one scatter, which is learnt from the usages themselves, by expectation maximisation
(Dempster et al. 1977) from several starts; the likeliest end is kept. They have the heavy tails of Student's t (Peel
and McLachlan 2000): a usage unlike all others neither draws a group towards itself nor widens all of them. Along many
axes at once a usage never leaves the group that it began in, so the climb is from coarse to fine: first along the few
axes of the largest variation, then along more. The scatter is drawn towards a sphere as if PRIOR more usages had been
seen that vary alike in all directions (the conjugate prior, as in Fraley and Raftery 2007): thirty usages are grouped
almost as k-means would, thousands by their own shape. It rests on the senses' having one shape, and on nothing that was
learnt elsewhere.

Texts made to one pattern ("its natural habitat is ...") lie closer together than any sense does, and would be taken
for one; so usages whose cosine is above ALIKE weigh as one usage between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.cluster import KMeans

from analysis.types import FloatArray, IntArray

STAGES = 5, 10, 20, 50  # principal axes of the usages, the largest first, in each climb
FREEDOM = 10.0  # degrees of freedom of Student's t; 3 to 30 do as well
PRIOR = 100.0  # usages that the sphere counts as; 200 does as well
ALIKE = 0.85  # 99 in 100 pairs of different sentences with one word stay below 0.76 (mpnet)
FEWEST = 30  # usages, of which a scatter can be learnt: of fewer a group of one odd usage is often the likeliest
K_MEANS = 4  # starts by k-means, beside those given
ROUNDS = 60  # of EM in a stage, at most
CLOSE = 1e-4  # of the log-likelihood a usage: the gain at which EM ends

Matrix = NDArray[np.float64]


class _End(NamedTuple):
    """Where EM ended: (K, A) means, (A, A) inverse scatter, (K) log shares, and how likely that is (log posterior)."""

    means: Matrix
    precision: Matrix
    shares: Matrix
    likelihood: float


@dataclass(frozen=True, eq=False)
class Mixture:
    """K t distributions of one shape over the `axes` (R, A) round `centre` (R)."""

    centre: Matrix
    axes: Matrix
    means: Matrix
    precision: Matrix
    shares: Matrix

    def nearest(self, usages: FloatArray | Matrix) -> IntArray:
        """(N) the likeliest group of each usage (N, R)."""
        away = _distances((usages - self.centre) @ self.axes, self.means, self.precision)
        found: IntArray = _scores(away, self.shares, len(self.precision)).argmax(axis=1)
        return found


def fit(usages: Matrix, starts: Sequence[IntArray]) -> Mixture:
    """The mixture of usages (N, R) of unit length; `starts` are groupings (N) to begin from, all of K >= 2 groups.

    The first of them also tells how far usages lie from their groups' means, which is the radius of the prior's sphere.
    """
    weights = 1 / (usages @ usages.T > ALIKE).sum(axis=1)
    centre: Matrix = np.average(usages, axis=0, weights=weights)
    axes = _principal((usages - centre) * np.sqrt(weights)[:, None])
    rows = (usages - centre) @ axes
    first = starts[0]
    spread = rows - (_sums(_members(first), rows, weights) / _sizes(_members(first), weights)[:, None])[first]
    axes = axes / np.sqrt(max(float(np.average((spread**2).mean(axis=1), weights=weights)), 1e-12))
    rows = (usages - centre) @ axes
    ends = [_in_stages(rows, weights, start) for start in _all_starts(rows, starts)]
    best = max(ends, key=lambda end: end.likelihood)
    return Mixture(centre, axes, best.means, best.precision, best.shares)


def _principal(rows: Matrix) -> Matrix:
    """(R, A) orthonormal: the axes of the largest variation, two fewer than rows so that some variation is left out."""
    # By the rows' products with each other: a decomposition of the rows themselves takes three times as long.
    squares, across = np.linalg.eigh(rows @ rows.T)
    largest = np.arange(len(rows))[::-1][: max(1, min(STAGES[-1], len(rows) - 2))]
    varied = largest[squares[largest] > 1e-9 * squares[-1]]
    axes: Matrix = rows.T @ (across[:, varied] / np.sqrt(squares[varied]))
    return axes


def _all_starts(rows: Matrix, starts: Sequence[IntArray]) -> Iterator[IntArray]:
    yield from starts
    n = int(starts[0].max()) + 1
    for seed in range(K_MEANS):
        labels = KMeans(n, n_init=1, random_state=seed).fit_predict(rows)
        if len(np.unique(labels)) == n:
            yield labels


def _in_stages(rows: Matrix, weights: Matrix, start: IntArray) -> _End:
    """EM along more and more of the axes of rows (N, A), from the groups (N) of `start`."""
    member = 0.96 * _members(start) + 0.04 / (start.max() + 1)
    for n in (*(n for n in STAGES if n < rows.shape[1]), rows.shape[1]):
        end, member = _climb(rows[:, :n], weights, member)
    return end


def _climb(rows: Matrix, weights: Matrix, member: Matrix) -> tuple[_End, Matrix]:
    """EM for rows (N, A) from the probabilities `member` (N, K) of the groups; beside the end those found there."""
    n_axes = rows.shape[1]
    drawn = member  # how much each usage counts for each group's place and for the scatter: less, the further it is off
    before = -np.inf
    for _ in range(ROUNDS):
        sizes, counted = _sizes(member, weights), _sizes(drawn, weights)
        means = _sums(drawn, rows, weights) / np.maximum(counted, 1e-9)[:, None]
        shares = np.log((sizes + 1) / (sizes + 1).sum())
        scatter = (rows * (weights * drawn.sum(axis=1))[:, None]).T @ rows - (means * counted[:, None]).T @ means
        shape = (scatter + PRIOR * np.eye(n_axes)) / (weights.sum() + PRIOR)
        # numpy's, as its products are: the threads of scipy's own library would wait for those of numpy's, and back.
        precision, log_determinant = np.asarray(np.linalg.inv(shape), np.float64), np.linalg.slogdet(shape)[1]
        away = _distances(rows, means, precision)
        scores = _scores(away, shares, n_axes)
        own = logsumexp(scores, axis=1)
        likelihood = float(weights @ own - 0.5 * (weights.sum() + PRIOR) * log_determinant)
        likelihood -= 0.5 * PRIOR * float(np.trace(precision))
        member = np.exp(scores - own[:, None])
        drawn = member * (FREEDOM + n_axes) / (FREEDOM + away)
        if abs(likelihood - before) < CLOSE * len(rows):
            break
        before = likelihood
    return _End(means, precision, shares, likelihood), member


def _distances(rows: Matrix, means: Matrix, precision: Matrix) -> Matrix:
    """(N, K): the squared Mahalanobis distance of each row to each mean."""
    towards = means @ precision
    own = ((rows @ precision) * rows).sum(axis=1)[:, None]
    away: Matrix = np.maximum(own - 2 * rows @ towards.T + (towards * means).sum(axis=1), 0)
    return away


def _scores(away: Matrix, shares: Matrix, n_axes: int) -> Matrix:
    """(N, K): the log-likelihood of each row in each group, less what is the same for all of both."""
    scores: Matrix = shares - 0.5 * (FREEDOM + n_axes) * np.log1p(away / FREEDOM)
    return scores


def _members(labels: IntArray) -> Matrix:
    member: Matrix = np.eye(int(labels.max()) + 1)[labels]
    return member


def _sizes(member: Matrix, weights: Matrix) -> Matrix:
    sizes: Matrix = weights @ member
    return sizes


def _sums(member: Matrix, rows: Matrix, weights: Matrix) -> Matrix:
    sums: Matrix = (member * weights[:, None]).T @ rows
    return sums
