"""The probability that two usages of one word share a sense, learnt once on sense-tagged text (pair_learning.py).

    two usages, PairModel -> same_sense -> probability;  usages, PairModel -> log_odds;  save, load, for_encoder

The target's hidden states in three layers from the middle up, side by side, and its context, each of unit length, go
through a linear map of their own: the layers below the last tell senses apart better, as the last one is already made
to tell whole sentences apart. Cosine and squared distance in the two maps are four features of a pair, and a logistic
regression with balanced classes turns them into a probability: 0.5 where both answers are as likely before the usages
are seen. Cosine beside distance lets it weigh how far from the middle the two usages lie, as PLDA does (Ioffe 2006):
where both are far, being near to each other says more. No pair gets more than two identical usages do.

It rests on two things: what varies within the senses of most lemmas (syntax, topic, position) varies so for a word that
was never seen; and the tagged text is of the language of the usages.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors
from scipy.special import expit

from analysis.errors import BadFile, ModelMismatch
from analysis.grouping import LogOdds, unit
from analysis.types import FloatArray, IntArray

MIDDLE = 1 / 2, 2 / 3, 5 / 6  # of the way from the first layer to the last
SCHEMA_VERSION = 2  # 1 read the last layer
SHIPPED = Path(__file__).with_name("learnt")
ENTRY = "polyseme_pairs"  # of the file's metadata

Matrix = NDArray[np.float64]
Half = NDArray[np.float16]


class Places(NamedTuple):
    """Usages in the two maps: f32 (N, R) and (N, Q)."""

    target: FloatArray
    context: FloatArray


@dataclass(frozen=True, slots=True)
class Learnt:
    """Where a PairModel comes from: the encoder, the text, and how much of it."""

    encoder: str
    digest: str
    text: str
    usages: int
    lemmas: int
    pairs: int
    seed: int
    versions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class PairModel:
    """`target_map` f16 (3D, R), `context_map` f16 (D, Q); `coefficients` f64 (5): of the cosine and the squared
    distance of the targets, of the cosine and the squared distance of the contexts, and the intercept."""

    target_map: Half
    context_map: Half
    coefficients: Matrix
    learnt: Learnt

    def __post_init__(self) -> None:
        shapes = self.target_map.shape, self.context_map.shape, self.coefficients.shape
        two = len(shapes[0]) == len(shapes[1]) == 2 and self.target_map.size and self.context_map.size
        if not two or shapes[0][0] != len(MIDDLE) * shapes[1][0] or shapes[2] != (5,):
            raise ValueError(f"maps {shapes[0]} and {shapes[1]} with coefficients {shapes[2]}")
        if not all(np.isfinite(a).all() for a in (self.target_map, self.context_map, self.coefficients)):
            raise ValueError("an array is not finite")

    @property
    def digest(self) -> str:
        """The SHA-256 of the weights of the encoder whose vectors it reads."""
        return self.learnt.digest


def middle_layers(n_layers: int) -> tuple[int, ...]:
    """The layers that a target is judged by, of an encoder of `n_layers`; 12 gives 6, 8 and 10."""
    return tuple(round(share * n_layers) for share in MIDDLE)


def same_sense(
    model: PairModel, layers_a: FloatArray, context_a: FloatArray, layers_b: FloatArray, context_b: FloatArray
) -> FloatArray:
    """f32 (N), 0..1: the probability that usage a and usage b of a row share a sense; `layers` (N, 3, D) are the
    target's states in `middle_layers`, `context` (N, D).

    Symmetric in a and b. Identical usages get the highest probability that the model gives.
    """
    a, b = place(model, layers_a, context_a), place(model, layers_b, context_b)
    # not a matrix product, whose rounding may depend on the row
    odds = (_features(a, b) * model.coefficients[:4]).sum(axis=1) + model.coefficients[4]
    probability: FloatArray = expit(_capped(odds, model.coefficients)).astype(np.float32)
    return probability


def log_odds(model: PairModel, layers: FloatArray, context: FloatArray) -> LogOdds:
    """From the indices (M) of some of N usages to f64 (M, M): the log-odds of `same_sense` for each two of them.

    It keeps the usages' places in the two maps, and none of the arrays given.
    """
    places, coefficients = place(model, layers, context), model.coefficients

    def of(rows: IntArray) -> Matrix:
        odds = np.full((len(rows), len(rows)), coefficients[4])
        for side, (by_cosine, by_distance) in zip(places, coefficients[:4].reshape(2, 2), strict=True):
            cosine, distance = _crossed(side[rows].astype(np.float64))
            odds += by_cosine * cosine + by_distance * distance
        return _capped(odds, coefficients)

    return of


def place(model: PairModel, layers: FloatArray, context: FloatArray) -> Places:
    """The usages, `layers` (N, 3, D) and `context` (N, D), in the model's two maps. A context of zeros stays zero."""
    return Places(_through(model.target_map, side_by_side(layers)), _through(model.context_map, context))


