"""The encoders as the service uses them: behind a fair lock, so that a long request lets others go between its batches.

A long request's batches are its own, the same as if it were alone, so that its answer is too, to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np

from analysis.types import (
    Ability,
    Attention,
    Encoder,
    FloatArray,
    Gradients,
    ModelInfo,
    Occurrence,
    Path,
    Perturbed,
    Progress,
    Respond,
    Sentences,
    Usages,
    silent,
)
from service.encoders import info
from service.tickets import current
from service.turns import Turns

KEPT_ROWS = 1024  # static vectors, of 768 numbers or so


class Fair:
    """An `Encoder` whose batches wait for their turn; between two of them, others may have theirs."""

    def __init__(self, encoder: Encoder, turns: Turns, read: Callable[[int], None]) -> None:
        self.encoder, self._turns, self._read = encoder, turns, read
        # The same few words are asked for again and again, and the tokenizer takes longer than all else on the way.
        self._row = lru_cache(maxsize=KEPT_ROWS)(lambda form: encoder.static([form])[0])

    @property
    def info(self) -> ModelInfo:
        return self.encoder.info

    @property
    def abilities(self) -> frozenset[Ability]:
        return self.encoder.abilities

    def encode(
        self,
        readings: Sequence[Occurrence | Perturbed],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        progress: Progress = silent,
    ) -> Usages:
        """As the encoder does; also raises ClientGone, DeadlinePassed, ShuttingDown between two batches."""
        with self._turns.turn(current()) as step_aside:
            watch = _between(progress, len(readings), step_aside)
            usages = self.encoder.encode(readings, layers=layers, attention=attention, progress=watch)
        self._read(usages.n_subwords)
        return usages

    def sentences(self, texts: Sequence[str], *, progress: Progress = silent) -> Sentences:
        """As the encoder does; raises as `encode`."""
        with self._turns.turn(current()) as step_aside:
            read = self.encoder.sentences(texts, progress=_between(progress, len(texts), step_aside))
        self._read(read.n_subwords)
        return read

    def attention(self, text: str) -> Attention:
        with self._turns.turn(current()):
            return self.encoder.attention(text)

    def word_attention(self, occurrence: Occurrence) -> Attention:
        with self._turns.turn(current()):
            return self.encoder.word_attention(occurrence)

    def gradients(
        self,
        occurrences: Sequence[Occurrence | Perturbed],
        respond: Respond,
        *,
        path: Path,
        points: Sequence[float],
        ends: bool = False,
        progress: Progress = silent,
    ) -> Gradients:
        """As the encoder does; raises as `encode`."""
        with self._turns.turn(current()) as step_aside:
            watch = _then(progress, step_aside)
            return self.encoder.gradients(occurrences, respond, path=path, points=points, ends=ends, progress=watch)

    def value_zeroing(
        self, occurrences: Sequence[Occurrence], *, progress: Progress = silent
    ) -> tuple[FloatArray, ...]:
        """As the encoder does; raises as `encode`."""
        with self._turns.turn(current()) as step_aside:
            return self.encoder.value_zeroing(occurrences, progress=_then(progress, step_aside))

    def static(self, forms: Sequence[str]) -> FloatArray:
        return np.stack([self._row(form) for form in forms])  # rows of a table: nothing to wait for


def _then(progress: Progress, step_aside: Callable[[], None]) -> Progress:
    def watch(done: int) -> None:
        progress(done)
        step_aside()

    return watch


def _between(progress: Progress, total: int, step_aside: Callable[[], None]) -> Progress:
    left = total

    def watch(done: int) -> None:
        nonlocal left
        left -= done
        progress(done)
        if left > 0:
            step_aside()

    return watch


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
