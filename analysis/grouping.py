"""Usages into groups: how many, and which usage in which.

    usages -> trees, cut and settled -> how many groups -> mixture, ridge -> which usage in which

First the mean of the usages is subtracted, since the contextual vectors of one word share a large part that hides the
difference of its senses (Ethayarajh 2019; Mu and Viswanath 2018). Then usages are joined by Ward's method (1963), and
moved to the nearest centroid until none moves (spherical k-means, Dhillon and Modha 2001). That tells how many groups
there are; which usage is in which is then found by distributions of one shape (`mixture`), begun from those groups and
from others, along the axes of the largest variation; and along all axes by what the others say of each (`ridge`).

The number of groups is the one with the largest mean cosine silhouette (Rousseeuw 1987), unless no number passes what
one sense reaches by chance: then there is one. Chance was measured on SemCor 3.0 (Miller et al. 1993) with
mpnet: of 15 to 120 usages of a single WordNet sense, cut in two or into three to eight groups, nine in ten draws stay
below c / sqrt(N), c being 0.8 and 1.0. From 50 usages on the bound stays, as larger collections hold more topics; and
below 16 too, where eight in ten stay below it: of so few usages, a sense that is missed is the worse error. Silhouettes
tell how clear a cut is, and not how deep; so what was learnt on the usages of other words has a say where it is known
(`same_sense`): the bound stays where two usages of different groups are as likely as not to share a sense, and is
higher or lower by LEARNT of it for each unit of their mean log-odds.

A sense of a few in a hundred hardly moves the mean silhouette; so where no number passes, two groups are sought anew
round the mean of their own means and must pass `RARE_SENSE` there, which 96 in 100 single senses of SemCor do not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from analysis import mixture, ridge
from analysis.errors import BadOption
from analysis.types import FloatArray, IntArray

CHANCE_OF_TWO, CHANCE_OF_MORE = 0.8, 1.0  # silhouette x sqrt(usages) that 90 % of single senses stay below
MEASURED = 16, 50  # usages between which the bound falls
LEARNT = 0.25  # of the bound, for each unit of the log-odds; more misses senses in a few short sentences
RARE_SENSE = 0.25  # the silhouette round the mean of the two means
FEWEST = 4  # usages that a rare sense needs: fewer are more often odd than a sense
MOST_SENSES = 8  # tried when the number is not given
SAMPLE = 1000  # of more distinct usages a seeded sample is grouped; the rest join its groups

Matrix = NDArray[np.float64]
LogOdds = Callable[[IntArray], Matrix]  # from the indices (M) of usages to those of each two's sharing a sense (M, M)


def group(
    represented: FloatArray,
    *,
    n_senses: int | None = None,
    seed: int = 0,
    learnt_from: IntArray | None = None,
    log_odds: LogOdds | None = None,
) -> IntArray:
    """(N) the group of each represented usage (N, R), largest first; see `induce`, which makes senses of them.

    The groups are found among the usages at the indices `learnt_from`, and all others join them; all, where it is None.
    `log_odds`, as learnt on the usages of other words, have a say in the number of groups.
    """
    # unique() sorts the rows, so the order they came in cannot matter; + 0.0 turns -0.0 into 0.0
    exact = np.round(represented.astype(np.float64), 5) + 0.0
    rows, first, copy = np.unique(exact, axis=0, return_index=True, return_inverse=True)
    copy = copy.reshape(-1)
    known = np.arange(len(rows)) if learnt_from is None else np.unique(copy[learnt_from])
    if n_senses is not None and n_senses > len(known):
        raise BadOption(
            f"{n_senses} senses, but only {len(known)} of the {len(represented)} usages are distinct",
            remedy=f"give at most {len(known)} senses, or more usages",
            where=("n_senses",),
        )
    if len(known) > (most := max(SAMPLE, n_senses or 0)):
        known = np.sort(np.random.default_rng(seed).choice(known, most, replace=False))
    odds = None if log_odds is None else log_odds(first[known])
    grouped: IntArray = _by_size(_group(rows, known, n_senses, odds), np.bincount(copy))[copy]
    return grouped


def _group(usages: Matrix, known: IntArray, n_senses: int | None, odds: Matrix | None) -> IntArray:
    """(M) the group of each of M distinct usages, found among those at the indices `known`, which have these odds."""
    among = usages[known]
    if n_senses is None and len(known) == 2 and odds is not None:
        n_senses = 2 if odds[0, 1] < 0 else 1
    # of two usages nothing else says how far apart two senses would be
    if n_senses == 1 or (n_senses is None and len(known) < 3):
        return np.zeros(len(usages), dtype=np.int64)
    labels = _cluster(among, n_senses, odds)
    n = int(labels.max()) + 1
    if n in (1, len(among)) or len(among) < mixture.FEWEST:
        return labels if len(among) == len(usages) else _joined(usages, known, labels)
    found = mixture.fit(among, [labels, *_starts(among, n)]).nearest(among)
    settled = ridge.settle(among, found if len(np.unique(found)) == n else labels)
    nearest = settled.nearest(usages)
    nearest[known] = settled.groups
    return nearest


def _joined(usages: Matrix, known: IntArray, labels: IntArray) -> IntArray:
    """(M) the nearest group by cosine round the mean of the groups' means, of usages whose groups are not known."""
    own = means(usages[known], labels)
    centre = own.mean(axis=0) if len(own) > 1 else np.zeros(usages.shape[1])
    nearest: IntArray = (unit(usages - centre) @ unit(own - centre).T).argmax(axis=1)
    nearest[known] = labels
    return nearest


