"""How well a dictionary sense fits a usage: a log-linear model over a few features (Berger et al. 1996).

The features say what WordNet's counts tell before the usage is seen, how near the usage is to the sense's gloss and
examples, and, where a model was given sense-tagged text, how near it is to the sense's own usages there, or to those of
its synset, of the synsets above it, and of its lexicographer file (as LMMS backs off, Loureiro and Jorge 2019). Each
part of speech has weights of its own, learnt by conditional likelihood on tagged documents that nothing else was
learnt from; the counts are then without those of the document.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from analysis.grouping import unit
from analysis.lexicon.glosses import EntryVectors
from analysis.lexicon.vectors import SenseVectors
from analysis.lexicon.weights import PRIOR, PRIOR_SHARE
from analysis.lexicon.wordnet import Entry
from analysis.types import FloatArray

Matrix = NDArray[np.float64]
RIDGE = 1.0  # of the weights of standardised features
POSITIONS = {"n": 0, "v": 1, "a": 2, "r": 3}


def scores(
    entries: Sequence[Entry],
    read: Sequence[EntryVectors],
    vector: FloatArray,
    context: FloatArray,
    weights: Matrix,
    tagged: SenseVectors | None = None,
) -> Matrix:
    """f64 (C): the log of each sense's probability, but for a constant; `vector` and `context` (D) of the usage.

    `weights` f64 (9) serve where nothing was learnt from tagged text, which has weights of its own.
    """
    found = features(entries, read, vector, context, [entry.count for entry in entries], tagged)
    table = weights if tagged is None else tagged.weights[[POSITIONS[entry.pos] for entry in entries]]
    own: Matrix = (found * table).sum(axis=1)
    return own


def fits(
    entries: Sequence[Entry], read: Sequence[EntryVectors], vector: FloatArray, context: FloatArray, weights: Matrix
) -> Matrix:
    """f64 (C): how well each sense fits whatever the others are, so that a number can mean "none of these".

    The glosses' part of the score, and a share of what WordNet's counts say, less its mean over the senses: texts that
    were chosen for one word do not have its senses as often as running text has.
    """
    found = features(entries, read, vector, context, [entry.count for entry in entries], None) * weights
    before, glosses = found[:, : len(PRIOR)].sum(axis=1), found[:, len(PRIOR) :].sum(axis=1)
    own: Matrix = PRIOR_SHARE * (before - before.mean()) + glosses
    return own


def features(
    entries: Sequence[Entry],
    read: Sequence[EntryVectors],
    vector: FloatArray,
    context: FloatArray,
    counts: Sequence[int],
    tagged: SenseVectors | None,
) -> Matrix:
    """f64 (C, F): the columns are those of PRIOR, GLOSSES and, where something was learnt, TAGGED."""
    parts = [prior(counts), gloss_features(read, vector, context)]
    if tagged is not None:
        parts.append(tagged.features(entries, vector))
    return np.concatenate(parts, axis=1)


def prior(counts: Sequence[int]) -> Matrix:
    """(C, 4) of the senses of a word in WordNet's order: see PRIOR. Of equal counts the earlier sense ranks first."""
    c = np.asarray(counts, dtype=np.float64)
    rank = np.empty(len(c))
    rank[np.argsort(-c, kind="stable")] = np.arange(len(c))
    share = (c + 0.3) / (c.sum() + 0.3 * len(c))
    return np.stack([np.log(c + 0.5), np.log(share), rank == 0, 1 / (rank + 1)], axis=1)


def gloss_features(read: Sequence[EntryVectors], vector: FloatArray, context: FloatArray) -> Matrix:
    """(C, 5): see GLOSSES. Cosines; without an example of its own a sense gets the mean of the others'."""
    target, around = unit(vector[None])[0], unit(context[None])[0]
    lemma, gloss = unit(np.stack([one.target for one in read])), unit(np.stack([one.gloss for one in read]))
    has = np.array([len(one.examples) > 0 for one in read])
    nearest = np.array([(unit(one.examples) @ target).max() if len(one.examples) else 0.0 for one in read])
    nearest[~has] = nearest[has].mean() if has.any() else 0.0
    return np.stack([lemma @ target, gloss @ target, gloss @ around, nearest, has], axis=1)


def softmax(scores_: Matrix) -> Matrix:
    """(C) that sum to 1."""
    found = np.exp(scores_ - scores_.max())
    whole: Matrix = found / found.sum()
    return whole


def learn(rows: Sequence[Matrix], right: Sequence[NDArray[np.bool_]], ridge: float = RIDGE) -> Matrix:
    """(F) the weights under which the right senses are likeliest: rows[i] (C_i, F) of a usage, right[i] (C_i).

    A usage with several right senses counts the sum of their probabilities. Usages without one are left out.
    """
    kept = [i for i, own in enumerate(right) if own.any() and not own.all()]
    width = rows[0].shape[1]
    if not kept:
        return np.zeros(width)
    stacked = np.concatenate([rows[i] for i in kept])
    scale = np.maximum(stacked.std(axis=0), 1e-6)
    stacked = stacked / scale
    lengths = np.array([len(rows[i]) for i in kept])
    starts, own = np.append(0, np.cumsum(lengths)[:-1]), np.repeat(np.arange(len(kept)), lengths)
    good = np.concatenate([right[i] for i in kept]).astype(np.float64)

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        each = stacked @ weights
        each = np.exp(each - np.maximum.reduceat(each, starts)[own])
        each /= np.add.reduceat(each, starts)[own]
        hit = np.maximum(np.add.reduceat(each * good, starts), 1e-12)
        slope = stacked.T @ (each - each * good / hit[own]) + ridge * weights
        return float(-np.log(hit).sum() + ridge * weights @ weights / 2), slope

    found: Matrix = minimize(loss, np.zeros(width), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    weights: Matrix = found / scale
    return weights
