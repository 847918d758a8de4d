"""The files of a corpus, and the texts in them as a stream.

paths, globs, folders -> sources -> texts
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from analysis.corpus import ENDINGS, text_of
from analysis.errors import BadFile, BadOption, InputError
from analysis.rows import TEXT_ROWS, Bytes, Line, Row, chunks, inflated, lines, parquet_rows
from analysis.types import Progress, silent

ALL_ENDINGS = (*ENDINGS, *(f"{ending}.gz" for ending in ENDINGS if ending != ".parquet"))
PIECE = 2**20  # bytes of a line of plain text that are read as one: some corpora are one line


@dataclass(frozen=True, slots=True)
class Source:
    """One file; `name` is its path from the folder that all files of the corpus have in common."""

    path: Path
    name: str
    size: int
    modified: int

    @property
    def ending(self) -> str:
        """One of ALL_ENDINGS."""
        return _ending(self.path.name) or ""


class Text(NamedTuple):
    """A text of a source: `line` counts from 1 (rows in Parquet); it begins at code point `start` of that line."""

    text: str
    id: str
    line: int
    start: int


class Skipped(NamedTuple):
    """What could not be read, where (`line` None: the whole file), and why."""

    file: str
    line: int | None
    why: str


class Files(NamedTuple):
    """The sources in the order of their names, and how many files of the folders are of other kinds."""

    sources: tuple[Source, ...]
    ignored: int


def find_files(paths: Sequence[str], *, outside: Path) -> Files:
    """The files that the paths name: a file, a folder with all that is under it, or a pattern such as `data/**/*.txt`.

    In folders and patterns hidden files and other endings than ALL_ENDINGS are left out. Raises BadFile for a path
    that names nothing, or where there is no file to read; BadOption where the folder `outside` would be read too.
    """
    found: dict[Path, None] = {}
    ignored: set[Path] = set()
    for path in paths:
        if Path(path).is_file():
            if _ending(path) is None:
                what = f"{path} has an unknown ending"
                raise BadFile(what, remedy=f"give files in {', '.join(ALL_ENDINGS)}", where=("paths",))
            found[Path(path).resolve()] = None
            continue
        for file in _under(path):
            if _ending(file.name) is None:
                ignored.add(file)
            else:
                found[file] = None
    if not found:
        what = f"there is no file to read in {', '.join(paths)}"
        raise BadFile(what, remedy=f"give files in {', '.join(ALL_ENDINGS)}", where=("paths",))
    inside = next((file for file in found if file.is_relative_to(outside.resolve())), None)
    if inside is not None:
        what = f"the corpus holds {inside}, which is in the output folder {outside}"
        raise BadOption(what, remedy="write to a folder outside the corpus", where=("out",))
    common = Path(os.path.commonpath([file.parent for file in found]))
    sources = sorted((_source(file, common) for file in found), key=lambda source: source.name)
    return Files(tuple(sources), len(ignored))


def texts(
    source: Source, *, text_field: str = "text", id_field: str | None = None, progress: Progress = silent
) -> Iterator[Text | Skipped]:
    """All that is in the file, in its order; blank lines of plain text are left out. An id is as in `read_file`.

    `progress` is told of bytes read.
    """
    last = told = 0
    try:
        with source.path.open("rb") as file:
            for item in _items(source, file, text_field, id_field):
                last = item.line or last
                yield item
                at = min(file.tell(), source.size)
                if at > told:
                    progress(at - told)
                    told = at
    except OSError as error:
        yield Skipped(source.name, last or None, f"{source.name} cannot be read: {error.strerror or error}")
    progress(source.size - told)


def _items(source: Source, file: BinaryIO, text_field: str, id_field: str | None) -> Iterator[Text | Skipped]:
    ending, name = source.ending.removesuffix(".gz"), source.name
    content: Bytes = inflated(file, name) if source.ending.endswith(".gz") else chunks(file)
    if ending == ".txt":
        return _plain(lines(content, name, longest=PIECE, cut=True), name)
    if ending == ".parquet":
        asked = {text_field} if id_field is None else {text_field, id_field}
        return _records(parquet_rows(file, name, asked), name, "row", text_field, id_field)
    return _records(TEXT_ROWS[ending](content, name), name, "line", text_field, id_field)


def _plain(found: Iterable[Line], name: str) -> Iterator[Text | Skipped]:
    last = start = 0
    for number, line in found:
        start = 0 if number != last else start
        last = number
        if isinstance(line, BadFile):
            yield Skipped(name, number, line.what)
        else:
            if line.strip():
                yield Text(line.removesuffix("\r"), str(number), number, start)
            start += len(line)


def _records(
    rows: Iterable[Row], name: str, noun: str, text_field: str, id_field: str | None
) -> Iterator[Text | Skipped]:
    for number, record in rows:
        try:
            if isinstance(record, BadFile):
                raise record
            text, identity = text_of((number, record), f"{name}, {noun} {number}", text_field, id_field)
        except InputError as error:
            # Only a missing field has a remedy that all its records share.
            yield Skipped(name, number, _shown(str(error) if isinstance(error, BadOption) else error.what))
        else:
            yield Text(text, _shown(identity), number, 0)


def _under(path: str) -> Iterator[Path]:
    """All files of a folder or a pattern. Raises BadFile where there is no such path."""
    named = [Path(path)] if Path(path).exists() else [Path(found) for found in glob.glob(path, recursive=True)]  # noqa: PTH207 - a pattern may be absolute
    if not named:
        raise BadFile(f"there is no file or folder {path}", remedy="check the path", where=("paths",))
    for place in named:
        if place.is_file():
            yield place.resolve()
        for folder, below, names in os.walk(place):
            below[:] = [name for name in below if not name.startswith(".")]
            yield from ((Path(folder) / name).resolve() for name in names if not name.startswith("."))


def _source(path: Path, common: Path) -> Source:
    try:
        status = path.stat()
    except OSError as error:
        raise BadFile(
            f"{path} cannot be read: {error.strerror}", remedy="check the path and its permissions"
        ) from error
    name = _shown(path.relative_to(common).as_posix())
    return Source(path, name, status.st_size, status.st_mtime_ns)


def _shown(name: str) -> str:
    """The same, with what is no Unicode (in the names of files, and JSON's halves of pairs) as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _ending(name: str) -> str | None:
    low = name.lower()
    return max((ending for ending in ALL_ENDINGS if low.endswith(ending)), key=len, default=None)
