"""Corpora as documents: text files, JSON Lines, CSV, TSV, Parquet and standard input.

What cannot be read is refused with the file, the line and the remedy; nothing is repaired in silence.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from analysis.errors import BadFile, BadOption, BadSpan, BadText, Place
from analysis.rows import TEXT_ROWS, lines, parquet_rows
from analysis.types import Document, Span

RECORDS = (*TEXT_ROWS, ".parquet")
ENDINGS = (".txt", *RECORDS)
Record = tuple[int, Mapping[str, object]]  # the number of its line (its row in Parquet) from 1, and what it holds
T = TypeVar("T")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Labelled(NamedTuple):
    """A text, and the name of the sense that someone found the target to have in it."""

    document: Document
    label: str


def read_file(path: Path, *, text_field: str = "text", id_field: str | None = None) -> list[Document]:
    """The texts of a UTF-8 .txt (one a line), .jsonl, .csv, .tsv or a .parquet file, in its order.

    An id is the record's `id_field`, or its "id", or the number of its line (its row in Parquet), from 1. A record's
    `start` and `end`, or (not in CSV) `spans` [[start, end], ...], are its own occurrences, in code points.

    Raises BadFile for a file that cannot be read or is not what its ending says, BadOption for a field that is not
    there, BadText for an empty text in a record, BadSpan for a span that is not inside its text.
    """
    return _read(*_contents(path), text_field, id_field)


def read_stream(stream: BinaryIO, *, text_field: str = "text", id_field: str | None = None) -> list[Document]:
    """Standard input: JSON Lines where the first line that is not blank begins with `{`, else a text a line.

    Raises as `read_file` does.
    """
    return _read(*_stream_contents(stream), text_field, id_field)


def read_bytes(
    data: bytes, ending: str, *, name: str, text_field: str = "text", id_field: str | None = None
) -> list[Document]:
    """The texts of what is in a file of this ending (".txt", ".jsonl", ...); errors call it `name`.

    Raises as `read_file` does.
    """
    if ending not in ENDINGS:
        raise _bad_file(f"{name} has the unknown ending {ending!r}", f"give a file in {', '.join(ENDINGS)}")
    return _read(data, ending, name, text_field, id_field)


def read_labelled(
    source: Path | BinaryIO, *, label_field: str = "label", text_field: str = "text", id_field: str | None = None
) -> list[Labelled]:
    """The records of a file or of standard input as `read_file` and `read_stream` read them, each with its label.

    A number is a label too. Raises as they do; BadFile also for text files, which have no labels, and for a record
    whose label is empty or no name, BadOption where there is no such field.
    """
    data, ending, name = _contents(source) if isinstance(source, Path) else _stream_contents(source)
    if ending == ".txt":
        what = f"{name} is a text a line, without labels"
        raise _bad_file(what, f"give records with the field {label_field!r}, in {', '.join(RECORDS)}")
    asked = {text_field, label_field} | ({id_field} if id_field is not None else set())
    noun = "row" if ending == ".parquet" else "line"
    result = []
    for row in _records(data, ending, name, asked):
        place = f"{name}, {noun} {row[0]}"
        _check_field(row, place, "label_field", label_field)
        result.append(Labelled(_document(row, place, text_field, id_field), _label(row, place, label_field)))
    if not result:
        raise _bad_file(f"{name} is empty", "give at least one text and its label")
    return result


def documents(texts: Sequence[str]) -> list[Document]:
    """Texts as documents; ids count from 1, as lines do. Raises BadText where there is none, or one is empty."""
    if isinstance(texts, str) or not texts:
        raise BadText("there is no list of texts", remedy="give a list of at least one text", where=("texts",))
    for i, text in enumerate(texts):
        _check_text(text, f"text {i + 1}", ("texts", i))
    return [Document(text, str(i)) for i, text in enumerate(texts, start=1)]


def _contents(path: Path) -> tuple[bytes, str, str]:
    """What is in the file, its ending, and its name."""
    ending = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if ending not in ENDINGS:
                raise _bad_file(f"{path} has the unknown ending {ending!r}", f"give a file in {', '.join(ENDINGS)}")
            data = file.read()
    except FileNotFoundError:
        raise _bad_file(f"there is no file {path}", "check the path") from None
    except IsADirectoryError:
        raise _bad_file(f"{path} is a folder", "give a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _bad_file(f"{path} cannot be read: {reason}", "check the path and its permissions") from error
    return data, ending, str(path)


def _stream_contents(stream: BinaryIO) -> tuple[bytes, str, str]:
    try:
        data = stream.read()
    except OSError as error:
        raise _bad_file(f"standard input cannot be read: {error.strerror}", "give a file or a pipe") from error
    ending = ".jsonl" if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else ".txt"
    return data, ending, "standard input"


def _read(data: bytes, ending: str, name: str, text_field: str, id_field: str | None) -> list[Document]:
    if ending == ".txt":
        found = _good(lines([data], name, longest=len(data)))
        result = [Document(line.removesuffix("\r"), str(number)) for number, line in found if line.strip()]
    else:
        asked = {text_field} if id_field is None else {text_field, id_field}
        noun = "row" if ending == ".parquet" else "line"
        rows = _records(data, ending, name, asked)
        result = [_document(row, f"{name}, {noun} {row[0]}", text_field, id_field) for row in rows]
    if not result:
        raise _bad_file(f"{name} is empty", "give at least one text")
    return result


def _good(items: Iterable[tuple[int, T | BadFile]]) -> Iterator[tuple[int, T]]:
    """The same, but the first that could not be read is raised."""
    for number, item in items:
        if isinstance(item, BadFile):
            raise item
        yield number, item


def _records(data: bytes, ending: str, name: str, asked: Collection[str]) -> Iterator[Record]:
    if ending == ".parquet":
        return _good(parquet_rows(io.BytesIO(data), name, asked))
    return _good(TEXT_ROWS[ending]([data], name))


def _document(row: Record, place: str, text_field: str, id_field: str | None) -> Document:
    text, identity = text_of(row, place, text_field, id_field)
    return Document(text, identity, _spans(row, place, len(text)))


def text_of(row: Record, place: str, text_field: str, id_field: str | None) -> tuple[str, str]:
    """The text of a record and its id; `place` names the record in errors. Raises as `read_file` does."""
    number, record = row
    _check_field(row, place, "text_field", text_field)
    if id_field is not None:
        _check_field(row, place, "id_field", id_field)
    text, identity = record[text_field], record.get(id_field or "id")
    if not isinstance(text, str):
        what = f"{place}: {text_field!r} is not a string, but {type(text).__name__}"
        raise _bad_file(what, "write the text as a string, or choose another text_field", number)
    _check_text(text, f"{place}: {text_field!r}", ("file", number))
    return text, str(number if identity in (None, "") else identity)


def _check_field(row: Record, place: str, option: str, field: str) -> None:
    if field not in row[1]:
        there = ", ".join(map(repr, row[1])) or "none"
        remedy = f"choose {option} from the fields there are: {there}"
        raise BadOption(f"{place} has no field {field!r}", remedy=remedy, where=(option,))


def _label(row: Record, place: str, field: str) -> str:
    number, record = row
    given = record[field]
    label = str(given).strip() if isinstance(given, str | int) else ""
    if not label or _SURROGATE.search(label):
        what = f"{place}: {field!r} is {given!r}, which is no label"
        raise _bad_file(what, "give a name or a whole number, or leave the record out", number)
    return label


def _check_text(text: object, place: str, where: Place) -> None:
    if not isinstance(text, str):
        raise BadText(f"{place} is not a string, but {type(text).__name__}", remedy="give strings", where=where)
    if not text.strip():
        raise BadText(f"{place} is empty", remedy="leave it out, or give its text", where=where)
    # Half a pair comes from a JSON escape that was cut in two; no tokenizer reads it.
    if _SURROGATE.search(text):
        raise BadText(f"{place} has half a surrogate pair", remedy="write the whole character", where=where)


def _spans(row: Record, place: str, length: int) -> tuple[Span, ...]:
    number, record = row
    given: object = record.get("spans")
    if given is None or given == "":
        pair = record.get("start"), record.get("end")
        given = [] if all(map(_is_missing, pair)) else [pair]
    try:
        spans = tuple(Span(_whole(start), _whole(end)) for start, end in given)  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        spans = (Span(-1, -1),)
    if any(not 0 <= span.start < span.end <= length for span in spans):
        what = f"{place}: {given!r} is not a span inside its text of {length} characters"
        remedy = "give 0 <= start < end <= length, end excluded; or rename a field that means something else"
        raise BadSpan(what, remedy=remedy, where=("file", number))
    return spans


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _whole(value: object) -> int:
    """3, "3" and 3.0 are 3 (a column with gaps is often of floats); anything else is a ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not float(value).is_integer():
        raise ValueError(f"{value!r} is not a whole number")
    return int(float(value))


def _bad_file(what: str, remedy: str, line: int | None = None) -> BadFile:
    return BadFile(what, remedy=remedy, where=("file",) if line is None else ("file", line))
