"""Records out of files, one after the other: lines of text, JSON Lines, CSV, TSV, Parquet; plain, or in gzip.

    chunks | inflated -> lines -> jsonl_rows, csv_rows
                                  parquet_rows

What cannot be read is handed out as the error that says so, and reading goes on behind it. Memory is that of the
longest record, whatever the size of the file.
"""

from __future__ import annotations

import csv
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

from analysis.errors import BadFile

# A record, or why there is none, and the number of its line (its row in Parquet) from 1.
Row = tuple[int, Mapping[str, object] | BadFile]
Line = tuple[int, str | BadFile]
Bytes = Iterable[bytes | BadFile]  # a file's content in order, and where a part of it is lost

CHUNK = 2**18  # bytes read at once
LONGEST = 2**26  # bytes of a line: what is longer is no record that a person wrote
ROWS = 1000  # of Parquet, read at once
_MEMBER = b"\x1f\x8b\x08"  # how a member of a gzip file begins (RFC 1952)


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The file's content. Raises OSError where it cannot be read."""
    while data := file.read(CHUNK):
        yield data


def inflated(file: BinaryIO, name: str) -> Iterator[bytes | BadFile]:
    """What a gzip file holds; behind a member that is broken, reading goes on at the next that is whole (RFC 1952).

    The last CHUNK before a break is left out with it, as a break shows only some way behind where it is.
    """
    lost = False
    member = zlib.decompressobj(wbits=31)
    begun, rest, at = False, b"", 0
    while data := rest or file.read(CHUNK):
        rest = b""
        try:
            found = member.decompress(data, CHUNK)
        except zlib.error as error:
            if not lost:
                yield _bad(f"{name} is not whole gzip: near byte {at} {error}", "write it anew", None)
            lost, begun = True, False
            # A member may begin anywhere behind the break, and its first bytes may be cut by the end of the data.
            data += file.read(CHUNK) if len(data) < CHUNK else b""
            place = data.find(_MEMBER, 1)
            rest = data[place:] if place >= 0 else data[-2:] if len(data) > 2 else b""
            at += len(data) - len(rest)
            member = zlib.decompressobj(wbits=31)
            continue
        begun = True
        if found:
            lost = False
            yield found
        rest = member.unconsumed_tail or member.unused_data
        at += len(data) - len(rest)
        if member.eof:
            member, begun = zlib.decompressobj(wbits=31), False
            rest = rest.lstrip(b"\0")  # padding, as on tapes
    if begun:
        yield _bad(f"{name} is cut short: its gzip ends in the middle", "get the whole file", None)


def lines(content: Bytes, name: str, *, longest: int = LONGEST, cut: bool = False) -> Iterator[Line]:
    """The lines of UTF-8 text without their ends, blank ones too; only a line feed ends one.

    A line of more bytes than `longest` is an error, or with `cut` handed out in parts that end behind a space.
    """
    for number, line, at in _raw_lines(content, name, longest, cut):
        yield number, line if isinstance(line, BadFile) else _text(line, name, number, at)


def _raw_lines(content: Bytes, name: str, longest: int, cut: bool) -> Iterator[tuple[int, bytes | BadFile, int]]:
    """The lines as bytes, each with its number and the byte of the file that it begins at."""
    number, at, buffer, skipping = 1, 0, b"", False
    for data in content:
        if isinstance(data, BadFile):
            # What came in of the line that the loss begins in is no whole line.
            yield number, _bad(f"{data.what} (line {number})", data.remedy, number), at
            buffer, skipping = b"", False
            continue
        *whole, buffer = (buffer + data).split(b"\n")
        for line in whole:
            if not skipping:
                yield number, line, at
            number, at, skipping = number + 1, at + len(line) + 1, False
        if len(buffer) <= longest:
            continue
        if cut:
            end = buffer.rfind(b" ") + 1 or len(buffer)
            yield number, buffer[:end], at
            buffer = buffer[end:]
        else:
            if not skipping:
                yield number, _bad(f"{name}, line {number} is longer than {longest} bytes", "split it", number), at
            end, skipping = len(buffer), True
            buffer = b""
        at += end
    if buffer and not skipping:
        yield number, buffer, at


