"""Which senses of the dictionary the induced senses are: candidates for each, one-to-one where that fits, or none.

A usage's score for a dictionary sense is what `scoring` gives it; a sense's is the mean over its usages, beside a score
for "none of these" which was set on SemCor by taking the right sense out of the dictionary. Senses are then given
entries together (Kuhn 1955), each entry once: a second sense may have the same entry only at a price.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from analysis.errors import NotInLexicon
from analysis.lexicon import scoring
from analysis.lexicon.disambiguate import Dictionary
from analysis.pipeline import Watch, unwatched
from analysis.record import LexicalSense
from analysis.types import IntArray, SenseModel, Usages

SHOWN = 3  # candidates of a sense
MOST = 50  # usages of a sense that are looked at
PRICE = 2.0  # nats of a second sense with the same entry

Matrix = NDArray[np.float64]


def names(
    dictionary: Dictionary,
    usages: Usages,
    model: SenseModel,
    sense: IntArray,
    watch: Watch = unwatched,
) -> list[tuple[LexicalSense, ...]]:
    """For each of K senses its dictionary candidates, the best first; empty where none fits or the target is not there.

    `sense` (N) is an index into the model's senses, -1 for none. Raises as `Encoder.encode` does.
    """
    n_senses = len(model.senses)
    try:
        entries = dictionary.lexicon.candidates(model.target)
    except NotInLexicon:
        return [() for _ in range(n_senses)]
    read = dictionary.glosses.of(entries, watch)
    rows = []
    for k in range(n_senses):
        own = np.flatnonzero(sense == k)[:MOST]
        every = [
            scoring.fit_scores(entries, read, usages.vectors[i], usages.context[i], dictionary.vectors) for i in own
        ]
        rows.append(np.mean(every, axis=0) if every else np.full(len(entries) + 1, -np.inf))
    scores = np.array(rows)  # (K, E + 1): the last column is "none of these"
    chosen = assign(scores, price=PRICE)
    chances = np.array([scoring.softmax(row) if np.isfinite(row).any() else np.zeros(len(row)) for row in scores])
    found = []
    for k, best in enumerate(chosen):
        others = [e for e in np.argsort(-scores[k, :-1], kind="stable").tolist() if e != best]
        shown = [] if best is None else [best, *(e for e in others if chances[k, e] > chances[k, -1])][:SHOWN]
        found.append(
            tuple(
                LexicalSense(entries[e].synset, entries[e].key, entries[e].gloss, round(float(chances[k, e]), 6),
                     entries[e].examples)
                for e in shown
            )
        )  # fmt: skip
    return found


def assign(scores: Matrix, *, price: float) -> list[int | None]:
    """For each row of f64 (K, E + 1) a column below E, or None for the last, so that the sum is the highest.

    A column below E may be had once for nothing, and again for the price each time; None by any number of rows.
    """
    k, e = scores.shape[0], scores.shape[1] - 1
    safe = np.where(np.isfinite(scores), scores, -1e6)
    copies = [safe[:, :e] - price * (copy > 0) for copy in range(k)]
    columns = np.concatenate([*copies, np.repeat(safe[:, e:], k, axis=1)], axis=1)
    rows, taken = linear_sum_assignment(-columns)
    best: list[int | None] = [None] * k
    for row, column in zip(rows.tolist(), taken.tolist(), strict=True):
        if column < k * e and np.isfinite(scores[row]).any():
            best[row] = column % e
    return best
