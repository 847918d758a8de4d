"""Gradients of a response to the words of a text, through the whole model.

A response is a function of the target's last hidden state and of the mean of its context; it gives its own gradient
(`Respond` in analysis/types.py), so that what is explained needs no torch. The model is differentiated here, along
three ways from nothing to the whole text:

    gates   every key of the context has a gate g in all attention (log g is added to its scores) and a weight g in the
            context's mean. At 1 the text is read as it is; towards 0 the context fades out, as if it were deleted.
    mask    the embeddings of the context go to those of [MASK]  (integrated gradients: Sundararajan et al. 2017)
    zero    they go to nothing                                   (at point 1 alone: gradient x input)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from analysis.model.batches import batches
from analysis.model.reading import Reading
from analysis.types import FloatArray, Path, Progress, Respond, silent

NEARLY_SHUT = 1e-6  # a gate of 0 would have no logarithm
NEIGHBOURHOODS = ("sliding_window", "local_attention", "attention_window")  # what configurations call them
NEVER = torch.finfo(torch.float32).min


class Batch(NamedTuple):
    """B readings, padded to T: their ids, and which positions are no padding, the target, its context; each (B, T)."""

    ids: torch.Tensor
    real: torch.Tensor
    target: torch.Tensor
    context: torch.Tensor


class Way(NamedTuple):
    """Where the readings stand on a path: `moved` is differentiated, `step` the way it goes from point 0 to 1.

    gates (B, T) open the attention's keys; what (one entry) is what the model reads.
    """

    moved: torch.Tensor
    step: torch.Tensor
    gates: torch.Tensor
    what: dict[str, torch.Tensor]


def along(
    model: Any,
    readings: Sequence[Reading],
    respond: Respond,
    points: Sequence[float],
    *,
    path: Path,
    mask_id: int | None,
    causal: bool,
    gradient: bool = True,
    progress: Progress = silent,
) -> tuple[list[FloatArray], FloatArray]:
    """What each unit of N readings adds along the path, f32 (W_i) each, and the response at its P points, f32 (N, P).

    What a unit adds is the gradient at a point times the unit's whole way, mean over the points: with points at the
    middles of equal steps, an integral from 0 to 1. Without `gradient` there is only the response. A point costs a
    forward pass and, with `gradient`, a backward one, which counts as two.
    """
    added = [np.zeros(len(reading.units), dtype=np.float32) for reading in readings]
    values = np.zeros((len(readings), len(points)), dtype=np.float32)
    steps = [(i, p) for i in range(len(readings)) for p in range(len(points))]
    for chosen in batches([len(readings[i]) for i, _ in steps]):
        which = np.array([steps[k] for k in chosen], dtype=np.int64)
        laid = [readings[i] for i in which[:, 0]]
        batch = _padded(laid, model.device)
        at = torch.tensor(points, dtype=torch.float32, device=model.device)[which[:, 1], None]
        with torch.set_grad_enabled(gradient):
            way = _gates(batch, at) if path == "gates" else _embeddings(model, batch, at, mask_id, path)
            hidden = _read(model, batch, way, causal=causal)
            vectors, around = _mean(hidden, batch.target * 1.0), _mean(hidden, batch.context * way.gates)
            response, to_vectors, to_context = respond(_numpy(vectors), _numpy(around), which[:, 0])
            values[which[:, 0], which[:, 1]] = response
            if gradient:
                change = vectors * _like(vectors, to_vectors) + around * _like(around, to_context)
                (slope,) = torch.autograd.grad(change.sum(), way.moved)
                steep = _numpy((slope * way.step).reshape(*batch.ids.shape, -1).sum(-1) * batch.context)
                for row, i in enumerate(which[:, 0]):
                    of = readings[i].unit_of
                    added[i] += np.bincount(of, steep[row, : len(of)], len(added[i])) / len(points)
        progress(len(chosen) * (3 if gradient else 1))
    return added, values


def takes_scores(model: Any, ids: torch.Tensor, *, window: int, causal: bool) -> bool:
    """Whether the model adds a mask of four dimensions to its attention's scores, tried on `ids` (1, T).

    Not every architecture takes one; and in those that look at a neighbourhood only, smaller than the `window`, it
    would stand in for the mask of that.
    """
    if any(0 < (getattr(model.config, name, None) or window) < window for name in NEIGHBOURHOODS):
        return False
    whole = torch.ones_like(ids, dtype=torch.bool)
    batch = Batch(ids, whole, whole, whole)
    with torch.inference_mode():
        plain = model(input_ids=ids, attention_mask=whole.long()).last_hidden_state
        try:
            scored = _read(model, batch, _gates(batch, torch.ones(1, 1, device=ids.device)), causal=causal)
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError):
            return False
    return plain.shape == scored.shape and torch.allclose(plain, scored, atol=1e-3)


def _gates(batch: Batch, at: torch.Tensor) -> Way:
    gates = torch.where(batch.context, at.clamp(min=NEARLY_SHUT), 1.0)
    gates.requires_grad_(torch.is_grad_enabled())
    return Way(gates, torch.ones_like(gates), gates, {"input_ids": batch.ids})


def _embeddings(model: Any, batch: Batch, at: torch.Tensor, mask_id: int | None, path: Path) -> Way:
    table = model.get_input_embeddings()
    whole = table(batch.ids)
    start = table.weight[mask_id] if path == "mask" else torch.zeros_like(whole)
    step = torch.where(batch.context[..., None], whole - start, 0.0)
    moved = (whole - (1 - at)[..., None] * step).requires_grad_(torch.is_grad_enabled())
    return Way(moved, step, torch.ones_like(batch.ids, dtype=torch.float32), {"inputs_embeds": moved})


def _read(model: Any, batch: Batch, way: Way, *, causal: bool) -> torch.Tensor:
    """The last hidden states (B, T, D). A mask of four dimensions is added to the attention's scores as it is."""
    width = batch.ids.shape[1]
    scores = torch.where(batch.real, way.gates.log(), NEVER)[:, None, None, :].expand(-1, 1, width, width)
    if causal:
        later = torch.ones(width, width, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, NEVER)
    hidden: torch.Tensor = model(attention_mask=scores, **way.what).last_hidden_state
    return hidden


def _padded(readings: Sequence[Reading], device: torch.device) -> Batch:
    longest = max(map(len, readings))

    def rows(arrays: Sequence[Any]) -> torch.Tensor:
        return torch.from_numpy(np.stack([np.pad(a, (0, longest - len(a))) for a in arrays])).to(device)

    return Batch(
        rows([r.ids for r in readings]),
        rows([np.ones(len(r), dtype=bool) for r in readings]),
        rows([r.target for r in readings]),
        rows([r.context for r in readings]),
    )


def _mean(hidden: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B, D): the mean over positions with weights (B, T); nothing where there are none."""
    return (hidden * weights[..., None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1e-12)


def _like(tensor: torch.Tensor, array: FloatArray) -> torch.Tensor:
    return torch.from_numpy(array).to(tensor)


def _numpy(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().cpu().numpy()
    return array