def jsonl_rows(content: Bytes, name: str) -> Iterator[Row]:
    """The objects of a JSON Lines file; blank lines are left out."""
    for number, line in lines(content, name):
        if isinstance(line, BadFile):
            yield number, line
            continue
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            record = error
        if isinstance(record, dict):
            yield number, record
        else:
            why = f" ({record})" if isinstance(record, Exception) else ""
            what = f"{name}, line {number} is not a JSON object{why}"
            yield number, _bad(what, 'write one object a line, such as {"text": "..."}', number)


def csv_rows(content: Bytes, name: str, *, delimiter: str) -> Iterator[Row]:
    """The rows of a CSV or TSV file (RFC 4180) with its header's names; a row's number is that of its first line."""
    # The limit is the process's own: it is only ever raised, so that no other reader loses by it.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    broken: list[BadFile] = []  # lines inside the row that is being read

    def fed() -> Iterator[str]:
        for number, line, at in _raw_lines(content, name, LONGEST, cut=False):
            text = line if isinstance(line, BadFile) else _text(line, name, number, at)
            if isinstance(text, BadFile):
                broken.append(text)
                # Its quotes still say where its row ends.
                text = line.decode("utf-8", "replace").replace("\0", " ") if isinstance(line, bytes) else ""
            yield from re.split(r"(?<=\r)(?!\n)", text + "\n")  # a lone carriage return ends a line here

    reader = csv.reader(fed(), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            what = f"{name}, line {number} is not a row of fields ({error})"
            yield number, _bad(what, 'close every quote, and double a quote (") inside a quoted field', number)
            broken.clear()
            continue
        if broken:
            yield from ((number, error) for error in broken)
            broken.clear()
        elif header and fields and len(fields) != len(header):
            what = f"{name}, line {number} has {len(fields)} fields, and the header {len(header)}"
            yield number, _bad(what, 'put a text that holds the delimiter between quotes (")', number)
        elif header and fields:
            yield number, dict(zip(header, fields, strict=True))
        header = header or fields


def parquet_rows(file: BinaryIO, name: str, asked: Collection[str]) -> Iterator[Row]:
    """The records of a Parquet file with the columns `asked`, or with all of them where one of these is missing.

    A row group that cannot be read is one error, at its first row.
    """
    import pyarrow as pa
    from pyarrow import parquet

    def broken(place: str, error: Exception, row: int | None) -> BadFile:
        why = " ".join(str(error).split())
        return _bad(f"{name}{place} is not Parquet ({why})", "write it anew, or give it its true ending", row)

    failures = (pa.ArrowException, OSError, ValueError)
    try:
        opened = parquet.ParquetFile(file, buffer_size=CHUNK)
        columns = set(opened.schema_arrow.names)
        groups = [opened.metadata.row_group(i).num_rows for i in range(opened.num_row_groups)]
    except failures as error:
        yield 1, broken("", error, None)
        return
    # Vectors may stand beside the texts: read only what is used, or all, to name it, where a column is missing.
    wanted = sorted(columns & {*asked, *OWN_FIELDS} if columns.issuperset(asked) else columns)
    before = 0
    for group, size in enumerate(groups):
        done = before
        try:
            for batch in opened.iter_batches(ROWS, row_groups=[group], columns=wanted):
                for record in batch.to_pylist():
                    done += 1
                    yield done, record
        except failures as error:
            yield done + 1, broken(f", from row {done + 1} to {before + size},", error, done + 1)
        before += size


OWN_FIELDS = ("id", "start", "end", "spans")  # what a record may hold beside its text
TEXT_ROWS: Mapping[str, Callable[[Bytes, str], Iterator[Row]]] = {
    ".jsonl": jsonl_rows,
    ".csv": partial(csv_rows, delimiter=","),
    ".tsv": partial(csv_rows, delimiter="\t"),
}


def _text(line: bytes, name: str, number: int, at: int) -> str | BadFile:
    if at == 0:
        line = line.removeprefix(b"\xef\xbb\xbf")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"byte {at + error.start} of the file is 0x{line[error.start]:02x}"
        return _bad(f"{name}, line {number} is not UTF-8: {place}", "save the file as UTF-8", number)
    if "\0" in text:
        what = f"{name}, line {number} is not text: it has a NUL character"
        return _bad(what, "save the file as UTF-8 text", number)
    return text


def _bad(what: str, remedy: str, line: int | None) -> BadFile:
    where: tuple[Any, ...] = ("file",) if line is None else ("file", line)
    return BadFile(what, remedy=remedy, where=where)
