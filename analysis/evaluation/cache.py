"""Embeddings that are kept, so that a run broken off goes on from where it was and a second one encodes nothing.

    HOME/evaluation/<digest>/<key>.npz     `keys` (C) of the readings, `vectors` and `context` f32 (C, D)

A reading is keyed by the SHA-256 of its text and span, in a folder of the model's digest. Readings that are not kept
yet are sorted and encoded in chunks; each chunk is one file, written whole or not at all. A file that is damaged is
dropped when it is wanted, and its readings are computed anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np

from analysis.errors import BadFile
from analysis.types import Encoder, FloatArray, Occurrence, Progress, silent

CHUNK = 256  # readings a file: seconds of work, which is the most that an interruption loses
FORMAT = b"1"  # counted up when what an encoder gives for a reading changes


def embed(
    encoder: Encoder, occurrences: Sequence[Occurrence], folder: Path | None, progress: Progress = silent
) -> tuple[FloatArray, FloatArray]:
    """`vectors` and `context`, f32 (N, D), of the occurrences in the order given; of equal ones only one is encoded.

    `folder` holds the caches of all models, None keeps nothing; `progress` hears of every occurrence, the kept ones
    at once. Raises as `Encoder.encode` does, and BadFile where the folder cannot be written.
    """
    keys = [_key(occurrence) for occurrence in occurrences]
    place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    row_of = np.array([place[key] for key in keys], dtype=np.int64)
    width = encoder.info.width
    vectors, context = np.zeros((len(place), width), np.float32), np.zeros((len(place), width), np.float32)
    kept: set[str] = set()
    room = folder / encoder.info.digest if folder else None
    for file in sorted(room.glob("*.npz")) if room else ():
        chunk = _read(file, place, width)
        if chunk is None:
            file.unlink(missing_ok=True)
            continue
        names, *arrays = chunk
        at = [place[name] for name in names]
        vectors[at], context[at] = arrays
        kept.update(names)
    progress(sum(key in kept for key in keys))
    new = {key: o for key, o in zip(keys, occurrences, strict=True) if key not in kept}
    # By length, so that a batch pads little, and text by text; the key makes the order one whatever was asked for.
    order = sorted(new, key=lambda key: (len(new[key].text), new[key].text, key))
    copies = np.bincount(row_of, minlength=len(place))
    for first in range(0, len(order), CHUNK):
        names = order[first : first + CHUNK]
        usages = encoder.encode([new[name] for name in names])
        at = [place[name] for name in names]
        vectors[at], context[at] = usages.vectors, usages.context
        if room:
            _write(room, names, vectors[at], context[at])
        progress(int(copies[at].sum()))
    return vectors[row_of], context[row_of]


def _key(occurrence: Occurrence) -> str:
    span = f"{occurrence.start}:{occurrence.end}:".encode()
    return hashlib.sha256(FORMAT + b":" + span + occurrence.text.encode()).hexdigest()


def _read(file: Path, wanted: Container[str], width: int) -> tuple[list[str], FloatArray, FloatArray] | None:
    """The wanted readings of a chunk, its arrays left alone where there are none; None where the file is damaged."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as chunk:
            names = [str(name) for name in chunk["keys"]]
            rows = [i for i, name in enumerate(names) if name in wanted]
            if not rows:
                return [], np.zeros((0, width), np.float32), np.zeros((0, width), np.float32)
            vectors, context = chunk["vectors"], chunk["context"]
    except Exception:  # noqa: BLE001 - the zip's checksums tell, and damage to its headers can raise nearly anything
        return None
    if any(a.shape != (len(names), width) or a.dtype != np.float32 for a in (vectors, context)):
        return None
    return [names[i] for i in rows], vectors[rows], context[rows]


def _write(room: Path, names: list[str], vectors: FloatArray, context: FloatArray) -> None:
    """Whole or not at all: to a file beside it first, then renamed."""
    digest = hashlib.sha256("".join(names).encode()).hexdigest()
    try:
        room.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=room, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, keys=np.array(names), vectors=vectors, context=context)
            Path(temporary).replace(room / f"{digest}.npz")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        remedy = "make room, or set POLYSEME_HOME to a folder that you may write to"
        raise BadFile(f"cannot write the embeddings to {room}: {error.strerror}", remedy=remedy) from error
