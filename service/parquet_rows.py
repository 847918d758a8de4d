"""Parquet on standard input, JSON Lines on standard output: a program of its own, which `parquet.py` runs.

    python -I parquet_rows.py FIELDS MOST_ROWS MOST_BYTES      FIELDS as a JSON list

Ends with 3 where the file holds more than that, 4 where it is not Parquet (the reason is on standard error).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

MEMORY = 1 << 30  # bytes, whatever the file says of itself: a text that is stored once may stand in every row
ROWS_AT_ONCE = 16
PLACES = ("id", "start", "end", "spans")
TOO_MUCH, NOT_PARQUET = 3, 4


class TooMuch(Exception):
    """More rows or bytes than may be."""


def rows(data: bytes, fields: list[str], most_rows: int, most_bytes: int) -> Iterator[str]:
    """Each row as JSON; where a field is missing, one row with all columns, so that they can be named."""
    import pyarrow as pa
    from pyarrow import parquet

    pa.set_memory_pool(pa.system_memory_pool())  # others reserve what they do not use
    file = parquet.ParquetFile(pa.BufferReader(data))
    columns = set(file.schema_arrow.names)
    if not columns.issuperset(fields):
        yield json.dumps(dict.fromkeys(file.schema_arrow.names))
        return
    wanted = columns & {*fields, *PLACES}  # vectors may stand beside the texts
    said = _said(file.metadata, wanted)
    number, size = file.metadata.num_rows, 0
    if number > most_rows or said > most_bytes:
        raise TooMuch
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=sorted(wanted), use_threads=False):
        for record in batch.to_pylist():
            line = json.dumps(record, default=_plain)
            size += len(line)
            if size > most_bytes:
                raise TooMuch
            yield line


def _said(metadata: Any, wanted: set[str]) -> int:
    """Bytes, or values where these are more, by what the file says of the columns."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [group.column(j) for group in groups for j in range(group.num_columns)]
    return sum(
        max(column.total_uncompressed_size, column.num_values)
        for column in columns
        if column.path_in_schema.split(".")[0] in wanted
    )


def _plain(value: object) -> object:
    return [] if isinstance(value, bytes) else str(value)  # bytes are no text, and must not become one


def main() -> int:
    with suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    fields, most_rows, most_bytes = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    try:
        for line in rows(sys.stdin.buffer.read(), fields, most_rows, most_bytes):
            print(line)
    except (TooMuch, MemoryError):
        return TOO_MUCH
    except Exception as error:  # noqa: BLE001 - whatever a broken file brings about
        print(str(error).splitlines()[0][:200] if str(error) else type(error).__name__, file=sys.stderr)
        return NOT_PARQUET
    return 0


if __name__ == "__main__":
    sys.exit(main())
