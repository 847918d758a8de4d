"""The arithmetic of BERT, RoBERTa and MPNet, over texts that stand one behind the other: nothing is padded, and a text
with several targets stands there once.

    x = norm(x + out(attend(qkv(x))));  x = norm(x + down(gelu(up(x))))     for each layer (Vaswani et al. 2017)

All products but attention's own are over the S subwords of a batch at once; attention is over runs of texts of equal
length, by torch's fused kernel, which never holds a matrix of weights. The target's row is computed from its own
query; and where nobody asks for the context, the last layer is finished for the target's subwords only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from analysis.model.batches import filled
from analysis.model.forward import Kept, Wanted, nothing, stacked
from analysis.model.memory import zeros
from analysis.model.reading import Reading
from analysis.model.scripted import Batch, Program, Weights, compiled
from analysis.model.unpadded import PART, Laid, Pieces, Run, lay, pieces_of
from analysis.types import FloatArray, IntArray

SIZE, SUBWORDS = 256, 512  # of the texts in a batch, at most: larger ones leave the processor's cache
ROWS = 128  # subwords whose states are normed at once
KNOWN = frozenset({"BertModel", "MPNetModel", "RobertaModel", "XLMRobertaModel"})


class Linear(NamedTuple):
    weight: Tensor  # (out, in)
    bias: Tensor


class Norm(NamedTuple):
    weight: Tensor
    bias: Tensor
    epsilon: float

    def into(self, out: Tensor, states: Tensor) -> Tensor:
        """In parts, as torch takes new memory for the result of each: glibc before 2.38 finds none of the size that it
        got back a moment ago, since torch's begins at multiples of 64 bytes."""
        for place, part in zip(torch.split(out, ROWS), torch.split(states, ROWS), strict=True):
            place.copy_(functional.layer_norm(part, self.weight.shape, self.weight, self.bias, self.epsilon))
        return out


class Layer(NamedTuple):
    qkv: Linear
    out: Linear
    first: Norm
    up: Linear
    down: Linear
    second: Norm


class Room(NamedTuple):
    """Memory for the large arrays of a batch, one after the other, and of the next batch: taken anew each time, in
    sizes that differ, they would leave holes behind.

    states  those between two layers;  wide  products with a layer's widest matrices
    mixed   what attention gives;  added  sums, and repeated rows
    """

    states: Tensor
    wide: Tensor
    mixed: Tensor
    added: Tensor


