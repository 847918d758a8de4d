"""One static vector against many contextual ones.

The static vector of a surface form is its row of the model's embedding table. It is the same in every sentence, so it
cannot tell senses apart. Layer 0 is not it: there the position has been added already (Ethayarajh 2019 measures how
context-specific each layer above is).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from analysis.record import Form, LayerSeparation, Pair, StaticComparison
from analysis.senses import separation
from analysis.types import Encoder, FloatArray, IntArray, Usages


def compare(
    encoder: Encoder, usages: Usages, sense: IntArray, *, ids: Sequence[str], pairs: int = 0, seed: int = 0
) -> StaticComparison:
    """How well the static vectors and each layer separate the senses (N) of the usages, which must hold their layers.

    `pairs` is the most pairs of usages to list, drawn with the seed where there are more; `ids` (N) names the usages.
    With pairs come the baseline of averaged static vectors and the maps of the layers.
    """
    if usages.layers is None:
        raise ValueError("compare needs usages that were encoded with layers")
    surfaces = [occurrence.surface for occurrence in usages.occurrences]
    forms = sorted(Counter(surfaces).items(), key=lambda item: (-item[1], item[0]))
    row = {form: i for i, (form, _) in enumerate(forms)}
    static = encoder.static([form for form, _ in forms])[[row[surface] for surface in surfaces]]
    layers = (
        _separated("static", static, sense),
        *(_separated(layer, usages.layers[:, i], sense) for i, layer in enumerate(usages.layer_ids)),
    )
    counted = tuple(Form(form, count) for form, count in forms)
    if not pairs:
        return StaticComparison(n=len(usages), forms=counted, layers=layers, pairs=None)
    around = averaged(encoder, usages)
    maps = layer_maps(np.concatenate([static[None], np.swapaxes(usages.layers, 0, 1)]))
    return StaticComparison(
        n=len(usages),
        forms=counted,
        layers=layers,
        pairs=_pairs(static, usages.layers, around, sense, ids, pairs, seed),
        averaged=_separated("averaged", around, sense),
        ids=tuple(ids),
        maps=tuple(tuple((round(float(x), 4), round(float(y), 4)) for x, y in points) for points in maps),
    )


def averaged(encoder: Encoder, usages: Usages) -> FloatArray:
    """(N, D): for each usage the mean of the static vectors, each of length 1, of the words beside the target.

    What the neighbours alone tell, without any attention. Punctuation is left out; 0 where there is no other word.
    """
    contexts = [
        [
            unit.text
            for unit in units
            if not unit.special
            and (unit.end <= use.start or unit.start >= use.end)
            and any(letter.isalnum() for letter in unit.text)
        ]
        for use, units in zip(usages.occurrences, usages.words, strict=True)
    ]
    row = {form: i for i, form in enumerate(sorted(set().union(*contexts)))}
    means = np.zeros_like(usages.vectors)
    if row:
        table = _unit(encoder.static(list(row)))
        for i, forms in enumerate(contexts):
            if forms:
                means[i] = table[[row[form] for form in forms]].mean(axis=0)
    return means


def layer_maps(vectors: FloatArray) -> FloatArray:
    """(L, N, D) -> (L, N, 2): the usages at each layer, on the two principal axes of all layers together.

    Each vector has length 1 and each layer its mean at 0, so that the axes show what differs between usages, not
    between layers; and the axes are one pair, so that a map may be set beside that of another layer. Signs are fixed by
    the largest entry.
    """
    unit = _unit(vectors)
    centred = unit - unit.mean(axis=1, keepdims=True)
    rows = centred.reshape(-1, vectors.shape[-1])
    # The axes come from the small side: (rows, rows) for few of them, (D, D) for many.
    if len(rows) <= rows.shape[1]:
        values, left = np.linalg.eigh(rows @ rows.T)
        points = left[:, -2:][:, ::-1] * np.sqrt(np.maximum(values[-2:][::-1], 0))
    else:
        points = rows @ np.linalg.eigh(rows.T @ rows)[1][:, -2:][:, ::-1]
    signs = np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    placed: FloatArray = (points * np.where(signs == 0, 1, signs)).reshape(*vectors.shape[:2], 2)
    return placed


def cosines(vectors: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """(..., N, D) and P index pairs -> (..., P) cosines; 0 for a zero vector."""
    unit = _unit(vectors)
    products: FloatArray = (unit[..., first, :] * unit[..., second, :]).sum(axis=-1)
    return products


def _separated(layer: Literal["static", "averaged"] | int, vectors: FloatArray, sense: IntArray) -> LayerSeparation:
    n, unit = len(vectors), _unit(vectors)
    # Of the summed cosines of all ordered pairs, n are of a usage with itself.
    overall = (float((unit.sum(axis=0) ** 2).sum()) - n) / (n * (n - 1)) if n > 1 else None
    return LayerSeparation(layer, _number(overall), *(_number(value) for value in separation(vectors, sense)))


def _number(value: float | None) -> float | None:
    """Rounded for the record; null where undefined."""
    return None if value is None or np.isnan(value) else round(value, 6)


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit


def _pairs(
    static: FloatArray,
    layers: FloatArray,
    around: FloatArray,
    sense: IntArray,
    ids: Sequence[str],
    limit: int,
    seed: int,
) -> tuple[Pair, ...]:
    first, second = np.triu_indices(len(ids), k=1)
    if len(first) > limit:
        drawn = np.sort(np.random.default_rng(seed).choice(len(first), size=limit, replace=False))
        first, second = first[drawn], second[drawn]
    of_static = cosines(static, first, second)
    of_contexts = cosines(around, first, second)
    of_layers = cosines(np.swapaxes(layers, 0, 1), first, second)
    return tuple(
        Pair(
            a=ids[a],
            b=ids[b],
            same_sense=bool(sense[a] == sense[b] >= 0),
            static=round(float(of_static[p]), 6),
            layers=tuple(round(float(c), 6) for c in of_layers[:, p]),
            averaged=round(float(of_contexts[p]), 6),
        )
        for p, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True))
    )
