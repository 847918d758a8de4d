"""The work on a part of a corpus: the vectors of its uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.corpora.finding import Use
from analysis.errors import BadSpan, BadText
from analysis.pipeline import Watch
from analysis.types import Encoder, FloatArray, Occurrence, Progress


class ReadTask(NamedTuple):
    """Part `number` of a target's uses; those with `known` set have their vectors already."""

    target: str
    number: int
    uses: tuple[Use, ...]
    known: tuple[bool, ...]


class Block(NamedTuple):
    """The task, and of its M uses that were not known: f32 (M, D) `vectors` and `context`; bool (M) `readable`.

    The rows of those that the model cannot read are zero.
    """

    task: ReadTask
    vectors: FloatArray
    context: FloatArray
    readable: NDArray[np.bool_]


def read(encoder: Encoder, task: ReadTask, watch: Watch) -> Block:
    """The vectors of the uses that are not known."""
    todo = [use.occurrence(task.target) for use, known in zip(task.uses, task.known, strict=True) if not known]
    progress = watch("read", len(todo))
    vectors = np.zeros((len(todo), encoder.info.width), dtype=np.float32)
    context = np.zeros_like(vectors)
    can = np.ones(len(todo), dtype=bool)
    if todo:
        try:
            usages = encoder.encode(todo, progress=progress)
        except (BadSpan, BadText):
            can = readable(encoder, todo)
            usages = encoder.encode([use for use, good in zip(todo, can, strict=True) if good], progress=progress)
        vectors[can], context[can] = usages.vectors, usages.context
    return Block(task, vectors, context, can)


def nothing_to_read(task: ReadTask) -> Block:
    """Of a task whose uses are all known."""
    return Block(task, np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32), np.zeros(0, dtype=bool))


def readable(encoder: Encoder, occurrences: Sequence[Occurrence]) -> NDArray[np.bool_]:
    """(N) which the model can read: a tokenizer may see nothing at a sign, or the word be longer than the window."""
    return np.array([_can_read(encoder, use) for use in occurrences], dtype=bool)


def _can_read(encoder: Encoder, occurrence: Occurrence) -> bool:
    try:
        encoder.encode([occurrence])
    except (BadSpan, BadText):
        return False
    return True


def topped_up(progress: Progress) -> tuple[Watch, Progress]:
    """A watch whose every step tells the one progress, and what tells it of so many readings that are done for sure.

    Whether an engine told of readings on the way or not, in the end as many are told.
    """
    ahead = 0

    def on_the_way(done: int) -> None:
        nonlocal ahead
        ahead += done
        progress(done)

    def finished(done: int) -> None:
        nonlocal ahead
        if done > ahead:
            progress(done - ahead)
        ahead = max(0, ahead - done)

    return lambda _step, _total: on_the_way, finished
