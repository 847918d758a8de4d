"""Graded senses against graded senses: the two measures of SemEval-2013 Task 13 (Jurgens and Klapaftis 2013).

A usage may have several senses, each to a degree. Both measures compare, for one lemma, the gold senses of its usages
with the senses that a system answered, whatever either calls them; `overall` puts the lemmas together as the task does.
Each alone is best served by a trivial answer (one sense each, one sense for all), so their geometric mean is told too.

The figures are those of the task's published scorers, with two habits of theirs. A usage's weights are divided by the
largest of them. An answer for a usage that the gold key leaves out is not passed over: such a usage is one without gold
senses, and the sum of the recalls, into which it enters, is still divided by the number of gold usages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 10  # of the degrees: 0 to 0.1, above 0.1 to 0.2, ..., above 0.9 to 1

Senses = Mapping[str, float]  # of one usage: how far each of its senses applies, above zero, on any scale
Key = Mapping[str, Senses]  # by the id of the usage
Matrix = NDArray[np.float64]


class Fuzzy(NamedTuple):
    """`nmi` and B-cubed `precision` and `recall`, each at most 1; 0 is no agreement. NaN where there is no gold."""

    nmi: float
    precision: float
    recall: float

    @property
    def f(self) -> float:
        """The harmonic mean of B-cubed precision and recall; 0 where both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total != 0 else 0.0

    @property
    def geometric_mean(self) -> float:
        """Of the NMI and the F; 0 where the NMI is below zero, as it is now and then by a hair."""
        return float(np.sqrt(np.maximum(self.nmi, 0.0) * self.f))


def fuzzy(gold: Key, answers: Key) -> Fuzzy:
    """One lemma's usages by both measures. A usage without an answer has no sense."""
    if not gold:
        return Fuzzy(float("nan"), float("nan"), float("nan"))
    usages = list(dict.fromkeys([*gold, *answers]))
    given, answered = _degrees(usages, gold), _degrees(usages, answers)
    return Fuzzy(_nmi(given, answered), *_bcubed(given, answered, len(gold)))


def overall(lemmas: Iterable[Fuzzy]) -> Fuzzy:
    """The mean over the lemmas, each counting the same, as the line `all` of the task's scorers has it.

    So the F of the whole is that of the mean precision and the mean recall, not the mean of the lemmas' F.
    """
    rows = np.array(list(lemmas), dtype=np.float64).reshape(-1, 3)
    means = rows.mean(axis=0) if len(rows) else np.full(3, np.nan)
    return Fuzzy(*map(float, means))


def _degrees(usages: Sequence[str], key: Key) -> Matrix:
    """(N, K) how far each sense applies to each usage, the largest of a usage being 1; NaN where it was not given."""
    column = {sense: k for k, sense in enumerate(dict.fromkeys(s for usage in usages for s in key.get(usage, ())))}
    degrees = np.full((len(usages), len(column)), np.nan)
    for i, usage in enumerate(usages):
        largest = max(key.get(usage, {}).values(), default=1.0) or 1.0
        for sense, weight in key.get(usage, {}).items():
            degrees[i, column[sense]] = weight / largest
    return degrees


def _nmi(gold: Matrix, answered: Matrix) -> float:
    """Mutual information over the larger entropy, after Lancichetti et al. (2009, appendix B) for overlapping covers.

    A sense is a variable over the usages, its degree put into one of `BINS` bins. What is left unknown of a sense, once
    the other side is known, is its smallest conditional entropy given one sense of the other side. A sense that is
    rather the complement of this one tells as much but means the opposite, and is passed over.
    """
    gold, answered = np.nan_to_num(gold), np.nan_to_num(answered)
    binned, binned_answer = _binned(gold), _binned(answered)
    own, own_answer = _entropy(binned.sum(axis=0)), _entropy(binned_answer.sum(axis=0))  # (K), (J)
    counts = np.einsum("nkb,njc->kjbc", binned, binned_answer, optimize=True)
    joint = _entropy(counts.reshape(*counts.shape[:2], BINS * BINS))  # (K, J)
    far = _complementary(gold > 0, answered > 0)
    left = np.where(far, np.inf, joint - own_answer).min(axis=1, initial=np.inf)
    left_answer = np.where(far, np.inf, joint - own[:, None]).min(axis=0, initial=np.inf)
    known = own.sum() - np.where(np.isinf(left), own, left).sum()
    known_answer = own_answer.sum() - np.where(np.isinf(left_answer), own_answer, left_answer).sum()
    largest = max(own.sum(), own_answer.sum())
    # The two are differences of rounded sums, so that nothing in common would come out as a hair beside 0.
    return round(float((known + known_answer) / 2 / largest), 12) + 0.0 if largest > 0 else 0.0


def _binned(degrees: Matrix) -> Matrix:
    """(N, K, BINS) one where the degree lies."""
    edges = np.arange(1, BINS + 1) / BINS
    return np.eye(BINS)[np.minimum(np.searchsorted(edges, degrees), BINS - 1)]


def _entropy(counts: Matrix) -> Matrix:
    """In bits, of counts along the last axis."""
    share = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    bits: Matrix = -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=-1)
    return bits


def _complementary(gold: NDArray[np.bool_], answered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(K, J) whether two senses are rather complements than alike: their usages that differ are the more telling."""

    def telling(counts: Matrix) -> Matrix:
        share = counts / len(gold)
        return -share * np.log(np.where(share > 0, share, 1))

    has, has_answer = gold.astype(np.float64), answered.astype(np.float64)
    both = has.T @ has_answer
    first, second = has.sum(axis=0)[:, None] - both, has_answer.sum(axis=0) - both
    complement: NDArray[np.bool_] = telling(both) + telling(len(gold) - both - first - second) < telling(
        first
    ) + telling(second)
    return complement


def _bcubed(gold: Matrix, answered: Matrix, n: int) -> tuple[float, float]:
    """Precision and recall, each a sum over usages divided by the `n` gold usages."""
    agreed, linked = _agreement(gold)
    agreed_answer, linked_answer = _agreement(answered)
    both = np.minimum(agreed, agreed_answer)
    return _kept(both, agreed, linked) / n, _kept(both, agreed_answer, linked_answer) / n


def _agreement(degrees: Matrix) -> tuple[Matrix, NDArray[np.bool_]]:
    """(N, N) how far two usages agree: over the senses that both have, the sum of 1 - the difference of the degrees;
    and whether they are two usages with a sense in common."""
    there = ~np.isnan(degrees)
    agreed = np.zeros((len(degrees), len(degrees)))
    for column, has in zip(degrees.T, there.T, strict=True):
        rows = np.flatnonzero(has)
        agreed[np.ix_(rows, rows)] += 1 - np.abs(column[rows, None] - column[rows])
    linked = there.astype(np.float64) @ there.T.astype(np.float64) > 0
    np.fill_diagonal(linked, False)
    return agreed, linked


def _kept(both: Matrix, agreed: Matrix, linked: NDArray[np.bool_]) -> float:
    """The sum over usages of the share of their agreement with linked usages that the other side has too."""
    share = np.divide(both, agreed, out=np.zeros_like(both), where=linked & (agreed > 0))
    return float((share.sum(axis=1) / np.maximum(linked.sum(axis=1), 1)).sum())
