"""The encoders as the service uses them: behind a fair lock, so that a long request lets others go between its batches.

A long request's batches are its own, the same as if it were alone, so that its answer is too, to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from analysis.types import Encoder, FloatArray, ModelInfo, Progress, Sentences, Usages
from service.encoders import info
from service.passing import Passing
from service.tickets import current
from service.turns import Turns

KEPT_ROWS = 1024  # static vectors, of 768 numbers or so


class Fair(Passing):
    """An `Encoder` whose batches wait for their turn; between two of them, others may have theirs.

    What runs the model also raises ClientGone, DeadlinePassed, ShuttingDown between two batches.
    """

    def __init__(self, encoder: Encoder, turns: Turns, read: Callable[[int], None]) -> None:
        super().__init__(encoder)
        self._turns, self._read = turns, read
        # The same few words are asked for again and again, and the tokenizer takes longer than all else on the way.
        self._row = lru_cache(maxsize=KEPT_ROWS)(lambda form: encoder.static([form])[0])

    @contextmanager
    def running(self, progress: Progress, total: int | None) -> Iterator[Progress]:
        """In a turn, which is given to others at each telling of the progress but the last."""
        left = total

        def watch(done: int) -> None:
            nonlocal left
            progress(done)
            if left is not None:
                left -= done
            if left is None or left > 0:
                step_aside()

        with self._turns.turn(current()) as step_aside:
            yield watch

    def encode(self, *args: Any, **kwargs: Any) -> Usages:
        usages = super().encode(*args, **kwargs)
        self._read(usages.n_subwords)
        return usages

    def sentences(self, *args: Any, **kwargs: Any) -> Sentences:
        read = super().sentences(*args, **kwargs)
        self._read(read.n_subwords)
        return read

    def static(self, forms: Sequence[str]) -> FloatArray:
        return np.stack([self._row(form) for form in forms])  # rows of a table: nothing to wait for


class FairEncoders(Mapping[str, Fair]):
    """The encoders by name, each behind the same turns. Takes seconds where the first use of a model loads it."""

    def __init__(self, encoders: Mapping[str, Encoder], turns: Turns, read: Callable[[int], None]) -> None:
        self.encoders, self._turns, self._read = encoders, turns, read
        self._fair: dict[str, Fair] = {}

    def __getitem__(self, name: str) -> Fair:
        if name not in self._fair:
            self._fair.setdefault(name, Fair(self.encoders[name], self._turns, self._read))
        return self._fair[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.encoders)

    def __len__(self) -> int:
        return len(self.encoders)

    def __contains__(self, name: object) -> bool:
        return name in self.encoders

    def info(self, name: str) -> ModelInfo | None:
        """What is known of a model without loading it."""
        fair = self._fair.get(name)
        return info(self.encoders, name) if fair is None else fair.info
