"""The target's row of attention from inside transformers' own layers.

transformers 5 lets a model call any registered function for its attention ("attention interface"). Ours attends with
torch's fused kernel, which never holds the matrix, and beside it computes the target's row from its own query.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from analysis.model.batches import batches
from analysis.model.forward import Kept, Wanted, kept, padded
from analysis.model.reading import Reading

NAME = "polyseme_rows"
BEYOND = ("softcap", "s_aux", "position_bias")  # what architectures call the other things they do to scores


class _Targets(NamedTuple):
    """Where the targets are while a batch is read: `at` (B, P) their subwords, `weights` (B, P); rows are added."""

    at: torch.Tensor
    weights: torch.Tensor
    rows: list[torch.Tensor]


# Not every architecture hands down what a caller adds to its arguments; threads must not meet each other's.
_targets: ContextVar[_Targets | None] = ContextVar("targets", default=None)


class Rows:
    """A twin of the model, with the same weights, that attends by `attend`."""

    def __init__(self, model: Any, pad: int) -> None:
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, eager_mask)
        self._twin = copy.deepcopy(model, {id(p): p for p in (*model.parameters(), *model.buffers())})
        self._twin.set_attn_implementation(NAME)
        self._twin.config.use_cache = False
        self._depth, self._pad = model.config.num_hidden_layers, pad

    def batches(self, readings: Sequence[Reading]) -> Iterator[list[int]]:
        return batches([len(reading) for reading in readings])

    def room(self) -> None:
        """transformers takes its own."""

    def __call__(self, readings: Sequence[Reading], wanted: Wanted, room: None = None) -> Kept:  # noqa: ARG002
        batch = padded(readings, self._pad, self._twin.device)
        weights, at = batch.target.topk(int((batch.target > 0).sum(1).max()), dim=1)
        targets = _Targets(at, weights, [])
        token = _targets.set(targets if wanted.attention else None)
        try:
            with torch.inference_mode():
                output = self._twin(
                    input_ids=batch.ids, attention_mask=batch.real, output_hidden_states=bool(wanted.layers)
                )
        finally:
            _targets.reset(token)
        if wanted.attention and len(targets.rows) != self._depth:
            raise ValueError("a layer does not use the attention interface")
        return kept(batch, output, wanted, targets.rows, readings)


def attend(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """query (B, H, T, d), key and value (B, G, T, d) of G <= H heads -> the mixed values (B, T, H, d), and no weights.

    `attention_mask` (B or 1, 1, T, T) is added to the scores. Raises ValueError where they are more than that.
    """
    if any(others.get(name) is not None for name in BEYOND):
        raise ValueError("an attention whose scores are not only products and a mask")
    alike = query.shape[1] // key.shape[1]
    if alike > 1:
        key, value = key.repeat_interleave(alike, 1), value.repeat_interleave(alike, 1)
    targets = _targets.get()
    if targets is not None:
        targets.rows.append(_rows(targets, query, key, attention_mask, scaling))
    mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, attention_mask, scale=scaling)
    return mixed.transpose(1, 2).contiguous(), None


def _rows(
    targets: _Targets, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:
    """(B, H, T): the weights of the targets' queries, mean over the subwords of each."""
    size, heads, length, width = query.shape
    at = targets.at[:, None, :, None]  # (B, 1, P, 1)
    own = query.gather(2, at.expand(-1, heads, -1, width))
    scores = own @ key.transpose(2, 3) * (width**-0.5 if scaling is None else scaling)
    if mask is not None:
        scores = scores + mask.expand(size, -1, -1, -1).gather(2, at.expand(-1, mask.shape[1], -1, length))
    return torch.einsum("bp,bhpk->bhk", targets.weights, scores.softmax(-1))
