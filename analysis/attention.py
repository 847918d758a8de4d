"""Attention as arrays: from subwords to words, and the layers and heads that are looked at.

Shapes: L layers, H heads, T subwords, W words. `weights[l, h, q, k]` is how much position q attends to position k
(Vaswani et al. 2017, "Attention is all you need"); each row over k sums to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from analysis.errors import BadOption
from analysis.text import words
from analysis.types import Attention, FloatArray, IntArray, ModelInfo, Unit


def join_pieces(pieces: Sequence[Unit], text: str, text_words: Sequence[Unit]) -> tuple[tuple[Unit, ...], IntArray]:
    """The words that T subwords make up: (units (W), index (T) of the unit that each piece belongs to).

    A word and a piece belong together where their characters overlap; words that share a piece become one unit, a
    piece that overlaps no word (a line break, say) and each special token is a unit of its own. So every piece is in
    exactly one unit, and units stand in the order of the text.
    """
    units: list[Unit] = []
    unit_of = np.empty(len(pieces), dtype=np.int64)
    word = 0
    for position, piece in enumerate(pieces):
        if piece.special:
            units.append(piece)
        else:
            while word < len(text_words) and text_words[word].end <= piece.start:
                word += 1
            end = word
            while end < len(text_words) and text_words[end].start < piece.end:
                end += 1
            # The words [word, end) overlap this piece; without any, the piece stands for itself.
            start, stop = (text_words[word].start, text_words[end - 1].end) if end > word else (piece.start, piece.end)
            last = units[-1] if units and not units[-1].special else None
            if last is not None and start < last.end:
                units[-1] = Unit(text[last.start : max(stop, last.end)], last.start, max(stop, last.end))
            else:
                units.append(Unit(text[start:stop], start, stop))
        unit_of[position] = len(units) - 1
    return tuple(units), unit_of


def pool_keys(weights: FloatArray, unit_of: IntArray, n_units: int, out: FloatArray | None = None) -> FloatArray:
    """(..., T) -> (..., W), in `out` where given: attention to a word is the sum over its pieces, so rows still sum to
    1."""
    pooled: FloatArray = np.matmul(weights, _membership(unit_of, n_units), out=out)
    return pooled


def pool_queries(weights: FloatArray, unit_of: IntArray, n_units: int) -> FloatArray:
    """(..., T, K) -> (..., W, K): attention from a word is the mean over its pieces."""
    membership = _membership(unit_of, n_units)
    pooled: FloatArray = (membership / membership.sum(axis=0)).T @ weights
    return pooled


def pool(weights: FloatArray, unit_of: IntArray, n_units: int) -> FloatArray:
    """(..., T, T) -> (..., W, W): both of these; rows still sum to 1."""
    return pool_queries(pool_keys(weights, unit_of, n_units), unit_of, n_units)


def by_word(attention: Attention) -> Attention:
    """(L, H, T, T) -> (L, H, W, W): sum over key pieces, mean over query pieces. Special tokens stay, flagged."""
    units, unit_of = join_pieces(attention.units, attention.text, words(attention.text))
    return replace(attention, units=units, weights=pool(attention.weights, unit_of, len(units)))


def select(attention: Attention, layers: Sequence[int] | None, heads: Sequence[int] | None) -> Attention:
    """The layers and heads asked for, counted from 0, in the order asked; None means all.

    Raises BadOption for one that the model does not have.
    """
    n_layers, n_heads = attention.weights.shape[:2]
    chosen_layers = check_indices("layer", layers, n_layers)
    chosen_heads = check_indices("head", heads, n_heads)
    return replace(attention, weights=attention.weights[np.ix_(chosen_layers, chosen_heads)])


def check_indices(noun: str, asked: Sequence[int] | None, count: int) -> list[int]:
    """What was asked for, or all of `count`. Raises BadOption that points at `layers` or `heads`."""
    if asked is None:
        return list(range(count))
    for position, index in enumerate(asked):
        if not 0 <= index < count:
            raise BadOption(
                f"there is no {noun} {index}: the model has {count} {noun}s",
                remedy=f"choose from 0 to {count - 1}",
                where=(f"{noun}s", position),
            )
    return list(asked)


def mean_matrix(attention: Attention) -> FloatArray:
    """(W, W): the mean over the layers and heads that are there; rows still sum to 1."""
    mean: FloatArray = attention.weights.mean(axis=(0, 1))
    return mean


def rollout(weights: FloatArray) -> FloatArray:
    """(L, H, W, W) -> (W, W): how much of each input reaches each output if states mixed as attention does.

    At each layer the mean over heads, half of it and half the residual, multiplied from the first layer up; rows sum
    to 1 (Abnar and Zuidema 2020, "Quantifying attention flow in transformers").
    """
    reached = np.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights.mean(axis=1):
        reached = (layer + np.eye(len(layer), dtype=layer.dtype)) / 2 @ reached
    return reached


def without_special(attention: Attention) -> tuple[Attention, float]:
    """A view without the special tokens' rows and columns, and the mean share of attention that it hides.

    Rows are not renormalised: what is missing from 1 is what the special tokens took.
    """
    keep = [i for i, unit in enumerate(attention.units) if not unit.special]
    shown = attention.weights[..., keep, :][..., keep]
    view = replace(attention, units=tuple(attention.units[i] for i in keep), weights=shown)
    return view, float(1 - shown.sum(axis=-1).mean())


def to_dict(
    attention: Attention, info: ModelInfo, unit: str, layers: Sequence[int], heads: Sequence[int]
) -> dict[str, object]:
    """The contract's form: units with offsets, weights (L, H, W, W) to 6 digits, and the layers and heads shown."""
    return {
        "text": attention.text,
        "model": info.name,
        "unit": unit,
        "causal": attention.causal,
        "layers": list(layers),
        "heads": list(heads),
        "units": [asdict(u) for u in attention.units],
        "weights": np.round(attention.weights.astype(np.float64), 6).tolist(),
    }


def _membership(unit_of: IntArray, n_units: int) -> FloatArray:
    """(T, W): 1 where the piece is in the unit."""
    return np.eye(n_units, dtype=np.float32)[unit_of]
