"""An Encoder whose work goes in parts that are kept: a part that was done once is handed back, not done again.

`analyse()` stays one pure function that knows nothing of jobs; over this encoder a second run of it asks for the same
parts in the same order, and goes on from the first that is not kept.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from analysis.types import (
    Attention,
    Encoder,
    FloatArray,
    Gradients,
    IntArray,
    Occurrence,
    Path,
    Perturbed,
    Progress,
    Respond,
    Unit,
    Usages,
    silent,
)
from service.passing import Passing

PART = 64  # readings: a second or two of work, which is the most that an interruption loses
FEW = 8  # usages, where each costs many readings
Reading = Occurrence | Perturbed
Arrays = dict[str, Any]
# Called with the part's name and what does its work; gives that work's result, of now or of an earlier run. In each run
# the parts come in the same order; the name is made of the part's number and of what is asked in it.
Keep = Callable[[str, Callable[[], str]], str]


class Parts(Passing):
    """An `Encoder` over another. `keep` keeps a part or hands it back; `between` is called before each part.

    `between` may raise, to stop. Near-equal lengths stand in a part together, so that its batches pad little; which
    readings are in a part depends on nothing but what was asked, so that a second run has the same parts.
    """

    def __init__(self, encoder: Encoder, keep: Keep, between: Callable[[], None] = lambda: None) -> None:
        super().__init__(encoder)
        self._keep = keep
        self._between = between
        self._number = 0

    def encode(
        self,
        readings: Sequence[Reading],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        context: bool = True,
        progress: Progress = silent,
    ) -> Usages:
        """As `Encoder.encode`; `progress` hears of each part once it is done, kept ones too."""
        asked_for: Any = {"layers": layers, "attention": attention, "context": context}
        if not readings:
            return self.encoder.encode(readings, **asked_for, progress=progress)

        def work(rows: Sequence[int], told: Progress) -> Arrays:
            asked = [readings[i] for i in rows]
            return _of_usages(self.encoder.encode(asked, **asked_for, progress=told))

        order: list[int] = []
        parts = []
        for rows, arrays in self._parts(f"read {list(layers)} {attention} {context}", readings, PART, work, progress):
            order += rows
            parts.append(_to_usages(arrays, [_occurrence(readings[i]) for i in rows]))
        return _joined(parts).take(np.argsort(order, kind="stable").tolist())

    def gradients(
        self,
        occurrences: Sequence[Occurrence | Perturbed],
        respond: Respond,
        *,
        path: Path,
        points: Sequence[float],
        ends: bool = False,
        progress: Progress = silent,
    ) -> Gradients:
        """As `Encoder.gradients`."""

        def work(rows: Sequence[int], told: Progress) -> Arrays:
            of = np.array(rows, dtype=np.int64)

            def respond_of_part(
                vectors: FloatArray, context: FloatArray, which: IntArray
            ) -> tuple[FloatArray, FloatArray, FloatArray]:
                return respond(vectors, context, of[which])

            found = self.encoder.gradients(
                [occurrences[i] for i in rows], respond_of_part, path=path, points=points, ends=ends, progress=told
            )
            return _of_rows(found.effects) | ({} if found.ends is None else {"ends": found.ends})

        effects: dict[int, FloatArray] = {}
        at_ends: dict[int, FloatArray] = {}
        size = max(FEW, PART // (3 * max(1, len(points))))
        for rows, arrays in self._parts(f"gradients {path} {list(points)} {ends}", occurrences, size, work, progress):
            effects |= zip(rows, _to_rows(arrays), strict=True)
            at_ends |= zip(rows, arrays.get("ends", ()), strict=False)
        n = len(occurrences)
        stacked = np.stack([at_ends[i] for i in range(n)]) if len(at_ends) == n > 0 else None
        return Gradients(tuple(effects[i] for i in range(n)), stacked)

    def value_zeroing(
        self, occurrences: Sequence[Occurrence], *, progress: Progress = silent
    ) -> tuple[FloatArray, ...]:
        """As `Encoder.value_zeroing`."""

        def work(rows: Sequence[int], told: Progress) -> Arrays:
            return _of_rows(self.encoder.value_zeroing([occurrences[i] for i in rows], progress=told))

        found: dict[int, FloatArray] = {}
        for rows, arrays in self._parts("value-zeroing", occurrences, FEW, work, progress):
            found |= zip(rows, _to_rows(arrays), strict=True)
        return tuple(found[i] for i in range(len(occurrences)))

    def word_attention(self, occurrence: Occurrence) -> Attention:
        """As `Encoder.word_attention`; large and quickly made, so it is not kept."""
        self._between()
        return super().word_attention(occurrence)

    def _parts(
        self,
        asked: str,
        readings: Sequence[Reading],
        size: int,
        work: Callable[[Sequence[int], Progress], Arrays],
        progress: Progress,
    ) -> Iterator[tuple[list[int], Arrays]]:
        """For each part the indices of its readings, and the arrays that the work on them gave."""
        order = sorted(range(len(readings)), key=lambda i: len(_occurrence(readings[i]).text))
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            self._between()
            self._number += 1
            name = f"{self._number} {_key(f'{self.info.digest} {asked}', [readings[i] for i in rows])}"
            arrays = unpack(self._keep(name, lambda rows=rows: _done(work, rows)))  # type: ignore[misc]
            progress(int(arrays["passes"]))
            yield rows, arrays


def pack(arrays: Arrays) -> str:
    """Arrays by name as text; `unpack` is its inverse."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return base64.b64encode(file.getvalue()).decode()


