"""An Encoder whose work goes in parts that are kept: a part that was done once is handed back, not done again.

`analyse()` stays one pure function that knows nothing of jobs; over this encoder a second run of it asks for the same
parts in the same order, and goes on from the first that is not kept.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analysis.types import (
    Attention,
    Encoder,
    FloatArray,
    ModelInfo,
    Occurrence,
    Perturbed,
    Progress,
    Unit,
    Usages,
    silent,
)

PART = 64  # readings: a second or two of work, which is the most that an interruption loses
Reading = Occurrence | Perturbed
# Called with the part's name, which is made of its content, and what does its work; gives that work's result.
Keep = Callable[[str, Callable[[], str]], str]


class Parts:
    """An `Encoder` over another. `keep` keeps a part or hands it back; `between` is called before each part.

    `between` may raise, to stop. Near-equal lengths stand in a part together, so that its batches pad little; which
    readings are in a part depends on nothing but what was asked, so that a second run has the same parts.
    """

    def __init__(self, encoder: Encoder, keep: Keep, between: Callable[[], None] = lambda: None) -> None:
        self._encoder = encoder
        self._keep = keep
        self._between = between

    @property
    def info(self) -> ModelInfo:
        return self._encoder.info

    def encode(
        self,
        readings: Sequence[Reading],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        progress: Progress = silent,
    ) -> Usages:
        """As `Encoder.encode`; `progress` hears of each part once it is done, kept ones too."""
        if not readings:
            return self._encoder.encode(readings, layers=layers, attention=attention, progress=progress)
        order = sorted(range(len(readings)), key=lambda i: len(_occurrence(readings[i]).text))
        parts = []
        for first in range(0, len(order), PART):
            rows = order[first : first + PART]
            self._between()
            parts.append(self._part([readings[i] for i in rows], tuple(layers), attention))
            progress(len(rows))
        return _joined(parts).take(np.argsort(order, kind="stable").tolist())

    def attention(self, text: str) -> Attention:
        return self._encoder.attention(text)

    def static(self, forms: Sequence[str]) -> FloatArray:
        return self._encoder.static(forms)

    def __getattr__(self, name: str) -> Any:
        """What else the encoder can do is done by it, and not kept."""
        return getattr(self._encoder, name)

    def _part(self, readings: list[Reading], layers: tuple[int, ...], attention: bool) -> Usages:
        def work() -> str:
            return pack(self._encoder.encode(readings, layers=layers, attention=attention))

        name = f"read {_key(self.info.digest, readings, layers, attention)}"
        return unpack(self._keep(name, work), [_occurrence(reading) for reading in readings])


def pack(usages: Usages) -> str:
    """The arrays of usages as text; `unpack` is its inverse, given the occurrences."""
    # A word's own text is what stands in its span; only a special token has a name.
    words = [[[unit.text if unit.special else None, unit.start, unit.end] for unit in row] for row in usages.words]
    arrays: dict[str, Any] = {
        "vectors": usages.vectors,
        "context": usages.context,
        "layer_ids": np.array(usages.layer_ids, dtype=np.int64),
        "words": np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
    }
    if usages.layers is not None:
        arrays["layers"] = usages.layers
    for i, row in enumerate(usages.target_attention or ()):
        arrays[f"attention{i}"] = row
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return base64.b64encode(file.getvalue()).decode()


def unpack(packed: str, occurrences: Sequence[Occurrence]) -> Usages:
    """The usages of the occurrences, as `pack` was given them."""
    with np.load(io.BytesIO(base64.b64decode(packed)), allow_pickle=False) as kept:
        arrays = {name: kept[name] for name in kept.files}
    attention = tuple(arrays[f"attention{i}"] for i in range(len(occurrences)) if f"attention{i}" in arrays)
    return Usages(
        occurrences=tuple(occurrences),
        vectors=arrays["vectors"],
        context=arrays["context"],
        words=_words(json.loads(arrays["words"].tobytes()), occurrences),
        layer_ids=tuple(arrays["layer_ids"].tolist()),
        layers=arrays.get("layers"),
        target_attention=attention or None,
    )


def _words(kept: list[Any], occurrences: Sequence[Occurrence]) -> tuple[tuple[Unit, ...], ...]:
    return tuple(
        tuple(
            Unit(occurrence.text[start:end] if name is None else name, start, end, name is not None)
            for name, start, end in row
        )
        for occurrence, row in zip(occurrences, kept, strict=True)
    )


def _joined(parts: Sequence[Usages]) -> Usages:
    first = parts[0]
    with_layers = first.layers is not None
    with_attention = first.target_attention is not None
    return Usages(
        occurrences=tuple(o for part in parts for o in part.occurrences),
        vectors=np.concatenate([part.vectors for part in parts]),
        context=np.concatenate([part.context for part in parts]),
        words=tuple(words for part in parts for words in part.words),
        layer_ids=first.layer_ids,
        layers=np.concatenate([part.layers for part in parts if part.layers is not None]) if with_layers else None,
        target_attention=tuple(row for part in parts for row in part.target_attention or ())
        if with_attention
        else None,
    )


def _occurrence(reading: Reading) -> Occurrence:
    return reading.occurrence if isinstance(reading, Perturbed) else reading


def _key(digest: str, readings: Sequence[Reading], layers: Sequence[int], attention: bool) -> str:
    """SHA-256 of all that the part's result depends on."""
    content = hashlib.sha256(f"{digest} {list(layers)} {attention}".encode())
    for reading in readings:
        occurrence = _occurrence(reading)
        removed = (
            [reading.operator, *((span.start, span.end) for span in reading.removed)]
            if isinstance(reading, Perturbed)
            else None
        )
        content.update(f"\0{occurrence.start}:{occurrence.end}:{removed}:{len(occurrence.text)}:".encode())
        content.update(occurrence.text.encode("utf-8", "surrogatepass"))
    return content.hexdigest()[:32]
