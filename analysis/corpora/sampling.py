"""A sample of a stream of unknown length: the uses whose numbers, drawn by a hash of their place, are the lowest.

It is as random as a reservoir (Vitter 1985) and of the same size, and depends on the seed and on where each use
stands, but not on the order in which files are read. A smaller sample is part of a larger one (bottom-k: Cohen and
Kaplan 2007).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from hashlib import blake2b


def draw(seed: int, *place: str | int) -> int:
    """A whole number below 2**63, as good as random, that is the same for the same seed and place."""
    content = "\0".join(map(str, (seed, *place))).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") >> 1


class Lowest:
    """The `size` lowest numbers of those offered; None: all."""

    def __init__(self, size: int | None, numbers: Iterable[int] = ()) -> None:
        self._size = size
        self._negative: list[int] = []  # a heap whose top is the highest that is kept
        for number in numbers:
            self.offer(number)

    def offer(self, number: int) -> bool:
        """Whether it is one of the lowest so far."""
        if self._size is None:
            return True
        if len(self._negative) < self._size:
            heapq.heappush(self._negative, -number)
            return True
        if number >= -self._negative[0]:
            return False
        heapq.heapreplace(self._negative, -number)
        return True

    @property
    def highest(self) -> int:
        """The highest that is kept; beyond any number where all are, or there is room."""
        return 2**63 if self._size is None or len(self._negative) < self._size else -self._negative[0]
