"""Which senses of the dictionary the induced senses are: candidates for each, one-to-one where that fits, or none.

A sense's score for a dictionary sense is the mean of `scoring.fits` over its usages; beside it stands a score for "none
of these" (a company, a film). The senses are then given dictionary senses all together (Kuhn 1955), each once: a second
induced sense may have the same one only at a price.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from analysis.errors import NotInLexicon
from analysis.lexicon import scoring
from analysis.lexicon.disambiguate import Dictionary
from analysis.lexicon.pos import evidence
from analysis.lexicon.wordnet import Entry
from analysis.pipeline import Watch, unwatched
from analysis.record import LexicalSense
from analysis.types import IntArray, SenseModel, Usages

SHOWN = 3  # candidates of a sense
MOST = 50  # usages of a sense that are looked at
PRICE = 1.0  # of a second sense with the same dictionary sense, in the unit of the scores, nats

Matrix = NDArray[np.float64]


def names(
    dictionary: Dictionary, usages: Usages, model: SenseModel, sense: IntArray, watch: Watch = unwatched
) -> list[tuple[LexicalSense, ...]]:
    """For each of K senses its dictionary senses, the best first; empty where none fits, or the target is not there.

    `sense` (N) is an index into the model's senses, -1 for none. Raises as `Encoder.encode` does.
    """
    k = len(model.senses)
    try:
        entries = dictionary.lexicon.candidates(model.target)
    except NotInLexicon:
        return [()] * k
    read, weights = dictionary.glosses.of(entries, watch), dictionary.weights
    scores = np.full((k, len(entries) + 1), weights.none)
    for s in range(k):
        own = np.flatnonzero(sense == s)[:MOST]
        if len(own):
            fits = [
                scoring.fits(entries, read, usages.vectors[i], usages.context[i], weights.scores)
                + [evidence(usages.occurrences[i]).get(entry.pos, 0.0) for entry in entries]
                for i in own
            ]
            scores[s, :-1] = np.mean(fits, axis=0)
        else:
            scores[s, :-1] = -np.inf
    return [_told(entries, row, best) for row, best in zip(scores, assign(scores, price=PRICE), strict=True)]


def assign(scores: Matrix, *, price: float) -> list[int | None]:
    """For each row of f64 (K, E + 1) a column below E, or None for the last, so that the sum is the highest.

    A column below E is free once, and costs the price each further time; None is free. -inf is never chosen.
    """
    k, e = scores.shape[0], scores.shape[1] - 1
    never = -1e9  # the solver takes no infinities
    copies = [scores[:, :e] - price * (copy > 0) for copy in range(k)]
    columns = np.concatenate([*copies, np.repeat(scores[:, e:], k, axis=1)], axis=1)
    _, taken = linear_sum_assignment(-np.maximum(columns, never))
    return [None if column >= k * e else column % e for column in taken.tolist()]


def _told(entries: tuple[Entry, ...], row: Matrix, best: int | None) -> tuple[LexicalSense, ...]:
    """The best, then those that fit better than none at all; nothing where none was chosen."""
    if best is None:
        return ()
    chances = scoring.softmax(row)
    others = [e for e in np.argsort(-row[:-1], kind="stable").tolist() if e != best and row[e] > row[-1]]
    return tuple(
        LexicalSense(
            synset=entries[e].synset,
            key=entries[e].key,
            gloss=entries[e].gloss,
            score=round(float(chances[e]), 6),
            examples=entries[e].examples,
        )
        for e in [best, *others][:SHOWN]
    )
