"""Which readings go through the model together: few, and of near-equal length, as padding costs more than it gains."""

from __future__ import annotations

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
