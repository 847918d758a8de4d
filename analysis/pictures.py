"""What the record keeps for charts alone: places on the sense map, cosines of usages, attention of exemplars.

A small part stands for the whole here, and numbers have three decimals: a picture shows no more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.record import Similarity, UsageAttention
from analysis.types import Attention, FloatArray, IntArray, Span, Unit

SIMILAR = 100  # usages at most whose cosines are kept
LONGEST = 40  # words of a usage beyond which its attention is not kept: a page of 100 usages stays under 3 MB
SENSES = 6  # the senses, largest first, whose exemplars' attention is kept: those with a colour of their own


def sense_map(represented: FloatArray) -> FloatArray | None:
    """(N, R) -> (N, 2): the two principal axes, signs fixed by the largest entry; None for fewer than 3 usages.

    Distances on the map are approximate: two axes hold only a part of the variance.
    """
    if len(represented) < 3:
        return None
    centred = represented - represented.mean(axis=0)
    # The axes come from the small side: (N, N) for few usages, (R, R) for many.
    if len(centred) <= centred.shape[1]:
        values, left = np.linalg.eigh(centred @ centred.T)
        points = left[:, -2:][:, ::-1] * np.sqrt(np.maximum(values[-2:][::-1], 0))
    else:
        points = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -2:][:, ::-1]
    signs = np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    placed: FloatArray = (points * np.where(signs == 0, 1, signs)).astype(np.float32)
    return placed


def similarity(represented: FloatArray, sense: IntArray, chosen: IntArray) -> Similarity | None:
    """The cosines of the chosen ones of N usages, unit rows (N, R); None for fewer than two.

    Sense by sense, those without one last; within a sense the usage that is most like the others comes first.
    """
    if len(chosen) < 2:
        return None
    own = sense[chosen]
    cosine = represented[chosen] @ represented[chosen].T
    typical = np.array([row[own == s].mean() for row, s in zip(cosine, own, strict=True)])
    order = np.lexsort((np.round(-typical, 5), np.where(own < 0, own.max() + 1, own)))
    cosine = cosine[np.ix_(order, order)]
    return Similarity(
        usages=tuple(f"u{chosen[i]}" for i in order),
        cosines=tuple(_shares(row[:i]) for i, row in enumerate(cosine)),
    )


def usage_attention(
    usage: str, words: Sequence[Unit], span: Span, row: FloatArray, whole: Attention | None
) -> UsageAttention | None:
    """The target's `row` (L, H, W) over the words read, and its mean over heads from every word where there is a whole.

    None where there are too many words to show.
    """
    if len(words) > LONGEST:
        return None
    return UsageAttention(
        usage=usage,
        words=tuple(unit.text for unit in words),
        special=tuple(unit.special for unit in words),
        target=tuple(i for i, unit in enumerate(words) if not unit.special and unit.span.overlaps(span)),
        weights=tuple(tuple(map(_shares, layer)) for layer in row),
        matrix=None if whole is None else tuple(tuple(map(_shares, layer)) for layer in whole.weights.mean(axis=1)),
    )


def _shares(values: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(round(float(value), 3) + 0.0 for value in values)