def unpack(packed: str) -> Arrays:
    """The arrays that `pack` was given."""
    with np.load(io.BytesIO(base64.b64decode(packed)), allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _done(work: Callable[[Sequence[int], Progress], Arrays], rows: Sequence[int]) -> str:
    """The packed result, with how many passes it took, so that they are told where it is handed back too."""
    passes: list[int] = []
    arrays = work(rows, passes.append)
    return pack(arrays | {"passes": np.array(sum(passes), dtype=np.int64)})


def _of_usages(usages: Usages) -> Arrays:
    # A word's own text is what stands in its span; only a special token has a name.
    words = [[[unit.text if unit.special else None, unit.start, unit.end] for unit in row] for row in usages.words]
    others = {
        "layer_ids": np.array(usages.layer_ids, dtype=np.int64),
        "words": np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
    }
    return _whole(usages) | others | {f"attention{i}": row for i, row in enumerate(usages.target_attention or ())}


def _to_usages(arrays: Arrays, occurrences: Sequence[Occurrence]) -> Usages:
    attention = tuple(arrays[f"attention{i}"] for i in range(len(occurrences)) if f"attention{i}" in arrays)
    parted = ("layer_ids", "words")
    return Usages(
        occurrences=tuple(occurrences),
        words=_words(json.loads(arrays["words"].tobytes()), occurrences),
        layer_ids=tuple(arrays["layer_ids"].tolist()),
        target_attention=attention or None,
        **{field.name: arrays[field.name] for field in fields(Usages) if field.name in arrays.keys() - parted},
    )


def _whole(usages: Usages) -> Arrays:
    """The fields that are one array over all usages, whichever these are."""
    named = {field.name: getattr(usages, field.name) for field in fields(usages)}
    return {name: value for name, value in named.items() if isinstance(value, np.ndarray)}


def _words(kept: list[Any], occurrences: Sequence[Occurrence]) -> tuple[tuple[Unit, ...], ...]:
    return tuple(
        tuple(
            Unit(occurrence.text[start:end] if name is None else name, start, end, name is not None)
            for name, start, end in row
        )
        for occurrence, row in zip(occurrences, kept, strict=True)
    )


def _of_rows(rows: Sequence[FloatArray]) -> Arrays:
    """Rows of different lengths as one array."""
    return {"flat": np.concatenate(rows), "counts": np.array([len(row) for row in rows], dtype=np.int64)}


def _to_rows(arrays: Arrays) -> list[FloatArray]:
    return np.split(arrays["flat"], np.cumsum(arrays["counts"])[:-1])


def _joined(parts: Sequence[Usages]) -> Usages:
    first = parts[0]
    arrays = [_whole(part) for part in parts]
    return Usages(
        occurrences=tuple(o for part in parts for o in part.occurrences),
        words=tuple(words for part in parts for words in part.words),
        layer_ids=first.layer_ids,
        target_attention=None
        if first.target_attention is None
        else tuple(row for part in parts for row in part.target_attention or ()),
        **{name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]},
    )


def _occurrence(reading: Reading) -> Occurrence:
    return reading.occurrence if isinstance(reading, Perturbed) else reading


def _key(asked: str, readings: Sequence[Reading]) -> str:
    """SHA-256 of what is asked of the readings."""
    content = hashlib.sha256(asked.encode())
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