def _starts(usages: Matrix, n: int) -> list[IntArray]:
    """Groupings (M) into n groups for the mixture to begin from: by Ward's method, and by mean distance, which leaves
    a rare sense alone where the former cuts the frequent one."""
    rows = unit(usages - usages.mean(axis=0))
    apart = squareform(cosine_distance(rows), checks=False)
    trees = linkage(np.sqrt(2 * apart), method="ward"), linkage(apart, method="average")
    return [_cut(tree, n) for tree in trees]


def _cluster(usages: Matrix, n_senses: int | None, odds: Matrix | None) -> IntArray:
    """(M) groups of distinct usages, as many as there are or as are asked for; the module's docstring says how."""
    numbers = list(range(2, min(MOST_SENSES, len(usages) - 1) + 1)) if n_senses is None else sorted({2, n_senses})
    centre: Matrix = usages.mean(axis=0)
    groups, clear = _candidates(usages, numbers, centre)
    bounds = [chance(len(usages), n) * _doubt(labels, odds) for n, labels in zip(numbers, groups, strict=True)]
    if not any(silhouette > bound for bound, silhouette in zip(bounds, clear, strict=True)):
        rare, apart = _candidates(usages, numbers, None)
        if apart[0] > RARE_SENSE * _doubt(rare[0], odds) and np.bincount(rare[0]).min() >= FEWEST:
            groups, clear = rare, apart
        elif n_senses is None:
            return np.zeros(len(usages), dtype=np.int64)
    return groups[int(np.argmax(clear)) if n_senses is None else numbers.index(n_senses)]


def chance(n_usages: int, n_groups: int) -> float:
    """The silhouette that one sense of so many usages stays below, when it is cut into so many groups."""
    return (CHANCE_OF_TWO if n_groups == 2 else CHANCE_OF_MORE) / float(np.sqrt(np.clip(n_usages, *MEASURED)))


def _doubt(labels: IntArray, odds: Matrix | None) -> float:
    """How many times the bound the groups (M) must pass, by what is known of pairs of usages of different groups."""
    return 1.0 if odds is None else 1 + LEARNT * float(odds[labels[:, None] != labels].mean())


