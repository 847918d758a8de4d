"""The pass of `packed.Packed` for the targets' states as one program: torch runs it without the interpreter's lock.

A pass of Python's own takes that lock anew for each of some hundred operations, and waits for it each time that another
thread is at work: in a service whose event loop is busy, that is most of the time. The operations are the same.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Runs = list[tuple[int, int, int]]  # where it begins, how many texts, of how many subwords each


class Weights(NamedTuple):
    """Of the embeddings, and of each layer: qkv, out, norm, up, down, norm; a weight and a bias each."""

    words: Tensor
    places: Tensor
    kind: Tensor | None
    norm: tuple[Tensor, Tensor]
    layers: list[list[Tensor]]
    bias: Tensor | None
    epsilon: float
    heads: int


class Batch(NamedTuple):
    """`unpadded.Laid` and `unpadded.Pieces`; `bias` (S', H) of the pieces' scores."""

    ids: Tensor
    positions: Tensor
    runs: list[tuple[int, int, int]]
    target: Tensor
    at: Tensor
    own: Tensor
    keys: Tensor | None
    shares: Tensor
    piece_runs: list[tuple[int, int, int]]
    bias: Tensor | None


Program = Callable[[Weights, Batch, list[int]], list[Tensor]]


def compiled() -> Program | None:
    """`_states`, compiled; None where torch has no such compiler any more."""
    if not hasattr(torch.jit, "script"):
        return None
    with warnings.catch_warnings():
        # torch would rather have whole models exported, which wants a compiler on the machine.
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.jit.script(_states)

    def run(weights: Weights, batch: Batch, layers: list[int]) -> list[Tensor]:
        # To specialise it for the shapes of a batch takes longer than the batch: the next one has others.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            found: list[Tensor] = program(weights, batch, layers)
        return found

    return run


def _states(weights: Weights, batch: Batch, layers: list[int]) -> list[Tensor]:
    """The means over the targets' subwords (B, D): of these layers, and of the last one."""
    states = functional.embedding(batch.ids, weights.words) + functional.embedding(batch.positions, weights.places)
    kind, distances = weights.kind, weights.bias
    if kind is not None:
        states += kind
    width = states.size(1)
    heads = weights.heads
    states = functional.layer_norm(states, [width], weights.norm[0], weights.norm[1], weights.epsilon)
    found: dict[int, Tensor] = {}
    if 0 in layers:
        found[0] = batch.target @ states
    last = len(weights.layers)
    # For the large arrays, one after the other, as in packed.Room.
    rows = max(states.size(0), batch.at.size(0))  # the targets of one text may overlap
    room = torch.empty(rows * max(3 * width, weights.layers[0][6].size(0)), device=states.device)
    for depth in range(1, last + 1):
        w = weights.layers[depth - 1]
        if depth < last:
            mixed = _attend(_product(states, w[0], w[1], room), batch.runs, heads, distances)
        else:
            mixed, states = _last(w[0], w[1], states, batch, heads, room)
        # As packed._finish.
        states = torch.add(states, w[3]).addmm_(mixed, w[2].t())
        states = functional.layer_norm(states, [width], w[4], w[5], weights.epsilon)
        wide = torch.ops.aten.gelu_(_product(states, w[6], w[7], room))
        states = torch.add(states, w[9]).addmm_(wide, w[8].t())
        states = functional.layer_norm(states, [width], w[10], w[11], weights.epsilon)
        if depth < last and depth in layers:
            found[depth] = batch.target @ states
    found[last] = batch.shares @ states
    return [found[layer] for layer in layers] + [found[last]]


def _product(states: Tensor, weight: Tensor, bias: Tensor, room: Tensor) -> Tensor:
    rows, width = states.size(0), bias.size(0)
    return torch.addmm(bias, states, weight.t(), out=room[: rows * width].view(rows, width))


def _attend(qkv: Tensor, runs: Runs, heads: int, bias: Tensor | None) -> Tensor:
    """As packed.Packed._attend."""
    mixed: list[Tensor] = []
    for start, texts, length in runs:
        split = qkv[start : start + texts * length].view(texts, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        near = bias[:, :, :length, :length] if bias is not None else None
        one = functional.scaled_dot_product_attention(split[0], split[1], split[2], near)
        mixed.append(one.transpose(1, 2).reshape(texts * length, -1))
    return torch.cat(mixed)


def _last(
    weight: Tensor, bias: Tensor, states: Tensor, batch: Batch, heads: int, room: Tensor
) -> tuple[Tensor, Tensor]:
    """As packed.Packed._last: (P, D) the targets' mixed values, and the states that they are added to."""
    width = states.size(1)
    both = _product(states, weight[width:], bias[width:], room)
    key, value = both[:, :width], both[:, width:]
    keys, distances = batch.keys, batch.bias
    if keys is not None:
        key, value = key.index_select(0, keys), value.index_select(0, keys)
    states = states.index_select(0, batch.at)
    query = functional.linear(states, weight[:width], bias[:width])
    score = (key * query.index_select(0, batch.own)).view(-1, heads, width // heads).sum(-1) * (width // heads) ** -0.5
    if distances is not None:
        score += distances
    shares: list[Tensor] = []
    for start, texts, length in batch.piece_runs:
        shares.append(score[start : start + texts * length].view(texts, length, heads).softmax(1).view(-1, heads, 1))
    weighted = (torch.cat(shares) * value.reshape(-1, heads, width // heads)).view(-1, width)
    return torch.zeros_like(query).index_add_(0, batch.own, weighted), states
