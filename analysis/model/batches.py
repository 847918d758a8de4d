"""Which readings go through the model together: few, and of near-equal length, as padding costs more than it gains."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

BATCH_SIZE = 8
BATCH_SUBWORDS = 1024


def batches(lengths: Sequence[int], size: int = BATCH_SIZE, subwords: int = BATCH_SUBWORDS) -> Iterator[list[int]]:
    """Indices in batches of near-equal length, longest first: at most `size` readings and `subwords`, padding too."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) == size or (len(batch) + 1) * lengths[batch[0]] > subwords):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def filled(lengths: Sequence[int], subwords: int) -> Iterator[list[int]]:
    """Indices in batches of at most `subwords` (or one reading), longest first, each filled to the brim.

    Batches of nearly one size take the same pieces of memory one after the other.
    """
    left = sorted(range(len(lengths)), key=lambda i: lengths[i])
    while left:
        batch = [left.pop()]
        room = subwords - lengths[batch[0]]
        while fitting := bisect_right(left, room, key=lambda i: lengths[i]):
            batch.append(left.pop(fitting - 1))
            room -= lengths[batch[-1]]
        yield batch