class Packed:
    """A `Forward`. The weights are the model's, whose queries, keys and values become views of one matrix a layer."""

    def __init__(self, model: Any, window: int) -> None:
        config = model.config
        if type(model).__name__ not in KNOWN or config.hidden_act != "gelu" or getattr(config, "is_decoder", False):
            raise ValueError("not one of the architectures known here")
        self._embeddings, self._heads, self._device = model.embeddings, config.num_attention_heads, model.device
        self._lay = partial(lay, device=model.device, padding=getattr(model.embeddings, "padding_idx", None))
        self._layers = [_layer(one) for one in model.encoder.layer]
        norm = model.embeddings.LayerNorm
        self._norm = Norm(norm.weight, norm.bias, norm.eps)
        self._most = max(SUBWORDS, window)  # subwords of a batch
        # MPNet adds to a score what the distance of the two positions says (Raffel et al. 2020): (1, H, T, T)
        self._bias: Tensor | None = None
        if hasattr(model.encoder, "compute_position_bias"):
            with torch.inference_mode():
                like = torch.empty((1, window, 1), device=model.device)
                self._bias = model.encoder.compute_position_bias(like)
        self._weights = self._of_all()
        self._program = compiled()

    def batches(self, readings: Sequence[Reading]) -> Iterator[list[int]]:
        """See `Forward`; the readings of one text stand together, and cost as much as one of them."""
        of_text: dict[bytes, list[int]] = {}
        for i, reading in enumerate(readings):
            of_text.setdefault(reading.ids.tobytes(), []).append(i)
        groups = [own[first : first + SIZE] for own in of_text.values() for first in range(0, len(own), SIZE)]
        for chosen in filled([len(readings[own[0]]) for own in groups], SUBWORDS):
            yield [i for k in chosen for i in groups[k]]

    def room(self) -> Room:
        """See `Forward`."""
        width = len(self._norm.weight)
        widest = max(len(by.bias) for by in (self._layers[0].qkv, self._layers[0].up))
        parts = (zeros(self._most * of) for of in (width, widest, width, width))
        return Room(*(torch.from_numpy(part).to(self._device) for part in parts))

    @torch.inference_mode()
    def __call__(self, readings: Sequence[Reading], wanted: Wanted, room: Room | None = None) -> Kept:
        """Fastest where texts of equal length stand together."""
        laid, width = self._lay(readings), len(self._norm.weight)
        pieces = pieces_of(readings, laid) if wanted.attention or not wanted.context else None
        at_once = pieces is not None and len(pieces.own) <= PART and not (wanted.attention or wanted.context)
        if at_once and pieces is not None and self._program is not None:
            return self._at_once(self._program, laid, pieces, wanted)
        room = room or self.room()
        states = self._embed(laid, room)
        means, scores = {0: laid.target @ states} if 0 in wanted.layers else {}, []
        for depth, layer in enumerate(self._layers, 1):
            if depth == len(self._layers) and pieces is not None and not wanted.context:
                states, score = self._last(layer, states, pieces, room)
                scores.append(score)
            else:
                qkv = _product(states, layer.qkv, room)
                if wanted.attention and pieces is not None:
                    scores.append(self._scores(qkv[:, :width][pieces.at], qkv[:, width : 2 * width], pieces, room))
                states = _finish(layer, self._attend(qkv, laid.runs, room), states, room)
                if depth in wanted.layers or depth == len(self._layers):
                    means[depth] = laid.target @ states
        if pieces is not None and not wanted.context:
            means[len(self._layers)] = pieces.shares @ states
        return Kept(
            vectors=means[len(self._layers)].cpu().numpy(),
            context=(laid.context @ states).cpu().numpy() if wanted.context else nothing(len(readings)),
            layers=stacked([means[layer] for layer in wanted.layers], len(readings)),
            rows=self._rows(torch.stack(scores), pieces) if wanted.attention and pieces is not None else (),
        )

    def _at_once(self, program: Program, laid: Laid, pieces: Pieces, wanted: Wanted) -> Kept:
        """The targets' states alone."""
        batch = Batch(
            laid.ids,
            laid.positions,
            _bare(laid.runs),
            laid.target,
            pieces.at,
            pieces.own,
            pieces.keys,
            pieces.shares,
            _bare(pieces.runs),
            None if self._bias is None else self._distances(pieces),
        )
        *layers, vectors = program(self._weights, batch, list(wanted.layers))
        n = len(laid.starts)
        return Kept(vectors.cpu().numpy(), nothing(n), stacked(layers, n), ())

    @torch.inference_mode()
    def whole(self, ids: IntArray) -> FloatArray:
        """(L, H, T, T): the attention of one text, all of it."""
        room = self.room()
        states = self._embed(self._lay([_without_target(ids)]), room)
        length, width = states.shape
        found = []
        for layer in self._layers:
            qkv = _product(states, layer.qkv, room)
            query, key, value = qkv.view(length, 3, self._heads, -1).permute(1, 2, 0, 3)
            scores = query @ key.transpose(1, 2) * (width // self._heads) ** -0.5
            if self._bias is not None:
                scores += self._bias[0, :, :length, :length]
            found.append(scores.softmax(-1))
            if layer is not self._layers[-1]:
                states = _finish(layer, (found[-1] @ value).transpose(0, 1).reshape(length, width), states, room)
        weights: FloatArray = torch.stack(found).cpu().numpy()
        return weights

    def _of_all(self) -> Weights:
        parts = self._embeddings
        kinds = parts.token_type_embeddings.weight[0] if hasattr(parts, "token_type_embeddings") else None
        layers = [[tensor for part in layer for tensor in (part.weight, part.bias)] for layer in self._layers]
        norms = [self._norm, *(norm for layer in self._layers for norm in (layer.first, layer.second))]
        if len({norm.epsilon for norm in norms}) != 1:
            raise ValueError("one epsilon is known here")
        return Weights(
            parts.word_embeddings.weight,
            parts.position_embeddings.weight,
            kinds,
            (self._norm.weight, self._norm.bias),
            layers,
            self._bias,
            self._norm.epsilon,
            self._heads,
        )

    def _embed(self, laid: Laid, room: Room) -> Tensor:
        """(S, D)"""
        parts, shape = self._embeddings, (len(laid.ids), len(self._norm.weight))
        states = torch.index_select(parts.word_embeddings.weight, 0, laid.ids, out=_within(room.added, *shape))
        states += torch.index_select(
            parts.position_embeddings.weight, 0, laid.positions, out=_within(room.mixed, *shape)
        )
        if hasattr(parts, "token_type_embeddings"):
            states += parts.token_type_embeddings.weight[0]
        return self._norm.into(_within(room.states, *shape), states)

    def _attend(self, qkv: Tensor, runs: Sequence[Run], room: Room) -> Tensor:
        """(S, 3D) -> (S, D): each head's values, mixed by its weights."""
        mixed = _within(room.mixed, len(qkv), qkv.shape[1] // 3)
        for run in runs:
            # (3, n, H, T, d)
            split = qkv[run.rows].view(run.texts, run.length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            bias = None if self._bias is None else self._bias[:, :, : run.length, : run.length]
            found = functional.scaled_dot_product_attention(split[0], split[1], split[2], bias)
            mixed[run.rows].view(run.texts, run.length, self._heads, -1).copy_(found.transpose(1, 2))
        return mixed

    def _scores(self, query: Tensor, key: Tensor, pieces: Pieces, room: Room) -> Tensor:
        """(S', H): the scores of the targets' queries (P, D) over the keys (S, D) of their own texts."""
        parts = []
        for own, keys in pieces.parts():
            products = torch.index_select(query, 0, own, out=_within(room.added, len(own), query.shape[1]))
            products *= key[keys]
            parts.append(products.view(len(own), self._heads, -1).sum(-1))
        score: Tensor = torch.cat(parts) * (query.shape[1] // self._heads) ** -0.5
        if self._bias is not None:
            score += self._distances(pieces)
        return score

    def _distances(self, pieces: Pieces) -> Tensor:
        """(S', H): what the distances to the targets' subwords add to their scores."""
        assert self._bias is not None  # noqa: S101 - for the type checker
        lengths = [run.length for run in pieces.runs for _ in range(run.texts)]
        places = zip(pieces.places, lengths, strict=True)
        return torch.cat([self._bias[0, :, place, :length].T for place, length in places])

    def _last(self, layer: Layer, states: Tensor, pieces: Pieces, room: Room) -> tuple[Tensor, Tensor]:
        """The last layer for the targets' subwords only: (P, D), and the scores of their attention (S', H)."""
        width = states.shape[1]
        key, value = _product(states, Linear(*(part[width:] for part in layer.qkv)), room).chunk(2, dim=1)
        own = states[pieces.at]
        query = functional.linear(own, layer.qkv.weight[:width], layer.qkv.bias[:width])
        score = self._scores(query, key, pieces, room)
        runs = [score[run.rows].view(run.texts, run.length, self._heads).softmax(1) for run in pieces.runs]
        weights = torch.cat([run.view(-1, self._heads, 1) for run in runs])
        mixed, first = torch.zeros_like(query), 0
        for of, keys in pieces.parts():
            weighted = _within(room.added, len(of), width)
            split = (len(of), self._heads, -1)
            torch.mul(weights[first : first + len(of)], value[keys].view(split), out=weighted.view(split))
            mixed.index_add_(0, of, weighted)
            first += len(of)
        return _finish(layer, mixed, own, room), score

    def _rows(self, scores: Tensor, pieces: Pieces) -> tuple[FloatArray, ...]:
        """(L, S', H) -> for each text (L, H, T): the weights, mean over the target's subwords."""
        weights: list[FloatArray] = []
        for run in pieces.runs:
            split = scores[:, run.rows].view(len(scores), run.texts, run.length, self._heads)
            weights.extend(split.softmax(2).permute(1, 0, 3, 2).contiguous().cpu().numpy())
        if pieces.keys is None:
            return tuple(weights)
        shares = pieces.shares.cpu().numpy()
        return tuple(sum(share * weights[k] for k, share in enumerate(row) if share) for row in shares)


def _layer(one: Any) -> Layer:
    attention, mpnet = one.attention, hasattr(one.attention, "attn")
    within = attention.attn if mpnet else attention.self
    three = (within.q, within.k, within.v) if mpnet else (within.query, within.key, within.value)
    return Layer(
        qkv=_joined(three),
        out=_linear(within.o if mpnet else attention.output.dense),
        first=_norm(attention.LayerNorm if mpnet else attention.output.LayerNorm),
        up=_linear(one.intermediate.dense),
        down=_linear(one.output.dense),
        second=_norm(one.output.LayerNorm),
    )


def _joined(parts: Sequence[Any]) -> Linear:
    """One matrix for all parts, whose own become views of it, so that no weight is held twice."""
    weight, bias = torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
    for part, rows, entries in zip(parts, weight.chunk(len(parts)), bias.chunk(len(parts)), strict=True):
        part.weight.data, part.bias.data = rows, entries
    return Linear(weight, bias)


def _linear(module: Any) -> Linear:
    return Linear(module.weight, module.bias)


def _norm(module: Any) -> Norm:
    return Norm(module.weight, module.bias, module.eps)


def _finish(layer: Layer, mixed: Tensor, states: Tensor, room: Room) -> Tensor:
    """What follows attention, of (R, D) mixed values and (R, D) the states they are added to, where the result is."""
    # A product is added to what stands there at no cost: so the bias and the states stand there already.
    added = _within(room.added, *states.shape)
    layer.first.into(states, torch.add(states, layer.out.bias, out=added).addmm_(mixed, layer.out.weight.T))
    wide = _product(states, layer.up, room)
    torch.ops.aten.gelu_(wide)  # in place: the largest of all arrays here
    return layer.second.into(states, torch.add(states, layer.down.bias, out=added).addmm_(wide, layer.down.weight.T))


def _product(states: Tensor, by: Linear, room: Room) -> Tensor:
    """(R, in) -> (R, out), in the room, where the product before it is no longer wanted."""
    return torch.addmm(by.bias, states, by.weight.T, out=_within(room.wide, len(states), len(by.bias)))


def _within(room: Tensor, rows: int, width: int) -> Tensor:
    """(rows, width) at the beginning of the room; of new memory where it is too small."""
    if rows * width > len(room):
        return room.new_empty(rows, width)
    return room[: rows * width].view(rows, width)


def _bare(runs: Sequence[Run]) -> list[tuple[int, int, int]]:
    return [(run.start, run.texts, run.length) for run in runs]


def _without_target(ids: IntArray) -> Reading:
    none = np.zeros(len(ids), dtype=bool)
    return Reading(ids, (), np.zeros(len(ids), dtype=np.int64), none, none)
