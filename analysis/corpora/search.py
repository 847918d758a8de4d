"""The first step: all files read once, for the uses of all targets that are to be looked at.

    files -> texts -> uses -> those drawn, in parts on the disk

What was found is written away every so many uses or seconds, with the place that was reached, so that a search that is
broken off goes on from there and finds the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from analysis.corpora.finding import Finder, Use
from analysis.corpora.folder import Folder
from analysis.corpora.sampling import Lowest, draw
from analysis.corpora.sources import Skipped, Source, Text, texts
from analysis.errors import BadFile
from analysis.text import Match
from analysis.types import Progress, silent

ROWS = 2000  # uses that are kept in memory before they are written
SECONDS = 30.0  # after which the place is noted at the latest
_DRAWN = pa.schema(
    [
        ("drawn", pa.int64()), ("file", pa.string()), ("line", pa.int64()), ("source_id", pa.string()),
        ("text", pa.string()), ("text_start", pa.int64()), ("start", pa.int64()), ("end", pa.int64()),
        ("cut", pa.bool_()),
    ]
)  # fmt: skip


class Query(NamedTuple):
    """What to look for, and where it stands in a record; `sample` uses of each target are kept, None: all."""

    targets: tuple[str, ...]
    match: Match
    language: str
    text_field: str
    id_field: str | None
    sample: int | None
    seed: int
    strict: bool


@dataclass
class Reached:
    """How far the search is: `items` of file number `file`, and what was counted up to there.

    `found` uses and `parts` written, by target; `skipped_bytes` is the length of skipped.jsonl.
    """

    found: list[int]
    parts: list[int]
    file: int = 0
    items: int = 0
    texts: int = 0
    skipped: int = 0
    skipped_bytes: int = 0
    done: bool = False


def search(folder: Folder, sources: Sequence[Source], query: Query, progress: Progress = silent) -> Reached:
    """Search all files, from where an earlier search of the folder came to; `progress` is told of bytes.

    Raises BadFile where the query is strict and something cannot be read.
    """
    reached = _reached(folder, query)
    if not reached.done:
        _Search(folder, query, reached).run(sources, progress)
    return reached


def drawn(folder: Folder, target: str, size: int | None) -> Iterator[Use]:
    """The `size` uses of the target with the lowest numbers (None: all), in the order of files and lines."""
    parts = _parts(folder, target)
    highest = _lowest(parts, size).highest
    for part in parts:
        for batch in parquet.ParquetFile(part).iter_batches(ROWS):
            for row in batch.to_pylist():
                if row.pop("drawn") <= highest:
                    yield Use(**row)


class _Search:
    def __init__(self, folder: Folder, query: Query, reached: Reached) -> None:
        self._folder, self._query, self._reached = folder, query, reached
        self._finder = Finder(query.targets, match=query.match, language=query.language)
        self._lowest = [
            _lowest(_parts(folder, target, reached.parts[i]), query.sample) for i, target in enumerate(query.targets)
        ]
        self._rows: list[list[dict[str, Any]]] = [[] for _ in query.targets]
        self._skipped: list[Skipped] = []

    def run(self, sources: Sequence[Source], progress: Progress) -> None:
        reached, noted = self._reached, monotonic()
        progress(sum(source.size for source in sources[: reached.file]))
        for source in sources[reached.file :]:
            found = texts(source, text_field=self._query.text_field, id_field=self._query.id_field, progress=progress)
            for item in islice(found, reached.items, None):
                self._take(source, item)
                reached.items += 1
                waiting = max(sum(map(len, self._rows)), len(self._skipped))
                if waiting >= ROWS or monotonic() - noted > SECONDS:
                    self._note()
                    noted = monotonic()
            reached.file, reached.items = reached.file + 1, 0
        reached.done = True
        self._note()

    def _take(self, source: Source, item: Text | Skipped) -> None:
        reached, query = self._reached, self._query
        if isinstance(item, Skipped):
            if query.strict:
                raise BadFile(item.why, remedy="mend it, or leave --strict out to skip it")
            reached.skipped += 1
            self._skipped.append(item)
            return
        reached.texts += 1
        for number, use in self._finder.uses(source.name, item):
            reached.found[number] += 1
            place = query.targets[number], use.file, use.line, use.text_start + use.start
            if self._lowest[number].offer(lot := draw(query.seed, *place)):
                self._rows[number].append({"drawn": lot, **use._asdict()})

    def _note(self) -> None:
        """Write what was found, and then how far the search is."""
        reached, folder = self._reached, self._folder
        for number, rows in enumerate(self._rows):
            if rows:
                path = _place(folder, self._query.targets[number]) / f"{reached.parts[number]:06}.parquet"
                sink = pa.BufferOutputStream()
                parquet.write_table(pa.Table.from_pylist(rows, schema=_DRAWN), sink)
                folder.write(path, sink.getvalue().to_pybytes())
                reached.parts[number] += 1
                rows.clear()
        if self._skipped:
            content = "".join(json.dumps(item._asdict(), ensure_ascii=False) + "\n" for item in self._skipped).encode()
            reached.skipped_bytes = folder.append(folder.path / "skipped.jsonl", reached.skipped_bytes, content)
            self._skipped.clear()
        folder.write_json(folder.work / "search.json", asdict(reached))


def _reached(folder: Folder, query: Query) -> Reached:
    """How far an earlier search came; what it wrote beyond that is removed."""
    known = folder.work / "search.json"
    none = [0] * len(query.targets)
    reached = Reached(**json.loads(known.read_bytes())) if known.exists() else Reached(none, list(none))
    for number, target in enumerate(query.targets):
        for part in _parts(folder, target)[reached.parts[number] :]:
            part.unlink()
    return reached


def _place(folder: Folder, target: str) -> Path:
    return folder.work_of(target) / "found"


def _parts(folder: Folder, target: str, number: int | None = None) -> list[Path]:
    return sorted(_place(folder, target).glob("[0-9]*.parquet"))[:number]


def _lowest(parts: Sequence[Path], size: int | None) -> Lowest:
    lots = (lot for part in parts for lot in parquet.read_table(part, columns=["drawn"])["drawn"].to_pylist())
    return Lowest(size, () if size is None else lots)
