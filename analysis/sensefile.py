"""A sense model as one portable file, and the id that its content has.

The file is safetensors: arrays, and a JSON document as the one entry of its metadata (several entries have no order).
No code is in it, and none of it is run. The id is the SHA-256 of all the rest, so a file shows whether it was changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from analysis.errors import BadFile
from analysis.saved import SCHEMA_VERSION, Exemplar, Origin, SavedSenses
from analysis.types import SenseModel

ENTRY = "polyseme"  # of the file's metadata
_REMEDY = "get the file again from where it was made, or make the sense model anew"


def identified(saved: SavedSenses) -> SavedSenses:
    """The same with the id that its content has."""
    return replace(saved, id=_content_id(_document(saved), _arrays(saved)))


def save(saved: SavedSenses, path: Path) -> None:
    """Write the file; one that is there is replaced whole or not at all. Raises BadFile where it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(to_bytes(saved))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        what = f"cannot write {path}: {error.strerror}"
        raise BadFile(what, remedy="name a file in a folder that you may write to") from error


def load(path: Path) -> SavedSenses:
    """Read the file. Raises BadFile as `from_bytes` does, and where there is no such file."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadFile(f"{path} cannot be read: {reason}", remedy="check the path and its permissions") from error
    return from_bytes(data, name=str(path))


def to_bytes(saved: SavedSenses) -> bytes:
    """The file's content; the same senses give the same bytes."""
    written: bytes = safetensors.save(_arrays(saved), {ENTRY: _canonical(_document(saved) | {"id": saved.id})})
    return written


def from_bytes(data: bytes, *, name: str = "the file") -> SavedSenses:
    """The inverse of to_bytes. Raises BadFile, which calls the file `name`, for one that is cut short, was changed
    since it was written, is of a newer schema, or is no sense model."""
    document, arrays = _opened(data, name)
    version = document.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        what = f"{name} has schema {version}, and this version of Polyseme reads {SCHEMA_VERSION}"
        raise BadFile(what, remedy="read it with a newer version of Polyseme", where=("file",))
    told = document.pop("id", None)
    found = _content_id(document, arrays)
    if told != found:
        raise _changed(name, f"it says that its id is {told!r}, and its content has the id {found!r}")
    try:
        return _from_parts(_DOCUMENT.validate_json(_canonical(document)), arrays, found)
    except (ValidationError, ValueError, KeyError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise BadFile(f"{name} is no whole sense model: {reason}", remedy=_REMEDY, where=("file",)) from error


@dataclass(frozen=True, slots=True)
class _Document:
    """What the file's JSON holds beside the id."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    schema_version: int
    target: str
    senses: list[str]
    labels: list[str]
    temperature: float
    familiar: float
    exemplars: list[list[Exemplar]]
    provenance: Origin
    edit: str
    parent: str | None


_DOCUMENT = TypeAdapter(_Document)


def _document(saved: SavedSenses) -> dict[str, Any]:
    return asdict(
        _Document(
            schema_version=SCHEMA_VERSION,
            target=saved.model.target,
            senses=list(saved.model.senses),
            labels=list(saved.labels),
            temperature=float(saved.model.temperature),
            familiar=float(saved.model.familiar),
            exemplars=[list(own) for own in saved.exemplars],
            provenance=saved.provenance,
            edit=saved.edit,
            parent=saved.parent,
        )
    )


def _arrays(saved: SavedSenses) -> dict[str, NDArray[Any]]:
    keys = np.frombuffer(bytes.fromhex("".join(saved.keys)), dtype=np.uint8).reshape(len(saved.keys), 16)
    arrays = {
        "centroids": saved.model.centroids.astype("<f4"),
        "sizes": saved.model.sizes.astype("<i8"),
        "keys": keys,
        "member_sense": saved.member_sense.astype("<i8"),
        "rows": saved.rows.astype("<f2"),
    }
    if saved.model.weights is not None:
        arrays["weights"] = saved.model.weights.astype("<f4")
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _from_parts(document: _Document, arrays: Mapping[str, NDArray[Any]], found: str) -> SavedSenses:
    dtypes = {"centroids": "f4", "sizes": "i8", "keys": "u1", "member_sense": "i8", "rows": "f2", "weights": "f4"}
    if not {*dtypes} - {"weights"} <= {*arrays} <= {*dtypes}:
        raise ValueError(f"it has the arrays {', '.join(sorted(arrays))}")
    for name, array in arrays.items():
        if array.dtype != np.dtype(dtypes[name]) or not np.isfinite(array).all():
            raise ValueError(f"{name} is {array.dtype}, or not finite")
    if arrays["keys"].shape[1:] != (16,) or arrays["centroids"].ndim != 2 or not arrays["centroids"].size:
        raise ValueError("its arrays have other shapes")
    if document.temperature <= 0:
        raise ValueError(f"its temperature is {document.temperature}")
    model = SenseModel(
        target=document.target,
        senses=tuple(document.senses),
        centroids=arrays["centroids"],
        sizes=arrays["sizes"],
        temperature=document.temperature,
        weights=arrays.get("weights"),
        familiar=document.familiar,
    )
    return SavedSenses(
        model=model,
        labels=tuple(document.labels),
        keys=tuple(row.tobytes().hex() for row in arrays["keys"]),
        member_sense=arrays["member_sense"],
        rows=arrays["rows"],
        exemplars=tuple(map(tuple, document.exemplars)),
        provenance=document.provenance,
        edit=document.edit,
        parent=document.parent,
        id=found,
    )


def _opened(data: bytes, name: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The document and the arrays of a file in which no byte could be another."""
    try:
        arrays = safetensors.load(data)
        header = data[8 : 8 + int.from_bytes(data[:8], "little")].decode()
        parsed = json.loads(header)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{name} is cut short, was changed, or is no sense model"
        raise BadFile(what, remedy=_REMEDY, where=("file",)) from error
    metadata = parsed.get("__metadata__", {})
    if ENTRY not in metadata:
        what = f"{name} is a safetensors file, but holds no sense model"
        raise BadFile(what, remedy="give a file that --save wrote", where=("file",))
    try:
        document = json.loads(metadata[ENTRY])
        whole = _canonical(document) == metadata[ENTRY] and {*metadata} == {ENTRY}
    except (ValueError, RecursionError):
        whole = False
    # JSON allows white space and escapes that mean nothing: a file has none of its own.
    if not whole or json.dumps(parsed, ensure_ascii=False, separators=(",", ":")) != header.rstrip(" "):
        raise _changed(name, "its header is not as it is written")
    if not isinstance(document, dict):
        raise _changed(name, "its document is no JSON object")
    return document, arrays


def _changed(name: str, how: str) -> BadFile:
    return BadFile(f"{name} was changed since it was written: {how}", remedy=_REMEDY, where=("file",))


def _canonical(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _content_id(document: Mapping[str, object], arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(_canonical(document).encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()[:20]