def for_encoder(digest: str, folder: Path | None) -> PairModel | None:
    """The model for the encoder of that digest: the caller's own, `<digest>.safetensors` in `folder`, else the one
    that ships; None where there is neither. Raises as `load` does."""
    own = folder / f"{digest}.safetensors" if folder else None
    if own and own.exists():
        return load(own, digest=digest)
    shipped = (load(path) for path in sorted(SHIPPED.glob("*.safetensors")))
    return next((model for model in shipped if model.digest == digest), None)


def save(model: PairModel, path: Path) -> None:
    """Write the file; one that is there is replaced whole or not at all. Raises BadFile where it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_to_bytes(model))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        what = f"cannot write {path}: {error.strerror}"
        raise BadFile(what, remedy="name a file in a folder that you may write to") from error


def load(path: Path, *, digest: str | None = None) -> PairModel:
    """The inverse of `save`. `digest` is the encoder's, where it must be that one.

    Raises BadFile for a file that is missing, cut short, was changed since it was written, or is of a newer schema,
    and ModelMismatch for one learnt with another encoder.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFile(
            f"{path} cannot be read: {error.strerror}", remedy="check the path and its permissions"
        ) from error
    model = _from_bytes(data, str(path))
    if digest is not None and model.digest != digest:
        raise ModelMismatch(
            f"{path} was learnt with the encoder {model.digest}, and the encoder is {digest}",
            remedy="run `polyseme fit-pairs` with the encoder, or delete the file",
        )
    return model


def compared(a: Matrix, b: Matrix) -> Matrix:
    """(P, 2) cosine and squared distance of rows. Two rows of zeros are equal: their cosine is 1."""
    alone = ~(a.any(axis=1) | b.any(axis=1))
    return np.stack([(unit(a) * unit(b)).sum(axis=1) + alone, ((a - b) ** 2).sum(axis=1)], axis=1)


def _crossed(rows: Matrix) -> tuple[Matrix, Matrix]:
    """(M, M) cosine and (M, M) squared distance, as `compared`, of each two of M rows."""
    directions, alone = unit(rows), 1.0 - rows.any(axis=1)
    squares = (rows**2).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
    return directions @ directions.T + np.outer(alone, alone), distance


def _features(a: Places, b: Places) -> Matrix:
    """(P, 4), in the order of the coefficients."""
    parts = [compared(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(a, b, strict=True)]
    return np.concatenate(parts, axis=1)


def _capped(odds: Matrix, coefficients: Matrix) -> Matrix:
    """No pair gets more than two identical usages do, whose cosines are 1 and whose distances are 0."""
    capped: Matrix = np.minimum(odds, coefficients[0] + coefficients[2] + coefficients[4])
    return capped


def side_by_side(layers: FloatArray) -> FloatArray:
    """(N, 3, D) -> (N, 3D), each layer brought to unit length."""
    sides: FloatArray = unit(layers).astype(np.float32).reshape(len(layers), -1)
    return sides


def _through(map_: Half, given: FloatArray) -> FloatArray:
    if given.ndim != 2 or given.shape[1] != len(map_):
        raise ValueError(f"vectors {given.shape} for maps of width {len(map_)}")
    return unit(given).astype(np.float32) @ map_.astype(np.float32)


# ---- the file: safetensors, the rest of the model as JSON in the one entry of its metadata ----


def _to_bytes(model: PairModel) -> bytes:
    arrays: dict[str, NDArray[Any]] = {
        "target_map": np.ascontiguousarray(model.target_map, dtype="<f2"),
        "context_map": np.ascontiguousarray(model.context_map, dtype="<f2"),
        "coefficients": np.ascontiguousarray(model.coefficients, dtype="<f8"),
    }
    document = {"schema_version": SCHEMA_VERSION, "learnt": asdict(model.learnt)}
    content = hashlib.sha256(_canonical(document).encode())
    for name, array in sorted(arrays.items()):
        content.update(f"{name} {array.shape}".encode() + array.tobytes())
    written: bytes = safetensors.save(arrays, {ENTRY: _canonical(document | {"content": content.hexdigest()})})
    return written


def _from_bytes(data: bytes, name: str) -> PairModel:
    remedy = "install Polyseme anew if the file came with it, else run `polyseme fit-pairs` again"
    try:
        arrays = safetensors.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        document = json.loads(header["__metadata__"][ENTRY])
        other = document["schema_version"] != SCHEMA_VERSION
        told = str(document["content"])
        if not other:
            model = PairModel(
                arrays["target_map"], arrays["context_map"], arrays["coefficients"], Learnt(**document["learnt"])
            )
            again = _to_bytes(model)
            found = json.loads(json.loads(again[8 : 8 + int.from_bytes(again[:8], "little")])["__metadata__"][ENTRY])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{name} is cut short, was changed, or is no model of `polyseme fit-pairs`"
        raise BadFile(what, remedy=remedy, where=("file",)) from error
    if other:
        what = f"{name} has schema {document['schema_version']}, and this version of Polyseme reads {SCHEMA_VERSION}"
        raise BadFile(what, remedy="run `polyseme fit-pairs` again with this version", where=("file",))
    if again != data:
        what = f"{name} was changed since it was written: its content says {told} and is {found['content']}"
        raise BadFile(what, remedy=remedy, where=("file",))
    return model


def _canonical(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
