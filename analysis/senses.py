"""How many senses a word has in these usages, which usage has which, and how sure that is.

    represent -> induce -> probabilities, own_probabilities, assign, verdict, exemplars, separation

A usage is the target's last hidden state beside the mean of its context at half the weight (Schütze 1998 for the use of
context). Induction first subtracts the mean of the usages, since the contextual vectors of one word share a large part
that hides the difference of its senses (Ethayarajh 2019; Mu and Viswanath 2018). It then joins them by Ward's method
(1963) and moves usages to the nearest centroid until none moves (spherical k-means, Dhillon and Modha 2001).

The number of senses is the one with the largest mean cosine silhouette (Rousseeuw 1987), unless no number passes what
one sense reaches by chance: then there is one. Chance was measured on SemCor 3.0 (Miller et al. 1993) with
mpnet: of 15 to 120 usages of a single WordNet sense, cut in two or into three to eight groups, nine in ten draws stay
below c / sqrt(N), c being 0.8 and 1.0. From 50 usages on the bound stays, as larger collections hold more topics; and
below 16 too, where eight in ten stay below it: of so few usages, a sense that is missed is the worse error.

A sense of a few in a hundred hardly moves the mean silhouette; so where no number passes, two groups are sought anew
round the mean of their own means and must pass `RARE_SENSE` there, which 96 in 100 single senses of SemCor do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from analysis.errors import BadOption
from analysis.types import Assignment, FloatArray, IntArray, SenseModel

REPRESENTATION = "the last hidden state, mean over the target's subwords, beside 0.5 x the mean over the other subwords"
CONTEXT_WEIGHT = 0.5  # chosen on CoarseWSD-20's train half: minilm needs the context, mpnet loses nothing by it
TEMPERATURE = 0.05  # of the softmax over cosines; calibration error 0.03 on the train half, leave-one-out, mpnet
CHANCE_OF_TWO, CHANCE_OF_MORE = 0.8, 1.0  # silhouette x sqrt(usages) that 90 % of single senses stay below
MEASURED = 16, 50  # usages between which the bound falls
RARE_SENSE = 0.25  # the silhouette round the mean of the two means
FEWEST = 4  # usages that a rare sense needs: fewer are more often odd than a sense
MOST_SENSES = 8  # tried when the number is not given
LEAST = 4  # with fewer usages the number of senses is a guess
SAMPLE = 1000  # of more distinct usages a seeded sample is grouped; the rest join the nearest centroid
MOST_PAIRED = 2000  # usages that `separation` compares pair by pair

Matrix = NDArray[np.float64]
Verdict = Literal["several senses", "one sense", "too little data"]


class Separation(NamedTuple):
    """`within`, `between`: mean cosine of pairs of one sense, of two senses; `auc`: the probability that a pair of
    one sense is the more similar, ties counting half; `silhouette` by cosine. NaN where there are no such pairs."""

    within: float
    between: float
    auc: float
    silhouette: float


def represent(vectors: FloatArray, context: FloatArray) -> FloatArray:
    """f32 (N, 2D) of unit length from the target's `vectors` (N, D) and its `context` (N, D), row by row.

    Each part is first brought to unit length; a context of zeros (the target stands alone) stays zero.
    """
    both = np.concatenate([_unit(vectors), CONTEXT_WEIGHT * _unit(context)], axis=1)
    return _unit(both).astype(np.float32)


def check_n_senses(n_senses: int | None, n_usages: int) -> None:
    """Raise BadOption unless `n_senses` is None or within 1 .. `n_usages`."""
    if n_senses is not None and not 1 <= n_senses <= n_usages:
        raise BadOption(
            f"{n_senses} senses of {n_usages} usages",
            remedy=f"give a number of senses from 1 to {n_usages}, or none",
            where=("n_senses",),
        )


def check_threshold(threshold: float) -> None:
    """Raise BadOption unless the threshold is within 0 .. 1."""
    if not 0 <= threshold <= 1:  # NaN is not, either
        raise BadOption(f"the threshold {threshold} is no probability", remedy="give 0 to 1", where=("threshold",))


def induce(
    vectors: FloatArray, context: FloatArray, *, target: str, n_senses: int | None = None, seed: int = 0
) -> tuple[SenseModel, Assignment]:
    """Group N >= 1 usages, `vectors` and `context` (N, D), into senses: `n_senses` of them, or as many as it finds.

    Senses are numbered by size, largest first. The order of the usages changes nothing, and usages that are equal to
    five decimals share a sense. The confidence is `own_probabilities` of the assigned sense. The model's centroids are
    the means of the represented usages, not brought to unit length: their length lets a usage be left out again.
    BadOption where `n_senses` is below one or above the number of distinct usages.
    """
    represented = represent(vectors, context)
    check_n_senses(n_senses, len(represented))
    sense = group(represented, n_senses=n_senses, seed=seed)
    sizes = np.bincount(sense)
    centroids = _means(represented.astype(np.float64), sense).astype(np.float32)
    model = SenseModel(target, tuple(f"s{k}" for k in range(len(sizes))), centroids, sizes, TEMPERATURE)
    own = own_probabilities(model, represented, sense)
    return model, Assignment(sense, own[np.arange(len(sense)), sense])


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
    means = _means(np.asarray(grouped, dtype=np.float64), labels)
    centre = means.mean(axis=0)
    nearest: IntArray = (_unit(represented - centre) @ _unit(means - centre).T).argmax(axis=1)
    return nearest


def probabilities(model: SenseModel, represented: FloatArray) -> FloatArray:
    """f32 (N, K): softmax over the senses of cosine / temperature; each row sums to 1.

    It says which of the model's senses fits best, not that any fits: with one sense it is 1.0 whatever the usage.
    """
    if model.weights is not None:
        scores = _unit(represented) @ model.weights[:, :-1].T.astype(np.float64) + model.weights[:, -1]
        return _softmax(scores, model.temperature)
    return _softmax(_unit(represented) @ _unit(model.centroids).T, model.temperature)


def own_probabilities(
    model: SenseModel, represented: FloatArray, sense: IntArray, member: FloatArray | None = None
) -> FloatArray:
    """f32 (N, K): `probabilities` of the model's own usages, each left out of the centroid of its `sense` (N).

    A usage pulls its centroid towards itself and would look surer than it is (leave-one-out). `member` (N, R) is the
    row that took part in the centroid: the usage itself, unless `represented` is a changed reading of it. A sense of
    one usage keeps its centroid, as there is no other evidence.
    """
    rows = np.asarray(represented if member is None else member, dtype=np.float64)
    whole = model.sizes[sense, None] * model.centroids[sense].astype(np.float64)
    others = np.where(model.sizes[sense, None] > 1, whole - rows, whole)
    cosines = (_unit(represented) @ _unit(model.centroids).T).astype(np.float64)
    cosines[np.arange(len(sense)), sense] = (_unit(represented) * _unit(others)).sum(axis=1)
    return _softmax(cosines, model.temperature)


def fit(
    represented: FloatArray,
    sense: IntArray,
    senses: Sequence[str],
    *,
    target: str,
    supervised: bool = False,
    seed: int = 0,
) -> SenseModel:
    """The model of usages (N, R) whose senses (N) are known, each an index into `senses`; -1 is left out.

    `supervised` learns a linear classifier as well. BadOption where a sense has no usage.
    """
    rows, labels = represented[sense >= 0], sense[sense >= 0]
    sizes = np.bincount(labels, minlength=len(senses))
    if len(sizes) > len(senses) or not sizes.all():
        raise BadOption("a sense has no usage", remedy="give at least one usage of each sense", where=("senses",))
    centroids = _means(rows.astype(np.float64), labels).astype(np.float32)
    weights = None
    if supervised and len(senses) > 1:
        learnt = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000, random_state=seed).fit(rows, labels)
        coefficients, intercepts = learnt.coef_, learnt.intercept_
        if len(senses) == 2:  # scikit-learn gives the one row of the second class
            coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
            intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
        weights = np.column_stack([coefficients, intercepts]).astype(np.float32)
    return SenseModel(
        target,
        tuple(senses),
        centroids,
        sizes,
        TEMPERATURE if weights is None else 1.0,
        weights,
        _familiar(rows, labels, centroids),
    )


def _familiar(rows: FloatArray, labels: IntArray, centroids: FloatArray) -> float:
    """The cosine to their own centroid, they themselves left out of it, that 99 % of the usages reach.

    Left in, a usage of a small sense lies so near its centroid that hardly any new one would come as near. A usage
    alone in its sense tells nothing; where all are, anything is familiar.
    """
    sizes = np.bincount(labels)[labels]
    others = sizes[:, None] * centroids[labels].astype(np.float64) - rows
    own = (_unit(rows) * _unit(others)).sum(axis=1)[sizes > 1]
    return float(np.quantile(own, 0.01)) if len(own) else -1.0


def abstaining(assignment: Assignment, threshold: float) -> Assignment:
    """The same assignment, with sense -1 where the confidence is below `threshold`."""
    sure = np.where(assignment.confidence >= threshold, assignment.sense, -1)
    return Assignment(sure, assignment.confidence, assignment.novel)


def assign(model: SenseModel, represented: FloatArray, *, threshold: float = 0.0) -> Assignment:
    """New usages, represented (N, R), each to its most probable sense; the confidence is that probability.

    Below `threshold`, 0..1, the sense is -1 (abstains). `novel` marks usages that no centroid is near enough to.
    """
    chances = probabilities(model, represented)
    confidence = chances.max(axis=1)
    sense = np.where(confidence >= threshold, chances.argmax(axis=1), -1).astype(np.int64)
    nearest = (_unit(represented) @ _unit(model.centroids).T).max(axis=1)
    return Assignment(sense, confidence, nearest < model.familiar)


def verdict(model: SenseModel, n_usages: int) -> Verdict:
    """What the usages show. Fewer than `LEAST` are too little data, whatever the grouping of them is."""
    if n_usages < LEAST:
        return "too little data"
    return "several senses" if len(model.senses) > 1 else "one sense"


def exemplars(represented: FloatArray, assignment: Assignment, model: SenseModel, k: int = 3) -> list[list[int]]:
    """For each sense the indices of up to `k` of its usages, nearest its centroid first, no two of them alike."""
    found = []
    for i, centroid in enumerate(_unit(model.centroids)):
        members = np.flatnonzero(assignment.sense == i)
        nearest = members[np.argsort(-(represented[members] @ centroid), kind="stable")]
        _, first = np.unique(np.round(represented[nearest], 5) + 0.0, axis=0, return_index=True)
        found.append([int(index) for index in nearest[np.sort(first)[:k]]])
    return found


def separation(vectors: FloatArray, sense: IntArray, *, seed: int = 0) -> Separation:
    """How far `vectors` (N, D) keep the senses (N) apart; usages that abstain (-1) are left out.

    Beyond `MOST_PAIRED` usages a seeded sample of them stands for all.
    """
    kept = np.flatnonzero(sense >= 0)
    if len(kept) > MOST_PAIRED:
        kept = np.sort(np.random.default_rng(seed).choice(kept, MOST_PAIRED, replace=False))
    unit, labels = _unit(vectors[kept]), np.unique(sense[kept], return_inverse=True)[1]
    first, second = np.triu_indices(len(kept), 1)
    cosine = unit @ unit.T
    pairs, same = cosine[first, second], labels[first] == labels[second]
    n_same, n_other = int(same.sum()), int((~same).sum())
    within = float(pairs[same].mean()) if n_same else float("nan")
    between = float(pairs[~same].mean()) if n_other else float("nan")
    auc = silhouette = float("nan")
    if n_same and n_other:  # Mann-Whitney's U over the number of pairs of pairs
        ranks = rankdata(np.round(pairs, 9))[same].sum()
        auc = float((ranks - n_same * (n_same + 1) / 2) / (n_same * n_other))
        silhouette = _silhouette(_cosine_distance(unit), labels)
    return Separation(within, between, auc, silhouette)


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
    if not any(silhouette > _chance(len(usages), n) for n, silhouette in zip(numbers, clear, strict=True)):
        rare, apart = _candidates(usages, numbers, None)
        if apart[0] > RARE_SENSE and np.bincount(rare[0]).min() >= FEWEST:
            groups, clear = rare, apart
        elif n_senses is None:
            return np.zeros(len(usages), dtype=np.int64)
    return groups[int(np.argmax(clear)) if n_senses is None else numbers.index(n_senses)]


def _chance(n_usages: int, n_groups: int) -> float:
    """The silhouette that one sense of so many usages stays below, when it is cut into so many groups."""
    return (CHANCE_OF_TWO if n_groups == 2 else CHANCE_OF_MORE) / float(np.sqrt(np.clip(n_usages, *MEASURED)))


def _candidates(usages: Matrix, numbers: list[int], centre: Matrix | None) -> tuple[list[IntArray], list[float]]:
    """For each number of groups their labels (M) and mean silhouette, round `centre` as in `_centred`."""
    distance = _cosine_distance(usages if centre is None else _unit(usages - centre))
    tree = linkage(squareform(np.sqrt(2 * distance), checks=False), method="ward")  # cosine -> Euclidean
    groups = [_settle(usages, cut_tree(tree, n_clusters=n)[:, 0], centre) for n in numbers]
    return groups, [_silhouette(_cosine_distance(_centred(usages, labels, centre)), labels) for labels in groups]


def _centred(usages: Matrix, labels: IntArray, centre: Matrix | None) -> Matrix:
    """Rows of unit length round `centre`, or else round the mean of the groups' means.

    Where one sense is rare, the mean of the usages lies in the frequent one, whose usages then point anywhere; in the
    mean of the means each group weighs the same.
    """
    return _unit(usages - (_means(usages, labels).mean(axis=0) if centre is None else centre))


def _settle(usages: Matrix, labels: IntArray, centre: Matrix | None) -> IntArray:
    """Spherical k-means from `labels`; it stops before it would lose a group."""
    n = int(labels.max()) + 1
    for _ in range(20):
        rows = _centred(usages, labels, centre)
        nearest = (rows @ _unit(_means(rows, labels)).T).argmax(axis=1)
        if len(np.unique(nearest)) < n or np.array_equal(nearest, labels):
            break
        labels = nearest
    return labels.astype(np.int64)


def _cosine_distance(rows: Matrix) -> Matrix:
    """(M, M) from rows of unit length; exactly zero on the diagonal."""
    distance: Matrix = np.maximum(1 - rows @ rows.T, 0)
    np.fill_diagonal(distance, 0)
    return distance


def _silhouette(distance: Matrix, labels: IntArray) -> float:
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


def _by_size(labels: IntArray, counts: IntArray) -> IntArray:
    """Groups of distinct rows renumbered, largest first by `counts` of usages; then the one with the smallest row."""
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    order = np.lexsort((first, -np.bincount(labels, weights=counts)))
    return np.argsort(order)[labels].astype(np.int64)


def _means(rows: Matrix, labels: IntArray) -> Matrix:
    """(K, R) the mean row of each group."""
    member = np.eye(int(labels.max()) + 1)[labels]
    means: Matrix = (member.T @ rows) / member.sum(axis=0)[:, None]
    return means


def _unit(rows: FloatArray | Matrix) -> Matrix:
    """Rows of unit length in f64; a row of zeros stays zero."""
    exact = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    unit: Matrix = exact / np.where(length > 0, length, 1)
    return unit


def _softmax(cosines: Matrix, temperature: float) -> FloatArray:
    scaled = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / temperature)
    chances: FloatArray = (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32)
    return chances
