"""Usages into groups: how many, and which usage in which.

    group, join

First the mean of the usages is subtracted, since the contextual vectors of one word share a large part that hides the
difference of its senses (Ethayarajh 2019; Mu and Viswanath 2018). Then usages are joined by Ward's method (1963), and
moved to the nearest centroid until none moves (spherical k-means, Dhillon and Modha 2001).

The number of groups is the one with the largest mean cosine silhouette (Rousseeuw 1987), unless no number passes what
one sense reaches by chance: then there is one. Chance was measured on SemCor 3.0 (Miller et al. 1993) with
mpnet: of 15 to 120 usages of a single WordNet sense, cut in two or into three to eight groups, nine in ten draws stay
below c / sqrt(N), c being 0.8 and 1.0. From 50 usages on the bound stays, as larger collections hold more topics; and
below 16 too, where eight in ten stay below it: of so few usages, a sense that is missed is the worse error.

A sense of a few in a hundred hardly moves the mean silhouette; so where no number passes, two groups are sought anew
round the mean of their own means and must pass `RARE_SENSE` there, which 96 in 100 single senses of SemCor do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from analysis.errors import BadOption
from analysis.types import FloatArray, IntArray

CHANCE_OF_TWO, CHANCE_OF_MORE = 0.8, 1.0  # silhouette x sqrt(usages) that 90 % of single senses stay below
MEASURED = 16, 50  # usages between which the bound falls
RARE_SENSE = 0.25  # the silhouette round the mean of the two means
FEWEST = 4  # usages that a rare sense needs: fewer are more often odd than a sense
MOST_SENSES = 8  # tried when the number is not given
SAMPLE = 1000  # of more distinct usages a seeded sample is grouped; the rest join the nearest centroid

Matrix = NDArray[np.float64]


def group(represented: FloatArray, *, n_senses: int | None = None, seed: int = 0) -> IntArray:
    """(N) the group of each represented usage (N, R), largest first; see `induce`, which makes senses of them."""
    # unique() sorts the rows, so the order they came in cannot matter; + 0.0 turns -0.0 into 0.0
    rows, copy = np.unique(np.round(represented.astype(np.float64), 5) + 0.0, axis=0, return_inverse=True)
    if n_senses is not None and n_senses > len(rows):
        raise BadOption(
            f"{n_senses} senses, but only {len(rows)} of the {len(represented)} usages are distinct",
            remedy=f"give at most {len(rows)} senses, or more usages",
            where=("n_senses",),
        )
    distinct = _group(rows, n_senses, np.random.default_rng(seed))
    counts = np.bincount(copy.reshape(-1))
    grouped: IntArray = _by_size(distinct, counts)[copy.reshape(-1)]
    return grouped


def join(represented: FloatArray | Matrix, grouped: FloatArray | Matrix, labels: IntArray) -> IntArray:
    """(N) the nearest group of each usage (N, R), by cosine round the mean of the groups' means.

    `grouped` (M, R) are the usages whose groups are known, `labels` (M).
    """
    own = means(np.asarray(grouped, dtype=np.float64), labels)
    centre = own.mean(axis=0)
    nearest: IntArray = (unit(represented - centre) @ unit(own - centre).T).argmax(axis=1)
    return nearest


def _group(usages: Matrix, n_senses: int | None, random: np.random.Generator) -> IntArray:
    """(M) the group of each of M distinct usages."""
    # of two usages nothing says how far apart two senses would be
    if n_senses == 1 or (n_senses is None and len(usages) < 3):
        return np.zeros(len(usages), dtype=np.int64)
    if len(usages) <= SAMPLE:
        return _cluster(usages, n_senses)
    some = np.sort(random.choice(len(usages), min(len(usages), max(SAMPLE, n_senses or 0)), replace=False))
    labels = _cluster(usages[some], n_senses)
    joined = join(usages, usages[some], labels)
    joined[some] = labels
    return joined


def _cluster(usages: Matrix, n_senses: int | None) -> IntArray:
    """(M) the groups of distinct usages; the module's docstring says how."""
    numbers = list(range(2, min(MOST_SENSES, len(usages) - 1) + 1)) if n_senses is None else sorted({2, n_senses})
    centre: Matrix = usages.mean(axis=0)
    groups, clear = _candidates(usages, numbers, centre)
    if not any(silhouette > chance(len(usages), n) for n, silhouette in zip(numbers, clear, strict=True)):
        rare, apart = _candidates(usages, numbers, None)
        if apart[0] > RARE_SENSE and np.bincount(rare[0]).min() >= FEWEST:
            groups, clear = rare, apart
        elif n_senses is None:
            return np.zeros(len(usages), dtype=np.int64)
    return groups[int(np.argmax(clear)) if n_senses is None else numbers.index(n_senses)]


def chance(n_usages: int, n_groups: int) -> float:
    """The silhouette that one sense of so many usages stays below, when it is cut into so many groups."""
    return (CHANCE_OF_TWO if n_groups == 2 else CHANCE_OF_MORE) / float(np.sqrt(np.clip(n_usages, *MEASURED)))


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
