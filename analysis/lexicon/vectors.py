"""Sense vectors: what sense-tagged text taught for one model, in one file.

    usages with their keys --fit.py--> SenseVectors --features--> scoring.py
                                          |  save, load, for_encoder

A usage's vector, of unit length and less the mean of all, goes through a linear map that whitens the variation within
senses and keeps the axes along which the senses of one lemma differ most (as in pair_learning.py). A sense is the mean
of its usages there, kept as bytes with a scale.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from analysis.errors import BadFile, ModelMismatch
from analysis.grouping import unit
from analysis.lexicon.wordnet import Entry
from analysis.types import FloatArray, ModelInfo

SCHEMA_VERSION = 1
ENTRY = "polyseme_sense_vectors"  # of the file's metadata
# The columns of `features`.
TAGGED = (
    "cosine to the sense's usages", "was seen", "log usages", "cosine to the synset's", "synset was seen",
    "cosine to those above", "one above was seen", "cosine to the file's", "the nearest of these that was seen",
    "cosine to the sense's usages x log usages", "the nearest, where the sense was not seen",
)  # fmt: skip
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Where sense vectors come from: the encoder, the text, and how much of it."""

    encoder: str
    digest: str
    text: str
    usages: int
    senses: int
    documents: int
    seed: int
    versions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class SenseVectors:
    """S senses by key, in a space of R axes.

    mean      f32 (D): what is subtracted from a usage's unit vector;  axes  f16 (D, R): the map
    places    int8 (S, R) and scales f32 (S): the mean of each sense's usages is places x scale
    usages    int (S): how many there were in the text;  synsets, files  of each sense, nltk's name and WordNet's file
    weights   f64 (4, F): of scoring's features, a row a part of speech
    """

    keys: tuple[str, ...]
    synsets: tuple[str, ...]
    files: tuple[str, ...]
    mean: FloatArray
    axes: NDArray[np.float16]
    places: NDArray[np.int8]
    scales: FloatArray
    usages: NDArray[np.int32]
    weights: Matrix
    learnt: Learnt

    def __post_init__(self) -> None:
        s, (d, r) = len(self.keys), self.axes.shape
        shapes = (self.mean.shape, self.places.shape, self.scales.shape, self.usages.shape)
        if shapes != ((d,), (s, r), (s,), (s,)) or {len(self.synsets), len(self.files)} != {s}:
            raise ValueError(f"{s} senses on {r} axes of {d}, but arrays {shapes}")
        if not all(np.isfinite(a).all() for a in (self.mean, self.axes, self.scales, self.weights)):
            raise ValueError("an array is not finite")

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Usages by sense key."""
        return dict(zip(self.keys, self.usages.tolist(), strict=True))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return _content(_document(self), _arrays(self))

    def place(self, vectors: FloatArray) -> FloatArray:
        """f32 (N, R) of unit length, of usages' vectors (N, D)."""
        centred = unit(vectors).astype(np.float32) - self.mean
        return unit(unit(centred).astype(np.float32) @ self.axes.astype(np.float32)).astype(np.float32)

    def features(self, entries: Sequence[Entry], vector: FloatArray) -> Matrix:
        """f64 (C, 11) of a usage's vector (D) beside the senses: see TAGGED. Cosines; 0 where nothing was seen."""
        place = self.place(vector[None])[0]
        rows = []
        for entry in entries:
            i = self._index.get(entry.key)
            own = 0.0 if i is None else float(self._sense_units[i] @ place)
            n = 0 if i is None else int(self.usages[i])
            synset = self._synset_units.get(entry.synset)
            above = [self._synset_units[name] for name in entry.above if name in self._synset_units]
            file = self._file_units.get(entry.file)
            near = (
                own if i is not None else None,
                None if synset is None else float(synset @ place),
                max((float(one @ place) for one in above), default=None),
                None if file is None else float(file @ place),
            )
            nearest = next((one for one in near if one is not None), 0.0)
            rows.append(
                [own, n > 0, np.log(n + 0.5), near[1] or 0.0, synset is not None, near[2] or 0.0, bool(above),
                 near[3] or 0.0, nearest, np.log1p(n) * own, 0.0 if n else nearest]
            )  # fmt: skip
        return np.array(rows, dtype=np.float64)

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {key: i for i, key in enumerate(self.keys)}

    @cached_property
    def _senses(self) -> FloatArray:
        return self.places * self.scales[:, None]

    @cached_property
    def _sense_units(self) -> FloatArray:
        return unit(self._senses).astype(np.float32)

    @cached_property
    def _synset_units(self) -> Mapping[str, FloatArray]:
        return self._means(self.synsets, np.minimum(self.usages, 20))

    @cached_property
    def _file_units(self) -> Mapping[str, FloatArray]:
        return self._means(self.files, np.ones(len(self.keys)))

    def _means(self, names: Sequence[str], weights: NDArray[Any]) -> Mapping[str, FloatArray]:
        """By name the mean of its senses, of unit length."""
        groups, which = np.unique(np.array(names), return_inverse=True)
        sums = np.zeros((len(groups), self.axes.shape[1]))
        np.add.at(sums, which, self._senses * weights[:, None])
        return dict(zip(groups.tolist(), unit(sums).astype(np.float32), strict=True))


