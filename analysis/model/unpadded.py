"""Readings as one row of subwords: one behind the other, nothing padded, and a text with several targets once.

readings -> lay -> Laid;  readings, Laid -> pieces_of -> Pieces
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from analysis.model.forward import shares
from analysis.model.reading import Reading
from analysis.types import IntArray

PART = 512  # subwords of texts, repeated for each subword of their targets, that are held at once


class Run(NamedTuple):
    """`texts` of `length` subwords each, which begin at `start` of the subwords of the batch."""

    start: int
    texts: int
    length: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + self.texts * self.length)


class Laid(NamedTuple):
    """B readings of at most B texts, the texts as one row of S subwords.

    starts, lengths: of each reading's text in the row (B);  ids, positions (S);  runs of texts of equal length
    target, context (B, S): weights whose product with the states is the mean over these subwords
    """

    starts: IntArray
    lengths: IntArray
    ids: Tensor
    positions: Tensor
    runs: tuple[Run, ...]
    target: Tensor
    context: Tensor


class Pieces(NamedTuple):
    """The P subwords of the targets, each beside all of its text: S' subwords.

    at (P) where they are in the batch, places (P) in their texts;  shares (B, P) weights of their mean
    keys (S') the subwords of their texts, None where they are S itself, each text with one target of one subword
    own (S') whose text it is;  runs of these
    """

    at: Tensor
    places: tuple[int, ...]
    shares: Tensor
    keys: Tensor | None
    own: Tensor
    runs: tuple[Run, ...]

    def parts(self) -> Iterator[tuple[Tensor, Any]]:
        """`own` and what takes the `keys` out of S, at most PART at a time: a target may be as long as the window."""
        for first in range(0, len(self.own), PART):
            part = slice(first, first + PART)
            yield self.own[part], part if self.keys is None else self.keys[part]


def lay(readings: Sequence[Reading], device: torch.device, padding: int | None) -> Laid:
    """`padding` is the row of the table of positions behind which they are counted; None where they begin at 0."""
    ids = [reading.ids.tobytes() for reading in readings]
    texts = dict(zip(ids, readings, strict=True))
    lengths = [len(text) for text in texts.values()]
    start_of = dict(zip(texts, np.cumsum([0, *lengths]).tolist(), strict=False))
    starts = np.array([start_of[own] for own in ids])
    target, context = np.zeros((2, len(readings), sum(lengths)), dtype=np.float32)
    for i, reading in enumerate(readings):
        own = slice(starts[i], starts[i] + len(reading))
        target[i, own], context[i, own] = shares(reading.target), shares(reading.context)
    return Laid(
        starts,
        np.array([len(reading) for reading in readings]),
        _tensor(np.concatenate([text.ids for text in texts.values()]), device),
        _tensor(np.concatenate([_positions(text.ids, padding) for text in texts.values()]), device),
        _runs(lengths),
        _tensor(target, device),
        _tensor(context, device),
    )


def pieces_of(readings: Sequence[Reading], laid: Laid) -> Pieces:
    """Of the readings that were laid."""
    places = [np.flatnonzero(reading.target) for reading in readings]
    counts = np.array([len(own) for own in places])
    of = np.repeat(np.arange(len(readings)), counts)  # (P) the reading of each
    starts, lengths = laid.starts[of], laid.lengths[of]
    keys = np.concatenate([start + np.arange(length) for start, length in zip(starts, lengths, strict=True)])
    alone = len(of) == len(readings) and np.array_equal(keys, np.arange(len(laid.ids)))
    device = laid.ids.device
    return Pieces(
        _tensor(np.concatenate(places) + starts, device),
        tuple(np.concatenate(places).tolist()),
        _tensor(((of == np.arange(len(readings))[:, None]) / counts[:, None]).astype(np.float32), device),
        None if alone else _tensor(keys, device),
        _tensor(np.repeat(np.arange(len(of)), lengths), device),
        _runs(lengths.tolist()),
    )


def _tensor(array: Any, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)


def _positions(ids: IntArray, padding: int | None) -> IntArray:
    """RoBERTa and MPNet begin to count behind the padding's row, and do not count padding."""
    if padding is None:
        return np.arange(len(ids))
    counted = ids != padding
    positions: IntArray = np.cumsum(counted) * counted + padding
    return positions


def _runs(lengths: Sequence[int]) -> tuple[Run, ...]:
    runs, start = [], 0
    for length, alike in groupby(lengths):
        run = Run(start, len(list(alike)), length)
        runs.append(run)
        start = run.rows.stop
    return tuple(runs)