def _candidates(usages: Matrix, numbers: list[int], centre: Matrix | None) -> tuple[list[IntArray], list[float]]:
    """For each number of groups their labels (M) and mean silhouette, round `centre` as in `_centred`."""
    distance = cosine_distance(usages if centre is None else unit(usages - centre))
    tree = linkage(squareform(np.sqrt(2 * distance), checks=False), method="ward")  # cosine -> Euclidean
    groups = [_settle(usages, _cut(tree, n), centre) for n in numbers]
    return groups, [silhouette(cosine_distance(_centred(usages, labels, centre)), labels) for labels in groups]


def _cut(tree: Matrix, n: int) -> IntArray:
    """(M) the n groups of a linkage (M - 1, 4), in the order of their first rows, as scipy's cut_tree has them.

    That function walks the whole tree for every merge; here each merge is undone from the last, which hands its name
    down to what it was made of.
    """
    size = len(tree) + 1
    names = list(range(2 * size - n))
    for merge in range(size - n - 1, -1, -1):
        left, right = tree[merge, :2].astype(int).tolist()
        names[left] = names[right] = names[size + merge]
    _, first, labels = np.unique(names[:size], return_index=True, return_inverse=True)
    order: IntArray = np.argsort(np.argsort(first))[labels].astype(np.int64)
    return order


def _centred(usages: Matrix, labels: IntArray, centre: Matrix | None) -> Matrix:
    """Rows of unit length round `centre`, or else round the mean of the groups' means.

    Where one sense is rare, the mean of the usages lies in the frequent one, whose usages then point anywhere; in the
    mean of the means each group weighs the same.
    """
    return unit(usages - (means(usages, labels).mean(axis=0) if centre is None else centre))


def _settle(usages: Matrix, labels: IntArray, centre: Matrix | None) -> IntArray:
    """Spherical k-means from `labels`; it stops before it would lose a group."""
    n = int(labels.max()) + 1
    for _ in range(20):
        rows = _centred(usages, labels, centre)
        nearest = (rows @ unit(means(rows, labels)).T).argmax(axis=1)
        if len(np.unique(nearest)) < n or np.array_equal(nearest, labels):
            break
        labels = nearest
    return labels.astype(np.int64)


def of_rows(log_odds: LogOdds | None, rows: IntArray) -> LogOdds | None:
    """The log-odds of the usages at the indices `rows` alone, which then count from zero."""
    return None if log_odds is None else lambda some: log_odds(rows[some])


def _by_size(labels: IntArray, counts: IntArray) -> IntArray:
    """Groups of distinct rows renumbered, largest first by `counts` of usages; then the one with the smallest row."""
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    order = np.lexsort((first, -np.bincount(labels, weights=counts)))
    return np.argsort(order)[labels].astype(np.int64)


def silhouette(distance: Matrix, labels: IntArray) -> float:
    """Mean silhouette of K >= 2 groups (0 for a group of one) from distances (N, N), as scikit-learn has it."""
    member = np.eye(int(labels.max()) + 1)[labels]
    sizes, each = member.sum(axis=0), np.arange(len(labels))
    total = distance @ member
    own = total[each, labels] / np.maximum(sizes[labels] - 1, 1)
    mean = total / sizes
    mean[each, labels] = np.inf
    other = mean.min(axis=1)
    values = (other - own) / np.maximum(np.maximum(own, other), 1e-12)
    return float(np.where(sizes[labels] > 1, values, 0).mean())


def cosine_distance(rows: Matrix) -> Matrix:
    """(M, M) from rows of unit length; exactly zero on the diagonal."""
    distance: Matrix = np.maximum(1 - rows @ rows.T, 0)
    np.fill_diagonal(distance, 0)
    return distance


def means(rows: Matrix, labels: IntArray) -> Matrix:
    """(K, R) the mean row of each group."""
    member = np.eye(int(labels.max()) + 1)[labels]
    mean: Matrix = (member.T @ rows) / member.sum(axis=0)[:, None]
    return mean


def unit(rows: FloatArray | Matrix) -> Matrix:
    """Rows of unit length in f64; a row of zeros stays zero."""
    exact = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    unit: Matrix = exact / np.where(length > 0, length, 1)
    return unit
