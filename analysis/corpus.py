"""Corpora as documents: text files, JSON Lines, CSV, TSV, Parquet and standard input.

What cannot be read is refused with the file, the line and the remedy; nothing is repaired in silence.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from analysis.errors import BadFile, BadOption, BadSpan, BadText, Place
from analysis.types import Document, Span

Row = tuple[int, Mapping[str, object]]  # a record, and the number of its line (its row in Parquet) from 1
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
        raise _bad_file(what, f"give records with the field {label_field!r}, in {', '.join(_RECORDS)}")
    asked = {text_field, label_field} | ({id_field} if id_field is not None else set())
    noun = "row" if ending == ".parquet" else "line"
    result = []
    for row in _RECORDS[ending](data, name, asked):
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
            if ending not in (known := (".txt", *_RECORDS)):
                raise _bad_file(f"{path} has the unknown ending {ending!r}", f"give a file in {', '.join(known)}")
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
        result = [Document(line.removesuffix("\r"), str(number)) for number, line in _lines(_decode(data, name))]
    else:
        asked = {text_field} if id_field is None else {text_field, id_field}
        rows = _RECORDS[ending](data, name, asked)
        noun = "row" if ending == ".parquet" else "line"
        result = [_document(row, f"{name}, {noun} {row[0]}", text_field, id_field) for row in rows]
    if not result:
        raise _bad_file(f"{name} is empty", "give at least one text")
    return result


def _decode(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"{name}, line {line} is not UTF-8: byte {error.start} of the file is 0x{data[error.start]:02x}"
        raise _bad_file(what, "save the file as UTF-8", line) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _bad_file(f"{name}, line {line} is not text: it has a NUL character", "save the file as UTF-8 text", line)
    return text.removeprefix("\ufeff")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers. `str.splitlines` would cut at U+2028 and form feeds too."""
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _jsonl_rows(data: bytes, name: str, _asked: Collection[str]) -> Iterator[Row]:
    for number, line in _lines(_decode(data, name)):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            record = error
        if not isinstance(record, dict):
            why = f" ({record})" if isinstance(record, Exception) else ""
            what = f"{name}, line {number} is not a JSON object{why}"
            raise _bad_file(what, 'write one object a line, such as {"text": "..."}', number) from None
        yield number, record


def _csv_rows(data: bytes, name: str, _asked: Collection[str], *, delimiter: str) -> Iterator[Row]:
    text = _decode(data, name)
    # The limit is the process's own: it is only ever raised, so that no other reader loses by it.
    csv.field_size_limit(min(max(csv.field_size_limit(), len(text)), 2**31 - 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    line = 1  # the one that the row begins on: a quoted field may run over several
    try:
        for fields in reader:
            if header and fields and len(fields) != len(header):
                what = f"{name}, line {line} has {len(fields)} fields, and the header {len(header)}"
                raise _bad_file(what, 'put a text that holds the delimiter between quotes (")', line)
            if header and fields:
                yield line, dict(zip(header, fields, strict=True))
            header = header or fields
            line = reader.line_num + 1
    except csv.Error as error:
        what = f"{name}, line {line} is not a row of fields ({error})"
        raise _bad_file(what, 'close every quote, and double a quote (") inside a quoted field', line) from None


def _parquet_rows(data: bytes, name: str, asked: Collection[str]) -> Iterator[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(data))
        columns = set(file.schema_arrow.names)
        # Vectors may stand beside the texts: read only what is used, or all, to name it, where a column is missing.
        wanted = columns & {*asked, "id", "start", "end", "spans"} if columns.issuperset(asked) else columns
        records = file.read(columns=sorted(wanted)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _bad_file(f"{name} is not Parquet ({error})", "write it anew, or give it its true ending") from None
    yield from enumerate(records, start=1)


_RECORDS: dict[str, Callable[[bytes, str, Collection[str]], Iterator[Row]]] = {
    ".jsonl": _jsonl_rows,
    ".csv": partial(_csv_rows, delimiter=","),
    ".tsv": partial(_csv_rows, delimiter="\t"),
    ".parquet": _parquet_rows,
}
ENDINGS = (".txt", *_RECORDS)


def _document(row: Row, place: str, text_field: str, id_field: str | None) -> Document:
    number, record = row
    _check_field(row, place, "text_field", text_field)
    if id_field is not None:
        _check_field(row, place, "id_field", id_field)
    text, identity = record[text_field], record.get(id_field or "id")
    if not isinstance(text, str):
        what = f"{place}: {text_field!r} is not a string, but {type(text).__name__}"
        raise _bad_file(what, "write the text as a string, or choose another text_field", number)
    _check_text(text, f"{place}: {text_field!r}", ("file", number))
    return Document(text, str(number if identity in (None, "") else identity), _spans(row, place, len(text)))


def _check_field(row: Row, place: str, option: str, field: str) -> None:
    if field not in row[1]:
        there = ", ".join(map(repr, row[1])) or "none"
        remedy = f"choose {option} from the fields there are: {there}"
        raise BadOption(f"{place} has no field {field!r}", remedy=remedy, where=(option,))


def _label(row: Row, place: str, field: str) -> str:
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


def _spans(row: Row, place: str, length: int) -> tuple[Span, ...]:
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
