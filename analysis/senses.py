"""How many senses a word has in these usages, which usage has which, and how sure that is.

    represent -> induce -> probabilities, own_probabilities, assign, verdict, exemplars, separation

A usage is the target's last hidden state beside the mean of its context at half the weight (Schütze 1998 for the use of
context). `grouping` says how usages are grouped, and how many senses there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from analysis.errors import BadOption
from analysis.grouping import LogOdds, cosine_distance, group, means, silhouette, unit
from analysis.types import Assignment, FloatArray, IntArray, SenseModel

REPRESENTATION = "the last hidden state, mean over the target's subwords, beside 0.5 x the mean over the other subwords"
CONTEXT_WEIGHT = 0.5  # chosen on CoarseWSD-20's train half: minilm needs the context, mpnet loses nothing by it
TEMPERATURE = 0.05  # of the softmax over cosines; calibration error 0.03 on the train half, leave-one-out, mpnet
LEAST = 4  # with fewer usages the number of senses is a guess
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
    both = np.concatenate([unit(vectors), CONTEXT_WEIGHT * unit(context)], axis=1)
    return unit(both).astype(np.float32)


def represent_backward(vectors: FloatArray, context: FloatArray, slope: Matrix) -> tuple[FloatArray, FloatArray]:
    """How a number changes by `vectors` and by `context`, f32 (N, D) each, if it changes by `slope` (N, 2D) with what
    `represent` makes of them. A context of zeros changes nothing."""
    width = vectors.shape[1]
    length = np.sqrt(1 + CONTEXT_WEIGHT**2 * context.any(axis=1, keepdims=True))
    to_vectors = _unit_backward(vectors, slope[:, :width] / length)
    to_context = _unit_backward(context, slope[:, width:] * CONTEXT_WEIGHT / length)
    return to_vectors, to_context


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
    vectors: FloatArray,
    context: FloatArray,
    *,
    target: str,
    n_senses: int | None = None,
    seed: int = 0,
    log_odds: LogOdds | None = None,
) -> tuple[SenseModel, Assignment]:
    """Group N >= 1 usages, `vectors` and `context` (N, D), into senses: `n_senses` of them, or as many as it finds.

    Senses are numbered by size, largest first. The order of the usages changes nothing, and usages that are equal to
    five decimals share a sense. The confidence is `own_probabilities` of the assigned sense. The model's centroids are
    the means of the represented usages, not brought to unit length: their length lets a usage be left out again.
    `log_odds`, of two usages' sharing a sense (`same_sense.log_odds`), have a say in how many senses there are.
    BadOption where `n_senses` is below one or above the number of distinct usages.
    """
    represented = represent(vectors, context)
    check_n_senses(n_senses, len(represented))
    sense = group(represented, n_senses=n_senses, seed=seed, log_odds=log_odds)
    sizes = np.bincount(sense)
    centroids = means(represented.astype(np.float64), sense).astype(np.float32)
    model = SenseModel(target, tuple(f"s{k}" for k in range(len(sizes))), centroids, sizes, TEMPERATURE)
    own = own_probabilities(model, represented, sense)
    return model, Assignment(sense, own[np.arange(len(sense)), sense])


def probabilities(model: SenseModel, represented: FloatArray) -> FloatArray:
    """f32 (N, K): softmax over the senses of cosine / temperature; each row sums to 1.

    It says which of the model's senses fits best, not that any fits: with one sense it is 1.0 whatever the usage.
    """
    if model.weights is not None:
        scores = unit(represented) @ model.weights[:, :-1].T.astype(np.float64) + model.weights[:, -1]
        return _softmax(scores, model.temperature)
    return _softmax(unit(represented) @ unit(model.centroids).T, model.temperature)


def own_probabilities(
    model: SenseModel, represented: FloatArray, sense: IntArray, member: FloatArray | None = None
) -> FloatArray:
    """f32 (N, K): `probabilities` of the model's own usages, each left out of the centroid of its `sense` (N).

    A usage pulls its centroid towards itself and would look surer than it is (leave-one-out). `member` (N, R) is the
    row that took part in the centroid: the usage itself, unless `represented` is a changed reading of it. A sense of
    one usage keeps its centroid, as there is no other evidence.
    """
    cosines = (unit(represented) @ unit(model.centroids).T).astype(np.float64)
    own = own_centroids(model, sense, represented if member is None else member)
    cosines[np.arange(len(sense)), sense] = (unit(represented) * own).sum(axis=1)
    return _softmax(cosines, model.temperature)


def own_centroids(model: SenseModel, sense: IntArray, member: FloatArray) -> Matrix:
    """(N, R): the unit centroid of each usage's `sense` without the usage, whose row in it is `member` (N, R)."""
    whole = model.sizes[sense, None] * model.centroids[sense].astype(np.float64)
    return unit(np.where(model.sizes[sense, None] > 1, whole - member.astype(np.float64), whole))


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
    centroids = means(rows.astype(np.float64), labels).astype(np.float32)
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
    own = (unit(rows) * unit(others)).sum(axis=1)[sizes > 1]
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
    nearest = (unit(represented) @ unit(model.centroids).T).max(axis=1)
    return Assignment(sense, confidence, nearest < model.familiar)


def verdict(model: SenseModel, n_usages: int) -> Verdict:
    """What the usages show. Fewer than `LEAST` are too little data, whatever the grouping of them is."""
    if n_usages < LEAST:
        return "too little data"
    return "several senses" if len(model.senses) > 1 else "one sense"


def exemplars(represented: FloatArray, assignment: Assignment, model: SenseModel, k: int = 3) -> list[list[int]]:
    """For each sense the indices of up to `k` of its usages, nearest its centroid first, no two of them alike."""
    found = []
    for i, centroid in enumerate(unit(model.centroids)):
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
    rows, labels = unit(vectors[kept]), np.unique(sense[kept], return_inverse=True)[1]
    first, second = np.triu_indices(len(kept), 1)
    cosine = rows @ rows.T
    pairs, same = cosine[first, second], labels[first] == labels[second]
    n_same, n_other = int(same.sum()), int((~same).sum())
    within = float(pairs[same].mean()) if n_same else float("nan")
    between = float(pairs[~same].mean()) if n_other else float("nan")
    auc = apart = float("nan")
    if n_same and n_other:  # Mann-Whitney's U over the number of pairs of pairs
        ranks = rankdata(np.round(pairs, 9))[same].sum()
        auc = float((ranks - n_same * (n_same + 1) / 2) / (n_same * n_other))
        apart = silhouette(cosine_distance(rows), labels)
    return Separation(within, between, auc, apart)


def _unit_backward(rows: FloatArray, slope: Matrix) -> FloatArray:
    """By each row, f32 (N, D), what changes by `slope` with `unit` of it: only what is across the row counts."""
    directions, lengths = unit(rows), np.linalg.norm(rows, axis=1, keepdims=True)
    across = slope - (slope * directions).sum(axis=1, keepdims=True) * directions
    changed: FloatArray = (across / np.where(lengths > 0, lengths, np.inf)).astype(np.float32)
    return changed


def _softmax(cosines: Matrix, temperature: float) -> FloatArray:
    scaled = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / temperature)
    chances: FloatArray = (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32)
    return chances
