"""One pass of a model over a batch of readings, of which only what was asked for is kept.

Three ways, the first that the model can go and that agrees with the last one (`forward_of`):

    packed.Packed   BERT, RoBERTa, MPNet: arithmetic of our own over texts that stand one behind the other, unpadded
    rows.Rows       whatever uses transformers' attention interface: a padded batch, the target's row alone kept
    Plain           any other: transformers as it is, its whole attention matrices
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from analysis.model.batches import batches
from analysis.model.reading import Reading
from analysis.types import FloatArray, IntArray

CLOSE = 1e-4  # of a state's length: how far a way of its own may be from the plain one


class Wanted(NamedTuple):
    """What to keep of each reading. Without `context` the last layer need not be finished but for the target."""

    layers: tuple[int, ...] = ()
    attention: bool = False
    context: bool = True


@dataclass(frozen=True, eq=False)
class Kept:
    """Of B readings: the target's last hidden state and the mean of its context's, f32 (B, D) each (context f32 (B, 0)
    where it was not wanted), the target's states (B, len(layers), D), and its rows of attention, f32 (L, H, T_i) each.

    All of them are means over the target's subwords.
    """

    vectors: FloatArray
    context: FloatArray
    layers: FloatArray
    rows: tuple[FloatArray, ...]


class Forward(Protocol):
    """`batches` says which readings, by their indices, are best read together: those of near-equal length.

    `room` gives memory for calls that follow one another; a call without it takes its own.
    """

    def batches(self, readings: Sequence[Reading]) -> Iterator[list[int]]: ...

    def room(self) -> Any: ...

    def __call__(self, readings: Sequence[Reading], wanted: Wanted, room: Any = None) -> Kept: ...


class Padded(NamedTuple):
    """B readings, padded on the right to T, so that a position means the same with and without padding.

    ids, real (B, T); target, context (B, T): weights whose product with the states is the mean over these subwords
    """

    ids: torch.Tensor
    real: torch.Tensor
    target: torch.Tensor
    context: torch.Tensor


class Plain:
    """transformers as it is, with eager attention."""

    def __init__(self, model: Any, pad: int) -> None:
        self._model, self._pad = model, pad

    def batches(self, readings: Sequence[Reading]) -> Iterator[list[int]]:
        return batches([len(reading) for reading in readings])

    def room(self) -> None:
        """transformers takes its own."""

    def __call__(self, readings: Sequence[Reading], wanted: Wanted, room: None = None) -> Kept:  # noqa: ARG002
        batch = padded(readings, self._pad, self._model.device)
        with torch.inference_mode():
            output = self._model(
                input_ids=batch.ids,
                attention_mask=batch.real,
                output_hidden_states=bool(wanted.layers),
                output_attentions=wanted.attention,
            )
            rows = [torch.einsum("bt,bhtk->bhk", batch.target, weights) for weights in output.attentions or ()]
            return kept(batch, output, wanted, rows, readings)

    @torch.inference_mode()
    def whole(self, ids: IntArray) -> FloatArray:
        """(L, H, T, T): the attention of one text, all of it."""
        one = torch.from_numpy(ids)[None].to(self._model.device)
        output = self._model(input_ids=one, attention_mask=torch.ones_like(one), output_attentions=True)
        weights: FloatArray = torch.stack(output.attentions)[:, 0].cpu().numpy()
        return weights


def kept(batch: Padded, output: Any, wanted: Wanted, rows: Sequence[torch.Tensor], readings: Sequence[Reading]) -> Kept:
    """What was wanted of a padded batch's output; `rows` (B, H, T) of each layer, means over the target's subwords."""
    weights = torch.stack(list(rows), 1).cpu().numpy() if wanted.attention else None
    return Kept(
        vectors=mean(batch.target, output.last_hidden_state).cpu().numpy(),
        context=mean(batch.context, output.last_hidden_state).cpu().numpy()
        if wanted.context
        else nothing(len(readings)),
        layers=stacked([mean(batch.target, output.hidden_states[layer]) for layer in wanted.layers], len(readings)),
        rows=() if weights is None else tuple(weights[i, ..., : len(one)] for i, one in enumerate(readings)),
    )


def padded(readings: Sequence[Reading], pad: int, device: Any) -> Padded:
    shape = len(readings), max(map(len, readings))
    ids, real = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    target, context = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for row, reading in enumerate(readings):
        length = len(reading)
        ids[row, :length], real[row, :length] = reading.ids, 1
        target[row, :length], context[row, :length] = shares(reading.target), shares(reading.context)
    return Padded(*(torch.from_numpy(array).to(device) for array in (ids, real, target, context)))


def shares(chosen: Any) -> Any:
    """Weights that sum to 1 over the positions chosen, or are all 0 where none is."""
    return chosen / max(1, np.count_nonzero(chosen))


def mean(weights: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """(B, T) and (B, T, D) -> (B, D)."""
    return torch.einsum("bt,btd->bd", weights, states)


def stacked(layers: Sequence[torch.Tensor], n: int) -> FloatArray:
    """The layers wanted of n readings, (n, D) each -> (n, layers, D): one copy, of what is kept only."""
    found: FloatArray = torch.stack(list(layers), 1).cpu().numpy() if layers else np.zeros((n, 0, 0), dtype=np.float32)
    return found


def nothing(n: int) -> FloatArray:
    return np.zeros((n, 0), dtype=np.float32)


def forward_of(ways: Sequence[Callable[[], Forward]], plain: Plain, tried: Sequence[Reading], layers: int) -> Forward:
    """The first of the ways that can be gone and keeps of the readings what `plain` does; else `plain`.

    An architecture that looks like another may differ from it in what its configuration says: it is tried, not trusted.
    """
    wanted = Wanted(tuple(range(layers + 1)), attention=True)
    expected = plain(tried, wanted)
    for way in ways:
        try:
            forward = way()
            if _agree(forward(tried, wanted), expected) and _agree(
                forward(tried, wanted._replace(context=False)), expected
            ):
                return forward
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError, KeyError):
            continue
    return plain


def _agree(found: Kept, expected: Kept) -> bool:
    rows = zip(found.rows, expected.rows, strict=True)
    pairs = [(found.vectors, expected.vectors), (found.layers, expected.layers), *rows]
    if found.context.size:
        pairs.append((found.context, expected.context))
    return all(
        a.shape == b.shape
        and bool((np.linalg.norm(a - b, axis=-1) <= CLOSE * np.maximum(1, np.linalg.norm(b, axis=-1))).all())
        for a, b in pairs
    )