def path(home: Path, digest: str) -> Path:
    """Where the sense vectors for the model of that digest are kept."""
    return home / "lexicon" / "vectors" / f"{digest}.safetensors"


def for_encoder(info: ModelInfo, home: Path) -> SenseVectors | None:
    """Those of the model, where `polyseme lexicon fit` made some in this home. Raises as `load`."""
    file = path(home, info.digest)
    return load(file, digest=info.digest) if file.exists() else None


def save(vectors: SenseVectors, home: Path) -> Path:
    """Write the file; one that is there is replaced whole or not at all. Raises BadFile where it cannot be written."""
    file = path(home, vectors.learnt.digest)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_to_bytes(vectors))
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        what = f"cannot write {file}: {error.strerror}"
        raise BadFile(what, remedy="set POLYSEME_HOME to a folder that you may write to") from error
    return file


def load(file: Path, *, digest: str | None = None) -> SenseVectors:
    """The inverse of `save`. `digest` is the model's, where it must be that one.

    Raises BadFile for a file that cannot be read or was changed since it was written, ModelMismatch for one learnt with
    another model.
    """
    remedy = "run `polyseme lexicon fit` again, or delete the file"
    try:
        data = file.read_bytes()
        arrays = safetensors.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        document = json.loads(header["__metadata__"][ENTRY])
        told = document.pop("content")
        if document["schema_version"] > SCHEMA_VERSION:
            raise BadFile(f"{file.name} is of a newer schema", remedy="read it with a newer version of Polyseme")
        if told != _content(document, arrays):
            raise BadFile(f"{file.name} was changed since it was written", remedy=remedy)
        found = SenseVectors(
            keys=tuple(document["keys"]),
            synsets=tuple(document["synsets"]),
            files=tuple(document["files"]),
            learnt=Learnt(**document["learnt"]),
            **arrays,
        )
    except OSError as error:
        raise BadFile(f"{file.name} cannot be read: {error.strerror}", remedy=remedy) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{file.name} is cut short, or is no file of `polyseme lexicon fit`"
        raise BadFile(what, remedy=remedy, where=("file",)) from error
    if digest is not None and found.learnt.digest != digest:
        raise ModelMismatch(
            f"{file.name} was learnt with the model {found.learnt.digest}, and the model is {digest}",
            remedy="run `polyseme lexicon fit` with the model, or delete the file",
        )
    return found


def quantised(rows: Matrix) -> tuple[NDArray[np.int8], FloatArray]:
    """int8 (S, R) and f32 (S): each row as whole numbers up to 127 times its scale."""
    scales = np.maximum(np.abs(rows).max(axis=1), 1e-12) / 127
    return np.round(rows / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def _arrays(vectors: SenseVectors) -> dict[str, NDArray[Any]]:
    return {
        "mean": np.ascontiguousarray(vectors.mean, dtype="<f4"),
        "axes": np.ascontiguousarray(vectors.axes, dtype="<f2"),
        "places": np.ascontiguousarray(vectors.places, dtype="i1"),
        "scales": np.ascontiguousarray(vectors.scales, dtype="<f4"),
        "usages": np.ascontiguousarray(vectors.usages, dtype="<i4"),
        "weights": np.ascontiguousarray(vectors.weights, dtype="<f8"),
    }


def _document(vectors: SenseVectors) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "keys": list(vectors.keys),
        "synsets": list(vectors.synsets),
        "files": list(vectors.files),
        "learnt": asdict(vectors.learnt),
    }


def _content(document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    content = hashlib.sha256(_canonical(document).encode())
    for name, array in sorted(arrays.items()):
        content.update(f"{name} {array.shape} {array.dtype}".encode() + array.tobytes())
    return content.hexdigest()


def _to_bytes(vectors: SenseVectors) -> bytes:
    document, arrays = _document(vectors), _arrays(vectors)
    written: bytes = safetensors.save(arrays, {ENTRY: _canonical(document | {"content": _content(document, arrays)})})
    return written


def _canonical(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
