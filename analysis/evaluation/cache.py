"""Embeddings that are kept, so that a run broken off goes on from where it was and a second one encodes nothing.

    HOME/evaluation/<digest>/<key>.npz     `keys` (C) of the readings, and C rows of each array of `Embedded`, f32

A reading is keyed by the SHA-256 of its text, span and layers, in a folder of the model's digest. Readings that are
not kept yet are sorted and encoded in chunks; each chunk is one file, written whole or not at all. A file that is
damaged is dropped when it is wanted, and its readings are computed anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.errors import BadFile
from analysis.types import Encoder, FloatArray, IntArray, Occurrence, Progress, silent

CHUNK = 256  # readings a file: seconds of work, which is the most that an interruption loses
FORMAT = b"2"  # counted up when what an encoder gives for a reading changes


class Embedded(NamedTuple):
    """`vectors` and `context` f32 (N, D), and `layers` f32 (N, M, D) of the M layers asked for, as in `Usages`."""

    vectors: FloatArray
    context: FloatArray
    layers: FloatArray

    def take(self, rows: slice | IntArray) -> Embedded:
        return Embedded(*(array[rows] for array in self))


def embed(
    encoder: Encoder,
    occurrences: Sequence[Occurrence],
    folder: Path | None,
    progress: Progress = silent,
    *,
    layers: Sequence[int] = (),
) -> Embedded:
    """The occurrences, in the order given; of equal ones only one is encoded.

    `folder` holds the caches of all models, None keeps nothing; `progress` hears of every occurrence, the kept ones
    at once. Raises as `Encoder.encode` does, and BadFile where the folder cannot be written.
    """
    keys = [_key(occurrence, layers) for occurrence in occurrences]
    place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    row_of = np.array([place[key] for key in keys], dtype=np.int64)
    found = _room(len(place), len(layers), encoder.info.width)
    kept: set[str] = set()
    room = folder / encoder.info.digest if folder else None
    for file in sorted(room.glob("*.npz")) if room else ():
        chunk = _read(file, place, found)
        if chunk is None:
            file.unlink(missing_ok=True)
            continue
        kept.update(chunk)
    progress(sum(key in kept for key in keys))
    new = {key: o for key, o in zip(keys, occurrences, strict=True) if key not in kept}
    # By length, so that a batch pads little, and text by text; the key makes the order one whatever was asked for.
    order = sorted(new, key=lambda key: (len(new[key].text), new[key].text, key))
    copies = np.bincount(row_of, minlength=len(place))
    for first in range(0, len(order), CHUNK):
        names = order[first : first + CHUNK]
        usages = encoder.encode([new[name] for name in names], layers=layers)
        at = [place[name] for name in names]
        computed = Embedded(
            usages.vectors, usages.context, found.layers[at] if usages.layers is None else usages.layers
        )
        for array, rows in zip(found, computed, strict=True):
            array[at] = rows
        if room:
            _write(room, names, computed)
        progress(int(copies[at].sum()))
    return Embedded(*(array[row_of] for array in found))


def _room(n: int, n_layers: int, width: int) -> Embedded:
    vectors, context = np.zeros((n, width), np.float32), np.zeros((n, width), np.float32)
    return Embedded(vectors, context, np.zeros((n, n_layers, width), np.float32))


def _key(occurrence: Occurrence, layers: Sequence[int]) -> str:
    span = f"{occurrence.start}:{occurrence.end}:{','.join(map(str, layers))}:".encode()
    return hashlib.sha256(FORMAT + b":" + span + occurrence.text.encode()).hexdigest()


def _read(file: Path, place: Mapping[str, int], found: Embedded) -> list[str] | None:
    """Fill the places of the wanted readings of a chunk, which are told; None where the file is damaged."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as chunk:
            names = [str(name) for name in chunk["keys"]]
            rows = [i for i, name in enumerate(names) if name in place]
            if not rows:  # of other texts or layers
                return []
            arrays = [chunk[name] for name in Embedded._fields]
    except Exception:  # noqa: BLE001 - the zip's checksums tell, and damage to its headers can raise nearly anything
        return None
    for array, into in zip(arrays, found, strict=True):
        if array.shape != (len(names), *into.shape[1:]) or array.dtype != np.float32:
            return None
    at = [place[names[i]] for i in rows]
    for array, into in zip(arrays, found, strict=True):
        into[at] = array[rows]
    return [names[i] for i in rows]


def _write(room: Path, names: list[str], arrays: Embedded) -> None:
    """Whole or not at all: to a file beside it first, then renamed."""
    digest = hashlib.sha256("".join(names).encode()).hexdigest()
    try:
        room.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=room, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, keys=np.array(names), **arrays._asdict())
            Path(temporary).replace(room / f"{digest}.npz")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        remedy = "make room, or set POLYSEME_HOME to a folder that you may write to"
        raise BadFile(f"cannot write the embeddings to {room}: {error.strerror}", remedy=remedy) from error
