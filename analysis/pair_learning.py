"""What says whether two usages share a sense, learnt from sense-tagged usages.

    usages with their tags -> fit -> PairModel

A map whitens the variation within senses and keeps the axes along which the senses of one lemma differ most (linear
discriminant analysis, Fisher 1936; the same step before scoring pairs in speaker verification: WCCN, Hatch et al. 2006,
and PLDA, Ioffe 2006). The regression is taught by nouns in one written form: other forms of a word lie apart for
reasons that are not its senses, and the senses of verbs shade into each other. "Different" is senses in different
lexicographer files of WordNet ("act" and "food"), as finer ones are not told apart by people either. It sees each lemma
through maps learnt without it, so that the probability is calibrated for new words.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.linear_model import LogisticRegression

from analysis.errors import BadOption
from analysis.grouping import unit
from analysis.same_sense import Half, Learnt, Matrix, PairModel, compared, side_by_side
from analysis.types import FloatArray, IntArray

AXES = 150  # kept of each map; more gain nothing
SHRINKAGE = 0.3  # of the covariance within senses, towards a multiple of the identity
MOST_OF_A_SENSE = 50  # usages that count towards the covariance, so that a frequent sense does not rule it
DRAWS = 120  # pairs drawn of one lemma, at most
FOLDS = 5  # of lemmas: the regression sees each through maps learnt on the others
PENALTY = 0.003  # of the regression: scikit-learn's `C`, on standardised features
# The nouns of CoarseWSD-20 are never learnt from, so that figures on them are of new words.
COARSEWSD = (
    "apple arm bank bass bow chair club crane deck digit hood java mole pitcher pound seal spring square trunk yard"
)
HELD_BACK = frozenset(COARSEWSD.split())


class Tag(NamedTuple):
    """What a tagger said of one usage: `sense` is the sense of this lemma and part of speech, `file` WordNet's
    lexicographer file of it ("14" is noun.group), `form` the target as it is written, in small letters."""

    lemma: str
    pos: str
    sense: str
    file: str
    form: str = ""


class Pairs(NamedTuple):
    """Rows of usages to compare, `first` and `second` int (P), and `same` bool (P): whether they share a sense."""

    first: IntArray
    second: IntArray
    same: NDArray[np.bool_]


def fit(
    layers: FloatArray,
    context: FloatArray,
    tags: Sequence[Tag],
    *,
    encoder: str,
    digest: str,
    text: str,
    seed: int = 0,
) -> PairModel:
    """Learn from N tagged usages, `layers` (N, 3, D) and `context` (N, D), read by the encoder of that name and digest.

    `text` names where they come from. Lemmas of HELD_BACK are left out, and so are usages whose states are zero.
    Raises BadOption where they hold no two usages of one sense, or no two senses in different lexicographer files.
    """
    targets = side_by_side(layers)
    rows = np.flatnonzero([tag.lemma.lower() not in HELD_BACK for tag in tags] & np.any(targets != 0, axis=1))
    known = [tags[row] for row in rows.tolist()]
    pairs = draw_pairs(known, seed=seed)
    lemmas = np.unique([_lemma(tag) for tag in known])
    folds = dict(zip(lemmas, np.random.default_rng(seed).permutation(len(lemmas)) % FOLDS, strict=True))
    fold = np.array([folds[_lemma(tag)] for tag in known], dtype=np.int64)
    maps: list[Half] = []
    features: list[Matrix] = []
    for given in (targets, context):
        directions = unit(given[rows])
        scatters = [
            _scatter(directions[fold == f], [known[i] for i in np.flatnonzero(fold == f).tolist()])
            for f in range(FOLDS)
        ]
        whole = _discriminant(scatters)
        scale = np.abs(whole).max()  # within the range of f16, whatever the encoder's; the regression makes up for it
        found = np.zeros((len(pairs.same), 2))
        for f in range(FOLDS):
            own = np.flatnonzero(fold[pairs.first] == f)
            placed = directions @ (_discriminant([one for other, one in enumerate(scatters) if other != f]) / scale)
            found[own] = compared(placed[pairs.first[own]], placed[pairs.second[own]])
        maps.append((whole / scale).astype(np.float16))
        features.append(found)
    coefficients = _regress(np.concatenate(features, axis=1), pairs.same)
    learnt = Learnt(
        encoder=encoder,
        digest=digest,
        text=text,
        usages=len(rows),
        lemmas=len(lemmas),
        pairs=len(pairs.same),
        seed=seed,
        versions={name: version(name) for name in ("numpy", "polyseme", "scipy")},
    )
    return PairModel(maps[0], maps[1], coefficients, learnt)


def draw_pairs(tags: Sequence[Tag], *, seed: int = 0) -> Pairs:
    """Pairs of usages of one noun in one written form drawn at random, at most DRAWS of each.

    Same is the same sense; different is senses in different lexicographer files. What is neither is left out. Raises
    BadOption where either is missing.
    """
    random = np.random.default_rng(seed)
    usages: dict[tuple[str, str], list[int]] = {}
    for row, tag in enumerate(tags):
        if tag.pos == "n":
            usages.setdefault((_lemma(tag), tag.form), []).append(row)
    found: list[tuple[int, int, bool]] = []
    for _, own in sorted(usages.items()):
        for _ in range(min(DRAWS, 3 * len(own)) if len(own) > 1 else 0):
            first, second = (own[i] for i in random.choice(len(own), 2, replace=False))
            same = tags[first].sense == tags[second].sense
            if same or tags[first].file != tags[second].file:
                found.append((first, second, same))
    if len({same for *_, same in found}) < 2:
        raise BadOption(
            f"the nouns of {len(tags)} tagged usages hold no two of one sense, or no two of senses in different "
            "lexicographer files",
            remedy="give more text, or a higher limit",
            where=("limit",),
        )
    first, second, same = (np.array(column) for column in zip(*found, strict=True))
    return Pairs(first, second, same)


def _lemma(tag: Tag) -> str:
    return f"{tag.lemma}.{tag.pos}"


class _Scatter(NamedTuple):
    """Sums of squares and products (D, D), each with its degrees of freedom."""

    within: Matrix
    n_within: int
    between: Matrix
    n_between: int


def _scatter(rows: Matrix, tags: Sequence[Tag]) -> _Scatter:
    """Within: usages (N, D) round the mean of their sense. Between: senses' means round the mean of their lemma's."""
    senses: dict[str, dict[str, list[int]]] = {}
    for row, tag in enumerate(tags):
        senses.setdefault(_lemma(tag), {}).setdefault(tag.sense, []).append(row)
    within, between = [np.zeros((0, rows.shape[1]))], [np.zeros((0, rows.shape[1]))]
    n_within = n_between = 0
    for own in senses.values():
        for usages in own.values():
            some = rows[usages[:MOST_OF_A_SENSE]]
            within.append(some - some.mean(axis=0))
            n_within += len(some) - 1
        means = np.array([rows[usages[:MOST_OF_A_SENSE]].mean(axis=0) for usages in own.values()])
        between.append(means - means.mean(axis=0))
        n_between += len(means) - 1
    inner, outer = np.concatenate(within), np.concatenate(between)
    return _Scatter(inner.T @ inner, n_within, outer.T @ outer, n_between)


def _discriminant(scatters: Sequence[_Scatter]) -> Matrix:
    """(D, R) whitens within senses and has the axes of the largest variation between them first."""
    n_within, n_between = sum(s.n_within for s in scatters), sum(s.n_between for s in scatters)
    within = np.sum([s.within for s in scatters], axis=0) / max(n_within, 1)
    between = np.sum([s.between for s in scatters], axis=0) / max(n_between, 1)
    width = len(within)
    even = max(float(np.trace(within)) / width, 1e-9)  # usages may be copies of each other
    shrunk = (1 - SHRINKAGE) * within + SHRINKAGE * even * np.eye(width)
    axes = min(AXES, width)
    _, found = eigh(between, shrunk, subset_by_index=(width - axes, width - 1))
    discriminant: Matrix = found[:, ::-1]
    return discriminant


def _regress(features: Matrix, same: NDArray[np.bool_]) -> Matrix:
    """(5) logistic regression on (P, 4), both answers weighing half."""
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-12)
    learnt = LogisticRegression(C=PENALTY, class_weight="balanced").fit((features - mean) / deviation, same)
    slopes: Matrix = learnt.coef_[0] / deviation
    return np.append(slopes, learnt.intercept_[0] - slopes @ mean)
