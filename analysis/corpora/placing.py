"""Read uses put into the senses that were learnt, as the rows of a Parquet file; and what was counted on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from analysis import assigning, senses
from analysis.assemble import rounded
from analysis.corpora.finding import Use
from analysis.corpora.reading import Block
from analysis.record import Analysis, Usage
from analysis.saved import SavedSenses
from analysis.types import FloatArray, IntArray, SenseModel

SURE = 0.9  # the probability from which an assignment counts as sure
_DRIVER = pa.struct([("word", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("effect", pa.float64())])


class Known(NamedTuple):
    """What was learnt of a target: its sense model, the analysis of the sample, and the sample's vectors by usage.

    `row` says which of the analysis's usages stands at a place; `halves` are the models of two halves, or none.
    """

    saved: SavedSenses
    analysis: Analysis
    vectors: FloatArray
    context: FloatArray
    row: Mapping[tuple[str, int, int], int]
    halves: tuple[SenseModel, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the uses of a part, or of all parts together.

    sizes     (K) uses with each sense;  none, unreadable  uses without one, uses that the model cannot read
    rest      those that the senses were not learnt from, of which `sure` have a probability of SURE, and `novel` are
              near no sense; `same` says where both halves' models put them: (K1, K2), empty for a small sample
    """

    sizes: tuple[int, ...]
    none: int
    unreadable: int
    rest: int
    sure: int
    novel: int
    same: tuple[tuple[int, ...], ...]

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            tuple(a + b for a, b in zip(self.sizes, other.sizes, strict=True)),
            self.none + other.none,
            self.unreadable + other.unreadable,
            self.rest + other.rest,
            self.sure + other.sure,
            self.novel + other.novel,
            tuple(tuple(a + b for a, b in zip(x, y, strict=True)) for x, y in zip(self.same, other.same, strict=True)),
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Counts:
        return cls(**{**found, "sizes": tuple(found["sizes"]), "same": tuple(map(tuple, found["same"]))})


def place_of(use: Use) -> tuple[str, int, int]:
    """Where it stands; no two uses of a target stand at one place."""
    return use.file, use.line, use.text_start + use.start


def place(known: Known, block: Block, first: int, threshold: float) -> tuple[bytes, Counts]:
    """The Parquet file of the block's uses, the first of which is number `first` of its target; and the counts."""
    uses = block.task.uses
    old = [known.row.get(place_of(use)) for use in uses]
    width = known.vectors.shape[1]
    vectors, context = (np.zeros((len(uses), width), dtype=np.float32) for _ in range(2))
    can = np.ones(len(uses), dtype=bool)
    new = np.array([not is_known for is_known in block.task.known], dtype=bool)
    if new.any():
        vectors[new], context[new], can[new] = block.vectors, block.context, block.readable
    for i, row in enumerate(old):
        if row is not None:
            vectors[i], context[i] = known.vectors[row], known.context[row]
        elif not new[i]:
            can[i] = False  # of the sample, but the model could not read it
    represented = senses.represent(vectors, context)
    occurrences = [use.occurrence(block.task.target) for use in uses]
    placed = assigning.place(known.saved, represented, occurrences, threshold)
    rest = can & new
    rows = [_row(first + i, use, known, old[i], placed, i, bool(can[i])) for i, use in enumerate(uses)]
    names = known.saved.model.senses
    told = [row["sense"] for row in rows]
    counts = Counts(
        sizes=tuple(told.count(name) for name in names),
        none=sum(sense is None for sense, good in zip(told, can, strict=True) if good),
        unreadable=int((~can).sum()),
        rest=int(rest.sum()),
        sure=int((placed.chances.max(axis=1)[rest] >= SURE).sum()),
        novel=sum("none-of-these" in placed.flags[i] for i in np.flatnonzero(rest)),
        same=_same(known.halves, represented[rest]),
    )
    return _file(rows, vectors, context, can), counts


def _row(
    number: int, use: Use, known: Known, old: int | None, placed: assigning.Placed, i: int, can_read: bool
) -> dict[str, Any]:
    used: Usage | None = None if old is None else known.analysis.usages[old]
    sense, confidence = None if placed.sense[i] < 0 else known.saved.model.senses[placed.sense[i]], None
    flags = [*(["window"] if use.cut else [])]
    if not can_read:
        sense, flags = None, [*flags, "unreadable"]
    elif used is not None:  # as the analysis has it: with the usage left out of its own sense
        sense, confidence, flags = used.sense, used.confidence, [*flags, *(f for f in used.flags if f != "window")]
    else:
        confidence, flags = rounded(placed.chances[i, placed.nearest[i]]), [*flags, *placed.flags[i]]
    return {
        "id": f"u{number}",
        "analysis_id": used and used.id,
        **{name: value for name, value in use._asdict().items() if name != "cut"},
        "form": use.text[use.start : use.end],
        "sense": sense,
        "label": sense and dict(zip(known.saved.model.senses, known.saved.labels, strict=True))[sense],
        "confidence": confidence,
        "flags": flags,
        "drivers": None if used is None or used.drivers is None else [
            {"word": d.word, "start": used.text_start + d.start, "end": used.text_start + d.end, "effect": d.effect}
            for d in used.drivers
        ],
    }  # fmt: skip


def _file(rows: Sequence[Mapping[str, Any]], vectors: FloatArray, context: FloatArray, can: NDArray[np.bool_]) -> bytes:
    texts = ("id", "analysis_id", "file", "source_id", "text", "form", "sense", "label")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in texts),
            *((name, pa.int64()) for name in ("line", "text_start", "start", "end")),
            ("confidence", pa.float64()),
            ("flags", pa.list_(pa.string())),
            ("drivers", pa.list_(_DRIVER)),
        ]
    )
    order = ["id", "analysis_id", "file", "line", "source_id", "text", "text_start", "start", "end", "form", "sense",
             "label", "confidence", "flags", "drivers"]  # fmt: skip
    table = pa.Table.from_pylist(list(rows), schema=schema).select(order)
    missing = pa.array(~can)
    for name, values in (("vector", vectors), ("context", context)):
        flat = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1], mask=missing)
        table = table.append_column(name, flat)
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd", use_dictionary=["file", "form", "sense", "label"])
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _same(halves: Sequence[SenseModel], represented: FloatArray) -> tuple[tuple[int, ...], ...]:
    """(K1, K2): how many rows the first model puts into its sense i and the second into its sense j."""
    if not halves:
        return ()
    first, second = halves
    table: IntArray = np.zeros((len(first.senses), len(second.senses)), dtype=np.int64)
    if len(represented):
        np.add.at(table, (senses.assign(first, represented).sense, senses.assign(second, represented).sense), 1)
    return tuple(tuple(row) for row in table.tolist())
